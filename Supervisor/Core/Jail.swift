// A running jail, from the outside.
internal import JailPlan
internal import Linux
internal import Machine

/// A jail that is being set up or runs. When the value goes away, every process in it is dead and nothing
/// of it is left.
public struct Jail: ~Copyable, Sendable {
    let process: ChildProcess
    /// To jail-init.
    let control: Descriptor
    /// To the spawner.
    let spawner: Descriptor
    let plan: Plan
    private let supervisor: Supervisor
    private(set) var cgroups: CgroupLease?
    private let range: IdRange?
    private var isEnded = false
    private var maps: [OwnerMap] = []
    /// The directory of its terminals, as jail-init sent it.
    private var terminals: Descriptor?
    /// When the supervisor's own steps were done.
    public private(set) var times: [NamedTime]

    /// A point in a jail's start.
    public struct NamedTime: Sendable, Hashable {
        /// The step, as in a printed plan.
        public var step: String
        /// Nanoseconds on CLOCK_MONOTONIC.
        public var nanoseconds: UInt64
    }

    /// Makes a jail. When this returns, its processes exist and have their orders; whether every step inside
    /// succeeds is reported on the sockets, which `CommandRun` reads.
    ///
    /// - Parameters:
    ///   - filters: the seccomp programs that the plan's `filters` step names.
    ///   - nests: whether its commands will have cgroups of their own.
    static func start(
        _ plan: Plan, filters: FilterFiles, supervisor: Supervisor, nests: Bool = false
    ) throws(LaunchFailure) -> Jail {
        var times: [NamedTime] = []
        func mark(_ name: String) { times.append(NamedTime(step: name, nanoseconds: monotonicNanoseconds())) }
        let steps = SupervisorSteps(plan)
        mark("begin")

        let range = try takeRange(for: steps.map)
        let cgroups = try makeGroups(steps.limits, in: supervisor.machine.cgroups)
        let birthGroup = cgroups.read { $0.cloneInto } ?? nil
        mark("cgroups")

        var controlPair = try step("socket") { () throws(Errno) in try makeSocketPair() }
        var spawnerPair = try step("socket") { () throws(Errno) in try makeSocketPair() }
        let control = try step("socket") { () throws(Errno) in try controlPair.takeReading() }
        let theirControl = try step("socket") { () throws(Errno) in try controlPair.takeWriting() }
        let spawner = try step("socket") { () throws(Errno) in try spawnerPair.takeReading() }

        let spawnerEnd = try step("socket") { () throws(Errno) in try spawnerPair.takeWriting() }
        let process = try cloneInit(
            supervisor, steps, cgroup: birthGroup, control: theirControl.raw)
        _ = consume theirControl
        mark("clone")
        // From here on the jail has an owner, which ends it when a step below fails.
        var jail = Jail(
            process: process, control: control, spawner: spawner, plan: plan, supervisor: supervisor,
            cgroups: cgroups, range: range, times: times)
        do throws(LaunchFailure) {
            try jail.finishStart(steps, filters: filters, spawnerEnd: spawnerEnd, nests: nests)
        } catch {
            // Whatever failed for want of jail-init is its failure to begin.
            try jail.confirmInit()
            throw error
        }
        return jail
    }

    private init(
        process: consuming ChildProcess, control: consuming Descriptor, spawner: consuming Descriptor, plan: Plan,
        supervisor: Supervisor, cgroups: consuming CgroupLease?, range: consuming IdRange?, times: [NamedTime]
    ) {
        self.process = process
        self.control = control
        self.spawner = spawner
        self.plan = plan
        self.supervisor = supervisor
        self.cgroups = cgroups
        self.range = range
        self.times = times
    }

    private static func takeRange(for map: IdentityMap) throws(LaunchFailure) -> IdRange? {
        if map == .ownRange { try IdRange.take() } else { nil }
    }

    private static func makeGroups(_ limits: CgroupLimits?, in tree: CgroupTree) throws(LaunchFailure) -> CgroupLease? {
        if limits != nil { try CgroupLease.begin(in: tree) } else { nil }
    }

