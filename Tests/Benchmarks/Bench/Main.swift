// bench: what a jail costs, held against C programs and bubblewrap in one run on one machine.
//
// Things that are compared alternate, so that whatever else the machine does meets all of them alike. Exit
// code 1 means that a run failed or left something behind; a missed target is printed, and is no failure.
internal import CLinux
internal import Glibc
internal import Linux
internal import Machine
internal import SupervisorCore

@main
struct Bench {
    private let options: Options
    private let subject: Subject
    private var rows: [Row] = []
    private var failures: [String] = []

    static func main() {
        Signal.ignore(Signal.pipe)
        guard let options = Options(Array((commandLine()).dropFirst())) else {
            put(Options.usage, to: 2)
            exit(2)
        }
        do {
            let subject = try Subject()
            var bench = Bench(options: options, subject: subject)
            let result = Result { try bench.measureAll() }
            subject.cleanUp()
            try result.get()
            bench.report()
            exit(bench.failures.isEmpty ? 0 : 1)
        } catch let error as BenchFailure {
            put("bench: \(error.message)\n", to: 2)
        } catch {
            put("bench: \(error)\n", to: 2)
        }
        exit(1)
    }

    private init(options: Options, subject: Subject) {
        self.options = options
        self.subject = subject
    }

    private mutating func measureAll() throws {
        try checkSubject()
        put("machine: \(Self.machineName(subject.machine))\n", to: 1)
        if options.onlySessions { return try measureSupervisor { try $0.measureCommands() } }
        try measureCalls()
        try measureProcesses()
        try measureIdle()
        try measureTerminals()
        try measureSupervisor { try $0.measure() }
        try measureVerdicts()
        rows += try CacheCosts().rows
        measureLoad()
    }

    /// A figure of something that does not work would be worth nothing.
    private func checkSubject() throws {
        let outcome = subject.run([Subject.command])
        guard outcome.reason == .exited, outcome.exitCode == 0 else {
            throw BenchFailure(outcome.failure.map { "\($0)" } ?? "the command ended as \(outcome.reason)")
        }
    }

    // MARK: - A jail through the supervisor's call

    private mutating func measureCalls() throws {
        let executable = subject.programs + "/floor"
        let plan = try subject.writeFloorPlan()
        let full = try Floor(executable, "full", plan: plan)
        let executed = try Floor(executable, "exec-init", plan: plan)
        let bare = try Floor(executable, "bare", plan: plan)
        var call = Samples(), fullTimes = Samples(), executedTimes = Samples(), bareTimes = Samples()
        for _ in 0..<options.iterations {
            let begin = monotonicNanoseconds()
            let outcome = subject.run([Subject.command])
            call.append(monotonicNanoseconds() - begin)
            if outcome.exitCode != 0 {
                failures.append("run: \(outcome.failure.map { "\($0)" } ?? "\(outcome.reason)")")
            }
            add(full.next(), to: &fullTimes, "floor full")
            add(executed.next(), to: &executedTimes, "floor exec-init")
            add(bare.next(), to: &bareTimes, "floor bare")
        }
        rows.append(Row("jail, supervisor's call", call, reference: fullTimes, target: 1.3))
        rows.append(Row("  C floor, the same work", fullTimes))
        rows.append(Row("  C floor, PID 1 executed", executedTimes, reference: fullTimes))
        rows.append(Row("  C bare floor", bareTimes, reference: fullTimes))
        var traced = Samples()
        let outcomes = (0..<15).map { _ in
            let begin = monotonicNanoseconds()
            let outcome = subject.run([Subject.command], recordsTimes: true)
            traced.append(monotonicNanoseconds() - begin)
            return outcome
        }
        if let middle = traced.middle { printTimes(outcomes[middle]) }

        // On its own after a pause, as a person's command is: what the kernel keeps warm has gone cold.
        var cold = Samples(), coldFloor = Samples()
        for _ in 0..<max(options.iterations / 4, 10) {
            pause(microseconds: 50_000)
            let begin = monotonicNanoseconds()
            _ = subject.run([Subject.command])
            cold.append(monotonicNanoseconds() - begin)
            pause(microseconds: 50_000)
            add(full.next(), to: &coldFloor, "floor full")
        }
        rows.append(Row("jail, supervisor's call, after 50 ms of rest", cold, reference: coldFloor))
        rows.append(Row("  C floor, the same work", coldFloor))
    }

    private mutating func add(_ time: UInt64?, to samples: inout Samples, _ what: String) {
        if let time { samples.append(time) } else { failures.append("\(what) failed") }
    }

    // MARK: - A terminal in a live session

    private mutating func measureTerminals() throws {
        var times = try TerminalTimes(subject)
        try times.measure(options.iterations)
        rows.append(Row("terminal: open, write, read back, close", times.whole, target: 4000))
        rows.append(Row("  a key's echo", times.echo, target: 1000))
        rows.append(Row("  a key's echo, after 100 ms of rest", times.restedEcho, target: 1000))
    }

    // MARK: - cordon run as a process

