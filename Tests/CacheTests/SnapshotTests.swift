// Snapshots: what was kept is there again, and nothing that is not exactly what was written is loaded.
import Foundation
import Linux
import TestSupport
import Testing

@testable import Cache

@Suite struct SnapshotTests {
    private static let wall: UInt64 = 1_700_000_000_000

    private func encoded(_ store: CacheStore, now: UInt64 = 0, wall: UInt64 = wall) -> [UInt8] {
        var snapshot = store.snapshot(now: now, wall: wall)
        var bytes: [UInt8] = []
        while let piece = snapshot.next() { bytes += piece }
        return bytes
    }

    private func small() throws -> CacheStore {
        let store = CacheStore()
        let user = try store.open(CacheOwner(user: 1), isKept: true, now: 0)
        try user.set(bytes("a"), bytes("1"), now: 0)
        try user.set(bytes("long key of more than sixteen"), [], timeToLive: 5000, now: 0)
        let session = try store.open(CacheOwner(user: 2, session: "s"), isKept: true, now: 0)
        try session.set([], [0, 0xFF], now: 0)
        let unkept = try store.open(CacheOwner(user: 3), now: 0)
        try unkept.set(bytes("secret"), bytes("unkept"), now: 0)
        return store
    }

    /// With the right checksum behind it.
    private func sealed(_ body: [UInt8]) -> [UInt8] {
        var checksum = Checksum(SnapshotFormat.checksumKey)
        checksum.add(body[...])
        var bytes = body
        bytes.append(number: checksum.value)
        return bytes
    }

    /// The layout is the format's, byte for byte.
    @Test func layout() throws {
        let store = CacheStore()
        let session = try store.open(CacheOwner(user: 0x0102_0304, session: "s"), isKept: true, now: 0)
        try session.set(bytes("k"), bytes("vw"), timeToLive: 2, now: 10)
        let other = try store.open(CacheOwner(user: 5), isKept: true, now: 0)
        try other.set([], [], now: 0)
        let expected =
            bytes("CORDCACH") + [1, 0, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0] + [1, 4, 3, 2, 1, 1, 0] + bytes("s")
            + [2, 1, 0, 2, 0, 0, 0, 10, 1, 0, 0, 0, 0, 0, 0] + bytes("kvw") + [1, 5, 0, 0, 0, 0xFF, 0xFF]
            + [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] + [0, 2, 0, 0, 0, 0, 0, 0, 0]
        #expect(encoded(store, now: 11, wall: 265) == sealed(expected))
    }

    @Test func roundTrip() throws {
        var random = seeded()
        let store = CacheStore()
        for number in 0..<5 {
            let owner = CacheOwner(user: UInt32(number / 2), session: number % 2 == 0 ? nil : "session")
            let space = try store.open(owner, isKept: number != 4, now: 0)
            for _ in 0..<3000 {
                let key = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                let value = [UInt8](repeating: UInt8(number), count: Int.random(in: 0...500, using: &random))
                let time = Bool.random(using: &random) ? nil : UInt64.random(in: 1...1000, using: &random)
                try space.set(key, value, timeToLive: time, now: 0)
                if Bool.random(using: &random) { space.get(key, now: 0).map { _ in } }
            }
        }
        // Saved at 300 of one clock, loaded 200 ms later at 77 of another.
        let bytes = encoded(store, now: 300)
        #expect(bytes.count > 3 * CacheSnapshot.pieceSize)
        let loaded = CacheStore()
        try loaded.load(bytes, now: 77, wall: Self.wall + 200)
        #expect(loaded.namespace(of: CacheOwner(user: 2)) == nil)
        var expired = 0
        for owner in [0, 1].flatMap({ [CacheOwner(user: $0), CacheOwner(user: $0, session: "session")] }) {
            let old = try #require(store.namespace(of: owner)), new = try #require(loaded.namespace(of: owner))
            #expect(new.isKept)
            for key in old.keys(matching: .all, limit: .max, examining: .max, longest: .max, now: 0).keys {
                try #require(new.get(key, now: 77) == old.get(key, now: 500))
                if case .milliseconds(let left) = old.timeToLive(key, now: 500) {
                    try #require(new.timeToLive(key, now: 77) == .milliseconds(left))
                } else if old.exists(key, now: 500) {
                    try #require(new.timeToLive(key, now: 77) == .unlimited)
                } else {
                    expired += 1
                }
            }
        }
        #expect(expired > 1000)
        #expect(loaded.statistics.entries == live(store, at: 500))
    }

