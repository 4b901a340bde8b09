// Threat rows 1-5, 41 and 43: nothing of the host comes in, and identity means what it says.
import Foundation
import Testing

extension Conformance {
    @Suite struct LeakTests {
        /// Row 1. The caller holds a directory of the host without CLOEXEC.
        @Test(arguments: Mode.allCases) func descriptors(_ mode: Mode) throws {
            let outside = try Scratch()
            try outside.file("marker", "of the host")
            let directory = Calls.open(outside.path, O_RDONLY | O_DIRECTORY)
            let file = Calls.open(outside.path + "/marker", O_RDONLY)
            defer {
                close(directory)
                close(file)
            }
            var run = try CordonRun.probe(mode, ["fds", outside.path + "/marker"])
            run.inherited = [directory, file]
            let result = try run.probed()
            result.expectSafe()
            #expect(result.run.output.contains(outside.path) == false || result.succeeded.isEmpty)
        }

        /// Row 2.
        @Test(arguments: Mode.allCases) func executablesOfHelpers(_ mode: Mode) throws {
            let programs = mode == .root ? Built.directory : try Built.publicDirectory.get()
            let names = ["cordon", "jail-init", "cordon-janitor"]
            let before = try names.map { try Data(contentsOf: URL(fileURLWithPath: programs + "/" + $0)) }
            let result = try CordonRun.probe(mode, ["exe-overwrite"]).probed()
            result.expectSafe()
            for line in result.lines {
                if case .refused(let error) = line.outcome {
                    #expect(["EROFS", "ETXTBSY", "EACCES", "EPERM", "ENOENT"].contains(error), "\(line)")
                }
            }
            let after = try names.map { try Data(contentsOf: URL(fileURLWithPath: programs + "/" + $0)) }
            #expect(before == after)
        }

        /// Row 3.
        @Test(arguments: Mode.allCases) func groups(_ mode: Mode) throws {
            let result = try CordonRun.probe(mode, ["groups"]).probed()
            result.expectSafe()
        }

        /// Row 3. A caller whose groups cannot be dropped is refused, unless that is allowed.
        @Test func groupsThatStayAreRefused() throws {
            var run = try CordonRun(.rootless, shell: "id -G")
            func words() throws -> [String] {
                try run.words().map { $0 == "--clear-groups" ? "--groups=12345,54321" : $0 }
            }
            func once() throws -> RunResult {
                try leavingHostUnchanged {
                    try run.result(
                        of: RunningProcess(try words(), environment: run.variables, directory: run.workspace).finish())
                }
            }
            var result = try once()
            #expect(result.code == 125, result.summary)
            #expect(result.message.contains("groups"), result.summary)
            #expect(result.output == "")
            run.policyText = CordonRun.policy(.rootless).replacingOccurrences(of: "[\"fs", with: "[\"groups\", \"fs")
            result = try once()
            #expect(result.code == 0, result.summary)
            #expect(result.report?.degraded.contains("groups") == true)
        }

        /// Row 4.
        @Test(arguments: Mode.allCases) func capabilities(_ mode: Mode) throws {
            try CordonRun.probe(mode, ["caps"]).probed().expectSafe()
        }

        /// Row 4. A user that is no user never means root.
        @Test(arguments: [
            "\"\"", "\"x\"", "\"-1\"", "\"4294967295\"", "\"1000:\"", "-1", "\"0x3e8\"", "\" 1000\"", "true",
        ])
        func malformedUser(_ user: String) throws {
            let run = try CordonRun(
                shell: "id -u; touch ran", policy: CordonRun.policy(.root, "[identity]\nuser = \(user)\n"))
            let result = try run.run()
            #expect(result.code == 125, result.summary)
            #expect(!run.place.exists("work/ran"))
            #expect(result.message.contains("policy.toml:5:"), result.summary)
        }

