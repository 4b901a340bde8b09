// Each strategy with what it finds and what it must not find.
import Testing

@testable import ToolEdit

@Suite struct StrategyTests {
    /// An edit that is done: its strategy and the text after it.
    struct Done: Sendable {
        var strategy: EditStrategy
        var text: String
        var old: String
        var new: String
        var after: String
    }

    static let done: [Done] = [
        Done(strategy: .simple, text: "a\nb\nc", old: "b", new: "B", after: "a\nB\nc"),
        Done(strategy: .simple, text: "line1\nline2\nline3", old: "line2", new: "x\ny", after: "line1\nx\ny\nline3"),
        Done(strategy: .simple, text: "", old: "", new: "new content", after: "new content"),
        Done(strategy: .simple, text: "a  b\nc", old: "  ", new: " ", after: "a b\nc"),
        Done(
            strategy: .simple, text: "\u{FEFF}using X;\n", old: "using X;", new: "using Y;", after: "\u{FEFF}using Y;\n"
        ),
        // As many lines, equal when trimmed: whole lines go.
        Done(
            strategy: .lineTrimmed, text: "function f() {\n    const a = 1\n    return a\n}\n",
            old: "  const a = 1\n  return a", new: "    return 1", after: "function f() {\n    return 1\n}\n"),
        Done(
            strategy: .lineTrimmed, text: "x\n\tfoo()  \ny\n", old: "  foo()", new: "\tbar()", after: "x\n\tbar()\ny\n"),
        // A line end that was asked for goes with the lines, if the new text has one or nothing is left.
        Done(strategy: .lineTrimmed, text: "a\n\tb\nc\n", old: "  b\n", new: "\tB\n", after: "a\n\tB\nc\n"),
        Done(strategy: .lineTrimmed, text: "a\n\tb\nc\n", old: "  b\n", new: "", after: "a\nc\n"),
        Done(strategy: .lineTrimmed, text: "a\n\tb\nc\n", old: "  b\n", new: "\tB", after: "a\n\tB\nc\n"),
        // The last line has no end, and gets none.
        Done(strategy: .lineTrimmed, text: "a\n\tb", old: "  b\n", new: "\tB\n", after: "a\n\tB"),
        // Anchors, and lines between that are similar.
        Done(
            strategy: .blockAnchor, text: "function calc(a, b) {\n  const sum = a + b\n  return sum\n}\n",
            old: "function calc(a, b) {\n  const total = a + b\n  return total\n}", new: "ok", after: "ok\n"),
        Done(
            strategy: .blockAnchor, text: "start\nalpha one\nend\nsep\nstart\nbeta target\nend\nfooter",
            old: "start\nbeta targit\nend", new: "X", after: "start\nalpha one\nend\nsep\nX\nfooter"),
        // One line more than was asked for.
        Done(
            strategy: .blockAnchor, text: "begin\nkeep one\nkeep two\nkeep three\nend\n",
            old: "begin\nkeep one\nkeep three\nkeep four\nkeep\nend".replacing("keep\n", with: ""), new: "X",
            after: "X\n"),
        Done(
            strategy: .whitespaceNormalized, text: "call(  a,   b )\nother()\n", old: "call( a, b )", new: "call(a, b)",
            after: "call(a, b)\nother()\n"),
        Done(
            strategy: .whitespaceNormalized, text: "const value = alpha   +\tbeta;", old: "alpha + beta", new: "gamma",
            after: "const value = gamma;"),
        Done(
            strategy: .whitespaceNormalized, text: "a\nif  (x)   {\n  y( 1,  2 )\n}\nb\n", old: "if (x) {\ny( 1, 2 )",
            new: "Z",
            after: "a\nZ\n}\nb\n"),
        // Twice by trimmed lines, once by what stands deeper.
        Done(
            strategy: .indentationFlexible,
            text: "    if ok {\n    run()\n    }\n---\n    if ok {\n      run()\n    }\n",
            old: "if ok {\n  run()\n}", new: "X", after: "    if ok {\n    run()\n    }\n---\nX\n"),
        Done(
            strategy: .escapeNormalized, text: "line one\nline two\nline three", old: "line one\\nline two", new: "X",
            after: "X\nline three"),
        Done(
            strategy: .escapeNormalized, text: "say(\\\"hi\\\", 1)\n", old: "say(\"hi\", 1)", new: "X", after: "X\n"),
        Done(
            strategy: .trimmedBoundary, text: "foo\nbar\n", old: "\n\nfoo\nbar\n\n", new: "baz", after: "baz\n"),
        Done(
            strategy: .trimmedBoundary, text: "x = foo;", old: "\n foo;\n", new: "\n bar;\n", after: "x = bar;"),
        Done(
            strategy: .contextAware, text: "before\nstart\none\ntwo\nend\nafter", old: "start\none\nTHREE\nend",
            new: "X",
            after: "before\nX\nafter"),
    ]

    @Test(arguments: done.indices) func does(index: Int) throws {
        let example = Self.done[index]
        let result = try applyEdits([Edit(old: example.old, new: example.new)], to: bytes(example.text))
        #expect(string(result.text) == example.after)
        #expect(result.outcomes[0].strategy == example.strategy)
        if !result.diff.isEmpty, !example.text.isEmpty {
            #expect(applied(result.diff.named, to: bytes(example.text)) == .some(result.text))
        }
    }

    /// An edit that is refused.
    struct Refused: Sendable {
        var reason: EditError.Reason
        var strategy: EditStrategy?
        var text: String
        var old: String
        var all = false
        var lines: [Int] = []
    }

