/// SplitMix64 (Steele, Lea, Flood 2014): a run is repeated by its seed, which a failure has to print.
public struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    /// A generator that always gives the same numbers for a seed.
    public init(seed: UInt64) { state = seed }

    /// The next number.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

/// A generator with a new seed, which is printed.
public func seeded(_ name: String = #function) -> SeededGenerator {
    let seed = UInt64.random(in: .min ... .max)
    print("\(name): seed \(seed)")
    return SeededGenerator(seed: seed)
}
