// What `cordon run` promises: exit codes, the report, streams, signals, options.
import Foundation
import Testing

extension Conformance {
    @Suite struct ContractTests {
        /// Exit codes: the command's own, and 128+N.
        @Test(arguments: [0, 1, 2, 42, 124, 125, 126, 127, 137, 255], Mode.allCases)
        func exitCodes(_ code: Int, _ mode: Mode) throws {
            let result = try CordonRun(mode, shell: "exit \(code)").run()
            #expect(result.code == Int32(code), result.summary)
            #expect(result.report?.exitCode == code)
            #expect(result.report?.reason == "exited")
            #expect(result.report?.signal == nil)
            #expect(result.report?.error == nil)
        }

        @Test(arguments: [SIGHUP, SIGINT, SIGTERM, SIGKILL, SIGUSR1, SIGABRT, SIGPIPE, SIGXCPU, 40])
        func signalledCommands(_ number: Int32) throws {
            let result = try CordonRun(shell: "kill -\(number) $$").run()
            #expect(result.code == 128 + number, result.summary)
            #expect(result.report?.signal == Int(number))
            #expect(result.report?.exitCode == nil)
            #expect(result.report?.reason == "signaled")
        }

        @Test(arguments: Mode.allCases) func notFoundAndNotExecutable(_ mode: Mode) throws {
            for name in ["no-such-program", "./no-such-program", "/no/such/program", "./text/below"] {
                let run = try CordonRun(mode, [name])
                try run.file("text", "x")
                let result = try run.run()
                #expect(result.code == 127, result.summary)
                #expect(["ENOENT", "ENOTDIR"].contains(result.report?.error?.errno), result.summary)
                #expect(result.report?.reason == "error")
                #expect(result.report?.exitCode == nil)
                #expect(result.report?.error?.object == name)
                #expect(result.report?.error?.remedy.isEmpty == false)
            }
            for (name, text, rights) in [
                ("plain", "echo hi\n", mode_t(0o644)), ("garbage", "\u{1}\u{2}\u{3}", 0o755), ("dir", "", 0),
            ] {
                let run = try CordonRun(mode, ["./" + name])
                if rights == 0 { try run.place.directory("work/dir") } else { try run.file(name, text, mode: rights) }
                let result = try run.run()
                #expect(result.code == 126, result.summary)
                #expect(result.report?.exitCode == nil)
            }
            let broken = try CordonRun(mode, ["./script"])
            try broken.file("script", "#!/no/such/interpreter\n", mode: 0o755)
            #expect([126, 127].contains(try broken.run().code))
        }

