// Finding what must be masked in the trees that a jail gets.
//
// Names only: every directory is opened beneath the tree's root and through no symbolic link, and no file is
// opened at all. A tree that cannot be read to its end is refused, since an unseen `.env` would be readable.
internal import Linux
internal import PolicyModel

/// What a walk found, as absolute paths.
struct MaskList {
    var hidden: [String] = []
    var protected: [String] = []
    /// Directories whose name a pattern needs: renamed, what is in them would no longer match.
    var pinned: [String] = []
    /// Sockets of the host, which Landlock cannot keep a jail from connecting to.
    var sockets: [String] = []
}

struct TreeWalk {
    private let deny: [PreparedPattern]
    private let protect: [PreparedPattern]
    /// Deeper trees are refused rather than half checked.
    static let deepest = 900

    init(deny: [PathPattern], protect: [PathPattern]) {
        self.deny = deny.map(PreparedPattern.init)
        self.protect = protect.map(PreparedPattern.init)
    }

    /// Walks a tree, which must be the given file still. Patterns are held against paths relative to it, and what
    /// is found is named as it is shown in the jail.
    func masks(in root: String, identity: FileIdentity, shownAt shown: String) throws(PlanFailure) -> MaskList {
        var list = MaskList()
        do throws(Errno) {
            let directory = try open(
                bytes: pathBytes(root), [.readOnly, .directory], beneath: currentDirectory,
                resolve: [.noSymlinks, .noMagicLinks])
            guard try status(of: directory.raw).identity == identity else { throw Errno.stale }
            var names: [[UInt8]] = []
            try visit(directory.raw, root: shown, names: &names, protectedAbove: false, &list)
        } catch {
            throw .unreadable(path: root, error)
        }
        return list
    }

    private func visit(
        _ directory: Int32, root: String, names: inout [[UInt8]], protectedAbove: Bool, _ list: inout MaskList
    ) throws(Errno) {
        guard names.count < Self.deepest else { throw .tooBig }
        for entry in try entries(of: directory) {
            names.append(entry.name)
            defer { names.removeLast() }
            var isDirectory = entry.isDirectory
            var isSocket = entry.isSocket
            if entry.isUnknown {
                let status = try status(at: entry.text, in: directory)
                isDirectory = status.isDirectory
                isSocket = status.isSocket
            }
            if let pattern = deny.first(where: { $0.matches(names) }) {
                list.hidden.append(Self.path(root, names))
                list.pin(root, names, pattern)
                continue
            }
            if isSocket {
                list.sockets.append(Self.path(root, names))
                continue
            }
            var protected = protectedAbove
            if !protected, let pattern = protect.first(where: { $0.matches(names) }) {
                list.protected.append(Self.path(root, names))
                list.pin(root, names, pattern)
                protected = true
            }
            if isDirectory {
                let child: Descriptor
                do throws(Errno) {
                    child = try open(
                        bytes: entry.name, [.readOnly, .directory, .noFollow], beneath: directory,
                        resolve: [.beneath, .noSymlinks])
                } catch {
                    // What cannot be searched cannot be shown: its owner, whom the command is, may open it later.
                    guard error == .accessDenied else { throw error }
                    list.hidden.append(Self.path(root, names))
                    continue
                }
                try visit(child.raw, root: root, names: &names, protectedAbove: protected, &list)
            }
        }
    }

    fileprivate static func path(_ root: String, _ names: some Sequence<[UInt8]>) -> String {
        root + names.map { "/" + pathText($0) }.joined()
    }
}

extension MaskList {
    /// Pins as many directories above a match as its pattern names: `.kube` for `**/.kube/config`.
    fileprivate mutating func pin(_ root: String, _ names: [[UInt8]], _ pattern: PreparedPattern) {
        for count in stride(from: 1, to: min(pattern.namedDepth, names.count), by: 1) {
            let directory = TreeWalk.path(root, names.dropLast(count))
            // Twins are taken out later, by their bytes.
            pinned.append(directory)
        }
    }
}

/// A pattern with a quick test in front: most name a file at any depth.
private struct PreparedPattern {
    private let pattern: PathPattern
    /// For `**/NAME` and `**/NAME/**`: the name alone decides.
    private let nameOnly: Glob?
    private let literal: [UInt8]?
    /// How many names the pattern gives: the match's own and those of directories above it.
    let namedDepth: Int
    /// For others, what the last name must be, if anything is known.
    private let last: Glob?

    init(_ pattern: PathPattern) {
        self.pattern = pattern
        namedDepth = pattern.components.count { $0 != .anyDepth }
        var components = pattern.components
        if components.count > 1, components.last == .anyDepth { components.removeLast() }
        if components.count == 2, components[0] == .anyDepth, case .name(let glob) = components[1] {
            nameOnly = glob
            literal = glob.literal.map { Array($0.utf8) }
        } else {
            nameOnly = nil
            literal = nil
        }
        if pattern.components.last != .anyDepth, case .name(let glob)? = components.last {
            last = glob
        } else {
            last = nil
        }
    }

    func matches(_ names: [[UInt8]]) -> Bool {
        guard let name = names.last else { return false }
        if let literal { return literal == name }
        if let nameOnly { return nameOnly.matches(bytes: name) }
        if let last, !last.matches(bytes: name) { return false }
        return pattern.matches(relativePathBytes: names)
    }
}
