// One command in a jail of its own, from start to report.
//
// A single loop watches everything: jail-init, the spawner, both outputs, the input, signals and the clock.
// It owns the jail: when the loop is left, for whatever reason, the jail is dead.
internal import JailPlan
public import JailPlanner
internal import Linux

/// Runs a command in a jail made for it alone.
public func run(
    _ request: RunRequest, in prepared: PreparedJail, filters: FilterStore, supervisor: Supervisor
) -> Outcome {
    let guarantees = GuaranteeNames(
        enforced: prepared.guarantees.enforced, degraded: prepared.guarantees.degraded, notes: prepared.guarantees.notes
    )
    do throws(LaunchFailure) {
        let filters = try supervisor.filterFiles(named: prepared.filterName) { () throws(LaunchFailure) in
            try filters.programs(for: prepared.filters, named: prepared.filterName)
        }
        var run = try CommandRun.start(request, prepared, filters, supervisor, guarantees)
        try run.loop()
        return run.finish()
    } catch {
        var outcome = Outcome(reason: .error, guarantees: guarantees)
        outcome.failure = error
        return outcome
    }
}

private struct CommandRun: ~Copyable {
    private enum Token: UInt64 {
        case control, spawner, output, errors, input, inputPipe, signals, standardOutput, standardError
    }

    private let request: RunRequest
    private let poller: Poller
    private var jail: Jail
    private var output: OutputStream
    private var errors: OutputStream
    private var input: InputStream
    private var signals: SignalSource?
    private var terminal: RunTerminal?
    /// For a command that can be ordered only when the jail is ready.
    private let command: CommandRequest
    private let masked: [String]
    private var outcome: Outcome
    private var clock: RunClock
    private var mainPid: Int32?
    /// Deaths that were reported before the pid of the command was.
    private var earlyDeaths: [Int32: Int32] = [:]
    /// Signals that came before it.
    private var earlySignals: [Int32] = []
    private var isReady = false, isOver = false, isEndExpected = false
    /// What wait4(2) told of processes that PID 1 reaped: less than the whole tree, but there without cgroups.
    private var reapedCpuMicroseconds: UInt64 = 0, reapedPeakMemory: UInt64 = 0
    private var interruption: Interruption?
    private var startedAt: UInt64?
    private var drainDeadline: UInt64?
    private var cpuBaseline: UInt64 = 0
    private var cpuCheckAt: UInt64?

    /// A reader that stalls does not put an end off for longer than this.
    private static let grace: UInt64 = 2_000_000_000

