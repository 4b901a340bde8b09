// Bounds hold for real memory, and no user or session takes what is another's.
import Foundation
import TestSupport
import Testing

@testable import Cache

/// Bytes of memory that the process has (statm(5)).
private func residentBytes() -> Int {
    let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    return text.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 4096 } ?? 0
}

private func key(_ number: Int) -> [UInt8] {
    // "key:" and twelve digits.
    var key = [UInt8](repeating: UInt8(ascii: "0"), count: 16)
    for (index, byte) in "key:".utf8.enumerated() { key[index] = byte }
    var rest = number
    for index in (4..<16).reversed() where rest > 0 {
        key[index] += UInt8(rest % 10)
        rest /= 10
    }
    return key
}

@Suite struct BoundTests {
    /// A process of its own, since the memory of this one is other tests' too. What the process grows by while a
    /// million entries come, and more than the bound lets stay, is within what is accounted for, which is within the
    /// bound.
    @Test func aMillionEntries() async {
        await #expect(processExitsWith: .success) {
            let limits = CacheLimits(entries: 1_000_000, bytes: 300 << 20)
            let store = CacheStore(limits: limits)
            let space = try store.open(
                CacheOwner(user: 1), quota: CacheQuota(entries: 2_000_000, bytes: 1 << 30), now: 0)
            let before = residentBytes()
            var largest = 0
            for number in 0..<1_100_000 {
                try space.set(key(number), [UInt8](repeating: 1, count: 64), now: 0)
                if number % 50_000 == 0 || number == 999_999 {
                    let grown = residentBytes() - before
                    largest = max(largest, grown)
                    // 2 MB for what malloc keeps ready and the test's own.
                    try #require(grown <= store.statistics.bytes + (2 << 20))
                    try #require(store.statistics.bytes <= limits.bytes)
                }
            }
            try #require(space.statistics.entries == 1_000_000 && space.statistics.evictions == 100_000)
            try #require(space.get(key(99_999), now: 0) == nil && space.get(key(100_000), now: 0) != nil)
            // And the account is not much more than what is true.
            try #require(largest > store.statistics.bytes * 6 / 10)
            print("1,000,000 entries: \(store.statistics.bytes >> 20) MB accounted for, \(largest >> 20) MB resident")

            // With deadlines and long keys, by memory instead of by number; then it all goes.
            store.drop(space)
            while store.nextExpiry != nil { store.collect(now: 1) }
            let small = CacheStore(limits: CacheLimits(entries: 1_000_000, bytes: 64 << 20))
            let other = try small.open(CacheOwner(user: 1), quota: CacheQuota(entries: .max, bytes: .max), now: 0)
            for number in 0..<300_000 {
                try other.set(
                    key(number) + key(number), [UInt8](repeating: 1, count: number % 400), timeToLive: 1000, now: 0)
                try #require(small.statistics.bytes <= 64 << 20)
            }
            try #require(other.statistics.entries > 100_000)
            small.collect(now: 1000, limit: .max)
            try #require(small.statistics.bytes == EntryCost.namespace)
        }
    }

    /// A user that holds no more than its share loses nothing, whatever the others set, in however many sessions.
    @Test func fairShare() throws {
        let value = [UInt8](repeating: 1, count: 300)
        for byBytes in [false, true] {
            let room = 400 * EntryCost.of(key: 4, value: 300, expires: false)
            let limits =
                byBytes ? CacheLimits(bytes: 12 * EntryCost.namespace + room + 50) : CacheLimits(entries: 400)
            let store = CacheStore(limits: limits)
            let modest = try store.open(CacheOwner(user: 1), now: 0)
            for number in 0..<200 { try modest.set(bytes("\(1000 + number)"), value, now: 0) }
            let greedy = try (0..<11).map { try store.open(CacheOwner(user: 2, session: "\($0)"), now: 0) }
            for number in 0..<3000 { try greedy[number % 11].set(bytes("\(1000 + number)"), value, now: 0) }
            #expect(modest.statistics.entries == 200 && modest.statistics.evictions == 0)
            #expect(greedy.reduce(0) { $0 + $1.statistics.entries } == 200)
            // The greedy one keeps what it used last, over all of its sessions.
            #expect(greedy[(3000 - 200) % 11].get(bytes("\(1000 + 2800)"), now: 0) != nil)
            #expect(greedy[(3000 - 201) % 11].get(bytes("\(1000 + 2799)"), now: 0) == nil)
            // And what the modest one leaves free is the greedy one's.
            modest.deleteMany((0..<150).map { bytes("\(1000 + $0)") }, now: 0)
            for number in 0..<3000 { try greedy[number % 11].set(bytes("\(1000 + number)"), value, now: 0) }
            #expect(modest.statistics.entries == 50)
            #expect(greedy.reduce(0) { $0 + $1.statistics.entries } == 350)
        }
    }

    /// Namespaces that were emptied, and got entries again, are found when room is needed.
    @Test func emptyNamespaces() throws {
        var random = seeded()
        let store = CacheStore(limits: CacheLimits(entries: 20))
        let spaces = try (0..<8).map { try store.open(CacheOwner(user: UInt32($0 % 3), session: "\($0)"), now: 0) }
        for number in 0..<5000 {
            let space = spaces[Int.random(in: 0..<8, using: &random)]
            if Int.random(in: 0..<10, using: &random) == 0 { space.clear() }
            try space.set(bytes("\(number)"), [1], now: 0)
            try #require(store.statistics.entries <= 20)
            try #require(space.exists(bytes("\(number)"), now: 0))
        }
        #expect(store.statistics.evictions > 1000)
    }

    @Test func namespacesAreBounded() throws {
        let store = CacheStore(limits: CacheLimits(bytes: 1 << 20, namespaces: 30, namespacesOfUser: 20))
        for number in 0..<20 { _ = try store.open(CacheOwner(user: 1, session: "\(number)"), now: 0) }
        #expect(throws: CacheError.tooManyNamespaces) { try store.open(CacheOwner(user: 1, session: "x"), now: 0) }
        // The one that is there is no new one.
        let same = try store.open(CacheOwner(user: 1, session: "7"), now: 0)
        for number in 0..<10 { _ = try store.open(CacheOwner(user: 2, session: "\(number)"), now: 0) }
        #expect(throws: CacheError.tooManyNamespaces) { try store.open(CacheOwner(user: 3), now: 0) }
        store.drop(same)
        _ = try store.open(CacheOwner(user: 3), now: 0)
        #expect(throws: CacheError.sessionTooLong(257)) {
            try store.open(CacheOwner(user: 3, session: String(repeating: "s", count: 257)), now: 0)
        }
        // Where memory is short, namespaces take at most half of it.
        let tight = CacheStore(limits: CacheLimits(bytes: 6 * EntryCost.namespace))
        for number in 0..<3 { _ = try tight.open(CacheOwner(user: UInt32(number)), now: 0) }
        #expect(throws: CacheError.tooManyNamespaces) { try tight.open(CacheOwner(user: 3), now: 0) }
    }

    /// The same keys in each namespace: every request of one leaves the others as they are.
    @Test func isolation() throws {
        let store = CacheStore()
        // To Swift's strings the last two sessions are equal, and no session is not an empty one.
        let owners = [
            CacheOwner(user: 1), CacheOwner(user: 2), CacheOwner(user: 1, session: ""),
            CacheOwner(user: 1, session: "a"),
            CacheOwner(user: 2, session: "a"), CacheOwner(user: 1, session: ";"),
            CacheOwner(user: 1, session: "\u{37e}"),
        ]
        let spaces = try owners.map { try store.open($0, now: 0) }
        for (index, space) in spaces.enumerated() {
            #expect(space.get(bytes("k"), now: 0) == nil && space.allKeys(now: 0) == [])
            try space.set(bytes("k"), [UInt8(index)], now: 0)
            try space.set(bytes("only-\(index)"), [1], now: 0)
        }
        for (index, space) in spaces.enumerated() {
            #expect(space.get(bytes("k"), now: 0) == [UInt8(index)])
            #expect(space.allKeys(now: 0) == ["k", "only-\(index)"])
            #expect(try !space.compareAndSet(bytes("k"), expected: [99], [1], now: 0))
        }
        spaces[0].clear()
        spaces[1].delete(bytes("k"), now: 0)
        store.drop(spaces[2])
        try spaces[3].expire(bytes("k"), timeToLive: 1, now: 0)
        store.collect(now: 5)
        for index in 4..<7 { #expect(spaces[index].get(bytes("k"), now: 5) == [UInt8(index)]) }
        #expect(try store.open(owners[4], now: 5) === spaces[4])
    }

    /// A smaller quota holds at once.
    @Test func otherQuota() throws {
        let one = try OneNamespace()
        for number in 0..<100 { try one.namespace.set(bytes("\(number)"), [1], now: 0) }
        _ = try one.store.open(CacheOwner(user: 1), quota: CacheQuota(entries: 2), now: 0)
        #expect(one.namespace.allKeys(now: 0) == ["98", "99"])
    }
}
