// Rules, tiers, paths and rewrites: what the engine says, and why.
import Foundation
import PolicyDecision
import PolicyModel
import TestSupport
import Testing

@Suite struct EngineTests {
    private func decide(_ policy: String, _ command: String, jailed: Bool = false) throws -> Decision {
        try Narrow.engine("version = 1\n" + policy).judge(command, isJailed: jailed).decision
    }

    // MARK: - Rules

    @Test(arguments: [
        // Flags are vetted by the rule's list where there is one, in any spelling.
        ("git status -s", Decision.allow), ("git status --short", .ask), ("git status --porcelain", .allow),
        ("git status --porcelain=v2", .allow), ("git status -sb", .ask), ("git status src", .allow),
        ("git -C x status", .ask), ("git status; git push", .ask), ("git stash", .ask), ("/usr/bin/git status", .allow),
        ("./git status", .ask), ("git status --porc", .allow),
    ]) func vettedFlags(_ command: String, _ expected: Decision) throws {
        let policy = """
            [[command]]
            argv = ["git", "status", "..."]
            flags = { allow = ["-s", "--porcelain*"] }
            decision = "allow"
            [fs]
            read = ["${workspace}"]
            """
        #expect(try decide(policy, command) == expected)
    }

    @Test(arguments: [
        ("rm -rf x", Decision.deny), ("rm x", .allow), ("rm -fr x", .deny), ("rm -r -f x", .deny),
        ("/bin/rm -rf x", .deny),
        ("./rm -rf x", .deny), ("timeout 5 rm -rf x", .deny), ("sh -c 'rm -rf x'", .deny), ("sudo rm -rf x", .deny),
        ("ls | xargs rm -rf", .deny), ("find . -exec rm -rf {} +", .deny), ("env -i rm --recursive --force x", .deny),
        ("rm --rec --for x", .deny), ("rm -r x", .allow), ("'rm' \"-rf\" x", .deny), ("ls; (rm -rf x)", .deny),
        ("nohup nice rm -rf x", .deny), ("git push origin main", .deny), ("git push --dry-run origin", .allow),
        ("git push --dry-run --force", .deny), ("git -c a.b=c push", .deny), ("git --frobnicate push", .deny),
    ]) func deniedInAnySpelling(_ command: String, _ expected: Decision) throws {
        let policy = """
            [defaults]
            command = "allow"
            opaque = "deny"
            [[command]]
            id = "no-rm-rf"
            argv = ["rm", "-r", "-f"]
            decision = "deny"
            [[command]]
            id = "no-push"
            argv = ["git", "push"]
            decision = "deny"
            except = [["git", "push", "--dry-run", "..."]]
            [fs]
            read = ["${workspace}"]
            write = ["${workspace}"]
            """
        #expect(try decide(policy, command) == expected)
    }

    @Test(arguments: [
        ("tool 12", Decision.allow), ("tool -5", .ask), ("tool x", .ask), ("get https://a.org/x", .allow),
        ("get ftp://a.org", .ask), ("get https://user@a.org", .ask), ("name ab12", .allow), ("name ab12x!", .ask),
        ("file src/a.c src/b.c", .allow), ("file src/a.h", .ask), ("into src/x", .allow), ("into /usr/x", .ask),
        ("into ../x", .ask), ("rest a b c", .allow), ("rest -- -x", .ask), ("two a", .ask), ("two a b", .allow),
        ("two a b c", .ask), ("mysed 's/a/b/'", .allow), ("mysed 'w x'", .ask), ("rd src/x", .allow),
        ("rd /root/x", .ask),
    ]) func classes(_ command: String, _ expected: Decision) throws {
        let policy = """
            [[command]]
            argv = ["tool", "<number>"]
            decision = "allow"
            [[command]]
            argv = ["get", "<url>"]
            decision = "allow"
            [[command]]
            argv = ["name", "<re:[a-z]+[0-9]+>"]
            decision = "allow"
            [[command]]
            argv = ["file", "<glob:*.c>..."]
            decision = "allow"
            [[command]]
            argv = ["into", "<workspace>"]
            decision = "allow"
            [[command]]
            argv = ["rest", "<any>..."]
            decision = "allow"
            [[command]]
            argv = ["two", "<any>", "<any>"]
            decision = "allow"
            [[command]]
            argv = ["mysed", "<sed-script>"]
            decision = "allow"
            [[command]]
            argv = ["rd", "<path>"]
            decision = "allow"
            [fs]
            read = ["${workspace}"]
            """
        #expect(try decide(policy, command) == expected)
    }

