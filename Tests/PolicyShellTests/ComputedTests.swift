// Words that show only when they run, the commands that compute them, and what only bash reads so.
import Testing

@testable import PolicyShell

@Suite struct ComputedTests {
    private func analysed(_ command: String) throws(OpaqueCommand) -> ShellProgram { try analyse(Array(command.utf8)) }

    /// `…` for a word that is computed, `…+` where it may be several.
    private func shown(_ program: ShellProgram) -> [String] {
        program.commands.map { command in
            command.words.map { $0.isComputed ? $0.isSplit ? "…+" : "…" : $0.text }.joined(separator: " ")
        }
    }

    @Test(arguments: [
        ("cat \"$x\"", ["cat …"]), ("cat $x a$y ${z}b", ["cat …+ …+ …+"]),
        ("ls $1 $? $# $$ $! $*", ["ls …+ …+ …+ …+ …+ …+"]),
        ("ls \"$@\" \"$*\" \"a$@\" \"$x\"*", ["ls …+ … …+ …+"]), ("ls ~ ~/x a~", ["ls … … a~"]),
        ("echo $(rm x)", ["echo …+", "rm x"]),
        ("echo \"a $(rm \"x y\") b\" c", ["echo … c", "rm x y"]), ("a $(b $(c) d) e", ["a …+ e", "b …+ d", "c"]),
        ("a $( (b); { c; } )", ["a …+", "b", "c"]), ("cat <<< $(id)", ["cat", "id"]), ("a $(<f)", ["a …+", ""]),
        ("cat <<E\n$x $(id) \\$(no) ${y}\n$(a \"b\")\nE\nls", ["cat", "id", "a b", "ls"]),
        ("git commit -m \"$(cat <<'E'\nit's $(x) `y` )\nE\n)\"; ls", ["git commit -m …", "cat", "ls"]),
        ("for f in a $(b); do rm \"$f\"; done", ["b", "rm …"]),
        ("for f in *.c\ndo\nls $f\ndone | cat", ["ls …+", "cat"]),
        ("case $(a) in x|'y z') b;; *) c & esac", ["a", "b", "c"]), ("case x in\na) ;;\n*) b\n;;\nesac > f", ["b"]),
    ])
    func computed(_ command: String, _ expected: [String]) throws {
        let program = try analysed(command)
        #expect(shown(program) == expected)
        #expect(!program.isSimple && !program.needsBash)
    }

    @Test(arguments: [
        ("ls {a,b}", ["ls a b"]), ("ls x{a,b,cd}y z", ["ls xay xby xcdy z"]),
        ("ls 'a b'{c,d}\"$\"", ["ls a bc$ a bd$"]),
        ("grep $'a\\tb\\\\\\x41' f", ["grep a\tb\\A f"]), ("$'ls' a", ["ls a"]), ("time ls", ["ls"]),
        ("time -p ls a | cat", ["ls a", "cat"]), ("ls 12<f", ["ls"]),
    ])
    func bash(_ command: String, _ expected: [String]) throws {
        let program = try analysed(command)
        #expect(shown(program) == expected)
        #expect(program.needsBash)
    }

    @Test(arguments: [
        ("l\\\ns -la", ["ls -la"]), ("ls \"a\\\nb\" c\\\n d", ["ls ab c d"]),
        ("grep '\u{a0}' \"\u{a0}\"", ["grep \u{a0} \u{a0}"]),
        ("cat 0<f", ["cat"]), ("cat <<E'F'\n$(no)\nEF", ["cat"]), ("cat <<\\E\n`no`\nE", ["cat"]),
        ("ls {} {a}", ["ls {} {a}"]),
        ("cat <<E\n\\$(no) \\`no\\`\nE", ["cat"]),
    ])
    func simple(_ command: String, _ expected: [String]) throws {
        let program = try analysed(command)
        #expect(shown(program) == expected)
        #expect(program.isSimple && !program.needsBash)
    }

