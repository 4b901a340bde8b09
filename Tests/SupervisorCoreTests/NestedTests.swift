// Sessions on a machine without cgroups: each command has a pid namespace of its own, which ends with it.
import Foundation
import JailPlanner
import Linux
import Machine
import Testing

@testable import SupervisorCore

/// One after the other with those of sessions: one of these kills every jail of this process.
extension SessionTests {
    @Suite struct WithoutCgroups {
        private func words(_ outcome: Outcome) -> [Substring] {
            String(decoding: outcome.output.bytes, as: UTF8.self).split(separator: "\n")
        }

        @Test func oneAfterTheOther() throws {
            let fixture = try Fixture(hasCgroups: false)
            for number in 0..<12 {
                let outcome = try fixture.run("echo \(number); echo e >&2; exit \(number % 3)")
                #expect(outcome.reason == .exited && outcome.exitCode == Int32(number % 3), "\(outcome)")
                #expect(fixture.text(outcome) == "\(number)\n" && outcome.errors.bytes == Array("e\n".utf8))
                #expect(outcome.usage.cpuMicroseconds ?? 0 > 0 && outcome.usage.peakMemory ?? 0 > 100_000)
            }
            #expect(fixture.groups().isEmpty)
            #expect(fixture.session.statistics.ended == 12 && fixture.session.statistics.succeeded == 4)
        }

        /// Its pids are those of its /proc, in which nobody else is, and what is secret in the jail's is in this one too.
        @Test func whatItSees() throws {
            let fixture = try Fixture(hasCgroups: false)
            let other = try fixture.start("sleep 99") { $0.isBackground = true }
            let outcome = try fixture.run(
                """
                test "$(readlink /proc/self)" != $$ && test /proc/$$/exe -ef /proc/self/exe; echo $?
                cat /proc/$$/comm /proc/1/comm; ps -e -o comm= | sort | uniq | tr '\\n' ' '; echo
                head -c 1 /proc/kcore /proc/keys /proc/timer_list 2>&1 | grep -c -E 'denied|ENOENT|No such'
                echo 1 2>/dev/null >/proc/sys/kernel/ns_last_pid || echo refused
                grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t' | tr '\\n' ' '; echo
                mount -t proc none /proc 2>/dev/null || unshare -U true 2>/dev/null || umount /proc 2>/dev/null || echo no
                """)
            let seen = words(outcome)
            #expect(
                seen.count == 8, "\(fixture.text(outcome)) \(String(decoding: outcome.errors.bytes, as: UTF8.self))")
            guard seen.count == 8 else { return }
            #expect(seen[0] == "0" && seen[1] == "sh" && seen[2] == "cordon-init")
            #expect(!seen[3].contains("sleep") && seen[3].contains("cordon-init") && seen[3].contains("ps"))
            #expect(seen[4] == "3" && seen[5] == "refused")
            #expect(seen[6] == "CapEff:0000000000000000 CapBnd:0000000000000000 NoNewPrivs:1 Seccomp:2 ", "\(seen[6])")
            #expect(seen[7] == "no")
            #expect(other.state != .ended)
        }

        /// What the jail keeps, it keeps for all of them.
        @Test func theJailStays() throws {
            let fixture = try Fixture(hasCgroups: false)
            try fixture.finish(try fixture.start("echo kept >file; echo kept >/tmp/private"))
            #expect(fixture.text(try fixture.run("cat file /tmp/private")) == "kept\nkept\n")
        }

        @Test(arguments: [
            "(setsid sleep WORD &) ; echo done", "sleep WORD & echo done", "(sleep WORD >&2 &); exec sh -c 'echo done'",
            "setsid sh -c '(trap \"\" TERM HUP; sleep WORD & wait) &'; echo done",
        ])
        func survivorsDie(_ script: String) throws {
            let fixture = try Fixture(hasCgroups: false)
            let word = Fixture.uniqueSeconds(), begin = Date()
            let outcome = try fixture.run(script.replacingOccurrences(of: "WORD", with: word))
            #expect(fixture.text(outcome) == "done\n" && Date().timeIntervalSince(begin) < 20)
            #expect(fixture.isGone(word))
        }