    /// Starts the jail and orders the command.
    static func start(
        _ request: RunRequest, _ prepared: PreparedJail, _ filters: FilterFiles, _ supervisor: Supervisor,
        _ guarantees: GuaranteeNames
    ) throws(LaunchFailure) -> CommandRun {
        let signals = try watchSignals(request.forwardsSignals, more: request.usesTerminal ? RunTerminal.signals : [])
        // Before the clock: in the background it waits here for its turn.
        let terminal = try enterTerminal(request.usesTerminal)
        let clock = RunClock(wall: request.wallLimit, cpu: request.cpuLimit)
        let poller = try step("epoll") { () throws(Errno) in try Poller() }
        let command = CommandRequest(
            candidates: candidates(request.arguments.first ?? "", in: prepared.searchPath),
            arguments: request.arguments, environment: prepared.environment.map { $0.name + "=" + $0.value },
            directory: prepared.directory, controllingTerminal: request.usesTerminal)
        let outcome = Outcome(reason: .error, guarantees: guarantees)
        if request.usesTerminal {
            let jail = try Jail.start(prepared.plan, filters: filters, supervisor: supervisor)
            return CommandRun(
                request, command, prepared.maskedValues, outcome, clock, poller, signals, terminal, OutputStream(),
                OutputStream(), InputStream(), jail)
        }
        var outputPipe = try step("pipe") { () throws(Errno) in try makePipe() }
        var errorPipe = try step("pipe") { () throws(Errno) in try makePipe() }
        var inputPipe = try step("pipe") { () throws(Errno) in try makePipe() }
        let output = try step("pipe") { () throws(Errno) in
            try OutputStream(
                source: try outputPipe.takeReading(), target: request.captures ? nil : 1, limit: request.outputLimit,
                masked: prepared.maskedValues)
        }
        let errors = try step("pipe") { () throws(Errno) in
            try OutputStream(
                source: try errorPipe.takeReading(), target: request.captures ? nil : 2, limit: request.outputLimit,
                masked: prepared.maskedValues)
        }
        let input = InputStream(
            target: try step("pipe") { () throws(Errno) in try inputPipe.takeWriting() }, isOpen: request.readsInput)

        let jail = try Jail.start(prepared.plan, filters: filters, supervisor: supervisor)
        let theirInput = try step("pipe") { () throws(Errno) in try inputPipe.takeReading() }
        let theirOutput = try step("pipe") { () throws(Errno) in try outputPipe.takeWriting() }
        // Where the caller's 1 and 2 are one file, so are the command's, and lines stay in their order.
        let isOneFile = !request.captures && isSameFile(1, 2)
        let theirErrors = try step("pipe") { () throws(Errno) in
            isOneFile ? try theirOutput.duplicate() : try errorPipe.takeWriting()
        }
        // The order waits on the socket until the spawner has confined itself.
        do throws(LaunchFailure) {
            try jail.order(command, descriptors: (theirInput.raw, theirOutput.raw, theirErrors.raw))
        } catch {
            throw error.isSecondary ? jail.firstFailure(or: error) : error
        }
        return CommandRun(
            request, command, prepared.maskedValues, outcome, clock, poller, signals, terminal, output, errors, input,
            jail)
    }

    private init(
        _ request: RunRequest, _ command: CommandRequest, _ masked: [String], _ outcome: Outcome, _ clock: RunClock,
        _ poller: consuming Poller, _ signals: consuming SignalSource?, _ terminal: consuming RunTerminal?,
        _ output: consuming OutputStream, _ errors: consuming OutputStream, _ input: consuming InputStream,
        _ jail: consuming Jail
    ) {
        self.request = request
        self.command = command
        self.masked = masked
        self.terminal = terminal
        self.outcome = outcome
        self.clock = clock
        self.poller = poller
        self.signals = signals
        self.output = output
        self.errors = errors
        self.input = input
        self.jail = jail
    }

    private static func watchSignals(_ wanted: Bool, more: [Int32]) throws(LaunchFailure) -> SignalSource? {
        guard wanted else { return nil }
        return try step("signals") { () throws(Errno) in
            try SignalSource(
                Interruption.signals + [Signal.user1, Signal.user2] + more)
        }
    }

    private static func enterTerminal(_ wanted: Bool) throws(LaunchFailure) -> RunTerminal? {
        if wanted { try RunTerminal() } else { nil }
    }

    /// Has the command started on a terminal of the jail's, which only now is there.
    private mutating func orderAtTerminal(_ descriptors: consuming DescriptorList) throws(LaunchFailure) {
        jail.becameReady(with: descriptors)
        guard var terminal = terminal.take() else { return }
        var pair = try terminal.begin(in: jail)
        self.terminal = consume terminal
        let slave = try step("terminal") { () throws(Errno) in try pair.takeSlave() }
        output = try step("terminal") { () throws(Errno) in
            try OutputStream(
                source: try pair.duplicateMaster(), target: 1, limit: request.outputLimit, masked: masked,
                isTerminal: true)
        }
        input = InputStream(
            target: try step("terminal") { () throws(Errno) in try pair.takeMaster() }, isOpen: request.readsInput,
            isTerminal: true)
        try jail.order(command, descriptors: (slave.raw, slave.raw, slave.raw))
        try advanceOutput()
        try input.watch(poller, source: Token.input.rawValue, target: Token.inputPipe.rawValue)
    }

    // MARK: - The loop

