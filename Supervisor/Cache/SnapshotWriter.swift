// Writes a snapshot to a file, whole or not at all: under another name first, which it gets rid of if anything fails.
internal import Linux

/// Writes a snapshot piece by piece.
///
/// ```swift
/// var writer = try SnapshotWriter(store.snapshot(now: now, wall: wall), in: directory, name: "cache")
/// while try writer.step() {}
/// ```
/// The last step waits for the disk; where that must not hold a loop up, all of this can be done on another thread.
/// Until the last step the snapshot that was there before stays as it was.
public struct SnapshotWriter: ~Copyable, Sendable {
    private var snapshot: CacheSnapshot
    private let directory: Descriptor
    private let file: Descriptor
    private let name: String
    private let temporary: String

    /// Begins a file that only its owner can read (mode 0600).
    ///
    /// - Parameter directory: an open directory that nobody else can write. It is opened again, so it need not stay
    ///   open.
    public init(_ snapshot: CacheSnapshot, in directory: Int32, name: String) throws(SnapshotError) {
        try checkSnapshotName(name)
        let temporary = ".\(name).new"
        let directory = try during(.open) { () throws(Errno) in try open(".", [.directory], at: directory) }
        file = try Self.create(temporary, in: directory.raw)
        self.directory = directory
        self.snapshot = snapshot
        self.name = name
        self.temporary = temporary
    }

    // Without a name of its own any more after the last step; another's file may have taken it since.
    deinit { if isOurs { try? unlink(temporary, in: directory.raw) } }

    private static func create(_ name: String, in directory: Int32) throws(SnapshotError) -> Descriptor {
        for _ in 0..<2 {
            do throws(Errno) {
                let file = try open(name, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600, at: directory)
                // Whoever holds the lock is alive: the kernel takes it from the dead.
                guard try tryLock(file.raw) else { throw .busy }
                // Whatever the umask.
                try changeMode(of: file.raw, to: 0o600)
                return file
            } catch {
                guard error == .exists else { throw .system(.open, error) }
            }
            // Somebody's who is still writing, or who died.
            try during(.open) { () throws(Errno) in
                let other = try open(name, [.writeOnly, .noFollow, .nonBlocking], at: directory)
                guard try tryLock(other.raw) else { return }
                try unlink(name, in: directory)
            }
        }
        throw .busy
    }

    private var isOurs: Bool {
        guard let named = try? status(at: temporary, in: directory.raw), let open = try? status(of: file.raw) else {
            return false
        }
        return named.identity == open.identity
    }

    /// Writes a piece; false where that was the last, and the snapshot is on the disk under its name.
    ///
    /// - Throws: ``SnapshotError/system(_:_:)``: the disk is full, say. Then the writer is of no more use.
    public mutating func step() throws(SnapshotError) -> Bool {
        if let piece = snapshot.next() {
            let file = file.raw
            try during(.write) { () throws(Errno) in
                var rest = piece[...]
                while !rest.isEmpty { rest = rest.dropFirst(try write(file, rest)) }
            }
            return true
        }
        let file = file.raw, directory = directory.raw, name = name, temporary = temporary
        try during(.flush) { () throws(Errno) in try synchronize(file) }
        guard isOurs else { throw .busy }
        try during(.rename) { () throws(Errno) in try rename(temporary, to: name, in: directory) }
        // The name, too, has to be on the disk.
        try during(.flush) { () throws(Errno) in try synchronize(directory) }
        return false
    }
}

extension CacheStore {
    /// A copy of the namespaces that are kept.
    ///
    /// - Parameters:
    ///   - now: on the store's clock, in milliseconds.
    ///   - wall: the same moment in milliseconds since 1970.
    public func snapshot(now: UInt64, wall: UInt64) -> CacheSnapshot { CacheSnapshot(kept, now: now, wall: wall) }

    /// Writes a snapshot at once.
    public func save(in directory: Int32, name: String, now: UInt64, wall: UInt64) throws(SnapshotError) {
        var writer = try SnapshotWriter(snapshot(now: now, wall: wall), in: directory, name: name)
        while try writer.step() {}
    }
}
