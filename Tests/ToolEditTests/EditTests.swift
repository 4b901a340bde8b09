// Edits as a whole: line ends, several at once, limits, and that the diff is all that changes.
import TestSupport
import Testing

@testable import ToolEdit

@Suite struct EditTests {
    private func edited(_ text: String, _ old: String, _ new: String, all: Bool = false) throws -> String {
        string(try applyEdits([Edit(old: old, new: new, replaceAll: all)], to: bytes(text)).text)
    }

    /// Line ends of the text win, whatever old and new have.
    @Test(arguments: ["\n", "\r\n"], ["\n", "\r\n"]) func lineEnds(file: String, asked: String) throws {
        for written in ["\n", "\r\n"] {
            let text = ["alpha", "beta", "gamma", ""].joined(separator: file)
            let old = ["alpha", "beta", "gamma"].joined(separator: asked)
            let new = ["alpha", "beta-updated", "more", "gamma"].joined(separator: written)
            let after = ["alpha", "beta-updated", "more", "gamma", ""].joined(separator: file)
            #expect(Array(try edited(text, old, new).utf8) == Array(after.utf8))
            let twice = try edited(text + text, old, new, all: true)
            #expect(Array(twice.utf8) == Array((after + after).utf8))
        }
    }

    /// In a mixed text each line keeps its own end.
    @Test func mixedLineEnds() throws {
        #expect(try edited("a\r\nb\nc\r\nd\n", "b\nc", "B\nC").utf8.elementsEqual("a\r\nB\nC\r\nd\n".utf8))
        #expect(
            try edited("a\r\nb\nc\r\nd\n", "a\nb\nc\nd\n", "a\nb\nx\nc\nd\n").utf8.elementsEqual(
                "a\r\nb\nx\nc\r\nd\n".utf8))
        #expect(try edited("a\r\nb\nc\r\nd\n", "a\nb\n", "x\ny\n").utf8.elementsEqual("x\r\ny\nc\r\nd\n".utf8))
        // A carriage return that ends no line is a byte like any other.
        #expect(try edited("a\rb\r\n", "a\rb", "c").utf8.elementsEqual("c\r\n".utf8))
    }

    @Test func identical() {
        for (old, new) in [("same", "same"), ("", ""), ("same\r\nx", "same\nx")] {
            do {
                _ = try applyEdits([Edit(old: old, new: new)], to: bytes("same\nx"))
                Issue.record("done")
            } catch {
                #expect(error.reason == .identical)
            }
        }
    }

    /// Each edit sees what the one before left; one that fails takes all back and is named.
    @Test func several() throws {
        let result = try applyEdits(
            [Edit(old: "a", new: "b"), Edit(old: "b\n", new: "c\nd\n"), Edit(old: "d", new: "e")], to: bytes("a\nx\n"))
        #expect(string(result.text) == "c\ne\nx\n")
        #expect(result.outcomes.map(\.count) == [1, 1, 1])
        #expect(result.outcomes.map { $0.lines } == [[1...1], [1...1], [2...2]])
        #expect((result.added, result.removed) == (2, 1))
        do {
            _ = try applyEdits([Edit(old: "a", new: "b"), Edit(old: "a", new: "c")], to: bytes("a\n"))
            Issue.record("done")
        } catch {
            #expect(error.reason == .notFound && error.edit == 1)
        }
    }

    @Test func limits() {
        var limits = EditLimits()
        limits.text = 10
        #expect(throws: EditError.self) {
            try applyEdits([Edit(old: "a", new: "b")], to: bytes("a2345678901"), limits: limits)
        }
        #expect(throws: EditError.self) {
            try applyEdits([Edit(old: "a", new: "bbbbbbbbbbb")], to: bytes("a"), limits: limits)
        }
        limits.fallbackText = 4
        #expect(throws: EditError.self) {
            try applyEdits([Edit(old: "  a", new: "b")], to: bytes("\ta\nbc"), limits: limits)
        }
    }

    /// An edit changes what its diff says, and nothing else: the diff leads from the text before to the text after, in
    /// the eyes of our own patching, and no line outside of the outcome's lines differs.
    @Test func exactlyTheDiff() throws {
        var random = seeded()
        var counts: [EditStrategy: Int] = [:]
        for _ in 0..<3000 {
            let end = Int.random(in: 0...3, using: &random) == 0 ? "\r\n" : "\n"
            let lines = randomLines(Int.random(in: 1...30, using: &random), &random)
            let text = ToolEditTests.text(lines, end: end, closed: Bool.random(using: &random))
            let start = Int.random(in: 0..<lines.count, using: &random)
            let last = min(lines.count, start + Int.random(in: 1...5, using: &random))
            // What is asked for is near to what is there: lines trimmed, indented, spaced, changed in the middle.
            var asked = Array(lines[start..<last])
            switch Int.random(in: 0...5, using: &random) {
            case 0: asked = asked.map { "  " + $0 }
            case 1: asked = asked.map { $0.split(separator: " ").joined(separator: "   ") }
            case 2 where asked.count > 2: asked[asked.count / 2] += "x"
            case 3 where asked.count > 2: asked[1] = "another"
            case 4: asked = [asked.joined(separator: "\\n")]
            default: break
            }
            var old = asked.joined(separator: "\n")
            if Bool.random(using: &random) { old += "\n" }
            let new = randomLines(Int.random(in: 0...3, using: &random), &random).joined(separator: "\n")
            let all = Bool.random(using: &random)
            guard let result = try? applyEdits([Edit(old: old, new: new, replaceAll: all)], to: text) else { continue }
            counts[result.outcomes[0].strategy, default: 0] += 1
            #expect(result.text != text && !result.diff.isEmpty)
            let told = "\(string(text))---\n\(old)\n---\n\(new)\n---\n\(string(result.diff))"
            if !result.text.isEmpty, !text.isEmpty {
                #expect(applied(result.diff.named, to: text) == .some(result.text), "\(told)")
            }
            if !all {
                let lines = result.outcomes[0].lines[0]
                let table = LineTable(text)
                let front = table.starts[lines.lowerBound - 1]
                let back = text.count - table.starts[min(table.count, lines.upperBound)]
                #expect(result.text.prefix(front).elementsEqual(text.prefix(front)), "\(told)")
                #expect(result.text.suffix(back).elementsEqual(text.suffix(back)), "\(told)")
            }
        }
        #expect(counts.count >= 6, "\(counts)")
    }

    /// Whatever is asked for, the text is as before or as the diff says; nothing traps.
    @Test func noise() {
        var random = seeded()
        for _ in 0..<3000 {
            func some(_ most: Int) -> [UInt8] {
                (0..<Int.random(in: 0...most, using: &random)).map { _ in
                    bytes("ab \t\n\r\\n\"}").randomElement(using: &random) ?? 0xFF
                }
            }
            let text = some(60)
            let edit = Edit(old: some(12), new: some(12), replaceAll: Bool.random(using: &random))
            guard let result = try? applyEdits([edit], to: text) else { continue }
            if !text.isEmpty, !result.text.isEmpty {
                #expect(
                    applied(result.diff.named, to: text) == .some(result.text),
                    "\(edit) in \(text): \(result.outcomes[0].strategy)")
            }
        }
    }
}