    mutating func loop() throws(LaunchFailure) {
        try watch(jail.control.raw, .readable, .control)
        try watch(jail.spawner.raw, .readable, .spawner)
        try advanceOutput()
        try advanceErrors()
        if !request.usesTerminal {
            try input.watch(poller, source: Token.input.rawValue, target: Token.inputPipe.rawValue)
        }
        if let raw = signals.read({ $0.descriptor.raw }) { try watch(raw, .readable, .signals) }

        while !(isOver && output.isDone && errors.isDone) {
            let timeout = isOver ? drainTimeout() : nextTimeout()
            if isOver, timeout == 0 { break }
            let events = try step("epoll") { () throws(Errno) in
                // While a command computes there is nothing to do, and nothing to keep in memory for it. The next key
                // comes sooner, and should not have to wait for what was let go.
                try poller.waitLightly(grace: request.usesTerminal ? 2000 : 20, milliseconds: timeout)
            }
            for event in events {
                guard let token = Token(rawValue: event.token) else { continue }
                switch token {
                case .control: try readControl()
                case .spawner: try readSpawner()
                case .output, .standardOutput: try advanceOutput()
                case .errors, .standardError: try advanceErrors()
                case .input, .inputPipe: try advanceInput()
                case .signals: try readSignals()
                }
            }
            if output.flushAt != nil {
                output.flush(now: monotonicNanoseconds())
                try advanceOutput()
            }
            if !isOver { try enforce() }
            if isOver, !isEndExpected {
                isEndExpected = true
                output.expectEnd()
                try advanceOutput()
            }
        }
    }

    private mutating func advanceInput() throws(LaunchFailure) {
        let hadEnded = input.hasEnded
        input.advance(poller, Token.input.rawValue, Token.inputPipe.rawValue)
        // A raw terminal has no end-of-file but that it is gone.
        if request.usesTerminal, !isOver, !hadEnded, input.hasEnded { try receive(Signal.hangUp) }
    }

    private mutating func advanceOutput() throws(LaunchFailure) {
        try output.advance(
            poller, sourceToken: Token.output.rawValue, targetToken: Token.standardOutput.rawValue)
    }

    private mutating func advanceErrors() throws(LaunchFailure) {
        try errors.advance(poller, sourceToken: Token.errors.rawValue, targetToken: Token.standardError.rawValue)
    }

    private func watch(_ descriptor: Int32, _ events: Events, _ token: Token) throws(LaunchFailure) {
        try step("epoll") { () throws(Errno) in try poller.add(descriptor, events, token: token.rawValue) }
    }

    private mutating func readControl() throws(LaunchFailure) {
        if isOver { return try step("epoll") { () throws(Errno) in try poller.remove(jail.control.raw) } }
        var message = try step("jail-init") { () throws(Errno) in try receiveMessageOrEnd(on: jail.control.raw) }
        if message.bytes.isEmpty {
            throw LaunchFailure(
                step: "jail-init",
                remedy: "PID 1 of the jail ended unexpectedly: killed from outside, or for want of memory on the host")
        }
        let report = try step("jail-init") { () throws(Errno) in try JailReport(message.bytes) }
        if case .ready = report, request.usesTerminal, !isReady {
            isReady = true
            try orderAtTerminal(message.takeDescriptors())
        }
        try handle(report)
    }

    private mutating func readSpawner() throws(LaunchFailure) {
        if isOver { return try step("epoll") { () throws(Errno) in try poller.remove(jail.spawner.raw) } }
        let bytes = try step("spawner") { () throws(Errno) in try receiveOrEnd(on: jail.spawner.raw) }
        // The spawner's death is reported by jail-init, with its status.
        if bytes.isEmpty { return try step("epoll") { () throws(Errno) in try poller.remove(jail.spawner.raw) } }
        let report = try step("spawner") { () throws(Errno) in try JailReport(bytes) }
        try handle(report)
    }

