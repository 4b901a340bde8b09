// Mounts by descriptor: the calls of the new mount interface (open_tree, move_mount, fsopen, mount_setattr).
internal import CLinux
internal import Glibc

/// Attributes of a mount. The bits are those of `mount_setattr(2)`.
public struct MountAttributes: OptionSet, Sendable, Hashable {
    /// The MOUNT_ATTR_ bits.
    public let rawValue: UInt64
    /// Makes one from MOUNT_ATTR_ bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Nothing can be written through it.
    public static let readOnly = MountAttributes(rawValue: 0x1)
    /// Set-user-id bits and file capabilities mean nothing.
    public static let noSetUid = MountAttributes(rawValue: 0x2)
    /// Device nodes cannot be opened.
    public static let noDevices = MountAttributes(rawValue: 0x4)
    /// Nothing can be executed.
    public static let noExec = MountAttributes(rawValue: 0x8)
    static let idMapped = MountAttributes(rawValue: 0x100000)

    /// The names of mount(8), joined by commas.
    public var names: String {
        var names = [contains(.readOnly) ? "ro" : "rw"]
        if contains(.noSetUid) { names.append("nosuid") }
        if contains(.noDevices) { names.append("nodev") }
        if contains(.noExec) { names.append("noexec") }
        return names.joined(separator: ",")
    }
}

/// A detached copy of the mount tree at a path, to be attached elsewhere, with these attributes more. It shares no
/// mount events with its original, nor with anything else: on a machine whose root is shared, as systemd leaves it, a
/// mask over a file of the copy would otherwise appear over the host's file.
///
/// The corresponding C functions are `open_tree` with `OPEN_TREE_CLONE` and `mount_setattr` with `MS_PRIVATE`.
public func cloneTree(
    _ path: String, at directory: Int32 = currentDirectory, recursive: Bool, attributes: MountAttributes = []
) throws(Errno) -> Descriptor {
    var flags = UInt32(OPEN_TREE_CLONE) | UInt32(bitPattern: O_CLOEXEC)
    if recursive { flags |= UInt32(AT_RECURSIVE) }
    if path.isEmpty { flags |= UInt32(AT_EMPTY_PATH) }
    let tree = Descriptor(
        owning: try check(try unsafe withPath(pathBytes(path)) { unsafe open_tree(directory, $0, flags) }))
    let scope = UInt32(AT_EMPTY_PATH) | (recursive ? UInt32(AT_RECURSIVE) : 0)
    try checkRaw(unsafe cordon_mount_setattr(tree.raw, "", scope, attributes.rawValue, 0, UInt64(MS_PRIVATE), -1))
    return tree
}

/// A detached copy of the tree at a path that no symbolic link leads to and that is still the given file;
/// `ESTALE` when it is another one by now.
public func cloneTree(
    _ path: String, identity: FileIdentity?, attributes: MountAttributes = []
) throws(Errno) -> Descriptor {
    guard let identity else { return try cloneTree(path, recursive: true, attributes: attributes) }
    let place = try open(
        bytes: pathBytes(path), .path, beneath: currentDirectory, resolve: [.noSymlinks, .noMagicLinks])
    guard try status(of: place.raw).identity == identity else { throw .stale }
    return try cloneTree("", at: place.raw, recursive: true, attributes: attributes)
}

/// Changes attributes of a mount, or with `recursive` of its whole tree: all of them, or none.
///
/// The corresponding C function is `mount_setattr`.
public func setMountAttributes(
    of tree: Int32, _ path: String = "", set: MountAttributes, clear: MountAttributes = [], recursive: Bool,
    idMap userNamespace: Int32? = nil
) throws(Errno) {
    let flags = UInt32(path.isEmpty ? AT_EMPTY_PATH : 0) | (recursive ? UInt32(AT_RECURSIVE) : 0)
    let bits = userNamespace == nil ? set : set.union(.idMapped)
    try checkRaw(
        unsafe cordon_mount_setattr(tree, path, flags, bits.rawValue, clear.rawValue, 0, userNamespace ?? -1))
}

/// Cuts a whole tree off from mount events of the rest of the system.
///
/// The corresponding C function is `mount_setattr` with `MS_PRIVATE`.
public func makePrivate(_ path: String) throws(Errno) {
    try checkRaw(
        unsafe cordon_mount_setattr(currentDirectory, path, UInt32(AT_RECURSIVE), 0, 0, UInt64(MS_PRIVATE), -1))
}

/// Attaches a detached tree at a path beneath a directory; with an empty path, at the directory itself.
///
/// The corresponding C function is `move_mount`.
public func attach(_ tree: Int32, to path: String, in directory: Int32) throws(Errno) {
    var flags = UInt32(MOVE_MOUNT_F_EMPTY_PATH)
    if path.isEmpty { flags |= UInt32(MOVE_MOUNT_T_EMPTY_PATH) }
    try check(unsafe move_mount(tree, "", directory, path, flags))
}

/// A new instance of a file system, detached.
///
/// The corresponding C functions are `fsopen`, `fsconfig` and `fsmount`.
public func makeFileSystem(
    _ type: String, _ parameters: [(key: String, value: String)], attributes: MountAttributes
) throws(Errno) -> Descriptor {
    let context = Descriptor(owning: try check(unsafe fsopen(type, UInt32(FSOPEN_CLOEXEC))))
    for parameter in parameters {
        // A parameter without a value is a flag to the kernel, not an empty string.
        let value = parameter.value.isEmpty ? nil : parameter.value
        try checkRaw(unsafe cordon_fsconfig(context.raw, parameter.key, value))
    }
    try checkRaw(cordon_fsconfig(context.raw, nil, nil))
    return Descriptor(
        owning: try check(
            fsmount(context.raw, UInt32(FSMOUNT_CLOEXEC), UInt32(truncatingIfNeeded: attributes.rawValue))))
}

/// Makes `path` the root and hangs the old root over it; both may be ".".
///
/// The corresponding system call is `pivot_root`.
public func pivotRoot(to path: String, putOld: String) throws(Errno) {
    try checkRaw(unsafe cordon_pivot_root(path, putOld))
}

/// Takes a mount, and all beneath it, out of this namespace.
///
/// The corresponding C function is `umount2` with `MNT_DETACH`.
public func detach(_ path: String) throws(Errno) { try check(unsafe umount2(path, Int32(MNT_DETACH))) }

/// Changes the process's directory to an open one.
///
/// The corresponding C function is `fchdir`.
public func changeDirectory(to descriptor: Int32) throws(Errno) { try check(fchdir(descriptor)) }

/// Changes the process's directory.
///
/// The corresponding C function is `chdir`.
public func changeDirectory(to path: String) throws(Errno) { try check(unsafe chdir(path)) }
