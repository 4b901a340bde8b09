// Globs over bytes, in time that is linear in the key whatever the pattern: all places where the pattern can stand are
// followed at once, each a bit (the Shift-And of Baeza-Yates and Gonnet, 1992, with loops for stars).

/// A pattern of bytes: `*` for any, `?` for one, `[a-z]` for one of a class, `[!a-z]` or `[^a-z]` for one that is not
/// of it; a backslash takes the next byte as it is. A `]` that comes first in a class is one of its bytes.
public struct KeyGlob: Sendable {
    /// Words of bits for each state, one state more than there are tokens.
    private let width: Int
    /// For each byte, `width` words: which tokens take it.
    private let takes: [UInt64]
    /// The states that a star keeps.
    private let stays: [UInt64]
    private let last: Int

    /// Bytes of the longest pattern.
    public static let longestPattern = 1024

    /// Reads a pattern.
    ///
    /// - Throws: ``CacheError/invalidPattern(_:)`` for an open or reversed class, a backslash at the end, and one
    ///   that is longer than ``longestPattern``.
    public init(_ pattern: [UInt8]) throws(CacheError) {
        guard pattern.count <= Self.longestPattern else { throw .invalidPattern("a glob has at most 1024 bytes") }
        var parser = GlobParser(bytes: pattern)
        try parser.parse()
        let width = parser.tokens.count / 64 + 1
        var takes = [UInt64](repeating: 0, count: 256 * width)
        for (index, token) in parser.tokens.enumerated() {
            for byte in 0..<256 where token.contains(UInt8(byte)) {
                takes[byte * width + index / 64] |= 1 << UInt64(index % 64)
            }
        }
        var stays = [UInt64](repeating: 0, count: width)
        for index in parser.stars { stays[index / 64] |= 1 << UInt64(index % 64) }
        (self.width, self.takes, self.stays, last) = (width, takes, stays, parser.tokens.count)
    }

    /// Whether the whole key matches.
    public func matches(_ key: [UInt8]) -> Bool {
        if width == 1 { return matchesNarrow(key) }
        var states = [UInt64](repeating: 0, count: width)
        states[0] = 1
        for byte in key {
            var carry: UInt64 = 0
            var any: UInt64 = 0
            let row = Int(byte) * width
            for word in 0..<width {
                let taken = states[word] & takes[row + word]
                states[word] = states[word] & stays[word] | taken << 1 | carry
                carry = taken >> 63
                any |= states[word]
            }
            if any == 0 { return false }
        }
        return states[last / 64] >> UInt64(last % 64) & 1 == 1
    }

    private func matchesNarrow(_ key: [UInt8]) -> Bool {
        var states: UInt64 = 1
        for byte in key {
            states = states & stays[0] | (states & takes[Int(byte)]) << 1
            if states == 0 { return false }
        }
        return states >> UInt64(last) & 1 == 1
    }
}

/// The bytes of a class.
private struct ByteSet {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    static let all = ByteSet(words: (.max, .max, .max, .max))

    private init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

    init(_ range: ClosedRange<UInt8>) { insert(range) }

    init() {}

    mutating func insert(_ range: ClosedRange<UInt8>) {
        for byte in range {
            let bit: UInt64 = 1 << UInt64(byte & 63)
            switch byte >> 6 {
            case 0: words.0 |= bit
            case 1: words.1 |= bit
            case 2: words.2 |= bit
            default: words.3 |= bit
            }
        }
    }

    func contains(_ byte: UInt8) -> Bool {
        let word =
            switch byte >> 6 {
            case 0: words.0
            case 1: words.1
            case 2: words.2
            default: words.3
            }
        return word >> UInt64(byte & 63) & 1 == 1
    }

    var inverted: ByteSet { ByteSet(words: (~words.0, ~words.1, ~words.2, ~words.3)) }
}

private struct GlobParser {
    let bytes: [UInt8]
    var at = 0
    var tokens: [ByteSet] = []
    /// Before which tokens a star stands (or behind the last).
    var stars: Set<Int> = []

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func parse() throws(CacheError) {
        while let byte = next() {
            switch byte {
            case UInt8(ascii: "*"): stars.insert(tokens.count)
            case UInt8(ascii: "?"): tokens.append(.all)
            case UInt8(ascii: "["): tokens.append(try byteClass())
            case UInt8(ascii: "\\"):
                let escaped = try escaped()
                tokens.append(ByteSet(escaped...escaped))
            default: tokens.append(ByteSet(byte...byte))
            }
        }
    }

    private mutating func next() -> UInt8? {
        guard at < bytes.count else { return nil }
        at += 1
        return bytes[at - 1]
    }

    private mutating func escaped() throws(CacheError) -> UInt8 {
        guard let byte = next() else { throw .invalidPattern("a backslash stands at the end of a glob") }
        return byte
    }

    private mutating func byteClass() throws(CacheError) -> ByteSet {
        var isNegated = false
        if at < bytes.count, bytes[at] == UInt8(ascii: "!") || bytes[at] == UInt8(ascii: "^") {
            isNegated = true
            at += 1
        }
        var set = ByteSet()
        let start = at
        while let byte = next() {
            if byte == UInt8(ascii: "]"), at - 1 > start { return isNegated ? set.inverted : set }
            let low = byte == UInt8(ascii: "\\") ? try escaped() : byte
            guard at + 1 < bytes.count, bytes[at] == UInt8(ascii: "-"), bytes[at + 1] != UInt8(ascii: "]") else {
                set.insert(low...low)
                continue
            }
            at += 1
            guard let end = next() else { break }
            let high = end == UInt8(ascii: "\\") ? try escaped() : end
            guard low <= high else { throw .invalidPattern("a range of a class in a glob is reversed") }
            set.insert(low...high)
        }
        throw .invalidPattern("a class in a glob is not closed")
    }
}
