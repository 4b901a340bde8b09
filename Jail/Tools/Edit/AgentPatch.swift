// The `*** Begin Patch` format as data: adds, deletes, updates and moves. Nothing is compared with a file here.

/// A hunk of an update: what to find behind which context, and what to make of it.
struct AgentHunk {
    /// The texts behind `@@`, each of a line that has to come first.
    var headers: [[UInt8]] = []
    /// Context, removed and added lines in order.
    var lines: [(mark: HunkLine.Mark, text: [UInt8])] = []
    /// `*** End of File`: the hunk ends where the file does.
    var isAtEnd = false
    /// Lines at the end without even a mark: the patch's own spacing, or blank context.
    var looseLines = 0
    var patchLine: Int
}

/// What happens to one file.
struct AgentSection {
    enum Action {
        case add([UInt8])
        case delete
        case update(moveTo: [UInt8]?, hunks: [AgentHunk])
    }
    var path: [UInt8]
    var action: Action
    var patchLine: Int
}

/// Reads the format by its published grammar, and forgives what agents are known to do: white space around markers, a
/// here-document or a code fence around the patch, CRLF, an update's first hunk without `@@`, blank lines without their
/// one space, and line numbers behind `@@`, which say nothing here.
struct AgentParser {
    private let lines: [ArraySlice<UInt8>]
    private var next = 0
    private var end = 0
    private let options: PatchOptions

    /// Whether a text is a patch of this form.
    static func isAgentPatch(_ text: [UInt8]) -> Bool {
        let parser = AgentParser(text, PatchOptions())
        let first = parser.lines.lazy.map { trimmed($0) }.first { !isWrapping($0) }
        return first?.elementsEqual("*** Begin Patch".utf8) ?? false
    }

    static func parse(_ text: [UInt8], _ options: PatchOptions) throws(PatchError) -> [AgentSection] {
        var parser = AgentParser(text, options)
        return try parser.run()
    }

    private init(_ text: [UInt8], _ options: PatchOptions) {
        let table = LineTable(text)
        lines = (0..<table.count).map { line in
            let content = text[table.content(line)]
            return content.last == ByteSearch.carriageReturn ? content.dropLast() : content
        }
        self.options = options
    }

    private mutating func run() throws(PatchError) -> [AgentSection] {
        try findEnvelope()
        var sections: [AgentSection] = []
        while next < end {
            if Self.trimmed(lines[next]).isEmpty {
                next += 1
                continue
            }
            sections.append(try section())
            guard sections.count <= options.files else { throw PatchError(.tooLarge, detail: "files") }
        }
        guard !sections.isEmpty else { throw PatchError(.empty) }
        return sections
    }

    /// Finds the first and the last line. What is in front and behind may only be what wraps a patch.
    private mutating func findEnvelope() throws(PatchError) {
        var first = 0
        while first < lines.count, !Self.trimmed(lines[first]).elementsEqual("*** Begin Patch".utf8) {
            guard Self.isWrapping(Self.trimmed(lines[first])) else {
                throw PatchError(.malformed, patchLine: first + 1, detail: "the first line must be '*** Begin Patch'")
            }
            first += 1
        }
        guard first < lines.count else {
            throw PatchError(.malformed, patchLine: 1, detail: "the first line must be '*** Begin Patch'")
        }
        var last = lines.count - 1
        while last > first, !Self.trimmed(lines[last]).elementsEqual("*** End Patch".utf8) { last -= 1 }
        guard last > first else {
            throw PatchError(.malformed, patchLine: lines.count, detail: "the last line must be '*** End Patch'")
        }
        for line in (last + 1)..<max(last + 1, lines.count) {
            // The word that ends a here-document, a fence, or nothing.
            let rest = Self.trimmed(lines[line])
            guard rest.allSatisfy({ Self.isWord($0) || $0 == 0x60 }) else {
                throw PatchError(.malformed, patchLine: line + 1, detail: "text behind '*** End Patch'")
            }
        }
        (next, end) = (first + 1, last)
    }

    /// What may stand in front of a patch: nothing, a code fence, the start of a here-document.
    private static func isWrapping(_ line: ArraySlice<UInt8>) -> Bool {
        line.isEmpty || line.starts(with: "```".utf8) || isHereDocument(line)
    }