    private func live(_ store: CacheStore, at now: UInt64) -> Int {
        store.kept.reduce(0) {
            $0 + $1.keys(matching: .all, limit: .max, examining: .max, longest: .max, now: now).keys.count
        }
    }

    /// What was not used for longest is still the first to go.
    @Test func orderOfUse() throws {
        let one = try OneNamespace(isKept: true)
        for key in ["a", "b", "c", "d"] { try one.namespace.set(bytes(key), [1], now: 0) }
        _ = one.namespace.get(bytes("a"), now: 0)
        let loaded = CacheStore()
        try loaded.load(encoded(one.store), quota: CacheQuota(entries: 3), now: 0, wall: Self.wall)
        let space = try #require(loaded.namespace(of: CacheOwner(user: 1)))
        #expect(space.allKeys(now: 0) == ["a", "c", "d"])
        try space.set(bytes("e"), [1], now: 0)
        #expect(space.allKeys(now: 0) == ["a", "d", "e"])
    }

    /// The wall's clock was set back by a day, or forward.
    @Test func clockThatWasSet() throws {
        let bytes = encoded(try small())
        let key = longKey
        for (wall, expected) in [
            (Self.wall - 86_400_000, CacheNamespace.TimeToLive.milliseconds(5000)),
            (Self.wall + 4999, .milliseconds(1)),
            (Self.wall + 5000, .missing), (.max, .missing), (0, .milliseconds(5000)),
        ] {
            let loaded = CacheStore()
            try loaded.load(bytes, now: 50, wall: wall)
            let space = try #require(loaded.namespace(of: CacheOwner(user: 1)))
            #expect(space.timeToLive(key, now: 50) == expected)
            #expect(space.exists(Array("a".utf8), now: 50))
        }
    }

    private var longKey: [UInt8] { bytes("long key of more than sixteen") }

    @Test func everyByteCounts() throws {
        let good = encoded(try small())
        for index in good.indices {
            for bit in 0..<8 {
                var bad = good
                bad[index] ^= 1 << UInt8(bit)
                let store = CacheStore()
                #expect(throws: SnapshotError.self) { try store.load(bad, now: 0, wall: Self.wall) }
                #expect(store.isEmpty)
            }
        }
        for length in good.indices {
            let store = CacheStore()
            #expect(throws: SnapshotError.damaged) { try store.load(Array(good[..<length]), now: 0, wall: Self.wall) }
            #expect(store.isEmpty)
        }
        #expect(throws: SnapshotError.damaged) { try CacheStore().load(good + [0], now: 0, wall: Self.wall) }
        var later = good
        later[8] = 2
        #expect(throws: SnapshotError.version(2)) { try CacheStore().load(later, now: 0, wall: Self.wall) }
        let full = try small()
        #expect(throws: SnapshotError.notEmpty) { try full.load(good, now: 0, wall: Self.wall) }
    }

