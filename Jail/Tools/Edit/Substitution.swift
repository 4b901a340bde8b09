// Search-and-replace by a matcher and a template, within a range of lines; and lines put in or replaced by number.

/// Finds the next match in a text: the whole match first, then the groups, nil for those that did not take part.
///
/// It is asked for a match that begins at `from` or behind and ends at `to` or before; what lies outside is there to be
/// looked at (`^`, `\b`). A matcher is expected to be linear in the text; `Re2Matcher` is.
public typealias TextMatcher = (_ text: [UInt8], _ from: Int, _ to: Int) -> [Range<Int>?]?

/// What matches are replaced by.
public struct ReplacementTemplate: Sendable, Equatable {
    private enum Piece: Equatable {
        case bytes([UInt8])
        case group(Int)
    }

    private var pieces: [Piece]

    /// Bytes that mean nothing but themselves.
    public init(literal: [UInt8]) { pieces = [.bytes(literal)] }

    /// A template in which `$1` and `${1}` stand for groups (`$0` for the whole match), `${name}` for named ones, and
    /// `$$` for a dollar sign. Another `$` is itself.
    ///
    /// - Throws: `EditError` of reason `badPattern` for a group that the pattern does not have.
    public init(_ template: [UInt8], groups: Int, names: [[UInt8]: Int] = [:]) throws(EditError) {
        var pieces: [Piece] = []
        var bytes: [UInt8] = []
        var index = 0
        func group(_ name: ArraySlice<UInt8>) throws(EditError) -> Int {
            let number = name.count <= 4 ? Int(String(decoding: name, as: UTF8.self)) : nil
            guard let found = number ?? names[Array(name)], found >= 0, found <= groups else {
                throw EditError(.badPattern, detail: "no group \(String(decoding: name.prefix(60), as: UTF8.self))")
            }
            return found
        }
        while index < template.count {
            let byte = template[index]
            index += 1
            guard byte == 0x24, index < template.count else {
                bytes.append(byte)
                continue
            }
            var name: ArraySlice<UInt8> = []
            if template[index] == 0x24 {
                index += 1
            } else if template[index] == 0x7B, let close = template[index...].firstIndex(of: 0x7D) {
                name = template[(index + 1)..<close]
                index = close + 1
            } else {
                name = template[index...].prefix { (0x30...0x39).contains($0) }.prefix(2)
                index += name.count
            }
            if name.isEmpty {
                bytes.append(0x24)
            } else {
                if !bytes.isEmpty { pieces.append(.bytes(bytes)) }
                bytes = []
                pieces.append(.group(try group(name)))
            }
        }
        if !bytes.isEmpty { pieces.append(.bytes(bytes)) }
        self.pieces = pieces
    }

    fileprivate func expand(_ match: [Range<Int>?], _ text: [UInt8], into result: inout [UInt8]) {
        for piece in pieces {
            switch piece {
            case .bytes(let bytes): result.append(contentsOf: bytes)
            case .group(let index):
                if index < match.count, let range = match[index] { result.append(contentsOf: text[range]) }
            }
        }
    }
}

/// Replaces each match, from the front, none inside another.
///
/// - Parameters:
///   - lines: only matches that lie in these lines, from 1; nil for the whole text.
///   - atMost: how many matches are replaced.
///   - shouldStop: asked before each match.
/// - Returns: the text, its diff, and one outcome with the lines of the first 1,000 matches; its count is 0 and the
/// text
///   the same where nothing matched.
public func replaceMatches(
    in text: [UInt8], of matcher: TextMatcher, with template: ReplacementTemplate, lines: ClosedRange<Int>? = nil,
    atMost most: Int = .max, path: [UInt8] = Array("file".utf8), limits: EditLimits = EditLimits(),
    shouldStop: () -> Bool = { false }
) throws(EditError) -> EditResult {
    guard text.count <= limits.text else { throw EditError(.tooLarge, detail: "\(text.count) bytes") }
    var (place, end) = (0, text.count)
    if let lines {
        let table = LineTable(text)
        guard lines.lowerBound >= 1, lines.upperBound <= table.count else {
            throw EditError(.noSuchLine, detail: "lines \(lines.lowerBound)-\(lines.upperBound) of \(table.count)")
        }
        (place, end) = (table.starts[lines.lowerBound - 1], table.content(lines.upperBound - 1).upperBound)
    }
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var (copied, count, previous) = (0, 0, -1)
    var first: [Range<Int>] = []
    while count < most, place <= end {
        guard !shouldStop() else { throw EditError(.stopped) }
        guard let match = matcher(text, place, end) else { break }
        guard let whole = match.first ?? nil, whole.lowerBound >= place, whole.upperBound <= end,
            match.allSatisfy({ ($0?.lowerBound ?? 0) >= 0 && ($0?.upperBound ?? 0) <= text.count })
        else { throw EditError(.badPattern, detail: "the matcher's ranges") }
        // An empty match right behind another one is part of that: `x*` on `xa` matches twice, not three times.
        if !(whole.isEmpty && whole.lowerBound == previous) {
            result.append(contentsOf: text[copied..<whole.lowerBound])
            template.expand(match, text, into: &result)
            copied = whole.upperBound
            count += 1
            if first.count < 1000 { first.append(whole) }
            guard result.count <= limits.text else { throw EditError(.tooLarge, detail: "the result") }
        }
        previous = whole.upperBound
        place = whole.isEmpty ? whole.upperBound + 1 : whole.upperBound
    }
    result.append(contentsOf: text[copied...])
    let diff = UnifiedDiff(from: text, to: result, context: limits.context)
    let outcome = EditOutcome(strategy: .simple, lines: ToolEdit.lines(of: first, in: text), count: count)
    return EditResult(
        text: result, diff: diff.text(path: path), added: diff.added, removed: diff.removed, outcomes: [outcome])
}

