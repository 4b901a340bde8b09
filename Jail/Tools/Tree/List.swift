// The `list` tool: what is in a directory, or beneath it, with sizes and times, in one of three orders. Never unbounded.
public import Linux

/// What is to be listed.
public struct ListRequest: Sendable {
    /// What decides which entry comes first. Equal ones are in the order of their paths.
    public enum Order: Sendable {
        /// By the names, a directory's contents behind it.
        case name
        /// By size.
        case size
        /// By the time of the last change of the contents.
        case modified
    }

    /// Where it starts, which rules are obeyed, how deep it goes and which kinds and sizes are shown. `kinds` is all of
    /// them, ignore rules count, hidden files are shown but for `.git`, and the depth is 1, unless these are changed.
    /// `maxEntries`, `order` and `wantsStatus` are not looked at.
    public var walk: WalkOptions
    /// The order.
    public var order = Order.name
    /// Whether the largest or the newest comes first, or the last name.
    public var isDescending = false
    /// More entries are not shown: in the order asked for, so that of many the first are shown.
    public var maxEntries = 10_000
    /// Paths of more bytes in all are not shown.
    public var maxBytes = 8 << 20
    /// Whether every entry is told with its status. An order by size or time reads it in any case.
    public var wantsStatus = true

    /// What one would expect of a tool named `list`.
    public init(path: [UInt8] = []) {
        walk = WalkOptions()
        walk.base = path
        walk.kinds = .all
        walk.includesHidden = true
        walk.skipsGitDirectory = true
        walk.depths = 1...1
    }
}

/// One entry of a list.
public struct ListEntry: Sendable {
    /// The path from the root.
    public var path: [UInt8]
    /// What kind of file it is.
    public var kind: FileKind
    /// What lies directly in the directory has depth 1.
    public var depth: Int
    /// Its status, where it was asked for.
    public var status: EntryStatus?
}

/// Lists what a request asks for.
///
/// - Parameters:
///   - threads: How many read directories.
///   - body: Called with each entry in order; false stops it.
/// - Returns: What was shown, and in `entriesLeftOut` how many entries were not, for the caps.
/// - Throws: What keeps the directory from being opened.
public func list(
    _ root: Root, _ request: ListRequest, threads: Int = 2, _ body: (borrowing ListEntry) -> Bool
) throws(TreeError) -> WalkSummary {
    var options = request.walk
    options.order = .name
    options.maxEntries = .max
    let needsAll = request.order != .name || request.isDescending
    options.wantsStatus = request.wantsStatus || needsAll
    let walk = try Walk(root, options)
    var shown = Shown(request)
    var best = Best(request)
    var summary = walk.forEach(threads: threads) { batch in
        for (index, entry) in batch.entries.enumerated() {
            let one = ListEntry(
                path: Array(batch.path(entry)), kind: entry.kind, depth: entry.depth,
                status: options.wantsStatus ? batch.statuses[index] : nil)
            if needsAll { best.add(one) } else if !shown.show(one, body) { return false }
        }
        return true
    }
    if needsAll { for entry in best.sorted() where !shown.show(entry, body) { break } }
    summary.entriesLeftOut = summary.entries - shown.entries
    summary.entries = shown.entries
    summary.wasStopped = summary.wasStopped || shown.wasStopped
    return summary
}

/// What was shown, up to the caps.
private struct Shown {
    private let maxEntries: Int
    private let maxBytes: Int
    private var bytes = 0
    private var isFull = false
    private(set) var entries = 0
    private(set) var wasStopped = false

    init(_ request: ListRequest) {
        maxEntries = request.maxEntries
        maxBytes = request.maxBytes
    }

    /// False once the caller has had enough. Beyond the caps it only lets go, so that the rest is counted.
    mutating func show(_ entry: ListEntry, _ body: (borrowing ListEntry) -> Bool) -> Bool {
        if isFull || entries == maxEntries || bytes + entry.path.count > maxBytes {
            isFull = true
            return true
        }
        bytes += entry.path.count
        entries += 1
        wasStopped = !body(entry)
        return !wasStopped
    }
}

/// The first entries in an order, of however many.
private struct Best {
    private let order: ListRequest.Order
    private let isDescending: Bool
    private let most: Int
    private var entries: [ListEntry] = []

    init(_ request: ListRequest) {
        order = request.order
        isDescending = request.isDescending
        most = max(0, request.maxEntries)
    }

    mutating func add(_ entry: ListEntry) {
        entries.append(entry)
        // Cutting only when there are twice as many sorts each entry a few times at most.
        if entries.count >= 2 * max(most, 512) { cut() }
    }

    mutating func sorted() -> [ListEntry] {
        cut()
        return entries
    }

    private mutating func cut() {
        entries.sort(by: precedes)
        if entries.count > most { entries.removeSubrange(most...) }
    }

    private func precedes(_ one: ListEntry, _ other: ListEntry) -> Bool {
        switch order {
        case .name: return isDescending ? pathPrecedes(other.path, one.path) : pathPrecedes(one.path, other.path)
        case .size:
            let first = one.status?.size ?? 0, second = other.status?.size ?? 0
            if first != second { return isDescending == (first > second) }
        case .modified:
            let first = one.status?.modified ?? (0, 0), second = other.status?.modified ?? (0, 0)
            if first != second { return isDescending == (first > second) }
        }
        return pathPrecedes(one.path, other.path)
    }
}

/// The walk's order: name by name, so that a slash comes before every other byte.
func pathPrecedes(_ one: [UInt8], _ other: [UInt8]) -> Bool {
    let rank: (UInt8) -> Int = { $0 == slash ? 0 : Int($0) + 1 }
    for (first, second) in zip(one, other) where first != second { return rank(first) < rank(second) }
    return one.count < other.count
}
