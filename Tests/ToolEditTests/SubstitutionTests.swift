// Search-and-replace by patterns, and lines by number.
import Testing

@testable import ToolEdit

@Suite struct SubstitutionTests {
    private func replaced(
        _ text: String, _ pattern: String, _ template: String, lines: ClosedRange<Int>? = nil, most: Int = .max
    ) throws -> (String, Int) {
        let matcher = try Re2Matcher(bytes(pattern))
        var names: [[UInt8]: Int] = [:]
        if let number = matcher.group(named: "name") { names[bytes("name")] = number }
        let result = try replaceMatches(
            in: bytes(text), of: { matcher.match($0, $1, $2) },
            with: try ReplacementTemplate(bytes(template), groups: matcher.groups, names: names), lines: lines,
            atMost: most)
        return (string(result.text), result.outcomes[0].count)
    }

    @Test func patterns() throws {
        #expect(try replaced("foo(1) foo(22)", #"foo\((\d+)\)"#, "bar[$1]") == ("bar[1] bar[22]", 2))
        #expect(
            try replaced("a=1\nb=2\n", #"^(?P<name>\w)=(\d)$"#, "${name}: $2 $$ $0") == ("a: 1 $ a=1\nb: 2 $ b=2\n", 2))
        #expect(try replaced("aXbX", "X", "", most: 1) == ("abX", 1))
        #expect(try replaced("nothing", "X", "y") == ("nothing", 0))
        // Empty matches stand between, once at each place.
        #expect(try replaced("xa", "x*", "-") == ("-a-", 2))
        #expect(try replaced("a\nb\n", "^", "> ", lines: 1...2) == ("> a\n> b\n", 2))
        // What lies in front of a match is looked at.
        #expect(try replaced("aa a", #"\ba"#, "b") == ("ba b", 2))
        #expect(try replaced("(x)", "(x)|(y)", "[$2]") == ("([])", 1))
    }

    /// Only lines of the range change, the anchors' too.
    @Test func ranges() throws {
        #expect(try replaced("a\na\na\na", "a", "b", lines: 2...3) == ("a\nb\nb\na", 2))
        #expect(try replaced("a\na\na", "(?s)a.a", "b", lines: 1...2) == ("b\na", 1))
        #expect(try replaced("a\na\na", "a$", "b", lines: 3...3) == ("a\na\nb", 1))
        #expect(throws: EditError.self) { try replaced("a\n", "a", "b", lines: 1...2) }
    }

    @Test func refusals() throws {
        #expect(throws: EditError.self) { _ = try Re2Matcher(bytes("(")) }
        #expect(throws: EditError.self) { try ReplacementTemplate(bytes("$3"), groups: 2) }
        #expect(throws: EditError.self) { try ReplacementTemplate(bytes("${none}"), groups: 2) }
        #expect(throws: EditError.self) {
            try replaceMatches(
                in: bytes("abc"), of: { _, _, _ in [1..<9] }, with: ReplacementTemplate(literal: []))
        }
        var asked = 0
        #expect(throws: EditError.self) {
            try replaceMatches(
                in: bytes("aaa"), of: { _, from, to in from < to ? [from..<(from + 1)] : nil },
                with: ReplacementTemplate(literal: bytes("b")),
                shouldStop: {
                    asked += 1
                    return asked > 2
                })
        }
        #expect(
            try ReplacementTemplate(bytes("cost $ 5$"), groups: 0) == ReplacementTemplate(literal: bytes("cost $ 5$")))
    }

    @Test func insertLines() throws {
        func inserted(_ text: String, _ line: Int, _ new: String) throws -> String {
            string(try insert(bytes(new), behind: line, of: bytes(text)).text)
        }
        #expect(try inserted("a\nb\n", 0, "x") == "x\na\nb\n")
        #expect(try inserted("a\nb\n", 1, "x\ny\n") == "a\nx\ny\nb\n")
        #expect(try inserted("a\nb\n", 2, "x") == "a\nb\nx\n")
        #expect(try inserted("a\nb", 2, "x\n") == "a\nb\nx")
        #expect(try inserted("a\nb", 1, "x") == "a\nx\nb")
        #expect(try inserted("", 0, "x\n") == "x\n")
        #expect(try inserted("a\r\nb\r\n", 1, "x\ny").utf8.elementsEqual("a\r\nx\r\ny\r\nb\r\n".utf8))
        #expect(try inserted("a\r\nb", 2, "x").utf8.elementsEqual("a\r\nb\r\nx".utf8))
        for line in [-1, 3, Int.max - 1] {
            #expect(throws: EditError.self) { try inserted("a\nb\n", line, "x") }
        }
    }

    @Test func linesByNumber() throws {
        func exchanged(_ text: String, _ lines: ClosedRange<Int>, _ new: String) throws -> String {
            string(try replaceLines(lines, of: bytes(text), with: bytes(new)).text)
        }
        #expect(try exchanged("a\nb\nc\n", 2...2, "x\ny") == "a\nx\ny\nc\n")
        #expect(try exchanged("a\nb\nc\n", 1...2, "") == "c\n")
        #expect(try exchanged("a\nb\nc", 3...3, "") == "a\nb")
        #expect(try exchanged("a\nb\nc", 3...3, "x\n") == "a\nb\nx")
        #expect(try exchanged("a\r\nb\nc\n", 1...2, "x\ny").utf8.elementsEqual("x\r\ny\nc\n".utf8))
        #expect(throws: EditError.self) { try exchanged("a\n", 1...2, "x") }
        #expect(throws: EditError.self) { try exchanged("a\n", 0...1, "x") }
    }
}
