// Jails that are one command's own: they have its limits, count for it, and end with it.
import Foundation
import JailPlanner
import Linux
import Machine
import Testing

@testable import SupervisorCore

extension Fixture {
    /// A number of seconds that nobody else sleeps.
    static func uniqueSeconds() -> String { "\(UInt32.random(in: 100_000...(.max))).5" }

    /// Whether no process of the machine, in whatever jail, has this word in its command line, or soon none has.
    func isGone(_ word: String) -> Bool {
        for _ in 0..<500 {
            if !isThere(word) { return true }
            pause(microseconds: 10_000)
        }
        return false
    }

    /// Whether one is there, or soon is: a shell forks before its child executes.
    func comes(_ word: String) -> Bool {
        for _ in 0..<500 {
            if isThere(word) { return true }
            pause(microseconds: 10_000)
        }
        return false
    }

    func isThere(_ word: String) -> Bool {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap { Int32($0) } ?? []
        return all.contains { pid in
            let words = (try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8))?.split(separator: "\0")
            return words?.contains { $0 == word } ?? false
        }
    }
}

/// One after the other with those of sessions: one of these kills every jail of this process.
extension SessionTests {
    @Suite struct OneShots {
        @Test func itsJailIsTheCommands() throws {
            let fixture = try Fixture(isForOne: true)
            let outcome = try fixture.run("echo out; echo err >&2; exit 7")
            #expect(outcome.reason == .exited && outcome.exitCode == 7, "\(outcome)")
            #expect(fixture.text(outcome) == "out\n" && outcome.errors.bytes == Array("err\n".utf8))
            #expect(!fixture.session.isOpen && fixture.session.failure == nil)
            // No groups inside of the jail's, neither for it nor for one to come.
            #expect(fixture.groups().isEmpty)
            #expect(throws: LaunchFailure.self) { try fixture.start("true") }
            #expect(fixture.session.statistics.ended == 1)
        }

        /// Whoever left the session of its command, or holds its pipes, dies with the jail; the call waits for nobody.
        @Test(arguments: [
            "(setsid sleep WORD &); echo done", "sleep WORD & echo done",
            "setsid sh -c 'sleep WORD & wait' & echo done",
        ])
        func survivorsDie(_ script: String) throws {
            let fixture = try Fixture(isForOne: true)
            let word = Fixture.uniqueSeconds()
            let begin = Date()
            let outcome = try fixture.run(script.replacingOccurrences(of: "WORD", with: word))
            #expect(fixture.text(outcome) == "done\n" && Date().timeIntervalSince(begin) < 20)
            #expect(fixture.isGone(word))
        }

        @Test func timeLimits() throws {
            let wall = try Fixture(isForOne: true).run("trap '' TERM INT; sleep 99 & wait") { $0.wallLimit = 200 }
            #expect(wall.reason == .timeout && wall.durationMilliseconds >= 200, "\(wall)")
            let cpu = try Fixture(isForOne: true).run("while :; do :; done") { $0.cpuLimit = 150 }
            #expect(cpu.reason == .cpuTimeout && cpu.usage.cpuMicroseconds ?? 0 >= 150_000, "\(cpu)")
        }

        @Test func killed() throws {
            let fixture = try Fixture(isForOne: true)
            let word = Fixture.uniqueSeconds()
            let command = try fixture.start("setsid sleep \(word) & echo ready; sleep 99")
            while command.produced.output == 0 {
                command.whenOutput { fixture.loop.stop() }
                try fixture.loop.run()
            }
            try command.kill(Signal.kill)
            let outcome = try fixture.finish(command)
            #expect(outcome.reason == .signaled && outcome.signal == Signal.kill)
            #expect(fixture.isGone(word))
        }

        /// The limits are the jail's; jail-init outlives a kill for want of memory and tells of it.
        @Test(.enabled(if: (try? Machine.inspect())?.cgroups.has(.memory) ?? false, "no cgroups can be made here"))
        func limits() throws {
            let memory = try Fixture("[resources]\nmemory = \"48M\"\n", isForOne: true).run(
                "head -c 200M /dev/zero | tail -c 150M | wc -c; exit 1")
            #expect(memory.reason == .oom && memory.usage.oomKills ?? 0 > 0, "\(memory)")
            #expect(memory.usage.peakMemory ?? 0 <= 49 << 20 && memory.usage.peakMemory ?? 0 > 16 << 20)
            let forks = try Fixture("[resources]\npids = 16\n", isForOne: true).run(
                "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do sleep 5 & done; wait")
            #expect(forks.usage.pidsDenied ?? 0 > 0 && forks.usage.peakPids ?? 0 <= 16, "\(forks.usage)")
            let small = try Fixture(isForOne: true).run("true")
            #expect(small.reason == .exited && small.usage.oomKills == 0, "\(small)")
            #expect(small.usage.peakMemory ?? 0 < 32 << 20 && small.usage.cpuMicroseconds ?? .max < 200_000)
        }

        @Test func failuresAreTold() throws {
            let fixture = try Fixture(isForOne: true)
            let missing = try fixture.session.run(fixture.request(["no-such-program"]))
            try fixture.finish(missing)
            #expect(missing.outcome.reason == .error && missing.outcome.failure?.step == "execve")
            #expect(missing.outcome.processExitCode == 127)
        }
    }
}
