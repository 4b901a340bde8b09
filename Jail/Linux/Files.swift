// Files and directories, beneath descriptors wherever a name was chosen by somebody else.
internal import CLinux
internal import Glibc

/// How a path may be resolved by `openat2`. The bits are those of `openat2(2)`.
public struct Resolution: OptionSet, Sendable {
    /// The RESOLVE_ bits.
    public let rawValue: UInt64
    /// Makes one from RESOLVE_ bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Not through `..`, absolute links or magic links to anything outside the directory.
    public static let beneath = Resolution(rawValue: UInt64(RESOLVE_BENEATH))
    /// As if the directory were the root.
    public static let inRoot = Resolution(rawValue: UInt64(RESOLVE_IN_ROOT))
    /// Through no symbolic link at all.
    public static let noSymlinks = Resolution(rawValue: UInt64(RESOLVE_NO_SYMLINKS))
    /// Into no other mount.
    public static let noCrossDevice = Resolution(rawValue: UInt64(RESOLVE_NO_XDEV))
    /// Through no magic link of /proc.
    public static let noMagicLinks = Resolution(rawValue: UInt64(RESOLVE_NO_MAGICLINKS))
}

/// How a file is opened. The bits are those of `open(2)`; close-on-exec is always added.
public struct OpenFlags: OptionSet, Sendable {
    /// The O_ bits.
    public let rawValue: Int32
    /// Makes one from O_ bits.
    public init(rawValue: Int32) { self.rawValue = rawValue }
    /// For reading only (the default).
    public static let readOnly: OpenFlags = []
    /// For writing only.
    public static let writeOnly = OpenFlags(rawValue: O_WRONLY)
    /// For both.
    public static let readWrite = OpenFlags(rawValue: O_RDWR)
    /// Only a place in the tree, without access to the contents.
    public static let path = OpenFlags(rawValue: O_PATH)
    /// Fails unless it is a directory.
    public static let directory = OpenFlags(rawValue: O_DIRECTORY)
    /// Fails (or with `path`, opens the link itself) when the last component is a symbolic link.
    public static let noFollow = OpenFlags(rawValue: O_NOFOLLOW)
    /// Made when missing.
    public static let create = OpenFlags(rawValue: O_CREAT)
    /// With `create`: fails when it exists.
    public static let exclusive = OpenFlags(rawValue: O_EXCL)
    /// Emptied.
    public static let truncate = OpenFlags(rawValue: O_TRUNC)
    /// Every write goes to the end.
    public static let append = OpenFlags(rawValue: O_APPEND)
    /// Opening and reading never wait.
    public static let nonBlocking = OpenFlags(rawValue: O_NONBLOCK)
}

/// `AT_FDCWD`, for paths that the caller of Cordon chose and may resolve with its own rights.
public let currentDirectory: Int32 = AT_FDCWD

/// Opens a path. Close-on-exec always.
///
/// The corresponding C function is `openat`.
public func open(
    _ path: String, _ flags: OpenFlags, mode: UInt32 = 0, at directory: Int32 = currentDirectory
) throws(Errno) -> Descriptor {
    try open(path, flags, mode: mode, beneath: directory, resolve: [])
}

/// Opens a path with limits on its resolution. Close-on-exec always.
///
/// The corresponding system call is `openat2`.
public func open(
    _ path: String, _ flags: OpenFlags, mode: UInt32 = 0, beneath directory: Int32, resolve: Resolution
) throws(Errno) -> Descriptor {
    try open(bytes: pathBytes(path), flags, mode: mode, beneath: directory, resolve: resolve)
}

/// The same for a path of any bytes.
public func open(
    bytes path: [UInt8], _ flags: OpenFlags, mode: UInt32 = 0, beneath directory: Int32, resolve: Resolution
) throws(Errno) -> Descriptor {
    // openat2 refuses flags that O_PATH would ignore; for the rest, a terminal never becomes ours by chance.
    let bits = flags.rawValue | O_CLOEXEC | (flags.contains(.path) ? 0 : O_NOCTTY)
    while true {
        let result = try unsafe withPath(path) { path in
            unsafe cordon_openat2(
                directory, path, UInt64(UInt32(bitPattern: bits)), UInt64(mode), resolve.rawValue)
        }
        if result >= 0 { return Descriptor(owning: result) }
        // EAGAIN: a rename raced with RESOLVE_BENEATH or RESOLVE_IN_ROOT, and the kernel asks to try again.
        if result != -EINTR && result != -EAGAIN { throw Errno(rawValue: -result) }
    }
}

/// Opens a path of any bytes. Close-on-exec always.
///
/// The corresponding C function is `openat`.
public func open(
    bytes path: [UInt8], _ flags: OpenFlags, mode: UInt32 = 0, at directory: Int32
) throws(Errno) -> Descriptor {
    try open(bytes: path, flags, mode: mode, beneath: directory, resolve: [])
}

