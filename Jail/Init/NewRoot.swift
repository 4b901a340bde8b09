// The root file system of a jail while it is being made.
//
// Every path of the plan is resolved beneath the new root's descriptor and through no symbolic link:
// parts of the tree come from images and workspaces, whose links may point anywhere (CVE-2025-31133).
internal import JailPlan
internal import Linux

/// A tmpfs that becomes the root.
struct NewRoot: Sendable {
    /// A descriptor kept until the process ends; PID 1 has no use for an owner that outlives the set-up.
    private let root: Int32
    /// What is shown in place of hidden files and directories. Neither can be opened. Kept likewise.
    private var hiddenFile: Int32 = -1, hiddenDirectory: Int32 = -1

    private static let hiddenFile = "/run/cordon/hidden-file", hiddenDirectory = "/run/cordon/hidden-directory"

    init(bytes: UInt64, inodes: UInt64) throws(Errno) {
        try makePrivate("/")
        let mount = try makeFileSystem(
            "tmpfs",
            [("size", "\(bytes)"), ("nr_inodes", "\(inodes)"), ("mode", "755")],
            attributes: [.noSetUid, .noDevices])
        // Over the old root: absolute paths still start beneath it until pivot_root.
        try attach(mount.raw, to: "/", in: currentDirectory)
        root = mount.release()
        try make(directory: Self.hiddenDirectory, mode: 0)
        try make(file: Self.hiddenFile, contents: "", mode: 0)
        hiddenDirectory = try find(Self.hiddenDirectory).release()
        hiddenFile = try find(Self.hiddenFile).release()
    }

    /// Applies a step that makes, mounts or masks something in the new root.
    func apply(_ action: Action) throws(Errno) {
        switch action {
        case .directory(let path, let mode, let owner):
            try make(directory: path, mode: mode)
            if owner != 0 { try changeOwner(relative(path), in: root, user: owner, group: owner) }
        case .symlink(let path, let target):
            try makeParents(of: path)
            try makeSymlink(relative(path), to: target, in: root)
        case .file(let path, let contents, let mode): try make(file: path, contents: contents, mode: mode)
        case .bind(let source, let path, let attributes):
            let tree = try cloneTree(source.path, identity: source.identity)
            try setMountAttributes(of: tree.raw, set: attributes, recursive: true)
            try attachTree(tree.raw, to: path)
        case .fileSystem(let type, let path, let parameters, let attributes):
            let mount = try makeFileSystem(
                type, parameters.map { ($0.key, $0.value) }, attributes: attributes)
            try attachTree(mount.raw, to: path)
        case .rebind(let source, let path, let attributes):
            let tree = try copy(of: source)
            try setMountAttributes(of: tree.raw, set: attributes, recursive: true)
            try attachTree(tree.raw, to: path)
        case .pin(let path):
            if let place = try findIfThere(path, optional: true) {
                let tree = try cloneTree("", at: place.raw, recursive: true)
                try attach(tree.raw, to: "", in: place.raw)
            }
        case .hide(let path, let optional): try hide(path, optional: optional)
        case .protect(let path, let optional): try protect(path, optional: optional)
        case .sealRoot: try setMountAttributes(of: root, set: .readOnly, recursive: false)
        default: throw .invalid
        }
    }

    /// The new root takes the old one's place; the old one, with all of the host, is gone for good.
    func becomeRoot() throws(Errno) {
        try changeDirectory(to: root)
        try pivotRoot(to: ".", putOld: ".")
        // The old root now lies over the new one: "." is the old one.
        try detach(".")
        try changeDirectory(to: "/")
    }

    /// Attaches a detached tree, making its mount point where the root is still ours to write.
    func attachTree(_ tree: Int32, to path: String) throws(Errno) {
        let isDirectory = try status(of: tree).isDirectory
        do throws(Errno) {
            let place = try find(path)
            // A link is no mount point: what is mounted on it would lie somewhere else than its name says.
            if try status(of: place.raw).isSymlink { throw Errno.loop }
            try attach(tree, to: "", in: place.raw)
            return
        } catch {
            if error != .noEntry { throw error }
        }
        if isDirectory {
            try make(directory: path, mode: 0o755)
        } else {
            try make(file: path, contents: "", mode: 0o444)
        }
        let place = try find(path)
        try attach(tree, to: "", in: place.raw)
    }

    private func hide(_ path: String, optional: Bool) throws(Errno) {
        guard let place = try findIfThere(path, optional: optional) else { return }
        let substitute = try status(of: place.raw).isDirectory ? hiddenDirectory : hiddenFile
        let tree = try cloneTree("", at: substitute, recursive: false)
        try setMountAttributes(of: tree.raw, set: [.readOnly, .noExec, .noSetUid, .noDevices], recursive: false)
        try attach(tree.raw, to: "", in: place.raw)
    }

    private func protect(_ path: String, optional: Bool) throws(Errno) {
        guard let place = try findIfThere(path, optional: optional) else { return }
        let tree = try cloneTree("", at: place.raw, recursive: true)
        try setMountAttributes(of: tree.raw, set: .readOnly, recursive: true)
        try attach(tree.raw, to: "", in: place.raw)
    }

    private func copy(of path: String) throws(Errno) -> Descriptor {
        let place = try find(path)
        return try cloneTree("", at: place.raw, recursive: true)
    }

    /// The place of a path in the new root, reached through no symbolic link. A link at its end is itself
    /// the place.
    private func find(_ path: String) throws(Errno) -> Descriptor {
        try open(
            bytes: pathBytes(relative(path)), [.path, .noFollow], beneath: root,
            resolve: [.inRoot, .noSymlinks, .noMagicLinks])
    }

    private func findIfThere(_ path: String, optional: Bool) throws(Errno) -> Descriptor? {
        do throws(Errno) { return try find(path) } catch {
            if optional && (error == .noEntry || error == .notDirectory) { return nil }
            throw error
        }
    }

    private func make(directory path: String, mode: UInt32) throws(Errno) {
        var made = ""
        for component in path.split(separator: "/") {
            made += made.isEmpty ? component : "/" + component
            do throws(Errno) { try makeDirectory(made, mode: 0o755, in: root) } catch {
                if error != .exists { throw error }
            }
        }
        if mode != 0o755 {
            let directory = try open(
                relative(path), [.readOnly, .directory], beneath: root, resolve: [.inRoot, .noSymlinks])
            try changeMode(of: directory.raw, to: mode)
        }
    }

    private func make(file path: String, contents: String, mode: UInt32) throws(Errno) {
        try makeParents(of: path)
        let file = try open(
            relative(path), [.writeOnly, .create, .exclusive], mode: mode, beneath: root,
            resolve: [.inRoot, .noSymlinks])
        try file.writeAll(Array(contents.utf8))
    }

    private func makeParents(of path: String) throws(Errno) {
        let components = path.split(separator: "/").dropLast()
        if !components.isEmpty { try make(directory: components.joined(separator: "/"), mode: 0o755) }
    }

    private func relative(_ path: String) -> String {
        let stripped = path.drop { $0 == "/" }
        return stripped.isEmpty ? "." : String(stripped)
    }
}
