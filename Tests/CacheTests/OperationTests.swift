// What each request does, and what it does where it cannot.
import TestSupport
import Testing

@testable import Cache

@Suite struct OperationTests {
    @Test func keysAreBytes() throws {
        let one = try OneNamespace()
        // To Swift's strings these are equal in pairs.
        let keys = ["\u{e9}", "e\u{301}", ";", "\u{37e}", "K", "\u{212a}", "", "\0", "\0\0"]
        for (index, key) in keys.enumerated() { try one.namespace.set(bytes(key), [UInt8(index)], now: 1) }
        for (index, key) in keys.enumerated() { #expect(one.namespace.get(bytes(key), now: 1) == [UInt8(index)]) }
        #expect(one.namespace.statistics.entries == keys.count)
    }

    /// Keys on both sides of the length at which they are kept in another way.
    @Test func lengthsOfKeys() throws {
        let one = try OneNamespace()
        for length in 0...40 { try one.namespace.set(Array(repeating: 0xFF, count: length), [UInt8(length)], now: 1) }
        for length in 0...40 {
            #expect(one.namespace.get(Array(repeating: 0xFF, count: length), now: 1) == [UInt8(length)])
            if length > 0 {
                #expect(one.namespace.get(Array(repeating: 0xFF, count: length - 1) + [0], now: 1) == nil)
            }
        }
        let keys = one.namespace.keys(matching: .all, longest: .max, now: 1).keys
        #expect(Set(keys) == Set((0...40).map { Array(repeating: 0xFF, count: $0) }))
    }

    @Test func limits() throws {
        let one = try OneNamespace(quota: CacheQuota(entries: 10, bytes: 10_000))
        try one.namespace.set(bytes("a"), [1], now: 1)
        let long = [UInt8](repeating: 1, count: CacheLimits.longestKey + 1)
        #expect(throws: CacheError.keyTooLong(1025)) { try one.namespace.set(long, [1], now: 1) }
        #expect(one.namespace.get(long, now: 1) == nil)
        let longValue = [UInt8](repeating: 1, count: CacheLimits.longestValue + 1)
        #expect(throws: CacheError.valueTooLong((1 << 20) + 1)) { try one.namespace.set(bytes("a"), longValue, now: 1) }
        let large = [UInt8](repeating: 1, count: 10_000)
        #expect(throws: CacheError.self) { try one.namespace.set(bytes("a"), large, now: 1) }
        #expect(throws: CacheError.self) {
            try one.namespace.setMany([(bytes("a"), [2]), (bytes("b"), large)], now: 1)
        }
        #expect(one.namespace.get(bytes("a"), now: 1) == [1])
        #expect(one.namespace.statistics.entries == 1)
        let none = try OneNamespace(quota: CacheQuota(entries: 0))
        #expect(throws: CacheError.self) { try none.namespace.set(bytes("a"), [1], now: 1) }
    }

    /// A value with room behind it must not take memory that nobody counts.
    @Test func roomBehindValues() throws {
        let one = try OneNamespace()
        var value: [UInt8] = [1, 2, 3]
        value.reserveCapacity(1 << 20)
        try one.namespace.set(bytes("a"), value, now: 1)
        let stored = try #require(one.namespace.get(bytes("a"), now: 1))
        #expect(stored == [1, 2, 3] && stored.capacity < 64)
        var mine = stored
        mine[0] = 9
        #expect(one.namespace.get(bytes("a"), now: 1) == [1, 2, 3])
    }

    @Test(arguments: [
        "", "-", "+1", " 1", "1 ", "01", "-0", "00", "1.0", "0x1", "1e3", "9223372036854775808", "-9223372036854775809",
        "99999999999999999999999", "\u{661}", "1\0",
    ]) func notNumbers(_ value: String) throws {
        let one = try OneNamespace()
        try one.namespace.set(bytes("n"), bytes(value), now: 1)
        #expect(throws: CacheError.notANumber) { try one.namespace.increment(bytes("n"), now: 1) }
        #expect(throws: CacheError.notANumber) { try one.namespace.decrement(bytes("n"), now: 1) }
        #expect(one.namespace.get(bytes("n"), now: 1) == bytes(value))
    }

    @Test func counters() throws {
        let one = try OneNamespace()
        let key = bytes("n")
        #expect(try one.namespace.increment(key, now: 1) == 1)
        #expect(try one.namespace.decrement(key, by: 11, now: 1) == -10)
        #expect(text(one.namespace.get(key, now: 1)) == "-10")
        try one.namespace.set(key, bytes("\(Int64.max)"), timeToLive: 50, now: 1)
        #expect(throws: CacheError.overflow) { try one.namespace.increment(key, now: 1) }
        #expect(text(one.namespace.get(key, now: 1)) == "\(Int64.max)")
        // The time to live stays, and what has expired counts as 0.
        #expect(try one.namespace.decrement(key, now: 1) == .max - 1)
        #expect(one.namespace.timeToLive(key, now: 1) == .milliseconds(50))
        #expect(try one.namespace.increment(key, now: 51) == 1)
        #expect(one.namespace.timeToLive(key, now: 51) == .unlimited)
        try one.namespace.set(key, bytes("\(Int64.min)"), now: 60)
        #expect(throws: CacheError.overflow) { try one.namespace.decrement(key, now: 60) }
        // −(−2⁶³) is no number of 64 bits, but −1 − (−2⁶³) is.
        try one.namespace.set(key, bytes("-1"), now: 60)
        #expect(try one.namespace.decrement(key, by: .min, now: 60) == .max)
    }

