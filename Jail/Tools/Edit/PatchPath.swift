// The names in patches as paths of the workspace. What is checked here is only the text: opening is the caller's.

enum PatchPath {
    /// A path relative to the workspace, without `.` and empty components.
    ///
    /// A name that leaves the workspace by its text is refused before anything is read, so that a patch is never half
    /// looked at; symlinks are the business of whoever opens (`openat2` with RESOLVE_BENEATH).
    static func relative(
        _ name: [UInt8], strip: Int, _ options: PatchOptions, patchLine: Int
    ) throws(PatchError) -> [UInt8] {
        func refused(_ detail: String) -> PatchError {
            PatchError(.badPath, path: name, patchLine: patchLine, detail: detail)
        }
        guard !name.contains(0) else { throw refused("it has a NUL") }
        guard name.count <= 4096 else { throw refused("it is longer than 4096 bytes") }
        var rest = name[...]
        if rest.first == 0x2F {
            var root = options.workspace[...]
            while root.last == 0x2F { root = root.dropLast() }
            guard !root.isEmpty, rest.starts(with: root), rest.dropFirst(root.count).first == 0x2F else {
                throw refused("it is absolute and not in the workspace")
            }
            rest = rest.dropFirst(root.count)
        }
        let components = rest.split(separator: 0x2F, omittingEmptySubsequences: true).filter {
            !$0.elementsEqual([0x2E])
        }
        guard rest.last != 0x2F, components.count > strip else { throw refused("it names no file") }
        guard !components.contains(where: { $0.elementsEqual([0x2E, 0x2E]) }) else { throw refused("it has ..") }
        guard components.last?.isEmpty == false, !rest.suffix(2).elementsEqual([0x2F, 0x2E]) else {
            throw refused("it names no file")
        }
        return Array(components.dropFirst(strip).joined(separator: [0x2F]))
    }

    /// The names of a section: `a/` and `b/` are taken off where both have them.
    static func names(
        _ section: UnifiedSection, _ options: PatchOptions
    ) throws(PatchError) -> (old: [UInt8]?, new: [UInt8]?) {
        let strip: Int
        if section.hasPlainNames {
            strip = max(0, (options.strip ?? 1) - 1)
        } else if let told = options.strip {
            strip = told
        } else {
            let hasPrefixes =
                (section.oldName?.starts(with: "a/".utf8) ?? true) && (section.newName?.starts(with: "b/".utf8) ?? true)
            strip = section.isGit || hasPrefixes ? 1 : 0
        }
        var (old, new): ([UInt8]?, [UInt8]?) = (nil, nil)
        if let name = section.oldName { old = try relative(name, strip: strip, options, patchLine: section.patchLine) }
        if let name = section.newName { new = try relative(name, strip: strip, options, patchLine: section.patchLine) }
        return (old, new)
    }
}