        /// A signal or a status is told as it was.
        @Test func endsAreExact() throws {
            let fixture = try Fixture(hasCgroups: false)
            for (script, code, number) in [
                ("exit 255", 255, nil), ("kill -SEGV $$", nil, 11), ("kill -KILL $$", nil, 9),
                ("kill -TERM $$", nil, 15),
                ("exit 127", 127, nil),
            ] as [(String, Int32?, Int32?)] {
                let outcome = try fixture.run(script)
                #expect(outcome.exitCode == code && outcome.signal == number, "\(script): \(outcome)")
                #expect(outcome.reason == (number == nil ? .exited : .signaled))
            }
            let missing = try fixture.session.run(fixture.request(["no-such-program"]))
            try fixture.finish(missing)
            #expect(missing.outcome.reason == .error && missing.outcome.failure?.step == "execve")
            #expect(missing.outcome.processExitCode == 127)
        }

        private func ready(_ command: SessionCommand, in fixture: Fixture) throws {
            while command.produced.output == 0 {
                command.whenOutput { fixture.loop.stop() }
                try fixture.loop.run()
            }
        }

        @Test func signals() throws {
            let fixture = try Fixture(hasCgroups: false)
            let polite = try fixture.start("trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.05; done")
            try ready(polite, in: fixture)
            try polite.kill(Signal.user1)
            let told = try fixture.finish(polite)
            #expect(told.exitCode == 5 && fixture.text(told) == "ready\ngot\n", "\(told)")
            let word = Fixture.uniqueSeconds()
            let tree = try fixture.start("setsid sleep \(word) & echo ready; trap '' TERM; while :; do sleep 1; done")
            try ready(tree, in: fixture)
            try tree.kill(Signal.kill)
            let killed = try fixture.finish(tree)
            #expect(killed.reason == .signaled && killed.signal == Signal.kill && fixture.isGone(word))
        }

        @Test func timeLimit() throws {
            let fixture = try Fixture(hasCgroups: false)
            let outcome = try fixture.run("trap '' TERM INT; setsid sleep 99 & wait") { $0.wallLimit = 200 }
            #expect(outcome.reason == .timeout && outcome.durationMilliseconds >= 200)
            #expect(try fixture.run("true").exitCode == 0)
        }

        /// What was started to go on goes on until it is killed or forgotten, and its end is nobody else's.
        @Test(arguments: [true, false]) func background(isForgotten: Bool) throws {
            let fixture = try Fixture(hasCgroups: false)
            let word = Fixture.uniqueSeconds()
            let command = try fixture.start("setsid sleep \(word) >/dev/null 2>&1 & exit 3") { $0.isBackground = true }
            let outcome = try fixture.finish(command)
            #expect(outcome.exitCode == 3 && fixture.comes(word) && command.hasSurvivors)
            #expect(try fixture.run("true").exitCode == 0)
            #expect(fixture.isThere(word))
            if isForgotten { fixture.session.forget(command.id) } else { try command.kill(Signal.kill) }
            #expect(fixture.isGone(word))
        }

