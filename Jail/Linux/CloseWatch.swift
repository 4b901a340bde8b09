// Directories that are watched for being closed, as a lock on one goes with its last descriptor.
internal import CLinux
internal import Glibc

/// Tells when somebody has closed one of some directories.
public struct CloseWatch: ~Copyable {
    private let descriptor: Descriptor

    /// Watches directories; one that is gone meanwhile is left out.
    ///
    /// The corresponding C functions are `inotify_init1` and `inotify_add_watch` with IN_CLOSE_NOWRITE.
    public init(_ directories: [String]) throws(Errno) {
        descriptor = Descriptor(owning: try check(inotify_init1(Int32(bitPattern: 0o2004000))))
        for directory in directories {
            unsafe inotify_add_watch(descriptor.raw, directory, UInt32(IN_CLOSE_NOWRITE))
        }
    }

    /// Waits for that; false when the time is up first.
    public borrowing func wait(milliseconds: Int) throws(Errno) -> Bool {
        guard try waitReadable(descriptor.raw, milliseconds: milliseconds) else { return false }
        var buffer = [UInt8](repeating: 0, count: 4096)
        // Which of them it was does not matter: all are tried again.
        do throws(Errno) { while try descriptor.read(into: &buffer) > 0 {} } catch {
            if error != .again { throw error }
        }
        return true
    }
}
