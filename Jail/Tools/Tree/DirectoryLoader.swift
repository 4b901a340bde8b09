// Reads one directory: its names, its ignore files, which of the names are shown, and their order. One for each thread;
// it holds no lock and changes nothing that others see.
internal import Glibc
internal import Linux
internal import Synchronization

/// A name in a directory: 16 bytes, since there may be millions.
struct Item {
    /// The first eight bytes of the name, as a number that sorts as they do.
    var key: UInt64
    var offset: UInt32
    var length: UInt16
    var kind: FileKind
    var isFollowedLink: Bool
}

/// What a directory has to show.
struct Listing {
    /// The names, each with a NUL behind it.
    var names: [UInt8] = []
    var items: [Item] = []
    /// One for each item, or none.
    var statuses: [EntryStatus] = []
    /// Which items are directories to enter.
    var directories: [Int32] = []
    var counts = WalkSummary.Counts()
    /// The rules for what lies in it.
    var frame: IgnoreFrame?

    /// About how many bytes of memory it takes, with the rules that were read for it.
    var cost = 0
}

/// A directory to read.
struct LoadJob {
    /// Its path from the root, empty or with a slash at its end: made only where it is needed.
    var path: () -> [UInt8]
    var baseLength: Int
    var depth: Int
    var frame: IgnoreFrame?
}

/// Says to all workers that the walk is over, also to one that is busy.
final class StopFlag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}

struct DirectoryLoader: ~Copyable {
    private let root: Root
    private let options: WalkOptions
    private let given: GivenRules
    private let reader: IgnoreReader
    private let stop: StopFlag
    private let buffer = EntryBuffer()
    private var names: [UInt8] = []
    private var items: [Item] = []
    private var path: [UInt8] = []

    init(root: Root, options: WalkOptions, given: GivenRules, stop: StopFlag) {
        self.stop = stop
        self.root = root
        self.options = options
        self.given = given
        reader = IgnoreReader(root: root, settings: options.ignore)
    }

    mutating func load(_ directory: Int32, _ job: LoadJob) throws(TreeError) -> Listing {
        var listing = Listing()
        let special = try readNames(directory, &listing.counts)
        listing.frame = job.frame
        var needsPath = options.filter != nil || options.followsLinks
        if !special.isEmpty {
            listing.frame = reader.frame(
                of: directory, path: job.path(), has: special, above: job.frame,
                unread: &listing.counts.ignoreFilesUnread)
        }
        let isFree = given.isEmpty(listing.frame)
        needsPath = needsPath || (!isFree && given.needsPath(listing.frame))
        path.removeAll(keepingCapacity: true)
        if needsPath { path = job.path() }
        // What lies in a directory that is entered from here is two levels below this one.
        let entersMore = job.depth + 2 <= options.depths.upperBound
        let directoryLength = path.count
        var kept = 0
        for index in items.indices {
            // Many names under many rules take their time, which nobody waits for any more.
            if index & 255 == 255, stop.isSet { throw .system(.interrupted) }
            var item = items[index]
            if item.kind == .unknown { item.kind = kind(of: item, in: directory) }
            if options.followsLinks, item.kind == .symlink {
                appendName(item, to: directoryLength)
                resolve(&item, &listing.counts)
            }
            if item.kind == .directory
                ? !entersMore && !options.kinds.contains(.directories)
                : !options.kinds.holds(item.kind)
            {
                if item.kind == .directory, shows(item, needsPath, directoryLength, isFree, job, listing.frame) {
                    listing.counts.tooDeep += 1
                }
                continue
            }
            guard shows(item, needsPath, directoryLength, isFree, job, listing.frame) else { continue }
            if item.kind == .directory, !entersMore { listing.counts.tooDeep += 1 }
            items[kept] = item
            kept += 1
        }
        items.removeSubrange(kept...)
        if options.order == .name { sort() }
        if options.wantsStatus || options.sizes != nil { readStatuses(directory, &listing) }
        store(in: &listing, entersMore)
        listing.cost = 256 + listing.names.count + listing.items.count * 16 + listing.statuses.count * 64
        if let frame = listing.frame, frame !== job.frame { listing.cost += frame.ownCost }
        return listing
    }

    /// Copies what is shown into memory of its own size.
    private mutating func store(in listing: inout Listing, _ entersMore: Bool) {
        let size = items.reduce(0) { $0 + Int($1.length) + 1 }
        if size == names.count {
            listing.names = unsafe names.withUnsafeBufferPointer { unsafe Array($0) }
        } else {
            listing.names.reserveCapacity(size)
            for index in items.indices {
                let start = Int(items[index].offset)
                items[index].offset = UInt32(truncatingIfNeeded: listing.names.count)
                listing.names += names[start...(start + Int(items[index].length))]
            }
        }
        listing.items = unsafe items.withUnsafeBufferPointer { unsafe Array($0) }
        if entersMore {
            for (index, item) in items.enumerated() where item.kind == .directory {
                listing.directories.append(Int32(index))
            }
        }
        // What one huge directory needed is given back.
        if names.capacity > 1 << 20 { names = [] }
        if items.capacity > 1 << 16 { items = [] }
    }

