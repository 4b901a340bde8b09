// What makes no sense is refused with one clear message, and nothing runs.
import Foundation
import Testing

extension Conformance {
    @Suite struct BadInputTests {
        struct Bad: Sendable, CustomTestStringConvertible {
            var lines: String
            /// `line:column` of the message.
            var place: String
            /// What the message must contain.
            var words: [String]
            var testDescription: String { lines }
        }

        static let policies = [
            Bad(lines: "[resources]\nmemry = \"1G\"", place: "3:1", words: ["memry", "memory"]),
            Bad(lines: "[resource]\nmemory = \"1G\"", place: "2:", words: ["resource", "resources"]),
            Bad(lines: "[resources]\nmemory = \"12Q\"", place: "3:10", words: ["12Q"]),
            Bad(lines: "[resources]\nmemory = true", place: "3:10", words: ["memory"]),
            Bad(lines: "[resources]\npids = \"many\"", place: "3:8", words: ["pids"]),
            Bad(lines: "[resources]\npids = -1", place: "3:8", words: ["pids"]),
            Bad(lines: "[resources]\npids = 0", place: "3:8", words: ["pids"]),
            Bad(lines: "[resources]\nwall = \"5 minutes\"", place: "3:8", words: ["5 minutes"]),
            Bad(lines: "[fs]\nread = \"/usr\"", place: "3:8", words: ["read"]),
            Bad(lines: "[fs]\nread = [1]", place: "3:", words: ["read"]),
            Bad(lines: "[seccomp]\npreset = \"agnt\"", place: "3:10", words: ["agnt", "agent"]),
            Bad(lines: "[network]\nmode = \"hots\"", place: "3:8", words: ["hots", "host"]),
            Bad(lines: "[network]\nmode = \"deny", place: "3:", words: []),
            Bad(lines: "allow_degraded = [\"landlok\"]", place: "2:", words: ["landlok", "landlock"]),
            Bad(lines: "extends = [\"preset:agnet\"]", place: "2:", words: ["agnet", "agent"]),
            Bad(lines: "extends = [\"no-such-file.toml\"]", place: "2:", words: ["no-such-file.toml"]),
            Bad(lines: "extends = [\"policy.toml\"]", place: "2:", words: ["policy.toml"]),
            Bad(lines: "[identity]\nhostname = \"bad name\"", place: "3:12", words: ["bad name"]),
            Bad(lines: "[identity]\nroot = \"yes\"", place: "3:8", words: ["root"]),
            Bad(lines: "version = 1", place: "2:1", words: ["version"]),
        ]

