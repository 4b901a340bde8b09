// The `*** Begin Patch` format, as its public suites have it.
import Testing

@testable import ToolEdit

@Suite struct AgentPatchTests {
    private func patched(_ file: String, _ body: String) throws -> String? {
        var tree = Tree(files: ["f": file])
        try tree.apply("*** Begin Patch\n*** Update File: f\n\(body)\n*** End Patch")
        return tree.files["f"]
    }

    @Test func operations() throws {
        var tree = Tree(files: [
            "modify.txt": "line1\nline2\n", "delete.txt": "obsolete\n", "old/name.txt": "from\n", "there.txt": "x\n",
        ])
        try tree.apply(
            """
            *** Begin Patch
            *** Add File: nested/new.txt
            +created
            +
            +twice
            *** Delete File: delete.txt
            *** Update File: modify.txt
            @@
            -line2
            +changed
            *** Update File: old/name.txt
            *** Move to: there.txt
            @@
            -from
            +new
            *** End Patch
            """)
        #expect(
            tree.files == [
                "nested/new.txt": "created\n\ntwice\n", "modify.txt": "line1\nchanged\n", "there.txt": "new\n",
            ])
        // A file that is there is overwritten; a move alone is one.
        try tree.apply(
            "*** Begin Patch\n*** Add File: modify.txt\n+over\n*** Update File: there.txt\n"
                + "*** Move to: moved.txt\n*** End Patch"
        )
        #expect(
            tree.files["modify.txt"] == "over\n" && tree.files["moved.txt"] == "new\n" && tree.files["there.txt"] == nil
        )
    }

    @Test func hunks() throws {
        let four = "line1\nline2\nline3\nline4\n"
        #expect(
            try patched(four, "@@\n-line2\n+changed2\n@@\n-line4\n+changed4") == "line1\nchanged2\nline3\nchanged4\n")
        #expect(try patched("alpha\nomega\n", "@@\n alpha\n+beta\n omega") == "alpha\nbeta\nomega\n")
        #expect(
            try patched("a\nb\nc\nd\ne\nf\n", "@@\n a\n-b\n+B\n@@\n c\n d\n-e\n+E\n@@\n f\n+g\n*** End of File")
                == "a\nB\nc\nd\nE\nf\ng\n")
        // The first hunk may do without @@.
        #expect(try patched("import foo\nx\n", " import foo\n+bar") == "import foo\nbar\nx\n")
        // Only additions: at the end, whatever follows; in an empty file too.
        #expect(try patched("line1\nline2\n", "@@\n+added 1\n+added 2") == "line1\nline2\nadded 1\nadded 2\n")
        #expect(
            try patched("line1\nline2\nline3\n", "@@\n+after\n+second\n@@\n line1\n-line2\n-line3\n+two")
                == "line1\ntwo\nafter\nsecond\n")
        #expect(try patched("", "@@\n+First line") == "First line\n")
        #expect(try patched("a\nb\n", "@@\n-a\n-b\n+b\n+b\n+a") == "b\nb\na\n")
        #expect(try patched("a\nb\n", "@@\n-a\n-b") == "")
    }

    @Test func contextLines() throws {
        #expect(
            try patched("fn a\nx=10\ny=2\nfn b\nx=10\ny=20\n", "@@ fn b\n-x=10\n+x=11")
                == "fn a\nx=10\ny=2\nfn b\nx=11\ny=20\n")
        #expect(
            try patched("class A\n  def f\n    x\nclass B\n  def f\n    x\n", "@@ class B\n@@   def f\n-    x\n+    y")
                == "class A\n  def f\n    x\nclass B\n  def f\n    y\n")
        // An addition behind a context line goes there.
        #expect(try patched("class A\n  x\n", "@@ class A\n+  y") == "class A\n  y\n  x\n")
        // Line numbers and git's headings say nothing here.
        #expect(try patched("a\nb\n", "@@ -1,2 +1,2 @@ class X\n a\n-b\n+c") == "a\nc\n")
    }

    @Test func endOfFile() throws {
        #expect(try patched("alpha\nlast\n", "@@\n-last\n+end\n*** End of File") == "alpha\nend\n")
        #expect(
            try patched("start\nmarker\nend\nmarker\nend\n", "@@\n-marker\n-end\n+changed\n+end\n*** End of File")
                == "start\nmarker\nend\nchanged\nend\n")
        #expect(try patched("foo\nbar\n", "@@\n+quux\n*** End of File") == "foo\nbar\nquux\n")
        // The file gets a last line end, which the format cannot deny it.
        #expect(try patched("no newline at end", "@@\n-no newline at end\n+first\n+second") == "first\nsecond\n")
    }

    /// Ever looser comparisons, the file's own bytes for context, and the comparison told.
    @Test func comparisons() throws {
        #expect(try patched("line1  \nline2\t\nline3\n", "@@\n line1\n-line2\n+changed") == "line1  \nchanged\nline3\n")
        #expect(try patched("  line1\n\tline2\n", "@@\n line1\n-line2\n+changed") == "  line1\nchanged\n")
        #expect(
            try patched(
                "import asyncio  # local import \u{2013} avoids top\u{2011}level dep\n",
                "@@\n-import asyncio  # local import - avoids top-level dep\n+ok")
                == "ok\n")
        #expect(
            try patched("He said \u{201C}hello\u{201D}\nsome\u{2014}dash\n", "@@\n-He said \"hello\"\n+hi")
                == "hi\nsome\u{2014}dash\n")
        // Canonically equivalent, but not merely compatible.
        #expect(try patched("cafe\u{301}\n", "@@\n-caf\u{E9}\n+tea") == "tea\n")
        #expect(throws: PatchError.self) { try patched("o\u{FB03}ce\n", "@@\n-office\n+studio") }
        // An exact place further down comes before a looser one.
        #expect(try patched("  a\na\n", "@@\n-a\n+b") == "  a\nb\n")
        let set = try Tree(files: ["f": "a \n"]).resolve(
            "*** Begin Patch\n*** Update File: f\n@@\n-a\n+b\n*** End Patch")
        #expect(set.placements.map(\.comparison) == [.trailingSpace])
    }

    @Test func lineEnds() throws {
        func same(_ file: String, _ body: String, _ after: String) throws {
            let result = try patched(file, body)
            #expect(result?.utf8.elementsEqual(after.utf8) == true, "\(result.debugDescription)")
        }
        try same(
            "one\r\ntwo\r\nthree\r\n", "@@\n-one\n+uno\n@@\n two\n+\n+between\n three",
            "uno\r\ntwo\r\n\r\nbetween\r\nthree\r\n")
        try same("one\r\ntwo\nthree\r\nfour\n", "@@\n one\n two\n-three\n+THREE\n four", "one\r\ntwo\nTHREE\r\nfour\n")
        try same("same\r\nsame\n", "@@\n-same\n same", "same\n")
        try same("one\r\ntwo", "@@\n-one\n+ONE", "ONE\r\ntwo\r\n")
        try same("foo\r\r\nbar\r\n", "@@\n+BAZ\n*** End of File", "foo\r\r\nbar\r\nBAZ\r\n")
        var tree = Tree(files: ["f": "a\nb\n"])
        try tree.apply("*** Begin Patch\r\n*** Update File: f\r\n@@\r\n-a\r\n+x\r\n*** End Patch\r\n")
        #expect(tree.files["f"]?.utf8.elementsEqual("x\nb\n".utf8) == true)
    }

    /// What stands around a patch, or is written a little differently, as models do.
    @Test func forgiven() throws {
        let body = "*** Begin Patch\n*** Add File: n\n+x\n*** End Patch"
        for wrapped in [
            body, "\n\(body)\n\n", "cat <<'EOF'\n\(body)\nEOF", "<<EOF\n\(body)\nEOF\n",
            "apply_patch <<'PATCH'\n\(body)\nPATCH",
            "```patch\n\(body)\n```\n", " *** Begin Patch\n  *** Add File: n\n+x\n*** End Patch ",
        ] {
            var tree = Tree(files: [:])
            try tree.apply(wrapped)
            #expect(tree.files == ["n": "x\n"], "\(wrapped)")
        }
        // Blank lines between a hunk and what follows, and blank context without its space.
        #expect(try patched("a\nb\n", "@@\n-a\n+x\n\n@@\n-b\n+y\n\n") == "x\ny\n")
        #expect(try patched("a\n\nb\n", "@@\n a\n\n-b\n+y") == "a\n\ny\n")
        // A unified diff of a file that holds such a patch is a unified diff.
        var tree = Tree(files: ["f": "*** Begin Patch\nb\n"])
        try tree.apply("--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n *** Begin Patch\n-b\n+c\n")
        #expect(tree.files["f"] == "*** Begin Patch\nc\n")
    }

    @Test func refusals() {
        let tree = Tree(files: ["f": "line1\nline2\n", "four": "a\nb\nc\nd\n"])
        func update(_ body: String) -> String { "*** Begin Patch\n*** Update File: f\n\(body)\n*** End Patch" }
        for (patch, reason, line) in [
            ("*** Begin Patch\n*** End Patch", .empty, 0),
            ("*** Begin Patch\n*** Frobnicate File: foo\n*** End Patch", .malformed, 2),
            ("*** Begin Patch\n*** Update File: f\n*** End Patch", .malformed, 2),
            ("*** Begin Patch\n*** Update File: f\n@@\n-line1\n+x\n", .malformed, 5),
            ("*** Begin Patch\n*** Add File: n\nno plus\n*** End Patch", .malformed, 3),
            ("*** Begin Patch\n*** Update File: none\n@@\n-a\n+b\n*** End Patch", .missing, 2),
            ("*** Begin Patch\n*** Delete File: none\n*** End Patch", .missing, 2),
            ("*** Begin Patch\n*** Delete File: dir\n*** End Patch", .unreadable, 2),
            (
                "*** Begin Patch\n*** Add File: created\n+hello\n*** Update File: none\n@@\n-a\n+b\n*** End Patch",
                .missing, 4
            ),
            ("*** Begin Patch\n*** Add File: x\n+hello\n*** End Patch\nrm -rf /", .malformed, 5),
            (update("@@\n-missing\n+changed"), .notFound, 3),
            (update("@@ no such\n-line1\n+changed"), .notFound, 3),
            (update("@@\n-line2\n+x\n@@\n-line1\n+y"), .notFound, 6),
            (update("@@"), .malformed, 3),
            (update("@@\nwords"), .malformed, 4),
            (update("@@\n line1"), .empty, 0),
            ("*** Begin Patch\n*** Update File: four\n@@\n-b\n+B\n\n-d\n+D\n*** End Patch", .notFound, 3),
        ] as [(String, PatchError.Reason, Int)] {
            let error = tree.refusal(patch)
            #expect(error?.reason == reason && error?.patchLine == line, "\(patch)\n\(String(describing: error))")
        }
        let near = tree.refusal(update("@@\n line1\n-line two\n+x"))
        #expect(near?.candidates.first?.line == 1 && near?.message.contains("f: line 3 of the patch") == true)
    }
}
