// jail-init's part of the plan, applied in order. `run` is the order of confinement.
internal import JailPlan
internal import Linux

/// What the supervisor sent: the plan and the descriptors it refers to.
struct SetUp: ~Copyable {
    private let steps: [(index: Int, step: Step)]
    private let descriptors: DescriptorList
    private let filterCount: Int, groupCount: Int
    /// The directory of the jail's terminals, taken before a command could put another one in its place.
    private(set) var terminals: Descriptor?

    /// Waits for the supervisor's message. When it comes, the id maps are written.
    init(receivedOn control: Int32) throws(Errno) {
        var message = try receive(on: control)
        guard case .setUp(let filters, let groups, let trees) = try Order(message.bytes),
            message.descriptors.count == 2 + filters + groups + trees
        else { throw .badMessage }
        let plan = try message.descriptors.take(0)
        steps = try Plan.decodedInJail(try plan.readAll())
        filterCount = filters
        groupCount = groups
        descriptors = message.takeDescriptors()
    }

    private var spawnerSocket: Int32 { get throws(Errno) { try descriptors.number(at: 1) } }

    private func tree(_ index: Int) throws(Errno) -> Int32 {
        try descriptors.number(at: 2 + filterCount + groupCount + index)
    }

    private func groups() throws(Errno) -> [Int32] {
        var files: [Int32] = []
        for index in 0..<groupCount { files.append(try descriptors.number(at: 2 + filterCount + index)) }
        return files
    }

    private func filters() throws(Errno) -> [[UInt8]] {
        var programs: [[UInt8]] = []
        for index in 0..<filterCount {
            programs.append(try readWhole(try descriptors.number(at: 2 + index)))
        }
        return programs
    }

    /// Applies every step of jail-init. Returns when each was done, or what failed.
    mutating func run(spawnerBody: (consuming SpawnerStart) -> Never) -> JailReport {
        do throws(StepFailure) { return .ready(times: try apply(spawnerBody: spawnerBody)) } catch {
            return error.report
        }
    }

    private mutating func apply(
        spawnerBody: (consuming SpawnerStart) -> Never
    ) throws(StepFailure) -> [JailReport.StepTime] {
        var times: [JailReport.StepTime] = []
        var root: NewRoot?
        var clock = ClockOffset.none
        var gate: Descriptor?
        for (index, step) in steps where step.actor == .jailInit {
            do throws(Errno) {
                switch step.action {
                case .freshKeyring: try joinFreshKeyring()
                case .zeroClock: clock = try zeroClock()
                case .hostName(let name): try setHostName(name)
                case .loopback: try switchOnLoopback()
                case .dropGroups: try dropSupplementaryGroups()
                case .become(let user, let group): try become(user: user, group: group)
                case .undumpable: try makeUndumpable()
                case .forkSpawner: gate = try forkSpawner(clock: clock, body: spawnerBody)
                case .makeRoot(let bytes, let inodes): root = try .make(bytes: bytes, inodes: inodes)
                case .attachTree(let index, let path):
                    // A plan that mounts before it makes a root is malformed.
                    if root == nil { throw Errno.invalid }
                    try root?.attachTree(try tree(index), to: path)
                case .pivotRoot:
                    if root == nil { throw Errno.invalid }
                    try root?.takePlace()
                    try gate.read { (gate) throws(Errno) in try gate.writeAll([1]) }
                case .leaveOldRoot: try leaveOldRoot()
                case .keepCapabilities(let kept): try keepOnly(kept)
                default:
                    if root == nil { throw Errno.invalid }
                    try root?.apply(step.action)
                }
            } catch {
                throw StepFailure(index: index, object: step.action.object, errno: error)
            }
            // A plan may have thousands of masks; a message holds the times of some hundred steps.
            if times.count < 1000 { times.append(.init(index: index, nanoseconds: monotonicNanoseconds())) }
        }
        terminals = try? openPlace("/dev/pts")
        // Everything is in place: the spawner may start commands.
        if let gate = gate.take() {
            do throws(Errno) { try gate.writeAll([1]) } catch {
                throw StepFailure(index: -1, object: "spawner", errno: error)
            }
        }
        return times
    }

    /// The spawner is forked before there is a root, so that it enters its cgroups while the mounts
    /// are made. It enters the time namespace, if there is a new one, by being born.
    ///
    /// Not mutating: of what a mutating call owns, the child, which never returns, is taken to have no more need.
    private func forkSpawner(
        clock: ClockOffset, body: (consuming SpawnerStart) -> Never
    ) throws(Errno) -> Descriptor {
        // pivot_root moves the working directory of those who stand in the old root, and of nobody else.
        try changeDirectory(to: "/")
        var gate = try makePipe()
        let reading = try gate.takeReading(), writing = try gate.takeWriting()
        let socket = try spawnerSocket
        let filters = try filters(), groups = try groups()
        if try forkProcess() == 0 {
            body(
                SpawnerStart(
                    steps: steps.filter { $0.step.actor == .spawner || $0.step.actor == .command },
                    filters: filters, groups: groups, socket: socket, rootReady: reading, clock: clock))
        }
        return writing
    }

    /// Boot time starts near zero for whoever is born into the namespace. Its offsets can be written only
    /// until somebody is in it (time_namespaces(7)).
    private func zeroClock() throws(Errno) -> ClockOffset {
        try enterNew(.time)
        let offset = ClockOffset(
            monotonicSeconds: monotonicNanoseconds() / 1_000_000_000, bootSeconds: bootNanoseconds() / 1_000_000_000)
        try writeText(
            "monotonic -\(offset.monotonicSeconds) 0\nboottime -\(offset.bootSeconds) 0\n",
            to: "/proc/self/timens_offsets")
        return offset
    }
}

/// How far the clocks of a time namespace are behind the host's.
struct ClockOffset {
    var monotonicSeconds: UInt64
    var bootSeconds: UInt64

    static let none = ClockOffset(monotonicSeconds: 0, bootSeconds: 0)
}
