// What shows only when it runs, under the narrow policy.
import PolicyDecision
import PolicyModel
import Testing

@Suite struct ComputedTests {
    private static let wrappers = """

        [[command]]
        id = "echo"
        argv = ["echo", "<any>..."]
        decision = "allow"
        [[command]]
        id = "sed-any"
        argv = ["sed", "<any>..."]
        decision = "allow"
        [[command]]
        id = "timeout"
        argv = ["timeout", "<any>..."]
        decision = "allow"
        """

    @Test(arguments: [
        "cat \"$x\"", "cat $x", "cat ~/x", "ls $(rm x)", "cat <<E\n$(rm x)\nE", "for f in a b; do rm \"$f\"; done",
        "for f in a b; do cat \"$f\"; done", "case \"$x\" in a) rm x;; esac", "find $x",
        "find . -exec ls \"$x\" -delete \\;",
        "grep -f \"$x\" a", "timeout -- $x ls", "timeout -- * ls", "timeout $x ls", "timeout 5 $x", "sh -c 'ls {a,b}'",
        "sh -c 'time ls'",
        "dash -c \"ls \\$'a'\"", "sh -c \"$x\"", "eval \"$x\"", "bash -c \"sh -c 'time ls'\"",
        "sh -c \"eval 'time ls'\"",
        "find . -exec sh -c 'ls {a,b}' \\;", "git \"$x\"", "git $x status", "git -C $x status", "cat {secret,x}",
    ])
    func isNotAllowed(_ command: String) throws {
        #expect(try Narrow.engine().judge(command).decision != .allow)
    }

    @Test(arguments: [
        "for f in a b; do ls src; done", "bash -c 'time ls'", "bash -c 'ls {a,b}'", "case \"$x\" in a) ls;; esac",
        "cat <<E\n$x $(ls)\nE", "grep x <<< \"$(cat notes.txt)\"",
    ])
    func isAllowed(_ command: String) throws {
        let verdict = try Narrow.engine().judge(command)
        #expect(verdict.decision == .allow)
        #expect(verdict.argv == nil || verdict.argv?.first == "bash")
    }

    /// A denial holds for commands in substitutions and loops.
    @Test(arguments: [
        "echo $(rm x)", "echo \"$(rm x)\"", "for f in a b; do rm \"$f\"; done", "rm $x", "cat <<E\n$(rm x)\nE",
    ])
    func isListed(_ command: String) throws {
        let denial = "\n[[command]]\nid = \"no-rm\"\nargv = [\"rm\", \"x\"]\ndecision = \"deny\"\n"
        let verdict = try Narrow.engine(Narrow.text.replacing("[fs]", with: denial + "[fs]")).judge(command)
        #expect(verdict.decision == .deny)
        #expect(verdict.evidence.contains { $0.rule == "no-rm" })
    }

    /// Where a word may be several, a wrapper's rule does not vouch for the command behind it.
    @Test func wrappersDoNotHideCommands() throws {
        let engine = try Narrow.engine(Narrow.text.replacing("[fs]", with: Self.wrappers + "\n[fs]"))
        #expect(engine.judge("timeout -- 5 ls").decision == .allow)
        #expect(engine.judge("timeout -- $x ls").decision != .allow)
        #expect(engine.judge("echo -- $(ls)").decision != .allow)
        #expect(engine.judge("sed -- p a").decision == .allow)
        #expect(engine.judge("sed -- \"$x\" a").decision != .allow)
    }

    /// `cd` in a loop leads to places that are not told from the text.
    @Test func directoriesInLoops() throws {
        let text = Narrow.text.replacing(
            "[fs]", with: "[[command]]\nid = \"cd\"\nargv = [\"cd\", \"<path>\"]\ndecision = \"allow\"\n[fs]")
        let engine = try Narrow.engine(text)
        #expect(engine.judge("cd dir; cat a").decision == .allow)
        #expect(engine.judge("for i in 1 2; do cat a; cd dir; done").decision != .allow)
        #expect(engine.judge("while ls; do cat a; cd dir; done").decision != .allow)
        #expect(engine.judge("cd \"$x\"; cat a").decision != .allow)
    }

    /// Words that are computed stay as they are written, also around commands that are rewritten in their turn.
    @Test func rewritten() throws {
        let verdict = try Narrow.engine().judge("ls | grep x <<< \"$(git status -s)\"; git status {a,b}")
        #expect(
            verdict.command
                == "ls | grep x <<< \"$('git' '-c' 'core.fsmonitor=false' 'status' '-s')\"; "
                + "'git' '-c' 'core.fsmonitor=false' 'status' 'a' 'b'")
    }
}
