// Random requests to the cache and to a model of it that is a dictionary and a few loops. Whatever one answers, the
// other has to answer, too, and they have to hold the same entries all the time.
import TestSupport
import Testing

@testable import Cache

/// A cache as simple as can be: everything is looked at each time.
private struct Model {
    struct Entry {
        var value: [UInt8]
        var deadline: UInt64
        var used: Int
    }

    struct Space {
        let user: Int
        var entries: [[UInt8]: Entry] = [:]
        var evictions = 0, hits = 0, misses = 0, expirations = 0

        var bytes: Int { entries.reduce(0) { $0 + Model.cost($1.key, $1.value) } }
    }

    var spaces: [Space]
    let quota: CacheQuota
    let limits: CacheLimits
    var uses = 0

    static func cost(_ key: [UInt8], _ entry: Entry) -> Int {
        EntryCost.of(key: key.count, value: entry.value.count, expires: entry.deadline != .max)
    }

    func find(_ key: [UInt8], _ space: Int, _ now: UInt64) -> Entry? {
        spaces[space].entries[key].flatMap { $0.deadline > now ? $0 : nil }
    }

    mutating func get(_ key: [UInt8], _ space: Int, _ now: UInt64) -> [UInt8]? {
        guard let entry = find(key, space, now) else {
            spaces[space].misses += 1
            return nil
        }
        spaces[space].hits += 1
        use(key, space)
        return entry.value
    }

    mutating func use(_ key: [UInt8], _ space: Int) {
        uses += 1
        spaces[space].entries[key]?.used = uses
    }

    mutating func set(_ key: [UInt8], _ value: [UInt8], _ deadline: UInt64, _ space: Int, _ now: UInt64) {
        spaces[space].entries[key] = Entry(value: value, deadline: deadline, used: 0)
        use(key, space)
        keepBounds(space, now)
    }

    mutating func keepBounds(_ space: Int, _ now: UInt64) {
        while spaces[space].bytes > quota.bytes || spaces[space].entries.count > quota.entries {
            let entries = spaces[space].entries
            let first = entries.min { $0.value.deadline < $1.value.deadline }
            if let first, first.value.deadline <= now {
                spaces[space].entries[first.key] = nil
                spaces[space].expirations += 1
            } else if let oldest = entries.min(by: { $0.value.used < $1.value.used }) {
                spaces[space].entries[oldest.key] = nil
                spaces[space].evictions += 1
            }
        }
        while true {
            let room = limits.bytes - spaces.count * EntryCost.namespace
            let byBytes = spaces.reduce(0) { $0 + $1.bytes } > room
            guard byBytes || spaces.reduce(0, { $0 + $1.entries.count }) > limits.entries else { return }
            let users = Set(spaces.map(\.user))
            let share = (byBytes ? room : limits.entries) / users.count
            let over = users.filter { user in
                let own = spaces.filter { $0.user == user }
                return (byBytes ? own.reduce(0) { $0 + $1.bytes } : own.reduce(0) { $0 + $1.entries.count }) > share
            }
            var oldest: (space: Int, key: [UInt8], used: Int)?
            for index in spaces.indices where over.contains(spaces[index].user) {
                for (key, entry) in spaces[index].entries where oldest.map({ entry.used < $0.used }) ?? true {
                    oldest = (index, key, entry.used)
                }
            }
            guard let oldest else { return }
            spaces[oldest.space].entries[oldest.key] = nil
            spaces[oldest.space].evictions += 1
        }
    }
}