    private static func cloneInit(
        _ supervisor: Supervisor, _ steps: SupervisorSteps, cgroup: Int32?, control: Int32
    ) throws(LaunchFailure) -> ChildProcess {
        try launching(steps.namespaces.names.joined(separator: ",")) { () throws(SpawnFailure) in
            try cloneAndExecute(
                supervisor.initExecutable, arguments: ["jail-init"] + (steps.announces ? ["announce"] : []),
                namespaces: steps.namespaces, cgroup: cgroup, control: control, null: supervisor.null.raw,
                ambientCapabilities: Capability.all)
        }
    }

    /// The supervisor's steps, which run while jail-init is being loaded and waits.
    private mutating func finishStart(
        _ steps: SupervisorSteps, filters: FilterFiles, spawnerEnd: consuming Descriptor, nests: Bool
    ) throws(LaunchFailure) {
        func mark(_ name: String) { times.append(NamedTime(step: name, nanoseconds: monotonicNanoseconds())) }
        try limitGroups(steps.limits, nests: nests)
        mark("limits")
        if steps.announces { try awaitAnnouncement() }
        try mapIds(
            steps.map, firstId: range.read { $0.first }, of: process.pid, programs: supervisor.machine.subordinateIds)
        mark("map-ids")

        let planFile = try step("plan") { () throws(Errno) in try memoryFile("plan", plan.encodedForJail()) }
        var descriptors = DescriptorList()
        let groups = try openEntrances(into: &descriptors)
        for tree in steps.trees {
            descriptors.append(try clone(tree))
        }
        mark("clone-tree")
        try confirmInit()
        do throws(LaunchFailure) {
            try step("set-up") { () throws(Errno) in
                try send(
                    Order.setUp(filters: filters.files.count, groups: groups, trees: steps.trees.count).encoded,
                    descriptors: [planFile.raw, spawnerEnd.raw] + filters.files.raw + descriptors.raw, on: control.raw)
            }
        } catch {
            throw error.isSecondary ? firstFailure(or: error) : error
        }
        mark("set-up")
    }

    /// Waits until jail-init has been executed, or says why it could not be.
    private func confirmInit() throws(LaunchFailure) {
        try launching("jail-init") { () throws(SpawnFailure) in try process.confirmExecuted() }
    }

    /// Waits until jail-init says that it is there.
    private func awaitAnnouncement() throws(LaunchFailure) {
        try confirmInit()
        let message = try step("jail-init") { () throws(Errno) in try receive(on: control.raw) }
        guard !message.bytes.isEmpty else { throw LaunchFailure(step: "jail-init", errno: .brokenPipe) }
    }

    private mutating func limitGroups(_ limits: CgroupLimits?, nests: Bool) throws(LaunchFailure) {
        guard let limits, var groups = cgroups.take() else { return }
        // They stay owned by the jail, which ends its processes before they are removed.
        do throws(LaunchFailure) {
            try groups.limit(limits, nests: nests)
            cgroups = consume groups
        } catch {
            cgroups = consume groups
            throw error
        }
    }

    private func openEntrances(into descriptors: inout DescriptorList) throws(LaunchFailure) -> Int {
        switch cgroups {
        case .some(let groups): try groups.openEntrances(into: &descriptors)
        case .none: 0
        }
    }

    private mutating func clone(_ tree: SupervisorSteps.Tree) throws(LaunchFailure) -> Descriptor {
        let source = tree.source
        let copy = try step("clone-tree", source.path) { () throws(Errno) in
            try cloneTree(source.path, identity: source.identity)
        }
        switch tree.ids {
        case .host: try tree.finish(copy.raw, map: nil)
        case .jail:
            let own = try step("clone-tree", "id map") { () throws(Errno) in
                try open("/proc/\(process.pid)/ns/user", .readOnly)
            }
            try tree.finish(copy.raw, map: own.raw)
        case .owner(let owner): try tree.finish(copy.raw, map: try map(for: owner)?.namespace.raw)
        }
        return copy
    }

