// The rules against git's and ripgrep's own: thousands of small random trees, and each seed is printed.
//
// Where ripgrep 13 and git differ in how they read a pattern, git is right by definition, and ripgrep is asked only about
// the rest: it takes braces for alternatives, knows no [[:class:]], skips a line with a pattern that it cannot read, trims
// tabs, and reads a .gitignore that is a link.
import Foundation
import Linux
import TestSupport
import Testing
import ToolTree

@Suite struct DifferentialTests {
    private let zero: UInt8 = 0

    @Test(arguments: 0..<6) func gitIgnoresTheSame(round: Int) throws {
        var random = RandomTree(isGitOnly: true, generator: seeded("gitIgnoresTheSame \(round)"))
        let tree = try TemporaryTree()
        _ = try tree.shell("git init -q .")
        var paths: [[UInt8]] = []
        for index in 0..<200 { paths += try random.fill(tree, bytes("t\(index)")) }
        _ = try tree.shell("git config core.excludesFile $PWD/.git/excludes")
        var settings = IgnoreSettings.git
        var listed: [[UInt8]] = []
        // A repository whose rules leave out nearly everything says nothing about the others.
        while listed.count * 5 < paths.count {
            try tree.make(bytes(".gitignore"), random.chance(50) ? random.ignoreFile(3) : [])
            try tree.make(bytes(".git/info/exclude"), random.chance(60) ? random.ignoreFile(3) : [])
            settings.globalExcludes = random.ignoreFile(3)
            try tree.make(bytes(".git/excludes"), settings.globalExcludes)
            listed = try tree.shell("git ls-files -o --exclude-standard -z").split(separator: zero).map(Array.init)
        }

        let isDirectory = { (path: [UInt8]) in path.last == UInt8(ascii: "/") }
        let plain = paths.map { isDirectory($0) ? Array($0.dropLast()) : $0 }
        try tree.make(bytes(".git/asked"), Array(plain.joined(separator: [zero])) + [zero])
        let answer = try tree.shell("git check-ignore --no-index --stdin -z <.git/asked")
        let ignored = Set(answer.split(separator: zero).map(Array.init))
        let rules = IgnoreTree(try tree.root(), settings)
        for (path, name) in zip(paths, plain) {
            let verdict = try rules.verdict(name, isDirectory: isDirectory(path))
            #expect(
                (verdict?.isIgnored ?? false) == ignored.contains(name),
                "\(pathText(path)) \(String(describing: verdict))")
        }