    /// Somebody made these: the checksum is right, and nothing else is.
    @Test func forged() throws {
        let head = Array(encoded(try small())[..<20])
        let user: [UInt8] = [1, 1, 0, 0, 0, 0xFF, 0xFF]
        let entry: [UInt8] = [2, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x61, 0x62]
        func end(_ count: UInt8) -> [UInt8] { [0, count, 0, 0, 0, 0, 0, 0, 0] }
        let store = CacheStore()
        try store.load(sealed(head + user + entry + end(1)), now: 0, wall: Self.wall)
        #expect(store.namespace(of: CacheOwner(user: 1))?.get(bytes("a"), now: 0) == bytes("b"))

        let bad: [[UInt8]] = [
            entry + end(1), user + entry + end(2), user + entry, user + entry + end(1) + [0], user + user + end(0),
            user + entry + entry + end(2), user + [3] + end(0), user + [2, 1] + end(0),
            // Lengths beyond the end, beyond the limits, and a deadline before it was saved.
            user + [2, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0] + end(1),
            user + [2, 1, 0, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x61] + end(1),
            user + [2, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 1, count: 1025) + end(1),
            user + [2, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x61, 0x62] + end(1),
            [1, 1, 0, 0, 0, 0xFE, 0xFF, 1] + end(0),
            [1, 1, 0, 0, 0, 1, 1] + [UInt8](repeating: 1, count: 257) + end(0),
            [],
        ]
        for (index, body) in bad.enumerated() {
            let store = CacheStore()
            #expect(throws: SnapshotError.damaged, "\(index)") {
                try store.load(sealed(head + body), now: 0, wall: Self.wall)
            }
            #expect(store.isEmpty && store.statistics.bytes == 0)
        }
        // More than the cache may hold: of entries, bytes, namespaces.
        var many = user
        for number: UInt16 in 0..<300 {
            many += [2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, UInt8(number & 0xFF), UInt8(number >> 8)]
        }
        many += [0, 44, 1, 0, 0, 0, 0, 0, 0]
        var spaces: [UInt8] = []
        for number: UInt8 in 0..<30 { spaces += [1, 1, 0, 0, 0, 1, 0, number] }
        for (body, limits) in [
            (many, CacheLimits(entries: 299)), (many, CacheLimits(bytes: 30_000)),
            (spaces + end(0), CacheLimits(namespaces: 29)), (spaces + end(0), CacheLimits(namespacesOfUser: 29)),
            (spaces + end(0), CacheLimits(bytes: 58 * EntryCost.namespace)),
        ] {
            let store = CacheStore(limits: limits)
            #expect(throws: SnapshotError.tooLarge) { try store.load(sealed(head + body), now: 0, wall: Self.wall) }
            #expect(store.isEmpty)
            try CacheStore().load(sealed(head + body), now: 0, wall: Self.wall)
        }
    }

    /// Bytes by chance behind a good head, with a good checksum.
    @Test func noise() throws {
        var random = seeded()
        let good = encoded(try small())
        for _ in 0..<20_000 {
            var body = Array(good.dropLast(8))
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 12..<body.count, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0: body[index] = UInt8.random(in: 0...255, using: &random)
                case 1: body.insert(UInt8.random(in: 0...2, using: &random), at: index)
                default: if body.count > 30 { body.remove(at: index) }
                }
            }
            let store = CacheStore()
            do throws(SnapshotError) { try store.load(sealed(body), now: 0, wall: Self.wall) } catch {
                try #require(store.isEmpty)
                continue
            }
            // What was taken has a snapshot of its own, which says the same.
            let again = CacheStore()
            try again.load(encoded(store), now: 0, wall: Self.wall)
            try #require(again.statistics.entries == store.statistics.entries)
        }
    }

    /// A snapshot is of one moment, whatever is done between its pieces.
    @Test func changesMeanwhile() throws {
        var random = seeded()
        let one = try OneNamespace(isKept: true)
        for number in 0..<20_000 { try one.namespace.set(bytes("\(number)"), [1], timeToLive: 50, now: 0) }
        let expected = encoded(one.store)
        var snapshot = one.store.snapshot(now: 0, wall: Self.wall)
        var bytes: [UInt8] = []
        while let piece = snapshot.next() {
            #expect(piece.count <= CacheSnapshot.pieceSize + 100)
            bytes += piece
            for _ in 0..<1000 {
                let key = Array("\(Int.random(in: 0..<30_000, using: &random))".utf8)
                switch Int.random(in: 0...3, using: &random) {
                case 0: one.namespace.delete(key, now: 0)
                case 1: _ = one.namespace.get(key, now: 0)
                case 2: try one.namespace.set(key, [2, 2], now: 0)
                default: one.store.collect(now: 60, limit: 10)
                }
            }
        }
        #expect(bytes == expected)
    }
}
