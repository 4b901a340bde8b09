// The cache of a supervisor: all namespaces, and what holds for them together.

/// The cache: a namespace for each user and session, within bounds on all of them.
///
/// Times are milliseconds of a clock that never goes back. It is used from one thread.
public final class CacheStore {
    private let ledger: Ledger
    private var namespaces: [CacheOwner: CacheNamespace] = [:]

    /// An empty cache.
    public init(limits: CacheLimits = CacheLimits()) { ledger = Ledger(limits: limits) }

    // Namespaces and the ledger refer to each other.
    deinit { ledger.removeAll() }

    /// The bounds.
    public var limits: CacheLimits { ledger.limits }

    /// The namespace of an owner, made where there is none. One that is there gets this quota, and is kept or not as
    /// said here. Whoever calls has made sure that the owner is the one who asks.
    public func open(
        _ owner: CacheOwner, quota: CacheQuota = CacheQuota(), isKept: Bool = false, now: UInt64
    ) throws(CacheError) -> CacheNamespace {
        if let namespace = namespaces[owner] {
            namespace.isKept = isKept
            namespace.setQuota(quota, now: now)
            return namespace
        }
        if let count = owner.session?.count, count > CacheOwner.longestSession { throw .sessionTooLong(count) }
        let account = ledger.account(of: owner.user)
        guard ledger.mayOpen(for: account) else { throw .tooManyNamespaces }
        let namespace = CacheNamespace(owner, quota: quota, isKept: isKept, account: account, ledger: ledger)
        namespaces[owner] = namespace
        ledger.add(namespace)
        ledger.makeRoom(now: now)
        return namespace
    }

    /// The namespace of an owner, if there is one.
    public func namespace(of owner: CacheOwner) -> CacheNamespace? { namespaces[owner] }

    /// Closes a namespace, with everything in it: its session is over. References to it find nothing any more.
    public func drop(_ namespace: CacheNamespace) {
        guard namespaces[namespace.owner] === namespace else { return }
        namespaces[namespace.owner] = nil
        ledger.remove(namespace)
        namespace.leave()
    }

    /// When ``collect(now:limit:)`` has something to do; it may turn out to be nothing. Nil: not before something is
    /// set.
    public var nextExpiry: UInt64? { ledger.nextExpiry }

    /// Removes what has expired and gives back the memory of what was dropped.
    ///
    /// - Parameter limit: about the most entries of one call. Where more is left, ``nextExpiry`` is not in the future.
    /// - Returns: how many entries.
    @discardableResult
    public func collect(now: UInt64, limit: Int = 1000) -> Int { ledger.collect(now: now, limit: limit) }

    /// What all namespaces hold, and what they and those that were dropped have done. Its bytes are everything that is
    /// accounted for: also the namespaces themselves and what waits to be given back.
    public var statistics: CacheStatistics {
        var sum = ledger.departed
        for namespace in namespaces.values { sum += namespace.statistics }
        sum.bytes = ledger.bytes
        return sum
    }

    // MARK: - For snapshots

    var isEmpty: Bool { namespaces.isEmpty }
    var all: [CacheNamespace] { ledger.namespaces }
    var kept: [CacheNamespace] { all.filter(\.isKept) }

    /// The count of uses.
    var uses: UInt64 {
        get { ledger.use }
        set { ledger.use = newValue }
    }

    func restore(_ owner: CacheOwner, _ table: Table, quota: CacheQuota, now: UInt64) throws(CacheError) {
        try open(owner, quota: quota, isKept: true, now: now).adopt(table, now: now)
    }
}
