// Edits of a text: bytes in, bytes and their unified diff out. It never touches a file, and a refused edit changes
// nothing.

/// One replacement.
public struct Edit: Sendable, Equatable {
    /// What to look for.
    public var old: [UInt8]
    /// What to put in its place, as it is but for line ends, which become those of the text.
    public var new: [UInt8]
    /// Whether to replace each place where it is found; otherwise there has to be exactly one.
    public var replaceAll: Bool
    /// The strategies that may be used.
    public var strategies: Set<EditStrategy>

    /// Describes a replacement.
    public init(
        old: [UInt8], new: [UInt8], replaceAll: Bool = false,
        strategies: Set<EditStrategy> = Set(EditStrategy.allCases)
    ) {
        (self.old, self.new, self.replaceAll, self.strategies) = (old, new, replaceAll, strategies)
    }

    /// The same, from texts.
    public init(old: String, new: String, replaceAll: Bool = false) {
        self.init(old: Array(old.utf8), new: Array(new.utf8), replaceAll: replaceAll)
    }
}

/// Bounds of what is worked on.
public struct EditLimits: Sendable, Equatable {
    /// Bytes of a text, before and after.
    public var text = 256 << 20
    /// Bytes of a text up to which anything but `simple` is tried: others need several times the memory.
    public var fallbackText = 16 << 20
    /// Edits in one call.
    public var edits = 10_000
    /// Lines of context in diffs.
    public var context = 3

    /// The usual limits.
    public init() {}
}

/// What one edit did.
public struct EditOutcome: Sendable, Equatable {
    /// The strategy that found the place.
    public var strategy: EditStrategy
    /// The lines that were replaced, in the text that this edit met, from 1; at most 1,000.
    public var lines: [ClosedRange<Int>]
    /// How many places were replaced.
    public var count: Int
}

/// What edits made of a text.
public struct EditResult: Sendable, Equatable {
    /// The text.
    public var text: [UInt8]
    /// The unified diff from the text before to the text after, with headers; empty where nothing changed.
    public var diff: [UInt8]
    /// Lines that were added, as the diff counts them.
    public var added: Int
    /// Lines that were removed.
    public var removed: Int
    /// What each edit did.
    public var outcomes: [EditOutcome]
}

/// Applies edits one after the other, each to what the one before left, all of them or none.
///
/// - Parameter path: the name for the diff's headers.
/// - Throws: `EditError`, which names the edit that could not be done.
public func applyEdits(
    _ edits: [Edit], to text: [UInt8], path: [UInt8] = Array("file".utf8), limits: EditLimits = EditLimits()
) throws(EditError) -> EditResult {
    guard text.count <= limits.text, edits.count <= limits.edits else {
        throw EditError(.tooLarge, detail: "\(text.count) bytes, \(edits.count) edits")
    }
    var current = text
    var outcomes: [EditOutcome] = []
    for (index, edit) in edits.enumerated() {
        do {
            let (next, outcome) = try replace(edit, in: current, limits)
            current = next
            outcomes.append(outcome)
        } catch {
            var error = error
            error.edit = index
            throw error
        }
    }
    let diff = UnifiedDiff(from: text, to: current, context: limits.context)
    return EditResult(
        text: current, diff: diff.text(path: path), added: diff.added, removed: diff.removed, outcomes: outcomes)
}

private func replace(
    _ edit: Edit, in text: [UInt8], _ limits: EditLimits
) throws(EditError) -> ([UInt8], EditOutcome) {
    guard edit.old != edit.new else { throw EditError(.identical) }
    if edit.old.isEmpty {
        guard text.isEmpty else { throw EditError(.emptyOld) }
        return (edit.new, EditOutcome(strategy: .simple, lines: [1...1], count: 1))
    }
    let view = LineView(text)
    let needle = Needle(LineView.plain(edit.old))
    let new = LineView.plain(edit.new)
    let (strategy, places) = try find(edit, needle, view, limits)
    var result: [UInt8] = []
    result.reserveCapacity(text.count + (new.count + 64) * min(places.count, 1000))
    var copied = 0
    var replaced: [Range<Int>] = []
    for place in places {
        let (range, replacement, raw) = fitted(place, strategy, needle, view, new, edit.new)
        let original = view.original(range)
        guard original.lowerBound >= copied else { continue }
        result.append(contentsOf: text[copied..<original.lowerBound])
        result.append(contentsOf: view.ended(replacement, like: range, raw: raw))
        copied = original.upperBound
        replaced.append(covered(place, view.text))
        guard result.count <= limits.text else { throw EditError(.tooLarge, detail: "the result") }
    }
    result.append(contentsOf: text[copied...])
    guard result != text else { throw EditError(.identical, strategy: strategy) }
    let spans = lines(of: Array(replaced.prefix(1000)), in: view.text)
    return (result, EditOutcome(strategy: strategy, lines: spans, count: replaced.count))
}

