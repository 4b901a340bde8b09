// Which keys a pattern means, how long that may take, and that a walk over them passes nothing over.
import TestSupport
import Testing

@testable import Cache

/// A glob as its definition has it, by trying everything: exponential, and for short ones only.
private func matchesByTrying(_ pattern: ArraySlice<UInt8>, _ key: ArraySlice<UInt8>) -> Bool {
    guard let first = pattern.first else { return key.isEmpty }
    let rest = pattern.dropFirst()
    if first == UInt8(ascii: "*") {
        return (0...key.count).contains { matchesByTrying(rest, key.dropFirst($0)) }
    }
    guard let byte = key.first else { return false }
    if first == UInt8(ascii: "?") { return matchesByTrying(rest, key.dropFirst()) }
    if first == UInt8(ascii: "["), let end = rest.firstIndex(of: UInt8(ascii: "]")) {
        let body = rest[..<end]
        let isNegated = body.first == UInt8(ascii: "!")
        return body.dropFirst(isNegated ? 1 : 0).contains(byte) != isNegated
            && matchesByTrying(rest[(end + 1)...], key.dropFirst())
    }
    return first == byte && matchesByTrying(rest, key.dropFirst())
}

@Suite struct PatternTests {
    @Test(arguments: [
        ("*", ["", "a", "a/b", "\n", "é"], []),
        ("", [""], ["a"]),
        ("a*", ["a", "ab", "a*"], ["", "ba"]),
        ("?", ["a", "*"], ["", "ab", "é"]),
        ("??", ["é", "ab"], ["a"]),
        ("*a*b", ["ab", "aab", "xaxbxb"], ["ba", "abx"]),
        ("[abc]x", ["ax", "cx"], ["dx", "x", "abcx"]),
        ("[a-c]", ["a", "b", "c"], ["d", "-"]),
        ("[!a-c]", ["d", "-", "]"], ["a", "", "b"]),
        ("[^a]", ["b", "^"], ["a"]),
        ("[]a]", ["]", "a"], ["b"]),
        ("[!]a]", ["b"], ["]", "a"]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[-a]", ["a", "-"], ["b"]),
        ("[\\]]", ["]"], ["\\"]),
        ("[\\a-\\c]", ["a", "b", "c"], ["\\"]),
        ("[[]", ["["], ["]"]),
        ("\\*", ["*"], ["a", "\\*", ""]),
        ("\\\\", ["\\"], ["\\\\"]),
        ("a]", ["a]"], ["a"]),
        ("{a,b}", ["{a,b}"], ["a"]),
        ("**?**", ["a", "ab"], [""]),
    ]) func globs(_ pattern: String, _ yes: [String], _ no: [String]) throws {
        let glob = try KeyGlob(bytes(pattern))
        for key in yes { #expect(glob.matches(bytes(key)), "\(pattern) \(key)") }
        for key in no { #expect(!glob.matches(bytes(key)), "\(pattern) \(key)") }
    }

    @Test(arguments: [
        "[", "[a", "[]", "[!]", "[!", "\\", "a\\", "[\\", "[a-", "[b-a]", "[a-\\", String(repeating: "a", count: 1025),
    ])
    func noGlobs(_ pattern: String) {
        #expect(throws: CacheError.self) { try KeyGlob(bytes(pattern)) }
    }

    @Test func sameAsTrying() throws {
        var random = seeded()
        let pieces = ["a", "b", "*", "?", "[ab]", "[!a]", "[!bc]"]
        var matches = 0
        for _ in 0..<4000 {
            let pattern = (0..<Int.random(in: 0...6, using: &random)).map { _ in
                pieces.randomElement(using: &random) ?? ""
            }.joined()
            let key = (0..<Int.random(in: 0...7, using: &random)).map { _ in UInt8.random(in: 97...99, using: &random) }
            let expected = matchesByTrying(bytes(pattern)[...], key[...])
            try #require(try KeyGlob(bytes(pattern)).matches(key) == expected, "\(pattern) \(key)")
            // The same behind so much that the states do not fit in one word.
            let prefix = [UInt8](repeating: 120, count: Int.random(in: 60...200, using: &random))
            try #require(try KeyGlob(prefix + bytes(pattern)).matches(prefix + key) == expected)
            matches += expected ? 1 : 0
        }
        #expect(matches > 300)
    }

    /// Every byte of the key is looked at once, and for each of them at most 17 words.
    @Test(arguments: [
        String(repeating: "*a", count: 511) + "b", String(repeating: "a*", count: 511) + "b",
        String(repeating: "*", count: 1023) + "b", String(repeating: "?*", count: 511) + "b",
    ]) func hostileGlobs(_ pattern: String) throws {
        let glob = try KeyGlob(bytes(pattern))
        let key = [UInt8](repeating: 97, count: CacheLimits.longestKey)
        let time = ContinuousClock().measure { for _ in 0..<20 { #expect(!glob.matches(key)) } }
        // 350,000 steps; whoever tries again from each star needs millions, or as many as there are atoms.
        #expect(time < .seconds(2))
        #expect(glob.matches(key.dropLast() + [98]))
    }

    @Test func expressions() throws {
        let one = try OneNamespace()
        for key in ["user:1", "user:22", "user:x", "xuser:1", "user:1\n", "é"] {
            try one.namespace.set(bytes(key), [1], now: 0)
        }
        try one.namespace.set([0xFF, 0xFE], [1], now: 0)
        func keys(_ expression: String) throws -> [String] {
            one.namespace.allKeys(.expression(try KeyExpression(bytes(expression))), now: 0)
        }
        // The whole key, not a part of it.
        #expect(try keys("user:[0-9]+") == ["user:1", "user:22"])
        #expect(try keys("user:\\d+|x.*") == ["user:1", "user:22", "xuser:1"])
        #expect(try keys("(?s)user:1.") == ["user:1\n"])
        // Bytes: also those that are no text.
        #expect(try keys("[\\xfe\\xff]{2}").count == 1)
        #expect(try keys("..") == [String(decoding: [0xFF, 0xFE] as [UInt8], as: UTF8.self), "é"].sorted())
        #expect(try keys("é") == ["é"])
        for bad in ["(", "a{1001}", "(?=a)", "(a)\\1", "[", "*", String(repeating: "a", count: 1025)] {
            #expect(throws: CacheError.self) { try KeyExpression(bytes(bad)) }
        }
    }

    /// Expressions that take exponential time where they are tried one way after the other.
    @Test(arguments: ["(a*)*b", "(a|aa)+b", "(a|a?)+b", "((a{1,20}){1,20}){1,2}b", "(.*a){20}b"])
    func hostileExpressions(_ pattern: String) throws {
        let expression = try KeyExpression(bytes(pattern))
        let key = [UInt8](repeating: 97, count: CacheLimits.longestKey)
        let time = ContinuousClock().measure { for _ in 0..<20 { #expect(!expression.matches(key)) } }
        #expect(time < .seconds(2))
        #expect(expression.matches([UInt8](repeating: 97, count: 30) + [98]))
    }

    /// What is there from the first page to the last is found, whatever comes and goes meanwhile.
    @Test func walk() throws {
        var random = seeded()
        let one = try OneNamespace()
        let staying = (0..<300).map { "stay-\($0)" }
        for round in 0..<30 {
            one.namespace.clear()
            var all = staying + (0..<300).map { "go-\($0)" }
            all.shuffle(using: &random)
            for key in all { try one.namespace.set(bytes(key), [1], now: 0) }
            var found: Set<String> = []
            var cursor: CacheCursor?
            var pages = 0
            repeat {
                let page = one.namespace.keys(
                    matching: .glob(try KeyGlob(bytes("stay-*"))), after: cursor, limit: 10, examining: 25, now: 0)
                #expect(page.keys.count <= 10)
                found.formUnion(page.keys.map { String(decoding: $0, as: UTF8.self) })
                cursor = page.next
                pages += 1
                for _ in 0..<Int.random(in: 0...20, using: &random) {
                    let other = bytes("go-\(Int.random(in: 0..<400, using: &random))")
                    if Bool.random(using: &random) {
                        one.namespace.delete(other, now: 0)
                    } else {
                        try one.namespace.set(other, [1], now: 0)
                    }
                }
            } while cursor != nil
            #expect(found == Set(staying), "round \(round)")
            #expect(pages >= 30)
        }
    }

    /// A page ends when its time is over, with one entry looked at at least, or a walk would not come to an end.
    @Test func timeOfAPage() throws {
        let one = try OneNamespace()
        for number in 0..<40 { try one.namespace.set(bytes("\(number)"), [1], now: 0) }
        for pattern in [CachePattern.all, .expression(try KeyExpression(bytes(".*")))] {
            var found = 0, pages = 0
            var cursor: CacheCursor?
            repeat {
                let page = one.namespace.keys(matching: pattern, after: cursor, longest: 0, now: 0)
                found += page.keys.count
                pages += 1
                cursor = page.next
            } while cursor != nil
            #expect(found == 40 && (3...40).contains(pages))
        }
        #expect(one.namespace.keys(matching: .all, longest: .max, now: 0).next == nil)
    }

    /// A cursor is a number that somebody sends.
    @Test func anyCursor() throws {
        let one = try OneNamespace()
        try one.namespace.set(bytes("a"), [1], now: 0)
        for number: UInt32 in [0, 1, 2, .max] {
            let page = one.namespace.keys(matching: .all, after: CacheCursor(rawValue: number), now: 0)
            #expect(page.keys.count == (number == 0 ? 0 : 1) && page.next == nil)
        }
        let none = one.namespace.keys(matching: .all, limit: 0, now: 0)
        #expect(none.keys.isEmpty && none.next != nil)
        #expect(one.namespace.keys(matching: .all, limit: -1, examining: -1, now: 0).keys.isEmpty)
    }
}