        /// Every field, present and of its type, in success and in failure alike; and exactly one object.
        @Test(arguments: ["exit 3", "kill -9 $$", "sleep 9", "no-such", "bad-policy"]) func fields(_ how: String) throws
        {
            var run = try CordonRun(shell: how, options: how == "sleep 9" ? ["--timeout", "100ms"] : [])
            if how == "no-such" { run.command = ["no-such"] }
            if how == "bad-policy" { run.policy = "preset:no-such" }
            let result = try run.run()
            #expect(result.process.output.last == UInt8(ascii: "\n"))
            #expect(result.process.output.filter { $0 == UInt8(ascii: "\n") }.count == 1)
            let object = try #require(
                JSONSerialization.jsonObject(with: Data(result.process.output)) as? [String: Any])
            let strings = ["reason", "stdout", "stderr", "stdout_encoding", "stderr_encoding"]
            let flags = ["stdout_truncated", "stderr_truncated"]
            let numbers = [
                "duration_ms", "cpu_ms", "max_memory_bytes", "max_pids", "io_read_bytes", "io_write_bytes", "oom_kills",
                "pids_denied",
            ]
            let lists = ["enforced", "degraded", "denials"]
            let optional = ["exit_code", "signal", "error"]
            #expect(Set(object.keys) == Set(strings + flags + numbers + lists + optional))
            for name in strings { #expect(object[name] is String, "\(name)") }
            for name in flags { #expect((object[name] as? NSNumber)?.isBoolean == true, "\(name)") }
            for name in numbers { #expect((object[name] as? NSNumber)?.isBoolean == false, "\(name)") }
            for name in lists { #expect(object[name] is [Any], "\(name)") }
            for name in ["exit_code", "signal"] {
                #expect(object[name] is NSNull || (object[name] as? NSNumber)?.isBoolean == false, "\(name)")
            }
            if how == "no-such" || how == "bad-policy" {
                let error = try #require(object["error"] as? [String: Any])
                #expect(Set(error.keys) == ["step", "object", "errno", "remedy"])
                #expect(error["remedy"] as? String != "")
            } else {
                #expect(object["error"] is NSNull)
            }
            let reasons = ["exit 3": "exited", "kill -9 $$": "signaled", "sleep 9": "timeout"]
            #expect(object["reason"] as? String == reasons[how] ?? "error")
        }

        /// Figures are plausible.
        @Test func figures() throws {
            let run = try CordonRun.probe(.root, [])
            var attempt = run
            attempt.command = [
                "/bin/sh", "-c", "./probe burn 100; ./probe memhog 40; sleep 0.2; sleep 0.1 & sleep 0.1 & wait",
            ]
            let report = try #require(try attempt.run().report)
            #expect(report.durationMs >= 400 && report.durationMs < 3000, "\(report.durationMs)")
            #expect(report.cpuMs >= 100 && report.cpuMs < 1500, "\(report.cpuMs)")
            #expect(report.maxMemoryBytes >= 40 << 20 && report.maxMemoryBytes < 200 << 20, "\(report.maxMemoryBytes)")
            #expect(report.maxPids >= 3 && report.maxPids < 20, "\(report.maxPids)")
            #expect(report.oomKills == 0 && report.pidsDenied == 0)
            #expect(report.enforced.count + report.degraded.count >= 30)
            #expect(Set(report.enforced).intersection(report.degraded).isEmpty)
        }

        /// What reaches the disk is counted. (On version 1 a recent kernel counts only once some throttle has been set.)
        @Test func diskBytes() throws {
            let result = try CordonRun(
                shell: "head -c 4194304 /dev/zero > f && sync f && dd if=f of=f2 bs=1M oflag=direct conv=fsync 2>&1"
            ).run()
            #expect(result.code == 0, result.summary)
            #expect((result.report?.ioWriteBytes ?? 0) >= 4 << 20, "\(result.report?.ioWriteBytes ?? 0)")
        }

        /// Standard input arrives whole, and its end too.
        @Test(arguments: Mode.allCases) func input(_ mode: Mode) throws {
            var run = try CordonRun(mode, shell: "wc -c; echo end")
            run.input = nil
            run.json = false
            let process = try run.start()
            for _ in 0..<64 { process.write([UInt8](repeating: 65, count: 65536)) }
            process.closeInput()
            #expect(process.finish().outputText == "4194304\nend\n")
            // A command that does not read does not wait for it either.
            var deaf = try CordonRun(mode, shell: "exit 5")
            deaf.input = nil
            let other = try deaf.start()
            #expect(other.finish(within: 5).ending == .exited(5))
        }

        /// Output streams while the command runs.
        @Test func streams() throws {
            var run = try CordonRun(shell: "echo first; echo oops >&2; read line; echo got $line")
            run.input = nil
            run.json = false
            let process = try run.start()
            #expect(process.waitForOutput("first\n", seconds: 5))
            process.write(Array("word\n".utf8))
            let finished = process.finish(within: 5)
            #expect(finished.outputText == "first\ngot word\n")
            #expect(finished.errorText == "oops\n")
        }

        /// Signals are passed on, and what the command makes of them is its affair.
        @Test(arguments: [SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP, SIGQUIT], Mode.allCases)
        func forwarding(_ number: Int32, _ mode: Mode) throws {
            let names = [
                SIGINT: "INT", SIGTERM: "TERM", SIGUSR1: "USR1", SIGUSR2: "USR2", SIGHUP: "HUP", SIGQUIT: "QUIT",
            ]
            let script = "trap 'echo caught; exit 9' \(names[number] ?? ""); echo ready; while :; do sleep 0.05; done"
            var run = try CordonRun(mode, shell: script)
            run.json = false
            try leavingHostUnchanged {
                let process = try run.start()
                #expect(process.waitForOutput("ready"))
                process.signal(number)
                let finished = process.finish(within: 10)
                #expect(finished.outputText == "ready\ncaught\n")
                #expect(finished.ending == .exited(9))
            }
        }

        /// Who does not listen is given a moment, and then ended.
        @Test func signalThatIsIgnored() throws {
            let run = try CordonRun(shell: "trap '' INT TERM; echo ready >&2; sleep 60; sleep 60")
            try leavingHostUnchanged {
                let process = try run.start()
                // With --json nothing is streamed; its own processes tell that it stands.
                #expect(eventually(within: 5) { !HostSnapshot.processes(saying: "sleep\060\0").isEmpty })
                let before = now()
                process.signal(SIGTERM)
                let result = try run.result(of: process.finish(within: 20))
                #expect(result.code == 128 + SIGTERM, result.summary)
                #expect(now() - before < 8)
            }
            let twice = try CordonRun(shell: "trap '' INT; sleep 61")
            let process = try twice.start()
            #expect(eventually(within: 5) { !HostSnapshot.processes(saying: "sleep\061").isEmpty })
            process.signal(SIGINT)
            usleep(100_000)
            let before = now()
            process.signal(SIGINT)
            #expect(process.finish(within: 10).ending == .exited(128 + SIGINT))
            #expect(now() - before < 1.5)
        }

        /// A signal during the start ends the run, and leaves nothing.
        @Test func signalDuringTheStart() throws {
            var generator = SeededGenerator()
            for round in 0..<15 {
                let run = try CordonRun(shell: "sleep 62")
                try leavingHostUnchanged {
                    let process = try run.start()
                    usleep(UInt32.random(in: 0..<15_000, using: &generator))
                    process.signal(SIGTERM)
                    let finished = process.finish(within: 5)
                    #expect(
                        [.exited(128 + SIGTERM), .signaled(SIGTERM)].contains(finished.ending),
                        "\(generator) round \(round) \(finished.ending)")
                }
            }
        }

        /// Binary output, and text that is not quite UTF-8.
        @Test func binaryOutput() throws {
            for (hex, encoding) in [
                ("00ff80fe", "base64"), ("c3a9e282ac", "utf-8"), ("c3", "base64"), ("eda080", "base64"),
                ("00", "utf-8"),
                ("1b5d35323b633b00079b31", "base64"), ("c29b", "utf-8"), ("", "utf-8"),
            ] {
                let result = try CordonRun.probe(.root, ["echo-bytes", hex]).run()
                #expect(result.report?.stdoutEncoding == encoding, "\(hex)")
                let bytes = stride(from: 0, to: hex.count, by: 2).compactMap { offset -> UInt8? in
                    let start = hex.index(hex.startIndex, offsetBy: offset)
                    return UInt8(hex[start..<hex.index(start, offsetBy: 2)], radix: 16)
                }
                #expect(result.report?.stdoutBytes == bytes, "\(hex)")
                // Row 38: no control byte reaches a terminal through the report.
                #expect(!result.process.output.dropLast().contains { $0 < 0x20 || $0 == 0x7f }, "\(hex)")
            }
        }

        /// --report writes the same object, whatever stdout gets.
        @Test(arguments: Mode.allCases) func reportFile(_ mode: Mode) throws {
            var run = try CordonRun(mode, shell: "echo out; exit 6")
            let file = run.place.path + "/home/report.json"
            run.options = ["--report", file]
            let both = try run.run()
            #expect(both.code == 6)
            #expect(readFile(file) == both.process.outputText)
            run.json = false
            let streamed = try run.run()
            #expect(streamed.output == "out\n")
            let report = try Report.decode(Array((readFile(file) ?? "").utf8))
            #expect(report.exitCode == 6)
            #expect(Calls.status(file)?.st_uid == mode.owner)
        }

        @Test func reportThatCannotBeWritten() throws {
            let run = try CordonRun(shell: "touch ran", options: ["--report", "/no/such/directory/report"])
            let result = try run.run()
            #expect(result.code == 125, result.summary)
            #expect(result.message.contains("/no/such/directory/report"))
            #expect(!run.place.exists("work/ran"))
        }

        /// Output that cannot be written is not passed over: neither the report nor a stream.
        @Test func standardOutputIsFull() throws {
            for options in [["--json"], []] {
                var run = try CordonRun(shell: "echo hi", options: options)
                run.json = false
                let finished = try RunningProcess(
                    ["sh", "-c", "exec \"$@\" > /dev/full", "sh"] + (try run.words()), environment: run.variables,
                    directory: run.workspace
                ).finish(within: 10)
                #expect(finished.ending != .exited(0), "\(options)")
                #expect(!finished.errorText.isEmpty, "\(options)")
            }
        }

        /// The same plan each time, and nothing is done.
        @Test(arguments: Mode.allCases) func printedPlan(_ mode: Mode) throws {
            var run = try CordonRun(mode, shell: "touch ran", options: ["--print-plan"])
            run.json = false
            let first = try run.run(), second = try run.run()
            #expect(first.code == 0, first.summary)
            #expect(first.output == second.output)
            for word in ["clone", "map-ids", "pivot-root", "landlock", "filters", "no-new-privileges", "identity"] {
                #expect(first.output.contains(word), "\(word)")
            }
            #expect(!run.place.exists("work/ran"))
        }

        /// --env, and what is masked of it.
        @Test func environment() throws {
            var run = try CordonRun(
                shell: "echo $A,$B,$C; echo $MY_TOKEN",
                options: [
                    "--env", "A=1", "--env", "B=x=y z", "--env", "PASSED", "--env", "C=", "--env",
                    "MY_TOKEN=abcdefgh12345",
                ])
            run.environment = ["PASSED": "p", "OTHER": "o"]
            run.command = ["/bin/sh", "-c", "echo $A,$B,$C,$PASSED,$OTHER; echo $MY_TOKEN; echo $MY_TOKEN | rev"]
            let result = try run.run()
            #expect(result.output.hasPrefix("1,x=y z,,p,\n"), result.summary)
            #expect(!result.output.contains("abcdefgh12345"))
            #expect(result.output.contains("54321hgfedcba"), "the variable itself is there")
        }

        /// Options only tighten; the error names the line that they would loosen.
        @Test(arguments: [("--memory", "4G", "memory"), ("--timeout", "1h", "wall"), ("--pids", "100000", "pids")])
        func onlyTighter(_ option: String, _ value: String, _ key: String) throws {
            let policy = """
                version = 1
                extends = ["preset:agent"]
                [resources]
                memory = "256M"
                wall = "20s"
                pids = 100

                """
            let run = try CordonRun(shell: "touch ran", options: [option, value], policy: policy)
            let result = try run.run()
            #expect(result.code == 125, result.summary)
            let line = ["memory": 4, "wall": 5, "pids": 6][key] ?? 0
            #expect(result.message.contains("policy.toml:\(line):"), result.summary)
            #expect(!run.place.exists("work/ran"))
            let tighter = try CordonRun(
                shell: "echo fine", options: ["--memory", "64M", "--timeout", "5s", "--pids", "50"], policy: policy)
            #expect(try tighter.run().code == 0)
        }

        /// The working directory is the caller's, where that lies in the workspace (row 40).
        @Test func workingDirectory() throws {
            var run = try CordonRun(shell: "pwd")
            try run.place.directory("work/a/b")
            run.options = ["--workspace", run.workspace]
            run.directory = run.workspace + "/a/b"
            #expect(try run.run().output == run.workspace + "/a/b\n")
            run.directory = "/"
            #expect(try run.run().output == run.workspace + "\n")
            // A directory below the workspace that is only granted for reading does not become writable by standing in it.
            run.policyText = "version = 1\nextends = [\"preset:readonly\"]\n"
            run.directory = run.workspace + "/a/b"
            run.command = ["/bin/sh", "-c", "touch made"]
            #expect(try run.run().report?.exitCode == 1)
            #expect(!run.place.exists("work/a/b/made"))
        }

        /// Files made in the workspace belong to its owner, and can be removed by it.
        @Test(arguments: Mode.allCases) func ownership(_ mode: Mode) throws {
            let run = try CordonRun(mode, shell: "mkdir d; echo x > d/f; ln -s f d/l; mkfifo d/p; stat -c %u .")
            let result = try run.run()
            #expect(result.code == 0, result.summary)
            #expect(result.output == "1000\n")
            for name in ["d", "d/f", "d/l", "d/p"] {
                #expect(Calls.status(run.workspace + "/" + name)?.st_uid == mode.owner, "\(name)")
            }
        }

        /// Sixteen at a time: none disturbs another.
        @Test func manyAtATime() throws {
            let runs = try (0..<16).map { try CordonRun(shell: "echo \($0) > n; sleep 0.1; cat n; exit \($0)") }
            try leavingHostUnchanged {
                let processes = try runs.map { try $0.start() }
                for (index, (run, process)) in zip(runs, processes).enumerated() {
                    let result = try run.result(of: process.finish())
                    #expect(result.code == Int32(index), result.summary)
                    #expect(result.output == "\(index)\n")
                }
            }
        }
    }
}

extension NSNumber {
    fileprivate var isBoolean: Bool { CFGetTypeIDIsBoolean(self) }
}

/// JSONSerialization gives NSNumber for both; only the encoding tells them apart.
private func CFGetTypeIDIsBoolean(_ number: NSNumber) -> Bool {
    unsafe String(cString: number.objCType) == "c" || number === NSNumber(value: true)
        || number === NSNumber(value: false)
}