/// The exact bytes to take out, and what to put in.
private func fitted(
    _ place: Place, _ strategy: EditStrategy, _ needle: Needle, _ view: LineView, _ new: [UInt8], _ raw: [UInt8]
) -> (Range<Int>, [UInt8], [UInt8]) {
    var range = place.range
    if place.isLines, needle.endsWithNewline, new.isEmpty || new.last == ByteSearch.newline {
        if range.upperBound < view.text.count {
            range = range.lowerBound..<(range.upperBound + 1)
        } else if !new.isEmpty {
            // The text has no last line end, and gets none.
            let shorter = Array(new.dropLast())
            return (range, shorter, LineView.plain(raw) == raw ? shorter : Array(raw.dropLast(raw.hasCRLFEnd ? 2 : 1)))
        }
    }
    guard strategy == .trimmedBoundary else { return (range, new, raw) }
    let front = needle.text[..<needle.core.lowerBound]
    let back = needle.text[needle.core.upperBound...]
    var kept = new[...]
    if !front.isEmpty, kept.starts(with: front) { kept = kept.dropFirst(front.count) }
    if !back.isEmpty, kept.count >= back.count, kept.suffix(back.count).elementsEqual(back) {
        kept = kept.dropLast(back.count)
    }
    return (range, Array(kept), Array(kept))
}

extension Array where Element == UInt8 {
    fileprivate var hasCRLFEnd: Bool { suffix(2).elementsEqual([ByteSearch.carriageReturn, ByteSearch.newline]) }
}

private func find(
    _ edit: Edit, _ needle: Needle, _ view: LineView, _ limits: EditLimits
) throws(EditError) -> (EditStrategy, [Place]) {
    var haystack = Haystack(view.text)
    var ambiguous: (EditStrategy, Finding)?
    var compared: ComparedLines?
    for strategy in EditStrategy.allCases where edit.strategies.contains(strategy) {
        if strategy != .simple {
            guard !needle.isBlank, view.text.count <= limits.fallbackText else { break }
            if compared == nil { compared = ComparedLines(needle, &haystack) }
        }
        let finding = try search(strategy, edit, needle, &haystack, compared, limits)
        // A search that was cut short before it found anything decides nothing.
        guard !finding.places.isEmpty else { continue }
        if let large = finding.places.first(where: { isOversized($0.range, needle, view.text) }) {
            throw refusal(.oversized, strategy, [large], in: view.text)
        }
        let isFuzzy = strategy == .blockAnchor || strategy == .contextAware
        if edit.replaceAll && !finding.isCut {
            guard isFuzzy else { return (strategy, finding.places) }
            // Blocks that are only similar are not the same: all of them are replaced only where they are.
            let first = finding.places[0].range
            let rest = finding.places.filter { ByteSearch.equal(view.text, first, view.text, $0.range) }
            guard rest.count == finding.places.count else {
                throw refusal(.ambiguous, strategy, finding, in: view.text)
            }
            return (strategy, rest)
        }
        if let (_, earlier) = ambiguous {
            // A later strategy only ever singles out one of the places that were in question.
            if !finding.isCut, finding.places.count == 1,
                earlier.places.contains(where: { $0.range == finding.places[0].range })
            {
                return (strategy, finding.places)
            }
            continue
        }
        if !finding.isCut && finding.places.count == 1 { return (strategy, finding.places) }
        ambiguous = (strategy, finding)
        // The very text stands there more than once: nothing can be nearer to what was asked for.
        if strategy == .simple { break }
    }
    if let (strategy, finding) = ambiguous { throw refusal(.ambiguous, strategy, finding, in: view.text) }
    let isLarge = view.text.count > limits.fallbackText
    let nearest = isLarge ? [] : Nearest.candidates(needle, &haystack)
    throw EditError(
        .notFound, candidates: nearest, detail: isLarge ? "the file is too large for anything but an exact search" : "")
}

