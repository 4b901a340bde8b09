// A jail that stays: commands are started in it one after the other, and several at a time.
//
// It speaks with jail-init and the spawner, and never waits for them: both are watched. What they say is bytes from a jail;
// a pid or a report that nobody waits for is passed over, and one that cannot be read ends the jail.
internal import JailPlan
internal import JailPlanner
internal import Linux

/// A jail of a session.
final class SessionJail {
    /// A command that was ordered, and what becomes of it.
    struct Starting {
        var command: CommandRequest?
        let started: (Int32) -> Void
        let failed: (LaunchFailure) -> Void
    }

    /// How a process of the jail ended.
    struct Death {
        let status: Int32
        let cpuMicroseconds: UInt64
        let peakMemory: UInt64

        /// What the command used: as cgroups count, and where they do not, as the kernel told with the death.
        func usage(_ counted: CgroupUsage?) -> CgroupUsage {
            var usage = counted ?? CgroupUsage()
            usage.cpuMicroseconds = usage.cpuMicroseconds ?? cpuMicroseconds
            usage.peakMemory = usage.peakMemory ?? peakMemory
            return usage
        }
    }

    private let loop: EventLoop
    private let workers: Workers
    private let jail: JailHandle
    private var watches: [EventLoop.Watch] = []
    /// The spawner answers in the order in which it was asked.
    private var starting: [Starting] = []
    /// Deaths that were told before the start was: they come on another socket.
    private var earlyDeaths: [Int32: Death] = [:]
    private var waiting: [Int32: (Death) -> Void] = [:]
    private var groupNumber = 0
    private var isReady = false
    /// Whoever needs what only a jail that is ready has.
    private var awaiting: [Starting] = []
    private(set) var isOver = false
    /// Told once, when the jail is of no use any more.
    private let ended: (LaunchFailure) -> Void

    /// - Parameter jail: one that nobody has given orders to.
    init(
        _ jail: JailHandle, workers: Workers, loop: EventLoop, ended: @escaping (LaunchFailure) -> Void
    ) throws(LaunchFailure) {
        self.loop = loop
        self.workers = workers
        self.ended = ended
        self.jail = jail
        do throws(Errno) {
            let control = jail.control, spawner = jail.spawner
            watches.append(try loop.watch(control, .readable) { [weak self] _ in self?.read(control) })
            watches.append(try loop.watch(spawner, .readable) { [weak self] _ in self?.read(spawner) })
        } catch {
            throw LaunchFailure(step: "epoll", errno: error)
        }
    }

    /// Makes groups for a command; nil on a machine without.
    func makeGroups() throws(LaunchFailure) -> CommandGroupsBox? { try jail.makeGroups(nextGroupName()) }

    /// Makes groups for a command to come, and a process in them, and calls back; with nil where that fails, which is told when
    /// a command needs them.
    func makeSpare(_ then: @escaping (Spare?) -> Void) {
        if nestsPids { return standBy(nil, then) }
        let jail = jail, name = nextGroupName()
        workers.perform({ () -> CommandGroupsBox? in try? jail.makeGroups(name) }) { [weak self] groups in
            guard let self, let groups, !isOver else { return then(nil) }
            standBy(groups, then)
        }
    }

    private func standBy(_ groups: CommandGroupsBox?, _ then: @escaping (Spare?) -> Void) {
        var standby: Standby?
        do throws(LaunchFailure) {
            standby = try makeStandby(
                groups,
                Starting(
                    started: { _ in then(standby.map { Spare(groups: groups, standby: $0) }) },
                    failed: { _ in then(nil) }))
        } catch {
            then(nil)
        }
    }

    /// Orders a process that stands by, or the init of a command's pid namespace; it takes the command even before it is there.
    func makeStandby(_ groups: CommandGroupsBox?, _ answer: Starting) throws(LaunchFailure) -> Standby {
        if isOver { throw Self.over }
        var pair = try step("socket") { () throws(Errno) in try makeSocketPair() }
        let theirs = try step("socket") { () throws(Errno) in try pair.takeWriting() }
        let entrances = groups?.takeEntrances() ?? DescriptorList()
        try jail.orderStandby(socket: theirs.raw, groups: entrances.raw)
        let standby = Standby(
            pid: nil, socket: try step("socket") { () throws(Errno) in try pair.takeReading() }, isInit: nestsPids)
        starting.append(
            Starting(
                started: { pid in
                    standby.began(pid)
                    answer.started(pid)
                }, failed: answer.failed))
        return standby
    }

    /// Whether commands have pid namespaces of their own.
    var nestsPids: Bool { jail.nestsPids }

    /// Whether commands have groups of their own.
    var nests: Bool { jail.nests }

    /// Bytes of memory in use now, by all that is in it.
    var memory: UInt64? { jail.memory }

    /// What all that was ever in it used.
    var usage: CgroupUsage? { jail.usage }

    /// Microseconds of processor time of that.
    var cpuMicroseconds: UInt64? { jail.cpuMicroseconds }

    private func nextGroupName() -> String {
        groupNumber += 1
        return "command-\(groupNumber)"
    }

    /// Orders a command.
    func start(
        _ command: CommandRequest, descriptors: (Int32, Int32, Int32), groups: [Int32], _ answer: Starting
    ) throws(LaunchFailure) {
        if isOver { throw Self.over }
        try jail.order(command, descriptors: descriptors, groups: groups)
        var answer = answer
        answer.command = command
        starting.append(answer)
    }

