// A jail that threads hand to one another: made in one, used by the loop, ended in another.
internal import JailPlan
public import JailPlanner
internal import Linux
internal import Machine
internal import Synchronization

/// A running jail. It is ended when the last holder lets go of it, if nobody has ended it before.
public final class JailHandle: Sendable {
    /// Nil once it has ended, or is being ended.
    private let jail: Mutex<Jail?>
    /// Held by who ends it, which takes milliseconds. Nobody who only looks waits for that.
    private let ending = Mutex(())
    /// What it was made from.
    public let prepared: PreparedJail
    /// The loop watches these; they are open as long as the jail has not ended.
    let control: Int32, spawner: Int32
    private let nesting: CommandGroups.Nesting?
    private let hasInits: Bool

    /// Makes a jail; when this returns, its processes exist and have their orders. It takes milliseconds.
    ///
    /// - Parameter nests: whether commands may have cgroups of their own; one whose jail it is needs none.
    /// - Throws: `LaunchFailure` where the supervisor's own part of the start fails. What fails inside is told by the first
    ///   command.
    public static func start(
        _ prepared: PreparedJail, filters store: FilterStore, supervisor: Supervisor, nests: Bool = true
    ) throws(LaunchFailure) -> JailHandle {
        try supervisor.requireJanitor()
        let filters = try supervisor.filterFiles(named: prepared.filterName) { () throws(LaunchFailure) in
            try store.outside(of: prepared.writableTrees).programs(for: prepared.filters, named: prepared.filterName)
        }
        return JailHandle(
            try Jail.start(prepared.plan, filters: filters, supervisor: supervisor, nests: nests), prepared,
            nests: nests)
    }

    private init(_ jail: consuming Jail, _ prepared: PreparedJail, nests: Bool) {
        self.prepared = prepared
        hasInits = prepared.plan.steps.contains { $0.action == .nestCommands }
        control = jail.control.raw
        endDescriptor = jail.process.endDescriptor
        spawner = jail.spawner.raw
        nesting = nests ? jail.cgroups.read { $0.nesting } : nil
        self.jail = Mutex(consume jail)
    }

    /// Readable when it has died; valid until it is ended.
    public let endDescriptor: Int32

    /// Whether it has died, or was ended.
    public var isDead: Bool { jail.withLock { jail in jail.read { $0.process.isDead } ?? true } }

    /// Whether its commands have cgroups of their own.
    public var nests: Bool { nesting != nil }

    /// Whether they have pid namespaces of their own instead.
    public var nestsPids: Bool { nesting == nil && hasInits }

    /// Groups for a command; nil on a machine without. Any thread may ask.
    func makeGroups(_ name: String) throws(LaunchFailure) -> CommandGroupsBox? {
        guard let nesting else { return nil }
        return CommandGroupsBox(try CommandGroups(name, in: nesting))
    }

    /// Bytes of memory in use now, by all that is in it; nil without a counter.
    public var memory: UInt64? { jail.withLock { jail in jail.read { $0.cgroups.read { $0.memory() } ?? nil } ?? nil } }

    /// What all that was ever in it used.
    var usage: CgroupUsage? {
        jail.withLock { jail in
            jail.read { jail in
                jail.cgroups.read { groups in
                    var usage = groups.usage()
                    usage.cpuMicroseconds = groups.cpuMicroseconds()
                    return usage
                }
            } ?? nil
        }
    }

    /// Microseconds of processor time of that.
    var cpuMicroseconds: UInt64? {
        jail.withLock { jail in jail.read { $0.cgroups.read { $0.cpuMicroseconds() } ?? nil } ?? nil }
    }

    func order(
        _ command: CommandRequest, descriptors: (Int32, Int32, Int32), groups: [Int32]
    ) throws(LaunchFailure) {
        let result = jail.withLock { jail in
            jail.read { jail in
                Result { () throws(LaunchFailure) in
                    try jail.order(command, descriptors: descriptors, groups: groups)
                }
            }
        }
        guard let result else { throw LaunchFailure(step: "session", remedy: "the jail has ended") }
        try result.get()
    }

    func orderStandby(socket: Int32, groups: [Int32]) throws(LaunchFailure) {
        let result = jail.withLock { jail in
            jail.read { jail in
                Result { () throws(LaunchFailure) in try jail.orderStandby(socket: socket, groups: groups) }
            }
        }
        guard let result else { throw LaunchFailure(step: "session", remedy: "the jail has ended") }
        try result.get()
    }

    func signal(_ number: Int32, to pid: Int32) throws(LaunchFailure) {
        let result = jail.withLock { jail in
            jail.read { jail in Result { () throws(Errno) in try jail.signal(number, to: pid) } }
        }
        do throws(Errno) { try result?.get() } catch { throw LaunchFailure(step: "signal", errno: error) }
    }

    /// Takes what jail-init sent with its word that everything is done.
    func becameReady(with descriptors: consuming DescriptorList) {
        // Of a jail that has ended meanwhile they are closed.
        var given: DescriptorList? = consume descriptors
        jail.withLock { jail in
            guard var own = jail.take(), let descriptors = given.take() else { return }
            own.becameReady(with: descriptors)
            jail = consume own
        }
    }

    func makeTerminal(_ size: TerminalSize) throws(LaunchFailure) -> TerminalPair {
        try jail.withLock { (jail) throws(LaunchFailure) in
            switch jail {
            case .some(let jail): return try jail.makeTerminal(size)
            case .none: throw LaunchFailure(step: "session", remedy: "the jail has ended")
            }
        }
    }

    func signalForeground(_ number: Int32, of master: Int32, or pid: Int32) throws(LaunchFailure) {
        let result = jail.withLock { jail in
            jail.read { jail in Result { () throws(Errno) in try jail.signalForeground(number, of: master, or: pid) } }
        }
        do throws(Errno) { try result?.get() } catch { throw LaunchFailure(step: "signal", errno: error) }
    }

    func failure(index: Int, object: String, errno: Errno) -> LaunchFailure {
        jail.withLock { jail in jail.read { $0.failure(index: index, object: object, errno: errno) } }
            ?? LaunchFailure(step: "jail-init", object: object, errno: errno)
    }

    func firstFailure(or seen: LaunchFailure) -> LaunchFailure {
        jail.withLock { jail in jail.read { $0.firstFailure(or: seen) } } ?? seen
    }

    /// Kills everything in it; does not wait.
    func kill() { jail.withLock { jail in _ = jail.read { $0.kill() } } }

    /// Kills everything in it, waits until it is dead and nothing is left of it.
    public func end() {
        ending.withLock { _ in
            guard var own = jail.withLock({ jail in jail.take() }) else { return }
            own.end()
        }
    }
}

/// A command's groups, which several parties may hold for a while.
final class CommandGroupsBox: Sendable {
    let groups: CommandGroups
    private let entrances: Mutex<DescriptorList>

    init(_ groups: consuming CommandGroups) {
        var own = groups
        entrances = Mutex(own.takeEntrances())
        self.groups = own
    }

    /// The files through which the command enters; none the second time.
    func takeEntrances() -> DescriptorList {
        entrances.withLock { list in
            var taken = DescriptorList()
            swap(&taken, &list)
            return taken
        }
    }
}