    @Test(arguments: [
        "$x ls", "\"$x\"", "$(a) b", "a$x b", "~/ls", "x=$y", "x=$(y) ls", "ls >$x", "ls <\"$x\"", "ls >~/x",
        "ls 2>&$x",
        "ls ${x:-a}", "ls ${x:=a}", "ls ${!x}", "ls ${#x}", "ls ${x@P}", "ls ${x[0]}", "ls $x[0]", "ls $((1))",
        "ls $[1]", "ls \"$((1))\"", "ls $-", "ls $0", "ls ~+", "ls ~\"/x\"", "ls a=~", "ls a:~/b", "ls $(", "ls $(a",
        "ls $()", "ls $(a # b\n)", "ls $(case x in x) a;; esac)", "ls $(case x in (x) a;; esac)", "ls $(a))", "ls $(a;",
        "ls \"$(a\"", "ls $(`a`)", "ls $(x=1)", "ls $(cat <<E\na\n)", "cat <<E $(a\n)\nE",
        "ls $(cat <<'E'\nE)\nrm x\nE\n)", "ls $(cat <<'E'\nEx y)\nrm x\nE\n)", "ls $(cat <<-E\n\tE )\nE\n)",
        "cat <<E\n$(a\n)\nE",
        "cat <<E\n`a`\nE", "cat <<E\n${x:-$(a)}\nE", "cat <<E\n$(cat <<F\nF\n)\nE", "cat <<E\n$((1))\nE",
        "for PATH in a; do ls; done", "for http_proxy in a; do ls; done", "for f; do ls; done", "for f do ls; done",
        "for f in a do ls; done", "for f in a; do done", "for ((;;)); do ls; done", "select f in a; do ls; done",
        "for $x in a; do ls; done", "for 'f' in a; do ls; done", "for f in a & do ls; done",
        "case x in $y) ls;; esac", "case x in ~) ls;; esac", "case x in a) ls;& b) ls;; esac",
        "case x in a) ls;;& esac",
        "case x in a) ls", "case x in a ls;; esac", "case {a,b} in a) ls;; esac", "case x in esac) ls;; esac",
        "case x in a) ls;; esac ls", "ls;;", "if ls;; then ls; fi", "ls {1..3}", "ls {a,{b,c}}", "ls {a,}",
        "ls {a,b", "ls {$x,b}", "ls {~,b}", "ls {*,b}", "ls {'a',b}", "ls a={b,c}", "{ls,-l}", "ls > {a,b}",
        "ls <<< {a,b}",
        "ls $'\\'' ", "ls $'\\0'", "ls $'\\x00'", "ls $'\\xff'", "ls $'\\u0041'", "ls $'\\101'", "ls $'\\cA'",
        "ls $'\\q'",
        "ls $'a", "ls \"$'a'\"", "cat <<$'E'\na\nE", "time -- ls", "time -p -- ls", "time ! ls", "time { ls; }",
        "time (ls)",
        "time time ls", "time -v ls", "time >f ls", "ls | time cat", "ls \u{a0}", "ls \\\u{a0}",
        "ls # \u{a0}", "2\\\n>f ls", "ls 12345<f", "i\\\nf ls; then ls; fi",
    ])
    func opaque(_ command: String) {
        #expect(throws: OpaqueCommand.self) { try analysed(command) }
    }

    /// A command in a substitution stands where it is written.
    @Test func ranges() throws {
        let text = "echo \"a $(rm -f x)\" b"
        let program = try analysed(text)
        let parts = program.commands.map { String(decoding: Array(text.utf8)[$0.range], as: UTF8.self) }
        #expect(parts == [text, "rm -f x"])
        #expect(program.commands[1].words.map(\.range) == [10..<12, 13..<15, 16..<17])
    }

    @Test(arguments: [("ls", false), ("while ls; do ls; done", true), ("for a in b; do ls; done", true)])
    func loops(_ command: String, _ expected: Bool) throws {
        #expect(try analysed(command).hasLoop == expected)
    }
}
