// Sessions in real jails: commands one after the other and together, what they leave behind, and what they may not do.
import Foundation
import JailPlanner
import Linux
import Machine
import PolicyModel
import Testing

@testable import SupervisorCore

/// A session of `preset:agent` with limits of its own, in a directory that goes with it.
final class Fixture {
    let workspace: String
    let loop: EventLoop
    let session: Session
    let machine: Machine
    let supervisor: Supervisor
    let workers: Workers
    private let prepared: PreparedJail

    /// - Parameters:
    ///   - isForOne: whether the jail is one command's own.
    ///   - hasCgroups: whether it is as on a machine where any can be made.
    init(
        _ sections: String = "", limits: SessionLimits = SessionLimits(), isForOne: Bool = false,
        hasCgroups: Bool = true
    ) throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        // As every program that writes to pipes of others.
        Signal.ignore(Signal.pipe)
        workspace = "/var/tmp/cordon-session-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: workspace, withIntermediateDirectories: false)
        var machine = try Machine.inspect()
        var head = "version = 1\nextends = [\"preset:agent\"]\n"
        if !hasCgroups {
            machine.cgroups.layout = .none
            machine.cgroups.unified = nil
            (machine.cgroups.unifiedControllers, machine.cgroups.hierarchies) = ([], [:])
            machine.cgroups.obstacle = "the test wants none"
            head += "allow_degraded = [\"memory\", \"swap\", \"cpu.rate\", \"cpu.time\", \"io\"]\n"
        }
        self.machine = machine
        let text = head + sections
        let policy = try Policy.load("session.toml") { (_) throws(FileReadFailure) in Array(text.utf8) }
        prepared = try makePlan(
            policy: policy,
            request: PlanRequest(
                workspace: workspace, directory: workspace, callerEnvironment: callerEnvironment(),
                isForSession: !isForOne),
            machine: machine)
        // The release build: what is brought into a jail is static.
        supervisor = try Supervisor(machine: machine, programs: root + "/.build/release")
        loop = try EventLoop()
        workers = try Workers(count: 1, loop: loop)
        session = try Session(
            id: "test",
            try JailHandle.start(
                prepared, filters: FilterStore.standard(home: nil, cacheHome: nil), supervisor: supervisor),
            supervisor: supervisor, workers: workers, loop: loop, limits: limits, isForOne: isForOne)
    }

    deinit {
        session.close()
        try? FileManager.default.removeItem(atPath: workspace)
    }

    func request(_ words: [String]) -> SessionRequest {
        SessionRequest(
            arguments: words, directory: workspace,
            environment: prepared.environment.map { $0.name + "=" + $0.value })
    }

    func start(_ script: String, _ change: (inout SessionRequest) -> Void = { _ in }) throws -> SessionCommand {
        var request = request(["sh", "-c", script])
        change(&request)
        _ = try session.admit()
        return try session.run(request)
    }

    /// Serves until it has ended.
    @discardableResult
    func finish(_ command: SessionCommand) throws -> Outcome {
        command.whenEnded { [loop] in loop.stop() }
        try loop.run()
        return command.outcome
    }

    /// Serves until the threads have done what was left for them, which may be told in a quiet moment only.
    func settle() throws {
        for _ in 0..<2 {
            loop.later { [workers, loop] in workers.perform({}) { loop.stop() } }
            try loop.run()
        }
    }

    func run(_ script: String, _ change: (inout SessionRequest) -> Void = { _ in }) throws -> Outcome {
        try finish(try start(script, change))
    }

    func text(_ outcome: Outcome) -> String { String(decoding: outcome.output.bytes, as: UTF8.self) }

    /// The names of the commands' groups that are there.
    func groups() -> Set<String> {
        var names: Set<String> = []
        for base in machine.cgroups.bases {
            let files = FileManager.default.enumerator(atPath: base + "/cordon")?.allObjects as? [String] ?? []
            for file in files where file.hasSuffix("/cgroup.procs") {
                let name = ((file as NSString).deletingLastPathComponent as NSString).lastPathComponent
                if name.hasPrefix("command-") { names.insert(name) }
            }
        }
        return names
    }

    /// Files of such groups that this process has open.
    func openEntrances() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count { name in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + name))?.contains("/command-")
                ?? false
        }
    }
}

