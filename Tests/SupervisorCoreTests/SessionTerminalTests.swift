// Terminals in real jails: what programs find on them, what their clients see, and what a jail may not do with one.
import Foundation
import Linux
import Machine
import TestSupport
import Testing

@testable import SupervisorCore

extension Fixture {
    /// Opens a terminal for a shell's script.
    func open(_ script: String, _ change: (inout TerminalRequest) -> Void = { _ in }) throws -> SessionTerminal {
        try open(["sh", "-c", script], change)
    }

    func open(_ words: [String], _ change: (inout TerminalRequest) -> Void = { _ in }) throws -> SessionTerminal {
        let plain = request(words)
        var request = TerminalRequest(
            arguments: words, directory: plain.directory, environment: plain.environment)
        request.term = "vt100"
        change(&request)
        return try session.open(request)
    }

    /// Serves until it has ended; its outcome and all that it showed.
    @discardableResult
    func finish(_ terminal: SessionTerminal) throws -> (outcome: Outcome, text: String) {
        terminal.whenEnded { [loop] in loop.stop() }
        try loop.run()
        return (terminal.outcome, text(terminal))
    }

    func text(_ terminal: SessionTerminal) -> String {
        String(decoding: terminal.read(from: 0, limit: .max).bytes, as: UTF8.self)
    }

    /// Serves until it has shown a text.
    func see(_ text: String, on terminal: SessionTerminal) throws {
        var isLate = false
        let limit = loop.after(20_000_000_000) { [loop] in
            isLate = true
            loop.stop()
        }
        defer { loop.cancel(limit) }
        while !self.text(terminal).contains(text) {
            guard !isLate, terminal.state != .ended else {
                Issue.record("\(text) was not shown, but: \(self.text(terminal)), \(terminal.outcome)")
                throw Errno.again
            }
            terminal.whenOutput { [loop] in loop.stop() }
            try loop.run()
        }
    }

    func type(_ text: String, to terminal: SessionTerminal) {
        let bytes = Array(text.utf8)
        #expect(terminal.write(bytes[...]) == bytes.count)
    }
}

/// One after the other with those of sessions: one of these kills every jail of this process.
extension SessionTests {
    @Suite struct OnTerminals {
        /// The terminal is there under its name, belongs to the command, and has what was asked for.
        @Test func whatItIs() throws {
            let fixture = try Fixture()
            let terminal = try fixture.open(
                """
                tty; stty size; echo $TERM; stat -c '%U %G %a' "$(tty)"; ls -1 /dev/pts; test -t 2 && echo all
                echo through >/dev/tty; echo again >"$(tty)"; ps -o tty= -p $$; exit 3
                """
            ) { $0.size = TerminalSize(rows: 31, columns: 117) ?? .usual }
            let (outcome, text) = try fixture.finish(terminal)
            #expect(outcome.reason == .exited && outcome.exitCode == 3)
            #expect(
                text.split(separator: "\r\n").map(String.init) == [
                    "/dev/pts/0", "31 117", "vt100", "cordon tty 620", "0", "ptmx", "all", "through", "again", "pts/0",
                ])
            // The next one has the name again, since nobody holds the first.
            #expect(try fixture.finish(try fixture.open("tty")).text == "/dev/pts/0\r\n")
        }

        /// Root inside has terminals as well, and so has whoever it becomes.
        @Test(.enabled(if: (try? Machine.inspect())?.isPrivileged ?? false, "the host's root only"))
        func ofRootInside() throws {
            let fixture = try Fixture("[identity]\nroot = true\n")
            let script = """
                stat -c '%U %G %a' "$(tty)"; echo again >"$(tty)"
                setpriv --reuid 7 --regid 7 --clear-groups script -qec 'stat -c "%u %G" "$(tty)"' /dev/null
                """
            let (outcome, text) = try fixture.finish(try fixture.open(script))
            #expect(outcome.exitCode == 0 && text == "root tty 620\r\nagain\r\n7 tty\r\n", "\(text)")
        }