        /// Row 5.
        @Test(arguments: Mode.allCases) func supervisorsProcess(_ mode: Mode) throws {
            var run = try CordonRun.probe(mode, ["sleep", "30"])
            run.json = false
            run.input = nil
            let process = try run.start()
            defer { process.signal(SIGKILL) }
            try #require(try eventually(within: 5) { try supervisor(above: "probe\0sleep", of: run) != nil })
            let pid = try #require(try supervisor(above: "probe\0sleep", of: run))
            var second = try CordonRun.probe(mode, ["supervisor-proc", "\(pid)"])
            second.environment["SECRET"] = "hunter2-of-the-caller"
            second.json = true
            let result = try second.probed()
            result.expectSafe()
            #expect(!result.run.output.contains("hunter2"))
        }

        private func supervisor(above word: String, of run: CordonRun) throws -> Int32? {
            HostSnapshot.processes().first { $0.name == "cordon" && ($0.parent == getpid()) }?.pid
        }

        /// Row 41.
        @Test func randomness() throws {
            let first = try CordonRun.probe(.root, ["random"]).probed()
            let second = try CordonRun.probe(.root, ["random"]).probed()
            // The boot's own id is the kernel's name, not randomness.
            let values = [first, second].map {
                $0.lines.filter { $0.outcome == .observed && !$0.detail.hasPrefix("boot_id=") }.map(\.detail)
            }
            #expect(!values[0].isEmpty)
            #expect(Set(values[0]).intersection(values[1]) == [])
        }

        /// Row 43. A crash starts nothing on the host.
        @Test(arguments: Mode.allCases) func cores(_ mode: Mode) throws {
            let before = readFile("/proc/sys/kernel/core_pattern")
            let run = try CordonRun.probe(mode, ["core"])
            // A wish for another limit is granted in words only.
            try run.probed().expectSafe(pretended: "limit-lifted")
            let script = """
                import resource as r
                for wish in [(-1, -1), (0, 0), (1, 1), (0, 1)]:
                    r.setrlimit(r.RLIMIT_CORE, wish); r.prlimit(0, r.RLIMIT_CORE, wish)
                    print(*r.getrlimit(r.RLIMIT_CORE))
                """
            let limits = try CordonRun(mode, ["/usr/bin/python3", "-c", script]).run()
            #expect(limits.output == String(repeating: "1 1\n", count: 4), limits.summary)
            #expect(readFile("/proc/sys/kernel/core_pattern") == before)
            let crash = try CordonRun.probe(mode, ["segv"])
            let result = try crash.run()
            #expect(result.code == 128 + SIGSEGV, result.summary)
            #expect(result.report?.signal == Int(SIGSEGV))
            #expect(try crash.place.tree().keys.filter { $0.contains("core") } == [])
        }

        /// Nothing of the caller's: signals, terminal, session, environment.
        @Test(arguments: Mode.allCases) func surroundings(_ mode: Mode) throws {
            var run = try CordonRun.probe(mode, ["signals"])
            run.prefix = [
                (mode == .root ? try Built.path("fault-fixture") : try Built.publicDirectory.get() + "/fault-fixture"),
                "block-signals",
            ]
            try run.probed().expectSafe()
            let ids = try CordonRun.probe(mode, ["ids"]).probed()
            #expect(ids["uid"] == "1000 1000 1000")
            #expect(ids["gid"] == "1000 1000 1000")
            let terminals = try CordonRun.probe(mode, ["tty"]).probed()
            #expect(terminals["fd0"] == "no" && terminals["fd1"] == "no")
            #expect(terminals["controlling"] == "ENXIO")
            var secret = try CordonRun.probe(mode, ["env"])
            secret.environment = ["AWS_SECRET_ACCESS_KEY": "hunter2-hunter2", "LD_PRELOAD": "", "BASH_ENV": "/x"]
            let variables = try secret.probed()
            for name in ["AWS_SECRET_ACCESS_KEY", "LD_PRELOAD", "BASH_ENV", "TMPDIR"] {
                #expect(variables[name] == nil)
            }
            #expect(variables["HOME"] == "/home/cordon")
        }
    }
}