    private mutating func measureProcesses() throws {
        guard mayExecute(Bubblewrap.path) else {
            failures.append("\(Bubblewrap.path) is missing: apt-get install bubblewrap")
            return
        }
        let peer = try Bubblewrap(
            subject.prepared.plan, directory: subject.prepared.directory, command: [Subject.command])
        let cordon = subject.programs + "/cordon"
        let arguments = ["run", "--workspace", subject.workspace, "--", Subject.command]
        let small = [
            "--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64",
            "/lib64", "--proc", "/proc", "--dev", "/dev", Subject.command,
        ]
        var ours = Samples(), theirs = Samples(), smallest = Samples(), nothing = Samples()
        for _ in 0..<options.iterations {
            add(Program.time(cordon, arguments), to: &ours, "cordon run")
            add(peer.time(), to: &theirs, "bwrap")
            add(Program.time(Bubblewrap.path, small), to: &smallest, "bwrap with three mounts")
            add(Program.time(Subject.command, []), to: &nothing, Subject.command)
        }
        rows.append(Row("cordon run -- true, as a process", ours, reference: theirs, target: 1.0))
        rows.append(Row("  bwrap --unshare-all, the same mounts", theirs))
        rows.append(Row("  bwrap --unshare-all, /usr /proc /dev only", smallest, reference: theirs))
        rows.append(Row("  true without a jail", nothing, reference: theirs))
    }

    // MARK: - A supervisor on pipes

    private mutating func measureSupervisor(_ what: (SupervisorCosts) throws -> Void) throws {
        let supervisor = try SupervisorCosts(subject, iterations: options.iterations)
        let measured = Result { try what(supervisor) }
        supervisor.end()
        try measured.get()
        rows += supervisor.rows
    }

    // MARK: - Memory

    private mutating func measureIdle() throws {
        rows.append(Row("idle jail, alone", try idleJails(subject, count: 1), "MB", target: 2))
        rows.append(
            Row("idle jail, one of \(options.idle)", try idleJails(subject, count: options.idle), "MB", target: 2))
        rows.append(Row("cordon and its janitor", try idleCordon(subject), "MB", target: 10))
    }

    // MARK: - Verdicts

    private mutating func measureVerdicts() throws {
        let costs = try VerdictCosts(
            cordon: subject.programs + "/cordon", floor: subject.programs + "/floor", workspace: subject.workspace,
            iterations: options.iterations)
        rows.append(Row("a verdict, in process", costs.check, target: 100))
        rows.append(Row("  in a batch, of 20,000 a second or more", costs.batch, "µs", target: 50))
        rows.append(Row("cordon policy check -- ls, as a process", costs.process, target: 8000))
        rows.append(Row("  its memory", costs.memory, "MB", target: 15))
        failures += costs.failures
    }

    // MARK: - Load

    private mutating func measureLoad() {
        let groups = subject.machine.cgroups
        let before = Remains.now(groups)
        let result = load(subject, jails: options.jails, atATime: options.atATime)
        let (after, leaked) = Remains.since(before, groups)
        rows.append(Row("\(options.jails) jails, \(options.atATime) at a time", result.perSecond, "jails/s"))
        rows.append(Row("  failures", Double(result.failures.count), "", target: 0))
        rows.append(Row("  left behind", Double(leaked.count), "", target: 0))
        put("before the load: \(before.summary)\nafter the load:  \(after.summary)\n\n", to: 1)
        failures += result.failures + leaked.map { "left behind, \($0)" }
    }

    // MARK: - Output

    private func report() {
        put(rows.table, to: 1)
        if !failures.isEmpty {
            put("\n\(failures.count) failures:\n" + failures.prefix(20).map { "  \($0)\n" }.joined(), to: 1)
        }
        guard let file = options.json else { return }
        let text = rows.json(machine: Self.machineName(subject.machine), failures: failures)
        do throws(Errno) {
            try open(file, [.writeOnly, .create, .truncate], mode: 0o644).writeAll(Array(text.utf8))
        } catch { put("bench: \(file): \(error)\n", to: 2) }
    }

    /// When each step of the start was done. What takes less than 20 µs is added up.
    private func printTimes(_ outcome: Outcome) {
        guard var last = outcome.times.first?.nanoseconds else { return }
        let begin = last
        var small: (count: Int, nanoseconds: UInt64) = (0, 0)
        var lines = ["steps of a run in the middle (µs):"]
        func flush() {
            if small.count > 0 {
                lines.append(
                    "  " + padded(decimal(Double(small.nanoseconds) / 1000), 7, right: true)
                        + "  \(small.count) small steps")
            }
            small = (0, 0)
        }
        for time in outcome.times.dropFirst() {
            let took = time.nanoseconds - last
            last = time.nanoseconds
            if took < 20_000 {
                small = (small.count + 1, small.nanoseconds + took)
                continue
            }
            flush()
            lines.append("  " + padded(decimal(Double(took) / 1000), 7, right: true) + "  \(time.step)")
        }
        flush()
        lines.append("  " + padded(decimal(Double(last - begin) / 1000), 7, right: true) + "  together")
        put(lines.joined(separator: "\n") + "\n\n", to: 1)
    }

    private static func machineName(_ machine: Machine) -> String {
        let processor =
            ((try? readText("/proc/cpuinfo")) ?? "").split(separator: "\n")
            .first { $0.hasPrefix("model name") }
            .map { $0.drop { $0 != ":" }.dropFirst(2) } ?? "unknown processor"
        let kernel = (try? readText("/proc/sys/kernel/osrelease")) ?? "unknown"
        return "\(processor), \(processorCount()) cores, Linux \(kernel), cgroup \(machine.cgroups.layout.rawValue)"
    }
}

/// Writes a whole text.
func put(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        guard let count = try? Linux.write(descriptor, rest), count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}