    /// The map of an owner; trees of one owner share it.
    private mutating func map(for owner: Owner) throws(LaunchFailure) -> OwnerMap? {
        if let known = maps.first(where: { $0.owner == owner }) { return known }
        guard let first = range.read({ $0.first }), let command = plan.commandIdentity else { return nil }
        let map = try OwnerMap(
            owner: owner, commandUser: first + command.user, commandGroup: first + command.group)
        maps.append(map)
        return map
    }

    /// Has the spawner start a command; what becomes of it is reported on the spawner's socket.
    func order(
        _ command: CommandRequest, descriptors: (Int32, Int32, Int32), groups: [Int32] = []
    ) throws(LaunchFailure) {
        try sendCommand(command, descriptors: descriptors, groups: groups, on: spawner.raw)
    }

    /// Has the spawner make a process that stands by for a command; its pid is reported on the spawner's socket.
    ///
    /// - Parameters:
    ///   - socket: the end on which it takes the command.
    ///   - groups: files through which it enters cgroups of its own.
    func orderStandby(socket: Int32, groups: [Int32]) throws(LaunchFailure) {
        try step("start", "stand-by") { () throws(Errno) in
            try send(Order.standBy(groups: groups.count).encoded, descriptors: [socket] + groups, on: spawner.raw)
        }
    }

    /// A failed step of this jail's plan.
    func failure(index: Int, object: String, errno: Errno) -> LaunchFailure {
        LaunchFailure(
            step: plan.steps.indices.contains(index) ? plan.steps[index].action.name : "jail-init", object: object,
            errno: errno)
    }

    /// What jail-init or the spawner says of its own failure, when another one was seen first that follows from it.
    func firstFailure(or seen: LaunchFailure) -> LaunchFailure {
        for socket in [control.raw, spawner.raw] {
            while (try? waitReadable(socket, milliseconds: 1000)) == true,
                let bytes = try? receiveOrEnd(on: socket), !bytes.isEmpty
            {
                guard case .failed(let index, let object, let errno)? = try? JailReport(bytes) else { continue }
                let failure = failure(index: index, object: object, errno: errno)
                if !failure.isSecondary { return failure }
            }
        }
        return seen
    }

    /// Keeps what came with jail-init's report that the jail is ready.
    mutating func becameReady(with descriptors: consuming DescriptorList) { terminals = try? descriptors.take(0) }

    /// A terminal of the jail's own, which its commands may open as /dev/pts/N. The jail must be ready.
    func makeTerminal(_ size: TerminalSize) throws(LaunchFailure) -> TerminalPair {
        guard let directory = terminals.read({ $0.raw }) else {
            throw LaunchFailure(step: "terminal", object: "/dev/pts", remedy: "this jail has no terminals")
        }
        let pair = try step("terminal", "/dev/pts/ptmx") { () throws(Errno) in
            try TerminalPair(in: directory, size: size)
        }
        // Where the mount does not say whose they are, this one would be the supervisor's, whom the jail does not know.
        if let first = range.read({ $0.first }), plan.commandIdentity?.user == IDs.keeper {
            try step("terminal", "/dev/pts") { () throws(Errno) in try pair.giveTo(user: first) }
        }
        return pair
    }

    /// Sends a signal to the foreground process group of one of its terminals, or while it has none to its command's.
    func signalForeground(_ number: Int32, of master: Int32, or pid: Int32) throws(Errno) {
        try send(Order.signalForeground(pid: pid, number: number).encoded, descriptors: [master], on: control.raw)
    }

    /// Sends a signal to a command's process group.
    func signal(_ number: Int32, to pid: Int32) throws(Errno) {
        try send(Order.signal(pid: pid, number: number).encoded, on: control.raw)
    }

