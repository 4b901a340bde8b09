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
    /// Terminals that are open together; more are refused, since nobody wants to wait for one.
    public var terminals = 16
    /// Terminals that are remembered after their end, with what they showed last.
    public var rememberedTerminals = 16

    /// The usual ones.
    public init() {}
}

/// A jail that stays, with its commands. It belongs to the thread that runs its loop.
public final class Session {
    /// How commands went.
    public struct Statistics: Sendable, Hashable {
        /// Commands that have ended.
        public var ended = 0
        /// Of these, with exit code 0.
        public var succeeded = 0
        /// Bytes that they wrote to both streams.
        public var bytes: UInt64 = 0
    }

    /// Unique in its supervisor.
    public let id: String
    /// What its jail was made from.
    public let prepared: PreparedJail
    /// How its commands went.
    public private(set) var statistics = Statistics()
    private let limits: SessionLimits
    private let loop: EventLoop
    private let null: Int32
    private let guarantees: GuaranteeNames
    private var jail: SessionJail?
    private var commands: [UInt64: SessionCommand] = [:]
    /// Commands that have not ended, in the order of their requests; those beyond the limit wait.
    private var waiting: [SessionCommand] = []
    private var runningCount = 0
    private var ended: [UInt64] = []
    private var terminals: [UInt64: SessionTerminal] = [:]
    private var endedTerminals: [UInt64] = []
    private var nextNumber: UInt64 = 1
    /// Made before it is needed: a command must not wait for directories.
    private var spareGroups: CommandGroupsBox?
    /// Why its jail is over, where nobody closed it.
    public private(set) var failure: LaunchFailure?

    /// Starts the jail. It is ready a little later; commands that come before wait for it by themselves.
    ///
    /// - Throws: `LaunchFailure` where the supervisor's own part of the start fails. What fails inside is told by the first
    ///   command.
    public init(
        id: String, _ prepared: PreparedJail, filters store: FilterStore, supervisor: Supervisor, loop: EventLoop,
        limits: SessionLimits = SessionLimits()
    ) throws(LaunchFailure) {
        self.id = id
        self.prepared = prepared
        self.loop = loop
        self.limits = limits
        null = supervisor.null.raw
        guarantees = GuaranteeNames(
            enforced: prepared.guarantees.enforced, degraded: prepared.guarantees.degraded,
            notes: prepared.guarantees.notes)
        let filters = try supervisor.filterFiles(named: prepared.filterName) { () throws(LaunchFailure) in
            try store.programs(for: prepared.filters, named: prepared.filterName)
        }
        jail = try SessionJail(prepared, filters: filters, supervisor: supervisor, loop: loop) { [weak self] failure in
            self?.failure = failure
            self?.jail = nil
        }
        prepareGroups()
    }

    deinit { close() }

    /// A command that may have ended; nil for one that is not known, or not any more.
    public func command(_ id: UInt64) -> SessionCommand? { commands[id] }

    /// Every command that is remembered, oldest first.
    public var allCommands: [SessionCommand] { commands.values.sorted { $0.id < $1.id } }

    /// Runs a command, at once or when it is its turn.
    ///
    /// - Throws: `LaunchFailure` where the session is over, has too many commands waiting, or cannot make cgroups.
    public func run(_ request: SessionRequest) throws(LaunchFailure) -> SessionCommand {
        guard let jail, !jail.isOver else {
            throw failure ?? LaunchFailure(step: "session", remedy: "it is closed: open a new one")
        }
        guard waiting.count < limits.queued else {
            throw LaunchFailure(step: "queue", remedy: "\(limits.queued) commands wait already: wait for one to end")
        }
        let groups = try takeGroups(jail)
        let command = SessionCommand(
            id: nextNumber, request, jail: jail, groups: groups, masked: prepared.maskedValues, guarantees: guarantees,
            loop: loop)
        nextNumber += 1
        commands[command.id] = command
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
        guard let jail, !jail.isOver else {
            throw failure ?? LaunchFailure(step: "session", remedy: "it is closed: open a new one")
        }
        guard terminals.count - endedTerminals.count < limits.terminals else {
            throw LaunchFailure(
                step: "terminal", object: id, remedy: "\(limits.terminals) terminals are open already: close one")
        }
        let terminal = SessionTerminal(
            id: nextNumber, request, jail: jail, groups: try takeGroups(jail), masked: prepared.maskedValues,
            guarantees: guarantees, loop: loop)
        nextNumber += 1
        terminals[terminal.id] = terminal
        terminal.whenEnded { [weak self, unowned terminal] in self?.finished(terminal) }
        terminal.start(searchPath: prepared.searchPath)
        return terminal
    }

    private func finished(_ terminal: SessionTerminal) {
        statistics.ended += 1
        if terminal.outcome.exitCode == 0 { statistics.succeeded += 1 }
        statistics.bytes += terminal.produced
        endedTerminals.append(terminal.id)
        if endedTerminals.count > limits.rememberedTerminals { terminals[endedTerminals.removeFirst()] = nil }
        prepareGroups()
    }

    /// Forgets a command or a terminal that has ended.
    public func forget(_ id: UInt64) {
        if terminals[id]?.state == .ended {
            terminals[id] = nil
            endedTerminals.removeAll { $0 == id }
        }
        guard commands[id]?.state == .ended else { return }
        commands[id] = nil
        ended.removeAll { $0 == id }
    }

    /// Ends the jail with all that is in it. May be called more than once.
    public func close() {
        for command in waiting { command.abandon() }
        waiting = []
        jail?.end()
        jail = nil
        spareGroups = nil
    }

    private func start(_ command: SessionCommand) {
        runningCount += 1
        command.whenEnded { [weak self, unowned command] in self?.finished(command) }
        command.start(searchPath: prepared.searchPath, null: null)
    }

    private func finished(_ command: SessionCommand) {
        runningCount -= 1
        statistics.ended += 1
        if command.outcome.exitCode == 0 { statistics.succeeded += 1 }
        statistics.bytes += command.produced.output + command.produced.errors
        ended.append(command.id)
        if ended.count > limits.remembered { commands[ended.removeFirst()] = nil }
        if !waiting.isEmpty, jail != nil { start(waiting.removeFirst()) }
        prepareGroups()
    }

    private func takeGroups(_ jail: SessionJail) throws(LaunchFailure) -> CommandGroupsBox? {
        if let groups = spareGroups.take() { return groups }
        return try jail.makeGroups()
    }

    private func prepareGroups() {
        loop.later { [weak self] in
            guard let self, spareGroups == nil, let jail, !jail.isOver else { return }
            // What fails now is told when the next command needs them.
            spareGroups = try? jail.makeGroups()
        }
    }
}
