// A command of a session on a terminal, from its order to its report.
//
// The terminal is the jail's, its other end the supervisor's. What comes out is bytes from a jail: they are kept and passed
// on, never read for a meaning.
internal import JailPlan
public import Linux

/// A command on a terminal, which several clients may look at and write to.
public final class SessionTerminal {
    /// Unique among the commands and terminals of its session.
    public let id: UInt64
    /// What was asked for.
    public let request: TerminalRequest
    /// Where it is.
    public private(set) var state = SessionCommand.State.starting
    /// What became of it; before its end what is known so far. What it showed is not in it.
    public private(set) var outcome: Outcome
    /// Whether it was hung up because nobody used it.
    public private(set) var wasIdle = false
    /// Its window.
    public private(set) var size: TerminalSize
    private let loop: EventLoop
    private let jail: SessionJail
    private var groups: CommandGroupsBox?
    private var standby: Standby?
    private let dispose: (consuming CommandGroupsBox) -> Void
    private let end: TerminalEnd
    private var ring: RingBuffer
    private var clients: [UInt64: WeakClient] = [:]
    private var nextClient: UInt64 = 0
    private var pid: Int32?
    private var earlySignals: [Int32] = []
    private var startedAt: UInt64 = 0
    private var usedAt = monotonicNanoseconds()
    /// Until its end the limit on time, then the patience with who holds the terminal.
    private var timer: EventLoop.Timer?
    private var idleTimer: EventLoop.Timer?
    private var flushTimer: EventLoop.Timer?
    private var killTimer: EventLoop.Timer?
    /// Why it is being killed.
    private var killedFor: EndReason?
    private var death: SessionJail.Death?
    private var endHandlers: [() -> Void] = []
    private var outputHandlers: [() -> Void] = []
    private var roomHandlers: [() -> Void] = []

    private struct WeakClient {
        weak var client: TerminalClient?
    }

    /// A terminal that is given up when its command is dead but somebody holds it; and how long who was hung up may take to
    /// say good-bye.
    private static let patience: UInt64 = 1_000_000_000
    private static let mostEarlySignals = 64

    init(
        id: UInt64, _ request: TerminalRequest, jail: SessionJail, spare: Spare, masked: [String],
        guarantees: GuaranteeNames, loop: EventLoop, dispose: @escaping (consuming CommandGroupsBox) -> Void
    ) {
        self.dispose = dispose
        self.id = id
        self.request = request
        self.jail = jail
        groups = spare.groups
        standby = spare.standby
        self.loop = loop
        size = request.size
        ring = RingBuffer(capacity: request.outputCapacity)
        end = TerminalEnd(masked: masked, inputCapacity: request.inputCapacity, loop: loop)
        outcome = Outcome(reason: .error, guarantees: guarantees)
        end.shows = { [weak self] bytes in self?.ring.append(bytes) }
        end.hasShown = { [weak self] in self?.hasShown() }
        end.hasGainedRoom = { [weak self] in self?.call(\.roomHandlers) }
        end.hasEnded = { [weak self] in self?.finish() }
        end.hasFailed = { [weak self] failure in self?.fail(failure) }
    }

    /// Orders it, as soon as the jail is ready. What fails here is its outcome too.
    func start(searchPath: [String]) {
        jail.whenReady { [self] in
            guard state == .starting else { return }
            do throws(LaunchFailure) { try order(searchPath: searchPath) } catch { fail(error) }
        } failed: { [self] failure in
            fail(failure)
        }
    }

    private func order(searchPath: [String]) throws(LaunchFailure) {
        var pair = try jail.makeTerminal(size)
        let slave = try step("terminal") { () throws(Errno) in try pair.takeSlave() }
        let master = try step("terminal") { () throws(Errno) in try pair.takeMaster() }
        let command = CommandRequest(
            candidates: candidates(request.arguments.first ?? "", in: searchPath), arguments: request.arguments,
            environment: request.completeEnvironment, directory: request.directory, controllingTerminal: true,
            hasOwnLimits: request.memory != nil || request.pids != nil)
        let answer = SessionJail.Starting(
            started: { [self] pid in began(pid) }, failed: { [self] failure in fail(failure) })
        let streams = (slave.raw, slave.raw, slave.raw)
        if standby == nil, jail.nestsPids { standby = try jail.makeStandby(nil, answer) }
        if let standby {
            try standby.take(command, descriptors: streams)
            end.open(master)
            watchIdleness()
            if let pid = standby.pid { began(pid) }
            return
        }
        let entrances = groups?.takeEntrances() ?? DescriptorList()
        try jail.start(command, descriptors: streams, groups: entrances.raw, answer)
        end.open(master)
        watchIdleness()
    }