    @Test func aBadExpressionIsAnError() throws {
        let policy = try Narrow.policy("version = 1\n[[command]]\nargv = [\"x\", \"<re:(>\"]\ndecision = \"allow\"\n")
        #expect(throws: PolicyError.self) { try Engine([Tier(.session, policy)]) }
    }

    /// A rule of an extended file can be replaced, unless it is locked; there is no other order.
    @Test func replacing() throws {
        let files = [
            "base.toml": """
            version = 1
            [[command]]
            id = "a"
            argv = ["ls"]
            decision = "deny"
            [[command]]
            id = "b"
            argv = ["cat"]
            decision = "deny"
            locked = true
            """,
            "good.toml":
                "version = 1\nextends = [\"base.toml\"]\n[[command]]\nid = \"a\"\nreplaces = \"a\"\nargv = [\"ls\"]\ndecision = \"allow\"\n",
            "bad.toml":
                "version = 1\nextends = [\"base.toml\"]\n[[command]]\nreplaces = \"b\"\nargv = [\"cat\"]\ndecision = \"allow\"\n",
            "twice.toml":
                "version = 1\nextends = [\"base.toml\"]\n[[command]]\nid = \"a\"\nargv = [\"ls\"]\ndecision = \"allow\"\n",
        ]
        func load(_ name: String) throws -> Policy {
            try Policy.load(name) { (path) throws(FileReadFailure) in
                guard let text = files[path] else { throw .missing }
                return Array(text.utf8)
            }
        }
        #expect(try Engine([Tier(.session, load("good.toml"))]).judge("ls").decision == .allow)
        let locked = #expect(throws: PolicyError.self) { try load("bad.toml") }
        #expect(locked?.diagnostics.first?.message.contains("is locked") == true)
        let twice = #expect(throws: PolicyError.self) { try load("twice.toml") }
        #expect(twice?.diagnostics.first?.message.contains("is the rule of base.toml:2:1") == true)
    }

    /// Who can write the input of an interpreter writes its program.
    @Test(arguments: [
        ("python3 x.py", Decision.allow), ("python3", .ask), ("echo 'import os' | python3", .ask), ("python3 -", .ask),
        ("python3 --version", .allow), ("python3 -c 'x'", .ask), ("node", .allow), ("sh", .ask), ("cat x | sh", .ask),
    ]) func inputToAnInterpreter(_ command: String, _ expected: Decision) throws {
        let policy = """
            [[command]]
            argv = ["python3", "..."]
            decision = "allow"
            [[command]]
            argv = ["node", "..."]
            decision = "allow"
            interactive = true
            [[command]]
            argv = ["echo", "..."]
            decision = "allow"
            [[command]]
            argv = ["cat", "..."]
            decision = "allow"
            [[command]]
            argv = ["sh", "..."]
            decision = "allow"
            [fs]
            read = ["${workspace}"]
            """
        #expect(try decide(policy, command) == expected)
    }

    private static let lab = """
        version = 1
        [defaults]
        command = "ask"
        opaque = "deny"
        [[command]]
        id = "python"
        argv = ["python3", "..."]
        decision = "allow"
        [[command]]
        id = "python-quiet"
        argv = ["python3", "-q", "..."]
        decision = "allow"
        interactive = true
        except = [["python3", "evil.py"]]
        [[command]]
        argv = ["bash"]
        decision = "allow"
        interactive = true
        [[command]]
        argv = ["less", "..."]
        decision = "allow"
        [[command]]
        argv = ["cat", "..."]
        decision = "allow"
        [[command]]
        argv = ["perl", "..."]
        decision = "deny"
        interactive = true
        [fs]
        read = ["/usr", "${workspace}"]
        """

