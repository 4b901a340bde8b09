// A session: a jail that stays, and the commands that run in it.
internal import JailPlan
public import JailPlanner
internal import Linux

/// What a session may do at a time.
public struct SessionLimits: Sendable {
    /// Commands that run together; more wait for their turn.
    public var concurrent = 16
    /// Commands that may wait; more are refused.
    public var queued = 256
    /// Commands that are remembered after their end; the oldest go first.
    public var remembered = 256
    /// Commands in a minute; nil: as many as there is time for.
    public var perMinute: Int?
    /// Cgroups with a process that stands by in them, made before they are needed.
    public var spares = 2
    /// Terminals that are open together; more are refused, since nobody wants to wait for one.
    public var terminals = 16
    /// Terminals that are remembered after their end, with what they showed last.
    public var rememberedTerminals = 16

    /// The usual ones.
    public init() {}
}

/// A jail that stays, with its commands. It belongs to the thread that runs its loop.
public final class Session {
    /// Unique in its supervisor.
    public let id: String
    /// What its jail was made from.
    public let prepared: PreparedJail
    /// How its commands went.
    public private(set) var statistics = SessionStatistics()
    private let limits: SessionLimits
    private let loop: EventLoop
    private let workers: Workers
    private let null: Int32
    private let guarantees: GuaranteeNames
    private let handle: JailHandle
    private var jail: SessionJail?
    /// Whether its jail is one command's own, and ends with it.
    private let isForOne: Bool
    private var commands: [UInt64: SessionCommand] = [:]
    /// Commands that wait for their turn, in the order of their requests.
    private var waiting: [SessionCommand] = []
    private var runningCount = 0
    private var ended: [UInt64] = []
    private var nextNumber: UInt64
    /// Made before they are needed: a command must not wait for directories.
    private var spares: [Spare] = []
    private var orderedSpares = 0
    /// When commands were asked for in the last minute, on the monotonic clock.
    private var recent: [UInt64] = []
    private var terminals: [UInt64: SessionTerminal] = [:]
    private var endedTerminals: [UInt64] = []
    /// Why its jail is over, where nobody closed it.
    public private(set) var failure: LaunchFailure?
    /// Hears of commands that are remembered no more, for want of room.
    public var whenForgotten: ((UInt64) -> Void)?
    /// Called once its jail is over, where nobody closed it.
    public var whenFailed: (() -> Void)?

    /// Takes over a jail that nobody has given orders to. It may not be ready yet; commands wait for it by themselves.
    ///
    /// - Parameters:
    ///   - prepared: what this session's commands get, and what is masked in what they say; nil: as the jail was made. A jail
    ///     that was made before it was asked for has the same plan, and knows nothing of this session's variables.
    ///   - isForOne: whether its jail is one command's own: that has the jail's limits and counters, needs no groups inside of
    ///     them, and the jail ends with it.
    ///   - firstCommand: the number of the first command.
    public init(
        id: String, _ handle: JailHandle, prepared own: PreparedJail? = nil, supervisor: Supervisor, workers: Workers,
        loop: EventLoop,
        limits: SessionLimits = SessionLimits(), isForOne: Bool = false, firstCommand: UInt64 = 1
    ) throws(LaunchFailure) {
        self.id = id
        nextNumber = firstCommand
        prepared = own ?? handle.prepared
        self.handle = handle
        self.isForOne = isForOne
        self.loop = loop
        self.workers = workers
        self.limits = limits
        null = supervisor.null.raw
        guarantees = GuaranteeNames(
            enforced: prepared.guarantees.enforced, degraded: prepared.guarantees.degraded,
            notes: prepared.guarantees.notes)
        jail = try SessionJail(handle, workers: workers, loop: loop) { [weak self] failure in
            guard let self else { return }
            self.failure = failure
            jail = nil
            for command in waiting { command.abandon() }
            spares = []
            let told = whenFailed
            whenFailed = nil
            told?()
        }
        if !isForOne { prepareSpares() }
    }

    deinit { close() }

    /// Whether it takes commands.
    public var isOpen: Bool { jail.map { !$0.isOver } ?? false }