/// Calls with a path of any bytes but NUL as the C string that system calls take.
func withPath(_ path: [UInt8], _ call: (UnsafePointer<CChar>) -> Int32) throws(Errno) -> Int32 {
    if path.contains(0) { throw .invalid }
    let characters = unsafe [CChar](unsafeUninitializedCapacity: path.count + 1) { buffer, count in
        for index in path.indices { unsafe buffer[index] = CChar(bitPattern: path[index]) }
        unsafe buffer[path.count] = 0
        count = path.count + 1
    }
    return unsafe characters.withUnsafeBufferPointer { buffer in
        // An array that holds at least the NUL has an address.
        unsafe call(buffer.baseAddress.unsafelyUnwrapped)
    }
}

/// A place in the tree, followed wherever links lead, without access to the contents.
///
/// The corresponding C function is `open` with `O_PATH`.
public func openPlace(_ path: String) throws(Errno) -> Descriptor {
    Descriptor(owning: try checkRaw(try unsafe withPath(pathBytes(path)) { unsafe cordon_open_path($0) }))
}

/// What `stat` tells about a file.
public struct FileStatus: Sendable {
    /// Device of the file system and number of the file in it.
    public let device: UInt64, inode: UInt64
    /// Type and permission bits.
    public let mode: UInt32
    /// Number of hard links.
    public let links: UInt64
    /// Owner.
    public let user: UInt32, group: UInt32
    /// Bytes.
    public let size: Int64

    /// Whether it is a directory.
    public var isDirectory: Bool { cordon_is_directory(mode) != 0 }
    /// Whether it is this user's own, and nobody else may write it.
    public var isOwnAlone: Bool { user == effectiveUser && mode & 0o022 == 0 }
    /// Whether it is a regular file.
    public var isRegular: Bool { cordon_is_regular(mode) != 0 }
    /// Whether it is a symbolic link.
    public var isSymlink: Bool { cordon_is_symlink(mode) != 0 }
    /// Whether it is a pipe.
    public var isPipe: Bool { mode & 0o170000 == 0o010000 }
    /// Whether it is a unix socket.
    public var isSocket: Bool { cordon_is_socket(mode) != 0 }

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        mode = status.st_mode
        links = UInt64(status.st_nlink)
        user = status.st_uid
        group = status.st_gid
        size = Int64(status.st_size)
    }
}

/// The status of an open file.
///
/// The corresponding C function is `fstat`.
public func status(of descriptor: Int32) throws(Errno) -> FileStatus {
    var result = stat()
    try check(unsafe fstat(descriptor, &result))
    return FileStatus(result)
}

/// Which file it is, on this machine and for as long as it exists.
public struct FileIdentity: Sendable, Hashable {
    /// The device of its file system.
    public var device: UInt64
    /// Its number there.
    public var inode: UInt64