@Suite struct ModelTests {
    @Test(arguments: [
        (1, 1, CacheQuota(entries: 40, bytes: 1 << 20), CacheLimits()),
        (1, 1, CacheQuota(entries: 1000, bytes: 9000), CacheLimits()),
        (1, 1, CacheQuota(), CacheLimits()),
        (3, 6, CacheQuota(entries: 30, bytes: 7000), CacheLimits(entries: 80, bytes: 1 << 20)),
        (3, 6, CacheQuota(), CacheLimits(entries: 1000, bytes: 6 * EntryCost.namespace + 70_000)),
    ]) func sameAsModel(_ users: Int, _ spaces: Int, _ quota: CacheQuota, _ limits: CacheLimits) throws {
        var random = seeded()
        let store = CacheStore(limits: limits)
        var model = Model(spaces: (0..<spaces).map { Model.Space(user: $0 % users) }, quota: quota, limits: limits)
        let namespaces = try (0..<spaces).map { index in
            try store.open(
                CacheOwner(user: UInt32(index % users), session: index < users ? nil : "\(index)"), quota: quota, now: 0
            )
        }
        var now: UInt64 = 1
        for round in 0..<15_000 {
            // Deadlines fall on different milliseconds, since nobody says which of two equal ones comes first.
            now += UInt64.random(in: 1...3, using: &random)
            if spaces > 1 || round % 50 == 0 { collect(store, &model, now) }
            let space = Int.random(in: 0..<spaces, using: &random)
            let name = Int.random(in: 0..<70, using: &random)
            let key = Array(repeating: UInt8(name), count: name)
            try step(namespaces[space], &model, space, key, now, &random)
            for (index, namespace) in namespaces.enumerated() {
                let statistics = namespace.statistics
                try #require(statistics.entries == model.spaces[index].entries.count)
                try #require(statistics.bytes == model.spaces[index].bytes)
                try #require(statistics.evictions == model.spaces[index].evictions)
                try #require(statistics.expirations == model.spaces[index].expirations)
                try #require(statistics.hits == model.spaces[index].hits)
                try #require(statistics.misses == model.spaces[index].misses)
            }
            if round % 100 == 0 {
                for (index, namespace) in namespaces.enumerated() {
                    let keys = model.spaces[index].entries.filter { $0.value.deadline > now }.keys
                    try #require(
                        namespace.allKeys(limit: 7, now: now)
                            == keys.map { String(decoding: $0, as: UTF8.self) }.sorted())
                }
            }
        }
        let isBounded = quota.entries < 100 || quota.bytes < 10_000 || limits.bytes < 1 << 20
        #expect(!isBounded || store.statistics.evictions > 300)
        #expect(store.statistics.expirations > 100 && store.statistics.hits > 500)
        #expect(store.statistics.bytes == namespaces.reduce(spaces * EntryCost.namespace) { $0 + $1.statistics.bytes })
    }

    private func collect(_ store: CacheStore, _ model: inout Model, _ now: UInt64) {
        store.collect(now: now)
        for index in model.spaces.indices {
            let expired = model.spaces[index].entries.filter { $0.value.deadline <= now }
            for key in expired.keys { model.spaces[index].entries[key] = nil }
            model.spaces[index].expirations += expired.count
        }
    }

    private func step(
        _ namespace: CacheNamespace, _ model: inout Model, _ space: Int, _ key: [UInt8], _ now: UInt64,
        _ random: inout SeededGenerator
    ) throws {
        let value = [UInt8](repeating: 7, count: Int.random(in: 0...300, using: &random))
        // Unique as long as `now` grows by less than what they are a multiple of.
        let timeToLive = Bool.random(using: &random) ? nil : UInt64.random(in: 1...40, using: &random) * 20_000 + 1
        let brief = Int.random(in: 0...3, using: &random) == 0 ? UInt64.random(in: 1...60, using: &random) : timeToLive
        let isFree = brief.map { ttl in
            !model.spaces.contains { $0.entries.values.contains { $0.deadline == now + ttl } }
        }
        let chosen = isFree == false ? nil : brief
        let deadline = chosen.map { now + $0 } ?? .max
        let there = model.find(key, space, now)
        switch Int.random(in: 0...11, using: &random) {
        case 0...2:
            try namespace.set(key, value, timeToLive: chosen, now: now)
            model.set(key, value, deadline, space, now)
        case 3...5: try #require(namespace.get(key, now: now) == model.get(key, space, now))
        case 6:
            try #require(namespace.delete(key, now: now) == (there != nil))
            model.spaces[space].entries[key] = nil
        case 7:
            try #require(namespace.touch(key, now: now) == (there != nil))
            if there != nil { model.use(key, space) }
        case 8:
            try #require(try namespace.expire(key, timeToLive: chosen, now: now) == (there != nil))
            if there != nil {
                model.spaces[space].entries[key]?.deadline = deadline
                model.keepBounds(space, now)
            }
        case 9:
            let expected = Bool.random(using: &random) ? there?.value : value
            let done = try namespace.compareAndSet(key, expected: expected, value, timeToLive: chosen, now: now)
            try #require(done == (there?.value == expected))
            if done { model.set(key, value, deadline, space, now) }
        case 10:
            let number = there.map { decimal($0.value) } ?? 0
            if let number {
                try #require(try namespace.increment(key, by: 5, now: now) == number + 5)
                model.set(key, bytes("\(number + 5)"), there?.deadline ?? .max, space, now)
            } else {
                #expect(throws: CacheError.notANumber) { try namespace.increment(key, by: 5, now: now) }
            }
        default:
            try #require(namespace.exists(key, now: now) == (there != nil))
            let left = there.map { entry in
                entry.deadline == .max ? .unlimited : CacheNamespace.TimeToLive.milliseconds(entry.deadline - now)
            }
            try #require(namespace.timeToLive(key, now: now) == left ?? .missing)
        }
    }

    /// Hashes that nearly all fall on the same places, across the end of the table, too.
    @Test func indexWithCollisions() throws {
        var random = seeded()
        var index = HashIndex()
        var model: [UInt32: UInt32] = [:]
        for round in 0..<4000 {
            let isGrowing = round / 700 % 2 == 0
            if model.isEmpty || Int.random(in: 0..<10, using: &random) < (isGrowing ? 7 : 3) {
                let slot = UInt32(round)
                let hash = (Bool.random(using: &random) ? 0xFFFF_FFF0 : 0) | UInt32.random(in: 0..<16, using: &random)
                index.insert(hash, slot)
                model[slot] = hash
            } else if let (slot, hash) = model.randomElement(using: &random) {
                if Bool.random(using: &random) {
                    index.remove(hash, slot)
                    model[slot] = nil
                    try #require(index.find(hash) { $0 == slot } == nil)
                } else {
                    let other = UInt32(1_000_000 + round)
                    index.renumber(hash, from: slot, to: other)
                    (model[slot], model[other]) = (nil, hash)
                }
            }
            guard round % 100 == 0 else { continue }
            for (slot, hash) in model { try #require(index.find(hash) { $0 == slot } == slot) }
        }
    }
}