    /// Whoever writes an interpreter's input, or sits at its terminal, can have it do anything.
    @Test(arguments: [
        // Not an interpreter; one with a program among its words; one that only tells something.
        ("cat x", [Decision.allow, .allow, .allow]), ("python3 x.py", [.allow, .deny, .deny]),
        ("python3 --version", [.allow, .allow, .allow]), ("python3", [.deny, .deny, .deny]),
        // Its rule says so; another rule's exception holds all the same.
        ("bash", [.allow, .allow, .allow]), ("python3 -q x.py", [.allow, .allow, .allow]),
        ("python3 -q evil.py", [.allow, .deny, .deny]),
        // A string is judged by itself, what is in it in the same form.
        ("sh -c 'cat x'", [.allow, .allow, .allow]), ("sh -c 'python3 x.py'", [.allow, .deny, .deny]),
        ("timeout 5 bash", [.allow, .allow, .allow]), ("env python3 x.py", [.allow, .deny, .deny]),
        ("cat x | python3 x.py", [.allow, .deny, .deny]), ("cat x; less y", [.allow, .deny, .deny]),
        // A denial stays one, and what no rule allows is no more allowed than before.
        ("perl x.pl", [.deny, .deny, .deny]), ("ruby x.rb", [.ask, .deny, .deny]),
    ]) func formsOfRequests(_ command: String, _ expected: [Decision]) throws {
        let engine = try Narrow.engine(Self.lab)
        for (input, decision) in zip(CommandInput.allCases, expected) {
            let verdict = engine.judge(command, input: input)
            #expect(verdict.decision == decision, "\(input): \(verdict.evidence)")
        }
    }

    @Test func theRemedyForAnInterpreterNamesItsRule() throws {
        let evidence = try Narrow.engine(Self.lab).judge("python3 x.py", input: .terminal).mainEvidence
        #expect(evidence?.rule == "defaults.opaque")
        #expect(evidence?.reason == "it is an interpreter on a terminal, and the rule `python` is not `interactive`")
        #expect(evidence?.remedy?.contains("add `interactive = true` to the rule at narrow.toml:5:1") == true)
        // Without a word about what is opaque, too.
        let silent = try Narrow.engine(
            "version = 1\n[[command]]\nargv = [\"python3\", \"...\"]\ndecision = \"allow\"\n")
        let other = silent.judge("python3 x.py", input: .given).mainEvidence
        #expect(other?.decision == .ask && other?.rule == "default")
        #expect(other?.remedy?.contains("narrow.toml:2:1") == true)
    }

    /// A tier's `interactive` is its own: the strictest that speaks decides.
    @Test func interactiveIsOneTiersWord() throws {
        let open = try Narrow.policy(
            "version = 1\n[[command]]\nargv = [\"python3\", \"...\"]\ndecision = \"allow\"\ninteractive = true\n")
        let closed = try Narrow.policy(Self.lab)
        let denying = try Narrow.policy("version = 1\n[[command]]\nargv = [\"python3\"]\ndecision = \"deny\"\n")
        let jailed = try Narrow.policy("version = 1\n[defaults]\njailed = \"allow\"\ncommand = \"deny\"\n")
        func decide(_ tiers: [Tier], isJailed: Bool = false) throws -> Decision {
            try Engine(tiers).judge("python3 x.py", isJailed: isJailed, input: .terminal).decision
        }
        #expect(try decide([Tier(.session, open)]) == .allow)
        #expect(try decide([Tier(.user, closed), Tier(.session, open)]) == .deny)
        #expect(try decide([Tier(.user, open), Tier(.session, closed)]) == .deny)
        #expect(try decide([Tier(.user, denying), Tier(.session, open)]) == .deny)
        // In a jail that allows what it does not know, nothing is missing.
        #expect(try decide([Tier(.session, jailed)], isJailed: true) == .allow)
        #expect(try decide([Tier(.user, closed), Tier(.session, jailed)], isJailed: true) == .deny)
        #expect(try decide([Tier(.user, jailed), Tier(.session, open)], isJailed: true) == .allow)
    }

    @Test func lintFindsIdleInteractive() throws {
        let findings = try Narrow.policy(Self.lab).lint().filter { $0.code == .idleInteractive }
        #expect(findings.count == 1)
        #expect(findings.first?.location?.line == 25 && findings.first?.level == .warning)
    }

