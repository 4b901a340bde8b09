// Unified diffs as data: sections for files, hunks, lines. Nothing is compared with a file here.

/// A line of a hunk: a piece of the patch.
struct HunkLine {
    enum Mark { case context, removed, added }
    var mark: Mark
    /// The line without its mark and its end.
    var range: Range<Int>
    /// Whether it ends with a line end; the last line of a file may not.
    var isClosed: Bool
}

/// A hunk of a unified diff.
struct UnifiedHunk {
    /// The first line of the old file, from 1, and how many; nil for a bare `@@`.
    var old: (start: Int, count: Int)?
    var new: (start: Int, count: Int)?
    var lines: [HunkLine] = []
    var patchLine: Int
    var isRecounted = false
}

/// The part of a patch for one file.
struct UnifiedSection {
    enum Kind { case update, create, delete, rename, copy }
    var kind = Kind.update
    /// The names as written, nil for `/dev/null` or none.
    var oldName: [UInt8]?
    var newName: [UInt8]?
    /// Names of `rename` and `copy` lines have no `a/` and `b/`.
    var hasPlainNames = false
    var isGit = false
    var becomesExecutable: Bool?
    var hunks: [UnifiedHunk] = []
    var patchLine: Int
    /// The patch's own lines end with CRLF: they are taken without.
    var hasCRLF = false
}

/// Reads unified diffs of `diff -u`, git and others; what stands between sections is no part of them.
struct UnifiedParser {
    private let text: [UInt8]
    private let table: LineTable
    private let options: PatchOptions
    private var next = 0
    private var sections: [UnifiedSection] = []

    static func parse(_ text: [UInt8], _ options: PatchOptions) throws(PatchError) -> [UnifiedSection] {
        var parser = UnifiedParser(text, options)
        try parser.run()
        return parser.sections
    }

    /// Whether a text has the marks of a unified diff.
    static func isUnified(_ text: [UInt8]) -> Bool {
        let parser = UnifiedParser(text, PatchOptions())
        return (0..<parser.table.count).contains { line in
            parser.starts(line, "diff --git ")
                || (parser.starts(line, "--- ") && line + 1 < parser.table.count && parser.starts(line + 1, "+++ "))
        }
    }

    private init(_ text: [UInt8], _ options: PatchOptions) {
        (self.text, self.options) = (text, options)
        table = LineTable(text)
    }

    private mutating func run() throws(PatchError) {
        var section: UnifiedSection?
        while next < table.count {
            if starts(next, "diff --git ") {
                try close(&section)
                section = gitSection()
            } else if starts(next, "--- "), next + 1 < table.count, starts(next + 1, "+++ ") {
                if section?.isGit != true || section?.hunks.isEmpty == false { try close(&section) }
                try names(&section)
            } else if starts(next, "@@"), section?.oldName != nil || section?.newName != nil {
                let hunk = try self.hunk(section?.hasCRLF ?? false)
                section?.hunks.append(hunk)
            } else if section?.isGit == true, section?.hunks.isEmpty == true {
                try extended(&section)
                next += 1
            } else if starts(next, "@@ -") {
                throw PatchError(.malformed, patchLine: next + 1, detail: "a hunk without the name of its file")
            } else {
                next += 1
            }
        }
        try close(&section)
    }

    private mutating func close(_ section: inout UnifiedSection?) throws(PatchError) {
        guard let finished = section else { return }
        section = nil
        if finished.hunks.isEmpty {
            guard finished.isGit else {
                throw PatchError(.malformed, patchLine: finished.patchLine, detail: "a file without hunks")
            }
            if finished.kind == .update && finished.becomesExecutable == nil { return }
        }
        sections.append(finished)
        guard sections.count <= options.files else { throw PatchError(.tooLarge, detail: "files") }
    }

    // MARK: Headers

    private mutating func gitSection() -> UnifiedSection {
        var section = UnifiedSection(patchLine: next + 1)
        section.isGit = true
        section.hasCRLF = hasCR(next)
        let rest = content(next, section.hasCRLF).dropFirst("diff --git ".utf8.count)
        if let (old, new) = Self.pair(rest) { (section.oldName, section.newName) = (old, new) }
        next += 1
        return section
    }

