// The head of a log: where it ended when its last record was written, kept apart from it.
internal import Linux

/// The head is a file of one line, always of the same length:
///
///     cordon-audit-head 1 LOG N FILE BYTES HASH CHECK
///
/// LOG is the log's id, in 32 hexadecimal digits; N the number of records that were ever written, in 20 decimal ones; FILE the
/// number of the file that grows, in 10; BYTES its length, in 20; HASH the last line's hash, in 64; CHECK the first 16
/// digits of SHA-256 of all that stands before its space.
///
/// It is rewritten in place by one pwrite. That is not torn by the death of the process: the kernel copies less than a page
/// in one go, and looks for a fatal signal only between pages. On a disk it fits in a sector.
struct AuditHead: Equatable {
    /// The log's id.
    var log: [UInt8]
    /// How many records were ever written.
    var count: UInt64
    /// The number of the file that grows.
    var file: UInt64
    /// The length of that file.
    var bytes: UInt64
    /// The hash of the last line.
    var hash: [UInt8]

    static let size = 188
    private static let name = "cordon-audit-head 1 "
    private static let logSize = 32, checkSize = 16

    /// The head of a log without any record.
    static func new() -> AuditHead {
        var generator = SystemRandomNumberGenerator()
        var id: [UInt8] = []
        for _ in 0..<2 {
            let number = String(UInt64.random(in: .min ... .max, using: &generator), radix: 16)
            id += Array(repeating: UInt8(ascii: "0"), count: 16 - number.utf8.count) + number.utf8
        }
        return AuditHead(log: id, count: 0, file: 1, bytes: 0, hash: AuditLine.origin)
    }

    /// As bytes.
    var encoded: [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(Self.size)
        line += Self.name.utf8
        line += log
        Self.append(count, 20, to: &line)
        Self.append(file, 10, to: &line)
        Self.append(bytes, 20, to: &line)
        line.append(UInt8(ascii: " "))
        line += hash
        let check = sha256(line[...], [], []).prefix(Self.checkSize)
        line.append(UInt8(ascii: " "))
        line += check
        line.append(UInt8(ascii: "\n"))
        return line
    }

    /// From bytes; nil where they are not what `encoded` gives.
    init?(_ encoded: [UInt8]) {
        guard encoded.count == Self.size else { return nil }
        let words = encoded.dropLast().split(separator: UInt8(ascii: " "))
        guard words.count == 8, let count = Self.number(words[3]), let file = Self.number(words[4]),
            let bytes = Self.number(words[5])
        else { return nil }
        self.init(log: Array(words[2]), count: count, file: file, bytes: bytes, hash: Array(words[6]))
        guard self.encoded == encoded else { return nil }
    }

    init(log: [UInt8], count: UInt64, file: UInt64, bytes: UInt64, hash: [UInt8]) {
        self.log = log
        self.count = count
        self.file = file
        self.bytes = bytes
        self.hash = hash
    }

    private static func append(_ number: UInt64, _ width: Int, to line: inout [UInt8]) {
        line.append(UInt8(ascii: " "))
        let digits = String(number).utf8
        for _ in digits.count..<max(width, digits.count) { line.append(UInt8(ascii: "0")) }
        line += digits
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        digits.allSatisfy { (0x30...0x39).contains($0) } ? UInt64(String(decoding: digits, as: UTF8.self)) : nil
    }
}
