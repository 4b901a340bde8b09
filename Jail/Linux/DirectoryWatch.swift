// Waiting for files of directories to grow, to appear and to get other names (inotify(7)). It looks into no file.
internal import CLinux
internal import Glibc

/// Watches directories for changes to the files in them.
public struct DirectoryWatch: ~Copyable {
    /// Readable when something changed.
    public let descriptor: Descriptor
    /// Larger than any one event: a header of 16 bytes and a name of at most 255 with its NUL.
    private var buffer = [UInt8](repeating: 0, count: 4096)

    /// Watches nothing yet.
    ///
    /// The corresponding C function is `inotify_init1`.
    public init() throws(Errno) {
        descriptor = Descriptor(owning: try check(inotify_init1(Int32(bitPattern: 0o2004000))))
    }

    /// Watches a directory: its files written, made, renamed and removed. Watching one again changes nothing.
    ///
    /// The corresponding C function is `inotify_add_watch`.
    public borrowing func add(_ directory: String) throws(Errno) {
        let wanted = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR
        _ = try check(
            try unsafe withPath(pathBytes(directory)) {
                unsafe inotify_add_watch(descriptor.raw, $0, UInt32(wanted))
            })
    }

    /// Takes all that was noticed until now. What it was is not told: events can be lost (IN_Q_OVERFLOW), so whoever waits
    /// has to look for itself.
    public mutating func drain() throws(Errno) {
        while true {
            do throws(Errno) {
                if try read(descriptor.raw, into: &buffer) == 0 { return }
            } catch {
                if error == .again { return }
                throw error
            }
        }
    }
}
