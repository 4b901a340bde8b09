import Testing

@testable import PolicyModel

@Suite struct SpellingTests {
    @Test(arguments: [
        ("", "", 0), ("a", "", 1), ("read", "raed", 1), ("read", "red", 1), ("read", "reads", 1), ("read", "rexd", 1),
        ("READ", "read", 0), ("network", "netwrok", 1), ("abc", "ca", 3), ("agent", "pure", 5),
    ])
    func distance(_ first: String, _ second: String, expected: Int) {
        #expect(editDistance(first, second) == expected)
        #expect(editDistance(second, first) == expected)
    }

    @Test func nothingIsOfferedWhereNothingIsNear() {
        #expect(nearest(to: "zzzzzz", in: ["read", "write"]) == nil)
        #expect(nearest(to: String(repeating: "a", count: 100_000), in: ["a"]) == nil)
        #expect(suggestion(for: "zzzzzz", in: ["read", "write"]) == "valid: read, write")
    }

    @Test func longWordsAreCut() {
        #expect(quoted(String(repeating: "a", count: 100)) == "`" + String(repeating: "a", count: 60) + "…`")
        #expect(printable("a\u{7F}\u{202E}\n") == "a\\u{7f}\\u{202e}\\u{a}")
    }
}
