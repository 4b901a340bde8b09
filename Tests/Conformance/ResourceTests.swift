// Threat rows 29-32 and 36: processes, memory, space, output, processor time.
import Foundation
import Testing

extension Conformance {
    @Suite struct ResourceTests {
        private static let megabyte = 1 << 20

        /// Row 29. Others go on working meanwhile.
        @Test(arguments: [Mode.root]) func forkBomb(_ mode: Mode) throws {
            let result = try CordonRun.probe(mode, ["forkbomb"], options: ["--pids", "64"]).probed()
            result.expectSafe()
            let report = try #require(result.run.report)
            #expect(report.pidsDenied >= 1)
            #expect(report.maxPids <= 64 && report.maxPids > 32, "\(report.maxPids)")
            // The classic one, which nobody ends but the deadline.
            let bomb = try CordonRun(
                ["/bin/bash", "-c", ":(){ :|:& };:; sleep 30"], options: ["--pids", "64", "--timeout", "1s"])
            let before = now()
            let end = try bomb.run()
            #expect(end.code == 124, end.summary)
            #expect(end.report?.reason == "timeout")
            #expect(now() - before < 8)
            #expect(HostSnapshot.processes(saying: bomb.place.path) == [])
        }

        /// Row 29. Without cgroups RLIMIT_NPROC stands in, and says so.
        @Test(arguments: [Mode.rootless, .subordinate]) func forkBombWithoutCgroups(_ mode: Mode) throws {
            let result = try CordonRun.probe(mode, ["forkbomb"], options: ["--pids", "64"]).probed()
            result.expectSafe()
        }

        /// Row 30.
        @Test func memoryHog() throws {
            let result = try CordonRun.probe(.root, ["memhog", "256"], options: ["--memory", "48M"]).probed()
            let report = try #require(result.run.report)
            #expect(result.run.code == 137, result.run.summary)
            #expect(report.reason == "oom")
            #expect(report.oomKills >= 1)
            #expect(report.maxMemoryBytes <= 48 * Self.megabyte)
            #expect(report.maxMemoryBytes >= 40 * Self.megabyte)
            #expect(report.signal == 9 && report.exitCode == nil)
            #expect(report.stdout.contains("so_far_mb") == false || result["touched_mb"] == nil)
        }

        /// Row 30. People are told the limit and the peak.
        @Test func memoryHogInWords() throws {
            var run = try CordonRun.probe(.root, ["memhog", "256"], options: ["--memory", "48M"])
            run.json = false
            let result = try run.run()
            #expect(result.code == 137, result.summary)
            #expect(result.process.errorText.contains("memory limit"), result.summary)
            #expect(result.process.errorText.contains("48"), "the limit is named: \(result.process.errorText)")
        }

        /// Row 30. The hog is a child; then it is the command's failure that counts.
        @Test func memoryHogAsAChild() throws {
            var run = try CordonRun.probe(.root, [], options: ["--memory", "48M"])
            run.command = ["/bin/sh", "-c", "./probe memhog 256; exit 3"]
            let failed = try run.run()
            #expect(failed.report?.reason == "oom", failed.summary)
            #expect(failed.code == 137)
            run.command = ["/bin/sh", "-c", "./probe memhog 256; exit 0"]
            let coped = try run.run()
            #expect(coped.report?.reason == "exited", coped.summary)
            #expect(coped.code == 0)
            #expect((coped.report?.oomKills ?? 0) >= 1)
        }

        /// Row 30. Files in the private directories count as memory; that is oom or ENOSPC, never a silent success.
        @Test func memoryInFiles() throws {
            let run = try CordonRun.probe(.root, ["fill", "/dev/shm", "200"], options: ["--memory", "64M"])
            let result = try run.probed()
            #expect(result.succeeded.map(\.description) == [], result.run.summary)
        }

        /// Row 30. A plain SIGKILL is no oom.
        @Test(arguments: Mode.allCases) func plainKill(_ mode: Mode) throws {
            let result = try CordonRun.probe(mode, ["sigkill-self"]).run()
            #expect(result.code == 137, result.summary)
            #expect(result.report?.reason == "signaled")
            #expect(result.report?.signal == 9)
            #expect(result.report?.oomKills == 0)
        }

        /// Row 31.
        @Test(arguments: Mode.allCases, ["/tmp", "/home/cordon", "/dev/shm", "/var/tmp"])
        func fullDisk(_ mode: Mode, _ directory: String) throws {
            let limits = "[resources]\ndisk = \"16M\"\ninodes = 500\n"
            let full = try CordonRun.probe(mode, ["fill", directory, "64"], policy: limits).probed()
            full.expectSafe()
            #expect(full.lines.contains { $0.outcome == .refused("ENOSPC") }, "\(full.lines)")
            let inodes = try CordonRun.probe(mode, ["fill-inodes", directory, "5000"], policy: limits).probed()
            inodes.expectSafe()
            #expect(inodes.lines.contains { $0.outcome == .refused("ENOSPC") }, "\(inodes.lines)")
        }

        /// Row 31. All private directories together are one quota.
        @Test func oneQuota() throws {
            let run = try CordonRun(
                shell: """
                    for d in /tmp /var/tmp /dev/shm $HOME; do head -c 6000000 /dev/zero > $d/f || echo full $d; done 2>&1
                    """, policy: CordonRun.policy(.root, "[resources]\ndisk = \"16M\"\n"))
            let result = try run.run()
            #expect(result.output.contains("No space left"), result.summary)
            #expect(result.output.contains("full /dev/shm"), result.summary)
        }

