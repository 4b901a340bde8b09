// Order, caps, hostile trees, several workers.
import Foundation
import Linux
import Synchronization
import TestSupport
import Testing
import ToolTree

@Suite struct WalkTests {
    @Test func orderIsNameByName() throws {
        let tree = try TemporaryTree()
        for name in [
            "a.txt", "a/z", "a/b/c", "a-b", "A", "longer-than-eight-2", "longer-than-eight-1", "longer-t", ".h",
        ] {
            try tree.make(name)
        }
        let expected = [
            "A", "a/b/c", "a/z", "a-b", "a.txt", "longer-t", "longer-than-eight-1", "longer-than-eight-2",
        ]
        #expect(try paths(try tree.root()) == expected)
        #expect(Set(try paths(try tree.root()) { $0.order = .directory }) == Set(expected))
        let all = try paths(try tree.root()) {
            $0.kinds = .all
            $0.includesHidden = true
        }
        #expect(all == [".h", "A", "a", "a/b", "a/b/c", "a/z"] + expected.dropFirst(3))
    }

    @Test func baseAndDepths() throws {
        let tree = try TemporaryTree()
        for name in ["x/one", "x/y/two", "x/y/z/three", "x/y/.ignore", "other"] { try tree.make(name) }
        try tree.make("x/.ignore", "three\n/y/two")
        #expect(try paths(try tree.root()) { $0.base = bytes("x/y") } == [])
        try tree.make("x/.ignore", "/other\n")
        #expect(try paths(try tree.root()) { $0.base = bytes("./x//y/") } == ["x/y/two", "x/y/z/three"])
        #expect(try paths(try tree.root()) { $0.depths = 2...3 } == ["x/one", "x/y/two"])
        let walk = try Walk(
            try tree.root(),
            {
                var options = WalkOptions(); options.depths = 1...2; return options
            }())
        #expect(walk.forEach { _ in true }.directoriesTooDeep == 1)
        #expect(!walk.summary.isComplete)
        #expect(throws: TreeError.missing) { try paths(try tree.root()) { $0.base = bytes("nothing") } }
        #expect(throws: TreeError.notDirectory) { try paths(try tree.root()) { $0.base = bytes("other") } }
        #expect(throws: TreeError.outside) { try paths(try tree.root()) { $0.base = bytes("x/../..") } }
        #expect(throws: TreeError.absolute) { try paths(try tree.root()) { $0.base = bytes("/etc") } }
        #expect(throws: TreeError.nul) { try paths(try tree.root()) { $0.base = [0x78, 0] } }
    }

    @Test func capsSayWhatWasLeftOut() throws {
        let tree = try TemporaryTree()
        for index in 0..<50 { try tree.make("d\(index % 5)/f\(index)") }
        var options = WalkOptions()
        options.maxEntries = 12
        let short = try Walk(try tree.root(), options).forEach { _ in true }
        #expect(short.entries == 12 && short.entriesLeftOut == 1 && !short.isComplete)
        options.countsLeftOut = true
        let counted = try Walk(try tree.root(), options).forEach { _ in true }
        #expect(counted.entries == 12 && counted.entriesLeftOut == 38)
        options = WalkOptions()
        options.maxDirectoryEntries = 4
        let cut = try Walk(try tree.root(), options).forEach { _ in true }
        #expect(cut.directoriesCut > 0 && cut.entries <= 20 && !cut.isComplete)
        let stopped = try Walk(try tree.root()).forEach { _ in false }
        #expect(stopped.wasStopped && !stopped.isComplete)
    }