    /// Makes one.
    public init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

extension FileStatus {
    /// Which file it is.
    public var identity: FileIdentity { FileIdentity(device: device, inode: inode) }
}

/// Whether it was opened with the right to read: O_PATH and write-only descriptors were not.
///
/// The corresponding C function is `fcntl` with F_GETFL.
public func isOpenForReading(_ descriptor: Int32) -> Bool {
    let flags = cordon_fcntl(descriptor, F_GETFL, 0)
    return flags >= 0 && flags & O_PATH == 0 && flags & O_ACCMODE != O_WRONLY
}

/// Whether two open descriptors are of one file (pipe, terminal, …).
public func isSameFile(_ first: Int32, _ second: Int32) -> Bool {
    guard let one = try? status(of: first), let other = try? status(of: second) else { return false }
    return one.device == other.device && one.inode == other.inode
}

/// The status of a path; of a symbolic link at its end itself, unless `follow`.
///
/// The corresponding C function is `fstatat` with `AT_SYMLINK_NOFOLLOW`.
public func status(at path: String, in directory: Int32 = currentDirectory, follow: Bool = false) throws(Errno)
    -> FileStatus
{
    var result = stat()
    try check(
        try unsafe withPath(pathBytes(path)) {
            unsafe fstatat(directory, $0, &result, follow ? 0 : AT_SYMLINK_NOFOLLOW)
        })
    return FileStatus(result)
}

/// Makes a directory.
///
/// The corresponding C function is `mkdirat`.
public func makeDirectory(_ path: String, mode: UInt32 = 0o755, in directory: Int32 = currentDirectory) throws(Errno) {
    try makeDirectory(bytes: pathBytes(path), mode: mode, in: directory)
}

/// Makes a directory, unless there is something of that name already.
public func makeDirectoryIfMissing(_ path: String, mode: UInt32 = 0o755) throws(Errno) {
    do throws(Errno) { try makeDirectory(path, mode: mode) } catch {
        guard error == .exists else { throw error }
    }
}

/// Makes a directory at a path of any bytes.
///
/// The corresponding C function is `mkdirat`.
public func makeDirectory(bytes path: [UInt8], mode: UInt32, in directory: Int32) throws(Errno) {
    try check(try unsafe withPath(path) { unsafe mkdirat(directory, $0, mode) })
}

/// Removes an empty directory.
///
/// The corresponding C function is `rmdir`.
public func removeDirectory(_ path: String, in directory: Int32 = currentDirectory) throws(Errno) {
    try check(try unsafe withPath(pathBytes(path)) { unsafe unlinkat(directory, $0, AT_REMOVEDIR) })
}

/// Removes a file.
///
/// The corresponding C function is `unlinkat`.
public func unlink(_ path: String, in directory: Int32 = currentDirectory) throws(Errno) {
    try check(try unsafe withPath(pathBytes(path)) { unsafe unlinkat(directory, $0, 0) })
}

/// Renames a file over another, atomically.
///
/// The corresponding C function is `renameat`.
public func rename(_ path: String, to target: String, in directory: Int32) throws(Errno) {
    try check(unsafe renameat(directory, path, directory, target))
}

/// Makes a symbolic link of any bytes to any bytes.
///
/// The corresponding C function is `symlinkat`.
public func makeSymlink(bytes path: [UInt8], to target: [UInt8], in directory: Int32) throws(Errno) {
    guard !target.contains(0) else { throw .invalid }
    let target = target.map { CChar(bitPattern: $0) } + [0]
    try check(try unsafe withPath(path) { unsafe symlinkat(target, directory, $0) })
}

/// Where a symbolic link points.
///
/// The corresponding C function is `readlinkat`.
public func readLink(_ path: String, in directory: Int32 = currentDirectory) throws(Errno) -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = try check(
        try unsafe withPath(pathBytes(path)) { unsafe Int32(readlinkat(directory, $0, &buffer, buffer.count)) })
    return pathText(buffer[..<Int(count)].map { UInt8(bitPattern: $0) })
}

/// Changes owner and group of an open file, or of a path beneath a directory without following a link.
///
/// The corresponding C function is `fchownat`.
public func changeOwner(_ path: String, in directory: Int32, user: UInt32, group: UInt32) throws(Errno) {
    try check(
        try unsafe withPath(pathBytes(path)) {
            unsafe fchownat(directory, $0, user, group, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
        })
}

/// Changes permission bits of an open file.
///
/// The corresponding C function is `fchmod`.
public func changeMode(of descriptor: Int32, to mode: UInt32) throws(Errno) { try check(fchmod(descriptor, mode)) }

/// The absolute path of the calling process's directory.
///
/// The corresponding C function is `getcwd`.
public func workingDirectory() throws(Errno) -> String {
    guard let path = unsafe getcwd(nil, 0) else { throw Errno.current }
    defer { unsafe free(path) }
    return unsafe pathText(Array(UnsafeRawBufferPointer(start: path, count: strlen(path))))
}

/// A path without symbolic links, `.` or `..`.
///
/// The corresponding C function is `realpath`.
public func resolvedPath(_ path: String) throws(Errno) -> String {
    var resolved: UnsafeMutablePointer<CChar>?
    _ = try unsafe withPath(pathBytes(path)) {
        unsafe resolved = unsafe realpath($0, nil)
        return 0
    }
    guard let resolved = unsafe resolved else { throw Errno.current }
    defer { unsafe free(resolved) }
    return unsafe pathText(Array(UnsafeRawBufferPointer(start: resolved, count: strlen(resolved))))
}

/// Reads a whole small file.
public func readFile(_ path: String, in directory: Int32 = currentDirectory, limit: Int = 16 << 20) throws(Errno)
    -> [UInt8]
{
    let file = try open(path, .readOnly, at: directory)
    return try file.readAll(limit: limit)
}

/// Reads a small kernel file as text, without its last newline.
public func readText(_ path: String, in directory: Int32 = currentDirectory) throws(Errno) -> String {
    var bytes = try readFile(path, in: directory, limit: 1 << 20)
    if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
}

/// Writes a kernel file (cgroup, id map) in one call.
public func writeText(_ text: String, to path: String, in directory: Int32 = currentDirectory) throws(Errno) {
    let file = try open(path, .writeOnly, at: directory)
    try file.write(text)
}

/// One name in a directory.
public struct DirectoryEntry: Sendable {
    /// The name's bytes; names need not be UTF-8.
    public let name: [UInt8]
    /// What kind of file, where the file system says (`DT_UNKNOWN` otherwise).
    public let type: UInt8
    /// Whether it is a directory.
    public var isDirectory: Bool { type == UInt8(DT_DIR) }
    /// Whether it is a unix socket.
    public var isSocket: Bool { type == UInt8(DT_SOCK) }
    /// Whether it is a symbolic link.
    public var isSymlink: Bool { type == UInt8(DT_LNK) }
    /// Whether the file system did not say.
    public var isUnknown: Bool { type == UInt8(DT_UNKNOWN) }
    /// The name as text, without loss.
    public var text: String { pathText(name) }
}

/// The names in an open directory, without `.` and `..`.
///
/// The corresponding C function is `getdents64`; the layout is that of `linux_dirent64` in getdents(2).
public func entries(of directory: Int32) throws(Errno) -> [DirectoryEntry] {
    var result: [DirectoryEntry] = []
    var buffer = [UInt8](repeating: 0, count: 32768)
    while true {
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe readEntries(directory, $0) }
        try check(count)
        if count == 0 { return result }
        var offset = 0
        while offset + 19 <= count {
            let length = Int(buffer[offset + 16]) | Int(buffer[offset + 17]) << 8
            guard length >= 19, offset + length <= count else { throw .badMessage }
            let name = buffer[(offset + 19)..<(offset + length)].prefix { $0 != 0 }
            if !name.elementsEqual([0x2e]) && !name.elementsEqual([0x2e, 0x2e]) {
                result.append(DirectoryEntry(name: Array(name), type: buffer[offset + 18]))
            }
            offset += length
        }
    }
}

