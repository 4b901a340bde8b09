// One command of a session, from its order to its report.
internal import JailPlan
internal import Linux

/// What to run in a session.
public struct SessionRequest: Sendable {
    /// What a command finds on its standard input.
    public enum Input: Sendable, Hashable {
        /// Nothing.
        case none
        /// These bytes.
        case bytes([UInt8])
        /// What is written later, until it is closed.
        case later
    }

    /// The command and its arguments.
    public var arguments: [String]
    /// The working directory in the jail.
    public var directory: String
    /// `NAME=value` each.
    public var environment: [String]
    /// Its standard input.
    public var input = Input.none
    /// Values of its own that are masked in what it says, beside the session's.
    public var secrets: [String] = []
    /// Milliseconds on the wall clock.
    public var wallLimit: UInt64?
    /// Milliseconds of processor time of the whole tree.
    public var cpuLimit: UInt64?
    /// Bytes kept of each stream.
    public var outputLimit: UInt64 = 2 << 20
    /// Whether output beyond the limit ends the command.
    public var killsOnOutput = false
    /// Limits within those of the jail.
    public var memory: UInt64?
    /// As `memory`.
    public var pids: UInt64?
    /// Whether what it leaves running when it ends goes on.
    public var isBackground = false

    /// A request without limits of its own.
    public init(arguments: [String], directory: String, environment: [String]) {
        self.arguments = arguments
        self.directory = directory
        self.environment = environment
    }
}

/// A command that was ordered.
public final class SessionCommand {
    /// Where it is in its life.
    public enum State: String, Sendable {
        /// It waits for its turn.
        case queued
        case starting, running, ended
    }

    /// Unique in its session.
    public let id: UInt64
    /// What was asked for.
    public let request: SessionRequest
    /// Where it is.
    public private(set) var state = State.queued
    /// What became of it; before its end what is known so far.
    public private(set) var outcome: Outcome
    private let loop: EventLoop
    private let jail: SessionJail
    private var groups: CommandGroupsBox?
    private var standby: Standby?
    /// Whether the jail is its own: what that counts is what it used, and its end is the jail's.
    private let ownsJail: Bool
    /// Whether the init of its own pid namespace lives, and so maybe something that it left running.
    private var initIsAlive = false
    private var initWatch: EventLoop.Watch?
    /// Microseconds of processor time that its jail's set-up took.
    private var setUpTime: UInt64 = 0
    /// What its jail counted, once that is being ended.
    private var jailUsage: CgroupUsage?
    private var output: CommandStream, errors: CommandStream
    private var input: CommandInput
    private var pid: Int32?
    private var earlySignals: [Int32] = []
    private var startedAt: UInt64 = 0
    private var timer: EventLoop.Timer?
    private var cpuTimer: EventLoop.Timer?
    private let cpu: RunClock
    /// Why it is being killed.
    private var killedFor: EndReason?
    private var death: SessionJail.Death?
    private var endHandlers: [() -> Void] = []
    private var outputHandlers: [() -> Void] = []
    private let dispose: (consuming CommandGroupsBox) -> Void

    /// A stream that is given up when a command is dead but its pipe is held: the call must not hang.
    private static let patience: UInt64 = 1_000_000_000

    /// - Parameter dispose: takes groups that are not needed any more; removing them takes as long as a report.
    init(
        id: UInt64, _ request: SessionRequest, jail: SessionJail, spare: Spare, ownsJail: Bool, masked: [String],
        guarantees: GuaranteeNames, loop: EventLoop, dispose: @escaping (consuming CommandGroupsBox) -> Void
    ) {
        self.id = id
        self.request = request
        self.jail = jail
        groups = spare.groups
        standby = spare.standby
        self.ownsJail = ownsJail
        self.loop = loop
        self.dispose = dispose
        outcome = Outcome(reason: .error, guarantees: guarantees)
        cpu = RunClock(wall: nil, cpu: request.cpuLimit)
        input = CommandInput(loop: loop)
        output = CommandStream(limit: request.outputLimit, masked: masked, loop: loop) {}
        errors = output
        // Both tell the command, which exists only now.
        let changed: () -> Void = { [weak self] in self?.streamsChanged() }
        output = CommandStream(limit: request.outputLimit, masked: masked, loop: loop, changed: changed)
        errors = CommandStream(limit: request.outputLimit, masked: masked, loop: loop, changed: changed)
    }

    deinit {
        unwatchInit()
        if let groups { dispose(groups) }
    }

    /// Orders it. What fails here is its outcome too.
    func start(searchPath: [String], null: Int32) {
        state = .starting
        do throws(LaunchFailure) {
            try order(searchPath: searchPath, null: null)
        } catch {
            fail(error)
        }
    }