    @Test func fiveThousandLevels() throws {
        let tree = try TemporaryTree()
        var here = try open(tree.path, [.readOnly, .directory])
        for _ in 0..<5_000 {
            try makeDirectory("d", in: here.raw)
            try makeDirectory("e", in: here.raw)
            _ = try open("f", [.writeOnly, .create], mode: 0o644, at: here.raw)
            here = try open("d", [.readOnly, .directory], at: here.raw)
        }
        var options = WalkOptions()
        options.keepsDirectories = true
        let root = try tree.root()
        for threads in [1, 2] {
            let opened = Atomic(0)
            let summary = try Walk(root, options).distribute(threads: threads) { _, batch in
                for entry in batch.entries where (try? batch.openRegular(entry, in: root)) != nil {
                    opened.add(1, ordering: .relaxed)
                }
                return true
            }
            #expect(summary.entries == 5_000 && summary.directories == 10_001 && summary.isComplete)
            #expect(opened.load(ordering: .relaxed) == 5_000)
        }
        options.depths = 1...100
        let shallow = try Walk(root, options).forEach { _ in true }
        #expect(shallow.entries == 100 && shallow.directoriesTooDeep == 2)
    }

    @Test func hugeDirectory() throws {
        let tree = try TemporaryTree()
        _ = try tree.shell("seq -f file-%.0f 100000 | xargs touch")
        let found = try paths(try tree.root()).map(bytes)
        #expect(found.count == 100_000)
        #expect(zip(found, found.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) })
    }

    @Test func workersGetEveryEntryOnceAndInOrder() throws {
        let tree = try TemporaryTree()
        var random = RandomTree(isGitOnly: false, generator: seeded())
        for index in 0..<60 { _ = try random.fill(tree, bytes("t\(index)")) }
        let expected = try paths(try tree.root(), threads: 1)
        for limit in [1, 3, 64] {
            let parts = Mutex<[Int: (first: Int, paths: [String])]>([:])
            let summary = try Walk(try tree.root()).distribute(threads: 4, limit: limit) { _, batch in
                let part = batch.entries.map { pathText(Array(batch.path($0))) }
                let (index, first) = (batch.index, batch.firstEntry)
                parts.withLock { $0[index] = (first, part) }
                return true
            }
            let all = parts.withLock { $0 }
            #expect(all.keys.sorted() == Array(0..<all.count))
            var together: [String] = []
            for index in 0..<all.count {
                #expect(all[index]?.first == together.count)
                together += all[index]?.paths ?? []
            }
            #expect(together == expected && summary.entries == expected.count)
        }
    }

    @Test func nothingOutsideIsShownOrOpened() throws {
        let outside = try TemporaryTree()
        try outside.make("secret", "x")
        let tree = try TemporaryTree()
        try tree.make("inside/file", "x")
        try tree.link("out", to: outside.path)
        try tree.link("file", to: outside.path + "/secret")
        try tree.link("up", to: "../" + (outside.path as NSString).lastPathComponent)
        try tree.link("proc", to: "/proc/self/root/etc")
        try tree.link("in", to: "inside")
        try tree.link("inside/loop", to: "..")
        try tree.link("dangling", to: "nowhere")
        #expect(try paths(try tree.root()) == ["inside/file"])
        var options = WalkOptions()
        options.followsLinks = true
        var found: [String] = []
        let summary = try Walk(try tree.root(), options).forEach { batch in
            found += batch.entries.map { pathText(Array(batch.path($0))) }
            return true
        }
        #expect(found == ["in/file", "inside/file"])
        #expect(summary.linksUnresolved == 5 && summary.loops == 2)
        let root = try tree.root()
        for path in ["out/secret", "file", "up/secret", "inside/../../x", "proc/passwd"] {
            #expect(throws: TreeError.outside, "\(path)") { _ = try root.open(bytes(path)) }
        }
        #expect(throws: TreeError.link) { _ = try root.open(bytes("in/file"), links: .refuse) }
    }

    @Test func whatIsNoRegularFileIsNotOpenedAsOne() throws {
        let tree = try TemporaryTree()
        _ = try tree.shell("mkfifo pipe .gitignore && mkdir .ignore && mkdir .git")
        try tree.make("file")
        #expect(try paths(try tree.root()) == ["file"])
        #expect(throws: TreeError.notRegular) { _ = try tree.root().openRegular(bytes("pipe")) }
        #expect(throws: TreeError.notRegular) { _ = try tree.root().openRegular(bytes(".git")) }
    }