        var walked: [[UInt8]] = []
        var options = WalkOptions()
        options.ignore = settings
        options.kinds = [.regular, .symlinks]
        options.includesHidden = true
        options.skipsGitDirectory = true
        try Walk(try tree.root(), options).forEach { batch in
            walked += batch.entries.map { Array(batch.path($0)) }
            return true
        }
        #expect(walked.count == Set(walked).count)
        #expect(Set(walked) == Set(listed))
        #expect(!ignored.isEmpty)
    }

    /// Corners that chance seldom finds: each pattern alone, over one small tree.
    @Test func gitReadsCornersTheSame() throws {
        let patterns = [
            "a**/b", "/a**/b", "x/a**/b", "**/a**/b", "\\a**/b", "a**b", "a**/", "a*/**", "a/**/", "a/**/**/b", "**a/b",
            "a/**b", "***/b", "a/***", "**/**", "/**", "**/", "/", "//", "!", "a//", "a/", "/a", "a/b", "*/b", "?/b",
            "[^x]/b", "a[/]b", "a[!x]b", "a\\/b", "**\\/b", "a/**\\/b", "a ", "a\\ ", "a  \\", "\\", "a\\", "[", "[a",
            "[]",
            "[!]", "[]]", "[a-]", "[-a]", "[a-\\b]", "[[:alpha:]-z]", "[[:alpha:", "[[:alpha:]", "[[a]", "#", "\\#",
            "\\!a",
            "*a*b*", "*b", "*.", "ab", "ab*", "*ab", "**ab", "a?", "??", "b/..", "./a", "a/.", ".a", "*a", "x/**/b",
        ]
        let names = [
            "a", "b", "ab", "abb", "a b", "a ", "#", "!a", "]", "-", "[", "\\", "d/a/b", "d/ab/b", "d/axx/y/b", "x/a/b",
            "x/ab",
            "x/ay/b", "x/axb", "e/b", "e/x/b", "f/a/a/b", "g/.a", "g/a.", "h/a/", "z/z/z/b",
        ]
        let tree = try TemporaryTree()
        _ = try tree.shell("git init -q .")
        var asked: [[UInt8]] = []
        for (index, pattern) in patterns.enumerated() {
            // Each name at the top of its own small tree, and below others.
            for name in names {
                let top = "p\(index)/\(name.contains("/") ? "" : "t/")"
                try tree.make(bytes(top + name))
                asked.append(
                    bytes(top + name).last == UInt8(ascii: "/") ? bytes(top + name).dropLast() : bytes(top + name))
            }
            for start in ["", "t/", "d/", "x/"] { try tree.make("p\(index)/\(start).gitignore", pattern + "\n") }
        }
        try tree.make(bytes(".git/asked"), Array(asked.joined(separator: [zero])) + [zero])
        let answer = try tree.shell("git check-ignore --no-index --stdin -z <.git/asked")
        let ignored = Set(answer.split(separator: zero).map(Array.init))
        let rules = IgnoreTree(try tree.root(), .git)
        for path in asked {
            let isDirectory = path.suffix(4).elementsEqual(bytes("/h/a"))
            let verdict = try rules.verdict(path, isDirectory: isDirectory)
            let pattern = patterns[Int(pathText(path).dropFirst().prefix { $0 != "/" }) ?? 0]
            #expect((verdict?.isIgnored ?? false) == ignored.contains(path), "\(pattern) on \(pathText(path))")
        }
        #expect(ignored.count > 300)
    }

    @Test(arguments: 0..<6) func ripgrepListsTheSame(round: Int) throws {
        var random = RandomTree(isGitOnly: false, generator: seeded("ripgrepListsTheSame \(round)"))
        let tree = try TemporaryTree()
        _ = try tree.shell("git init -q .")
        for index in 0..<150 { _ = try random.fill(tree, bytes("t\(index)")) }
        if random.chance(50) { try tree.make(bytes(".gitignore"), random.ignoreFile(3)) }
        if random.chance(60) { try tree.make(bytes(".git/info/exclude"), random.ignoreFile(3)) }
        let cases: [(String, (inout WalkOptions) throws -> Void)] = [
            ("", { _ in }),
            ("--hidden", { $0.includesHidden = true }),
            ("--no-ignore", { $0.ignore = .none }),
            ("--no-ignore-vcs", { ($0.ignore.gitignore, $0.ignore.gitExclude) = (false, false) }),
            ("--no-ignore-dot", { $0.ignore.dotIgnore = false }),
            ("--max-depth 2", { $0.depths = 1...2 }),
            ("-g '*.c'", { $0.filter = try PathFilter([bytes("*.c")]) }),
            ("-g '!a'", { $0.filter = try PathFilter([bytes("!a")]) }),
            (
                "-g '/t1*/*/' --hidden",
                {
                    $0.filter = try PathFilter([bytes("/t1*/*/")])
                    $0.includesHidden = true
                }
            ),
            ("-g 'foo*/**'", { $0.filter = try PathFilter([bytes("foo*/**")]) }),
            ("-g '{a,foo}*' -g '!*.o'", { $0.filter = try PathFilter([bytes("{a,foo}*"), bytes("!*.o")]) }),
            ("-t c", { $0.types = try TypeFilter(include: ["c"]) }),
            ("-T c", { $0.types = try TypeFilter(exclude: ["c"]) }),
        ]
        for (flags, change) in cases {
            let listed = try tree.shell("rg --files --no-config --no-ignore-parent --null --sort path \(flags)")
                .split(separator: zero).map { pathText(Array($0)) }
            #expect(try paths(try tree.root(), change) == listed, "rg \(flags)")
        }
    }

    @Test func types() throws {
        let tree = try TemporaryTree()
        let lines = String(decoding: try tree.shell("rg --no-config --type-list"), as: UTF8.self).split(separator: "\n")
        var theirs: [String: Set<String>] = [:]
        for line in lines {
            let parts = line.components(separatedBy: ": ")
            theirs[parts[0]] = Set(parts[1].components(separatedBy: ", "))
        }
        #expect(TypeFilter.all.count > 80)
        for (name, globs) in TypeFilter.all {
            #expect(theirs[name] == Set(globs.map { String(decoding: $0, as: UTF8.self) }), "\(name)")
        }
    }

    @Test(arguments: ["/usr/include", "/usr/share/doc"]) func realTreesAreListedAsByRipgrep(place: String) throws {
        let tree = try TemporaryTree()
        let listed = try tree.shell("cd \(place) && rg --files --no-config --no-ignore-parent --null --sort path")
            .split(separator: zero).map { pathText(Array($0)) }
        let root = try Root(owning: try open(place, [.readOnly, .directory]))
        #expect(try paths(root, threads: 2) == listed)
        #expect(try paths(root, threads: 1) == listed)
    }
}