/// A file that lives in memory and has no name, close-on-exec.
///
/// The corresponding C function is `memfd_create`.
public func makeMemoryFile(named name: String) throws(Errno) -> Descriptor {
    Descriptor(owning: try check(unsafe memfd_create(name, UInt32(MFD_CLOEXEC))))
}

/// A file in memory with these contents, which nobody can change any more: several processes may hold it.
///
/// The corresponding C functions are `memfd_create` and `fcntl` with F_ADD_SEALS.
public func makeSealedFile(named name: String, _ bytes: [UInt8]) throws(Errno) -> Descriptor {
    let file = Descriptor(
        owning: try check(unsafe memfd_create(name, UInt32(MFD_CLOEXEC) | 2 /* MFD_ALLOW_SEALING */)))
    try file.writeAll(bytes)
    // F_ADD_SEALS with F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE.
    try checkRaw(cordon_fcntl(file.raw, 1033, 0xf))
    return file
}

/// Takes an exclusive lock on an open file or directory if nobody has it. It is released when the last
/// descriptor of this open file closes, so the kernel cleans up after a killed owner.
///
/// The corresponding C function is `flock`.
public func tryLock(_ descriptor: Int32) throws(Errno) -> Bool {
    if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
    let error = Errno.current
    if error == .again { return false }
    throw error
}

/// Locks one byte of a file if nobody has; released as `flock`'s are.
///
/// The corresponding C function is `fcntl` with `F_OFD_SETLK`.
public func tryLockByte(_ offset: Int64, of descriptor: Int32) throws(Errno) -> Bool {
    let result = cordon_lock_byte(descriptor, offset)
    if result == 0 { return true }
    if result == -EAGAIN || result == -EACCES { return false }
    throw Errno(rawValue: -result)
}

private func readEntries(_ directory: Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
    guard let base = buffer.baseAddress else { return 0 }
    return unsafe getdents64(directory, base, buffer.count)
}

/// Whether the caller may write a file, or make entries in a directory.
///
/// The corresponding C function is `faccessat` with `AT_EACCESS`.
public func mayWrite(_ path: String) -> Bool { may(W_OK, path) }

/// Whether the caller may execute a file, or pass through a directory.
///
/// The corresponding C function is `faccessat` with `AT_EACCESS`.
public func mayExecute(_ path: String) -> Bool { may(X_OK, path) }

private func may(_ mode: Int32, _ path: String) -> Bool {
    (try? unsafe withPath(pathBytes(path)) { unsafe faccessat(currentDirectory, $0, mode, AT_EACCESS) }) == 0
}

/// Moves an open file's position back to its start.
///
/// The corresponding C function is `lseek`.
public func rewind(_ descriptor: Int32) throws(Errno) { try check(lseek(descriptor, 0, SEEK_SET)) }

/// Makes a directory with all those above it that are missing. One that is there keeps its mode.
///
/// The corresponding C function is `mkdir`.
public func makeDirectories(_ path: String, mode: UInt32) throws(Errno) {
    var above = path.utf8.first == UInt8(ascii: "/") ? "" : "."
    for name in pathComponents(path) {
        above += "/" + name
        try makeDirectoryIfMissing(above, mode: mode)
    }
}
