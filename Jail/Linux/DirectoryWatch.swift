// Waiting for files of directories to grow, to appear and to get other names (inotify(7)). It looks into no file.
internal import CLinux
internal import Glibc

/// Watches directories for changes to the files in them.
public struct DirectoryWatch: ~Copyable {
    /// Readable when something changed.
    public let descriptor: Descriptor
    /// Larger than any one event: a header of 16 bytes and a name of at most 255 with its NUL.
    private var buffer = [UInt8](repeating: 0, count: 4096)

    /// What is noticed.
    public enum Interest: Sendable {
        /// Its files written, made, renamed and removed.
        case files
        /// That it goes itself, or gets another name.
        case itself
    }

    /// Something that happened.
    public struct Change: Sendable {
        /// What `watch` returned for the directory; -1 where events were lost.
        public let directory: Int32
        /// The name of a file in it; nil where it is about the directory itself.
        public let name: [UInt8]?
    }

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

    /// Watches a directory for something more.
    ///
    /// - Returns: by what its changes are known. Two paths to one directory have the same.
    public borrowing func watch(_ directory: String, for interest: Interest) throws(Errno) -> Int32 {
        let events =
            switch interest {
            case .files: IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE
            case .itself: IN_MOVE_SELF | IN_DELETE_SELF
            }
        return try check(
            try unsafe withPath(pathBytes(directory)) {
                unsafe inotify_add_watch(descriptor.raw, $0, UInt32(events | IN_ONLYDIR | IN_MASK_ADD))
            })
    }

    /// Watches a directory no more. One that is gone is not watched anyway.
    ///
    /// The corresponding C function is `inotify_rm_watch`.
    public borrowing func stop(_ directory: Int32) { _ = inotify_rm_watch(descriptor.raw, directory) }

    /// Takes what was noticed until now, as far as that is 64 KB; the descriptor stays readable where there is more. Without an
    /// end whoever writes faster than this reads would keep the caller here, with ever more memory.
    public mutating func changes() throws(Errno) -> [Change] {
        var changes: [Change] = []
        for _ in 0..<16 {
            let count: Int
            do throws(Errno) { count = try read(descriptor.raw, into: &buffer) } catch {
                if error == .again { return changes }
                throw error
            }
            guard count > 0 else { return changes }
            var rest = buffer[..<count]
            // An event: wd, mask, cookie and the length of the name with its padding of NULs, 32 bits each; then the name.
            while rest.count >= 16 {
                func word(_ index: Int) -> UInt32 {
                    rest.dropFirst(4 * index).prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
                }
                let length = Int(word(3))
                let name = rest.dropFirst(16).prefix(length).prefix { $0 != 0 }
                changes.append(
                    Change(directory: Int32(bitPattern: word(0)), name: name.isEmpty ? nil : Array(name)))
                rest = rest.dropFirst(16 + length)
            }
        }
        return changes
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