    /// Bytes of memory in use now, by all that is in it; nil without a counter.
    public var memory: UInt64? { jail?.memory }

    /// What all that was ever in it used.
    public var usage: CgroupUsage? { jail?.usage }

    /// A command that may have ended; nil for one that is not known, or not any more.
    public func command(_ id: UInt64) -> SessionCommand? { commands[id] }

    /// Every command that is remembered, oldest first.
    public var allCommands: [SessionCommand] {
        // Those that were to be forgotten in a quiet moment are no more told of.
        while forgetOldest() {}
        return commands.values.sorted { $0.id < $1.id }
    }

    /// How many commands and terminals have not ended.
    public var activeCount: Int { runningCount + waiting.count + terminals.count - endedTerminals.count }

    /// Whether a command may be run now, and the number that it will have.
    ///
    /// - Throws: `LaunchFailure` where the session is over, or has too many commands waiting or too many in a minute.
    public func admit() throws(LaunchFailure) -> UInt64 {
        _ = try openJail()
        guard waiting.count < limits.queued else {
            throw LaunchFailure(step: "queue", remedy: "\(limits.queued) commands wait already: wait for one to end")
        }
        try countRequest()
        return nextNumber
    }

    /// One that was refused after its start was recorded has had its number.
    private func takeNumber() -> UInt64 {
        defer { nextNumber += 1 }
        return nextNumber
    }

    private func openJail() throws(LaunchFailure) -> SessionJail {
        guard let jail, !jail.isOver else {
            throw failure ?? LaunchFailure(step: "session", remedy: "it is closed: open a new one")
        }
        return jail
    }

    /// Runs a command that was admitted, at once or when it is its turn.
    ///
    /// - Throws: `LaunchFailure` where the session is over or cannot make cgroups.
    public func run(_ request: SessionRequest) throws(LaunchFailure) -> SessionCommand {
        let number = takeNumber()
        let jail = try openJail()
        let spare = try takeSpare(jail, memory: request.memory, pids: request.pids)
        let command = SessionCommand(
            id: number, request, jail: jail, spare: spare, ownsJail: isForOne,
            masked: prepared.maskedValues + request.secrets, guarantees: guarantees, loop: loop, dispose: disposing)
        commands[command.id] = command
        command.whenEnded { [weak self, unowned command] in self?.finished(command) }
        if runningCount < limits.concurrent { start(command) } else { waiting.append(command) }
        return command
    }

    /// A terminal that may have ended; nil for one that is not known, or not any more.
    public func terminal(_ id: UInt64) -> SessionTerminal? { terminals[id] }

    /// Every terminal that is remembered, oldest first.
    public var allTerminals: [SessionTerminal] { terminals.values.sorted { $0.id < $1.id } }

    /// Starts a command on a terminal of its own.
    ///
    /// - Throws: `LaunchFailure` where the session is over, has too many terminals, or cannot make cgroups. What fails later
    ///   is the terminal's outcome.
    public func open(_ request: TerminalRequest) throws(LaunchFailure) -> SessionTerminal {
        let number = takeNumber()
        guard let jail, !jail.isOver else {
            throw failure ?? LaunchFailure(step: "session", remedy: "it is closed: open a new one")
        }
        guard terminals.count - endedTerminals.count < limits.terminals else {
            throw LaunchFailure(
                step: "terminal", object: id, remedy: "\(limits.terminals) terminals are open already: close one")
        }
        let terminal = SessionTerminal(
            id: number, request, jail: jail,
            spare: try takeSpare(jail, memory: request.memory, pids: request.pids),
            masked: prepared.maskedValues + request.secrets,
            guarantees: guarantees, loop: loop, dispose: disposing)
        terminals[terminal.id] = terminal
        terminal.whenEnded { [weak self, unowned terminal] in self?.finished(terminal) }
        terminal.start(searchPath: prepared.searchPath)
        return terminal
    }

    private func finished(_ terminal: SessionTerminal) {
        statistics.add(terminal.outcome, bytes: terminal.produced)
        endedTerminals.append(terminal.id)
        if endedTerminals.count > limits.rememberedTerminals { terminals[endedTerminals.removeFirst()] = nil }
        prepareSpares()
    }