    /// The two names behind `diff --git`. Without quotes both have to be the same but for the first component.
    private static func pair(_ text: ArraySlice<UInt8>) -> ([UInt8], [UInt8])? {
        if let (old, rest) = DiffName.unquoted(text) {
            guard rest.first == 0x20 else { return nil }
            let other = rest.dropFirst()
            return (old, DiffName.unquoted(other)?.name ?? Array(other))
        }
        for place in text.indices where text[place] == 0x20 {
            let old = text[..<place]
            let other = text[(place + 1)...]
            if let (new, _) = DiffName.unquoted(other) { return (Array(old), new) }
            guard let a = old.firstIndex(of: 0x2F), let b = other.firstIndex(of: 0x2F) else { continue }
            if old[(a + 1)...].elementsEqual(other[(b + 1)...]) { return (Array(old), Array(other)) }
        }
        return nil
    }

    private mutating func extended(_ section: inout UnifiedSection?) throws(PatchError) {
        let line = content(next, section?.hasCRLF ?? false)
        func value(_ key: String) -> [UInt8]? {
            guard line.starts(with: key.utf8) else { return nil }
            let rest = line.dropFirst(key.utf8.count)
            return DiffName.unquoted(rest)?.name ?? Array(rest)
        }
        if let mode = value("new file mode ") {
            section?.kind = .create
            section?.oldName = nil
            section?.becomesExecutable = try isExecutable(mode)
        } else if let mode = value("deleted file mode ") {
            _ = try isExecutable(mode)
            section?.kind = .delete
            section?.newName = nil
        } else if let mode = value("new mode ") {
            section?.becomesExecutable = try isExecutable(mode)
        } else if let mode = value("old mode ") {
            _ = try isExecutable(mode)
        } else if let name = value("rename from ") ?? value("copy from ") {
            section?.kind = line.first == 0x72 ? .rename : .copy
            section?.oldName = name
            section?.hasPlainNames = true
        } else if let name = value("rename to ") ?? value("copy to ") {
            section?.newName = name
            section?.hasPlainNames = true
        } else if line.starts(with: "GIT binary patch".utf8) || line.starts(with: "Binary files ".utf8) {
            throw PatchError(.unsupported, path: section?.newName, patchLine: next + 1, detail: "a binary patch")
        }
    }

    private func isExecutable(_ mode: [UInt8]) throws(PatchError) -> Bool {
        switch String(decoding: mode, as: UTF8.self) {
        case "100644", "100664", "100600": return false
        case "100755", "100775", "100700": return true
        case let other: throw PatchError(.unsupported, patchLine: next + 1, detail: "a file of mode \(other)")
        }
    }

    private mutating func names(_ section: inout UnifiedSection?) throws(PatchError) {
        var found = section ?? UnifiedSection(patchLine: next + 1)
        found.hasCRLF = hasCR(next) && hasCR(next + 1)
        let old = name(next, found.hasCRLF)
        let new = name(next + 1, found.hasCRLF)
        next += 2
        if !found.hasPlainNames {
            (found.oldName, found.newName) = (old, new)
        }
        if old == nil && new == nil {
            throw PatchError(.malformed, patchLine: next - 1, detail: "both names are /dev/null")
        }
        if old == nil { found.kind = .create }
        if new == nil { found.kind = .delete }
        section = found
    }

    /// A name behind `---` or `+++`, up to a tab; nil for `/dev/null`.
    private func name(_ line: Int, _ hasCRLF: Bool) -> [UInt8]? {
        let rest = content(line, hasCRLF).dropFirst(4)
        if let (name, _) = DiffName.unquoted(rest) { return name }
        var name = rest.prefix { $0 != 0x09 }
        // Without a tab a date may follow the name: `diff -u` of old, `svn diff`.
        while name.last == 0x20 { name = name.dropLast() }
        if name.elementsEqual("/dev/null".utf8) { return nil }
        return Array(name)
    }

    // MARK: Hunks

    private mutating func hunk(_ hasCRLF: Bool) throws(PatchError) -> UnifiedHunk {
        var hunk = UnifiedHunk(patchLine: next + 1)
        let header = content(next, true)
        if header.starts(with: "@@ -".utf8) {
            guard let (old, new) = Self.spans(header.dropFirst(4)) else {
                throw PatchError(.malformed, patchLine: next + 1, detail: "a hunk's header")
            }
            (hunk.old, hunk.new) = (old, new)
        }
        next += 1
        let start = next
        if let old = hunk.old, let new = hunk.new {
            if body(&hunk, old.count, new.count, hasCRLF) { return hunk }
            guard options.recounts else {
                throw PatchError(
                    .malformed, patchLine: hunk.patchLine, detail: "a hunk's lines are not as its header counts them")
            }
            hunk.isRecounted = true
        }
        next = start
        hunk.lines = []
        _ = body(&hunk, nil, nil, hasCRLF)
        // Blank lines at the end of a counted-anew hunk are those between it and what follows.
        while let last = hunk.lines.last, last.mark == .context, last.range.isEmpty, isBlankLine(last) {
            hunk.lines.removeLast()
        }
        guard hunk.lines.contains(where: { $0.mark != .context }) else {
            throw PatchError(.malformed, patchLine: hunk.patchLine, detail: "a hunk without changes")
        }
        let oldCount = hunk.lines.count { $0.mark != .added }
        let newCount = hunk.lines.count { $0.mark != .removed }
        if let old = hunk.old { hunk.old = (old.start, oldCount) }
        if let new = hunk.new { hunk.new = (new.start, newCount) }
        return hunk
    }

