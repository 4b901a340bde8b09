// An ordinary user: what is missing is named, and nothing of others can be reached (row 44).
import Foundation
import Testing

extension Conformance {
    @Suite struct RootlessTests {
        /// Without the list of what may be missing the run is refused, and every missing guarantee is named.
        @Test(arguments: [Mode.rootless, .subordinate]) func refusalNamesEverything(_ mode: Mode) throws {
            for json in [false, true] {
                var run = try CordonRun(mode, shell: "touch ran")
                run.policy = "preset:agent"
                run.options = ["--policy", "preset:agent"]
                run.json = json
                let result = try run.run()
                #expect(result.code == 125, result.summary)
                for name in ["memory", "cpu.rate", "cpu.time"] {
                    #expect(result.message.contains("guarantee \(name) cannot be given"), result.summary)
                }
                #expect(result.message.contains("allow_degraded"))
                #expect(!run.place.exists("work/ran"))
            }
        }

        /// Allowing some is not enough.
        @Test func halfAllowed() throws {
            let policy =
                "version = 1\nextends = [\"preset:agent\"]\nallow_degraded = [\"fs.deny.create\", \"memory\"]\n"
            let result = try CordonRun(.rootless, shell: "echo ran", policy: policy).run()
            #expect(result.code == 125, result.summary)
            #expect(!result.message.contains("guarantee memory"))
            #expect(result.message.contains("guarantee cpu.time"))
        }

        /// What an option asks for is given or refused, whatever the policy can go without.
        @Test func askedForMemory() throws {
            let refused = try CordonRun(.rootless, ["/bin/true"], options: ["--memory", "64M"]).run()
            #expect(refused.code == 125, refused.summary)
            #expect(refused.message.contains("leave out the option"), refused.summary)
        }

        /// What is degraded is in the report, and no more than that.
        @Test(arguments: [Mode.rootless, .subordinate]) func degradedIsReported(_ mode: Mode) throws {
            let result = try CordonRun(mode, shell: "echo ran").run()
            #expect(result.code == 0, result.summary)
            let degraded = Set(result.report?.degraded ?? [])
            #expect(degraded.isSuperset(of: ["fs.deny.create", "memory", "cpu.time", "cpu.rate"]), "\(degraded)")
            let enforced = Set(result.report?.enforced ?? [])
            for name in [
                "ns.user", "ns.net", "caps", "seccomp", "landlock", "ids", "groups", "root", "proc", "wall", "pids",
            ] {
                #expect(enforced.contains(name), "\(name)")
            }
            for name in ["memory", "swap", "cpu.time", "cpu.rate"] { #expect(!enforced.contains(name), "\(name)") }
        }

        /// The caller's groups and other ids are gone; with subordinate ids the rest of the map is there.
        @Test(arguments: [Mode.rootless, .subordinate]) func identity(_ mode: Mode) throws {
            let result = try CordonRun.probe(mode, ["ids"]).probed()
            #expect(result["uid"] == "1000 1000 1000")
            #expect(result["groups"] == "0" || result["groups"] == "1")
            #expect(result.all("uid_map").count == (mode == .subordinate ? 3 : 1), "\(result.all("uid_map"))")
        }

        /// Row 44. Paths that the caller may not open are refused with the caller's rights.
        @Test(arguments: [Mode.rootless, .subordinate]) func confusedDeputy(_ mode: Mode) throws {
            let secret = try Scratch()
            try secret.file("policy.toml", "version = 1 # hunter2\nbad = hunter2\n", mode: 0o600)
            try secret.file("closed/policy.toml", "version = 1 # hunter2\n")
            try secret.file("report", "before", mode: 0o644)
            Calls.changeMode(secret.path + "/closed", 0o700)
            let links = try Scratch(owner: mode.owner)
            try links.symlink("policy", to: secret.path + "/policy.toml")
            try links.symlink("workspace", to: secret.path + "/closed")
            try links.symlink("report", to: secret.path + "/report")
            let attempts = [
                ["--policy", secret.path + "/policy.toml"], ["--policy", links.path + "/policy"],
                ["--policy", secret.path + "/closed/policy.toml"], ["--workspace", secret.path + "/closed"],
                ["--workspace", links.path + "/workspace"], ["--image", secret.path + "/closed"],
                ["--report", secret.path + "/report"], ["--report", links.path + "/report"], ["--workspace", "/root"],
            ]
            for words in attempts {
                let run = try CordonRun(mode, shell: "echo ran; cat * 2>/dev/null", options: words)
                let result = try run.run()
                #expect(result.code == 125, "\(words): \(result.message)")
                #expect(!result.message.contains("hunter2"), "\(words)")
                #expect(!result.output.contains("hunter2"), "\(words)")
            }
            #expect(secret.text("report") == "before")
        }

        /// Row 44. A workspace that others own can be read as far as the caller may, and not written.
        @Test(arguments: [Mode.rootless, .subordinate]) func workspaceOfOthers(_ mode: Mode) throws {
            let other = try Scratch()
            try other.file("public", "fine")
            try other.file("private", "hunter2", mode: 0o600)
            let run = try CordonRun(
                mode, shell: "cat public private; touch made; echo x > public; rm -f public; chmod 777 private; true",
                options: ["--workspace", other.path])
            let before = try other.tree()
            let result = try run.run()
            #expect(result.output == "fine", result.summary)
            #expect(try other.tree() == before)
        }

        /// As root the caller's rights are root's, but the jail's are not: files of others in a workspace stay theirs.
        @Test func othersFilesInRootsWorkspace() throws {
            let run = try CordonRun(
                shell: "cat private; echo x > theirs; echo x >> mine; chmod 666 theirs; rm -f private; true")
            try run.file("mine", "m")
            try run.file("theirs", "t", mode: 0o644)
            try run.file("private", "hunter2", mode: 0o600)
            for name in ["theirs", "private"] { Calls.changeOwner(run.workspace + "/" + name, Mode.user) }
            let result = try run.run()
            #expect(!result.output.contains("hunter2"))
            #expect(run.place.text("work/theirs") == "t")
            #expect(run.place.text("work/mine") == "mx\n")
        }

        /// The jail of one user is nothing to another user of the same machine.
        @Test(arguments: [Mode.rootless, .subordinate]) func ptraceByTheSameUser(_ mode: Mode) throws {
            var run = try CordonRun.probe(mode, ["sleep", "30"])
            run.input = nil
            let process = try run.start()
            #expect(eventually(within: 5) { HostSnapshot.processes().contains { $0.name == "probe" } })
            // Two jails of one user share its id outside: they must not reach each other.
            let second = try CordonRun.probe(mode, ["ptrace-init", "\(process.pid)"])
            let result = try second.probed()
            #expect(result.succeeded.map(\.description) == [])
            process.signal(SIGKILL)
            _ = process.finish(within: 5)
        }
    }
}
