// The diff: right and short on what is small, right and bounded on what is hostile.
import TestSupport
import Testing

@testable import ToolEdit

@Suite struct DiffTests {
    @Test func form() {
        let diff = UnifiedDiff(from: bytes("a\nb\nc\nd\ne\n"), to: bytes("a\nb\nC\nd\ne"), context: 1)
        #expect(
            string(diff.text(path: bytes("dir/f")))
                == "--- a/dir/f\n+++ b/dir/f\n@@ -2,4 +2,4 @@\n b\n-c\n+C\n d\n-e\n+e\n\\ No newline at end of file\n")
        #expect((diff.added, diff.removed) == (2, 2))
        #expect(UnifiedDiff(from: bytes("x"), to: bytes("x")).isEmpty)
    }

    @Test func emptySides() {
        #expect(string(UnifiedDiff(from: [], to: bytes("a\nb\n")).hunks) == "@@ -0,0 +1,2 @@\n+a\n+b\n")
        #expect(string(UnifiedDiff(from: bytes("a\n"), to: []).hunks) == "@@ -1 +0,0 @@\n-a\n")
        #expect(
            string(UnifiedDiff(from: bytes("a"), to: bytes("a\n")).hunks)
                == "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n")
        // Without context an insertion names the line in front of it.
        #expect(
            string(UnifiedDiff(from: bytes("a\nb\n"), to: bytes("a\nx\nb\n"), context: 0).hunks)
                == "@@ -1,0 +2 @@\n+x\n")
    }

    /// Names with a space, with quotes and with other bytes, as git writes them, and back.
    @Test func names() {
        #expect(string(DiffName.quoted(bytes("a b"))) == "a b\t\n")
        #expect(string(DiffName.quoted([0x61, 0x22, 0x0A, 0xFF])) == "\"a\\\"\\n\\377\"\n")
        var random = seeded()
        for _ in 0..<200 {
            let name = (0..<8).map { _ in UInt8.random(in: 1...255, using: &random) } + [0xFF]
            let quoted = DiffName.quoted(name).dropLast()
            #expect(DiffName.unquoted(quoted[...])?.name == name)
        }
        #expect(DiffName.unquoted(bytes("\"ab")[...]) == nil)
        #expect(DiffName.unquoted(bytes("\"a\\q\"")[...]) == nil)
    }

    /// As short as the longest common subsequence allows, and it leads from one side to the other.
    @Test func shortest() {
        var random = seeded()
        for _ in 0..<300 {
            let kinds = Int32.random(in: 1...6, using: &random)
            let a = (0..<Int.random(in: 0...40, using: &random)).map { _ in Int32.random(in: 0...kinds, using: &random)
            }
            let b = (0..<Int.random(in: 0...40, using: &random)).map { _ in Int32.random(in: 0...kinds, using: &random)
            }
            let changes = LineDiff.changes(a, b)
            #expect(rebuilt(a, b, changes) == b)
            let cost = changes.reduce(0) { $0 + $1.old.count + $1.new.count }
            #expect(cost == a.count + b.count - 2 * commonLength(a, b), "\(a) \(b)")
        }
    }

    /// Whatever the budget, the changes are right.
    @Test func bounded() {
        var random = seeded()
        for budget in [0, 1, 50, 1000, 100_000] {
            let a = (0..<400).map { _ in Int32.random(in: 0...3, using: &random) }
            let b = (0..<400).map { _ in Int32.random(in: 0...3, using: &random) }
            let changes = LineDiff.changes(a, b, budget: budget)
            #expect(rebuilt(a, b, changes) == b)
        }
        // Long, unlike, and of few kinds of lines: nothing that a shortest path is found for.
        let a = (0..<60_000).map { _ in Int32.random(in: 0...1, using: &random) }
        let b = (0..<60_000).map { _ in Int32.random(in: 0...1, using: &random) }
        let clock = ContinuousClock()
        let time = clock.measure {
            let changes = LineDiff.changes(a, b)
            #expect(rebuilt(a, b, changes) == b)
        }
        #expect(time < .seconds(60), "\(time)")
    }

    private func rebuilt(_ a: [Int32], _ b: [Int32], _ changes: [LineChange]) -> [Int32] {
        var result: [Int32] = []
        var place = 0
        for change in changes {
            result += a[place..<change.old.lowerBound]
            result += b[change.new]
            place = change.old.upperBound
        }
        return result + a[place...]
    }

    private func commonLength(_ a: [Int32], _ b: [Int32]) -> Int {
        var row = [Int](repeating: 0, count: b.count + 1)
        for x in a {
            var diagonal = 0
            for (index, y) in b.enumerated() {
                let above = row[index + 1]
                row[index + 1] = x == y ? diagonal + 1 : max(above, row[index])
                diagonal = above
            }
        }
        return row[b.count]
    }
}
