// One owner's keys and values. Whoever has no reference to a namespace has no way to what is in it.
internal import Linux

/// The keys and values of one user or session.
///
/// Keys and values are bytes, and keys are the same when their bytes are. Times are milliseconds of a clock that never
/// goes back, and whoever calls passes the present one as `now`. What has expired is never seen, collected or not.
/// Where a quota or a bound is passed, the entries that were not used for longest go. A value is shared, not copied, in
/// and out.
///
/// It is used from one thread.
public final class CacheNamespace {
    /// Whose it is.
    public let owner: CacheOwner
    /// How much it may hold.
    public private(set) var quota: CacheQuota
    /// Whether it is part of snapshots.
    public internal(set) var isKept: Bool
    /// Whether it can still be used.
    public private(set) var isOpen = true

    let account: Account
    private let ledger: Ledger
    private var table: Table
    private let seed: SipKey
    private var hits: UInt64 = 0, misses: UInt64 = 0, evictions: UInt64 = 0, expirations: UInt64 = 0

    init(_ owner: CacheOwner, quota: CacheQuota, isKept: Bool, account: Account, ledger: Ledger) {
        self.owner = owner
        self.quota = quota
        self.isKept = isKept
        self.account = account
        self.ledger = ledger
        seed = SipKey.random()
        table = Table(seed: seed)
    }

    // MARK: - One key

    /// The value of a key, which is then the one used last; nil where there is none.
    public func get(_ key: [UInt8], now: UInt64) -> [UInt8]? {
        guard let slot = table.find(key, now: now) else {
            misses &+= 1
            return nil
        }
        hits &+= 1
        ledger.use &+= 1
        table.touch(slot, use: ledger.use)
        return table.slots[slot].value
    }

    /// Whether there is a value. It counts neither as a use nor in the statistics.
    public func exists(_ key: [UInt8], now: UInt64) -> Bool { table.find(key, now: now) != nil }

    /// Sets a value, and a time to live in milliseconds: without one it stays until it is evicted, whatever it had
    /// before.
    public func set(_ key: [UInt8], _ value: [UInt8], timeToLive: UInt64? = nil, now: UInt64) throws(CacheError) {
        try put(key, value, deadline: deadline(timeToLive, now), now: now)
    }

    /// Removes a key; whether it was there.
    @discardableResult
    public func delete(_ key: [UInt8], now: UInt64) -> Bool {
        let key = StoredKey(key)
        guard let slot = table.find(key, table.hash(key)) else { return false }
        let wasThere = table.slots[slot].deadline > now
        change { $0.remove(slot) }
        return wasThere
    }

    /// Makes a key the one that was used last; whether it is there.
    @discardableResult
    public func touch(_ key: [UInt8], now: UInt64) -> Bool {
        guard let slot = table.find(key, now: now) else { return false }
        ledger.use &+= 1
        table.touch(slot, use: ledger.use)
        return true
    }

    /// Gives a key another time to live in milliseconds, or none; whether it is there.
    @discardableResult
    public func expire(_ key: [UInt8], timeToLive: UInt64?, now: UInt64) throws(CacheError) -> Bool {
        let deadline = try deadline(timeToLive, now)
        guard let slot = table.find(key, now: now) else { return false }
        // A deadline costs memory, too.
        try check(
            cost: EntryCost.of(
                key: key.count, value: table.slots[slot].value.count, expires: deadline != .max))
        change { $0.expire(slot, at: deadline) }
        keepBounds(deadline: deadline, now: now)
        return true
    }

    /// How long a key will still be there.
    public func timeToLive(_ key: [UInt8], now: UInt64) -> TimeToLive {
        guard let slot = table.find(key, now: now) else { return .missing }
        let deadline = table.slots[slot].deadline
        return deadline == .max ? .unlimited : .milliseconds(deadline - now)
    }

    /// How long a key will still be there, unless it is evicted.
    public enum TimeToLive: Sendable, Hashable {
        /// It is not there.
        case missing
        /// It has no deadline.
        case unlimited
        /// So many milliseconds, at least one.
        case milliseconds(UInt64)
    }

