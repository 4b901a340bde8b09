// errno as a typed error. The cases are the kernel's (errno(3)); only their names are spelled out here.
internal import CLinux
internal import Glibc

/// A failed system call's error number.
public struct Errno: Error, Hashable, Sendable, RawRepresentable {
    /// The positive number, as in `errno.h`.
    public let rawValue: Int32

    /// Makes one from the positive number.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Operation not permitted.
    public static let notPermitted = Errno(rawValue: EPERM)
    /// No such file or directory.
    public static let noEntry = Errno(rawValue: ENOENT)
    /// Permission denied.
    public static let accessDenied = Errno(rawValue: EACCES)
    /// File exists.
    public static let exists = Errno(rawValue: EEXIST)
    /// Not a directory.
    public static let notDirectory = Errno(rawValue: ENOTDIR)
    /// Is a directory.
    public static let isDirectory = Errno(rawValue: EISDIR)
    /// Invalid argument.
    public static let invalid = Errno(rawValue: EINVAL)
    /// Function not implemented.
    public static let noSystemCall = Errno(rawValue: ENOSYS)
    /// Operation not supported.
    public static let notSupported = Errno(rawValue: EOPNOTSUPP)
    /// Device or resource busy.
    public static let busy = Errno(rawValue: EBUSY)
    /// No child processes.
    public static let noChild = Errno(rawValue: ECHILD)
    /// No such process.
    public static let noProcess = Errno(rawValue: ESRCH)
    /// Resource temporarily unavailable.
    public static let again = Errno(rawValue: EAGAIN)
    /// Interrupted call.
    public static let interrupted = Errno(rawValue: EINTR)
    /// Too many levels of symbolic links, or a symbolic link where none may be.
    public static let loop = Errno(rawValue: ELOOP)
    /// Address already in use: a socket's path is there.
    public static let addressInUse = Errno(rawValue: EADDRINUSE)
    /// Broken pipe.
    public static let brokenPipe = Errno(rawValue: EPIPE)
    /// Connection reset by peer: it went away with a message unread.
    public static let connectionReset = Errno(rawValue: ECONNRESET)
    /// Another file stands where one was judged.
    public static let stale = Errno(rawValue: ESTALE)
    /// Exec format error.
    public static let notExecutable = Errno(rawValue: ENOEXEC)
    /// A message was not what its protocol says.
    public static let badMessage = Errno(rawValue: EBADMSG)
    /// Argument list too long.
    public static let tooBig = Errno(rawValue: E2BIG)
    /// Read-only file system.
    public static let readOnly = Errno(rawValue: EROFS)
    /// No space left, or a kernel limit on objects (namespaces, cgroups).
    public static let noSpace = Errno(rawValue: ENOSPC)
    /// Too many users, or user namespaces nested too deeply.
    public static let tooManyUsers = Errno(rawValue: EUSERS)
    /// Invalid cross-device link; of openat2, that a path leads out of its directory.
    public static let crossDevice = Errno(rawValue: EXDEV)
    /// Input/output error.
    public static let inputOutput = Errno(rawValue: EIO)
    /// Software caused connection abort.
    public static let connectionAborted = Errno(rawValue: ECONNABORTED)
    /// Connection refused: nobody listens.
    public static let connectionRefused = Errno(rawValue: ECONNREFUSED)
    /// File name too long.
    public static let nameTooLong = Errno(rawValue: ENAMETOOLONG)
    /// Too many open files in this process.
    public static let tooManyFiles = Errno(rawValue: EMFILE)
    /// No such device: of a mount, that the kernel has no such file system.
    public static let noDevice = Errno(rawValue: ENODEV)

    /// The name of errno.h, such as `ENOENT`.
    public var name: String {
        guard let name = unsafe strerrorname_np(rawValue) else { return "errno \(rawValue)" }
        return unsafe String(cString: name)
    }

    /// The C library's sentence for it.
    public var message: String {
        guard let text = unsafe strerrordesc_np(rawValue) else { return "unknown error" }
        return unsafe String(cString: text)
    }

    static var current: Errno { Errno(rawValue: errno) }
}

extension Errno: CustomStringConvertible {
    /// `ENOENT (No such file or directory)`.
    public var description: String { "\(name) (\(message))" }
}

/// Turns the result of a glibc function (−1 and errno) into a value or an error.
@discardableResult
func check<Value: FixedWidthInteger>(_ value: Value) throws(Errno) -> Value {
    guard value != -1 else { throw Errno.current }
    return value
}

/// Turns a result of CLinux (the value, or −errno) into a value or an error.
@discardableResult
func checkRaw<Value: FixedWidthInteger>(_ value: Value) throws(Errno) -> Value {
    guard value >= 0 else { throw Errno(rawValue: Int32(truncatingIfNeeded: 0 - value)) }
    return value
}

/// Repeats a call that a signal interrupted.
@discardableResult
func retrying<Value: FixedWidthInteger>(_ call: () -> Value) throws(Errno) -> Value {
    while true {
        let value = call()
        if value != -1 { return value }
        let error = Errno.current
        if error != .interrupted { throw error }
    }
}
