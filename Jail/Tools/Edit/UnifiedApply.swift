// Applies the sections of a unified diff to files, in order, each on what the ones before left.

struct UnifiedApply {
    let patch: [UInt8]
    let options: PatchOptions
    private(set) var placements: [HunkPlacement] = []

    init(_ patch: [UInt8], _ options: PatchOptions) { (self.patch, self.options) = (patch, options) }

    mutating func apply(_ section: UnifiedSection, to tree: inout PatchedTree) throws(PatchError) {
        let names = try PatchPath.names(section, options)
        let line = section.patchLine
        switch section.kind {
        case .create:
            guard let path = names.new else {
                throw PatchError(.malformed, patchLine: line, detail: "a file without a name")
            }
            let old = try tree.file(path, patchLine: line)
            if let old, !old.bytes.isEmpty || section.isGit { throw PatchError(.exists, path: path, patchLine: line) }
            let bytes = try contents(section, path, old?.bytes ?? [])
            tree.write(
                FileSnapshot(bytes: bytes, isExecutable: section.becomesExecutable ?? old?.isExecutable ?? false),
                to: path)
        case .delete:
            let (path, old) = try existing(names.old, names.old, line, &tree)
            let rest = try contents(section, path, old.bytes)
            guard rest.isEmpty else { throw PatchError(.notEmpty, path: path, patchLine: line) }
            tree.remove(path)
        case .update:
            let (path, old) = try existing(names.new, names.old, line, &tree)
            let bytes = try contents(section, path, old.bytes)
            tree.write(
                FileSnapshot(bytes: bytes, isExecutable: section.becomesExecutable ?? old.isExecutable), to: path)
        case .rename, .copy:
            guard let target = names.new else {
                throw PatchError(.malformed, patchLine: line, detail: "a file without a name")
            }
            let (source, old) = try existing(names.old, names.old, line, &tree)
            if source != target, try tree.file(target, patchLine: line) != nil {
                throw PatchError(.exists, path: target, patchLine: line)
            }
            let bytes = try contents(section, target, old.bytes)
            let file = FileSnapshot(bytes: bytes, isExecutable: section.becomesExecutable ?? old.isExecutable)
            if section.kind == .rename && source != target {
                tree.move(file, from: source, to: target)
            } else {
                tree.write(file, to: target)
            }
        }
    }

    /// The file that a section speaks of: under the first of its names that is there.
    private func existing(
        _ first: [UInt8]?, _ second: [UInt8]?, _ line: Int, _ tree: inout PatchedTree
    ) throws(PatchError) -> ([UInt8], FileSnapshot) {
        for name in [first, second] {
            if let name, let file = try tree.file(name, patchLine: line) { return (name, file) }
        }
        throw PatchError(.missing, path: first ?? second, patchLine: line)
    }

    /// A file's bytes after the hunks of a section.
    private mutating func contents(
        _ section: UnifiedSection, _ path: [UInt8], _ file: [UInt8]
    ) throws(PatchError) -> [UInt8] {
        guard !section.hunks.isEmpty else { return file }
        let ends = LineEndAgreement(section, patch, file)
        let table = LineTable(ends.text)
        var numbers = LineNumbers(expecting: table.count)
        var search = HunkSearch((0..<table.count).map { numbers.number(ends.text, table.whole($0)) }, options)
        var result: [UInt8] = []
        result.reserveCapacity(file.count + 4096)
        var copied = 0
        /// A line without its end, which only a file's last line may be, gets one where others follow, as in GNU patch.
        func separate() {
            if let last = result.last, last != ByteSearch.newline { result.append(ByteSearch.newline) }
        }
        /// The file's own bytes up to a line.
        func copy(to line: Int) {
            guard line > copied else { return }
            separate()
            result.append(contentsOf: file[ends.original(table.starts[copied])..<ends.original(table.starts[line])])
            copied = line
        }
        for hunk in section.hunks {
            let lines = hunk.lines.map { ends.bytes($0, patch) }
            let wanted = hunk.lines.indices.filter { hunk.lines[$0].mark != .added }
            let pattern = HunkSearch.Pattern(
                lines: wanted.map { numbers.known(lines[$0], 0..<lines[$0].count) },
                prefix: hunk.lines.prefix { $0.mark == .context }.count,
                suffix: hunk.lines.reversed().prefix { $0.mark == .context }.count)
            let hit = try locate(hunk, pattern, &search, path, ends.text, table)
            var line = hit.line
            var isContext = true
            for (index, piece) in hunk.lines.enumerated() {
                isContext = piece.mark == .context
                if piece.mark == .added {
                    copy(to: line)
                    separate()
                    result.append(contentsOf: ends.added(lines[index]))
                } else {
                    if piece.mark == .removed {
                        copy(to: line)
                        copied = line + 1
                    }
                    line += 1
                }
                if !isContext { search.freeze(max(search.frozen, min(line, table.count))) }
            }
            placements.append(
                HunkPlacement(
                    path: path, patchLine: hunk.patchLine, line: hit.line + 1,
                    offset: hunk.old.map { hit.line + (pattern.lines.isEmpty ? 0 : 1) - $0.start } ?? 0, fuzz: hit.fuzz,
                    isRecounted: hunk.isRecounted, hasOtherLineEnds: ends.isAdapted))
        }
        copy(to: table.count)
        guard result.count <= options.limit else { throw PatchError(.tooLarge, path: path) }
        return result
    }