    // MARK: - For its callers

    /// Calls back when it has ended, at once where it has already.
    public func whenEnded(_ action: @escaping () -> Void) {
        if state == .ended { action() } else { endHandlers.append(action) }
    }

    /// Calls back once when there is more output, or none to come.
    public func whenOutput(_ action: @escaping () -> Void) {
        if state == .ended { action() } else { outputHandlers.append(action) }
    }

    /// Calls back once when half of the room for input is free, at once where it is, or where it has ended.
    public func whenRoom(_ action: @escaping () -> Void) {
        if end.hasRoom || state == .ended { action() } else { roomHandlers.append(action) }
    }

    /// Types: passes bytes to the terminal, as many of them as there is room for.
    ///
    /// - Returns: how many were taken; all of them, and lost, where it has ended.
    public func write(_ bytes: ArraySlice<UInt8>) -> Int {
        guard state != .ended else { return bytes.count }
        use()
        return end.write(bytes)
    }

    /// What it shows, from a place on; see ``RingBuffer``.
    public func read(from place: UInt64, limit: Int) -> RingBuffer.Chunk {
        use()
        return ring.read(from: place, limit: limit)
    }

    /// The oldest of what it shows, which is not kept any longer.
    public func drain(limit: Int = .max) -> RingBuffer.Chunk {
        use()
        return ring.drain(limit: limit)
    }

    /// Keeps nothing of what it has shown so far.
    public func clear() { ring.clear() }

    /// How many bytes it has shown.
    public var produced: UInt64 { ring.end }

    /// The place of the oldest byte that is kept.
    public var oldest: UInt64 { ring.begin }

    /// Gives it another window; its foreground process group is told (SIGWINCH).
    ///
    /// - Throws: `LaunchFailure` for a size that is no window's.
    public func resize(rows: Int, columns: Int) throws(LaunchFailure) {
        guard let size = TerminalSize(rows: rows, columns: columns) else {
            throw LaunchFailure(
                step: "terminal", object: "\(columns)x\(rows)",
                remedy: "a window has 1 to \(TerminalSize.most) columns and rows")
        }
        use()
        self.size = size
        guard let raw = end.raw else { return }
        try step("terminal", "size") { () throws(Errno) in try setTerminalSize(of: raw, to: size) }
    }

    /// Sends a signal to its foreground process group; SIGKILL to its whole tree.
    public func signal(_ number: Int32) throws(LaunchFailure) {
        switch state {
        case .ended: return
        case .queued, .starting: if earlySignals.count < Self.mostEarlySignals { earlySignals.append(number) }
        case .running:
            use()
            if number == Signal.kill { return kill() }
            guard let raw = end.raw, let pid else { return }
            if let standby, standby.isInit { return try standby.signal(number, foregroundOf: raw) }
            try jail.signalForeground(number, of: raw, or: pid)
        }
    }

    /// Hangs it up, as a terminal that is closed: its command gets SIGHUP, and a second to end.
    public func hangUp() {
        guard state != .ended, killTimer == nil else { return }
        guard end.raw != nil else {
            return fail(LaunchFailure(step: "terminal", remedy: "it was closed before its command was started"))
        }
        end.close()
        killTimer = loop.after(Self.patience) { [weak self] in self?.kill() }
    }