    private static func isHereDocument(_ line: ArraySlice<UInt8>) -> Bool {
        guard let mark = ByteSearch.places(of: Array("<<".utf8), in: Array(line), atMost: 1).first else { return false }
        let command = trimmed(line.prefix(mark))
        return command.isEmpty || ["cat", "apply_patch", "applypatch"].contains { command.elementsEqual($0.utf8) }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        byte == 0x5F || (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    private mutating func section() throws(PatchError) -> AgentSection {
        let start = next
        let line = Self.trimmed(lines[next])
        next += 1
        if let path = Self.value(line, "*** Add File: ") {
            return AgentSection(path: path, action: .add(try added()), patchLine: start + 1)
        }
        if let path = Self.value(line, "*** Delete File: ") {
            return AgentSection(path: path, action: .delete, patchLine: start + 1)
        }
        guard let path = Self.value(line, "*** Update File: ") else {
            let words = String(decoding: line.prefix(120), as: UTF8.self)
            throw PatchError(
                .malformed, patchLine: start + 1,
                detail: "'\(words)' is none of '*** Add File: ', '*** Delete File: ', '*** Update File: '")
        }
        var target: [UInt8]?
        if next < end, let name = Self.value(Self.trimmed(lines[next]), "*** Move to: ") {
            target = name
            next += 1
        }
        var hunks: [AgentHunk] = []
        while next < end, !Self.isFileHeader(lines[next]) {
            if Self.trimmed(lines[next]).isEmpty, Self.isFollowedByHeader(lines, next, end) {
                next += 1
                continue
            }
            hunks.append(try hunk())
        }
        guard !hunks.isEmpty || target != nil else {
            throw PatchError(.malformed, path: path, patchLine: start + 1, detail: "the update is empty")
        }
        return AgentSection(path: path, action: .update(moveTo: target, hunks: hunks), patchLine: start + 1)
    }

    private mutating func added() throws(PatchError) -> [UInt8] {
        var bytes: [UInt8] = []
        while next < end, !Self.isFileHeader(lines[next]) {
            guard lines[next].first == 0x2B else {
                guard Self.trimmed(lines[next]).isEmpty else {
                    throw PatchError(.malformed, patchLine: next + 1, detail: "a line of a new file must begin with +")
                }
                next += 1
                continue
            }
            bytes.append(contentsOf: lines[next].dropFirst())
            bytes.append(ByteSearch.newline)
            next += 1
        }
        return bytes
    }

    private mutating func hunk() throws(PatchError) -> AgentHunk {
        var hunk = AgentHunk(patchLine: next + 1)
        while next < end, lines[next].starts(with: "@@".utf8) {
            if let header = Self.header(lines[next].dropFirst(2)) { hunk.headers.append(header) }
            next += 1
        }
        while next < end, !Self.isFileHeader(lines[next]), !lines[next].starts(with: "@@".utf8) {
            let line = lines[next]
            next += 1
            if Self.trimmed(line).elementsEqual("*** End of File".utf8) {
                hunk.isAtEnd = true
                break
            }
            hunk.looseLines = line.isEmpty ? hunk.looseLines + 1 : 0
            switch line.first {
            case nil: hunk.lines.append((.context, []))
            case 0x20: hunk.lines.append((.context, Array(line.dropFirst())))
            case 0x2D: hunk.lines.append((.removed, Array(line.dropFirst())))
            case 0x2B: hunk.lines.append((.added, Array(line.dropFirst())))
            case 0x5C where !hunk.lines.isEmpty: break  // `\ No newline at end of file` says nothing here.
            default:
                throw PatchError(
                    .malformed, patchLine: next, detail: "a line of a hunk must begin with a space, + or -")
            }
        }
        guard !hunk.lines.isEmpty else {
            throw PatchError(.malformed, patchLine: hunk.patchLine, detail: "a hunk without lines")
        }
        return hunk
    }

    /// What is behind `@@`: nil where it is nothing, or line numbers as in unified diffs. What git writes behind
    /// those is a heading, often cut, and no line to find.
    private static func header(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        let rest = text.first == 0x20 ? text.dropFirst() : text
        let isNumbers = rest.first == 0x2D && rest.dropFirst().first.map { (0x30...0x39).contains($0) } == true
        if isNumbers, !ByteSearch.places(of: Array("@@".utf8), in: Array(rest), atMost: 1).isEmpty { return nil }
        return trimmed(rest).isEmpty ? nil : Array(rest)
    }

    private static func isFileHeader(_ line: ArraySlice<UInt8>) -> Bool {
        // Behind a space it may be context: only a line that begins with the stars, or with more than one space, is
        // one.
        guard line.first == 0x2A || line.starts(with: "  ***".utf8) else { return false }
        let text = trimmed(line)
        return ["*** Add File: ", "*** Delete File: ", "*** Update File: ", "*** End Patch"].contains {
            text.starts(with: $0.utf8)
        }
    }

    private static func isFollowedByHeader(_ lines: [ArraySlice<UInt8>], _ from: Int, _ end: Int) -> Bool {
        var line = from
        while line < end, trimmed(lines[line]).isEmpty { line += 1 }
        return line >= end || isFileHeader(lines[line]) || lines[line].starts(with: "@@".utf8)
    }

    private static func value(_ line: ArraySlice<UInt8>, _ key: String) -> [UInt8]? {
        guard line.starts(with: key.utf8) else { return nil }
        let value = trimmed(line.dropFirst(key.utf8.count))
        return value.isEmpty ? nil : Array(value)
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var line = line
        while let first = line.first, ByteSearch.isSpace(first) { line = line.dropFirst() }
        while let last = line.last, ByteSearch.isSpace(last) { line = line.dropLast() }
        return line
    }
}