    /// Calls back when every step inside is done, at once where that is already so; or with what failed.
    func whenReady(_ action: @escaping () -> Void, failed: @escaping (LaunchFailure) -> Void) {
        if isReady { return action() }
        awaiting.append(Starting(started: { _ in action() }, failed: failed))
    }

    /// A terminal of the jail's, which must be ready.
    func makeTerminal(_ size: TerminalSize) throws(LaunchFailure) -> TerminalPair {
        if isOver { throw Self.over }
        return try jail.makeTerminal(size)
    }

    /// Sends a signal to the foreground process group of a terminal, or while it has none to its command's.
    func signalForeground(_ number: Int32, of master: Int32, or pid: Int32) throws(LaunchFailure) {
        if isOver { throw Self.over }
        try jail.signalForeground(number, of: master, or: pid)
    }

    private static let over = LaunchFailure(
        step: "session", remedy: "the session's jail has ended: open a new one")

    /// Calls back when the process is dead, at once where it is already.
    func whenDead(_ pid: Int32, _ action: @escaping (Death) -> Void) {
        if let death = earlyDeaths.removeValue(forKey: pid) { return action(death) }
        // Nobody will tell.
        if isOver { return action(Death(status: Signal.kill, cpuMicroseconds: 0, peakMemory: 0)) }
        waiting[pid] = action
    }

    /// Sends a signal to a command's process group.
    func signal(_ number: Int32, to pid: Int32) throws(LaunchFailure) {
        try jail.signal(number, to: pid)
    }

    /// Kills everything in it. That it is dead and gone comes a little later.
    func end() {
        stop(LaunchFailure(step: "session", remedy: "it was closed"), isTold: false)
    }

    private func read(_ socket: Int32) {
        guard !isOver else { return }
        do throws(Errno) {
            var message = try receiveMessageOrEnd(on: socket)
            guard !message.bytes.isEmpty else {
                return stop(
                    LaunchFailure(
                        step: socket == jail.control ? "jail-init" : "spawner",
                        remedy: "it ended unexpectedly: killed from outside, or for want of memory"))
            }
            let report = try JailReport(message.bytes)
            // The spawner says so too; nothing but jail-init's word is of interest, and that once.
            if case .ready = report, socket == jail.control, !isReady {
                jail.becameReady(with: message.takeDescriptors())
                becameReady()
            }
            handle(report)
        } catch {
            stop(LaunchFailure(step: "jail-init", errno: error))
        }
    }

    private func becameReady() {
        isReady = true
        let actions = awaiting
        awaiting = []
        for action in actions { action.started(0) }
    }

    private func handle(_ report: JailReport) {
        switch report {
        case .ready: break
        case .failed(let index, let object, let errno):
            let failure = jail.failure(index: index, object: object, errno: errno)
            stop(failure.isSecondary ? jail.firstFailure(or: failure) : failure)
        case .started(let pid):
            guard !starting.isEmpty else { return stop(LaunchFailure(step: "spawner", errno: .badMessage)) }
            starting.removeFirst().started(pid)
        case .notStarted(let step, let errno):
            guard !starting.isEmpty else { return stop(LaunchFailure(step: "spawner", errno: .badMessage)) }
            let start = starting.removeFirst()
            start.failed(
                start.command.map { LaunchFailure(start: step, errno, of: $0) }
                    ?? LaunchFailure(step: step, errno: errno))
        case .exited(let pid, let status, let cpu, let memory):
            let death = Death(status: status, cpuMicroseconds: cpu, peakMemory: memory)
            if let action = waiting.removeValue(forKey: pid) { return action(death) }
            // The spawner is the first process that PID 1 made. Its socket tells nothing, since PID 1 has it too.
            if pid == 2 { return spawnerDied() }
            // Orphans are reaped too; only the death of a command whose start is not told yet is of interest.
            if !starting.isEmpty, earlyDeaths.count < 4096 { earlyDeaths[pid] = death }
        }
        if starting.isEmpty { earlyDeaths = [:] }
    }

    /// Without it nothing can be started. Those who died with it, for want of memory, have been reported or are about to be.
    private func spawnerDied() {
        let failure = LaunchFailure(
            step: "spawner", remedy: "it ended unexpectedly: killed from outside, or for want of memory")
        guard !waiting.isEmpty else { return stop(failure) }
        _ = loop.after(Self.patience) { [weak self] in self?.stop(failure) }
    }

    /// Nanoseconds in which deaths that belong together are told.
    private static let patience: UInt64 = 20_000_000

    private func stop(_ failure: LaunchFailure, isTold: Bool = true) {
        if isOver { return }
        isOver = true
        for watch in watches { loop.unwatch(watch) }
        watches = []
        jail.kill()
        let jail = jail
        workers.perform { jail.end() }
        let abandoned = starting + awaiting
        starting = []
        awaiting = []
        let lost = waiting
        waiting = [:]
        for start in abandoned { start.failed(failure) }
        for action in lost.values { action(Death(status: Signal.kill, cpuMicroseconds: 0, peakMemory: 0)) }
        if isTold { ended(failure) }
    }
}
