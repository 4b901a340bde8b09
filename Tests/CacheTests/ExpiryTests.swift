// What has expired is never seen, goes in the order of its deadlines, and costs no scan.
import TestSupport
import Testing

@testable import Cache

@Suite struct ExpiryTests {
    @Test func neverSeen() throws {
        let one = try OneNamespace()
        let key = bytes("k")
        try one.namespace.set(key, [1], timeToLive: 10, now: 100)
        #expect(one.namespace.timeToLive(key, now: 109) == .milliseconds(1))
        #expect(one.namespace.exists(key, now: 109))
        #expect(!one.namespace.exists(key, now: 110) && one.namespace.get(key, now: 110) == nil)
        #expect(one.namespace.timeToLive(key, now: 110) == .missing && !one.namespace.touch(key, now: 110))
        #expect(try !one.namespace.expire(key, timeToLive: 10, now: 110))
        #expect(one.namespace.keys(matching: .all, now: 110).keys == [])
        #expect(!one.namespace.delete(key, now: 110))
        #expect(one.namespace.statistics.entries == 0)
    }

    @Test func timeToLive() throws {
        let one = try OneNamespace()
        let key = bytes("k")
        #expect(throws: CacheError.invalidTimeToLive) { try one.namespace.set(key, [1], timeToLive: 0, now: 5) }
        for long: UInt64 in [.max, .max - 5] {
            #expect(throws: CacheError.invalidTimeToLive) { try one.namespace.set(key, [1], timeToLive: long, now: 5) }
        }
        #expect(!one.namespace.exists(key, now: 5))
        try one.namespace.set(key, [1], timeToLive: UInt64.max - 6, now: 5)
        #expect(one.store.nextExpiry == UInt64.max - 1)
        try one.namespace.set(key, [1], now: 5)
        #expect(one.namespace.timeToLive(key, now: 5) == .unlimited)
        #expect(try one.namespace.expire(key, timeToLive: 7, now: 5))
        #expect(one.namespace.timeToLive(key, now: 6) == .milliseconds(6))
        #expect(try one.namespace.expire(key, timeToLive: nil, now: 6))
        #expect(one.namespace.exists(key, now: 1000))
    }

    /// One by one, over several namespaces, and each of them at the moment that was foretold.
    @Test func order() throws {
        var random = seeded()
        let store = CacheStore()
        let spaces = try (0..<3).map { try store.open(CacheOwner(user: UInt32($0)), now: 0) }
        var deadlines: [UInt64] = []
        for number in 0..<3000 {
            let space = spaces[number % 3]
            let time = UInt64.random(in: 1...5000, using: &random)
            try space.set(bytes("\(number)"), [1], timeToLive: time, now: 0)
            switch Int.random(in: 0...3, using: &random) {
            case 0: space.delete(bytes("\(number)"), now: 0)
            case 1: try space.expire(bytes("\(number)"), timeToLive: nil, now: 0)
            case 2:
                let other = UInt64.random(in: 1...5000, using: &random)
                try space.expire(bytes("\(number)"), timeToLive: other, now: 0)
                deadlines.append(other)
            default: deadlines.append(time)
            }
        }
        deadlines.sort()
        var collected = 0
        while let next = store.nextExpiry {
            store.collect(now: next - 1)
            let due = deadlines[collected...].prefix { $0 < next }.count
            #expect(due == 0)
            let now = store.nextExpiry ?? next
            let count = store.collect(now: now)
            #expect(count == deadlines[collected...].prefix { $0 <= now }.count)
            collected += count
        }
        #expect(collected == deadlines.count && store.statistics.expirations == UInt64(collected))
        #expect(store.statistics.entries == spaces.reduce(0) { $0 + $1.allKeys(now: 10_000).count })
    }

    /// The work of a call is bounded, no namespace keeps another's memory waiting, and nothing is done without need.
    @Test func slices() throws {
        let store = CacheStore()
        let first = try store.open(CacheOwner(user: 1), now: 0), second = try store.open(CacheOwner(user: 2), now: 0)
        for number in 0..<5000 { try first.set(bytes("\(number)"), [1], timeToLive: 10, now: 0) }
        for number in 0..<50 { try second.set(bytes("\(number)"), [1], timeToLive: 10, now: 0) }
        #expect(store.nextExpiry == 10 && store.collect(now: 9) == 0)
        #expect(store.collect(now: 10, limit: 100) == 100)
        #expect(store.nextExpiry == 10)
        #expect(store.collect(now: 10, limit: 100) == 100)
        #expect(second.statistics.entries == 0)
        var calls = 2
        while let next = store.nextExpiry, next <= 10 {
            #expect(store.collect(now: 10, limit: 100) <= 100)
            calls += 1
        }
        #expect(store.statistics.entries == 0 && store.nextExpiry == nil && (50...53).contains(calls))
    }

    /// Where room is needed, what has expired goes before what is still of use.
    @Test func expiredGoesFirst() throws {
        let one = try OneNamespace(quota: CacheQuota(entries: 3))
        try one.namespace.set(bytes("a"), [1], now: 0)
        try one.namespace.set(bytes("b"), [1], timeToLive: 5, now: 0)
        try one.namespace.set(bytes("c"), [1], now: 0)
        try one.namespace.set(bytes("d"), [1], now: 5)
        #expect(one.namespace.allKeys(now: 5) == ["a", "c", "d"])
        #expect(one.namespace.statistics.evictions == 0 && one.namespace.statistics.expirations == 1)
    }
}