    private mutating func readNames(_ directory: Int32, _ counts: inout WalkSummary.Counts) throws(TreeError)
        -> IgnoreNames
    {
        names.removeAll(keepingCapacity: true)
        items.removeAll(keepingCapacity: true)
        var special: IgnoreNames = []
        do throws(Errno) {
            var more = true
            while more {
                more = try unsafe buffer.next(of: directory) { name, kind in
                    let count = name.count
                    guard count > 0, count <= Int(UInt16.max), items.count < options.maxDirectoryEntries else { return }
                    if unsafe name[0] == dot {
                        if count == 1 { return }
                        if unsafe count == 2 && name[1] == dot { return }
                        unsafe special.formUnion(IgnoreNames.of(name))
                    }
                    let item = unsafe Item(
                        key: Self.key(name), offset: UInt32(truncatingIfNeeded: names.count), length: UInt16(count),
                        kind: kind, isFollowedLink: false)
                    unsafe names.append(contentsOf: name)
                    names.append(0)
                    items.append(item)
                }
                // One name too many is not told from just enough; nobody has that many.
                if items.count >= options.maxDirectoryEntries {
                    counts.cut = 1
                    more = false
                }
            }
        } catch { throw TreeError(error) }
        return special
    }

    private static func key(_ name: UnsafeBufferPointer<UInt8>) -> UInt64 {
        var key: UInt64 = 0
        let count = min(8, name.count)
        for index in 0..<count { key = unsafe key << 8 | UInt64(name[index]) }
        return key << UInt64(64 - 8 * count)
    }

    private func kind(of item: Item, in directory: Int32) -> FileKind {
        (try? entryStatus(terminated: names, at: Int(item.offset), in: directory))?.kind ?? .unknown
    }

    /// Leaves in `path` the directory's and this name.
    private mutating func appendName(_ item: Item, to directoryLength: Int) {
        path.removeSubrange(directoryLength...)
        unsafe names.withUnsafeBufferPointer { names in
            let start = Int(item.offset)
            unsafe path.append(contentsOf: UnsafeBufferPointer(rebasing: names[start..<(start + Int(item.length))]))
        }
    }

    private func resolve(_ item: inout Item, _ counts: inout WalkSummary.Counts) {
        guard let place = try? root.open(path, .path), let status = try? entryStatus(of: place.raw) else {
            counts.linksUnresolved += 1
            return
        }
        item.kind = status.kind
        item.isFollowedLink = true
    }

    /// What the rules say: globs, then ignore files, then types; and hidden names where none of them spoke.
    private mutating func shows(
        _ item: Item, _ needsPath: Bool, _ directoryLength: Int, _ isFree: Bool, _ job: LoadJob, _ frame: IgnoreFrame?
    ) -> Bool {
        let start = Int(item.offset)
        let isHidden = names[start] == dot
        if isHidden, options.skipsGitDirectory, item.length == 4,
            names[(start + 1)..<(start + 4)].elementsEqual(gitLetters)
        {
            return false
        }
        if isFree, options.filter == nil, options.types == nil { return !isHidden || options.includesHidden }
        if needsPath { appendName(item, to: directoryLength) }
        return unsafe names.withUnsafeBufferPointer { names in
            unsafe path.withUnsafeBufferPointer { path in
                let name = unsafe UnsafeBufferPointer(rebasing: names[start..<(start + Int(item.length))])
                let subject = unsafe Subject(name: name, path: path, isDirectory: item.kind == .directory)
                return unsafe shows(subject, isHidden, isFree, job, frame)
            }
        }
    }

    private func shows(
        _ subject: Subject, _ isHidden: Bool, _ isFree: Bool, _ job: LoadJob, _ frame: IgnoreFrame?
    ) -> Bool {
        if let filter = options.filter {
            switch unsafe filter.decide(subject, base: job.baseLength) {
            case .takenIn: return true
            case .leftOut: return false
            case .none: break
            }
        }
        var isTakenIn = options.includesHidden || !isHidden
        if !isFree, let decision = unsafe given.decide(subject, in: frame) {
            if decision.isIgnored { return false }
            isTakenIn = true
        }
        if let types = options.types {
            switch unsafe types.decide(subject) {
            case .takenIn: return true
            case .leftOut: return false
            case .none: break
            }
        }
        return isTakenIn
    }

    private mutating func sort() {
        unsafe names.withUnsafeBufferPointer { names in
            guard let base = names.baseAddress else { return }
            items.sort { first, second in
                if first.key != second.key { return first.key < second.key }
                let one = Int(first.length), other = Int(second.length)
                let order = unsafe memcmp(
                    base + Int(first.offset), base + Int(second.offset), min(one, other))
                return order != 0 ? order < 0 : one < other
            }
        }
    }

    private mutating func readStatuses(_ directory: Int32, _ listing: inout Listing) {
        var kept = 0
        for item in items {
            let status: EntryStatus? =
                if item.isFollowedLink {
                    followedStatus(of: item, in: directory)
                } else {
                    try? entryStatus(terminated: names, at: Int(item.offset), in: directory)
                }
            guard let status else {
                listing.counts.vanished += 1
                continue
            }
            if let sizes = options.sizes, item.kind != .directory, !sizes.contains(status.size) { continue }
            if options.wantsStatus { listing.statuses.append(status) }
            items[kept] = item
            kept += 1
        }
        items.removeSubrange(kept...)
    }

    private mutating func followedStatus(of item: Item, in directory: Int32) -> EntryStatus? {
        let slashAt = path.lastIndex(of: slash).map { $0 + 1 } ?? 0
        appendName(item, to: slashAt)
        guard let place = try? root.open(path, .path) else { return nil }
        return try? entryStatus(of: place.raw)
    }
}

private let gitLetters = Array("git".utf8)