@Suite(.serialized) struct SessionTests {
    @Test func oneAfterTheOther() throws {
        let fixture = try Fixture()
        for number in 0..<20 {
            let outcome = try fixture.run("echo \(number); echo e >&2; exit \(number % 3)")
            #expect(outcome.reason == .exited && outcome.exitCode == Int32(number % 3), "\(outcome)")
            #expect(fixture.text(outcome) == "\(number)\n" && outcome.errors.bytes == Array("e\n".utf8))
            #expect(outcome.usage.peakPids ?? 1 >= 1)
        }
        #expect(fixture.session.statistics.ended == 20 && fixture.session.statistics.succeeded == 7)
    }

    /// The jail stays: what one command leaves in it the next one finds, and so do its processes their ids.
    @Test func theJailStays() throws {
        let fixture = try Fixture()
        try fixture.finish(
            try fixture.start("echo kept >file; echo kept >/tmp/private; hostname; readlink /proc/self/ns/pid"))
        let outcome = try fixture.run("cat file /tmp/private; cat /proc/1/comm")
        #expect(fixture.text(outcome) == "kept\nkept\njail-init\n")
        #expect(!FileManager.default.fileExists(atPath: "/tmp/private"))
    }

    @Test func together() throws {
        var limits = SessionLimits()
        limits.concurrent = 3
        let fixture = try Fixture(limits: limits)
        // Each waits for the others, so that all three must run at the same time.
        let commands = try (0..<3).map { number in
            try fixture.start(
                "touch \(number); until [ -e 0 ] && [ -e 1 ] && [ -e 2 ]; do sleep 0.01; done; echo \(number)")
        }
        // The fourth has to wait for one of them.
        let last = try fixture.start("ls | wc -l")
        #expect(last.state == .queued)
        try fixture.finish(last)
        for command in commands { try fixture.finish(command) }
        #expect(commands.allSatisfy { $0.outcome.exitCode == 0 } && fixture.text(last.outcome) == "3\n")
    }

    @Test func tooManyWait() throws {
        var limits = SessionLimits()
        limits.concurrent = 1
        limits.queued = 2
        let fixture = try Fixture(limits: limits)
        let first = try fixture.start("sleep 30")
        _ = try fixture.start("true")
        _ = try fixture.start("true")
        #expect(throws: LaunchFailure.self) { try fixture.start("true") }
        // Closed, all of them end.
        fixture.session.close()
        #expect(fixture.session.allCommands.allSatisfy { $0.state == .ended })
        #expect(first.outcome.reason != .exited)
        #expect(throws: LaunchFailure.self) { try fixture.start("true") }
        fixture.session.close()
    }

    /// Nothing that a command started outlives it, and a held pipe does not keep the call.
    @Test(arguments: [
        "(setsid sleep 99 &) ; echo done", "sleep 99 & echo done", "(sleep 99 >&2 &); exec sh -c 'echo done'",
    ])
    func survivorsDie(_ script: String) throws {
        let fixture = try Fixture()
        let begin = Date()
        let outcome = try fixture.run(script)
        #expect(fixture.text(outcome) == "done\n" && Date().timeIntervalSince(begin) < 20)
        let left = try fixture.run("ps -e -o comm= | grep -c '^sleep$'")
        #expect(fixture.text(left) == "0\n")
    }

    @Test func backgroundGoesOn() throws {
        let fixture = try Fixture()
        let outcome = try fixture.run("sleep 99 >/dev/null 2>&1 & echo $!") { $0.isBackground = true }
        let pid = fixture.text(outcome).trimmingCharacters(in: .whitespacesAndNewlines)
        // The shell tells the number before its child has executed.
        let wait = "until [ \"$(cat /proc/\(pid)/comm)\" = sleep ]; do [ -e /proc/\(pid) ] || exit 1; done"
        #expect(try fixture.run(wait).exitCode == 0)
        // Until it is forgotten.
        fixture.session.forget(1)
        // It was killed when that returned; a machine under load takes a moment to let it die.
        let deadline = Date().addingTimeInterval(10)
        var seen = "sleep\n"
        while seen == "sleep\n", Date() < deadline {
            seen = fixture.text(try fixture.run("cat /proc/\(pid)/comm 2>&1"))
        }
        #expect(seen != "sleep\n")
    }

