// The root file system of a jail while it is being made.
internal import JailPlan
internal import Linux

/// A tmpfs that becomes the root.
struct NewRoot: ~Copyable {
    private var places: RootPlaces
    /// What is shown in place of hidden files and directories. Neither can be opened. Kept until the process ends, as
    /// the root is; PID 1 has no use for an owner that outlives the set-up.
    private var hiddenFile: Int32 = -1, hiddenDirectory: Int32 = -1

    private static let hiddenFile = pathBytes("/run/cordon/hidden-file")
    private static let hiddenDirectory = pathBytes("/run/cordon/hidden-directory")

    /// Mounts it.
    static func make(bytes: UInt64, inodes: UInt64) throws(Errno) -> NewRoot {
        try makePrivate("/")
        let mount = try makeFileSystem(
            "tmpfs",
            [("size", "\(bytes)"), ("nr_inodes", "\(inodes)"), ("mode", "755")],
            attributes: [.noSetUid, .noDevices])
        // Over the old root: absolute paths still start beneath it until pivot_root.
        try attach(mount.raw, to: "/", in: currentDirectory)
        var root = NewRoot(root: mount.release())
        try root.makeSubstitutes()
        return root
    }

    private init(root: Int32) { places = RootPlaces(root: root) }

    private mutating func makeSubstitutes() throws(Errno) {
        try places.makeDirectory(Self.hiddenDirectory)
        try setMode(of: Self.hiddenDirectory, to: 0)
        hiddenDirectory = try places.find(Self.hiddenDirectory).release()
        try makeFile(Self.hiddenFile, contents: "", mode: 0)
        hiddenFile = try places.find(Self.hiddenFile).release()
    }

    /// Applies a step that makes, mounts or masks something in the new root.
    mutating func apply(_ action: Action) throws(Errno) {
        switch action {
        case .directory(let path, let mode, let owner):
            let path = pathBytes(path)
            try places.makeDirectory(path)
            if mode != 0o755 { try setMode(of: path, to: mode) }
            if owner != 0 {
                let place = try places.find(path)
                try changeOwner("", in: place.raw, user: owner, group: owner)
            }
        case .symlink(let path, let target):
            let place = try places.prepare(pathBytes(path))
            try makeSymlink(bytes: place.name, to: pathBytes(target), in: place.directory)
        case .file(let path, let contents, let mode):
            try makeFile(pathBytes(path), contents: contents, mode: mode)
        case .bind(let source, let path, let attributes):
            let tree = try cloneTree(source.path, identity: source.identity, attributes: attributes)
            try attachTree(tree.raw, to: path)
        case .fileSystem(let type, let path, let parameters, let attributes):
            let mount = try makeFileSystem(
                type, parameters.map { ($0.key, $0.value) }, attributes: attributes)
            try attachTree(mount.raw, to: path)
        case .rebind(let source, let path, let attributes):
            let place = try places.find(pathBytes(source))
            let tree = try cloneTree("", at: place.raw, recursive: true, attributes: attributes)
            try attachTree(tree.raw, to: path)
        case .overlay(let lower, let upper, let work, let path, let attributes):
            let layers = try [lower, upper, work].map { (path) throws(Errno) in
                try places.find(pathBytes(path)).release()
            }
            defer { for layer in layers { _ = Descriptor(owning: layer) } }
            // The old root is where paths still start, so the new one's are named by descriptor.
            let names = layers.map { "/proc/self/fd/\($0)" }
            let mount = try makeFileSystem(
                "overlay",
                [("lowerdir", names[0]), ("upperdir", names[1]), ("workdir", names[2]), ("userxattr", "")],
                attributes: attributes)
            try attachTree(mount.raw, to: path)
        case .pin(let path): try cover(path, optional: true, attributes: [])
        case .hide(let path, let optional): try hide(path, optional: optional)
        case .protect(let path, let optional): try cover(path, optional: optional, attributes: .readOnly)
        case .sealRoot: try setMountAttributes(of: places.root, set: .readOnly, recursive: false)
        default: throw .invalid
        }
    }

    /// The new root takes the old one's place, which lies over it from now on. Who is in the jail sees the new one.
    func takePlace() throws(Errno) {
        try changeDirectory(to: places.root)
        try pivotRoot(to: ".", putOld: ".")
    }

    /// Attaches a detached tree, making its mount point where there is none.
    mutating func attachTree(_ tree: Int32, to path: String) throws(Errno) {
        let path = pathBytes(path)
        let isDirectory = try status(of: tree).isDirectory
        let place = try places.prepare(path)
        do throws(Errno) {
            if isDirectory {
                try makeDirectory(bytes: place.name, mode: 0o755, in: place.directory)
            } else {
                let file = try open(
                    bytes: place.name, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o444, at: place.directory)
                try attach(tree, to: "", in: file.raw)
                return
            }
        } catch {
            // EROFS: what is there lies in a tree that cannot be written.
            guard error == .exists || error == .readOnly else { throw error }
        }
        let point = try open(bytes: place.name, [.path, .noFollow], at: place.directory)
        // A link is no mount point: what is mounted on it would lie somewhere else than its name says.
        if try status(of: point.raw).isSymlink { throw .loop }
        try attach(tree, to: "", in: point.raw)
        places.mounted(at: path)
    }

    private mutating func hide(_ path: String, optional: Bool) throws(Errno) {
        guard let place = try findIfThere(path, optional: optional) else { return }
        let substitute = try status(of: place.raw).isDirectory ? hiddenDirectory : hiddenFile
        let tree = try cloneTree(
            "", at: substitute, recursive: false, attributes: [.readOnly, .noExec, .noSetUid, .noDevices])
        try attach(tree.raw, to: "", in: place.raw)
        places.mounted(at: pathBytes(path))
    }

    /// Mounts what is at a path over itself, with these attributes more.
    private mutating func cover(_ path: String, optional: Bool, attributes: MountAttributes) throws(Errno) {
        guard let place = try findIfThere(path, optional: optional) else { return }
        let tree = try cloneTree("", at: place.raw, recursive: true, attributes: attributes)
        try attach(tree.raw, to: "", in: place.raw)
        places.mounted(at: pathBytes(path))
    }

    private mutating func findIfThere(_ path: String, optional: Bool) throws(Errno) -> Descriptor? {
        do throws(Errno) { return try places.find(pathBytes(path)) } catch {
            if optional && (error == .noEntry || error == .notDirectory) { return nil }
            throw error
        }
    }

    private mutating func setMode(of path: [UInt8], to mode: UInt32) throws(Errno) {
        let place = try places.locate(path)
        let directory = try open(bytes: place.name, [.readOnly, .directory, .noFollow], at: place.directory)
        try changeMode(of: directory.raw, to: mode)
    }

    private mutating func makeFile(_ path: [UInt8], contents: String, mode: UInt32) throws(Errno) {
        let place = try places.prepare(path)
        let file = try open(
            bytes: place.name, [.writeOnly, .create, .exclusive, .noFollow], mode: mode, at: place.directory)
        if !contents.isEmpty { try file.writeAll(Array(contents.utf8)) }
    }
}

/// The old root, with all of the host, is gone for good.
func leaveOldRoot() throws(Errno) {
    // It lies over the new one since pivot_root: "." is the old one.
    try detach(".")
    try changeDirectory(to: "/")
}