    static let refused: [Refused] = [
        Refused(reason: .notFound, text: "abc", old: "zzz"),
        Refused(reason: .emptyOld, text: "abc", old: ""),
        Refused(reason: .ambiguous, strategy: .simple, text: "dup\nx\ndup\n", old: "dup", lines: [1, 3]),
        // An exact text that is there twice is not saved by a looser rule.
        Refused(reason: .ambiguous, strategy: .simple, text: "foo\n  foo bar\n", old: "foo", lines: [1, 2]),
        Refused(
            reason: .ambiguous, strategy: .lineTrimmed, text: "\tfoo()\n\tfoo()\n", old: "  foo()  ", lines: [1, 2]),
        // White space alone is only ever found as it is.
        Refused(reason: .notFound, text: "line one\n\nline two\n", old: "\t", all: true),
        // Two lines have no line between anchors.
        Refused(reason: .notFound, text: "aaa\nbbb\n", old: "aaa\nzzz\n"),
        // Anchors alone are not enough.
        Refused(reason: .notFound, text: "start\nsomething\nend\n", old: "start\nzqkjv wxy 0123456\nend"),
        // Nor are they with much more between them than was asked for.
        Refused(
            reason: .notFound, text: "{\n" + (0..<40).map { "  line\($0)\n" }.joined() + "}\n", old: "{\n  lineA\n}"),
        // Two blocks that are as similar as each other.
        Refused(
            reason: .ambiguous, strategy: .blockAnchor, text: "start\nvalue = 1\nend\nstart\nvalue = 2\nend\n",
            old: "start\nvalue = 3\nend", lines: [1, 4]),
        // Half of the lines between have to be equal.
        Refused(reason: .notFound, text: "start\none\ntwo\nthree\nend\n", old: "start\none\nQQQQQQ\nWWWWWW\nend"),
        // Indentation is no white space to leave out inside of a line.
        Refused(reason: .notFound, text: "foobar\n", old: "foo bar"),
        // A line inside a longer word is another word.
        Refused(reason: .notFound, text: "return\nvalues\n", old: "return value", all: true),
        // Much more white space than was asked for.
        Refused(
            reason: .oversized, strategy: .multiOccurrence, text: "a\n\n\n\n\n\n\nb\n", old: "a b", all: true,
            lines: [1]),
        Refused(
            reason: .oversized, strategy: .whitespaceNormalized,
            text: "foo" + String(repeating: " ", count: 900) + "(x)\nbar  (y)\n", old: "foo (x)\nbar (y)", lines: [1]),
    ]

    @Test(arguments: refused.indices) func refuses(index: Int) {
        let example = Self.refused[index]
        do {
            let result = try applyEdits(
                [Edit(old: example.old, new: "NEW", replaceAll: example.all)], to: bytes(example.text))
            Issue.record("done: \(result.outcomes) \(string(result.text))")
        } catch {
            #expect(error.reason == example.reason, "\(error)")
            #expect(error.strategy == example.strategy)
            if !example.lines.isEmpty { #expect(error.candidates.map(\.line) == example.lines) }
            #expect(!error.message.isEmpty)
        }
    }

    @Test func replaceAll() throws {
        func all(_ text: String, _ old: String, _ new: String) throws -> String {
            string(try applyEdits([Edit(old: old, new: new, replaceAll: true)], to: bytes(text)).text)
        }
        #expect(try all("foo bar foo baz foo", "foo", "qux") == "qux bar qux baz qux")
        #expect(try all("\ta\nx\n    a\n", "  a", "b") == "\ta\nx\n  b\n".replacing("  b", with: "  b"))
        #expect(try all("\ta;\nx\n\t\ta;\n", "  a;", "b") == "b\nx\nb\n")
        #expect(try all("aaaa", "aa", "b") == "bb")
        // Across line ends, each place.
        #expect(try all("f(a,\n  b);\nf(a, b);\n", "f(a,\tb)", "g()") == "f(a,\n  b);\ng();\n")
        #expect(try all("f(a,\n  b);\nf(a,\n\tb);\n", "f(a, b)", "g()") == "g();\ng();\n")
        // Blocks that are similar but not the same are not all meant.
        do {
            _ = try all("s\nvalue = 1\ne\ns\nvalue = 2\ne\n", "s\nvalue = 3\ne", "x")
            Issue.record("done")
        } catch let error as EditError {
            #expect(error.reason == .ambiguous)
        }
    }

    /// A strategy that is not allowed is not used.
    @Test func chosenStrategies() {
        let edit = Edit(old: bytes("  a"), new: bytes("b"), strategies: [.simple])
        #expect(throws: EditError.self) { try applyEdits([edit], to: bytes("\ta\n")) }
    }

    /// What was not found comes with the lines that are most like it.
    @Test func nearest() {
        do {
            _ = try applyEdits(
                [Edit(old: "let value = compute(alpha, 1)", new: "x")],
                to: bytes("one\ntwo\nlet value = compute(alfa, 2)\nfour\n"))
            Issue.record("done")
        } catch {
            #expect(error.reason == .notFound)
            #expect(error.candidates.map(\.line) == [3])
            #expect(error.candidates.first.map { string($0.excerpt) } == "let value = compute(alfa, 2)")
            #expect(error.message.contains("3"))
        }
    }
}

extension [UInt8] {
    /// A diff under the name that `applied` reads.
    var named: [UInt8] {
        bytes(string(self).replacing("--- a/file", with: "--- a/f").replacing("+++ b/file", with: "+++ b/f"))
    }
}
