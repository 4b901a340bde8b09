// Every step made to fail in turn, and kernels that lack what a jail needs.
//
// The fixture sees the system calls of Cordon and its helpers and answers chosen ones with an error. Whatever fails:
// the run ends by itself, with code 125 and the step named, and leaves nothing behind; or, where the call was no part
// of a guarantee, the run succeeds with exactly the guarantees it has without the fault.
import Foundation
import Testing

extension Conformance {
    @Suite struct FaultTests {
        struct Intercepted {
            var result: RunResult
            /// `PROCESS.ORDER:CALL:COUNT`, in order; those of the command itself are left out.
            var calls: [String]
            var failed: [String]
        }

        private func intercept(
            _ mode: Mode, _ rules: [String], script: String = "true", json: Bool = true, within seconds: Double = 20,
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws -> Intercepted {
            var run = try CordonRun(mode, shell: "grep CapBnd /proc/self/status; " + script)
            let programs = mode == .root ? Built.directory : try Built.publicDirectory.get()
            _ = try Built.path("fault-fixture")
            run.json = json
            let log = run.place.path + "/home/log"
            // A filter of root's own keeps newuidmap's set-uid bit working.
            run.outermost = [programs + "/fault-fixture", "intercept", log] + rules + ["--"]
            let result = try run.run(within: seconds, sourceLocation: sourceLocation)
            let lines = (readFile(log) ?? "").split(separator: "\n").map(String.init)
            let ours = lines.filter { $0.hasPrefix("cordon") || $0.hasPrefix("jail-init") }
            return Intercepted(
                result: result, calls: ours.filter { !$0.hasSuffix(" FAILED") },
                failed: lines.filter { $0.hasSuffix(" FAILED") })
        }

        /// A kernel that lacks something: the refusal says what.
        @Test(
            arguments: [
                ("*:landlock_*:*=ENOSYS", "landlock"), ("*:landlock_*:*=EOPNOTSUPP", "landlock"),
                ("*:clone*+user:*=EPERM", "ns.user"), ("*:clone*+user:*=ENOSPC", "ns.user"),
                ("*:clone*+user:*=EINVAL", "ns.user"), ("*:seccomp:*=EINVAL", "seccomp"),
                ("*:seccomp:*=ENOSYS", "seccomp"),
            ], [Mode.root, .rootless])
        func missingFeature(_ rule: (String, String), _ mode: Mode) throws {
            let run = try intercept(mode, [rule.0])
            #expect(run.result.code == 125, run.result.summary)
            #expect(run.result.message.contains(rule.1), run.result.summary)
            #expect(run.result.output == "")
        }

        /// Without Landlock, allowed: the report says so, and the first wall stands.
        @Test func withoutLandlock() throws {
            var run = try CordonRun.probe(.root, ["kernel-files"])
            run.policyText = CordonRun.policy(.root).replacingOccurrences(of: "[\"fs", with: "[\"landlock\", \"fs")
            run.prefix = [try Built.path("fault-fixture"), "intercept", "/dev/null", "*:landlock_*:*=ENOSYS", "--"]
            let result = try run.probed()
            result.expectSafe()
            #expect(result.run.report?.degraded.contains("landlock") == true, result.run.summary)
            #expect(result.run.report?.enforced.contains("landlock") == false)
        }

        /// No cgroup file system at all, in a mount namespace of the test's own.
        @Test func withoutCgroups() throws {
            let run = try CordonRun(shell: "echo ran")
            let hide = [
                "unshare", "-m", "--propagation", "private", "sh", "-c", "umount -l -R /sys/fs/cgroup; exec \"$@\"",
                "sh",
            ]
            func once(_ policy: String) throws -> RunResult {
                var attempt = run
                attempt.policyText = policy
                return try leavingHostUnchanged {
                    try attempt.result(
                        of: RunningProcess(
                            hide + (try attempt.words()), environment: run.variables, directory: run.workspace
                        )
                        .finish())
                }
            }
            let refused = try once(CordonRun.policy(.root))
            #expect(refused.code == 125, refused.summary)
            for name in ["memory", "cpu.time", "cpu.rate"] {
                #expect(refused.message.contains("guarantee \(name) "), refused.summary)
            }
            #expect(refused.output == "")
            let allowed = try once(CordonRun.policy(.rootless))
            #expect(allowed.code == 0, allowed.summary)
            #expect(allowed.report?.degraded.contains("memory") == true)
        }

        /// One call after the other fails: for each process and call the first, the last and one between.
        @Test(arguments: [Mode.root, .rootless, .subordinate]) func everyStep(_ mode: Mode) throws {
            let clean = try intercept(mode, [])
            #expect(clean.result.code == 0, clean.result.summary)
            let guarantees = clean.result.report?.enforced
            var generator = SeededGenerator()
            // Reading and writing as such is tried elsewhere; closing ranges and duplicating cannot fail for any reason
            // that a test could give.
            let spared: Set<String> = ["open", "openat", "write", "dup2", "dup3", "close_range", "execve", "setsid"]
            var groups: [String: [String]] = [:]
            for call in clean.calls {
                let parts = call.split(separator: ":")
                if parts.count == 3, !spared.contains(String(parts[1])) {
                    groups["\(parts[0]):\(parts[1])", default: []].append(call)
                }
            }
            #expect(groups.count > 40, "\(groups.keys)")
            var silent: [String] = [], misnamed: [String] = []
            for (group, calls) in groups.sorted(by: { $0.key < $1.key }) {
                var chosen = Set([calls[0], calls[calls.count - 1]])
                if mode == .root {
                    chosen.insert(calls.randomElement(using: &generator) ?? calls[0])
                } else {
                    chosen = [calls[0]]
                }
                for call in chosen.sorted() {
                    for error in mode == .root ? ["EPERM", "ENOSPC"] : ["EACCES"] {
                        let run = try intercept(mode, [call + "=" + error])
                        let what: Comment = "\(generator): \(call)=\(error) \(run.result.summary)"
                        // Orders differ a little from run to run; then nothing failed, and nothing is to be seen.
                        if run.failed.isEmpty { continue }
                        switch run.result.code {
                        case 0:
                            #expect(run.result.report?.enforced == guarantees, what)
                            #expect(run.result.output == "CapBnd:\t0000000000000000\n", what)
                            silent.append(call)
                        case 125:
                            #expect(run.result.output == "", what)
                            #expect(run.result.report?.reason == "error", what)
                            let step = run.result.report?.error?.step ?? ""
                            #expect(!step.isEmpty && run.result.report?.error?.remedy.isEmpty == false, what)
                            // The first failure is the one to name, not that somebody else lost his socket.
                            let errno = run.result.report?.error?.errno
                            if errno == "EPIPE" || errno == "ECONNRESET" {
                                misnamed.append("\(call) told as \(step) \(errno ?? "")")
                            }
                        default: Issue.record(what)
                        }
                        if Self.vital.contains(where: { group.hasSuffix(":" + $0) }) {
                            #expect(run.result.code == 125, "a vital step failed unnoticed: \(what.rawValue)")
                        }
                    }
                }
            }
            #expect(misnamed == [], "\(generator)")
            print(
                "\(mode.rawValue): \(groups.count) kinds of call; without effect: \(silent.sorted().joined(separator: " "))"
            )
        }

        /// Calls whose failure always weakens a jail.
        private static let vital = [
            "move_mount", "mount_setattr", "fsmount", "pivot_root", "sethostname", "setgroups", "setresuid",
            "setresgid", "landlock_restrict_self", "landlock_add_rule", "seccomp", "capset", "keyctl", "umount2",
        ]

        /// Errors in reading and writing: whatever happens, it ends, and nothing is left.
        @Test func readingAndWriting() throws {
            let clean = try intercept(.root, [], json: false)
            var generator = SeededGenerator()
            let calls = clean.calls.filter {
                $0.contains(":write:") || $0.contains(":openat:") || $0.contains(":open:")
            }
            for call in calls.shuffled(using: &generator).prefix(30) {
                // A report that cannot be printed is no report.
                let run = try intercept(.root, [call + "=EIO"], json: false)
                if run.failed.isEmpty { continue }
                let code = run.result.code
                #expect(
                    code == 125 || (code == 0 && run.result.output.hasPrefix("CapBnd:\t0000000000000000")),
                    "\(generator): \(call) \(run.result.summary)")
            }
        }

        /// A helper that is missing, or is no program, is named.
        @Test func missingHelpers() throws {
            for name in ["jail-init", "cordon-janitor"] {
                let place = try Scratch()
                for program in ["cordon", "jail-init", "cordon-janitor"] where program != name {
                    try FileManager.default.copyItem(
                        atPath: try Built.path(program), toPath: place.path + "/" + program)
                }
                let run = try CordonRun(shell: "echo ran")
                func once() throws -> RunResult {
                    try leavingHostUnchanged {
                        let words = [place.path + "/cordon"] + (try run.words().dropFirst())
                        return try run.result(
                            of: RunningProcess(words, environment: run.variables, directory: run.workspace).finish())
                    }
                }
                let missing = try once()
                #expect(missing.code == 125, missing.summary)
                #expect(missing.message.contains(name), missing.summary)
                try place.file(name, "no program", mode: 0o755)
                let garbage = try once()
                #expect(garbage.code == 125, garbage.summary)
                #expect(garbage.output == "")
            }
        }
    }
}
