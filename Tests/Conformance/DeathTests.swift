// Threat rows 33-35: everything dies, whoever is killed.
import Foundation
import Testing

extension Conformance {
    @Suite struct DeathTests {
        /// A number of seconds that no other process sleeps for.
        private static func marker() -> String { "9\(UInt32.random(in: 1000...9999)).5" }

        /// Row 33. Daemons and held pipes neither delay the end nor survive it.
        @Test(
            arguments: [
                "(setsid sleep MARK &)", "setsid sleep MARK &", "nohup sleep MARK > /dev/null 2>&1 &", "sleep MARK &",
                "./probe daemonize NUMBER", "./probe hold-pipe NUMBER", "sh -c 'trap \"\" TERM HUP INT; sleep MARK' &",
                "(setsid sh -c 'while :; do sleep MARK; done' 3>&1 >/dev/null &)", "./probe orphans 50; sleep MARK &",
            ], Mode.allCases)
        func survivors(_ script: String, _ mode: Mode) throws {
            let mark = Self.marker()
            let run = try CordonRun.probe(mode, [])
            var attempt = run
            attempt.command = [
                "/bin/sh", "-c",
                script.replacingOccurrences(of: "MARK", with: mark)
                    .replacingOccurrences(of: "NUMBER", with: String(mark.dropLast(2))) + "\necho over",
            ]
            let before = now()
            let result = try attempt.run(within: 20)
            #expect(result.code == 0, result.summary)
            #expect(result.output.hasSuffix("over\n"), result.summary)
            #expect(now() - before < 3)
            #expect(HostSnapshot.processes(saying: String(mark.dropLast(2))) == [])
        }

        /// Rows 33 and 35. A command that ignores every signal, or is stopped, meets its deadline.
        @Test(arguments: ["ignore-signals", "stop-self", "sleep"], Mode.allCases)
        func deadlines(_ verb: String, _ mode: Mode) throws {
            let mark = Self.marker()
            let words =
                verb == "sleep" ? [verb, mark] : verb == "stop-self" ? [verb] : [verb, String(mark.dropLast(2))]
            let before = now()
            let result = try CordonRun.probe(mode, words, options: ["--timeout", "300ms"]).run()
            #expect(result.code == 124, result.summary)
            #expect(result.report?.reason == "timeout")
            #expect(now() - before < 2)
            #expect((result.report?.durationMs ?? 9999) < 1000)
            #expect(HostSnapshot.processes(saying: mark) == [])
        }

        /// Row 34. SIGKILL at any moment: every jailed process dies at once, and within a second nothing is left.
        @Test(arguments: [Mode.root, .rootless]) func killedAtAnyMoment(_ mode: Mode) throws {
            var generator = SeededGenerator()
            for round in 0..<(mode == .root ? 30 : 10) {
                let mark = Self.marker()
                var run = try CordonRun(mode, shell: "sleep \(mark) & setsid sleep \(mark) & sleep \(mark)")
                run.input = nil
                try leavingHostUnchanged(directories: [run.place.path + "/tmp"]) {
                    let process = try run.start()
                    usleep(UInt32.random(in: 0..<40_000, using: &generator))
                    process.signal(SIGKILL)
                    let finished = process.finish(within: 5)
                    #expect(finished.ending == .signaled(SIGKILL), "\(generator) round \(round)")
                    #expect(
                        eventually(within: 0.5) { HostSnapshot.processes(saying: mark).isEmpty },
                        "\(generator) round \(round): a jailed process lives on")
                }
            }
        }