    /// A line of the patch without even a mark.
    private func isBlankLine(_ line: HunkLine) -> Bool {
        line.range.lowerBound == 0 || text[line.range.lowerBound - 1] == ByteSearch.newline
    }

    /// Reads lines, to given counts or as far as they look like a hunk's. Answers whether the counts were met.
    private mutating func body(_ hunk: inout UnifiedHunk, _ oldCount: Int?, _ newCount: Int?, _ hasCRLF: Bool) -> Bool {
        var (old, new) = (0, 0)
        while oldCount == nil || old < oldCount ?? 0 || new < newCount ?? 0 {
            guard next < table.count else { return oldCount == nil }
            if oldCount == nil, isHeader(next) { return true }
            var range = table.content(next)
            if hasCRLF || (range.count == 1 && text[range.lowerBound] == ByteSearch.carriageReturn), range.count > 0,
                text[range.upperBound - 1] == ByteSearch.carriageReturn
            {
                range = range.lowerBound..<(range.upperBound - 1)
            }
            let mark: HunkLine.Mark
            switch range.isEmpty ? 0x20 : text[range.lowerBound] {
            case 0x20: mark = .context
            case 0x2D: mark = .removed
            case 0x2B: mark = .added
            case 0x5C:
                open(&hunk)
                next += 1
                continue
            case 0x09 where oldCount == nil: mark = .context
            default: return oldCount == nil
            }
            if mark != .added { old += 1 }
            if mark != .removed { new += 1 }
            if let oldCount, let newCount, old > oldCount || new > newCount { return false }
            // A blank context line may have lost its one space, and a line that begins with a tab its mark.
            let first = range.isEmpty || text[range.lowerBound] == 0x09 ? range.lowerBound : range.lowerBound + 1
            hunk.lines.append(HunkLine(mark: mark, range: first..<range.upperBound, isClosed: true))
            next += 1
        }
        if next < table.count, starts(next, "\\") {
            open(&hunk)
            next += 1
        }
        return true
    }

    /// `\ No newline at end of file`: it speaks of the line in front of it.
    private func open(_ hunk: inout UnifiedHunk) {
        if let last = hunk.lines.indices.last { hunk.lines[last].isClosed = false }
    }

    private func isHeader(_ line: Int) -> Bool {
        starts(line, "@@") || starts(line, "diff --git ") || starts(line, "Index: ")
            || (starts(line, "--- ") && line + 1 < table.count && starts(line + 1, "+++ "))
    }

    /// `N,M +N,M @@`, where a missing M is 1.
    private static func spans(
        _ text: ArraySlice<UInt8>
    ) -> (old: (start: Int, count: Int), new: (start: Int, count: Int))? {
        var rest = text
        guard let old = span(&rest), rest.starts(with: " +".utf8) else { return nil }
        rest = rest.dropFirst(2)
        guard let new = span(&rest), rest.starts(with: " @@".utf8) else { return nil }
        return (old, new)
    }

    private static func span(_ text: inout ArraySlice<UInt8>) -> (start: Int, count: Int)? {
        guard let start = number(&text) else { return nil }
        guard text.first == 0x2C else { return (start, 1) }
        text = text.dropFirst()
        guard let count = number(&text) else { return nil }
        return (start, count)
    }

    private static func number(_ text: inout ArraySlice<UInt8>) -> Int? {
        var value: Int?
        while let digit = text.first, (0x30...0x39).contains(digit) {
            let next = (value ?? 0) * 10 + Int(digit - 0x30)
            guard next < 1 << 40 else { return nil }
            value = next
            text = text.dropFirst()
        }
        return value
    }

    // MARK: Lines

    private func starts(_ line: Int, _ word: String) -> Bool { text[table.content(line)].starts(with: word.utf8) }

    private func hasCR(_ line: Int) -> Bool { text[table.content(line)].last == ByteSearch.carriageReturn }

    private func content(_ line: Int, _ dropsCR: Bool) -> ArraySlice<UInt8> {
        let slice = text[table.content(line)]
        return dropsCR && slice.last == ByteSearch.carriageReturn ? slice.dropLast() : slice
    }
}