    /// Forgets a command or a terminal that has ended.
    public func forget(_ id: UInt64) {
        if terminals[id]?.state == .ended {
            terminals[id] = nil
            endedTerminals.removeAll { $0 == id }
        }
        guard commands[id]?.state == .ended else { return }
        commands.removeValue(forKey: id)?.beForgotten()
        ended.removeAll { $0 == id }
    }

    /// Ends the jail with all that is in it. May be called more than once.
    ///
    /// - Parameter then: called when every process is dead and nothing is left of the jail.
    public func close(then: (() -> Void)? = nil) {
        whenFailed = nil
        for command in waiting { command.abandon() }
        jail?.end()
        jail = nil
        let left = spares.compactMap(\.groups)
        spares = []
        workers.perform { _ = left }
        // Who ends it holds it until it has.
        if let then { workers.perform({ [handle] in handle.end() }, then: then) }
    }

    /// What a command gets: what was made before, if it is there. Limits of its own could end a process that stands by, so
    /// such a command has none.
    private func takeSpare(_ jail: SessionJail, memory: UInt64?, pids: UInt64?) throws(LaunchFailure) -> Spare {
        if isForOne { return Spare() }
        let hasOwnLimits = memory != nil || pids != nil
        if !hasOwnLimits, !spares.isEmpty { return spares.removeFirst() }
        let spare = Spare(groups: try jail.makeGroups(), standby: nil)
        try spare.limit(memory: memory, pids: pids)
        return spare
    }

    /// Removing groups takes as long as a report: nobody waits for it.
    private var disposing: (consuming CommandGroupsBox) -> Void {
        { [workers] (groups: consuming CommandGroupsBox) in
            let box = Handover(consume groups)
            workers.perform { _ = box.take() }
        }
    }

    private func countRequest() throws(LaunchFailure) {
        guard let most = limits.perMinute else { return }
        let now = monotonicNanoseconds()
        recent.removeAll { $0 + 60_000_000_000 <= now }
        guard recent.count < most else {
            let wait = ((recent.first ?? now) + 60_000_000_000 - now) / 1_000_000 + 1
            throw LaunchFailure(
                step: "rate", object: "\(wait) ms", remedy: "\(most) commands a minute: try again in \(wait) ms")
        }
        recent.append(now)
    }

    private func start(_ command: SessionCommand) {
        runningCount += 1
        command.start(searchPath: prepared.searchPath, null: null)
    }

    private func finished(_ command: SessionCommand) {
        // One that was killed before its turn came never ran.
        let isQueued = waiting.contains { $0 === command }
        if isQueued { waiting.removeAll { $0 === command } } else { runningCount -= 1 }
        statistics.add(command.outcome, bytes: command.produced.output + command.produced.errors)
        ended.append(command.id)
        if ended.count > limits.remembered {
            // The caller waits for its answer, and nobody for this, unless there is never a quiet moment.
            if ended.count > limits.remembered + 64 {
                forgetOldest()
            } else {
                loop.later { [weak self] in self?.forgetOldest() }
            }
        }
        if isForOne { return }
        if !isQueued, !waiting.isEmpty, isOpen { start(waiting.removeFirst()) }
        prepareSpares()
    }

    /// - Returns: whether there was one that need not be remembered.
    @discardableResult
    private func forgetOldest() -> Bool {
        // What a background command left running goes on until somebody wants it to end.
        guard ended.count > limits.remembered,
            let place = ended.firstIndex(where: { commands[$0]?.hasSurvivors != true })
        else { return false }
        let oldest = ended.remove(at: place)
        commands.removeValue(forKey: oldest)?.beForgotten()
        whenForgotten?(oldest)
        return true
    }

    private func prepareSpares() {
        loop.later { [weak self] in
            guard let self, let jail, !jail.isOver, jail.nests || jail.nestsPids else { return }
            while spares.count + orderedSpares < limits.spares {
                orderedSpares += 1
                jail.makeSpare { [weak self] spare in
                    guard let self else { return }
                    orderedSpares -= 1
                    // What fails now is told when a command needs it.
                    if let spare, self.jail != nil { spares.append(spare) }
                }
            }
        }
    }
}
