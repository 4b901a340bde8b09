// Unified diffs: what is read, what is forgiven and reported, what is refused and how.
import Foundation
import TestSupport
import Testing

@testable import ToolEdit

/// A small tree in memory, and a patch applied to it as a caller would.
struct Tree: Equatable {
    var files: [String: String]
    var executable: Set<String> = []

    func resolve(_ patch: String, _ options: PatchOptions = PatchOptions()) throws(PatchError) -> ChangeSet {
        let files = self.files
        let executable = self.executable
        return try resolvePatch(bytes(patch), options: options) { path in
            let name = string(path)
            if name == "dir" { return .refused("directory") }
            return files[name].map {
                .file(FileSnapshot(bytes: bytes($0), isExecutable: executable.contains(name)))
            } ?? .missing
        }
    }

    mutating func apply(_ patch: String, _ options: PatchOptions = PatchOptions()) throws(PatchError) {
        apply(try resolve(patch, options))
    }

    mutating func apply(_ set: ChangeSet) {
        for change in set.changes {
            if case .move(let from, _) = change.kind {
                files[string(from)] = nil
                executable.remove(string(from))
            }
            files[string(change.path)] = change.after.map { string($0.bytes) }
            executable.remove(string(change.path))
            if change.after?.isExecutable == true { executable.insert(string(change.path)) }
        }
    }

    func refusal(_ patch: String, _ options: PatchOptions = PatchOptions()) -> PatchError? {
        do {
            _ = try resolve(patch, options)
            return nil
        } catch {
            return error
        }
    }
}

@Suite struct UnifiedPatchTests {
    private let ten = (1...10).map { "line \($0)\n" }.joined()