    private mutating func handle(_ report: JailReport) throws(LaunchFailure) {
        switch report {
        case .ready(let times):
            guard request.recordsTimes else { return }
            let steps = jail.plan.steps
            outcome.times += times.compactMap { time in
                steps.indices.contains(time.index)
                    ? Jail.NamedTime(step: steps[time.index].action.summary, nanoseconds: time.nanoseconds) : nil
            }
        case .failed(let index, let object, let errno):
            let failure = jail.failure(index: index, object: object, errno: errno)
            // Whoever lost a socket or a pipe lost it because somebody else failed first.
            throw failure.isSecondary ? jail.firstFailure(or: failure) : failure
        case .notStarted(let step, let errno):
            throw LaunchFailure(start: step, errno, of: command)
        case .started(let pid):
            mainPid = pid
            let now = monotonicNanoseconds()
            startedAt = now
            clock.start(now: now)
            // What was used so far was the set-up's.
            // It is read a little late, so it is bounded by what a set-up can have used.
            cpuBaseline = min((jail.cgroups.read { $0.cpuMicroseconds() } ?? nil) ?? 0, 20_000)
            cpuCheckAt = clock.nextCpuCheck(now: now, used: 0)
            outcome.times.append(Jail.NamedTime(step: "started", nanoseconds: monotonicNanoseconds()))
            if let status = earlyDeaths[pid] { return end(status) }
            for number in earlySignals { try forward(number) }
            earlySignals = []
        case .exited(let pid, let status, let cpu, let memory):
            // Saturating: a jail is never believed.
            let sum = reapedCpuMicroseconds.addingReportingOverflow(cpu)
            reapedCpuMicroseconds = sum.overflow ? .max : sum.partialValue
            reapedPeakMemory = max(reapedPeakMemory, memory)
            if pid == mainPid {
                end(status)
            } else if mainPid == nil {
                earlyDeaths[pid] = status
                // The spawner is the first process that PID 1 made.
                if pid == 2 {
                    if (jail.cgroups.read { $0.usage().oomKills } ?? nil) ?? 0 > 0 {
                        throw LaunchFailure(
                            step: "memory", object: "limit",
                            remedy: "it is too small for a jail to start in: allow at least 1M")
                    }
                    throw jail.firstFailure(
                        or: LaunchFailure(step: "spawner", remedy: "it ended before the command was started"))
                }
            }
        }
    }

    private mutating func end(_ waitStatus: Int32) {
        outcome.end(waitStatus: waitStatus)
        // At a terminal SIGHUP follows SIGTERM for the shells that ignore it: what was asked for is what ended them.
        if request.usesTerminal, interruption?.signal == Signal.terminate, outcome.signal == Signal.hangUp {
            outcome.signal = Signal.terminate
        }
        stop()
    }

    /// The jail is over: whatever is left of it dies now, and the pipes end.
    private mutating func stop() {
        isOver = true
        outcome.durationMilliseconds = ((startedAt.map { monotonicNanoseconds() - $0 } ?? 0) + 500_000) / 1_000_000
        input.end(poller)
        var usage = CgroupUsage()
        // Nothing of the jail can reach a new peak any more; its processor time is complete only when it is dead.
        jail.end { usage = $0.usage() }
        outcome.usage = usage
    }

    // MARK: - Signals and limits

    private mutating func readSignals() throws(LaunchFailure) {
        while let number = signals.read({ (try? $0.next()) ?? nil }) ?? nil {
            if try serveTerminal(number) { continue }
            if isOver {
                // The command is over; what is left is a reader that does not read.
                drainDeadline = monotonicNanoseconds()
                continue
            }
            try receive(number)
        }
    }

    /// Whether a signal was about the caller's terminal.
    private mutating func serveTerminal(_ number: Int32) throws(LaunchFailure) -> Bool {
        guard var own = terminal.take() else { return false }
        let isServed = try own.serve(number)
        terminal = consume own
        return isServed
    }

    private mutating func receive(_ number: Int32) throws(LaunchFailure) {
        if Interruption.signals.contains(number) {
            // The second request to end is not a request any more.
            if let first = interruption, monotonicNanoseconds() < first.repeatableUntil {
                return stopAfterSignal(first.signal)
            }
            interruption = Interruption(
                number, isByHand: number == Signal.interrupt && !request.usesTerminal && isTerminal(0))
        }
        // What comes before the command's pid is known waits for it.
        if mainPid == nil { earlySignals.append(number) } else { try forward(number) }
    }