    // MARK: - Read and changed in one step

    /// Sets a value if the present one is `expected` (nil: if there is none); whether it was.
    public func compareAndSet(
        _ key: [UInt8], expected: [UInt8]?, _ value: [UInt8], timeToLive: UInt64? = nil, now: UInt64
    ) throws(CacheError) -> Bool {
        let deadline = try deadline(timeToLive, now)
        guard isOpen else { throw .dropped }
        guard table.find(key, now: now).map({ table.slots[$0].value }) == expected else { return false }
        try put(key, value, deadline: deadline, now: now)
        return true
    }

    /// Adds to a value that is a decimal number; a key that is not there counts as 0. The time to live stays.
    ///
    /// - Throws: ``CacheError/notANumber`` unless the value is what a number of 64 bits with sign prints as;
    ///   ``CacheError/overflow``.
    @discardableResult
    public func increment(_ key: [UInt8], by amount: Int64 = 1, now: UInt64) throws(CacheError) -> Int64 {
        try change(key, now: now) { $0.addingReportingOverflow(amount) }
    }

    /// Subtracts from a value, as ``increment(_:by:now:)`` adds.
    @discardableResult
    public func decrement(_ key: [UInt8], by amount: Int64 = 1, now: UInt64) throws(CacheError) -> Int64 {
        try change(key, now: now) { $0.subtractingReportingOverflow(amount) }
    }

    private func change(
        _ key: [UInt8], now: UInt64, _ operation: (Int64) -> (partialValue: Int64, overflow: Bool)
    ) throws(CacheError) -> Int64 {
        var old: Int64 = 0
        var deadline = UInt64.max
        if let slot = table.find(key, now: now) {
            guard let number = decimal(table.slots[slot].value) else { throw .notANumber }
            old = number
            deadline = table.slots[slot].deadline
        }
        let (new, overflow) = operation(old)
        if overflow { throw .overflow }
        try put(key, Array(String(new).utf8), deadline: deadline, now: now)
        return new
    }

    // MARK: - Many keys

    /// The values of keys, in their order.
    public func getMany(_ keys: [[UInt8]], now: UInt64) -> [[UInt8]?] { keys.map { get($0, now: now) } }

    /// Sets values in their order. Either all are taken or, where one of them cannot be, none.
    public func setMany(
        _ entries: [(key: [UInt8], value: [UInt8])], timeToLive: UInt64? = nil, now: UInt64
    ) throws(CacheError) {
        let deadline = try deadline(timeToLive, now)
        for (key, value) in entries { try check(key, value, deadline: deadline) }
        for (key, value) in entries { try put(key, value, deadline: deadline, now: now) }
    }

    /// Removes keys; how many were there.
    @discardableResult
    public func deleteMany(_ keys: [[UInt8]], now: UInt64) -> Int {
        keys.count { delete($0, now: now) }
    }

    /// Removes everything. The memory is given back by ``CacheStore/collect(now:limit:)``.
    public func clear() {
        guard isOpen else { return }
        let old = table
        ledger.charge(account, from: old.usage, to: Usage())
        ledger.bury(old.slots, bytes: old.bytes)
        table = Table(seed: seed)
    }

    /// Some of the keys that match, in no order.
    ///
    /// A walk over all of them goes from page to page by ``CacheKeys/next``. A key that is there during the whole walk
    /// is in at least one page; what comes and goes meanwhile may be in none, and a key may be in two.
    ///
    /// - Parameters:
    ///   - limit: the most keys of a page.
    ///   - examining: the most entries that are looked at for a page.
    ///   - longest: after so many nanoseconds a page ends with what it has. A hostile expression takes 0.4 ms for each
    ///     key of the greatest length.
    public func keys(
        matching pattern: CachePattern, after cursor: CacheCursor? = nil, limit: Int = 1000, examining: Int = 10_000,
        longest: UInt64 = 5_000_000, now: UInt64
    ) -> CacheKeys {
        let start = monotonicNanoseconds()
        // From the end down, since an entry that gets another number gets a lower one: it is not passed over.
        var at = min(cursor?.rawValue ?? .max, table.slots.count)
        var page = CacheKeys()
        var examined = 0
        while at > 0, page.keys.count < limit, examined < examining {
            at -= 1
            examined += 1
            guard table.slots[at].deadline > now else { continue }
            let key = table.slots[at].key.bytes
            if pattern.matches(key) { page.keys.append(key) }
            if examined % pattern.patience == 0, monotonicNanoseconds() &- start > longest { break }
        }
        if at > 0 { page.next = CacheCursor(rawValue: at) }
        return page
    }