    /// Adds a client.
    ///
    /// - Parameters:
    ///   - place: where it begins to read; nil for what comes from now on, 0 for all that is kept.
    ///   - paces: whether the command waits for it when it is slow, as for a terminal. It must read, or detach.
    public func attach(from place: UInt64? = nil, paces: Bool = false) -> TerminalClient {
        use()
        nextClient += 1
        let client = TerminalClient(self, number: nextClient, cursor: place ?? ring.end, paces: paces)
        clients[nextClient] = WeakClient(client: client)
        return client
    }

    // MARK: - Its clients

    func detach(_ client: UInt64) {
        guard clients.removeValue(forKey: client) != nil else { return }
        use()
        renewPace()
    }

    /// Lets the command wait where a client that sets the pace is too far behind, else go on.
    func renewPace() {
        let most = UInt64(ring.capacity / 2)
        end.isPaused = clients.values.contains { entry in
            guard let client = entry.client, client.paces else { return false }
            return ring.end - min(client.cursor, ring.end) > most
        }
    }

    private func hasShown() {
        use()
        call(\.outputHandlers)
        for entry in clients.values { entry.client?.tell() }
        renewPace()
    }

    /// Each is called once, and may ask to be called again.
    private func call(_ handlers: ReferenceWritableKeyPath<SessionTerminal, [() -> Void]>) {
        let waiting = self[keyPath: handlers]
        self[keyPath: handlers] = []
        for handler in waiting { handler() }
    }

    // MARK: - Its life

    private func began(_ pid: Int32) {
        self.pid = pid
        state = .running
        startedAt = monotonicNanoseconds()
        if let limit = request.wallLimit {
            timer = loop.after(milliseconds: limit) { [weak self] in
                guard let self, state == .running else { return }
                killedFor = .timeout
                kill()
            }
        }
        jail.whenDead(pid) { [self] death in died(standby?.death(death) ?? death) }
        for number in earlySignals { try? signal(number) }
        earlySignals = []
    }

    private func kill() {
        guard state == .running, death == nil, let pid else { return }
        groups?.groups.kill()
        // Its own, or its init's, which takes all with it.
        try? jail.signal(Signal.kill, to: pid)
    }

    private func died(_ death: SessionJail.Death) {
        self.death = death
        cancel(&timer)
        cancel(&killTimer)
        outcome.durationMilliseconds = (monotonicNanoseconds() - startedAt + 500_000) / 1_000_000
        groups?.groups.kill()
        end.closesWhenVacant = true
        end.fill()
        // Hung up before, or over now.
        if end.raw == nil { return finish() }
        // Those who were killed a moment ago still hold the terminal.
        timer = loop.after(Self.patience) { [weak self] in self?.finish() }
    }

    private func finish() {
        guard state != .ended, let death else { return }
        outcome.usage = death.usage(groups?.groups.usageWithTime())
        let failure = standby?.failure()
        standby?.close()
        if let failure { return fail(failure) }
        outcome.end(waitStatus: death.status, killedFor: killedFor)
        finishUp()
    }

    private func fail(_ failure: LaunchFailure) {
        guard state != .ended else { return }
        outcome.reason = .error
        outcome.failure = failure
        finishUp()
    }

    private func finishUp() {
        cancel(&timer)
        cancel(&idleTimer)
        cancel(&killTimer)
        end.close()
        state = .ended
        call(\.endHandlers)
        call(\.roomHandlers)
        hasShown()
        if let groups = groups.take() { dispose(consume groups) }
    }

    private func cancel(_ timer: inout EventLoop.Timer?) {
        if let timer { loop.cancel(timer) }
        timer = nil
    }

    // MARK: - Idleness

    private func use() { usedAt = monotonicNanoseconds() }

    private func watchIdleness() {
        guard let limit = request.idleLimit.map({ nanoseconds(milliseconds: $0) }) else { return }
        let idle = monotonicNanoseconds() - usedAt
        idleTimer = loop.after(limit > idle ? limit - idle : 0) { [weak self] in
            guard let self, state != .ended else { return }
            // As long as somebody is attached, it is used.
            if clients.values.contains(where: { $0.client != nil }) { use() }
            guard monotonicNanoseconds() - usedAt >= limit else { return watchIdleness() }
            wasIdle = true
            killedFor = .timeout
            hangUp()
        }
    }
}