    @Test func compareAndSet() throws {
        let one = try OneNamespace()
        let key = bytes("k")
        #expect(try !one.namespace.compareAndSet(key, expected: [], bytes("1"), now: 1))
        #expect(try one.namespace.compareAndSet(key, expected: nil, bytes("1"), timeToLive: 10, now: 1))
        #expect(try !one.namespace.compareAndSet(key, expected: nil, bytes("2"), now: 1))
        #expect(try !one.namespace.compareAndSet(key, expected: bytes("2"), bytes("3"), now: 1))
        #expect(text(one.namespace.get(key, now: 1)) == "1")
        #expect(try one.namespace.compareAndSet(key, expected: bytes("1"), bytes("2"), timeToLive: 10, now: 1))
        // What has expired is not there.
        #expect(try !one.namespace.compareAndSet(key, expected: bytes("2"), bytes("3"), now: 11))
        #expect(try one.namespace.compareAndSet(key, expected: nil, bytes("4"), now: 11))
        #expect(text(one.namespace.get(key, now: 11)) == "4")
    }

    @Test func many() throws {
        let one = try OneNamespace()
        try one.namespace.setMany([(bytes("a"), [1]), (bytes("b"), [2]), (bytes("a"), [3])], timeToLive: 5, now: 1)
        #expect(one.namespace.getMany([bytes("b"), bytes("x"), bytes("a")], now: 1) == [[2], nil, [3]])
        #expect(one.namespace.deleteMany([bytes("a"), bytes("a"), bytes("x")], now: 1) == 1)
        #expect(one.namespace.getMany([bytes("b"), bytes("a")], now: 6) == [nil, nil])
        let statistics = one.namespace.statistics
        #expect(statistics.hits == 2 && statistics.misses == 3)
    }

    @Test func clearAndDrop() throws {
        let store = CacheStore()
        let owner = CacheOwner(user: 1, session: "s")
        let namespace = try store.open(owner, now: 1)
        for number in 0..<10_000 { try namespace.set(bytes("\(number)"), [1], timeToLive: 5, now: 1) }
        let full = store.statistics.bytes
        namespace.clear()
        #expect(namespace.get(bytes("1"), now: 1) == nil && namespace.statistics.entries == 0)
        // It is accounted for until it is given back, and that is done in slices.
        #expect(store.statistics.bytes == full && store.nextExpiry == 0)
        let first = store.collect(now: 1, limit: 500)
        #expect((500...700).contains(first) && store.statistics.bytes < full)
        while let next = store.nextExpiry, next <= 1 { store.collect(now: 1) }
        #expect(store.statistics.bytes == EntryCost.namespace)

        try namespace.set(bytes("a"), [1], now: 1)
        store.drop(namespace)
        #expect(!namespace.isOpen && namespace.get(bytes("a"), now: 1) == nil && store.namespace(of: owner) == nil)
        #expect(throws: CacheError.dropped) { try namespace.set(bytes("a"), [1], now: 1) }
        #expect(throws: CacheError.dropped) { try namespace.increment(bytes("a"), now: 1) }
        #expect(throws: CacheError.dropped) {
            try namespace.compareAndSet(bytes("a"), expected: nil, [1], now: 1)
        }
        store.drop(namespace)
        #expect(try store.open(owner, now: 1).get(bytes("a"), now: 1) == nil)
        // Those of before it was dropped count; one on what was dropped does not.
        #expect(store.statistics.misses == 2)
    }

    /// Where the cache itself is gone, so is every way into it.
    @Test func storeGoesAway() throws {
        var store: CacheStore? = CacheStore()
        weak let gone = store
        let namespace = try #require(try store?.open(CacheOwner(user: 1), now: 1))
        try namespace.set(bytes("a"), [1], now: 1)
        store = nil
        #expect(gone == nil && namespace.get(bytes("a"), now: 1) == nil)
        #expect(throws: CacheError.dropped) { try namespace.set(bytes("a"), [1], now: 1) }
    }

    /// The published vectors for the key 00…0f and the texts (), (00), … (00…0e).
    @Test func sipHash() {
        let key = SipKey(first: 0x0706_0504_0302_0100, second: 0x0f0e_0d0c_0b0a_0908)
        let expected: [Int: UInt64] = [
            0: 0x726f_db47_dd0e_0e31, 1: 0x74f8_39c5_93dc_67fd, 8: 0x93f5_f579_9a93_2462, 15: 0xa129_ca61_49be_45e5,
        ]
        for (count, hash) in expected {
            var whole = Checksum(key), pieces = Checksum(key)
            let text = (0..<count).map { UInt8($0) }
            whole.add(text[...])
            for byte in text { pieces.add([byte]) }
            #expect(whole.value == hash && pieces.value == hash)
        }
    }
}
