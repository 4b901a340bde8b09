// What can go wrong when a snapshot is written or read.
public import Linux

/// Why a snapshot was not written, or nothing was loaded.
public enum SnapshotError: Error, Sendable, Hashable {
    /// It is no snapshot, or not the one that was written: cut, longer, changed, or against the format.
    case damaged
    /// It is of a version that is not known.
    case version(UInt32)
    /// It is longer than may be read, or holds more than the cache may.
    case tooLarge
    /// There is something in the cache already.
    case notEmpty
    /// Somebody else is writing the same snapshot.
    case busy
    /// The name is empty or leads elsewhere.
    case invalidName
    /// The kernel refused a step.
    case system(Step, Errno)

    /// Which step.
    public enum Step: Sendable, Hashable {
        /// Opening the file, or its directory.
        case open
        /// Reading it.
        case read
        /// Writing it.
        case write
        /// Waiting until it is on the disk.
        case flush
        /// Giving it its name.
        case rename
    }
}

/// Runs a step.
func during<Result: ~Copyable>(
    _ step: SnapshotError.Step, _ body: () throws(Errno) -> Result
) throws(SnapshotError) -> Result {
    do throws(Errno) { return try body() } catch { throw .system(step, error) }
}

/// A name beneath a directory, and of nothing else.
func checkSnapshotName(_ name: String) throws(SnapshotError) {
    let bytes = Array(name.utf8)
    guard !bytes.isEmpty, bytes.count <= 200, bytes.first != UInt8(ascii: "."), !bytes.contains(UInt8(ascii: "/")),
        !bytes.contains(0)
    else { throw .invalidName }
}
