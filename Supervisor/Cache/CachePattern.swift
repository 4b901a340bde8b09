// Which keys are meant, and where a walk over them stands.

/// A pattern of keys: it must match the whole key.
public enum CachePattern: Sendable {
    /// Every key.
    case all
    /// As a shell's pattern.
    case glob(KeyGlob)
    /// A regular expression of RE2.
    case expression(KeyExpression)

    /// After how many keys it is time to look at the clock, which costs as much as a short key.
    var patience: Int { if case .expression = self { 1 } else { 16 } }

    func matches(_ key: [UInt8]) -> Bool {
        switch self {
        case .all: true
        case .glob(let glob): glob.matches(key)
        case .expression(let expression): expression.matches(key)
        }
    }
}

/// Where a walk over keys goes on. Any number is a valid one; a wrong one only gives other keys.
public struct CacheCursor: Sendable, Hashable, RawRepresentable {
    /// How many entries are still to be looked at, about.
    public let rawValue: UInt32
    /// A cursor that was given out before.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// A page of keys.
public struct CacheKeys: Sendable, Hashable {
    /// The keys, in no order.
    public internal(set) var keys: [[UInt8]] = []
    /// Where to go on; nil where nothing is left. A page may be empty and yet have one.
    public internal(set) var next: CacheCursor?
}