    @Test func largeIgnoreFilesAreReported() throws {
        let tree = try TemporaryTree()
        try tree.make(".ignore", String(repeating: "#", count: 5 << 20) + "\nfile\n")
        try tree.make("file")
        let summary = try Walk(try tree.root()).forEach { _ in true }
        #expect(summary.entries == 1 && summary.ignoreFilesUnread == 1 && !summary.isComplete)
    }

    @Test func oneLargeIgnoreFileUnderManyNames() throws {
        let tree = try TemporaryTree()
        // A deep tree of hard links to one file must not take its memory a hundred times.
        try tree.make("rules", String(repeating: "x", count: 100_000) + "\n")
        for depth in 1...100 { try tree.make(String(repeating: "d/", count: depth) + "f") }
        _ = try tree.shell("find d -type d -exec ln rules '{}/.ignore' ';'")
        var options = WalkOptions()
        options.ignore.mostMemory = 2_050_000
        let summary = try Walk(try tree.root(), options).forEach { _ in true }
        #expect(summary.entries == 101 && summary.ignoreFilesUnread == 95 && !summary.isComplete)
    }

    @Test func linksThatMultiplyATree() throws {
        let tree = try TemporaryTree()
        // Each level shows the next one twice: 2^30 directories.
        for level in 0..<30 {
            try tree.make("l\(level)/")
            try tree.link("l\(level)/a", to: "../l\(level + 1)")
            try tree.link("l\(level)/b", to: "../l\(level + 1)")
        }
        try tree.make("l30/f")
        var options = WalkOptions()
        options.followsLinks = true
        options.base = bytes("l0")
        options.maxDirectories = 1000
        let summary = try Walk(try tree.root(), options).forEach { _ in true }
        #expect(summary.directories == 1000 && summary.directoriesLeftOut == 1 && !summary.isComplete)
    }

    @Test func aTreeThatChangesWhileItIsWalked() throws {
        let tree = try TemporaryTree()
        for index in 0..<40 { for file in 0..<10 { try tree.make("a/d\(index)/f\(file)") } }
        let outside = try TemporaryTree()
        try outside.make("secret")
        let isDone = Atomic(false)
        let (raw, target) = (tree.descriptor.raw, outside.path)
        // Directories become links that lead out, and directories again, all the time.
        let thread = try Linux.Thread {
            while !isDone.load(ordering: .relaxed) {
                for index in 0..<40 {
                    try? rename("a/d\(index)", to: "a/away", in: raw)
                    try? makeSymlink(bytes: bytes("a/d\(index)"), to: bytes(target), in: raw)
                    try? unlink("a/d\(index)", in: raw)
                    try? rename("a/away", to: "a/d\(index)", in: raw)
                }
            }
        }
        for follows in [false, true] {
            for _ in 0..<100 {
                let found = try paths(try tree.root()) { $0.followsLinks = follows }
                #expect(!found.contains { $0.hasSuffix("secret") })
            }
        }
        isDone.store(true, ordering: .relaxed)
        thread.join()
    }

    @Test func noDescriptorIsLeft() throws {
        let tree = try TemporaryTree()
        var random = RandomTree(isGitOnly: false, generator: seeded())
        for index in 0..<40 { _ = try random.fill(tree, bytes("t\(index)")) }
        // Other tests run beside this one: only descriptors of this tree count.
        let count = { () -> Int in
            let all = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
            return all.filter {
                (try? readLink("/proc/self/fd/" + $0))?.hasPrefix(tree.path) == true
            }.count
        }
        let before = try count()
        for stopsAt in [1, 5, Int.max] {
            var batches = 0
            var options = WalkOptions()
            options.keepsDirectories = true
            options.maxOpenDirectories = 4
            try Walk(try tree.root(), options).forEach(threads: 3) { _ in
                batches += 1
                return batches < stopsAt
            }
        }
        #expect(try count() == before)
    }
}
