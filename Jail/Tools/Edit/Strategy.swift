// The nine rules by which the place of an edit is found, in the order in which they are tried.

/// A rule for finding the text that an edit is to replace. The raw values are stable words.
///
/// The strategies are tried in this order, and the first that finds something decides. Where it finds more than one
/// place, the edit is refused, unless a later and stricter one singles out one of these very places. All but `simple`
/// need something that is not white space to look for, and what they find may not be much larger than what was asked
/// for (see `EditError.Reason.oversized`). Line ends are no difference to any of them: CRLF is seen as LF.
///
/// Those that go by lines take whole lines, indentation included, without the last line's end; where the text that was
/// asked for ends with a line end, and the new text does too or is empty, that end is part of the place.
public enum EditStrategy: String, Sendable, CaseIterable {
    /// The text as it is.
    case simple
    /// As many lines, each equal when the white space around it is left out.
    case lineTrimmed = "line_trimmed"
    /// Three lines or more: the first and the last are equal when trimmed, the number of lines differs by at most a
    /// quarter (or 1), and the lines between have a mean similarity of 0.65 or more: 1 - distance / longer length, by
    /// Levenshtein distance in bytes, of trimmed lines. Of several such blocks the most similar is taken, if it is so
    /// by 0.05 or more.
    case blockAnchor = "block_anchor"
    /// Each run of white space counts as one space. A text of one line may be a part of a line; one of more is whole
    /// lines.
    case whitespaceNormalized = "whitespace_normalized"
    /// As many lines, equal when each side's common indentation is left out: what stands deeper must stand deeper by as
    /// much. Stricter than `lineTrimmed`, so it only ever singles out.
    case indentationFlexible = "indentation_flexible"
    /// Backslash escapes (`\n \t \r \' \" \` \\ \$` and a backslash in front of a line end) count as what they stand
    /// for, on both sides.
    case escapeNormalized = "escape_normalized"
    /// The text without the white space around it. What was left out is left out of the new text too, where it begins
    /// or ends with the same.
    case trimmedBoundary = "trimmed_boundary"
    /// Three lines or more: the first and the last are equal when trimmed, there are as many lines, and at least half
    /// of those between that are not blank are equal when trimmed. Of several such blocks the one with the most equal
    /// lines is taken, if there is one.
    case contextAware = "context_aware"
    /// Every place where the same words follow each other, whatever white space and line ends are between them; only
    /// with `replaceAll`, and for two words or more.
    case multiOccurrence = "multi_occurrence"
}

/// A place that a strategy found, in the view of the text.
struct Place: Equatable {
    var range: Range<Int>
    /// The strategy went by lines: the last line's end is not in the range.
    var isLines = false
    /// How well it fits, where the strategy measures that.
    var score = 1.0
}

/// What a strategy makes of a text.
struct Finding {
    var places: [Place] = []
    /// More were there than are worth to be kept, or to be compared.
    var isCut = false
}

/// A text to search, with what several strategies need of it, made when it is first needed.
struct Haystack {
    let text: [UInt8]
    private(set) lazy var lines = LineTable(text)
    /// Each line without the white space around it.
    private(set) lazy var trimmed: [Range<Int>] = Self.trimmed(text, lines)

    init(_ text: [UInt8]) { self.text = text }

    /// Each line's bytes without the white space around it.
    static func trimmed(_ text: [UInt8], _ lines: LineTable) -> [Range<Int>] {
        unsafe text.withUnsafeBufferPointer { bytes in
            (0..<lines.count).map { line in
                var range = lines.content(line)
                while !range.isEmpty, unsafe ByteSearch.isBlank(bytes[range.lowerBound]) {
                    range = (range.lowerBound + 1)..<range.upperBound
                }
                while !range.isEmpty, unsafe ByteSearch.isBlank(bytes[range.upperBound - 1]) {
                    range = range.lowerBound..<(range.upperBound - 1)
                }
                return range
            }
        }
    }
}

/// What to look for.
struct Needle {
    let text: [UInt8]
    let lines: LineTable
    let trimmed: [Range<Int>]
    /// Without the white space around it.
    let core: Range<Int>

    init(_ text: [UInt8]) {
        self.text = text
        lines = LineTable(text)
        trimmed = Haystack.trimmed(text, lines)
        var core = 0..<text.count
        while !core.isEmpty, ByteSearch.isSpace(text[core.lowerBound]) {
            core = (core.lowerBound + 1)..<core.upperBound
        }
        while !core.isEmpty, ByteSearch.isSpace(text[core.upperBound - 1]) {
            core = core.lowerBound..<(core.upperBound - 1)
        }
        self.core = core
    }

    var isBlank: Bool { core.isEmpty }
    var endsWithNewline: Bool { text.last == ByteSearch.newline }

    /// How many lines it is, an unfinished last one included.
    var height: Int { lines.count }
}