    /// A pattern stands for harmless options of known programs alone.
    @Test(arguments: [
        ("rg -n x", Decision.allow), ("rg --pre=x y", .ask), ("rg --frob y", .ask), ("tool -x", .ask),
        ("find . -delete", .deny),
        ("find . -name x", .allow), ("tool2 --fast-a", .allow), ("tool2 --slow", .ask),
    ]) func everyOption(_ command: String, _ expected: Decision) throws {
        let rule = { (name: String, flag: String) in
            "[[command]]\nargv = [\"\(name)\", \"...\"]\nflags = { allow = [\"\(flag)\"] }\ndecision = \"allow\"\n"
        }
        let policy = rule("rg", "*") + rule("find", "-*") + rule("tool", "*") + rule("tool2", "--fast*")
        #expect(try decide(policy + "[fs]\nread = [\"${workspace}\"]\n", command) == expected)
    }

    // MARK: - Defaults and jails

    @Test func defaults() throws {
        #expect(try decide("", "ls") == .ask)
        #expect(
            try decide("", "ls", jailed: true) == .allow,
            "a policy without a word about commands leaves a jail to the kernel")
        #expect(try decide("[defaults]\ncommand = \"deny\"", "ls") == .deny)
        #expect(try decide("[defaults]\ncommand = \"deny\"", "ls", jailed: true) == .deny)
        #expect(try decide("[defaults]\ncommand = \"deny\"", "$(ls)") == .deny)
        #expect(try decide("[defaults]\ncommand = \"ask\"\nopaque = \"deny\"", "$(ls)") == .deny)
        #expect(
            try decide("[defaults]\ncommand = \"ask\"\nopaque = \"deny\"\njailed = \"allow\"", "$(ls)", jailed: true)
                == .allow)
        #expect(try decide("[[command]]\nargv = [\"rm\"]\ndecision = \"deny\"", "ls", jailed: true) == .ask)
    }

    @Test(arguments: [
        ("cat .env", Decision.deny), ("sh -c 'cat .env'", .deny), ("cat /etc/shadow", .allow),
        ("echo x > /etc/passwd", .allow),
        ("echo x > .git/config", .deny), ("./probe .env", .allow), ("cat *", .allow), ("eval ls", .allow),
        ("curl https://example.com", .allow), ("git status && make", .allow),
    ]) func inAJailTheKernelDecidesTheRest(_ command: String, _ expected: Decision) throws {
        let policy = try Policy.load("preset:agent") { (_) throws(FileReadFailure) in throw .missing }
        let verdict = try Engine([Tier(.session, policy)]).judge(command, isJailed: true)
        #expect(verdict.decision == expected && !verdict.isRewritten)
    }

    // MARK: - Paths

    @Test(arguments: [
        ("cat src/../.env", Decision.deny), ("cat ./a//./.env", .deny), ("cat link", .deny), ("cat link/../x", .deny),
        ("cat notes", .allow), ("cat /proc/self/cwd/.env", .deny), ("cat ../tree/notes", .allow),
        ("cat ../other", .deny),
        ("cd src && cat ../.env", .deny), ("cd a && cat notes", .allow), ("cd .. && cat other", .deny),
        ("cd $x; cat a", .deny),
        ("cd; cat a", .deny), ("cat < .env", .deny), ("cat > out", .deny), ("cat 2>/dev/null", .allow),
        ("ls *.txt", .allow),
        ("cat .e*", .ask), ("cat */.env", .ask), ("ls -- *", .allow), ("ls -- .*", .ask),
        ("grep --include=.env x notes", .deny),
        ("grep --include='*nv' x notes", .ask), ("rg -g '!*.c' x", .allow), ("cat -- -", .allow), ("cat -", .allow),
    ]) func pathsAreJudgedToo(_ command: String, _ expected: Decision) throws {
        let text = Narrow.allowing(
            "cat ...", "cd ...", "cd <workspace>", "ls ...", "grep ...", "rg ...", "cd <glob:..>",
            and: """
                [defaults]
                command = "ask"
                opaque = "deny"
                [fs]
                read = ["${workspace}"]
                deny = ["**/.env"]
                """)
        let policy = try Narrow.policy(text)
        let engine = try Engine([Tier(.session, policy)]) { path in
            path.hasSuffix("/link") ? Narrow.workspace + "/.env" : path.contains("/link/..") ? "/elsewhere/x" : path
        }
        let verdict = engine.judge(command)
        #expect(verdict.decision == expected, "\(verdict.evidence.map { "\($0.rule): \($0.reason)" })")
    }

    @Test(arguments: [
        ("curl https://pypi.org/simple", Decision.allow), ("curl https://evil.org", .deny),
        ("curl http://pypi.org", .deny),
        ("curl https://pypi.org.evil.org", .deny), ("curl https://pypi.org:444", .deny),
        ("curl https://files.example.org/x", .allow),
        ("curl https://example.org", .deny), ("curl https://user@pypi.org", .deny), ("curl https://pypi.org./x", .deny),
    ]) func networkGrants(_ command: String, _ expected: Decision) throws {
        let policy = """
            [[command]]
            argv = ["curl", "..."]
            decision = "allow"
            [network]
            mode = "deny"
            allow = ["pypi.org:443", "*.example.org:443"]
            """
        #expect(try decide(policy, command) == expected)
    }

    // MARK: - Rewrites

    @Test func rewrites() throws {
        let engine = try Narrow.engine()
        let simple = engine.judge("git status -s")
        #expect(simple.isRewritten && simple.argv == ["git", "-c", "core.fsmonitor=false", "status", "-s"])
        #expect(simple.environmentUnset == ["GIT_*"])
        #expect(engine.judge("git status -s", asIs: true).decision == .ask)
        let compound = engine.judge("git status 'a b' 2>/dev/null | grep -v \"it's\" && git status src/*.c")
        #expect(compound.argv == nil && compound.isRewritten)
        #expect(
            compound.command
                == "'git' '-c' 'core.fsmonitor=false' 'status' 'a b' 2>/dev/null | grep -v \"it's\" && 'git' '-c' 'core.fsmonitor=false' 'status' src/*.c"
        )
        // The string within a string is not written anew.
        #expect(engine.judge("sh -c 'git status'").decision == .ask)
        #expect(engine.judge("ls -la").argv == ["ls", "-la"])
        #expect(engine.judge("ls > /dev/null").argv == nil)
    }

    // MARK: - Evidence

    @Test func evidenceSaysWhereAndWhatToDo() throws {
        let verdict = try Narrow.engine().judge("ls && cat dir/.env")
        let evidence = try #require(verdict.mainEvidence)
        #expect(verdict.decision == .deny && evidence.rule == "fs.deny" && evidence.enforced == .kernel)
        #expect(evidence.location == SourceLocation(file: "narrow.toml", line: 38, column: 9))
        #expect(evidence.matched == Narrow.workspace + "/dir/.env" && evidence.remedy != nil)
        let unknown = try Narrow.engine().judge("rg --pre=x y")
        #expect(unknown.mainEvidence?.reason.contains("`--pre=x` is not known to be harmless") == true)
        #expect(unknown.mainEvidence?.remedy?.contains("narrow.toml") == true)
    }

    @Test(arguments: ["", "#", " \n ", "2>&-", "{ 4>&-; }"]) func nothingToRun(_ command: String) throws {
        let verdict = try Narrow.engine().judge(command)
        #expect(verdict.decision == .allow && verdict.argv == nil && verdict.evidence.count == 1)
    }

    @Test func bytesThatAreNotTextAreOpaque() throws {
        let request = CommandRequest(.string([0x6C, 0x73, 0xFF]), workspace: "/w")
        let verdict = try Narrow.engine().judge(request)
        #expect(verdict.decision == .deny && verdict.opaque != nil)
    }

    /// A PATH with a directory that commands may write makes no bare name trustworthy.
    @Test func writableSearchPath() throws {
        let text = """
            [[command]]
            argv = ["ls", "..."]
            decision = "allow"
            [fs]
            read = ["${workspace}", "/opt"]
            write = ["/opt/tools"]
            [env.set]
            PATH = "/opt/tools:/usr/bin"
            """
        #expect(try decide(text, "ls") == .ask)
        #expect(try decide(text.replacingOccurrences(of: "/opt/tools:", with: ""), "ls") == .allow)
    }
}
