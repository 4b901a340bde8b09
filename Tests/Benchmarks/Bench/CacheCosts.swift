// What a get from the cache costs in process: keys of 16 bytes, values of 64, each get timed alone, less what reading
// the clock takes.
internal import Cache
internal import Linux
internal import TestSupport

struct CacheCosts {
    private(set) var rows: [Row] = []

    init() throws(CacheError) {
        for count in [1_000, 100_000, 1_000_000] { try measure(count) }
    }

    private mutating func measure(_ count: Int) throws(CacheError) {
        let store = CacheStore(limits: CacheLimits(entries: count, bytes: 1 << 30))
        let namespace = try store.open(
            CacheOwner(user: 0), quota: CacheQuota(entries: count, bytes: 1 << 30), now: 0)
        for number in 0..<count { try namespace.set(Self.key(number), [UInt8](repeating: 1, count: 64), now: 0) }
        // Some keys are asked for much more often than others, as it is with caches (Zipf's law): the figure that
        // counts.
        let usual = time(namespace) { Int(Self.power(Double(count), Double.random(in: 0..<1, using: &$0))) - 1 }
        rows.append(Row("a get of \(count) keys, in process", usual, "ns", target: 100))
        if count > 1000 {
            // Every key alike: what is large lies in memory, and each access of that takes longer than all the rest.
            rows.append(Row("  every key as often", time(namespace) { Int.random(in: 0..<count, using: &$0) }, "ns"))
        }
        if namespace.statistics.misses > 0 {
            rows.append(Row("  misses", Double(namespace.statistics.misses), "", target: 0))
        }
    }

    private func time(_ namespace: CacheNamespace, _ next: (inout SeededGenerator) -> Int) -> Double {
        // Chosen beforehand: a system call in between would take the caches away.
        var random = SeededGenerator(seed: 1)
        let numbers = (0..<300_000).map { _ in next(&random) }
        var gets = Samples(), clocks = Samples()
        for number in numbers {
            let key = Self.key(number)
            let begin = monotonicNanoseconds()
            let value = namespace.get(key, now: 0)
            gets.append(monotonicNanoseconds() - begin)
            // What was read is used, or it need not be read.
            if value?.count != 64 { return .infinity }
            let empty = monotonicNanoseconds()
            clocks.append(monotonicNanoseconds() - empty)
        }
        return (gets.median - clocks.median) * 1000
    }

    /// "key:" and twelve digits.
    private static func key(_ number: Int) -> [UInt8] { Array("key:\(100_000_000_000 + number)".utf8) }

    /// `base` to a power between 0 and 1, by halving: the standard library has none.
    private static func power(_ base: Double, _ exponent: Double) -> Double {
        var result = 1.0, root = base, rest = exponent
        for _ in 0..<40 {
            root = root.squareRoot()
            rest *= 2
            if rest >= 1 {
                result *= root
                rest -= 1
            }
        }
        return result
    }
}