    @Test func timeLimit() throws {
        let fixture = try Fixture()
        let outcome = try fixture.run("trap '' TERM INT; sleep 99 & wait") { $0.wallLimit = 200 }
        #expect(outcome.reason == .timeout && outcome.durationMilliseconds >= 200)
        #expect(try fixture.run("true").exitCode == 0)
    }

    @Test func killed() throws {
        let fixture = try Fixture()
        let command = try fixture.start("echo ready; sleep 99 & wait")
        while command.produced.output == 0 {
            command.whenOutput { fixture.loop.stop() }
            try fixture.loop.run()
        }
        try command.kill(Signal.kill)
        let outcome = try fixture.finish(command)
        #expect(outcome.reason == .signaled && outcome.signal == Signal.kill)
    }

    /// What was written while it runs can be read from a cursor on.
    @Test func readsByCursor() throws {
        let fixture = try Fixture()
        let command = try fixture.start("echo one; read x; echo two $x") { $0.input = .bytes(Array("in\n".utf8)) }
        try fixture.finish(command)
        let all = command.read(errors: false, from: 0, limit: 100)
        #expect(String(decoding: all.bytes, as: UTF8.self) == "one\ntwo in\n" && all.next == 11)
        let rest = command.read(errors: false, from: 4, limit: 3)
        #expect(String(decoding: rest.bytes, as: UTF8.self) == "two" && rest.start == 4 && rest.next == 7)
        #expect(command.read(errors: false, from: 99, limit: 3).bytes.isEmpty)
    }

    @Test func largeInput() throws {
        let fixture = try Fixture()
        let bytes = [UInt8](repeating: UInt8(ascii: "x"), count: 3_000_000)
        let outcome = try fixture.run("wc -c") { $0.input = .bytes(bytes) }
        #expect(fixture.text(outcome).trimmingCharacters(in: .whitespacesAndNewlines) == "3000000")
        // One that does not read it.
        #expect(try fixture.run("true") { $0.input = .bytes(bytes) }.exitCode == 0)
    }

    @Test func failuresAreTold() throws {
        let fixture = try Fixture()
        let missing = try fixture.session.run(fixture.request(["no-such-program"]))
        try fixture.finish(missing)
        #expect(missing.outcome.reason == .error && missing.outcome.failure?.step == "execve")
        #expect(missing.outcome.processExitCode == 127)
        var request = fixture.request(["true"])
        request.directory = "/nowhere"
        let elsewhere = try fixture.session.run(request)
        try fixture.finish(elsewhere)
        #expect(elsewhere.outcome.failure?.step == "directory")
        #expect(try fixture.run("true").exitCode == 0)
    }

    /// A command's own limits are within its jail's, and its report is its own.
    @Test(.enabled(if: (try? Machine.inspect())?.cgroups.has(.pids) ?? false, "no cgroups can be made here"))
    func ownLimits() throws {
        let fixture = try Fixture()
        let forks = try fixture.run("for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait") { $0.pids = 4 }
        #expect(forks.usage.pidsDenied ?? 0 > 0 && forks.usage.peakPids ?? 0 <= 4, "\(forks.usage)")
        let memory = try fixture.run("head -c 200M /dev/zero | tail -c 150M | wc -c") { $0.memory = 32 << 20 }
        #expect(memory.usage.oomKills ?? 0 > 0 || memory.usage.peakMemory ?? 0 <= 33 << 20, "\(memory.usage)")
        let small = try fixture.run("true")
        #expect(small.usage.peakPids ?? 0 <= 2 && small.usage.oomKills == 0, "\(small.usage)")
        #expect(small.usage.peakMemory ?? 0 < 32 << 20)
    }

