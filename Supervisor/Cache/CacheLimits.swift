// How much the cache may hold, in all and in one namespace, and what it has done.

/// Bounds on the whole cache.
public struct CacheLimits: Sendable, Hashable {
    /// Entries in all namespaces together.
    public var entries: Int
    /// Bytes of memory in all namespaces together, with everything that an entry costs beside its key and value.
    public var bytes: Int
    /// Namespaces in all, and of one user.
    public var namespaces: Int, namespacesOfUser: Int

    /// Bounds. The defaults are those of a supervisor that many users share.
    public init(
        entries: Int = 1_000_000, bytes: Int = 256 << 20, namespaces: Int = 4096, namespacesOfUser: Int = 256
    ) {
        // Slots are numbered in 32 bits, and the index is sound far beyond this.
        self.entries = min(max(entries, 0), 1 << 27)
        self.bytes = max(bytes, 0)
        self.namespaces = namespaces
        self.namespacesOfUser = namespacesOfUser
    }

    /// Bytes of the longest key.
    public static let longestKey = 1024
    /// Bytes of the longest value.
    public static let longestValue = 1 << 20
}

/// Bounds on one namespace.
public struct CacheQuota: Sendable, Hashable {
    /// Entries.
    public var entries: Int
    /// Bytes of memory, counted as in ``CacheLimits/bytes``.
    public var bytes: Int

    /// A quota.
    public init(entries: Int = 100_000, bytes: Int = 64 << 20) {
        self.entries = max(entries, 0)
        self.bytes = max(bytes, 0)
    }
}

/// Whose a namespace is. Two are the same when their bytes are.
public struct CacheOwner: Sendable, Hashable {
    /// The user's number.
    public let user: UInt32
    /// The name of the session, as bytes; nil for what outlives the user's sessions.
    public let session: [UInt8]?

    /// Bytes of the longest name of a session.
    public static let longestSession = 256

    /// A user's namespace, or that of one of the user's sessions.
    public init(user: UInt32, session: String? = nil) {
        self.user = user
        self.session = session.map { Array($0.utf8) }
    }

    init(user: UInt32, sessionBytes: [UInt8]?) {
        self.user = user
        session = sessionBytes
    }
}

/// What a cache, or one of its namespaces, holds and has done.
public struct CacheStatistics: Sendable, Hashable {
    /// Entries, with those that have expired and are not collected yet.
    public var entries = 0
    /// What they cost, in bytes of memory.
    public var bytes = 0
    /// Gets that found their key, and gets that did not.
    public var hits: UInt64 = 0, misses: UInt64 = 0
    /// Entries that had to go for a bound.
    public var evictions: UInt64 = 0
    /// Entries that were collected after their time.
    public var expirations: UInt64 = 0

    static func += (one: inout CacheStatistics, other: CacheStatistics) {
        one.entries += other.entries
        one.bytes += other.bytes
        one.hits += other.hits
        one.misses += other.misses
        one.evictions += other.evictions
        one.expirations += other.expirations
    }
}
