// What can go wrong with a request to the cache. Nothing is changed where one of these is thrown.

/// Why a request to the cache was refused.
public enum CacheError: Error, Sendable, Hashable {
    /// A key of so many bytes is longer than ``CacheLimits/longestKey``.
    case keyTooLong(Int)
    /// A value of so many bytes is longer than ``CacheLimits/longestValue``.
    case valueTooLong(Int)
    /// The entry would cost so many bytes, which is more than its namespace or the whole cache may hold.
    case overQuota(Int)
    /// A time to live is at least a millisecond, and it ends while the clock can still say so.
    case invalidTimeToLive
    /// The value is no decimal number of 64 bits with sign.
    case notANumber
    /// The number would need more than 64 bits.
    case overflow
    /// Not a pattern, for this reason.
    case invalidPattern(String)
    /// The session has been closed, and its namespace with it.
    case dropped
    /// A user, or all of them, have as many namespaces as there may be.
    case tooManyNamespaces
    /// The name of a session is longer than ``CacheOwner/longestSession`` bytes.
    case sessionTooLong(Int)
}
