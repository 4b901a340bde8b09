// Threat rows 15-20: system calls.
import Foundation
import Testing

extension Conformance {
    @Suite struct SystemCallTests {
        /// One for each preset of the filter.
        static let policies = ["", "[seccomp]\npreset = \"pure\"\n"]

        /// Rows 15-17.
        @Test(
            arguments: ["x32", "int80", "highbits", "forbidden-syscalls", "keyring"], Mode.allCases)
        func refusedCalls(_ verb: String, _ mode: Mode) throws {
            let result = try CordonRun.probe(mode, [verb]).probed()
            result.expectSafe()
            if ["x32", "int80"].contains(verb) {
                for line in result.lines where line.outcome != .observed {
                    #expect(line.outcome == .refused("ENOSYS") || line.outcome == .killed("SIGSYS"), "\(line)")
                }
            }
        }

        /// The same under the stricter filter.
        @Test(arguments: ["x32", "int80", "forbidden-syscalls", "keyring", "mount"])
        func refusedByPure(_ verb: String) throws {
            let result = try CordonRun.probe(.root, [verb], policy: Self.policies[1]).probed()
            #expect(result.succeeded.map(\.description) == [])
            #expect(!result.lines.isEmpty, result.run.summary)
        }

        /// Row 18. The helpers cannot be traced, the jail's own processes can.
        @Test(arguments: Mode.allCases) func tracing(_ mode: Mode) throws {
            let result = try CordonRun.probe(mode, ["ptrace-init"]).probed()
            result.expectSafe()
            for line in result.lines {
                if case .refused(let error) = line.outcome {
                    #expect(["EPERM", "ESRCH", "EACCES", "ENOENT", "ENOSYS"].contains(error), "\(line)")
                }
            }
            try CordonRun.probe(mode, ["ptrace-child"]).probed().expectSafe()
        }

        /// Row 18. Nor the processes of another jail, or of the host.
        @Test func tracingTheHost() throws {
            let result = try CordonRun.probe(.root, ["ptrace-init", "\(getpid())"]).probed()
            #expect(result.succeeded.map(\.description) == [])
        }

        /// Row 19.
        @Test(arguments: Mode.allCases) func terminals(_ mode: Mode) throws {
            try CordonRun.probe(mode, ["tiocsti"]).probed().expectSafe()
        }

        /// Row 20. Memory cannot be executed where a rule for executables stands, and can where there is none.
        @Test(arguments: Mode.allCases) func executables(_ mode: Mode) throws {
            let open = try CordonRun.probe(mode, ["memfd-exec"]).probed()
            #expect(open.outcome("memfd execveat") == .succeeded)
            let rule = "[fs]\nexec = [\"/usr\", \"${workspace}/probe\"]\n"
            let closed = try CordonRun.probe(mode, ["memfd-exec"], policy: rule).probed()
            #expect(closed.succeeded.map(\.description) == [])
            #expect(closed.run.report?.enforced.contains("fs.exec") == true, closed.run.summary)
            let copy = try CordonRun(
                mode, shell: "cp /usr/bin/id ./id && ./id; cp /usr/bin/id /tmp/id && /tmp/id; id -u",
                policy: CordonRun.policy(mode, "[fs]\nexec = [\"/usr\"]\n"))
            let result = try copy.run()
            #expect(result.output == "1000\n", result.summary)
        }

        /// Row 23, as far as ordinary shells go.
        @Test func pipelines() throws {
            let result = try CordonRun.probe(.root, ["dash-pipelines", "30"]).probed(within: 60)
            result.expectSafe()
            #expect(result["completed"] == "30")
        }
    }
}