        /// Whoever handed out the directory of the terminals, only a devpts gives one.
        @Test func onlyFromTheTerminalsFileSystem() throws {
            let fixture = try Fixture()
            try FileManager.default.createSymbolicLink(
                atPath: fixture.workspace + "/ptmx", withDestinationPath: "/dev/ptmx")
            for place in ["/dev", "/", "/dev/null", "/dev/ptmx", fixture.workspace] {
                let directory = try Linux.open(place, .path)
                #expect(throws: Errno(rawValue: ENOTTY), "\(place)") {
                    var pair = try TerminalPair(in: directory.raw, size: .usual)
                    _ = try pair.takeMaster()
                }
            }
            let own = try Linux.open("/dev/pts", .path)
            var pair = try TerminalPair(in: own.raw, size: .usual)
            let master = try pair.takeMaster()
            #expect(terminalSize(of: master.raw) == TerminalSize(rows: 24, columns: 80))
            #expect(fcntl(master.raw, F_GETFD) == FD_CLOEXEC && fcntl(master.raw, F_GETFL) & O_NONBLOCK != 0)
        }

        /// Programs that make terminals of their own can.
        @Test func scriptWorks() throws {
            let fixture = try Fixture()
            let (outcome, text) = try fixture.finish(try fixture.open("script -qec 'tty; echo inner' /dev/null"))
            #expect(outcome.exitCode == 0 && text.contains("/dev/pts/1\r\ninner"), "\(text)")
        }

        @Test func writesAndReads() throws {
            let fixture = try Fixture()
            let terminal = try fixture.open(["cat"])
            // Before the jail is ready, even.
            fixture.type("first\n", to: terminal)
            try fixture.see("first\r\nfirst\r\n", on: terminal)
            fixture.type("second\n", to: terminal)
            try fixture.see("second\r\nsecond\r\n", on: terminal)
            fixture.type("\u{4}", to: terminal)
            #expect(try fixture.finish(terminal).outcome.exitCode == 0)
            #expect(
                terminal.read(from: 7, limit: 5) == RingBuffer.Chunk(bytes: Array("first".utf8), start: 7, missed: 0))
            #expect(terminal.drain(limit: 5).bytes == Array("first".utf8) && terminal.oldest == 5)
            terminal.clear()
            #expect(terminal.read(from: 0, limit: 99).missed == terminal.produced)
        }

        @Test func jobControl() throws {
            let fixture = try Fixture()
            let terminal = try fixture.open(["bash", "--norc", "-i"]) { $0.environment.append("PS1=ready> ") }
            try fixture.see("ready> ", on: terminal)
            fixture.type("sleep 100\n", to: terminal)
            try fixture.see("sleep 100\r\n", on: terminal)
            // Once it is what the keys are for.
            try fixture.awaitForeground("sleep", of: terminal)
            fixture.type("\u{1a}", to: terminal)
            try fixture.see("Stopped", on: terminal)
            fixture.type("fg\n", to: terminal)
            try fixture.awaitForeground("sleep", of: terminal)
            fixture.type("\u{3}", to: terminal)
            fixture.type("echo $?-\n", to: terminal)
            try fixture.see("130-", on: terminal)
            fixture.type("exit 4\n", to: terminal)
            #expect(try fixture.finish(terminal).outcome.exitCode == 4)
        }

        @Test func resizes() throws {
            let fixture = try Fixture()
            let terminal = try fixture.open("trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done")
            try fixture.see("ready", on: terminal)
            for (rows, columns) in [(0, 0), (0, 80), (24, 0), (-1, 80), (24, 10_001), (70_000, 80)] {
                #expect(throws: LaunchFailure.self) { try terminal.resize(rows: rows, columns: columns) }
            }
            try terminal.resize(rows: 41, columns: 132)
            #expect(try fixture.finish(terminal).text == "ready\r\n41 132\r\n")
            #expect(terminal.size == TerminalSize(rows: 41, columns: 132))
        }

        /// A signal is for who is in the foreground, whatever the line discipline thinks of its characters.
        @Test func signals() throws {
            let fixture = try Fixture()
            let terminal = try fixture.open(["bash", "--norc", "-i"]) { $0.environment.append("PS1=ready> ") }
            try fixture.see("ready> ", on: terminal)
            fixture.type("stty raw; sleep 100; stty sane; echo $?-\n", to: terminal)
            try fixture.awaitForeground("sleep", of: terminal)
            try terminal.signal(Signal.terminate)
            try fixture.see("Terminated", on: terminal)
            try terminal.signal(Signal.kill)
            let outcome = try fixture.finish(terminal).outcome
            #expect(outcome.reason == .signaled && outcome.signal == Signal.kill)
            // What comes before the command is there waits for it.
            let early = try fixture.open(["sleep", "99"])
            try early.signal(Signal.terminate)
            #expect(try fixture.finish(early).outcome.signal == Signal.terminate)
        }

        /// SIGKILL, a hang-up and the limit on time leave nobody, whatever process groups and sessions there are.
        @Test(.enabled(if: (try? Machine.inspect())?.cgroups.has(.pids) ?? false, "no cgroups can be made here"))
        func nobodyIsLeft() throws {
            let fixture = try Fixture()
            let script =
                "trap '' HUP TERM INT; set -m; sleep 98 & setsid sleep 99 & (setsid sleep 97 &); echo ready; wait; sleep 96"
            for end in ["kill", "hang-up", "limit"] {
                let terminal = try fixture.open(script) { if end == "limit" { $0.wallLimit = 1500 } }
                try fixture.see("ready", on: terminal)
                if end == "kill" { try terminal.signal(Signal.kill) }
                if end == "hang-up" { terminal.hangUp() }
                let outcome = try fixture.finish(terminal).outcome
                #expect(outcome.reason == (end == "limit" ? .timeout : .signaled) && outcome.signal == Signal.kill)
                let left = try fixture.run("ps -e -o comm= | grep -c '^sleep$'")
                #expect(fixture.text(left) == "0\n", "\(end)")
            }
        }

        /// A shell that is hung up says good-bye.
        @Test func hangUpIsTold() throws {
            let fixture = try Fixture()
            let terminal = try fixture.open(
                "trap 'echo bye >told; exit 7' HUP; echo ready; while :; do sleep 0.01; done")
            try fixture.see("ready", on: terminal)
            terminal.hangUp()
            terminal.hangUp()
            let outcome = try fixture.finish(terminal).outcome
            #expect(outcome.exitCode == 7)
            #expect(try String(contentsOfFile: fixture.workspace + "/told", encoding: .utf8) == "bye\n")
            #expect(terminal.write([1]) == 1 && terminal.state == .ended)
        }

        @Test func idleOnesAreHungUp() throws {
            let fixture = try Fixture()
            let begin = Date()
            let idle = try fixture.open("sleep 99") { $0.idleLimit = 300 }
            let outcome = try fixture.finish(idle).outcome
            #expect(idle.wasIdle && outcome.reason == .timeout && Date().timeIntervalSince(begin) < 15)
            // One that somebody looks at is not idle, nor one that shows something.
            let watched = try fixture.open("sleep 1; exit 5") { $0.idleLimit = 300 }
            let client = watched.attach()
            #expect(try fixture.finish(watched).outcome.exitCode == 5 && !watched.wasIdle)
            client.detach()
            let busy = try fixture.open("for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; echo; done; exit 6") {
                $0.idleLimit = 400
            }
            #expect(try fixture.finish(busy).outcome.exitCode == 6 && !busy.wasIdle)
        }

        /// Clients come and go, each with a cursor; a late one sees what was before.
        @Test func severalClients() throws {
            let fixture = try Fixture()
            let terminal = try fixture.open(["cat"])
            let first = terminal.attach()
            fixture.type("one\n", to: terminal)
            try fixture.see("one\r\none\r\n", on: terminal)
            let second = terminal.attach(from: 0), third = terminal.attach()
            #expect(first.read(limit: 99).bytes == second.read(limit: 99).bytes)
            #expect(third.read(limit: 99).bytes.isEmpty)
            first.detach()
            var told = 0
            second.whenOutput { told += 1 }
            third.whenOutput { told += 1 }
            fixture.type("two\n", to: terminal)
            try fixture.see("two\r\ntwo\r\n", on: terminal)
            #expect(told == 2 && first.read(limit: 99).bytes.isEmpty)
            #expect(String(decoding: third.read(limit: 99).bytes, as: UTF8.self) == "two\r\ntwo\r\n")
            fixture.type("\u{4}", to: terminal)
            try fixture.finish(terminal)
            #expect(String(decoding: second.read(limit: 4).bytes, as: UTF8.self) == "two\r")
        }

        /// A flood overwrites what nobody reads, and waits for who sets the pace.
        @Test func floods() throws {
            let fixture = try Fixture()
            let flood = "head -c 3000000 /dev/zero | tr '\\0' x; echo end"
            let terminal = try fixture.open(flood) { $0.outputCapacity = 100_000 }
            let (outcome, _) = try fixture.finish(terminal)
            #expect(outcome.exitCode == 0 && terminal.produced == 3_000_005 && terminal.oldest == 2_900_005)
            #expect(terminal.read(from: 0, limit: 1).missed == 2_900_005)

            let paced = try fixture.open(flood) { $0.outputCapacity = 1_000_000 }
            let client = paced.attach(from: 0, paces: true)
            var total = 0, missed: UInt64 = 0
            func take() {
                let chunk = client.read(limit: 10_000)
                total += chunk.bytes.count
                missed += chunk.missed
                if paced.state == .ended, chunk.bytes.isEmpty { return fixture.loop.stop() }
                // A client that is slower than the command.
                _ = fixture.loop.after(1_000_000) { client.whenOutput { take() } }
            }
            take()
            try fixture.loop.run()
            #expect(total == 3_000_005 && missed == 0)
        }

        /// Input waits within a bound, and its writer is told when there is room.
        @Test func inputIsBounded() throws {
            let fixture = try Fixture()
            let terminal = try fixture.open("stty raw -echo; echo ready; exec sleep 99") { $0.inputCapacity = 10_000 }
            try fixture.see("ready", on: terminal)
            let block = [UInt8](repeating: UInt8(ascii: "x"), count: 50_000)
            var taken = 0, last = 1
            while last > 0 {
                last = terminal.write(block[...])
                taken += last
            }
            // The kernel holds some more.
            #expect(taken >= 10_000 && taken < 500_000)
            var isTold = false
            terminal.whenRoom {
                isTold = true
                fixture.loop.stop()
            }
            #expect(!isTold)
            try terminal.signal(Signal.kill)
            try fixture.finish(terminal)
            #expect(isTold)
        }

        /// A secret is masked, also when it comes in two parts, and what only looks like one is not kept from the person.
        @Test func secretsAreMasked() throws {
            let fixture = try Fixture(
                """
                [env]
                mask = ["SECRET"]
                set = { SECRET = "hunter2hunter2" }
                """)
            let terminal = try fixture.open(
                "stty -echo; echo $SECRET; printf hunter2; printf hunter2; printf hunt; read x")
            try fixture.see("hunt", on: terminal)
            #expect(fixture.text(terminal) == "[masked]\r\n[masked]hunt")
            fixture.type("\n", to: terminal)
            #expect(try fixture.finish(terminal).outcome.exitCode == 0)
        }

        /// Whoever closes it and opens it again still has it.
        @Test func openedAgain() throws {
            let fixture = try Fixture()
            let terminal = try fixture.open("exec <&- >&- 2>&-; sleep 0.2; echo back >/dev/tty; sleep 0.2; exit 5")
            let (outcome, text) = try fixture.finish(terminal)
            #expect(text == "back\r\n" && outcome.exitCode == 5)
        }

        /// TIOCSTI and TIOCLINUX, also with high bits set; neither does anything (CVE-2017-5226).
        @Test func cannotBeTypedInto() throws {
            let fixture = try Fixture()
            let script = """
                import ctypes, fcntl, os, termios
                libc = ctypes.CDLL(None, use_errno=True)
                for fd in (0, os.open("/dev/tty", os.O_RDWR), os.open(os.ttyname(0), os.O_RDWR)):
                    for number in (0x5412, 0x541C):
                        for high in (0, 1 << 32, 0xffffffff << 32):
                            result = libc.syscall(16, ctypes.c_long(fd), ctypes.c_long(number | high), ctypes.c_char_p(b"x"))
                            print(result, ctypes.get_errno())
                """
            try script.write(toFile: fixture.workspace + "/sti.py", atomically: true, encoding: .utf8)
            let terminal = try fixture.open("stty -echo; python3 sti.py; stty -icanon min 0 time 1; wc -c")
            let text = try fixture.finish(terminal).text
            #expect(text == String(repeating: "-1 1\r\n", count: 18) + "0\r\n", "\(text)")
        }

        @Test func failuresAreTold() throws {
            let fixture = try Fixture()
            let missing = try fixture.open(["no-such-program"])
            try fixture.finish(missing)
            #expect(missing.outcome.failure?.step == "execve" && missing.outcome.processExitCode == 127)
            let closed = try fixture.open("sleep 99")
            let unborn = try fixture.open("sleep 99")
            unborn.hangUp()
            fixture.session.close()
            for terminal in [closed, unborn] { try fixture.finish(terminal) }
            #expect(closed.state == .ended && unborn.state == .ended && closed.outcome.reason != .exited)
            #expect(throws: LaunchFailure.self) { try fixture.open("true") }
        }

        /// So many at a time, and none of them leaves anything behind.
        @Test func manyAndNoneLeft() throws {
            var limits = SessionLimits()
            limits.terminals = 4
            let fixture = try Fixture(limits: limits)
            let before = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
            for _ in 0..<10 {
                let terminals = try (0..<4).map { _ in try fixture.open(["cat"]) }
                #expect(throws: LaunchFailure.self) { try fixture.open("true") }
                for terminal in terminals {
                    fixture.type("x\n", to: terminal)
                    try fixture.see("x\r\nx\r\n", on: terminal)
                    terminal.hangUp()
                    try fixture.finish(terminal)
                }
            }
            #expect(fixture.session.allTerminals.count <= 16)
            _ = fixture.loop.after(200_000_000) { [loop = fixture.loop] in loop.stop() }
            try fixture.loop.run()
            #expect(try fixture.openEntrances() <= 24)
            // The directory of the terminals and the groups of the next command, which were not there at first.
            #expect(try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count <= before + 30)
            #expect(fixture.text(try fixture.run("ls /dev/pts")) == "ptmx\n")
        }
    }
}

extension Fixture {
    /// Serves until a program is in the foreground: its shell has handed it the terminal.
    func awaitForeground(_ name: String, of terminal: SessionTerminal) throws {
        let limit = Date(timeIntervalSinceNow: 20)
        while Date() < limit {
            let outcome = try run("ps -t pts/0 -o stat=,comm= | grep -q '^S.*+ *\(name)$'")
            if outcome.exitCode == 0 { return }
        }
        Issue.record("\(name) did not come to the foreground: \(text(terminal))")
        throw Errno.again
    }
}