        /// One whose every process has ended is over by itself.
        @Test func backgroundEnds() throws {
            let fixture = try Fixture(hasCgroups: false)
            let command = try fixture.start("(sleep 0.2; echo late) & echo early") { $0.isBackground = true }
            try fixture.finish(command)
            while command.hasSurvivors {
                _ = fixture.loop.after(20_000_000) { fixture.loop.stop() }
                try fixture.loop.run()
            }
            #expect(
                String(decoding: command.read(errors: false, from: 0, limit: 99).bytes, as: UTF8.self)
                    == "early\nlate\n")
        }

        /// Threat rows 4 and 18, for the process that ends all others with itself.
        @Test func theInitIsOutOfReach() throws {
            let fixture = try Fixture(hasCgroups: false)
            let outcome = try fixture.run(
                """
                kill -KILL 1 2>/dev/null; kill -STOP 1 2>/dev/null; kill -TERM -1 2>/dev/null
                for file in mem environ fd maps root; do
                    head -c 1 /proc/1/$file >/dev/null 2>&1 && echo read $file
                    ls /proc/1/$file/ >/dev/null 2>&1 && echo listed $file
                done
                set -- /proc/$$/fd/*; echo $#; exit 6
                """)
            #expect(outcome.exitCode == 6, "\(outcome)")
            // 0, 1 and 2, and the directory that is being read.
            #expect(fixture.text(outcome) == "4\n")
            #expect(try fixture.run("true").exitCode == 0)
        }

        /// Never silently weaker.
        @Test func noLimitsOfItsOwn() throws {
            let fixture = try Fixture(hasCgroups: false)
            let memory = try #require(throws: LaunchFailure.self) { try fixture.start("true") { $0.memory = 1 << 26 } }
            #expect(memory.step == "guarantee" && memory.object == "memory")
            let pids = try #require(throws: LaunchFailure.self) { try fixture.start("true") { $0.pids = 9 } }
            #expect(pids.step == "guarantee" && pids.object == "pids")
        }

        @Test func together() throws {
            let fixture = try Fixture(hasCgroups: false)
            let commands = try (0..<5).map { number in
                try fixture.start(
                    "touch \(number); until [ $(ls | wc -l) = 5 ]; do sleep 0.01; done; echo \(number)")
            }
            for (number, command) in commands.enumerated() {
                #expect(fixture.text(try fixture.finish(command)) == "\(number)\n")
            }
        }

        @Test func nothingIsLeft() throws {
            let fixture = try Fixture(hasCgroups: false)
            let word = Fixture.uniqueSeconds()
            for _ in 0..<10 { try fixture.finish(try fixture.start("setsid sleep \(word) & true")) }
            try fixture.finish(try fixture.start("setsid sleep \(word) & true") { $0.isBackground = true })
            #expect(fixture.comes(word))
            fixture.session.close()
            #expect(fixture.isGone(word))
        }

        /// Job control, the foreground group, and the end of everything on a terminal.
        @Test func onATerminal() throws {
            let fixture = try Fixture(hasCgroups: false)
            let word = Fixture.uniqueSeconds()
            let terminal = try fixture.open(["bash", "--norc", "--noprofile", "-i"])
            fixture.type("tty; setsid sleep \(word) & sh -c 'echo here$((1 + 1)); exec sleep 77'\n", to: terminal)
            try fixture.see("here2\r\n", on: terminal)
            fixture.type("\u{1a}", to: terminal)
            try fixture.see("Stopped", on: terminal)
            fixture.type("kill %+; fg %+; echo over$((1 + 1))\n", to: terminal)
            try fixture.see("over2\r\n", on: terminal)
            fixture.type(
                "sh -c 'trap \"echo caught; exit\" INT; echo up; while :; do sleep 0.05; done'\n", to: terminal)
            try fixture.see("up\r\n", on: terminal)
            // To whoever is in the foreground, and nobody else.
            try terminal.signal(Signal.interrupt)
            try fixture.see("caught\r\n", on: terminal)
            fixture.type("exit 9\n", to: terminal)
            let (outcome, text) = try fixture.finish(terminal)
            #expect(outcome.reason == .exited && outcome.exitCode == 9, "\(outcome) \(text)")
            #expect(text.contains("/dev/pts/0") && fixture.isGone(word))
        }

        @Test func aTerminalIsKilled() throws {
            let fixture = try Fixture(hasCgroups: false)
            let word = Fixture.uniqueSeconds()
            let terminal = try fixture.open(
                "setsid sleep \(word) & echo ready; trap '' HUP INT TERM; while :; do sleep 1; done")
            try fixture.see("ready", on: terminal)
            try terminal.signal(Signal.kill)
            let outcome = try fixture.finish(terminal).outcome
            #expect(outcome.reason == .signaled && outcome.signal == Signal.kill && fixture.isGone(word))
        }
    }
}