/// Puts lines in behind a line.
///
/// - Parameter line: from 1; 0 is the front of the text.
public func insert(
    _ new: [UInt8], behind line: Int, of text: [UInt8], path: [UInt8] = Array("file".utf8),
    limits: EditLimits = EditLimits()
) throws(EditError) -> EditResult {
    try exchange((line + 1)..<(line + 1), for: new, in: text, path, limits)
}

/// Replaces lines by others; with nothing new they are removed.
///
/// - Parameter lines: from 1.
public func replaceLines(
    _ lines: ClosedRange<Int>, of text: [UInt8], with new: [UInt8], path: [UInt8] = Array("file".utf8),
    limits: EditLimits = EditLimits()
) throws(EditError) -> EditResult {
    guard lines.upperBound < .max else { throw EditError(.noSuchLine) }
    return try exchange(lines.lowerBound..<(lines.upperBound + 1), for: new, in: text, path, limits)
}

/// New lines are whole lines, with the text's line ends; a text whose last line has no end keeps it so.
private func exchange(
    _ lines: Range<Int>, for new: [UInt8], in text: [UInt8], _ path: [UInt8], _ limits: EditLimits
) throws(EditError) -> EditResult {
    guard text.count + new.count <= limits.text else { throw EditError(.tooLarge, detail: "\(text.count) bytes") }
    let view = LineView(text)
    let table = LineTable(view.text)
    guard lines.lowerBound >= 1, lines.upperBound <= table.count + 1 else {
        throw EditError(.noSuchLine, detail: "the text has \(table.count) lines")
    }
    let piece = table.starts[lines.lowerBound - 1]..<table.starts[lines.upperBound - 1]
    var body = LineView.plain(new)
    let endsOpen = piece.upperBound == view.text.count && !table.isClosed && table.count > 0
    var result = Array(text[..<view.original(piece.lowerBound)])
    if !body.isEmpty, endsOpen, body.last == ByteSearch.newline { body.removeLast() }
    if !body.isEmpty, !endsOpen, body.last != ByteSearch.newline { body.append(ByteSearch.newline) }
    if endsOpen, piece.isEmpty, !body.isEmpty {
        result.append(
            contentsOf: view.isMostlyCRLF ? [ByteSearch.carriageReturn, ByteSearch.newline] : [ByteSearch.newline])
    }
    let isNew = ByteSearch.first(ByteSearch.newline, in: view.text) == nil
    result.append(contentsOf: isNew ? body : view.ended(body, like: piece, raw: body))
    result.append(contentsOf: text[view.original(piece.upperBound)...])
    if endsOpen, body.isEmpty, !piece.isEmpty, result.last == ByteSearch.newline {
        result.removeLast()
        if result.last == ByteSearch.carriageReturn { result.removeLast() }
    }
    guard result != text else { throw EditError(.identical) }
    let diff = UnifiedDiff(from: text, to: result, context: limits.context)
    let outcome = EditOutcome(
        strategy: .simple, lines: lines.isEmpty ? [] : [lines.lowerBound...(lines.upperBound - 1)], count: 1)
    return EditResult(
        text: result, diff: diff.text(path: path), added: diff.added, removed: diff.removed, outcomes: [outcome])
}
