// Reading directories in large pieces, and opening and asking about names that lie in such a piece, without copies.
internal import CLinux
internal import Glibc

/// What kind of file a name is.
public enum FileKind: UInt8, Sendable {
    /// The file system did not say.
    case unknown
    /// A regular file.
    case regular
    /// A directory.
    case directory
    /// A symbolic link.
    case symlink
    /// A pipe with a name.
    case fifo
    /// A unix socket.
    case socket
    /// A block or character device.
    case device

    /// From the `d_type` of getdents(2).
    init(entryType: UInt8) {
        switch Int(entryType) {
        case Int(DT_REG): self = .regular
        case Int(DT_DIR): self = .directory
        case Int(DT_LNK): self = .symlink
        case Int(DT_FIFO): self = .fifo
        case Int(DT_SOCK): self = .socket
        case Int(DT_BLK), Int(DT_CHR): self = .device
        default: self = .unknown
        }
    }

    /// From the type bits of a mode, see inode(7).
    public init(mode: UInt32) {
        switch mode & 0o170000 {
        case 0o100000: self = .regular
        case 0o040000: self = .directory
        case 0o120000: self = .symlink
        case 0o010000: self = .fifo
        case 0o140000: self = .socket
        case 0o020000, 0o060000: self = .device
        default: self = .unknown
        }
    }
}

/// A piece of memory for directory entries, used again for each directory.
@safe public struct EntryBuffer: ~Copyable {
    private let memory: UnsafeMutableRawBufferPointer

    /// Makes one; the kernel fills at most `bytes` in one call.
    public init(bytes: Int = 128 << 10) { unsafe memory = .allocate(byteCount: bytes, alignment: 16) }

    deinit { unsafe memory.deallocate() }

    /// Reads the next entries of an open directory and gives each name (`.` and `..` too), whose bytes are valid only
    /// during the call and end with a NUL that is not counted. Returns false at the directory's end.
    ///
    /// The corresponding C function is `getdents64`; the layout is that of `linux_dirent64` in getdents(2).
    public borrowing func next(
        of directory: Int32, _ body: (_ name: UnsafeBufferPointer<UInt8>, _ kind: FileKind) -> Void
    ) throws(Errno) -> Bool {
        guard let base = unsafe memory.baseAddress else { throw .invalid }
        let count = try check(unsafe getdents64(directory, base, memory.count))
        if count == 0 { return false }
        var offset = 0
        while offset + 19 <= count {
            let length = unsafe Int(base.load(fromByteOffset: offset + 16, as: UInt16.self))
            guard length >= 20, offset + length <= count else { throw .badMessage }
            let name = unsafe (base + offset + 19).assumingMemoryBound(to: UInt8.self)
            let size = unsafe strnlen(
                UnsafeRawPointer(name).assumingMemoryBound(to: CChar.self), length - 19)
            guard size < length - 19 else { throw .badMessage }
            unsafe body(
                UnsafeBufferPointer(start: name, count: size),
                FileKind(entryType: base.load(fromByteOffset: offset + 18, as: UInt8.self)))
            offset += length
        }
        return true
    }
}

/// What a listing tells about a file.
public struct EntryStatus: Sendable {
    /// Device of the file system and number of the file in it.
    public var identity: FileIdentity
    /// Type and permission bits.
    public var mode: UInt32
    /// Bytes.
    public var size: Int64
    /// When its contents last changed: seconds since 1970 and nanoseconds.
    public var modified: (seconds: Int64, nanoseconds: Int32)

    /// What kind of file it is.
    public var kind: FileKind { FileKind(mode: mode) }

    init(_ status: stat) {
        identity = FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        mode = status.st_mode
        size = Int64(status.st_size)
        modified = (Int64(status.st_mtim.tv_sec), Int32(truncatingIfNeeded: status.st_mtim.tv_nsec))
    }
}

/// The status of an open file.
///
/// The corresponding C function is `fstat`.
public func entryStatus(of descriptor: Int32) throws(Errno) -> EntryStatus {
    var result = stat()
    try check(unsafe fstat(descriptor, &result))
    return EntryStatus(result)
}

/// The status of a name in a directory, of a symbolic link itself. The name starts somewhere in these bytes and ends
/// with their next NUL; refused (`EINVAL`) when the last byte is no NUL.
///
/// The corresponding C function is `fstatat` with `AT_SYMLINK_NOFOLLOW`.
public func entryStatus(terminated bytes: [UInt8], at offset: Int, in directory: Int32) throws(Errno) -> EntryStatus {
    guard bytes.indices.contains(offset), bytes.last == 0 else { throw .invalid }
    var result = stat()
    try check(
        unsafe bytes.withUnsafeBytes { bytes in
            unsafe fstatat(
                directory, (bytes.baseAddress.unsafelyUnwrapped + offset).assumingMemoryBound(to: CChar.self), &result,
                AT_SYMLINK_NOFOLLOW)
        })
    return EntryStatus(result)
}

/// Opens the path that starts somewhere in these bytes and ends with their next NUL, without copying it; refused
/// (`EINVAL`) when the last byte is no NUL. Close-on-exec always.
///
/// The corresponding system call is `openat2`.
public func open(
    terminated bytes: [UInt8], at offset: Int, _ flags: OpenFlags, mode: UInt32 = 0, beneath directory: Int32,
    resolve: Resolution
) throws(Errno) -> Descriptor {
    guard bytes.indices.contains(offset), bytes.last == 0 else { throw .invalid }
    let bits = flags.rawValue | O_CLOEXEC | (flags.contains(.path) ? 0 : O_NOCTTY)
    // EAGAIN: a rename raced with RESOLVE_BENEATH, and the kernel asks to try again; or, where opening must not wait,
    // somebody holds a lease on the file (fcntl(2)), who could keep this from ever ending.
    for _ in 0..<1000 {
        let result = unsafe bytes.withUnsafeBytes { bytes in
            unsafe cordon_openat2(
                directory, (bytes.baseAddress.unsafelyUnwrapped + offset).assumingMemoryBound(to: CChar.self),
                UInt64(UInt32(bitPattern: bits)), UInt64(mode), resolve.rawValue)
        }
        if result >= 0 { return Descriptor(owning: result) }
        if result != -EINTR && result != -EAGAIN { throw Errno(rawValue: -result) }
    }
    throw .again
}