        /// Row 34. With the janitor killed as well, the next start cleans up.
        @Test func killedWithTheJanitor() throws {
            var generator = SeededGenerator()
            for round in 0..<6 {
                let mark = Self.marker()
                var run = try CordonRun(shell: "sleep \(mark)")
                run.input = nil
                let before = HostSnapshot()
                let process = try run.start()
                if round % 2 == 0 {
                    #expect(eventually(within: 5) { !HostSnapshot.processes(saying: "sleep\0\(mark)").isEmpty })
                } else {
                    usleep(UInt32.random(in: 3000..<30_000, using: &generator))
                }
                let janitors = HostSnapshot.processes().filter {
                    $0.name == "cordon-janitor" && $0.parent == process.pid
                }
                // Stopped first, so that neither sees the other's death.
                process.signal(SIGSTOP)
                for janitor in janitors { kill(janitor.pid, SIGKILL) }
                process.signal(SIGKILL)
                _ = process.finish(within: 5)
                #expect(
                    eventually(within: 0.5) { HostSnapshot.processes(saying: mark).isEmpty },
                    "\(generator) round \(round)")
                let next = try CordonRun(["/bin/true"])
                let result = try next.result(of: next.start().finish())
                #expect(result.code == 0, result.summary)
                expectUnchanged(since: before)
            }
        }

        /// Row 34. The janitor's own death ends nothing.
        @Test func janitorKilledAlone() throws {
            var run = try CordonRun(shell: "echo ready; read line; echo $line")
            run.input = nil
            run.json = false
            try leavingHostUnchanged {
                let process = try run.start()
                #expect(process.waitForOutput("ready"))
                for child in HostSnapshot.processes()
                where child.name == "cordon-janitor" && child.parent == process.pid {
                    kill(child.pid, SIGKILL)
                }
                process.write(Array("on\n".utf8))
                let finished = process.finish(within: 10)
                #expect(finished.ending == .exited(0))
                #expect(finished.outputText == "ready\non\n")
            }
        }

        /// Row 34. jail-init killed from outside is an error of Cordon's, not a hang.
        @Test func initKilled() throws {
            let mark = Self.marker()
            var run = try CordonRun(shell: "sleep \(mark)")
            run.input = nil
            try leavingHostUnchanged {
                let process = try run.start()
                #expect(eventually(within: 5) { !HostSnapshot.processes(saying: "sleep\0\(mark)").isEmpty })
                let inits = HostSnapshot.processes().filter { $0.name == "jail-init" && $0.parent == process.pid }
                #expect(inits.count == 1)
                for child in inits { kill(child.pid, SIGKILL) }
                let result = try run.result(of: process.finish(within: 10))
                #expect(result.code == 125, result.summary)
                #expect(result.report?.reason == "error")
                #expect(result.report?.error?.step == "jail-init")
                #expect(HostSnapshot.processes(saying: mark) == [])
            }
        }

        /// Row 34. kill(-1) stays inside.
        @Test(arguments: Mode.allCases) func killAll(_ mode: Mode) throws {
            let mark = Self.marker()
            var bystander = try CordonRun(mode, shell: "echo ready; read line; echo $line")
            bystander.input = nil
            bystander.json = false
            let other = try bystander.start()
            #expect(other.waitForOutput("ready"))
            let host = try RunningProcess(
                (mode == .root ? [] : ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]) + [
                    "sleep", mark,
                ],
                environment: bystander.variables, directory: "/")
            defer { host.signal(SIGKILL) }
            #expect(eventually(within: 2) { !HostSnapshot.processes(saying: "sleep\0\(mark)").isEmpty })
            let result = try CordonRun.probe(mode, ["kill-all"]).run()
            #expect(result.code != 125, result.summary)
            let initResult = try CordonRun.probe(mode, ["kill-init"]).probed()
            #expect(initResult["still-alive"] == "yes", initResult.run.summary)
            #expect(HostSnapshot.processes(saying: "sleep\0\(mark)").count == 1)
            other.write(Array("alive\n".utf8))
            #expect(other.finish(within: 10).outputText == "ready\nalive\n")
        }

        /// Row 34. A caller that ignores SIGCHLD, or blocks every signal, still gets its result.
        @Test(arguments: ["ignore-sigchld", "block-signals"], Mode.allCases)
        func carelessCaller(_ how: String, _ mode: Mode) throws {
            var run = try CordonRun(mode, shell: "exit 7")
            let programs = mode == .root ? Built.directory : try Built.publicDirectory.get()
            run.prefix = [programs + "/fault-fixture", how]
            let result = try run.run(within: 10)
            #expect(result.code == 7, result.summary)
            #expect(result.report?.exitCode == 7)
        }

        /// Row 35. A tree of stopped processes is torn down at once.
        @Test(arguments: Mode.allCases) func stoppedChildren(_ mode: Mode) throws {
            let mark = Self.marker()
            let script = "for i in 1 2 3; do sh -c 'kill -STOP $$; sleep \(mark)' & done; sleep 0.1; exit 4"
            let result = try CordonRun(mode, shell: script).run(within: 5)
            #expect(result.code == 4, result.summary)
            #expect(HostSnapshot.processes(saying: mark) == [])
        }

        /// A reader that goes away does not leave a jail behind.
        @Test func readerGone() throws {
            let mark = Self.marker()
            let script = "\"$@\" | head -c 10 >/dev/null; echo over"
            var run = try CordonRun(shell: "yes & sleep \(mark) & wait %1")
            run.json = false
            try leavingHostUnchanged {
                let process = try RunningProcess(
                    ["sh", "-c", script, "sh"] + (try run.words()), environment: run.variables, directory: run.workspace
                )
                let finished = process.finish(within: 10)
                #expect(finished.ending == .exited(0))
                #expect(HostSnapshot.processes(saying: "sleep\0\(mark)") == [])
            }
        }
    }
}

/// SplitMix64, whose seed is printed with every failure; CORDON_TEST_SEED repeats one.
struct SeededGenerator: RandomNumberGenerator, CustomStringConvertible, CustomTestStringConvertible {
    let seed: UInt64
    private var state: UInt64

    init() {
        seed =
            ProcessInfo.processInfo.environment["CORDON_TEST_SEED"].flatMap { UInt64($0) } ?? .random(in: 0..<1_000_000)
        state = seed
        print("seed \(seed)")
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    var description: String { "seed \(seed)" }
    var testDescription: String { description }
}
