// A running jail, from the outside.
public import JailPlan
public import Linux
internal import Machine

/// A jail that is being set up or runs. When the value goes away, every process in it is dead and nothing
/// of it is left.
public struct Jail: ~Copyable {
    let process: ChildProcess
    /// To jail-init.
    let control: Descriptor
    /// To the spawner.
    let spawner: Descriptor
    let plan: Plan
    private let supervisor: Supervisor
    let cgroups: CgroupLease?
    private let range: IdRange?
    private let id: String
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
    /// - Parameter filters: the seccomp programs that the plan's `filters` step names, in order.
    public init(_ plan: Plan, filters: [[UInt8]], supervisor: Supervisor) throws(LaunchFailure) {
        var times: [NamedTime] = []
        func mark(_ name: String) { times.append(NamedTime(step: name, nanoseconds: monotonicNanoseconds())) }
        let steps = SupervisorSteps(plan)
        mark("begin")

        let range: IdRange? = steps.map == .ownRange ? try IdRange.take() : nil
        let cgroups: CgroupLease?
        if let limits = steps.limits {
            cgroups = try CgroupLease.make(limits, in: supervisor.machine.cgroups)
        } else {
            cgroups = nil
        }
        mark("cgroups")

        var controlPair = try step("socket") { () throws(Errno) in try makeSocketPair() }
        var spawnerPair = try step("socket") { () throws(Errno) in try makeSocketPair() }
        let control = try step("socket") { () throws(Errno) in try controlPair.takeReading() }
        let theirControl = try step("socket") { () throws(Errno) in try controlPair.takeWriting() }
        let spawner = try step("socket") { () throws(Errno) in try spawnerPair.takeReading() }
        // The kernel says which process the first message on this socket comes from.
        try step("socket") { () throws(Errno) in try receiveCredentials(on: spawner.raw) }

        let process: ChildProcess
        do throws(SpawnFailure) {
            process = try cloneAndExecute(
                supervisor.initExecutable, arguments: ["jail-init"], namespaces: steps.namespaces,
                cgroup: cgroups?.cloneInto, control: theirControl.raw, null: supervisor.null.raw,
                ambientCapabilities: Capability.all)
        } catch {
            let name = error.step == "clone3" ? "clone" : error.step
            throw LaunchFailure(
                step: name, object: steps.namespaces.names.joined(separator: ","), errno: error.errno)
        }
        _ = consume theirControl
        mark("clone")
        id = "\(process.pid)"
        self.process = process
        self.control = control
        self.spawner = spawner
        self.plan = plan
        self.supervisor = supervisor
        self.cgroups = cgroups
        self.range = range
        self.times = times
        // From here on the jail has an owner, which ends it when a step below fails.
        try finishStart(steps, filters: filters, spawnerEnd: try step("socket") { () throws(Errno) in try spawnerPair.takeWriting() })
    }

    /// The supervisor's steps, which run while jail-init is being loaded and waits.
    private mutating func finishStart(
        _ steps: SupervisorSteps, filters: [[UInt8]], spawnerEnd: consuming Descriptor
    ) throws(LaunchFailure) {
        func mark(_ name: String) { times.append(NamedTime(step: name, nanoseconds: monotonicNanoseconds())) }
        if let janitor = supervisor.janitorIfAny, let directories = cgroups?.directories {
            try janitor.add(id, directories: directories, initProcess: process.pidfd.raw)
        }
        try mapIds(steps.map, range: range, of: process.pid)
        mark("map-ids")

        var descriptors = DescriptorList()
        let planFile = try step("plan") { () throws(Errno) in try memoryFile("plan", plan.encodedForJail()) }
        descriptors.append(planFile)
        descriptors.append(spawnerEnd)
        for program in filters {
            descriptors.append(try step("filters") { () throws(Errno) in try memoryFile("filter", program) })
        }
        for tree in steps.trees {
            descriptors.append(try clone(tree))
        }
        mark("clone-tree")
        try step("set-up") { () throws(Errno) in
            try send(
                Order.setUp(filters: filters.count, trees: steps.trees.count).encoded, descriptors: descriptors.raw,
                on: control.raw)
        }
    }

    private func clone(_ tree: SupervisorSteps.Tree) throws(LaunchFailure) -> Descriptor {
        let copy = try step("clone-tree", tree.source) { () throws(Errno) in
            try cloneTree(tree.source, recursive: true)
        }
        var map: Descriptor?
        if let owner = tree.owner, let first = range?.first, let command = plan.commandIdentity {
            map = try makeMountNamespaceMap(
                owner: owner, commandUser: first + command.user, commandGroup: first + command.group)
        }
        try step("clone-tree", tree.source) { () throws(Errno) in
            try setMountAttributes(of: copy.raw, set: tree.attributes, recursive: true, idMap: map?.raw)
        }
        return copy
    }

    /// Has the spawner start a command; what becomes of it is reported on the spawner's socket.
    func order(_ command: CommandRequest, descriptors: (Int32, Int32, Int32)) throws(LaunchFailure) {
        try step("start", command.arguments.first ?? "") { () throws(Errno) in
            let file = try memoryFile("command", command.encoded)
            try send(
                Order.start.encoded, descriptors: [file.raw, descriptors.0, descriptors.1, descriptors.2],
                on: spawner.raw)
        }
    }

    /// Places the spawner, whose pid the kernel told, into the jail's groups.
    func place(spawner pid: Int32) throws(LaunchFailure) {
        if let cgroups { try cgroups.attach(pid) }
        try step("place") { () throws(Errno) in try send(Order.placed.encoded, on: spawner.raw) }
    }

    /// Sends a signal to a command's process group.
    func signal(_ number: Int32, to pid: Int32) throws(Errno) {
        try send(Order.signal(pid: pid, number: number).encoded, on: control.raw)
    }

    /// Kills everything in the jail and waits until it is dead. May be called more than once.
    public func end() {
        // The death of a pid namespace's init kills the rest, stopped and frozen (version 2) processes too.
        try? process.signal(Signal.kill)
        cgroups?.kill()
        _ = try? process.wait()
    }

    deinit {
        try? process.signal(Signal.kill)
        cgroups?.kill()
        _ = try? process.wait()
        supervisor.janitorIfAny?.done(id)
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
        var source: String
        var attributes: MountAttributes
        var owner: Owner?
    }

    var namespaces: Namespaces = []
    var map: IdentityMap = .ownRange
    var limits: CgroupLimits?
    var trees: [Tree] = []

    init(_ plan: Plan) {
        for step in plan.steps {
            switch step.action {
            case .cgroups(let limits): self.limits = limits
            case .mapIds(let map): self.map = map
            case .clone(let namespaces): self.namespaces = namespaces
            case .cloneTree(_, let source, let attributes, let owner):
                trees.append(Tree(source: source, attributes: attributes, owner: owner))
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