        /// Row 31. Sparse files and deep trees, left where they are; the next run sees nothing.
        @Test(arguments: Mode.allCases) func nothingIsKept(_ mode: Mode) throws {
            let policy = "[resources]\ndisk = \"32M\"\ninodes = 12000\n"
            // Landlock walks up to the root for each access: at a depth of 10,000 that alone takes 12 s.
            let deep = try CordonRun.probe(mode, ["deep", "/tmp", "2500", "keep"], policy: policy).probed(within: 60)
            #expect(deep["depth"] == "2500", deep.run.summary)
            let more = try CordonRun.probe(mode, ["fill-inodes", "/dev/shm", "5000"], policy: policy).probed()
            #expect(more.succeeded.count == 1, more.run.summary)
            let sparse = try CordonRun.probe(mode, ["sparse", "/tmp", "1024", "keep"], policy: policy).probed()
            #expect(sparse.run.code == 0, sparse.run.summary)
            let next = try CordonRun(mode, shell: "ls -A /tmp /var/tmp /dev/shm $HOME").run()
            #expect(!next.output.contains("probe"), "\(next.output)")
        }

        /// Row 32.
        @Test func flood() throws {
            for stream in ["stdout", "stderr"] {
                let run = try CordonRun.probe(.root, ["flood", "1073741824", stream])
                let result = try run.run(within: 60)
                let report = try #require(result.report)
                #expect(result.code == 0, result.summary)
                #expect(stream == "stdout" ? report.stdoutTruncated : report.stderrTruncated)
                #expect(stream == "stdout" ? !report.stderrTruncated : !report.stdoutTruncated)
                let text = stream == "stdout" ? report.stdout : report.stderr
                #expect(text.utf8.count <= 2 << 20 + 4096)
                #expect(text.utf8.count >= 1 << 20)
                #expect(stream == "stderr" || text.hasPrefix("flood: observed begin=1073741824"))
                #expect(stream == "stderr" || text.hasSuffix("flood: observed end=0\n"))
                #expect(result.process.peakMemory < 60 * 1024, "\(result.process.peakMemory) kB")
                #expect(result.process.peakMemory > 0)
            }
        }

        /// Row 32. Output beyond the cap can end the run instead.
        @Test func floodThatKills() throws {
            let policy = "[resources]\noutput = \"64K\"\noutput_action = \"kill\"\n"
            for json in [true, false] {
                var run = try CordonRun.probe(.root, ["flood", "1073741824"], policy: policy)
                run.json = json
                let result = try run.run()
                #expect(result.code == 137, result.summary)
                #expect(!json || result.report?.reason == "output_limit")
            }
        }

        /// Row 32. Streams are not capped, and arrive whole.
        @Test func stream() throws {
            var run = try CordonRun(shell: "head -c 20000000 /dev/zero")
            run.json = false
            let result = try run.run()
            #expect(result.code == 0, result.summary)
            #expect(result.process.output.count == 20_000_000)
        }

        /// Row 36. Processor time is summed over children, also those that nobody waited for.
        @Test func processorTime() throws {
            let sum = try CordonRun.probe(.root, ["burn", "150", "4"]).run()
            let used = try #require(sum.report?.cpuMs)
            #expect(used >= 600 && used < 1500, "\(used)")
            let orphans = try CordonRun.probe(.root, [])
            var run = orphans
            run.command = ["/bin/sh", "-c", "(./probe burn 300 &) ; (./probe burn 300 &); sleep 1"]
            let second = try run.run()
            #expect((second.report?.cpuMs ?? 0) >= 600, second.summary)
            // The next box starts at zero.
            let next = try CordonRun(["/bin/true"]).run()
            #expect((next.report?.cpuMs ?? 999) < 100)
        }

        /// Row 36. The limit counts children too.
        @Test func processorTimeLimit() throws {
            let limits = "[resources]\ncpu = \"600ms\"\n"
            let before = now()
            let result = try CordonRun.probe(.root, ["burn", "5000", "8"], policy: limits).run()
            #expect(result.code == 124, result.summary)
            #expect(result.report?.reason == "cpu_timeout")
            #expect((result.report?.cpuMs ?? 0) >= 600)
            #expect((result.report?.cpuMs ?? 9999) < 1500)
            #expect(now() - before < 5)
        }

        /// The number of processors at a time is limited.
        @Test func processorRate() throws {
            let run = try CordonRun.probe(
                .root, ["burn", "400", "2"], policy: "[resources]\ncpus = 0.5\n")
            let result = try run.run()
            #expect(result.code == 0, result.summary)
            // 800 ms of work at half a processor.
            #expect((result.report?.durationMs ?? 0) >= 1200, "\(result.report?.durationMs ?? 0)")
        }

        /// Limits cannot be lifted from inside.
        @Test(arguments: Mode.allCases) func limitsHold(_ mode: Mode) throws {
            let run = try CordonRun.probe(
                mode, ["sched"], policy: "[resources]\nopen_files = 100\nfile_size = \"1M\"\n")
            try run.probed().expectSafe(pretended: "raise-hard-limit-4")
            let files = try CordonRun.probe(mode, ["open-files"], policy: "[resources]\nopen_files = 100\n").probed()
            files.expectSafe()
            #expect(files.lines.contains { $0.outcome == .refused("EMFILE") })
            let limits = try CordonRun.probe(mode, ["rlimits"]).probed()
            // One byte: with zero a kernel starts piped handlers all the same (core(5)).
            #expect(["0 0", "1 1"].contains(limits["core"]))
        }
    }
}