    private func order(searchPath: [String], null: Int32) throws(LaunchFailure) {
        let theirOutput = try output.open()
        let theirErrors = try errors.open()
        let command = CommandRequest(
            candidates: candidates(request.arguments.first ?? "", in: searchPath),
            arguments: request.arguments, environment: request.environment, directory: request.directory,
            hasOwnLimits: request.memory != nil || request.pids != nil, isBackground: request.isBackground)
        guard request.input != .none else {
            return try start(command, descriptors: (null, theirOutput.raw, theirErrors.raw))
        }
        let theirInput = try input.open()
        if case .bytes(let bytes) = request.input {
            input.write(bytes)
            input.finish()
        }
        try start(command, descriptors: (theirInput.raw, theirOutput.raw, theirErrors.raw))
    }

    /// By the process that stands by for it, by the init of its own pid namespace, else by the spawner.
    private func start(_ command: CommandRequest, descriptors: (Int32, Int32, Int32)) throws(LaunchFailure) {
        let answer = SessionJail.Starting(
            started: { [self] pid in began(pid) }, failed: { [self] failure in fail(failure) })
        if standby == nil, !ownsJail, jail.nestsPids { standby = try jail.makeStandby(nil, answer) }
        guard let standby else {
            let entrances = groups?.takeEntrances() ?? DescriptorList()
            return try jail.start(command, descriptors: descriptors, groups: entrances.raw, answer)
        }
        try standby.take(command, descriptors: descriptors)
        if let pid = standby.pid { began(pid) }
    }

    /// Ends it before its turn came.
    func abandon() { fail(LaunchFailure(step: "session", remedy: "it was closed before the command's turn came")) }

    // MARK: - For its caller

    /// Calls back when it has ended, at once where it has already.
    public func whenEnded(_ action: @escaping () -> Void) {
        if state == .ended { action() } else { endHandlers.append(action) }
    }

    /// Calls back once when there is more output, or none to come, or the command has ended.
    public func whenOutput(_ action: @escaping () -> Void) {
        if state == .ended, !hasMoreOutput { action() } else { outputHandlers.append(action) }
    }

    /// Whether more output may come: what a background command left behind may write on.
    public var hasMoreOutput: Bool { state == .queued || output.isOpen || errors.isOpen }

    /// Passes one stream on, as it comes. To be called before the loop goes on.
    public func connect(errors wantsErrors: Bool, _ sink: any OutputSink) {
        (wantsErrors ? errors : output).connect(sink)
    }

    /// A sink has room again.
    public func resume(errors wantsErrors: Bool) { (wantsErrors ? errors : output).resume() }

    /// Sends a signal to its whole tree: SIGKILL to every process, any other to its process group.
    public func kill(_ number: Int32) throws(LaunchFailure) {
        if state == .queued {
            // Of these a process that has not begun would notice nothing (signal(7)).
            guard ![Signal.child, Signal.windowChange, Signal.urgent, Signal.continue].contains(number) else { return }
            // It never begins.
            outcome.reason = .signaled
            outcome.signal = number
            return end()
        }
        // What comes before its pid is known waits for it: its output may be there before.
        if state == .starting { return earlySignals.append(number) }
        if number == Signal.kill, let groups { groups.groups.kill() }
        guard let pid, state == .running || initIsAlive else { return }
        // An init takes with it whatever there is; any other signal it passes on.
        if initIsAlive, number != Signal.kill, let standby { return try standby.signal(number) }
        try jail.signal(number, to: pid)
    }

    /// Whether its standard input takes more.
    public var takesInput: Bool { request.input == .later && state != .ended && input.isOpen }

    /// Writes to its standard input, behind what was written before.
    ///
    /// - Parameter taken: called when there is room for it, with false where it takes nothing any more.
    public func write(_ bytes: [UInt8], taken: @escaping (Bool) -> Void = { _ in }) { input.write(bytes, taken: taken) }

    /// Closes its standard input behind what was written.
    public func closeInput() { input.finish() }

    /// Bytes of one stream from a cursor on; see ``Capture``.
    public func read(errors wantsErrors: Bool, from offset: UInt64, limit: Int) -> (
        bytes: [UInt8], start: UInt64, next: UInt64
    ) {
        (wantsErrors ? errors : output).capture.read(from: offset, limit: limit)
    }

    /// How many bytes there were.
    public var produced: (output: UInt64, errors: UInt64) { (output.capture.total, errors.capture.total) }

    /// Whether something that it left running goes on.
    var hasSurvivors: Bool { state == .ended && (initIsAlive || groups.map { !$0.groups.isEmpty } ?? false) }

    /// What it left running ends.
    func beForgotten() {
        leaveInit()
        // At once; removing its groups may wait.
        if hasSurvivors { groups?.groups.kill() }
    }

    private func leaveInit() {
        unwatchInit()
        standby?.close()
    }

    /// What it used, and while it runs, what it has used so far.
    public var usage: CgroupUsage {
        state == .ended ? outcome.usage : counted ?? outcome.usage
    }

    /// What the kernel counts for it; nil on a machine without cgroups.
    private var counted: CgroupUsage? {
        guard ownsJail else { return groups?.groups.usageWithTime() }
        return jailUsage
            ?? jail.usage.map { usage in
                var own = usage
                own.cpuMicroseconds = own.cpuMicroseconds.map { $0 - min($0, setUpTime) }
                return own
            }
    }