private func search(
    _ strategy: EditStrategy, _ edit: Edit, _ needle: Needle, _ haystack: inout Haystack, _ compared: ComparedLines?,
    _ limits: EditLimits
) throws(EditError) -> Finding {
    guard let compared else { return TextStrategies.simple(needle.text, haystack, all: edit.replaceAll) }
    switch strategy {
    case .simple: return TextStrategies.simple(needle.text, haystack, all: edit.replaceAll)
    case .lineTrimmed: return LineStrategies.lineTrimmed(needle, &haystack, compared)
    case .blockAnchor: return LineStrategies.blockAnchor(needle, &haystack, compared)
    case .whitespaceNormalized: return TextStrategies.whitespaceNormalized(needle, haystack)
    case .indentationFlexible: return LineStrategies.indentationFlexible(needle, &haystack, compared)
    case .escapeNormalized: return TextStrategies.escapeNormalized(needle, haystack)
    case .trimmedBoundary: return TextStrategies.trimmedBoundary(needle, haystack)
    case .contextAware: return LineStrategies.contextAware(needle, &haystack, compared)
    case .multiOccurrence: return edit.replaceAll ? TextStrategies.multiOccurrence(needle, haystack) : Finding()
    }
}

/// Whether a place is much larger than what was asked for: a loose rule must not swallow half a file.
private func isOversized(_ range: Range<Int>, _ needle: Needle, _ text: [UInt8]) -> Bool {
    let asked = needle.endsWithNewline ? needle.height + 1 : needle.height
    let found = ByteSearch.count(ByteSearch.newline, in: text, from: range.lowerBound, to: range.upperBound) + 1
    if found >= max(asked + 3, asked * 2) { return true }
    guard asked > 1 else { return false }
    var core = range
    while !core.isEmpty, ByteSearch.isSpace(text[core.lowerBound]) { core = (core.lowerBound + 1)..<core.upperBound }
    while !core.isEmpty, ByteSearch.isSpace(text[core.upperBound - 1]) {
        core = core.lowerBound..<(core.upperBound - 1)
    }
    return core.count > max(needle.core.count + 500, needle.core.count * 4)
}

/// What a place covers: of lines the last one's end too, so that a blank last line counts.
private func covered(_ place: Place, _ text: [UInt8]) -> Range<Int> {
    place.isLines ? place.range.lowerBound..<min(place.range.upperBound + 1, text.count) : place.range
}

/// The lines of places, from 1.
func lines(of ranges: [Range<Int>], in text: [UInt8]) -> [ClosedRange<Int>] {
    var line = 1
    var counted = 0
    return ranges.map { range in
        line += ByteSearch.count(ByteSearch.newline, in: text, from: counted, to: range.lowerBound)
        counted = range.lowerBound
        // A line end that closes the place opens no further line.
        let end = range.isEmpty ? range.upperBound : range.upperBound - 1
        return line...(line + ByteSearch.count(ByteSearch.newline, in: text, from: range.lowerBound, to: end))
    }
}

private func refusal(
    _ reason: EditError.Reason, _ strategy: EditStrategy, _ finding: Finding, in text: [UInt8]
) -> EditError {
    var error = refusal(reason, strategy, finding.places, in: text)
    if finding.isCut { error.candidateCount = max(error.candidateCount, LineStrategies.mostPlaces) }
    return error
}

private func refusal(
    _ reason: EditError.Reason, _ strategy: EditStrategy, _ places: [Place], in text: [UInt8]
) -> EditError {
    let shown = Array(places.prefix(10))
    let spans = lines(of: shown.map { covered($0, text) }, in: text)
    let candidates = zip(shown, spans).map { place, span in
        EditCandidate(
            line: span.lowerBound, endLine: span.upperBound, excerpt: excerpt(text, place.range.lowerBound),
            similarity: place.score)
    }
    return EditError(reason, strategy: strategy, candidates: candidates, count: places.count)
}

/// The beginning of the line that a place lies in.
func excerpt(_ text: [UInt8], _ place: Int) -> [UInt8] {
    var start = place
    while start > 0, place - start < 80, text[start - 1] != ByteSearch.newline { start -= 1 }
    let end = ByteSearch.first(ByteSearch.newline, in: text, from: place) ?? text.count
    return Array(text[start..<min(end, start + 160)])
}
