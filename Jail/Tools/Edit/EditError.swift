// Why an edit was refused, with the lines that a caller should look at. Nothing was changed then.

/// Lines of a text that could have been meant.
public struct EditCandidate: Sendable, Equatable {
    /// The first line, from 1.
    public var line: Int
    /// The last line.
    public var endLine: Int
    /// The beginning of the first line, at most 160 bytes.
    public var excerpt: [UInt8]
    /// How alike it is, from 0 to 1.
    public var similarity: Double

    /// Describes a candidate.
    public init(line: Int, endLine: Int, excerpt: [UInt8], similarity: Double = 1) {
        (self.line, self.endLine, self.excerpt, self.similarity) = (line, endLine, excerpt, similarity)
    }
}

/// A refused edit.
public struct EditError: Error, Sendable, Equatable {
    /// The reasons; the raw values are stable words.
    public enum Reason: String, Sendable {
        /// Nothing to look for, in a text that is not empty: replacing a whole file is writing it.
        case emptyOld = "empty_old"
        /// Old and new text are the same, or differ in line ends alone.
        case identical
        /// No strategy found the text. The candidates are the most similar lines.
        case notFound = "not_found"
        /// A strategy found several places, and none singled out one of them.
        case ambiguous
        /// What was found is much larger than what was asked for: 3 lines more and twice as many, or, for a text of
        /// several lines, 500 bytes more and four times as many.
        case oversized
        /// Text, edits or the result are larger than the limits.
        case tooLarge = "too_large"
        /// A line or a range of lines that the text does not have.
        case noSuchLine = "no_such_line"
        /// A pattern or a template that is none, or a matcher that gave ranges outside of the text.
        case badPattern = "bad_pattern"
        /// The caller's `shouldStop` said so.
        case stopped
    }

    /// Why.
    public var reason: Reason
    /// Which of several edits, from 0.
    public var edit: Int
    /// The strategy that decided.
    public var strategy: EditStrategy?
    /// Where to look, at most ten.
    public var candidates: [EditCandidate]
    /// How many candidates there were; `candidates` has the first ones. At 1,000 it means that many or more.
    public var candidateCount: Int
    /// More on the reason, for people.
    public var detail: String

    init(
        _ reason: Reason, edit: Int = 0, strategy: EditStrategy? = nil, candidates: [EditCandidate] = [],
        count: Int? = nil, detail: String = ""
    ) {
        (self.reason, self.edit, self.strategy, self.candidates) = (reason, edit, strategy, candidates)
        (candidateCount, self.detail) = (count ?? candidates.count, detail)
    }

    /// One sentence for people and agents.
    public var message: String {
        let lines = candidates.map { $0.line == $0.endLine ? "\($0.line)" : "\($0.line)-\($0.endLine)" }
            .joined(separator: ", ")
        let which = edit > 0 ? "edit \(edit + 1): " : ""
        let more = detail.isEmpty ? "" : " (\(detail))"
        let by = strategy.map { " by \($0.rawValue)" } ?? ""
        switch reason {
        case .emptyOld: return "\(which)the old text is empty and the file is not: write the file instead"
        case .identical: return "\(which)old and new text are identical: no change to make"
        case .notFound:
            let near = lines.isEmpty ? "" : "; the most similar lines are \(lines)"
            return "\(which)the old text was not found\(near)\(more)"
        case .ambiguous:
            return "\(which)found multiple matches\(by), \(candidateCount) in all, at lines \(lines): give more of the "
                + "surrounding lines, or ask for all of them\(more)"
        case .oversized:
            return "\(which)refused: the match\(by) at lines \(lines) is much larger than the text that was asked for"
        case .tooLarge: return "\(which)too large\(more)"
        case .noSuchLine: return "\(which)there is no such line\(more)"
        case .badPattern: return "\(which)bad pattern\(more)"
        case .stopped: return "\(which)stopped"
        }
    }
}
