// `cordon run -it` as a person uses it: in a real terminal, with real keys.
import Foundation
import TestSupport
import Testing

@Suite(.serialized) struct TerminalTests {
    /// Starts a shell in a jail.
    private func inner(_ screen: Screen, _ options: String = "") throws {
        screen.enter("run -it --env 'PS1=inner> ' \(options) -- bash --norc; echo status $?")
        try screen.awaitPrompt("inner>")
    }

    @Test(arguments: Person.allCases) func aShell(_ person: Person) throws {
        let screen = try Screen(person, rows: 33, columns: 121)
        let before = try screen.settings()
        try inner(screen)
        let run = try screen.run()
        screen.enter(
            "(tty; stty size; echo $TERM; test -t 0 && test -t 1 && test -t 2 && echo all) >facts.new; mv facts.new facts"
        )
        let facts = try screen.awaitFile("facts")
        #expect(
            facts == "/dev/pts/0\n33 121\ntmux-256color\n" || facts.hasPrefix("/dev/pts/0\n33 121\nscreen"), "\(facts)")
        screen.enter("echo into >/dev/tty; echo the >$(tty); ps -o tty= -p $$; script -qec tty /dev/null")
        try screen.see("into\nthe\npts/0\n/dev/pts/1\n")
        try screen.awaitPrompt("inner>")
        screen.enter("exit 7")
        try screen.see("status 7")
        #expect(try screen.settings() == before)
        #expect(run.isGone())
    }

    /// The terminal is no other one's: nothing of the host's is in reach.
    @Test func ofItsOwn() throws {
        let screen = try Screen()
        try inner(screen)
        screen.enter("ls -x /dev/pts; echo pts $(stat -c %d /dev/pts) $(stat -fc %T /dev/pts)")
        try screen.see("\n0  ptmx\npts ")
        let host = call(["stat", "-c", "%d", "/dev/pts"], ["PATH": "/usr/bin"]).text.trimmingCharacters(in: .newlines)
        let seen = screen.look()
        #expect(!seen.contains("pts \(host) ") && seen.contains(" devpts"))
        screen.press("C-d")
        try screen.see("status 0")
    }

    @Test func vi() throws {
        let screen = try Screen()
        screen.enter("run -it -- vi note; echo status $?")
        try screen.see("~\n~\n~")
        screen.type("ifirst line")
        screen.press("Enter")
        screen.type("second")
        screen.press("Escape")
        screen.type("kyyp")
        try screen.see("first line\nfirst line\nsecond")
        screen.enter(":wq")
        try screen.see("status 0")
        #expect(screen.file("note") == "first line\nfirst line\nsecond\n")
    }

    @Test func jobControl() throws {
        let screen = try Screen()
        try inner(screen)
        screen.enter("sleep 1000")
        try awaitForeground("sleep", in: screen)
        screen.press("C-z")
        try screen.see("Stopped")
        screen.enter("jobs; fg")
        try awaitForeground("sleep", in: screen)
        screen.press("C-c")
        screen.enter("echo code $?")
        try screen.see("code 130")
        screen.enter("sleep 1000")
        try awaitForeground("sleep", in: screen)
        screen.press("C-\\")
        screen.enter("echo code $?")
        try screen.see("code 131")
        // A flood is interrupted as well.
        screen.enter("yes")
        try screen.see("y\ny\ny\ny\ny\ny\ny\ny\ny\ny")
        screen.press("C-c")
        try screen.awaitPrompt("inner>")
        screen.press("C-d")
        try screen.see("status 130")
    }

    /// Serves to press a key only when the program is there that it is for.
    private func awaitForeground(_ name: String, in screen: Screen) throws {
        let run = try screen.run()
        try screen.see("\(name) in the foreground") { _ in
            let words = ["nsenter", "-t", "\(run.jailInit)", "-p", "-m", "ps", "-e", "-o", "stat=,comm="]
            return call(words, ["PATH": "/usr/bin:/bin"]).text.split(separator: "\n").contains { line in
                let fields = line.split(separator: " ")
                return fields.count == 2 && fields[0].hasPrefix("S") && fields[0].hasSuffix("+") && fields[1] == name
            }
        }
    }

    @Test func resize() throws {
        let screen = try Screen(rows: 30, columns: 100)
        try inner(screen)
        screen.enter("trap 'stty size >changed.new; mv changed.new changed' WINCH; echo set")
        try screen.see("\nset")
        screen.tmux("resize-window", "-x", "71", "-y", "19")
        #expect(try screen.awaitFile("changed") == "19 71\n")
        screen.enter("exit")
        try screen.see("status 0")
    }

    /// What a person attached gets everything that the command says to it.
    @Test func passedOnAsItIs() throws {
        let screen = try Screen()
        screen.enter(#"run -it -- sh -c 'printf "\033]2;a title\007\033[31mred\033[0m\n"; read x'"#)
        try screen.see("title") { _ in screen.title == "a title\n" }
        #expect(screen.tmux("capture-pane", "-p", "-e").text.contains("\u{1b}[31mred"))
        screen.press("Enter")
        try screen.awaitPrompt("outer>")
    }

    /// Ways to end, with what cordon exits with.
    enum End: String, CaseIterable {
        case hangUp, terminate, interrupt, jailKilled, timeout, notFound, denied, crash, twice
    }

    /// However it ends, the terminal is what it was, and nothing is left.
    @Test(arguments: End.allCases) func theTerminalIsRestored(_ end: End) throws {
        let screen = try Screen(.root, .dash)
        let before = try screen.settings()
        switch end {
        case .notFound: screen.enter("run -it -- no-such-program; echo status $?")
        case .denied: screen.enter("run -it --image /nowhere -- true; echo status $?")
        case .timeout: screen.enter("run -it --timeout 700ms -- sh -c 'stty raw; sleep 99'; echo status $?")
        case .interrupt: screen.enter("run -it -- sh -c 'stty -isig; echo ready; sleep 99'; echo status $?")
        case .twice: screen.enter("run -it -- sh -c 'trap \"\" TERM HUP; echo ready; sleep 99'; echo status $?")
        case .hangUp, .terminate, .jailKilled, .crash: try inner(screen)
        }
        var run: Run?
        if [.interrupt, .twice].contains(end) { try screen.see("\nready") }
        if [.interrupt, .twice, .hangUp, .terminate, .jailKilled, .crash].contains(end) { run = try screen.run() }
        switch end {
        case .hangUp: run?.signal(SIGHUP)
        case .terminate: run?.signal(SIGTERM)
        case .interrupt: run?.signal(SIGINT)
        case .jailKilled: kill(run?.jailInit ?? 0, SIGKILL)
        case .crash: run?.signal(SIGSEGV)
        case .twice:
            run?.signal(SIGTERM)
            // The second one is not a request any more. One that comes before the first was read is the same one.
            try screen.see("status") { seen in
                run?.signal(SIGTERM)
                return seen.contains("status 1")
            }
        case .timeout, .notFound, .denied: break
        }
        let status =
            switch end {
            case .hangUp: "129"
            case .terminate: "143"
            case .interrupt: "130"
            case .jailKilled, .denied: "125"
            case .timeout: "124"
            case .notFound: "127"
            case .crash: "139"
            case .twice: "143"
            }
        try screen.see("status \(status)")
        #expect(try screen.settings() == before)
        if let run { #expect(run.isGone()) }
    }

    /// SIGKILL cannot be caught, but nothing goes on behind it.
    @Test func cordonIsKilled() throws {
        let screen = try Screen()
        try inner(screen)
        let run = try screen.run()
        run.signal(SIGKILL)
        try screen.see("status 137")
        #expect(run.isGone())
    }

    /// The window is closed.
    @Test func theTerminalIsGone() throws {
        let screen = try Screen()
        try inner(screen)
        screen.enter("trap '' HUP TERM; echo deaf")
        try screen.see("\ndeaf")
        let run = try screen.run()
        screen.tmux("kill-server")
        #expect(run.isGone())
    }

    /// It stops, gives the terminal back meanwhile, and goes on in the foreground.
    @Test(arguments: [SIGTSTP, SIGSTOP]) func stopped(by signal: Int32) throws {
        // What SIGSTOP does not let cordon give back, only some shells do.
        let screen = try Screen(.root, signal == SIGSTOP ? .bash : .dash)
        let before = try screen.settings()
        try inner(screen)
        let run = try screen.run()
        run.signal(signal)
        try screen.see("Stopped")
        #expect(try screen.settings() == before)
        screen.tmux("resize-window", "-x", "83", "-y", "22")
        screen.enter("fg; echo again $?")
        screen.enter("stty size >size")
        #expect(try screen.awaitFile("size") == "22 83\n")
        // Raw again: the key is the jail's.
        screen.enter("sleep 1000")
        try awaitForeground("sleep", in: screen)
        screen.press("C-c")
        screen.enter("exit 5")
        try screen.see("again 5")
        #expect(try screen.settings() == before && run.isGone())
    }

    /// Started in the background it waits for its turn, as any program that sets the terminal.
    @Test func inTheBackground() throws {
        let screen = try Screen()
        let before = try screen.settings()
        screen.enter("run -it --env 'PS1=inner> ' -- bash --norc &")
        try screen.see("jobs") { _ in
            screen.enter("jobs")
            return screen.look().contains("Stopped")
        }
        #expect(try screen.settings() == before)
        screen.enter("clear; fg")
        try screen.awaitPrompt("inner>")
        screen.enter("exit 3")
        try screen.awaitPrompt("outer>")
        #expect(try screen.settings() == before)
    }

    @Test func calledWithoutATerminal() throws {
        let plain = try execute([cordon, "run", "-it", "--", "true"])
        #expect(plain.status == 125 && plain.errors.contains("-t needs a terminal, and standard input is none"))
        #expect(plain.errors.contains("leave out -t"))
        let json = try execute([cordon, "run", "--tty", "--json", "--", "true"])
        #expect(json.status == 125 && json.output.contains("--json captures what -t shows"))
        let screen = try Screen()
        screen.enter("run -t -- true | cat; echo status ${PIPESTATUS[0]}")
        try screen.see("and standard output is none")
        try screen.see("status 125")
        // Nothing is started, so nothing is needed.
        #expect(
            try execute([cordon, "run", "-it", "--print-plan", "--", "true"], directory: screen.directory + "/work")
                .status == 0)
        // As always, without -t the command has none.
        screen.enter("clear; run -i -- tty; echo status $?")
        try screen.see("not a tty\nstatus 1")
    }
}
