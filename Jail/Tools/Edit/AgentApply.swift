// Applies the sections of a `*** Begin Patch` text to files, in order, each on what the ones before left.

struct AgentApply {
    let options: PatchOptions
    private(set) var placements: [HunkPlacement] = []

    init(_ options: PatchOptions) { self.options = options }

    mutating func apply(_ section: AgentSection, to tree: inout PatchedTree) throws(PatchError) {
        let line = section.patchLine
        let path = try PatchPath.relative(section.path, strip: 0, options, patchLine: line)
        let old = try tree.file(path, patchLine: line)
        switch section.action {
        case .add(let bytes):
            // A file that is there is overwritten, as the format's own program does.
            tree.write(FileSnapshot(bytes: bytes, isExecutable: old?.isExecutable ?? false), to: path)
        case .delete:
            guard old != nil else { throw PatchError(.missing, path: path, patchLine: line) }
            tree.remove(path)
        case .update(let target, let hunks):
            guard let old else { throw PatchError(.missing, path: path, patchLine: line) }
            var file = old
            file.bytes = try contents(hunks, path, old.bytes)
            guard file.bytes.count <= options.limit else { throw PatchError(.tooLarge, path: path) }
            if let target {
                let other = try PatchPath.relative(target, strip: 0, options, patchLine: line)
                guard other != path else { return tree.write(file, to: path) }
                _ = try tree.file(other, patchLine: line)
                tree.move(file, from: path, to: other)
            } else {
                tree.write(file, to: path)
            }
        }
    }

    private struct Change {
        var removed: Range<Int>
        var added: [[UInt8]]
    }

    private mutating func contents(
        _ hunks: [AgentHunk], _ path: [UInt8], _ file: [UInt8]
    ) throws(PatchError) -> [UInt8] {
        let view = LineView(file)
        var seek = LineSeek(view.text)
        var changes: [Change] = []
        var appended: [[UInt8]] = []
        var place = 0
        for hunk in hunks {
            place = try follow(hunk, from: place, &seek, path)
            let wanted = hunk.lines.filter { $0.mark != .added }
            if wanted.isEmpty {
                let added = hunk.lines.map(\.text)
                if hunk.headers.isEmpty || hunk.isAtEnd {
                    // Nothing says where: at the end, whatever hunks follow.
                    appended += added
                    note(hunk, path, seek.table.count, .exact)
                } else {
                    changes.append(Change(removed: place..<place, added: added))
                    note(hunk, path, place, .exact)
                }
                continue
            }
            let (line, comparison, loose) = try locate(hunk, wanted.map(\.text), from: place, &seek, path)
            note(hunk, path, line, comparison)
            place = collect(hunk.lines.dropLast(loose), at: line, into: &changes)
        }
        changes.append(Change(removed: seek.table.count..<seek.table.count, added: appended))
        return rewrite(changes, file, view, seek.table)
    }

    /// The line behind the last of a hunk's `@@` contexts.
    private func follow(
        _ hunk: AgentHunk, from place: Int, _ seek: inout LineSeek, _ path: [UInt8]
    ) throws(PatchError) -> Int {
        var place = place
        for header in hunk.headers {
            guard let found = seek.find([header], from: place) else {
                throw PatchError(
                    .notFound, path: path, patchLine: hunk.patchLine, candidates: seek.nearest([header], around: place),
                    detail: "the context '\(String(decoding: header.prefix(120), as: UTF8.self))' behind line \(place)")
            }
            place = found.line + 1
        }
        return place
    }

    private func locate(
        _ hunk: AgentHunk, _ wanted: [[UInt8]], from place: Int, _ seek: inout LineSeek, _ path: [UInt8]
    ) throws(PatchError) -> (line: Int, comparison: HunkPlacement.Comparison, loose: Int) {
        // Blank lines at the end may be the patch's own spacing: they are let go one by one.
        for loose in 0...min(hunk.looseLines, wanted.count - 1) {
            let lines = Array(wanted.dropLast(loose))
            if let found = seek.find(lines, from: place, atEnd: hunk.isAtEnd) {
                return (found.line, found.comparison, loose)
            }
        }
        let first = wanted.first { !$0.isEmpty } ?? []
        let behind = place > 0 ? "behind line \(place), " : ""
        throw PatchError(
            .notFound, path: path, patchLine: hunk.patchLine, candidates: seek.nearest(wanted, around: place),
            detail: "\(behind)\(wanted.count) lines from '\(String(decoding: first.prefix(120), as: UTF8.self))'")
    }

    /// The changes of a hunk that lies at a line. Answers the line behind it.
    private func collect(
        _ lines: some Sequence<(mark: HunkLine.Mark, text: [UInt8])>, at line: Int, into changes: inout [Change]
    ) -> Int {
        var line = line
        var change = Change(removed: line..<line, added: [])
        func flush() {
            if !change.removed.isEmpty || !change.added.isEmpty { changes.append(change) }
        }
        for piece in lines {
            switch piece.mark {
            case .added: change.added.append(piece.text)
            case .removed:
                line += 1
                change.removed = change.removed.lowerBound..<line
            case .context:
                // A context line keeps the file's own bytes, whatever it was compared by.
                flush()
                line += 1
                change = Change(removed: line..<line, added: [])
            }
        }
        flush()
        return line
    }

    private mutating func note(
        _ hunk: AgentHunk, _ path: [UInt8], _ line: Int, _ comparison: HunkPlacement.Comparison
    ) {
        placements.append(
            HunkPlacement(path: path, patchLine: hunk.patchLine, line: line + 1, comparison: comparison))
    }

    /// The file with its changes. Added lines take the line ends of those that they replace, else of the one in front;
    /// and the file ends with a line end, since the format has no way to say that it should not.
    private func rewrite(_ changes: [Change], _ file: [UInt8], _ view: LineView, _ table: LineTable) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(file.count + 1024)
        let common = view.isMostlyCRLF
        func isCRLF(_ line: Int) -> Bool {
            guard line >= 0, line < table.count, line + 1 < table.count || table.isClosed else { return common }
            return view.isCRLF(table.starts[line + 1] - 1)
        }
        func end(_ isCRLF: Bool) { result.append(contentsOf: isCRLF ? [0x0D, 0x0A] : [0x0A]) }
        func close() { if let last = result.last, last != ByteSearch.newline { end(common) } }
        var copied = 0
        for change in changes {
            if change.removed.lowerBound > copied {
                close()
                let range = table.starts[copied]..<table.starts[change.removed.lowerBound]
                result.append(contentsOf: file[view.original(range)])
            }
            for (index, line) in change.added.enumerated() {
                close()
                result.append(contentsOf: line)
                let model =
                    change.removed.isEmpty
                    ? max(0, change.removed.lowerBound - 1)
                    : min(change.removed.lowerBound + index, change.removed.upperBound - 1)
                end(table.count == 0 ? false : isCRLF(model))
            }
            copied = max(copied, change.removed.upperBound)
        }
        if copied < table.count {
            close()
            result.append(contentsOf: file[view.original(table.starts[copied]..<view.text.count)])
        }
        close()
        return result
    }
}