    /// What it holds and has done.
    public var statistics: CacheStatistics {
        CacheStatistics(
            entries: table.count, bytes: table.bytes, hits: hits, misses: misses, evictions: evictions,
            expirations: expirations)
    }

    // MARK: - Bounds

    func setQuota(_ quota: CacheQuota, now: UInt64) {
        self.quota = quota
        keepBounds(deadline: .max, now: now)
    }

    private func deadline(_ timeToLive: UInt64?, _ now: UInt64) throws(CacheError) -> UInt64 {
        guard let timeToLive else { return .max }
        let (deadline, overflow) = now.addingReportingOverflow(timeToLive)
        guard timeToLive > 0, !overflow, deadline < .max else { throw .invalidTimeToLive }
        return deadline
    }

    private func check(_ key: [UInt8], _ value: [UInt8], deadline: UInt64) throws(CacheError) {
        guard isOpen else { throw .dropped }
        guard key.count <= CacheLimits.longestKey else { throw .keyTooLong(key.count) }
        guard value.count <= CacheLimits.longestValue else { throw .valueTooLong(value.count) }
        try check(cost: EntryCost.of(key: key.count, value: value.count, expires: deadline != .max))
    }

    private func check(cost: Int) throws(CacheError) {
        guard cost <= quota.bytes, cost <= ledger.limits.bytes / 2, quota.entries > 0, ledger.limits.entries > 0 else {
            throw .overQuota(cost)
        }
    }

    private func put(_ key: [UInt8], _ value: [UInt8], deadline: UInt64, now: UInt64) throws(CacheError) {
        try check(key, value, deadline: deadline)
        ledger.use &+= 1
        let use = ledger.use
        change { $0.set(StoredKey(EntryCost.exact(key)), EntryCost.exact(value), deadline: deadline, use: use) }
        keepBounds(deadline: deadline, now: now)
    }

    private func change(_ body: (inout Table) -> Void) {
        let before = table.usage
        body(&table)
        ledger.charge(account, from: before, to: table.usage)
    }

    private func keepBounds(deadline: UInt64, now: UInt64) {
        if deadline < ledger.earliest { ledger.earliest = deadline }
        while table.bytes > quota.bytes || table.count > quota.entries {
            if collect(now: now, limit: 1) == 0 { evict() }
        }
        ledger.makeRoom(now: now)
    }

    // MARK: - For the ledger

    /// When the entry that was not used for longest was used last; nil where there is none.
    var oldestUse: UInt64? { table.oldest.map { table.recency.used($0) } }

    var firstDeadline: UInt64 { table.firstDeadline?.deadline ?? .max }

    /// Lets the entry go that was not used for longest.
    func evict() {
        guard let slot = table.oldest else { return }
        evictions += 1
        change { $0.remove(slot) }
    }

    /// Removes what has expired; returns how many entries.
    func collect(now: UInt64, limit: Int) -> Int {
        var count = 0
        while count < limit, let first = table.firstDeadline, first.deadline <= now {
            change { $0.remove(first.slot) }
            count += 1
        }
        expirations += UInt64(count)
        return count
    }

    /// Gives everything up for good.
    func leave() {
        clear()
        isOpen = false
    }

    // MARK: - For snapshots

    /// What a snapshot copies parts of.
    var contents: Table { table }

    /// Takes over what was loaded.
    func adopt(_ loaded: Table, now: UInt64) {
        change { $0 = loaded }
        keepBounds(deadline: firstDeadline, now: now)
    }
}
