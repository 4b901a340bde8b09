// A run of entries in the walk's order, with their paths in one piece of memory, as one worker gets it.
public import Linux

/// One entry of a batch.
public struct Entry: Sendable {
    /// Where its path starts in the batch's bytes.
    public var start: Int { Int(offset) }
    /// Bytes of the path.
    public var length: Int { Int(pathLength) }
    /// What kind of file it is; of a followed link, what it leads to.
    public var kind: FileKind
    /// Whether it is a symbolic link that was followed.
    public var isFollowedLink: Bool
    /// What lies directly in the base has depth 1.
    public var depth: Int { Int(level) }

    var offset: UInt32
    var pathLength: UInt32
    var nameOffset: UInt32
    var level: UInt32
    var directory: Int32
}

/// Entries that follow each other. Used again for the next, it keeps its memory.
public struct EntryBatch: Sendable {
    /// The number of the batch in the walk's order, from 0 and without gaps: what several workers make of their batches
    /// is put together by it.
    public internal(set) var index = 0
    /// The number of its first entry in the walk's order, from 0.
    public internal(set) var firstEntry = 0
    /// The entries.
    public internal(set) var entries: [Entry] = []
    /// Their paths from the root, one behind the other, with the separator behind each.
    public internal(set) var bytes: [UInt8] = []
    /// Their statuses, where they were asked for.
    public internal(set) var statuses: [EntryStatus] = []
    var directories: [OpenDirectory] = []

    /// An empty one.
    public init() {}

    /// The path of an entry from the root.
    public func path(_ entry: Entry) -> ArraySlice<UInt8> { bytes[entry.start..<(entry.start + entry.length)] }

    /// The last component of an entry's path.
    public func name(_ entry: Entry) -> ArraySlice<UInt8> {
        bytes[(entry.start + Int(entry.nameOffset))..<(entry.start + entry.length)]
    }

    /// Opens a file of this batch for reading, and makes sure that it is a regular one. Where the batch keeps its
    /// directory open, by its name in that.
    public func openRegular(_ entry: Entry, in root: Root) throws(TreeError) -> RegularFile {
        let file: Descriptor
        if entry.directory >= 0, !entry.isFollowedLink {
            let directory = directories[Int(entry.directory)].descriptor.raw
            let at = entry.start + Int(entry.nameOffset)
            if bytes[entry.start + entry.length] == 0 {
                file = try root.openTerminated(
                    bytes, at: at, [.readOnly, .nonBlocking], links: .followButLast, from: directory)
            } else {
                file = try root.open(name(entry), [.readOnly, .nonBlocking], links: .followButLast, from: directory)
            }
        } else {
            let links = entry.isFollowedLink ? LinkPolicy.followInside : .followButLast
            file = try root.open(path(entry), [.readOnly, .nonBlocking], links: links)
        }
        return try RegularFile(file)
    }

    mutating func clear() {
        entries.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
        statuses.removeAll(keepingCapacity: true)
        directories.removeAll(keepingCapacity: true)
    }
}

/// An open directory that several hold.
final class OpenDirectory: Sendable {
    let descriptor: Descriptor
    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
}