    private func locate(
        _ hunk: UnifiedHunk, _ pattern: HunkSearch.Pattern, _ search: inout HunkSearch, _ path: [UInt8],
        _ text: [UInt8], _ table: LineTable
    ) throws(PatchError) -> HunkSearch.Hit {
        if let old = hunk.old {
            if old.start == 0, old.count == 0, !text.isEmpty {
                throw PatchError(
                    .notFound, path: path, patchLine: hunk.patchLine, detail: "the patch says that the file is empty")
            }
            if let hit = search.find(pattern, start: old.start) { return hit }
            if search.budget <= 0 {
                throw PatchError(.tooLarge, path: path, patchLine: hunk.patchLine, detail: "too much to compare")
            }
        } else {
            let places = search.places(pattern)
            if places.count == 1 { return HunkSearch.Hit(line: places[0], fuzz: 0) }
            if places.count > 1 {
                throw PatchError(
                    .ambiguous, path: path, patchLine: hunk.patchLine,
                    candidates: places.map { candidate($0, pattern.lines.count, 1, $0, text, table) },
                    detail: "the hunk has no line numbers")
            }
        }
        let guess = max(0, min(table.count, (hunk.old?.start ?? 1) + search.offset - 1))
        let near = search.nearest(pattern.lines, around: guess)
        var detail = ""
        let candidates = near.map { place, equal -> EditCandidate in
            let differs = pattern.lines.indices.first {
                place + $0 >= search.file.count || pattern.lines[$0] != search.file[place + $0]
            }
            return candidate(
                place, pattern.lines.count, Double(equal) / Double(pattern.lines.count), place + (differs ?? 0), text,
                table)
        }
        if let first = near.first {
            let wanted = hunk.lines.filter { $0.mark != .added }
            for (index, line) in wanted.enumerated()
            where first.line + index >= search.file.count || pattern.lines[index] != search.file[first.line + index] {
                let words = String(decoding: patch[line.range].prefix(120), as: UTF8.self)
                detail = "at line \(first.line + index + 1) the patch expects \"\(words)\""
                break
            }
        }
        throw PatchError(.notFound, path: path, patchLine: hunk.patchLine, candidates: candidates, detail: detail)
    }

    private func candidate(
        _ line: Int, _ count: Int, _ similarity: Double, _ shown: Int, _ text: [UInt8], _ table: LineTable
    ) -> EditCandidate {
        EditCandidate(
            line: line + 1, endLine: min(table.count, line + max(1, count)),
            excerpt: shown < table.count ? excerpt(text, table.starts[shown]) : [], similarity: similarity)
    }
}

/// How the line ends of a section and of its file go together.
///
/// Where every line of the file ends with CRLF and no line of the hunks does, or the other way round, lines are
/// compared without CR, and added ones get the file's. Anything mixed is compared as it is.
struct LineEndAgreement {
    /// The file as it is compared.
    let text: [UInt8]
    let isAdapted: Bool
    private let view: LineView?
    private let dropsCR: Bool

    init(_ section: UnifiedSection, _ patch: [UInt8], _ file: [UInt8]) {
        var (withCR, without) = (0, 0)
        for hunk in section.hunks {
            for line in hunk.lines where line.isClosed {
                let hasCR = !line.range.isEmpty && patch[line.range.upperBound - 1] == ByteSearch.carriageReturn
                if hasCR { withCR += 1 } else { without += 1 }
            }
        }
        let hasCR = ByteSearch.first(ByteSearch.carriageReturn, in: file) != nil
        if withCR == 0, hasCR {
            let view = LineView(file)
            let newlines = ByteSearch.count(ByteSearch.newline, in: file)
            if newlines > 0, view.text.count + newlines == file.count {
                (text, self.view, isAdapted, dropsCR) = (view.text, view, true, false)
                return
            }
        }
        let strips = withCR > 0 && without == 0 && !hasCR && ByteSearch.first(ByteSearch.newline, in: file) != nil
        (text, view, isAdapted, dropsCR) = (file, nil, strips, strips)
    }

    /// A hunk's line as it is compared.
    func bytes(_ line: HunkLine, _ patch: [UInt8]) -> [UInt8] {
        var bytes = Array(patch[line.range])
        if dropsCR, line.isClosed, bytes.last == ByteSearch.carriageReturn { bytes.removeLast() }
        if line.isClosed { bytes.append(ByteSearch.newline) }
        return bytes
    }

    /// A line to add, with the file's line end.
    func added(_ line: [UInt8]) -> [UInt8] {
        guard view != nil, line.last == ByteSearch.newline else { return line }
        return line.dropLast() + [ByteSearch.carriageReturn, ByteSearch.newline]
    }

    func original(_ place: Int) -> Int { view?.original(place) ?? place }
}