    private func forward(_ number: Int32) throws(LaunchFailure) {
        guard let pid = mainPid else { return }
        try step("signal") { () throws(Errno) in
            if request.usesTerminal, Interruption.signals.contains(number) {
                try terminal.read { (own) throws(Errno) in try own.forward(number, to: pid, in: jail) }
            } else {
                try jail.signal(number, to: pid)
            }
        }
    }

    private mutating func stopAfterSignal(_ number: Int32) {
        drainDeadline = monotonicNanoseconds() + Self.grace
        outcome.reason = .signaled
        outcome.signal = number
        stop()
    }

    private func nextTimeout() -> Int? {
        var candidates: [UInt64] = []
        let now = monotonicNanoseconds()
        if let deadline = clock.wallDeadline { candidates.append(deadline) }
        if startedAt != nil, let check = cpuCheckAt { candidates.append(check) }
        if let deadline = interruption?.deadline { candidates.append(deadline) }
        if let deadline = output.flushAt { candidates.append(deadline) }
        guard let next = candidates.min() else { return nil }
        return next <= now ? 0 : Int((next - now + 999_999) / 1_000_000)
    }

    private func cpuMicroseconds() -> UInt64? {
        let total = jail.cgroups.read { $0.cpuMicroseconds() } ?? nil
        return total.map { $0 - min($0, cpuBaseline) }
    }

    private mutating func enforce() throws(LaunchFailure) {
        let now = monotonicNanoseconds()
        if let interruption, let deadline = interruption.deadline, now >= deadline {
            return stopAfterSignal(interruption.signal)
        }
        if clock.wallIsOver(now: now) { return stop(for: .timeout) }
        if let check = cpuCheckAt, now >= check {
            let used = cpuMicroseconds() ?? 0
            if clock.cpuIsOver(used) { return stop(for: .cpuTimeout) }
            cpuCheckAt = clock.nextCpuCheck(now: now, used: used)
        }
        if exceedsOutput { return stop(for: .outputLimit) }
    }

    /// The limit is for each stream.
    private var exceedsOutput: Bool {
        request.killsOnOutput && max(output.total, errors.total) > request.outputLimit
    }

    /// Milliseconds that are left for output to be read, where there is a bound.
    private func drainTimeout() -> Int? {
        guard let deadline = drainDeadline else { return nil }
        let now = monotonicNanoseconds()
        return deadline <= now ? 0 : Int((deadline - now + 999_999) / 1_000_000)
    }

    private mutating func stop(for reason: EndReason) {
        outcome.reason = reason
        // Who sets a limit wants an end: a reader that stalls does not put it off for ever.
        drainDeadline = monotonicNanoseconds() + Self.grace
        stop()
    }

    // MARK: - The result

    consuming func finish() -> Outcome {
        outcome.usage.cpuMicroseconds = cpuMicroseconds() ?? reapedCpuMicroseconds
        if outcome.usage.peakMemory == nil { outcome.usage.peakMemory = reapedPeakMemory }
        outcome.considerMemoryKills()
        // What the pipes still held when the command ended counts too.
        if outcome.reason == .exited, exceedsOutput { outcome.reason = .outputLimit }
        outcome.output.bytes = output.capture.bytes
        outcome.output.isTruncated = output.capture.isTruncated
        outcome.errors.bytes = errors.capture.bytes
        outcome.errors.isTruncated = errors.capture.isTruncated
        for (error, name) in [(output.failure, "standard output"), (errors.failure, "standard error")] {
            guard let error else { continue }
            outcome.reason = .error
            outcome.failure = LaunchFailure(
                step: "write", object: name, errno: error, remedy: "make room, or send it elsewhere")
        }
        if request.recordsTimes {
            outcome.times = (jail.times + outcome.times).sorted { $0.nanoseconds < $1.nanoseconds }
        }
        return outcome
    }
}
