import PolicyModel
import Testing

@Suite struct PathPatternTests {
    @Test(arguments: [
        ("**/.env", ".env", true), ("**/.env", "a/b/.env", true), ("**/.env", "a/.env/b", false),
        ("**/.env", "a.env", false), ("*/.env", ".env", false), ("**/.ssh/**", ".ssh", true),
        ("**/.ssh/**", "a/.ssh/b/c", true), ("**/.ssh/**", "a/.sshx/b", false), ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true), ("a/**/b", "a/x/y/c", false), ("a/**/b/**/c", "a/b/b/x/c", true), ("**", "", true),
        ("**", "a/b", true), ("**/**", "a", true), ("*", ".hidden", true), ("*", "a/b", false), ("a?c", "abc", true),
        ("a?c", "a√©c", false), ("a?c", "aéc", true), ("[a-c]x", "bx", true), ("[!a-c]x", "bx", false),
        ("[^a-c]x", "dx", true), ("[]a]", "]", true), ("[a-]", "-", true), ("[\\]]", "]", true), ("[é]", "é", true),
        ("\\*", "*", true), ("\\*", "a", false), ("\\!a", "!a", true), ("/usr/*/x", "usr/lib/x", true),
        ("${workspace}/a", "a", true), ("${home}", "", true), ("/", "", true), ("*.pem", ".pem", true),
        ("a*b*c", "aXbXbXc", true), ("a*b*c", "aXbXbX", false), ("É", "É", true),
    ])
    func matches(_ pattern: String, _ path: String, expected: Bool) throws {
        #expect(try PathPattern(pattern).matches(relativePath: PathPattern.components(of: path)) == expected)
    }

    @Test func namesAreComparedAsTheKernelDoes() throws {
        let composed = "\u{E9}"
        let decomposed = "e\u{301}"
        #expect(composed == decomposed)
        #expect(try !PathPattern(composed).matches(relativePath: [decomposed]))
        #expect(try PathPattern(composed) != PathPattern(decomposed))
        let policy = try loadBody("[fs]\ndeny = [\"\(composed)\", \"\(decomposed)\"]")
        #expect(policy.fileSystem.deny.count == 2)
        // A slash with a combining mark after it is a slash.
        #expect(try PathPattern("a/\u{338}b").components.count == 2)
        #expect(PathPattern.components(of: "/a/\u{338}b//c/").map { Array($0.utf8).count } == [1, 3, 1])
    }

    @Test func namesNeedNotBeUTF8() throws {
        #expect(try PathPattern("**/*.pem").matches(relativePathBytes: [[0xFF], Array("\u{E9}.pem".utf8)]))
        #expect(try PathPattern("?.pem").matches(relativePathBytes: [[0xFF] + Array(".pem".utf8)]))
        #expect(try !PathPattern("\u{FFFD}").matches(relativePathBytes: [[0xFF]]))
        // A truncated sequence, an overlong one and a surrogate are single bytes each.
        for bytes in [[0xE2, 0x82], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5]] as [[UInt8]] {
            #expect(try Glob(String(repeating: "?", count: bytes.count)).matches(bytes: bytes))
        }
    }

    @Test func coversWhatIsBelow() throws {
        let pattern = try PathPattern("/usr/lib*")
        #expect(
            pattern.covers(relativePath: ["usr", "lib64"]) && pattern.covers(relativePath: ["usr", "lib", "a", "b"]))
        #expect(!pattern.covers(relativePath: ["usr"]) && !pattern.covers(relativePath: ["usr", "bin", "lib"]))
        #expect(try PathPattern("${workspace}").covers(relativePath: ["a"]))
        #expect(try PathPattern("a").covers(relativePathBytes: [[0x61], [0xFF]]))
        #expect(try PathPattern("**/a").covers(relativePath: ["x", "a", "y", "z"]))
    }

    @Test func aPatternKnowsItsParts() throws {
        let pattern = try PathPattern("${workspace}/a/\\*b/*.c/d")
        #expect(pattern.anchor == .workspace && !pattern.isLiteral && pattern.literalPrefix == ["a", "*b"])
        #expect(try PathPattern("/usr/lib").isLiteral && PathPattern("/usr/lib").anchor == .root)
        #expect(try PathPattern("/").isLiteral && PathPattern("${home}/x").anchor == .home)
        #expect(try PathPattern("a/b") == PathPattern("${workspace}/a/\\b"))
        #expect("\(try PathPattern("**/x"))" == "**/x")
    }

    /// The definition, word by word and exponential.
    private func naive(_ pattern: ArraySlice<String>, _ path: ArraySlice<String>) -> Bool {
        guard let first = pattern.first else { return path.isEmpty }
        if first == "**" {
            return naive(pattern.dropFirst(), path) || (!path.isEmpty && naive(pattern, path.dropFirst()))
        }
        guard let name = path.first else { return false }
        return naiveGlob(Array(first)[...], Array(name)[...]) && naive(pattern.dropFirst(), path.dropFirst())
    }

    private func naiveGlob(_ glob: ArraySlice<Character>, _ name: ArraySlice<Character>) -> Bool {
        guard let first = glob.first else { return name.isEmpty }
        switch first {
        case "*":
            return naiveGlob(glob.dropFirst(), name) || (!name.isEmpty && naiveGlob(glob, name.dropFirst()))
        case "?": return !name.isEmpty && naiveGlob(glob.dropFirst(), name.dropFirst())
        case "[":  // always `[ab]` or `[!a]` here
            guard let close = glob.firstIndex(of: "]"), let character = name.first else { return false }
            let set = glob[(glob.startIndex + 1)..<close]
            let isIn = set.first == "!" ? !set.dropFirst().contains(character) : set.contains(character)
            return isIn && naiveGlob(glob[(close + 1)...], name.dropFirst())
        default: return name.first == first && naiveGlob(glob.dropFirst(), name.dropFirst())
        }
    }

    @Test func agreesWithANaiveMatcher() throws {
        let seed = SeededRandom.freshSeed()
        print("PathPattern differential test: seed \(seed)")
        var random = SeededRandom(seed: seed)
        let tokens = ["a", "b", "a", "b", "?", "*", "[ab]", "[!a]"]
        var matched = 0
        for _ in 0..<20_000 {
            let pattern = (0..<Int.random(in: 1...5, using: &random)).map { _ -> String in
                if Int.random(in: 0..<4, using: &random) == 0 { return "**" }
                var name = ""
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    let token = tokens[Int.random(in: 0..<tokens.count, using: &random)]
                    if token != "*" || name.last != "*" { name += token }
                }
                return name
            }
            let path = (0..<Int.random(in: 0...6, using: &random)).map { _ in
                String(
                    (0..<Int.random(in: 1...4, using: &random)).map { _ in
                        ["a", "b"][Int.random(in: 0..<2, using: &random)] as Character
                    })
            }
            let compiled = try PathPattern(pattern.joined(separator: "/"))
            let expected = naive(pattern[...], path[...])
            matched += expected ? 1 : 0
            #expect(compiled.matches(relativePath: path) == expected, "seed \(seed): \(compiled) on \(path)")
            let covered = (0...path.count).contains { naive(pattern[...], path[..<$0]) }
            #expect(compiled.covers(relativePath: path) == covered, "seed \(seed): \(compiled) covers \(path)")
        }
        #expect(matched > 500)
    }

    @Test func hostilePatternsTakeNoTime() throws {
        let glob = try Glob(String(repeating: "*a", count: 1000) + "b")
        let deep = try PathPattern(String(repeating: "**/a/", count: 800) + "b")
        let clock = ContinuousClock()
        let time = clock.measure {
            #expect(!glob.matches(String(repeating: "a", count: 4000)))
            #expect(!deep.matches(relativePath: Array(repeating: "a", count: 2000)))
        }
        #expect(time < .seconds(20), "exponential would not end at all")
    }
}
