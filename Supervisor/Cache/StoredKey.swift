// A key as it lies in a table: short ones stand in the slot itself, which saves an allocation and a cache miss.

/// The bytes of a key.
enum StoredKey: Sendable {
    /// At most sixteen bytes, in two little-endian words with zeros behind them.
    case short(UInt64, UInt64, count: UInt8)
    /// More than sixteen.
    case long([UInt8])

    static let shortest = 16

    @inline(__always) init(_ bytes: [UInt8]) {
        guard bytes.count <= Self.shortest else {
            self = .long(bytes)
            return
        }
        let (first, second) = Self.words(bytes)
        self = .short(first, second, count: UInt8(bytes.count))
    }

    @inline(__always) private static func words(_ bytes: [UInt8]) -> (UInt64, UInt64) {
        unsafe bytes.withUnsafeBytes { buffer in
            switch buffer.count {
            case 16:
                return unsafe (
                    buffer.loadUnaligned(as: UInt64.self).littleEndian,
                    buffer.loadUnaligned(fromByteOffset: 8, as: UInt64.self).littleEndian
                )
            case 8...:
                // The second word is read so that it ends with the key; what it shares with the first is shifted out.
                let last = unsafe buffer.loadUnaligned(fromByteOffset: buffer.count - 8, as: UInt64.self).littleEndian
                return unsafe (
                    buffer.loadUnaligned(as: UInt64.self).littleEndian, last >> UInt64(8 * (16 - buffer.count))
                )
            default:
                var word: UInt64 = 0
                for index in 0..<buffer.count { word |= unsafe UInt64(buffer[index]) &<< UInt64(8 * index) }
                return (word, 0)
            }
        }
    }

    var bytes: [UInt8] {
        switch self {
        case .long(let bytes): bytes
        case .short(let first, let second, let count):
            (0..<Int(count)).map { index in
                UInt8(truncatingIfNeeded: (index < 8 ? first : second) >> UInt64(8 * (index & 7)))
            }
        }
    }

    var count: Int {
        switch self {
        case .long(let bytes): bytes.count
        case .short(_, _, let count): Int(count)
        }
    }

    @inline(__always) func hash(_ key: SipKey) -> UInt64 {
        var hash = SipHash(key)
        switch self {
        case .short(let first, let second, let count):
            hash.addFast(first)
            hash.addFast(second)
            hash.addFast(UInt64(count) << 56)
        case .long(let bytes): Self.add(bytes, to: &hash)
        }
        return hash.finishFast()
    }

    private static func add(_ bytes: [UInt8], to hash: inout SipHash) {
        unsafe bytes.withUnsafeBytes { buffer in
            let whole = buffer.count / 8
            for word in 0..<whole {
                hash.addFast(unsafe buffer.loadUnaligned(fromByteOffset: word * 8, as: UInt64.self).littleEndian)
            }
            var last = UInt64(truncatingIfNeeded: buffer.count) << 56
            for index in (whole * 8)..<buffer.count {
                last |= unsafe UInt64(buffer[index]) &<< UInt64(8 * (index & 7))
            }
            hash.addFast(last)
        }
    }

    @inline(__always) static func == (one: StoredKey, other: StoredKey) -> Bool {
        switch one {
        case .short(let first, let second, let count):
            guard case .short(let otherFirst, let otherSecond, let otherCount) = other else { return false }
            return first == otherFirst && second == otherSecond && count == otherCount
        case .long(let bytes):
            guard case .long(let otherBytes) = other else { return false }
            return bytes == otherBytes
        }
    }
}