        @Test(arguments: policies) func policy(_ bad: Bad) throws {
            var run = try CordonRun(shell: "touch ran", policy: "version = 1\n" + bad.lines + "\n")
            for json in [false, true] {
                run.json = json
                let result = try run.run(within: 5)
                #expect(result.code == 125, result.summary)
                #expect(result.message.contains("policy.toml:" + bad.place), result.summary)
                for word in bad.words { #expect(result.message.contains(word), result.summary) }
                #expect(!json || result.report?.reason == "error")
                #expect(!json || result.report?.error?.object.contains("policy.toml:") == true, result.summary)
                // One message: no line twice, and nothing on stdout but the report.
                let lines = result.process.errorText.split(separator: "\n")
                #expect(Set(lines).count == lines.count, result.summary)
                #expect(lines.count <= 2, result.summary)
                #expect(json || result.output == "")
            }
            #expect(!run.place.exists("work/ran"))
        }

        @Test func versions() throws {
            for text in ["", "version = 2\n", "version = \"1\"\n", "[fs]\n"] {
                let run = try CordonRun(shell: "touch ran", policy: text)
                let result = try run.run()
                #expect(result.code == 125, result.summary)
                #expect(result.message.contains("version"), result.summary)
                #expect(!run.place.exists("work/ran"))
            }
        }

        @Test(arguments: Mode.allCases) func missingPolicy(_ mode: Mode) throws {
            for policy in ["/no/such/policy.toml", "no-such.toml", "preset:nosuch", "", "/", "/dev/zero"] {
                var run = try CordonRun(mode, shell: "touch ran")
                run.policy = policy
                run.options = ["--policy", policy]
                let result = try run.run(within: 10)
                #expect(result.code == 125, "\(policy): \(result.message)")
                #expect(policy == "" || result.message.contains(policy), "\(policy): \(result.message)")
                #expect(!run.place.exists("work/ran"))
            }
        }

        @Test(arguments: Mode.allCases) func workspaces(_ mode: Mode) throws {
            let place = try Scratch(owner: mode.owner)
            try place.symlink("root", to: "/")
            try place.symlink("usr", to: "/usr")
            try place.symlink("loop", to: "loop")
            try place.symlink("dangling", to: "nowhere")
            try place.file("file", "x")
            Calls.makeFifo(place.path + "/fifo")
            let names = ["root", "usr", "loop", "dangling", "file", "fifo", "missing"].map { place.path + "/" + $0 }
            for name in names + [
                "/", "/usr", "/etc", "/proc", "/proc/self", "/sys/kernel", "/dev", "", "//", "/..", "/root/..", "/var",
            ] {
                let run = try CordonRun(mode, shell: "echo ran", options: ["--workspace", name])
                let result = try run.run()
                #expect(result.code == 125, "\(name): \(result.message)")
                #expect(result.report?.error?.step == "workspace", "\(name): \(result.message)")
                #expect(result.output == "", "\(name)")
            }
            // The home with all that is in it is no workspace, nor is a directory above it.
            let run = try CordonRun(mode, shell: "echo ran")
            for directory in [run.place.path, run.place.path + "/home"] {
                var attempt = run
                attempt.options = ["--workspace", directory]
                #expect(try attempt.run().code == 125, "\(directory)")
            }
        }

        @Test func arguments() throws {
            // 3 MB of arguments: the kernel's own limit is 2 MB, so the shell cannot even start cordon with them.
            let long = [String](repeating: String(repeating: "x", count: 100_000), count: 12)
            var run = try CordonRun(.root, ["/bin/echo"] + long)
            let result = try run.run()
            #expect(result.code == 0 || result.code == 126 || result.code == 125, result.summary)
            let one = try CordonRun(
                .root,
                [
                    "/bin/sh", "-c",
                    "touch ran; python3 -c 'import os; os.execv(\"/bin/true\", [\"x\"] + [\"y\" * 100000] * 30)'",
                ])
            #expect(try one.run().report?.exitCode != 0)
            for words in [
                ["--timeout"], ["--timeout", "soon"], ["--memory", "12Q"], ["--pids", "0"], ["--pids", "-3"],
                ["--nosuch"], ["--jsn"], ["--env", "=x"], ["--env", "NOT_SET_HERE"], ["--image", "/no/such/image"],
                ["--image", "/etc/passwd"],
            ] {
                run = try CordonRun(shell: "touch ran", options: words)
                run.json = false
                let refused = try run.run()
                #expect(refused.code == 125, "\(words): \(refused.message)")
                #expect(refused.process.errorText.hasPrefix("cordon: "), "\(words): \(refused.message)")
                #expect(refused.output == "")
                #expect(!run.place.exists("work/ran"))
            }
            run = try CordonRun([""])
            run.json = false
            #expect(try run.run().code == 125)
            run = try CordonRun([])
            run.json = false
            #expect(try run.run().code == 125)
        }

        /// With --json a wrong option is told as JSON too: whoever reads stdout finds exactly one object there.
        @Test(arguments: [["--timeout", "soon"], ["--nosuch"], ["--env", "=x"]]) func wrongOptionsAsJSON(
            _ words: [String]
        ) throws {
            let result = try CordonRun(shell: "true", options: words).run()
            #expect(result.code == 125)
            #expect(result.report?.reason == "error")
        }

        /// NUL bytes cannot be passed on a command line; in a policy and on standard input they can.
        @Test func nulBytes() throws {
            let policy = try CordonRun(shell: "touch ran", policy: "version = 1\n[fs]\nread = [\"/usr\\u0000/x\"]\n")
            #expect(try policy.run().code == 125)
            #expect(!policy.place.exists("work/ran"))
            let raw = try CordonRun(shell: "touch ran", policy: "version = 1\u{0}\n")
            #expect(try raw.run().code == 125)
            var input = try CordonRun(shell: "wc -c")
            input.input = [0, 1, 0, 255]
            #expect(try input.run().output.contains("4"))
        }

        /// Names that are no UTF-8, in the workspace.
        @Test func strangeNames() throws {
            let run = try CordonRun(
                shell:
                    "printf x > \"$(printf 'bad\\377name')\"; mkdir \"$(printf 'dir\\200')\"; printf y > \"$(printf 'dir\\200')/.env\""
            )
            #expect(try run.run().code == 0)
            var second = run
            second.command = ["/bin/sh", "-c", "cat */.env bad*"]
            let result = try second.run()
            #expect(
                result.output == "x", "a denied file below a name that is no UTF-8: \(result.output) \(result.message)")
        }

