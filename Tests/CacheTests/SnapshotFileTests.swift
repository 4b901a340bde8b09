// Snapshots as files: whole or not at all, nobody else's to read, and no way to make the supervisor follow or wait.
import Foundation
import Linux
import TestSupport
import Testing

@testable import Cache

@Suite struct SnapshotFileTests {
    private func store(_ value: String, entries: Int = 1) throws -> CacheStore {
        let one = try OneNamespace(isKept: true)
        for number in 0..<entries { try one.namespace.set(bytes("\(number)"), bytes(value), now: 0) }
        return one.store
    }

    private func value(in directory: TemporaryDirectory) throws -> String? {
        let store = CacheStore()
        try store.load(from: directory.descriptor.raw, name: "cache", now: 0, wall: 1000)
        return text(store.namespace(of: CacheOwner(user: 1))?.get(bytes("0"), now: 0))
    }

    @Test func keptOverARestart() throws {
        let directory = try TemporaryDirectory()
        #expect(throws: SnapshotError.system(.open, .noEntry)) { try value(in: directory) }
        for value in ["old", "new"] {
            try store(value).save(in: directory.descriptor.raw, name: "cache", now: 0, wall: 1000)
            #expect(try self.value(in: directory) == value)
            #expect(directory.names == ["cache"])
        }
        #expect(try status(at: "cache", in: directory.descriptor.raw).mode & 0o7777 == 0o600)
    }

    /// The descriptor of the directory may be closed meanwhile, and a writer that is given up leaves nothing.
    @Test func slices() throws {
        let directory = try TemporaryDirectory()
        try store("old").save(in: directory.descriptor.raw, name: "cache", now: 0, wall: 1000)
        let source = try store("new", entries: 20_000)
        func begin() throws -> SnapshotWriter {
            let other = try Linux.open(directory.path, [.directory])
            return try SnapshotWriter(source.snapshot(now: 0, wall: 1000), in: other.raw, name: "cache")
        }
        do {
            var writer = try begin()
            #expect(try writer.step())
            #expect(directory.names == [".cache.new", "cache"])
            // A second one at the same time would write into the first one's.
            #expect(throws: SnapshotError.busy) { _ = try begin() }
        }
        #expect(directory.names == ["cache"])
        #expect(try value(in: directory) == "old")

        var writer = try begin()
        var steps = 0
        while try writer.step() {
            steps += 1
            #expect(directory.names == [".cache.new", "cache"])
        }
        #expect(steps > 5)
        #expect(directory.names == ["cache"])
        #expect(try value(in: directory) == "new")
    }

    /// A writer that was killed has left its file: the next one takes its place, and writes through no link.
    @Test func leftovers() throws {
        let directory = try TemporaryDirectory()
        try directory.write(bytes("half"), to: ".cache.new")
        try store("a").save(in: directory.descriptor.raw, name: "cache", now: 0, wall: 1000)
        #expect(directory.names == ["cache"])

        try directory.write(bytes("precious"), to: "victim")
        try makeSymlink(bytes: bytes(".cache.new"), to: bytes("victim"), in: directory.descriptor.raw)
        #expect(throws: SnapshotError.self) {
            try store("b").save(in: directory.descriptor.raw, name: "cache", now: 0, wall: 1000)
        }
        #expect(directory.contents("victim") == bytes("precious"))
        #expect(try value(in: directory) == "a")
    }

    @Test(arguments: ["", ".", "..", "a/b", "/etc/x", ".hidden", "a\0b", String(repeating: "n", count: 201)])
    func names(_ name: String) throws {
        let directory = try TemporaryDirectory()
        #expect(throws: SnapshotError.invalidName) {
            try store("a").save(in: directory.descriptor.raw, name: name, now: 0, wall: 0)
        }
        #expect(throws: SnapshotError.invalidName) {
            try CacheStore().load(from: directory.descriptor.raw, name: name, now: 0, wall: 0)
        }
        #expect(directory.names == [])
    }

    @Test func notFiles() throws {
        let directory = try TemporaryDirectory()
        let raw = directory.descriptor.raw
        try store("a").save(in: raw, name: "real", now: 0, wall: 1000)
        try makeSymlink(bytes: bytes("link"), to: bytes("real"), in: raw)
        try makeDirectory("directory", in: raw)
        let made = unsafe mkfifo(directory.path + "/pipe", 0o600)
        try #require(made == 0)
        try directory.write([], to: "empty")
        for (name, error) in [
            ("link", SnapshotError.system(.open, .loop)), ("directory", .damaged), ("pipe", .damaged),
            ("empty", .damaged),
        ] {
            #expect(throws: error) { try CacheStore().load(from: raw, name: name, now: 0, wall: 1000) }
        }
        #expect(throws: SnapshotError.tooLarge) {
            try CacheStore().load(from: raw, name: "real", longest: 10, now: 0, wall: 1000)
        }
        try CacheStore().load(from: raw, name: "real", now: 0, wall: 1000)
    }

    /// A file that may not grow stands for a full disk: the writer says so, and what was there stays.
    @Test func fullDisk() async throws {
        let directory = try TemporaryDirectory()
        try store("old").save(in: directory.descriptor.raw, name: "cache", now: 0, wall: 1000)
        let path = directory.path
        await #expect(processExitsWith: .success) { [path = path as String] in
            let directory = try Linux.open(path, [.directory])
            let one = try OneNamespace(isKept: true)
            for number in 0..<20_000 { try one.namespace.set(bytes("\(number)"), bytes("new"), now: 0) }
            _ = signal(SIGXFSZ, SIG_IGN)
            // Some pieces fit, and one fits in part.
            var limit = rlimit(rlim_cur: 100_000, rlim_max: 100_000)
            let limited = unsafe setrlimit(__rlimit_resource_t(1 /* RLIMIT_FSIZE */), &limit)
            try #require(limited == 0)
            let tooBig = SnapshotError.system(.write, Errno(rawValue: EFBIG))
            #expect(throws: tooBig) { try one.store.save(in: directory.raw, name: "cache", now: 0, wall: 1000) }
            // What could not be saved is still in memory.
            try #require(one.namespace.get(bytes("0"), now: 0) == bytes("new"))
        }
        #expect(directory.names == ["cache"])
        #expect(try value(in: directory) == "old")
    }
}
