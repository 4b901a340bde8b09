// Patterns one by one: what gitignore(5) and ripgrep's manual say, and what must not take for ever.
import Linux
import TestSupport
import Testing
import ToolTree

@Suite struct PatternTests {
    @Test(arguments: [
        ("*.c", "a.c", true), ("*.c", "d/a.c", false), ("**/*.c", "d/e/a.c", true), ("**/*.c", "a.c", true),
        ("src/**", "src/a/b", true), ("src/**", "src", false), ("a/**/b", "a/b", true), ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "axb", false), ("{a,b}/*.{c,h}", "b/x.h", true), ("{a,b}/*.{c,h}", "c/x.h", false),
        ("{a,{b,c}d}", "cd", true), ("{,x}y", "y", true), ("a?c", "a/c", false), ("[a-c]x", "bx", true),
        ("[!a-c]x", "bx", false), ("[[:digit:]]", "7", true), ("\\*", "*", true), ("\\*", "x", false),
        ("[{,}]", ",", true), ("\\{a\\}", "{a}", true), ("a**b", "axxb", true), ("a**b", "ax/b", false),
        ("", "", true), ("**", "a/b", true), ("*/", "a/", true),
    ])
    func globs(pattern: String, path: String, expected: Bool) throws {
        #expect(try Glob(bytes(pattern)).matches(bytes(path)) == expected)
    }

    @Test(arguments: [
        ("[a", PatternProblem.badClass), ("[[:no:]]", .badClass), ("{a,b", .badBraces), ("a}", .badBraces),
        ("x\\", .danglingEscape), (String(repeating: "{a,b}", count: 11), .tooLarge),
        (String(repeating: "{", count: 4000) + String(repeating: "}", count: 4000), .tooLarge),
        (String(repeating: "x", count: 9000), .tooLarge),
    ])
    func badGlobs(pattern: String, problem: PatternProblem) {
        if pattern.hasPrefix("{{") {
            // Braces around nothing are one alternative, however many.
            #expect((try? Glob(bytes(pattern))) != nil)
        } else {
            #expect(throws: TreeError.pattern(problem)) { try Glob(bytes(pattern)) }
        }
    }

    /// A matcher that tries every way would need more steps than there are atoms.
    @Test(arguments: [
        (String(repeating: "a*", count: 200) + "b", String(repeating: "a", count: 4000)),
        (String(repeating: "**/a*", count: 100) + "/b", String(repeating: "aa/", count: 1000) + "a"),
        (String(repeating: "*?", count: 300) + "/", String(repeating: "a", count: 4000)),
    ])
    func hostilePatternsEnd(pattern: String, text: String) throws {
        let clock = ContinuousClock()
        var matches = true
        let time = try clock.measure { matches = try Glob(bytes(pattern)).matches(bytes(text)) }
        #expect(!matches)
        #expect(time < .seconds(20))
    }

    @Test func verdictsNameTheRule() throws {
        let tree = try TemporaryTree()
        try tree.make(".git/info/exclude", "# mine\n\nsecret\n")
        try tree.make(".gitignore", "*.o\n!keep.o\nbuild/\n")
        try tree.make("src/.gitignore", "/gen\n")
        try tree.make("src/.ignore", "!x.o\n")
        let rules = IgnoreTree(try tree.root())
        let ask = { (path: String, isDirectory: Bool) throws in
            try rules.verdict(bytes(path), isDirectory: isDirectory)
        }
        #expect(try ask("a.o", false) == IgnoreVerdict(isIgnored: true, source: bytes(".gitignore"), line: 1))
        #expect(try ask("keep.o", false) == IgnoreVerdict(isIgnored: false, source: bytes(".gitignore"), line: 2))
        #expect(try ask("build", false) == nil)
        #expect(try ask("build/deep/keep.o", false)?.line == 3)
        #expect(try ask("src/gen", true)?.source == bytes("src/.gitignore"))
        #expect(try ask("src/x.o", false) == IgnoreVerdict(isIgnored: false, source: bytes("src/.ignore"), line: 1))
        #expect(try ask("not/there/secret", false)?.source == bytes(".git/info/exclude"))
        #expect(try ask("src/plain", false) == nil)
        #expect(throws: TreeError.outside) { try ask("src/../../x", false) }
        #expect(throws: TreeError.absolute) { try ask("/etc", true) }
    }

    @Test func rulesOfAnOuterRepositoryEndAtAnInnerOne() throws {
        let tree = try TemporaryTree()
        try tree.make(".git/HEAD")
        try tree.make(".gitignore", "*.log\n")
        try tree.make("sub/.git/HEAD")
        try tree.make("sub/a.log")
        try tree.make("a.log")
        // A submodule's .git is a file that leads to where its own excludes are.
        try tree.make("module/.git", "gitdir: ../.git/modules/m\n")
        try tree.make(".git/modules/m/info/exclude", "hidden-here\n")
        for name in ["module/b.log", "module/hidden-here"] { try tree.make(name) }
        #expect(try paths(try tree.root()) == ["module/b.log", "sub/a.log"])
    }

    @Test func withoutARepositoryGitsRulesDoNotCount() throws {
        let tree = try TemporaryTree()
        try tree.make(".gitignore", "a\n")
        try tree.make("a")
        #expect(try paths(try tree.root()) == ["a"])
        #expect(try paths(try tree.root()) { $0.ignore.requiresRepository = false } == [])
        #expect(try paths(try tree.root()) { $0.ignore.extra = [bytes("b\n"), bytes("a")] } == [])
        #expect(throws: TreeError.unknownType) { try TypeFilter(include: ["klingon"]) }
    }

    @Test func linksInPlaceOfIgnoreFiles() throws {
        let tree = try TemporaryTree()
        try tree.make(".git/HEAD")
        try tree.make("rules", "d/x\nx\n")
        try tree.make("d/x")
        try tree.link("d/.gitignore", to: "../rules")
        #expect(try paths(try tree.root()) == ["d/x", "rules"])
        try tree.link("d/.ignore", to: "../rules")
        #expect(try paths(try tree.root()) == ["rules"])
    }
}