    /// PID 1 is killed: every command ends, the session says why, and nothing is left.
    @Test func theJailDies() throws {
        let fixture = try Fixture()
        let command = try fixture.start("echo $$; sleep 99")
        while command.produced.output == 0 {
            command.whenOutput { fixture.loop.stop() }
            try fixture.loop.run()
        }
        let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")
        let children = threads.compactMap {
            try? String(contentsOfFile: "/proc/self/task/\($0)/children", encoding: .utf8)
        }
        let inits = children.flatMap { $0.split(separator: " ") }.compactMap { Int32($0) }.filter { pid in
            (try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8)) == "jail-init\n"
        }
        #expect(!inits.isEmpty)
        for pid in inits { try ProcessHandle(pid: pid).signal(Signal.kill) }
        try fixture.finish(command)
        #expect(command.outcome.reason == .signaled || command.outcome.reason == .error)
        #expect(fixture.session.failure != nil)
        #expect(throws: LaunchFailure.self) { try fixture.start("true") }
    }

    /// Groups, and the files of them, go with their commands.
    @Test func nothingIsLeft() throws {
        let fixture = try Fixture()
        for _ in 0..<50 { try fixture.finish(try fixture.start("echo x; (sleep 9 &)")) }
        try fixture.settle()
        // Only those of the next commands, made beforehand.
        #expect(fixture.groups().count <= 2, "\(fixture.groups())")
        #expect(try fixture.openEntrances() <= 24)
        fixture.session.close()
        try fixture.settle()
        let open = try fixture.openEntrances()
        #expect(fixture.groups().isEmpty && open == 0)
    }

    /// Input that comes while the command runs, and its end.
    @Test func lateInput() throws {
        let fixture = try Fixture()
        let command = try fixture.start("while read line; do echo got $line; done; echo end") { $0.input = .later }
        #expect(command.takesInput)
        for number in 0..<3 {
            command.write(Array("\(number)\n".utf8))
            let wanted = "got 0\ngot 1\ngot 2\n".prefix(6 * (number + 1))
            while String(decoding: command.read(errors: false, from: 0, limit: 100).bytes, as: UTF8.self) != wanted {
                command.whenOutput { fixture.loop.stop() }
                try fixture.loop.run()
            }
        }
        command.closeInput()
        #expect(!command.takesInput)
        #expect(fixture.text(try fixture.finish(command)) == "got 0\ngot 1\ngot 2\nend\n")
    }

    @Test func processorTime() throws {
        let fixture = try Fixture()
        let outcome = try fixture.run("while :; do :; done") { $0.cpuLimit = 150 }
        #expect(outcome.reason == .cpuTimeout && outcome.usage.cpuMicroseconds ?? 0 >= 150_000, "\(outcome)")
    }

    @Test func tooMuchOutput() throws {
        let fixture = try Fixture()
        let outcome = try fixture.run("yes") {
            $0.outputLimit = 1000
            $0.killsOnOutput = true
        }
        #expect(outcome.reason == .outputLimit && outcome.output.bytes.count == 1000 && outcome.output.isTruncated)
    }

    @Test func tooManyInAMinute() throws {
        var limits = SessionLimits()
        limits.perMinute = 3
        let fixture = try Fixture(limits: limits)
        for _ in 0..<3 { #expect(try fixture.run("true").exitCode == 0) }
        let error = try #require(throws: LaunchFailure.self) { try fixture.start("true") }
        #expect(error.step == "rate")
    }

    /// A sink that takes little at a time makes the command wait, and gets all of it.
    @Test func streams() throws {
        final class Sink: OutputSink {
            var taken = 0, isEnded = false, room = 0
            func take(_ bytes: ArraySlice<UInt8>) {
                taken += bytes.count
                room -= bytes.count
            }
            func end() { isEnded = true }
        }
        let fixture = try Fixture()
        let sink = Sink()
        let command = try fixture.start("head -c 5000000 /dev/zero") { $0.outputLimit = 0 }
        command.connect(errors: false, sink)
        // Without room nothing comes.
        _ = fixture.loop.after(100_000_000) { fixture.loop.stop() }
        try fixture.loop.run()
        #expect(sink.taken == 0 && command.state == .running)
        while !sink.isEnded {
            sink.room = 10_000
            command.resume(errors: false)
            command.whenOutput { fixture.loop.stop() }
            try fixture.loop.run()
        }
        #expect(try fixture.finish(command).exitCode == 0 && sink.taken == 5_000_000)
    }
}