    /// Milliseconds since its start, or from its start to its end.
    public var elapsedMilliseconds: UInt64 {
        state == .running ? (monotonicNanoseconds() - startedAt) / 1_000_000 : outcome.durationMilliseconds
    }

    // MARK: - Its life

    private func began(_ pid: Int32) {
        self.pid = pid
        state = .running
        startedAt = monotonicNanoseconds()
        // It is read a little late, so it is bounded by what a set-up can have used.
        if ownsJail { setUpTime = min(jail.cpuMicroseconds ?? 0, 20_000) }
        if let limit = request.wallLimit {
            timer = loop.after(milliseconds: limit) { [weak self] in self?.stop(for: .timeout) }
        }
        watchProcessorTime(used: 0)
        initIsAlive = standby?.isInit ?? false
        watchInit()
        jail.whenDead(pid) { [self] death in
            initIsAlive = false
            died(standby?.death(death) ?? death)
            if state == .ended { leaveInit() }
        }
        for number in earlySignals { try? kill(number) }
        earlySignals = []
    }

    /// An init tells of the command's end before its own.
    private func watchInit() {
        guard initIsAlive, let socket = standby?.descriptor else { return }
        initWatch = try? loop.watch(socket, .readable) { [weak self] _ in
            guard let self else { return }
            unwatchInit()
            guard case .exited(_, let status, let cpu, let memory)? = standby?.report() else { return }
            let death = SessionJail.Death(status: status, cpuMicroseconds: cpu, peakMemory: memory)
            if request.isBackground { return died(death) }
            // What is left dies now, which takes the kernel a moment, and is not waited for any longer.
            _ = loop.after(Self.patience) { [weak self] in self?.died(death) }
        }
    }

    private func unwatchInit() {
        if let initWatch { loop.unwatch(initWatch) }
        initWatch = nil
    }

    private func watchProcessorTime(used: UInt64) {
        guard request.cpuLimit != nil, state == .running else { return }
        if cpu.cpuIsOver(used) { return stop(for: .cpuTimeout) }
        let now = monotonicNanoseconds()
        guard let next = cpu.nextCpuCheck(now: now, used: used) else { return }
        cpuTimer = loop.after(next - now) { [weak self] in
            guard let self else { return }
            watchProcessorTime(used: (ownsJail ? counted?.cpuMicroseconds : groups?.groups.cpuMicroseconds()) ?? 0)
        }
    }

    private func stop(for reason: EndReason) {
        guard state == .running, let pid, killedFor == nil else { return }
        killedFor = reason
        groups?.groups.kill()
        try? jail.signal(Signal.kill, to: pid)
    }

    private func streamsChanged() {
        if request.killsOnOutput, output.capture.isTruncated || errors.capture.isTruncated { stop(for: .outputLimit) }
        tellOutput()
        if death != nil, !output.isOpen, !errors.isOpen { finish() }
    }

    private func tellOutput() {
        guard !outputHandlers.isEmpty else { return }
        let handlers = outputHandlers
        outputHandlers = []
        for handler in handlers { handler() }
    }

    private func died(_ death: SessionJail.Death) {
        guard self.death == nil, state != .ended else { return }
        outcome.durationMilliseconds = (monotonicNanoseconds() - startedAt + 500_000) / 1_000_000
        cancelTimers()
        // What it leaves behind dies with it, unless it was started to go on.
        if ownsJail {
            jailUsage = counted
            jail.end()
        } else if !request.isBackground {
            groups?.groups.kill()
        }
        output.drain()
        errors.drain()
        self.death = death
        if request.isBackground || (!output.isOpen && !errors.isOpen) { return finish() }
        // Those who were killed a moment ago still hold the pipes.
        timer = loop.after(Self.patience) { [weak self] in self?.finish() }
    }

    private func cancelTimers() {
        if let timer { loop.cancel(timer) }
        if let cpuTimer { loop.cancel(cpuTimer) }
        (timer, cpuTimer) = (nil, nil)
    }

    private func finish() {
        guard state != .ended, let death else { return }
        outcome.usage = death.usage(counted)
        let failure = standby?.failure()
        if !initIsAlive {
            unwatchInit()
            standby?.close()
        }
        if let failure { return fail(failure) }
        outcome.end(waitStatus: death.status, killedFor: killedFor)
        end()
    }

    private func fail(_ failure: LaunchFailure) {
        guard state != .ended else { return }
        outcome.reason = .error
        outcome.failure = failure
        end()
    }

    private func end() {
        state = .ended
        cancelTimers()
        input.close()
        // What goes on may write on: its streams stay, and so do its groups, until the command is forgotten.
        let goesOn = request.isBackground && death != nil
        if !goesOn {
            output.close()
            errors.close()
        }
        for (stream, path) in [(output, \Outcome.output), (errors, \Outcome.errors)] {
            outcome[keyPath: path].bytes = stream.capture.bytes
            outcome[keyPath: path].isTruncated = stream.capture.isTruncated
        }
        let handlers = endHandlers
        endHandlers = []
        for handler in handlers { handler() }
        tellOutput()
        if !goesOn, let groups = groups.take() { dispose(consume groups) }
    }
}