    @Test func severalFiles() throws {
        var tree = Tree(files: ["a": "1\n2\n3\n", "gone": "x\n", "sub/c": "c\n"])
        try tree.apply(
            """
            Some words of a mail.
            diff --git a/a b/a
            index 1234567..89abcde 100644
            --- a/a
            +++ b/a
            @@ -1,3 +1,3 @@ heading
             1
            -2
            +two
             3
            diff --git a/gone b/gone
            deleted file mode 100644
            --- a/gone
            +++ /dev/null
            @@ -1 +0,0 @@
            -x
            diff --git a/new b/new
            new file mode 100755
            --- /dev/null
            +++ b/new
            @@ -0,0 +1,2 @@
            +#!/bin/sh
            +true
            \\ No newline at end of file
            diff --git a/sub/c b/sub/d
            similarity index 100%
            rename from sub/c
            rename to sub/d
            -- 
            2.39.5

            """)
        #expect(
            tree
                == Tree(
                    files: ["a": "1\ntwo\n3\n", "new": "#!/bin/sh\ntrue", "sub/d": "c\n"], executable: ["new"]))
    }

    /// Names without prefix, with dates, with `./`, and with a number of components to take off.
    @Test func names() throws {
        let body = "@@ -1 +1 @@\n-a\n+b\n"
        for (head, path, strip) in [
            ("--- f.txt\t2024-01-01 00:00:00\n+++ f.txt\t2024-01-01 00:00:01\n", "f.txt", nil),
            ("--- a/f.txt\n+++ b/f.txt\n", "f.txt", nil),
            ("--- ./f.txt\n+++ ./f.txt\n", "f.txt", nil),
            ("--- x/y/f.txt\n+++ x/y/f.txt\n", "f.txt", 2),
            ("--- f.txt.orig\n+++ f.txt\n", "f.txt", nil),
            ("--- f.txt\n+++ f.txt.new\n", "f.txt", nil),
            ("--- \"a/sp\\303\\244t\"\n+++ \"b/sp\\303\\244t\"\n", "spät", nil),
            ("--- a/two words\t\n+++ b/two words\t\n", "two words", nil),
        ] as [(String, String, Int?)] {
            var tree = Tree(files: [path: "a\n"])
            var options = PatchOptions()
            options.strip = strip
            try tree.apply(head + body, options)
            #expect(tree.files == [path: "b\n"], "\(head)")
        }
        var options = PatchOptions()
        options.workspace = bytes("/work/space/")
        var tree = Tree(files: ["f": "a\n"])
        try tree.apply("--- /work/space/f\n+++ /work/space/f\n" + body, options)
        #expect(tree.files == ["f": "b\n"])
    }

    @Test(arguments: ["/etc/passwd", "../up", "x/../../up", "", ".", "dir/", "a\u{0}b", "/work/spaceship/f"])
    func badNames(name: String) {
        var options = PatchOptions()
        options.workspace = bytes("/work/space")
        let unified = "--- \(name)\n+++ \(name)\n@@ -1 +1 @@\n-a\n+b\n"
        let agent = "*** Begin Patch\n*** Add File: \(name)\n+a\n*** End Patch"
        for patch in [unified, agent] {
            let error = Tree(files: [:]).refusal(patch, options)
            #expect(
                error?.reason == .badPath || (name.isEmpty && error?.reason == .malformed),
                "\(String(describing: error))")
        }
        let rename = "diff --git a/f b/g\nrename from f\nrename to \(name)\n"
        let error = Tree(files: ["f": ""]).refusal(rename, options)
        #expect(error != nil, "\(name)")
    }

    /// Offset and fuzz are reported.
    @Test func offsetAndFuzz() throws {
        let patch =
            "--- a/f\n+++ b/f\n@@ -3,7 +3,7 @@\n line 3\n line 4\n line 5\n-line 6\n+SIX\n line 7\n line 8\n line 9\n"
        let moved = Tree(files: ["f": "x\ny\n" + ten])
        var set = try moved.resolve(patch)
        #expect(set.placements.map(\.offset) == [2] && set.placements.map(\.line) == [5] && set.placements[0].fuzz == 0)
        let fuzzy = Tree(files: ["f": ten.replacing("line 3\n", with: "LINE 3\n")])
        set = try fuzzy.resolve(patch)
        #expect(set.placements[0].fuzz == 1)
        #expect(
            set.changes[0].after.map { string($0.bytes) }
                == ten.replacing("line 3\n", with: "LINE 3\n").replacing("line 6\n", with: "SIX\n"))
        var strict = PatchOptions()
        strict.fuzz = 0
        #expect(fuzzy.refusal(patch, strict)?.reason == .notFound)
        strict.offset = 1
        #expect(moved.refusal(patch, strict)?.reason == .notFound)
        strict.offset = 2
        #expect(moved.refusal(patch, strict) == nil)
    }

    /// A refusal names file and line, and shows the nearest place.
    @Test func refusalsTell() {
        let patch = "--- a/f\n+++ b/f\n@@ -3,5 +3,5 @@\n line 3\n line 4\n-line five\n+5\n line 6\n line 7\n"
        let error = Tree(files: ["f": ten]).refusal(patch)
        #expect(error?.reason == .notFound && error?.path == bytes("f") && error?.patchLine == 3)
        #expect(error?.candidates.first?.line == 3 && error?.candidates.first?.endLine == 7)
        #expect(error?.candidates.first.map { string($0.excerpt) } == "line 5")
        #expect(error?.message.contains("line five") == true)
    }

    @Test func refusals() {
        let tree = Tree(files: ["f": ten, "e": ""])
        let change = "@@ -1 +1 @@\n-line 1\n+x\n"
        for (patch, reason) in [
            ("", .malformed), ("hello", .malformed), ("--- a/f\n+++ b/f\n", .malformed),
            ("--- a/f\n+++ b/f\n@@ -1 +1 @@\n line 1\n", .empty),
            ("--- a/f\n+++ b/f\n@@ -x +y @@\n-a\n", .malformed),
            ("--- /dev/null\n+++ /dev/null\n" + change, .malformed),
            ("--- a/none\n+++ b/none\n" + change, .missing),
            ("--- a/dir\n+++ b/dir\n" + change, .unreadable),
            ("--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n", .exists),
            ("--- a/f\n+++ /dev/null\n" + "@@ -1 +0,0 @@\n-line 1\n", .notEmpty),
            ("diff --git a/f b/e\nrename from f\nrename to e\n", .exists),
            (
                "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n",
                .unsupported
            ),
            ("diff --git a/l b/l\nnew file mode 160000\n", .unsupported),
            ("diff --git a/b b/b\nindex 1..2 100644\nGIT binary patch\nliteral 3\n", .unsupported),
            ("diff --git a/b b/b\nBinary files a/b and b/b differ\n", .unsupported),
            ("--- a/f\n+++ b/f\n@@ -99,0 +100 @@\n+x\n", .notFound),
            ("--- a/f\n+++ b/f\n@@ -0,0 +1 @@\n+x\n", .notFound),
            ("--- a/f\n+++ b/f\n@@\n line 1\n", .malformed),
            ("--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+x\n--- /dev/null\n+++ b/x/y\n@@ -0,0 +1 @@\n+x\n", .badPath),
        ] as [(String, PatchError.Reason)] {
            #expect(tree.refusal(patch)?.reason == reason, "\(patch)")
        }
    }

    /// Wrong counts are counted anew and reported, unless that is not wanted; a bare `@@` needs a single place.
    @Test func forgiven() throws {
        let wrong = "--- a/f\n+++ b/f\n@@ -4,9 +4,9 @@\n line 4\n-line 5\n+five\n line 6\n"
        var tree = Tree(files: ["f": ten])
        #expect(try tree.resolve(wrong).placements[0].isRecounted)
        var options = PatchOptions()
        options.recounts = false
        #expect(tree.refusal(wrong, options)?.reason == .malformed)
        try tree.apply(wrong)
        #expect(tree.files["f"] == ten.replacing("line 5", with: "five"))
        try tree.apply("--- a/f\n+++ b/f\n@@ @@\n five\n-line 6\n+six\n@@\n-line 8\n+eight\n")
        #expect(tree.files["f"]?.contains("five\nsix\nline 7\neight\n") == true)
        let twice = Tree(files: ["f": "a\nb\na\nb\n"])
        #expect(twice.refusal("--- a/f\n+++ b/f\n@@\n a\n-b\n+c\n")?.reason == .ambiguous)
        // Blank context lines that lost their space.
        var blank = Tree(files: ["f": "a\n\nb\n"])
        try blank.apply("--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n")
        #expect(blank.files["f"] == "a\n\nc\n")
    }

    /// A patch with LF for a file with CRLF, the other way round, and both the same.
    @Test func lineEnds() throws {
        let patch = "--- a/f\n+++ b/f\n@@ -1,2 +1,3 @@\n a\n-b\n+B\n+c\n"
        var crlf = Tree(files: ["f": "a\r\nb\r\n"])
        #expect(try crlf.resolve(patch).placements[0].hasOtherLineEnds)
        try crlf.apply(patch)
        #expect(crlf.files["f"]?.utf8.elementsEqual("a\r\nB\r\nc\r\n".utf8) == true)
        var lf = Tree(files: ["f": "a\nb\n"])
        try lf.apply("--- a/f\n+++ b/f\n@@ -1,2 +1,3 @@\n a\r\n-b\r\n+B\r\n+c\r\n")
        #expect(lf.files["f"]?.utf8.elementsEqual("a\nB\nc\n".utf8) == true)
        // The patch as a whole has CRLF: its own ends are no part of the lines.
        lf.files["f"] = "a\nb\n"
        try lf.apply(String(decoding: bytes(patch).flatMap { $0 == 0x0A ? [0x0D, 0x0A] : [$0] }, as: UTF8.self))
        #expect(lf.files["f"]?.utf8.elementsEqual("a\nB\nc\n".utf8) == true)
        // A patch that changes line ends does so.
        crlf.files["f"] = "a\r\nb\r\n"
        try crlf.apply("--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-a\r\n+a\n b\r\n")
        #expect(crlf.files["f"]?.utf8.elementsEqual("a\nb\r\n".utf8) == true)
    }

    /// Sections see what earlier ones did, and one that fails undoes all.
    @Test func inOrder() throws {
        var tree = Tree(files: ["f": "a\n"])
        let first = "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n"
        try tree.apply(first + "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-b\n+c\n")
        #expect(tree.files == ["f": "c\n"])
        #expect(
            tree.refusal(first.replacing("-a", with: "-c") + "--- a/g\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n")?.reason
                == .missing)
        // Moved twice, and changed: one move.
        let set = try tree.resolve(
            "diff --git a/f b/g\nrename from f\nrename to g\ndiff --git a/g b/h\nrename from g\nrename to h\n"
                + "--- a/g\n+++ b/h\n@@ -1 +1 @@\n-c\n+d\n"
        )
        #expect(set.changes.map(\.kind) == [.move(from: bytes("f"), replaced: nil)])
        #expect(set.changes[0].path == bytes("h"))
        // Two files change places.
        tree = Tree(files: ["x": "1\n", "y": "2\n"])
        try tree.apply(
            "diff --git a/x b/t\nrename from x\nrename to t\ndiff --git a/y b/x\n"
                + "rename from y\nrename to x\ndiff --git a/t b/y\nrename from t\nrename to y\n"
        )
        #expect(tree.files == ["x": "2\n", "y": "1\n"])
    }

    /// What git itself writes for random trees, renames, modes and odd names included, is done as git meant it; and the
    /// diff that we return is taken by git.
    @Test func gitDiffs() throws {
        var random = seeded()
        let root = FileManager.default.temporaryDirectory.appending(path: "tool-edit-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: root) }
        let names = ["plain", "two words", "dir.d/deep/x", "spät", "quo\"te", "tab\tname", "-dash", "a", "b"]
        func randomTree() -> Tree {
            var tree = Tree(files: [:])
            for name in names where Bool.random(using: &random) {
                let lines = randomLines(Int.random(in: 0...20, using: &random), &random)
                tree.files[name] = string(text(lines, closed: Int.random(in: 0...2, using: &random) > 0))
                if Bool.random(using: &random) { tree.executable.insert(name) }
            }
            return tree
        }
        func write(_ tree: Tree, _ place: URL) throws {
            for (name, content) in tree.files {
                let file = place.appending(path: name)
                try FileManager.default.createDirectory(
                    at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(content.utf8).write(to: file)
                let mode = tree.executable.contains(name) ? 0o755 : 0o644
                try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file.path)
            }
        }
        for round in 0..<25 {
            let old = randomTree()
            var new = Bool.random(using: &random) ? randomTree() : old
            // Renames, with small changes.
            for name in new.files.keys.sorted() where Int.random(in: 0...3, using: &random) == 0 {
                let isExecutable = new.executable.remove(name) != nil
                new.files["moved/" + name] =
                    (new.files.removeValue(forKey: name) ?? "") + (Bool.random(using: &random) ? "more\n" : "")
                if isExecutable { new.executable.insert("moved/" + name) }
            }
            let (a, b) = (root.appending(path: "\(round)/a"), root.appending(path: "\(round)/b"))
            for place in [a, b] {
                try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
            }
            try write(old, a)
            try write(new, b)
            let folder = root.appending(path: "\(round)").path
            let script = """
                export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x
                export GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x
                git init -q r && cp -a a/. r/ && cd r && git add -A && git commit -q --allow-empty -m a
                git rm -rq . >/dev/null 2>&1; cp -a ../b/. . && git add -A && git diff --cached -M30 HEAD >../patch
                git reset -q --hard HEAD && git clean -fdq
                """
            _ = try execute(["bash", "-c", script], directory: folder)
            let patch = try String(contentsOfFile: folder + "/patch", encoding: .utf8)
            guard !patch.isEmpty else { continue }
            var tree = old
            let set = try tree.resolve(patch)
            tree.apply(set)
            #expect(tree == new, "\(patch)")
            // Ours, by git.
            try Data(set.diff).write(to: root.appending(path: "\(round)/ours"))
            let check = """
                export GIT_CONFIG_NOSYSTEM=1
                cd r && git apply --whitespace=nowarn ../ours && cd .. && rm -rf r/.git && diff -r r b &&
                for side in r b; do (cd $side && find . -type f -perm -u+x | sort) >$side.modes; done &&
                diff r.modes b.modes
                """
            let done = try execute(["bash", "-c", check], directory: folder)
            #expect(done.status == 0, "\(done.output)\(done.errors)\n\(string(set.diff))")
        }
    }

    /// Noise is refused or applied, and never traps.
    @Test func noise() {
        var random = seeded()
        let tree = Tree(files: ["f": ten, "g": "a\r\nb"])
        let pieces = [
            "--- a/f\n", "+++ b/f\n", "--- /dev/null\n", "+++ /dev/null\n", "diff --git a/f b/f\n", "@@ -1,3 +1,3 @@\n",
            "@@ -0,0 +1 @@\n",
            "@@\n", " line 1\n", "-line 2\n", "+x\n", "\\ No newline at end of file\n", "rename from f\n",
            "rename to h\n", "\n", "copy from g\n",
            "copy to k\n", "deleted file mode 100644\n", "new mode 100755\n", "@@ -9999999999999,1 +1 @@\n",
            "--- \"a/f\n", "*** Begin Patch\n",
            "*** Update File: f\n", "*** Move to: m\n", "*** Add File: n\n", "*** Delete File: g\n",
            "*** End of File\n", "@@ line 3\n", "*** End Patch\n",
        ]
        for _ in 0..<5000 {
            let patch = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                pieces.randomElement(using: &random) ?? ""
            }.joined()
            if let set = try? tree.resolve(patch) { #expect(!set.changes.isEmpty) }
        }
    }
}
