// The list tool: orders and caps.
import Foundation
import Linux
import TestSupport
import Testing
import ToolTree

@Suite struct ListTests {
    private func listed(_ tree: TemporaryTree, _ change: (inout ListRequest) -> Void = { _ in }) throws
        -> (paths: [String], summary: WalkSummary)
    {
        var request = ListRequest()
        change(&request)
        var paths: [String] = []
        let summary = try list(try tree.root(), request) { entry in
            paths.append(pathText(entry.path))
            return true
        }
        return (paths, summary)
    }

    @Test func orders() throws {
        let tree = try TemporaryTree()
        try tree.make("b", "22")
        try tree.make("c", "1")
        try tree.make("d/e", "4444")
        try tree.make("a", "333")
        try tree.make(".hidden", "333")
        try tree.make(".git/HEAD")
        _ = try tree.shell("touch -d '2001-01-01' c; touch -d '2002-01-01' a; touch -d '2003-01-01' b d/e .hidden")
        #expect(try listed(tree).paths == [".hidden", "a", "b", "c", "d"])
        let files: (inout ListRequest) -> Void = {
            $0.walk.kinds = .regular
            $0.walk.depths = 1...9
        }
        #expect(try listed(tree, files).paths == [".hidden", "a", "b", "c", "d/e"])
        let bySize = try listed(tree) {
            files(&$0)
            $0.order = .size
            $0.isDescending = true
        }
        #expect(bySize.paths == ["d/e", ".hidden", "a", "b", "c"])
        let oldest = try listed(tree) {
            files(&$0)
            $0.order = .modified
            $0.maxEntries = 3
        }
        #expect(oldest.paths == ["c", "a", ".hidden"])
        #expect(oldest.summary.entriesLeftOut == 2 && !oldest.summary.isComplete)
        let small = try listed(tree) {
            files(&$0)
            $0.walk.sizes = 0...2
        }
        #expect(small.paths == ["b", "c"])
    }

    @Test func caps() throws {
        let tree = try TemporaryTree()
        for index in 0..<5000 { try tree.make("file-\(1000 + index)", String(repeating: "x", count: index % 7)) }
        let some = try listed(tree) { $0.maxEntries = 100 }
        #expect(some.paths.count == 100 && some.paths.last == "file-1099" && some.summary.entriesLeftOut == 4900)
        let bytes = try listed(tree) { $0.maxBytes = 95 }
        #expect(bytes.paths.count == 10 && bytes.summary.entriesLeftOut == 4990)
        let largest = try listed(tree) {
            $0.order = .size
            $0.isDescending = true
            $0.maxEntries = 3
        }
        #expect(largest.paths == ["file-1006", "file-1013", "file-1020"] && largest.summary.entriesLeftOut == 4997)
        var count = 0
        let stopped = try list(try tree.root(), ListRequest()) { entry in
            #expect(entry.status?.kind == .regular)
            count += 1
            return count < 7
        }
        #expect(count == 7 && stopped.wasStopped && stopped.entries == 7)
    }

    @Test func reversedNamesStayInTheirTree() throws {
        let tree = try TemporaryTree()
        for name in ["a/x", "a-b", "b"] { try tree.make(name) }
        let reversed = try listed(tree) {
            $0.walk.depths = 1...5
            $0.isDescending = true
        }
        #expect(reversed.paths == ["b", "a-b", "a/x", "a"])
    }
}
