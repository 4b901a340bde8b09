// Finds the lines of a `*** Begin Patch` hunk in a file: first as they are, then by ever looser comparisons.

/// The lines of a file under each of the comparisons, made when they are needed.
struct LineSeek {
    /// In this order.
    static let comparisons: [HunkPlacement.Comparison] = [.exact, .trailingSpace, .surroundingSpace, .typographic]

    private let text: [UInt8]
    let table: LineTable
    private var forms: [(numbers: LineNumbers, lines: [Int32])] = []
    private var plain: [Typography.Line: Int32] = [:]

    /// Looks at a file with LF alone.
    init(_ text: [UInt8]) {
        self.text = text
        table = LineTable(text)
    }

    /// The first place behind `start` where the lines are, by the first comparison that finds them there.
    ///
    /// With `atEnd` the last lines of the file are tried before, by each comparison.
    mutating func find(
        _ lines: [[UInt8]], from start: Int, atEnd: Bool = false
    ) -> (line: Int, comparison: HunkPlacement.Comparison)? {
        guard lines.count <= table.count else { return nil }
        if atEnd {
            let line = table.count - lines.count
            for (level, comparison) in Self.comparisons.enumerated() where line >= start {
                let wanted = numbers(of: lines, level)
                if wanted.elementsEqual(forms[level].lines[line...]) { return (line, comparison) }
            }
        }
        for (level, comparison) in Self.comparisons.enumerated() {
            let wanted = numbers(of: lines, level)
            if let line = ByteSearch.places(of: wanted, in: forms[level].lines, from: start, atMost: 1).first {
                return (line, comparison)
            }
        }
        return nil
    }

    /// The places that most of the lines fit, by trimmed lines.
    mutating func nearest(_ lines: [[UInt8]], around guess: Int) -> [EditCandidate] {
        let level = 2
        let wanted = numbers(of: lines, level)
        let search = HunkSearch(forms[level].lines, PatchOptions())
        let found = search.nearest(wanted, around: guess)
        guard !found.isEmpty else {
            var haystack = Haystack(text)
            return Nearest.candidates(Needle(Array(lines.joined(separator: [ByteSearch.newline]))), &haystack)
        }
        return found.map { line, equal in
            let differs = wanted.indices.first {
                line + $0 >= table.count || wanted[$0] != forms[level].lines[line + $0]
            }
            let shown = line + (differs ?? 0)
            return EditCandidate(
                line: line + 1, endLine: min(table.count, line + max(1, wanted.count)),
                excerpt: shown < table.count ? excerpt(text, table.starts[shown]) : [],
                similarity: Double(equal) / Double(max(1, wanted.count)))
        }
    }

    private mutating func numbers(of lines: [[UInt8]], _ level: Int) -> [Int32] {
        while forms.count <= level {
            let comparison = Self.comparisons[forms.count]
            var numbers = LineNumbers(expecting: table.count)
            var own: [Int32] = []
            own.reserveCapacity(table.count)
            for line in 0..<table.count {
                let content = Self.cut(text, table.content(line), comparison)
                if comparison == .typographic {
                    let next = Int32(truncatingIfNeeded: plain.count)
                    own.append(plain.insertingIfAbsent(Typography.Line(text[content]), next))
                } else {
                    own.append(numbers.number(text, content))
                }
            }
            forms.append((numbers, own))
        }
        let comparison = Self.comparisons[level]
        return lines.map { line in
            let content = Self.cut(line, line.indices, comparison)
            return comparison == .typographic
                ? plain[Typography.Line(line[content])] ?? -1 : forms[level].numbers.known(line, content)
        }
    }

    private static func cut(
        _ text: [UInt8], _ range: Range<Int>, _ comparison: HunkPlacement.Comparison
    ) -> Range<Int> {
        var range = range
        guard comparison != .exact else { return range }
        while !range.isEmpty, ByteSearch.isBlank(text[range.upperBound - 1]) {
            range = range.lowerBound..<(range.upperBound - 1)
        }
        guard comparison != .trailingSpace else { return range }
        while !range.isEmpty, ByteSearch.isBlank(text[range.lowerBound]) {
            range = (range.lowerBound + 1)..<range.upperBound
        }
        return range
    }
}

/// Lines without what typography adds: models write ASCII where a text has dashes and quotes of print.
enum Typography {
    /// A line that equals others by canonical equivalence, which is what Swift's strings compare by. Here it is wanted:
    /// nothing is allowed or refused by it. Bytes that are not UTF-8 equal only themselves.
    enum Line: Hashable {
        case text(String)
        case bytes([UInt8])

        init(_ line: ArraySlice<UInt8>) {
            guard let text = String(validating: line, as: UTF8.self) else {
                self = .bytes(Array(line))
                return
            }
            self = .text(line.contains { $0 >= 0x80 } ? plain(text) : text)
        }
    }

    /// Typographic dashes, quotes and spaces as their ASCII.
    private static func plain(_ text: String) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x2010...0x2015, 0x2212: scalars.append("-")
            case 0x2018...0x201B: scalars.append("'")
            case 0x201C...0x201F: scalars.append("\"")
            case 0x00A0, 0x2002...0x200A, 0x202F, 0x205F, 0x3000: scalars.append(" ")
            default: scalars.append(scalar)
            }
        }
        return String(scalars)
    }
}

extension Dictionary {
    /// The value of a key, which is put there where it had none.
    fileprivate mutating func insertingIfAbsent(_ key: Key, _ value: Value) -> Value {
        if let found = self[key] { return found }
        self[key] = value
        return value
    }
}