        /// Arguments and variables of any bytes but NUL arrive as they were given; execve(2) knows no encoding.
        @Test func byteArguments() throws {
            let run = try CordonRun(shell: "printf %s \"$1\" | od -An -tx1", options: [])
            // Passed through printf, since a Swift test's own arguments are text.
            let words = try run.words().map { "'" + $0.replacingOccurrences(of: "'", with: "'\\''") + "'" }
            let finished = try RunningProcess(
                [
                    "/bin/sh", "-c",
                    words.joined(separator: " ") + " sh \"$(printf 'a\\377\\376\\364\\217\\277\\277b')\"",
                ],
                environment: run.variables, directory: run.workspace
            ).finish()
            let result = try run.result(of: finished)
            #expect(result.output == " 61 ff fe f4 8f bf bf 62\n", result.summary)
        }

        /// A workspace that holds Cordon's own programs: the jail cannot change them, nor what leads to them.
        @Test func programsInTheWorkspace() throws {
            let run = try CordonRun(shell: "true")
            for name in ["cordon", "jail-init", "cordon-janitor"] {
                let copy = run.workspace + "/build/release/" + name
                try FileManager.default.createDirectory(
                    atPath: run.workspace + "/build/release", withIntermediateDirectories: true)
                try FileManager.default.copyItem(atPath: try Built.path(name), toPath: copy)
            }
            func inside(_ script: String) throws -> RunResult {
                var words = try run.words()
                words[0] = run.workspace + "/build/release/cordon"
                words[words.count - 1] = script
                return try run.result(
                    of: RunningProcess(words, environment: run.variables, directory: run.workspace).finish())
            }
            let result = try inside(
                "echo x > build/release/jail-init; mv build other; rm -rf build; ln -s /tmp build; echo done > mine")
            #expect(result.code == 0, result.summary)
            #expect(run.place.exists("work/mine"))
            #expect(!run.place.exists("work/other"))
            #expect(result.message.contains("holds Cordon's own programs"), result.summary)
            #expect(try inside("echo again").output == "again\n")

            // The same by another name: a policy may name the tree by a link that leads there.
            let linked = try CordonRun(shell: "true")
            let link = linked.place.path + "/link"
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: run.workspace)
            let policy = try linked.place.file(
                "link.toml",
                "version = 1\nextends = [\"preset:agent\"]\n[fs]\nwrite = [\"\(link)\"]\ndeny = [\"\(run.workspace)/d/key\"]\n"
            )
            try run.file("d/key", "SECRET")
            let words = [
                run.workspace + "/build/release/cordon", "run", "--json", "--policy", policy, "--", "/bin/sh", "-c",
                "echo x >> \(link)/build/release/jail-init; mv \(link)/build \(link)/b2; cat \(link)/d/key; mv \(link)/d \(link)/e",
            ]
            let attempt = try linked.result(
                of: RunningProcess(words, environment: linked.variables, directory: linked.workspace).finish())
            #expect(attempt.report?.stdout == "", attempt.summary)
            #expect(!run.place.exists("work/b2") && !run.place.exists("work/e"), attempt.summary)
            #expect(try inside("echo again").output == "again\n")
        }

        /// Policies that try to exhaust whoever reads them.
        @Test func hugePolicies() throws {
            for text in [
                "version = 1\n[fs]\nread = [" + String(repeating: "\"/usr\", ", count: 50000) + "]\n",
                "version = 1\nx = " + String(repeating: "[", count: 100_000),
                "version = 1\n#" + String(repeating: "x", count: 4 << 20),
            ] {
                let run = try CordonRun(["/bin/true"], policy: text)
                let result = try run.run(within: 10)
                #expect(result.code == 125 || result.code == 0, result.summary)
            }
        }

        /// What cannot be given is refused by name, never half given.
        @Test func whatCannotBeGivenYet() throws {
            for (mode, lines) in [
                (Mode.rootless, "[identity]\nroot = true\n"), (.subordinate, "[identity]\nroot = true\n"),
                (.root, "[network]\nallow = [\"example.org\"]\n"),
            ] {
                let run = try CordonRun(
                    mode, shell: "touch ran", policy: "version = 1\nextends = [\"preset:agent\"]\n" + lines)
                let result = try run.run()
                #expect(result.code == 125, result.summary)
                #expect(result.message.contains("policy.toml:4:"), result.summary)
                #expect(!run.place.exists("work/ran"))
            }
        }
    }
}
