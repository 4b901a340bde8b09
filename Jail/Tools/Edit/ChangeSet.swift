// What a patch does to files, as data: a caller applies all of it or nothing. It opens no file.

/// A file as a patch meets it.
public struct FileSnapshot: Sendable, Equatable {
    /// Its bytes.
    public var bytes: [UInt8]
    /// Whether its owner may execute it.
    public var isExecutable: Bool

    /// Describes a file.
    public init(bytes: [UInt8], isExecutable: Bool = false) {
        (self.bytes, self.isExecutable) = (bytes, isExecutable)
    }
}

/// What reading a path came to.
public enum FileReading: Sendable, Equatable {
    /// A regular file.
    case file(FileSnapshot)
    /// Nothing has that name.
    case missing
    /// It cannot be patched: a directory, a device, too large, not allowed. The word says which.
    case refused(String)
}

/// What happens to one path. Each path occurs once in a set, as a target or as what is moved away from.
public struct FileChange: Sendable, Equatable {
    /// The kinds of changes.
    public enum Kind: Sendable, Equatable {
        /// A file that was not there.
        case add
        /// New contents or mode for a file that stays where it is.
        case update
        /// The file goes away.
        case delete
        /// The file goes away from `from` and comes to the path, with contents and mode as told; `replaced` where the
        /// path had a file before.
        case move(from: [UInt8], replaced: FileSnapshot?)
    }

    /// The kind.
    public var kind: Kind
    /// The path, relative to the workspace.
    public var path: [UInt8]
    /// What was read: of `path`, or of what is moved. A caller that finds something else by now refuses the whole set.
    public var before: FileSnapshot?
    /// What it becomes; nil for a deletion.
    public var after: FileSnapshot?
}

/// What a patch does, resolved: contents are computed and nothing is written.
public struct ChangeSet: Sendable, Equatable {
    /// One entry for each file, in the order in which the patch first names them.
    public var changes: [FileChange]
    /// Where each hunk came to lie.
    public var placements: [HunkPlacement]
    /// The unified diff of all changes, with git's headers.
    public var diff: [UInt8]
    /// Lines added.
    public var added: Int
    /// Lines removed.
    public var removed: Int
}

/// The files as they are after the part of a patch that was done so far: later sections see what earlier ones did.
struct PatchedTree {
    private enum State {
        case present(FileSnapshot)
        case absent
    }

    private let read: ([UInt8]) -> FileReading
    private var before: [[UInt8]: FileSnapshot?] = [:]
    private var states: [[UInt8]: State] = [:]
    private var order: [[UInt8]] = []
    /// Where a file that was moved comes from.
    private var origins: [[UInt8]: [UInt8]] = [:]

    init(read: @escaping ([UInt8]) -> FileReading) { self.read = read }

    /// A file, nil where there is none.
    mutating func file(_ path: [UInt8], patchLine: Int) throws(PatchError) -> FileSnapshot? {
        switch states[path] {
        case .present(let file): return file
        case .absent: return nil
        case nil: break
        }
        var found: FileSnapshot?
        switch read(path) {
        case .file(let file): found = file
        case .missing: found = nil
        case .refused(let word): throw PatchError(.unreadable, path: path, patchLine: patchLine, detail: word)
        }
        before[path] = .some(found)
        states[path] = found.map { .present($0) } ?? .absent
        order.append(path)
        return found
    }

    /// Puts a file in a place. The path was asked for before.
    mutating func write(_ file: FileSnapshot, to path: [UInt8]) { states[path] = .present(file) }

    /// Takes a file away. The path was asked for before.
    mutating func remove(_ path: [UInt8]) {
        states[path] = .absent
        origins[path] = nil
    }

    /// Moves a file. Both paths were asked for before.
    mutating func move(_ file: FileSnapshot, from source: [UInt8], to target: [UInt8]) {
        let origin = origins[source] ?? source
        remove(source)
        write(file, to: target)
        origins[target] = origin == target ? nil : origin
    }

    /// What became of all files.
    func changes() throws(PatchError) -> [FileChange] {
        var changes: [FileChange] = []
        // A file that went away and came up in one other place was moved; each file moves once.
        var movedFrom: Set<[UInt8]> = []
        var moves: [[UInt8]: [UInt8]] = [:]
        for path in order {
            guard let origin = origins[path], case .present = states[path], case .absent = states[origin],
                case .some(.some) = before[origin], movedFrom.insert(origin).inserted
            else { continue }
            moves[path] = origin
        }
        var present: [[UInt8]] = []
        for path in order {
            let old = before[path] ?? nil
            switch states[path] {
            case .present(let file):
                present.append(path)
                if let origin = moves[path], let source = before[origin] ?? nil {
                    changes.append(
                        FileChange(kind: .move(from: origin, replaced: old), path: path, before: source, after: file))
                } else if old != file {
                    changes.append(
                        FileChange(kind: old == nil ? .add : .update, path: path, before: old, after: file))
                }
            case .absent, nil:
                guard let old, !movedFrom.contains(path) else { continue }
                changes.append(FileChange(kind: .delete, path: path, before: old, after: nil))
            }
        }
        // One file cannot stand where another needs a directory.
        let names = Set(present)
        for path in present {
            for (index, byte) in path.enumerated() where byte == 0x2F && names.contains(Array(path[..<index])) {
                throw PatchError(.badPath, path: path, detail: "its directory is a file of the same patch")
            }
        }
        return changes
    }
}

extension ChangeSet {
    /// Writes the diff of resolved changes.
    init(_ changes: [FileChange], _ placements: [HunkPlacement], context: Int) {
        self.init(changes: changes, placements: placements, diff: [], added: 0, removed: 0)
        for change in changes { append(change, context) }
    }

    private mutating func append(_ change: FileChange, _ context: Int) {
        let (old, new) = (change.before, change.after)
        var source = change.path
        var head: [UInt8] = []
        let mode = { (file: FileSnapshot) in file.isExecutable ? "100755" : "100644" }
        switch change.kind {
        case .add: head = Array("new file mode \(new.map(mode) ?? "100644")\n".utf8)
        case .delete: head = Array("deleted file mode \(old.map(mode) ?? "100644")\n".utf8)
        case .update, .move:
            if let old, let new, old.isExecutable != new.isExecutable {
                head = Array("old mode \(mode(old))\nnew mode \(mode(new))\n".utf8)
            }
            if case .move(let from, _) = change.kind {
                source = from
                head += Array("rename from ".utf8) + DiffName.inHeader(from) + [0x0A]
                head += Array("rename to ".utf8) + DiffName.inHeader(change.path) + [0x0A]
            }
        }
        let a = Array("a/".utf8) + source
        let b = Array("b/".utf8) + change.path
        diff += Array("diff --git ".utf8) + DiffName.inHeader(a) + [0x20] + DiffName.inHeader(b) + [0x0A] + head
        let lines = UnifiedDiff(from: old?.bytes ?? [], to: new?.bytes ?? [], context: context)
        added += lines.added
        removed += lines.removed
        guard !lines.isEmpty else { return }
        let none = Array("/dev/null\n".utf8)
        diff += Array("--- ".utf8) + (change.kind == .add ? none : DiffName.quoted(a))
        diff += Array("+++ ".utf8) + (change.kind == .delete ? none : DiffName.quoted(b)) + lines.hunks
    }
}
