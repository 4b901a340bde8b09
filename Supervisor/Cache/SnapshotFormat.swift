// The bytes of a snapshot:
//
//   magic      "CORDCACH"
//   version    4 bytes, little-endian as all numbers: 1
//   saved      8 bytes: milliseconds since 1970
//   records    each begins with a byte that says what it is
//     1        a namespace: user (4 bytes), length of the session's name (2 bytes, 0xFFFF for none), the name
//     2        an entry of the namespace before it, from the one not used for longest to the one used last:
//              length of the key (2 bytes), length of the value (4 bytes), deadline (8 bytes: milliseconds since
//              1970, 0 for none), key, value
//     0        the end: entries (8 bytes)
//   checksum   8 bytes: SipHash-2-4 of everything before it, with a key that everybody knows
//
// The checksum finds damage, not malice: a reader trusts no length, and the file belongs in a directory that nobody
// else can write.

enum SnapshotFormat {
    static let magic = Array("CORDCACH".utf8)
    static let version: UInt32 = 1
    static let checksumKey = SipKey(first: 0x636f_7264_6f6e_2e63, second: 0x6163_6865_2e76_0031)
    static let end: UInt8 = 0, namespace: UInt8 = 1, entry: UInt8 = 2
    static let noSession: UInt16 = 0xFFFF
}

extension [UInt8] {
    mutating func append(number: some FixedWidthInteger & UnsignedInteger) {
        var rest = number
        for _ in 0..<(number.bitWidth / 8) {
            append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }
}
