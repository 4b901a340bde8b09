// The strategies that search a changed form of the text, with the way back to its own places: white space, escapes.

/// A text in another form, and for each of its bytes the place that it stands for.
struct MappedText {
    private(set) var text: [UInt8] = []
    private var map: [Int32] = []

    /// The original bytes of a piece.
    func original(_ range: Range<Int>) -> Range<Int> {
        guard !range.isEmpty else { return 0..<0 }
        return Int(map[2 * range.lowerBound])..<Int(map[2 * range.upperBound - 1])
    }

    private mutating func append(_ byte: UInt8, _ from: Int, _ to: Int) {
        text.append(byte)
        map.append(Int32(truncatingIfNeeded: from))
        map.append(Int32(truncatingIfNeeded: to))
    }

    /// Each run of white space as one space, none at the ends of lines; with `joinsLines` line ends are white space
    /// too.
    static func normalized(_ bytes: [UInt8], joinsLines: Bool) -> MappedText {
        var result = MappedText()
        result.text.reserveCapacity(bytes.count)
        result.map.reserveCapacity(2 * bytes.count)
        var gap = -1
        unsafe bytes.withUnsafeBufferPointer { bytes in
            for index in bytes.indices {
                let byte = unsafe bytes[index]
                if byte == ByteSearch.newline && !joinsLines {
                    result.append(byte, index, index + 1)
                    gap = -1
                } else if ByteSearch.isSpace(byte) {
                    if gap < 0 { gap = index }
                } else {
                    if gap >= 0, let last = result.text.last, last != ByteSearch.newline {
                        result.append(0x20, gap, index)
                    }
                    gap = -1
                    result.append(byte, index, index + 1)
                }
            }
        }
        return result
    }

    /// Each backslash escape as what it stands for.
    static func unescaped(_ bytes: [UInt8]) -> MappedText {
        var result = MappedText()
        result.text.reserveCapacity(bytes.count)
        result.map.reserveCapacity(2 * bytes.count)
        var index = 0
        while index < bytes.count {
            if bytes[index] == 0x5C, index + 1 < bytes.count, let value = meaning(bytes[index + 1]) {
                result.append(value, index, index + 2)
                index += 2
            } else {
                result.append(bytes[index], index, index + 1)
                index += 1
            }
        }
        return result
    }

    private static func meaning(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x6E: 0x0A  // n
        case 0x74: 0x09  // t
        case 0x72: 0x0D  // r
        case 0x27, 0x22, 0x60, 0x5C, 0x0A, 0x24: byte  // ' " ` \ LF $
        default: nil
        }
    }
}

enum TextStrategies {
    static func simple(_ text: [UInt8], _ haystack: Haystack, all: Bool) -> Finding {
        let most = all ? Int.max : LineStrategies.mostPlaces
        let found = ByteSearch.places(of: text, in: haystack.text, atMost: most)
        return Finding(
            places: found.map { Place(range: $0..<($0 + text.count)) }, isCut: !all && found.count >= most)
    }

    static func whitespaceNormalized(_ needle: Needle, _ haystack: Haystack) -> Finding {
        let asked = needle.endsWithNewline ? Array(needle.text.dropLast()) : needle.text
        let wanted = MappedText.normalized(asked, joinsLines: false).text
        let form = MappedText.normalized(haystack.text, joinsLines: false)
        let found = ByteSearch.places(of: wanted, in: form.text, atMost: LineStrategies.mostPlaces)
        let isOneLine = !wanted.contains(ByteSearch.newline)
        var places: [Place] = []
        for start in found {
            let end = start + wanted.count
            let isWhole =
                (start == 0 || form.text[start - 1] == ByteSearch.newline)
                && (end == form.text.count || form.text[end] == ByteSearch.newline)
            guard isWhole || isOneLine else { continue }
            var range = form.original(start..<end)
            if !isWhole, needle.endsWithNewline {
                // The line end that was asked for has to be there.
                guard end < form.text.count, form.text[end] == ByteSearch.newline else { continue }
                range = range.lowerBound..<form.original(end..<(end + 1)).upperBound
            }
            if isWhole {
                while range.lowerBound > 0, ByteSearch.isBlank(haystack.text[range.lowerBound - 1]) {
                    range = (range.lowerBound - 1)..<range.upperBound
                }
                while range.upperBound < haystack.text.count, ByteSearch.isBlank(haystack.text[range.upperBound]) {
                    range = range.lowerBound..<(range.upperBound + 1)
                }
            }
            places.append(Place(range: range, isLines: isWhole))
        }
        return Finding(places: places, isCut: found.count >= LineStrategies.mostPlaces)
    }

    static func escapeNormalized(_ needle: Needle, _ haystack: Haystack) -> Finding {
        let backslash: UInt8 = 0x5C
        let wanted = MappedText.unescaped(needle.text).text
        guard ByteSearch.first(backslash, in: haystack.text) != nil else {
            guard wanted != needle.text else { return Finding() }
            return simple(wanted, haystack, all: false)
        }
        let form = MappedText.unescaped(haystack.text)
        let found = ByteSearch.places(of: wanted, in: form.text, atMost: LineStrategies.mostPlaces)
        return Finding(
            places: found.map { Place(range: form.original($0..<($0 + wanted.count))) },
            isCut: found.count >= LineStrategies.mostPlaces)
    }

    static func trimmedBoundary(_ needle: Needle, _ haystack: Haystack) -> Finding {
        guard needle.core.count < needle.text.count else { return Finding() }
        return simple(Array(needle.text[needle.core]), haystack, all: false)
    }

    static func multiOccurrence(_ needle: Needle, _ haystack: Haystack) -> Finding {
        let wanted = MappedText.normalized(Array(needle.text[needle.core]), joinsLines: true).text
        guard wanted.contains(0x20) else { return Finding() }
        let form = MappedText.normalized(haystack.text, joinsLines: true)
        let found = ByteSearch.places(of: wanted, in: form.text, atMost: LineStrategies.mostPlaces)
        // Whole words only: a place inside a longer word is another word.
        let places = found.filter { start in
            let end = start + wanted.count
            return !(start > 0 && isWord(form.text[start - 1]) && isWord(form.text[start]))
                && !(end < form.text.count && isWord(form.text[end - 1]) && isWord(form.text[end]))
        }
        return Finding(
            places: places.map { Place(range: form.original($0..<($0 + wanted.count))) },
            isCut: found.count >= LineStrategies.mostPlaces)
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        byte == 0x5F || byte >= 0x80 || (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20)
    }
}
