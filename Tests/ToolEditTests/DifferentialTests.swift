// Our diffs and our patching against GNU patch and git apply, on random files and random changes of their context.
import Foundation
import TestSupport
import Testing

@testable import ToolEdit

@Suite struct DifferentialTests {
    /// A diff of ours, applied by us, by patch and by git, gives the other file.
    @Test func diffThenPatch() throws {
        var random = seeded()
        var trial = try Trial()
        defer { trial.remove() }
        var expected: [[UInt8]] = []
        var cases: [([UInt8], [UInt8])] = []
        while cases.count < 300 {
            let end = Int.random(in: 0...5, using: &random) == 0 ? "\r\n" : "\n"
            let old = randomLines(Int.random(in: 1...60, using: &random), &random)
            let new = mutated(old, changes: Int.random(in: 1...8, using: &random), &random)
            let before = text(old, end: end, closed: Bool.random(using: &random))
            let after = text(new, end: end, closed: Bool.random(using: &random))
            // An emptied file is deleted by patch: that is not what is tried here.
            guard before != after, !after.isEmpty, !before.isEmpty else { continue }
            let diff = UnifiedDiff(from: before, to: after, context: Int.random(in: 1...4, using: &random))
                .text(path: bytes("f"))
            try trial.add(file: before, patch: diff)
            expected.append(after)
            cases.append((before, diff))
        }
        try trial.run()
        for (index, after) in expected.enumerated() {
            let (before, diff) = cases[index]
            #expect(applied(diff, to: before) == .some(after), "ours, case \(index):\n\(string(diff))")
            #expect(try trial.result(index, "p") == .some(after), "patch, case \(index):\n\(string(diff))")
            #expect(
                try trial.result(index, "g") == .some(after),
                "git, case \(index): \(trial.log(index, "g"))\n\(string(diff))")
        }
    }

    /// Where the file is another one by now, we take what patch takes, and make of it what patch makes.
    @Test func movedContextAsPatch() throws {
        var random = seeded()
        var trial = try Trial()
        defer { trial.remove() }
        var cases: [(file: [UInt8], patch: [UInt8])] = []
        while cases.count < 400 {
            let old = randomLines(Int.random(in: 3...40, using: &random), &random)
            let new = mutated(old, changes: Int.random(in: 1...4, using: &random), &random)
            let context = Int.random(in: 1...4, using: &random)
            let closed = Int.random(in: 0...3, using: &random) > 0
            let (before, after) = (text(old, closed: closed), text(new, closed: closed))
            guard before != after, !after.isEmpty, !before.isEmpty else { continue }
            let diff = UnifiedDiff(from: before, to: after, context: context).text(path: bytes("f"))
            let now = mutated(old, changes: Int.random(in: 1...5, using: &random), &random)
            guard !now.isEmpty else { continue }
            let file = text(now, closed: closed)
            try trial.add(file: file, patch: diff)
            cases.append((file, diff))
        }
        try trial.run()
        var (taken, refused, byGit, different) = (0, 0, 0, 0)
        for (index, (file, patch)) in cases.enumerated() {
            let theirs = try trial.result(index, "p")
            let ours = applied(patch, to: file)
            let told = "case \(index)\n\(string(file))---- patch\n\(string(patch))"
            if theirs == nil { refused += 1 } else { taken += 1 }
            // Both programs run a line on into one that has no line end, where a hunk lies in front of or behind it by
            // offset or fuzz: we put a line end between them, or refuse.
            let isOpen = file.last != 0x0A || string(patch).contains("\n\\ No newline")
            let git = try trial.result(index, "g")
            if git != nil { byGit += 1 }
            if ours != theirs && (theirs != nil || ours != git) {
                #expect(isOpen, "we \(ours == nil ? "refuse" : "take"), \(told)")
                different += 1
            }
            if git != nil && ours != git { #expect(isOpen, "git, \(told)") }
        }
        // The cases are worth something only if both outcomes are frequent.
        #expect(taken > 40 && refused > 40 && byGit > 15, "taken \(taken), refused \(refused), git \(byGit)")
        #expect(different < cases.count / 20, "\(different) differ for the sake of a last line without an end")
    }
}