    /// Kills everything in the jail and waits until it is dead; what can be done while the kernel takes it down is done
    /// `meanwhile`. May be called more than once.
    mutating func end(meanwhile: (borrowing CgroupLease) -> Void = { _ in }) {
        if isEnded { return }
        kill()
        cgroups.read(meanwhile)
        _ = try? process.wait()
        isEnded = true
    }

    /// Kills everything in it; does not wait.
    borrowing func kill() {
        // The death of a pid namespace's init kills the rest, stopped and frozen (version 2) processes too.
        try? process.signal(Signal.kill)
        cgroups.read { $0.kill() }
    }

    deinit {
        if !isEnded {
            kill()
            _ = try? process.wait()
        }
    }
}

/// One message's bytes; empty when the other side is gone, in whatever way it went.
func receiveOrEnd(on socket: Int32) throws(Errno) -> [UInt8] { try receiveMessageOrEnd(on: socket).bytes }

/// The same, with the descriptors that came along.
func receiveMessageOrEnd(on socket: Int32) throws(Errno) -> Message {
    do throws(Errno) { return try receive(on: socket, capacity: 65536) } catch {
        guard error == .connectionReset else { throw error }
    }
    // The other side left with a message of ours unread. That is told first, and once; what it said before is
    // still there to be read.
    return try receive(on: socket, capacity: 65536)
}

/// Orders a command of the spawner, or of a process that stands by.
func sendCommand(
    _ command: CommandRequest, descriptors: (Int32, Int32, Int32), groups: [Int32], on socket: Int32
) throws(LaunchFailure) {
    try step("start", command.arguments.first ?? "") { () throws(Errno) in
        let streams = [descriptors.0, descriptors.1, descriptors.2]
        let bytes = command.encoded
        guard bytes.count > Order.mostCommandBytes else {
            return try send(
                Order.start(groups: groups.count, command: command).encoded, descriptors: streams + groups, on: socket)
        }
        let file = try memoryFile("command", bytes)
        try send(
            Order.start(groups: groups.count, command: nil).encoded, descriptors: streams + [file.raw] + groups,
            on: socket)
    }
}

/// A file in memory with these contents, to be read from the start.
private func memoryFile(_ name: String, _ bytes: [UInt8]) throws(Errno) -> Descriptor {
    let file = try makeMemoryFile(named: name)
    try file.writeAll(bytes)
    try rewind(file.raw)
    return file
}

/// The supervisor's and the stub's parts of a plan.
struct SupervisorSteps {
    struct Tree {
        var source: Source
        var attributes: MountAttributes
        var ids: TreeIds

        /// Gives a copy of the tree its attributes, and where there is one its map.
        func finish(_ copy: Int32, map: Int32?) throws(LaunchFailure) {
            try step("clone-tree", source.path) { () throws(Errno) in
                try setMountAttributes(of: copy, set: attributes, recursive: true, idMap: map)
            }
        }
    }

    var namespaces: Namespaces = []
    var map: IdentityMap = .ownRange
    var limits: CgroupLimits?
    var trees: [Tree] = []

    /// Whether jail-init has to say that it is there before its ids are mapped. Until its execve(2) is done its files in /proc are
    /// root's where this supervisor is not dumpable, as for all who share its memory (proc(5)); that it has begun tells
    /// `confirmExecuted`, but not that. A set-uid helper can write them in any case, and root too.
    var announces: Bool { if case .single = map { true } else { false } }

    init(_ plan: Plan) {
        for step in plan.steps {
            switch step.action {
            case .cgroups(let limits): self.limits = limits
            case .mapIds(let map): self.map = map
            case .clone(let namespaces): self.namespaces = namespaces
            case .cloneTree(_, let source, let attributes, let ids):
                trees.append(Tree(source: source, attributes: attributes, ids: ids))
            default: break
            }
        }
    }
}

extension Plan {
    /// The ids of commands inside.
    var commandIdentity: (user: UInt32, group: UInt32)? {
        for step in steps {
            if case .identity(let user, let group, _) = step.action { return (user, group) }
        }
        return nil
    }
}
