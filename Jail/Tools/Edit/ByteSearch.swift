// Finding and counting bytes, in time that is linear whatever the text: what everything else here stands on.
internal import Glibc

enum ByteSearch {
    static let newline: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D

    /// White space inside a line: space, tab, vertical tab, form feed, and a carriage return that ends no line.
    @inline(__always)
    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D && byte != newline) }

    /// White space, line ends too.
    @inline(__always)
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) }

    /// The first place of a byte, or nil.
    static func first(_ byte: UInt8, in text: [UInt8], from start: Int = 0, to end: Int? = nil) -> Int? {
        let end = end ?? text.count
        guard start < end else { return nil }
        return unsafe text.withUnsafeBytes { bytes -> Int? in
            guard let base = bytes.baseAddress, let hit = unsafe memchr(base + start, Int32(byte), end - start) else {
                return nil
            }
            return unsafe UnsafeRawPointer(hit) - base
        }
    }

    /// How often a byte is there.
    static func count(_ byte: UInt8, in text: [UInt8], from start: Int = 0, to end: Int? = nil) -> Int {
        let end = end ?? text.count
        guard start < end else { return 0 }
        return unsafe text.withUnsafeBufferPointer { bytes in
            var total = 0
            for index in start..<end where unsafe bytes[index] == byte { total &+= 1 }
            return total
        }
    }

    /// Whether the needle stands at a place.
    static func stands(_ needle: [UInt8], in text: [UInt8], at place: Int) -> Bool {
        guard place >= 0, place + needle.count <= text.count else { return false }
        return equal(text, place..<(place + needle.count), needle, 0..<needle.count)
    }

    /// Whether two pieces are the same bytes.
    static func equal(_ one: [UInt8], _ first: Range<Int>, _ other: [UInt8], _ second: Range<Int>) -> Bool {
        guard first.count == second.count else { return false }
        if first.isEmpty { return true }
        return unsafe one.withUnsafeBytes { left in
            unsafe other.withUnsafeBytes { right in
                guard let l = left.baseAddress, let r = right.baseAddress else { return false }
                return unsafe memcmp(l + first.lowerBound, r + second.lowerBound, first.count) == 0
            }
        }
    }

    /// The places of the needle that do not overlap, from the front, at most so many.
    ///
    /// It looks for the needle's rarest byte with memchr. Where that byte is common and the comparisons add up to more
    /// than the text's own length, the rest is done by Knuth, Morris and Pratt (1977), which never looks at a byte
    /// twice: a text made for it cannot make this slow.
    static func places(of needle: [UInt8], in text: [UInt8], from start: Int = 0, atMost most: Int) -> [Int] {
        guard !needle.isEmpty, needle.count <= text.count - start, most > 0 else { return [] }
        var found: [Int] = []
        let rare = rarest(in: needle)
        var work = 0
        var place = start
        let last = text.count - needle.count
        let stop: Int? = unsafe text.withUnsafeBytes { bytes -> Int? in
            unsafe needle.withUnsafeBytes { pattern -> Int? in
                guard let base = bytes.baseAddress, let wanted = pattern.baseAddress else { return nil }
                let byte = unsafe Int32(pattern[rare])
                while place <= last {
                    guard let hit = unsafe memchr(base + place + rare, byte, last - place + 1) else { return nil }
                    place = unsafe UnsafeRawPointer(hit) - base - rare
                    if unsafe bytes[place] == pattern[0] && memcmp(base + place, wanted, needle.count) == 0 {
                        found.append(place)
                        if found.count == most { return nil }
                        place += needle.count
                    } else {
                        work += 16 + (unsafe bytes[place] == pattern[0] ? needle.count : 0)
                        place += 1
                        if work > 4 * text.count + 4096 { return place }
                    }
                }
                return nil
            }
        }
        if let stop { steadyPlaces(of: needle, in: text, from: stop, atMost: most, into: &found) }
        return found
    }

    private static func steadyPlaces(
        of needle: [UInt8], in text: [UInt8], from start: Int, atMost most: Int, into found: inout [Int]
    ) {
        let borders = self.borders(needle)
        var matched = 0
        unsafe text.withUnsafeBufferPointer { bytes in
            for index in start..<text.count {
                let byte = unsafe bytes[index]
                while matched > 0 && needle[matched] != byte { matched = borders[matched - 1] }
                if needle[matched] == byte { matched += 1 }
                guard matched == needle.count else { continue }
                found.append(index + 1 - matched)
                if found.count >= most { return }
                matched = 0
            }
        }
    }

    /// For each prefix the length of its longest proper border: the failure function of Knuth, Morris and Pratt.
    static func borders<Element: Equatable>(_ pattern: [Element]) -> [Int] {
        var borders = [Int](repeating: 0, count: pattern.count)
        var length = 0
        for index in pattern.indices.dropFirst() {
            while length > 0 && pattern[length] != pattern[index] { length = borders[length - 1] }
            if pattern[length] == pattern[index] { length += 1 }
            borders[index] = length
        }
        return borders
    }

    /// All places of a pattern of line numbers, those that overlap too, at most so many.
    static func places(of pattern: [Int32], in text: [Int32], from start: Int = 0, atMost most: Int) -> [Int] {
        guard !pattern.isEmpty, pattern.count <= text.count - start else { return [] }
        let borders = self.borders(pattern)
        var found: [Int] = []
        var matched = 0
        for index in start..<text.count {
            let value = text[index]
            while matched > 0 && (matched == pattern.count || pattern[matched] != value) {
                matched = borders[matched - 1]
            }
            if pattern[matched] == value { matched += 1 }
            guard matched == pattern.count else { continue }
            found.append(index + 1 - matched)
            if found.count >= most { break }
        }
        return found
    }

    /// The index of the byte that source text has least of, by a coarse order.
    private static func rarest(in needle: [UInt8]) -> Int {
        var best = 0
        var bestRank = Int.max
        for (index, byte) in needle.enumerated() {
            let rank = commonness(byte)
            if rank < bestRank { (best, bestRank) = (index, rank) }
        }
        return best
    }

    private static func commonness(_ byte: UInt8) -> Int {
        switch byte {
        case 0x20: 9
        case 0x61, 0x65, 0x69, 0x6E, 0x6F, 0x72, 0x73, 0x74: 8  // a e i n o r s t
        case 0x63, 0x64, 0x66, 0x6C, 0x6D, 0x70, 0x75: 7  // c d f l m p u
        case 0x0A: 6
        case 0x61...0x7A, 0x5F: 5
        case 0x28, 0x29, 0x2C, 0x2E, 0x3D, 0x3B, 0x22, 0x09, 0x30, 0x31: 4
        case 0x30...0x39, 0x2D, 0x3A, 0x2F, 0x7B, 0x7D: 3
        case 0x41...0x5A: 2
        default: 1
        }
    }

    /// How many bytes two texts have in common at the front.
    static func commonPrefix(_ one: [UInt8], _ other: [UInt8]) -> Int {
        let most = min(one.count, other.count)
        return unsafe one.withUnsafeBytes { left in
            unsafe other.withUnsafeBytes { right in
                var index = 0
                while index + 8 <= most,
                    unsafe left.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                        == right.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                { index += 8 }
                while index < most, unsafe left[index] == right[index] { index += 1 }
                return index
            }
        }
    }

    /// How many bytes two texts have in common at the back, at most so many.
    static func commonSuffix(_ one: [UInt8], _ other: [UInt8], atMost most: Int) -> Int {
        unsafe one.withUnsafeBytes { left in
            unsafe other.withUnsafeBytes { right in
                let (a, b) = (one.count, other.count)
                var length = 0
                while length + 8 <= most,
                    unsafe left.loadUnaligned(fromByteOffset: a - length - 8, as: UInt64.self)
                        == right.loadUnaligned(fromByteOffset: b - length - 8, as: UInt64.self)
                { length += 8 }
                while length < most, unsafe left[a - length - 1] == right[b - length - 1] { length += 1 }
                return length
            }
        }
    }
}
