// The spawner: the process that starts commands.
//
// It stands in the jail's limited cgroups, so what it starts is limited from birth, and it takes what all
// commands share (capabilities, Landlock, filters) once, so a command inherits instead of setting up. It
// keeps only the capabilities to change identity, has another id than the commands where ids allow, and
// cannot be traced.
internal import JailPlan
internal import Linux

/// What the spawner is born with.
struct SpawnerStart: ~Copyable {
    let steps: [(index: Int, step: Step)]
    let filters: [[UInt8]]
    /// Files to write to, to enter the cgroups.
    let groups: [Int32]
    let socket: Int32
    let rootReady: Descriptor
    let clock: ClockOffset

    init(
        steps: [(index: Int, step: Step)], filters: [[UInt8]], groups: [Int32], socket: Int32,
        rootReady: consuming Descriptor,
        clock: ClockOffset
    ) {
        self.steps = steps
        self.filters = filters
        self.groups = groups
        self.socket = socket
        self.rootReady = rootReady
        self.clock = clock
    }
}

/// The spawner's whole life.
func runSpawner(_ start: consuming SpawnerStart) -> Never {
    nameProcess("cordon-spawner")
    // What commands inherit.
    setFileModeMask(0o022)
    let socket = start.socket, commands = CommandSteps(start.steps, filters: start.filters)
    let confined = confineReporting(start)
    do {
        try send(confined.encoded, on: socket)
        guard case .ready = confined else { exitNow(1) }
        while let order = try nextOrder(on: socket) {
            try send(try carryOut(order, commands).encoded, on: socket)
        }
    } catch {
        exitNow(1)
    }
    exitNow(0)
}

private func confineReporting(_ start: consuming SpawnerStart) -> JailReport {
    do throws(StepFailure) { return .ready(times: try confine(start)) } catch { return error.report }
}

/// What is left to do for each command.
struct CommandSteps {
    /// Those of the command itself.
    let own: [Action]
    /// Those of the init of its pid namespace; nil where it has none.
    let initial: [Action]?
    let filters: [[UInt8]]

    init(_ steps: [(index: Int, step: Step)], filters: [[UInt8]]) {
        own = steps.filter { $0.step.actor == .command }.map(\.step.action)
        let spawner = steps.filter { $0.step.actor == .spawner }.map(\.step.action)
        initial = spawner.firstIndex(of: .nestCommands).map { Array(spawner[($0 + 1)...]) }
        self.filters = filters
    }
}

/// Enters the groups, waits for the root, then gives everything up, step by step: all of it, or where commands are nested
/// what their inits do not do.
private func confine(_ start: consuming SpawnerStart) throws(StepFailure) -> [JailReport.StepTime] {
    var times: [JailReport.StepTime] = []
    for (index, step) in start.steps where step.actor == .spawner {
        do throws(Errno) {
            switch step.action {
            case .enterCgroups:
                // "0" is the writer itself; it still has its caller's identity (see `enter`).
                for group in start.groups { _ = try write(group, [UInt8(ascii: "0")]) }
            case .awaitRoot, .awaitJail:
                var byte: [UInt8] = [0]
                guard try start.rootReady.read(into: &byte) == 1 else { throw Errno.brokenPipe }
            case .nestCommands: return times
            default: try giveUp(step.action, filters: start.filters)
            }
        } catch {
            throw StepFailure(index: index, object: step.action.object, errno: error)
        }
        let now = monotonicNanoseconds() + start.clock.monotonicSeconds * 1_000_000_000
        times.append(.init(index: index, nanoseconds: now))
    }
    return times
}

/// One step of confinement.
func giveUp(_ action: Action, filters: [[UInt8]]) throws(Errno) {
    switch action {
    case .dropGroups: try dropSupplementaryGroups()
    case .become(let user, let group): try become(user: user, group: group)
    case .undumpable: try makeUndumpable()
    case .cgroupNamespace: try enterNew(.cgroup)
    case .boundingSet(let bounding): try cutBoundingSet(to: bounding)
    case .keepCapabilities(let kept): try keepOnly(kept)
    case .noNewPrivileges: try forbidNewPrivileges()
    case .limits(let limits): for limit in limits { try setLimit(limit) }
    case .landlock(let abi, let scoped, let rules): try restrict(abi: abi, scoped: scoped, rules: rules)
    case .filters(_, let count):
        guard count == filters.count else { throw .badMessage }
        for program in filters { try loadFilter(program) }
    default: throw .invalid
    }
}

private func restrict(abi: Int, scoped: Bool, rules: [LandlockRule]) throws(Errno) {
    let ruleset = try LandlockRuleset(abi: abi, scoped: scoped)
    for rule in rules {
        do throws(Errno) {
            // openat2 is beyond the filter, which is loaded already.
            let place = try openPlace(rule.path)
            try ruleset.allow(rule.access, beneath: place.raw)
        } catch {
            if error != .noEntry { throw error }
        }
    }
    try ruleset.restrictSelf()
}

/// An order, and the descriptors that came with it.
private struct PendingOrder: ~Copyable {
    let order: Order
    let descriptors: DescriptorList
}

/// Waits for the next order; nil when the supervisor is gone.
private func nextOrder(on socket: Int32) throws(Errno) -> PendingOrder? {
    try waitLightly(for: socket)
    var message = try receive(on: socket)
    if message.bytes.isEmpty { return nil }
    return PendingOrder(order: try Order(message.bytes), descriptors: message.takeDescriptors())
}

/// A command, its streams, and the groups that it is to enter.
struct CommandOrder {
    let command: CommandRequest
    let streams: (Int32, Int32, Int32)
    let groups: [Int32]

    /// The descriptors stay their owner's: they must be open until the command has them.
    init(_ command: CommandRequest?, groups: Int, _ descriptors: borrowing DescriptorList) throws(Errno) {
        let numbers = descriptors.raw, others = command == nil ? 4 : 3
        guard groups >= 0, groups <= 16, numbers.count == others + groups else { throw .badMessage }
        // Too long for the message, it came in a file.
        if let command { self.command = command } else { self.command = try CommandRequest(try readWhole(numbers[3])) }
        streams = (numbers[0], numbers[1], numbers[2])
        self.groups = Array(numbers.dropFirst(others))
    }
}

/// Does what was ordered, and says what became of it.
private func carryOut(_ order: borrowing PendingOrder, _ steps: CommandSteps) throws(Errno) -> JailReport {
    switch order.order {
    // The spawner itself is not confined where commands are nested.
    case .start(let groups, let command) where steps.initial == nil:
        return try startOne(try CommandOrder(command, groups: groups, order.descriptors), steps)
    case .standBy(let groups):
        guard groups >= 0, groups <= 16, order.descriptors.count == 1 + groups else { throw .badMessage }
        return standBy(order.descriptors, steps)
    default: throw .badMessage
    }
}

/// Starts a command and says what became of it.
private func startOne(_ order: CommandOrder, _ steps: CommandSteps) throws(Errno) -> JailReport {
    var scope: LandlockRuleset?
    let start = try commandStart(order.command, steps, &scope, groups: order.groups)
    do throws(SpawnFailure) {
        return .started(pid: try startCommand(start, descriptors: order.streams))
    } catch {
        return .notStarted(step: error.step, errno: error.errno)
    }
}

/// What all commands have, and what this one asks for.
func commandStart(
    _ request: CommandRequest, _ steps: CommandSteps, _ scope: inout LandlockRuleset?, groups: [Int32]
) throws(Errno) -> CommandStart {
    var identity: (user: UInt32, group: UInt32)?
    var capabilities: UInt64 = 0
    var limits: [ResourceLimit] = []
    for action in steps.own {
        switch action {
        case .identity(let user, let group, let kept):
            identity = (user, group)
            capabilities = kept
        case .limits(let all): limits = all
        case .signalScope: scope = try .signalScope()
        default: throw .invalid
        }
    }
    return CommandStart(
        candidates: request.candidates, arguments: request.arguments, environment: request.environment,
        directory: request.directory, identity: identity, capabilities: capabilities, limits: limits,
        controllingTerminal: request.controllingTerminal, ruleset: scope.read { $0.raw }, groups: groups,
        hasOwnLimits: request.hasOwnLimits, isChild: steps.initial != nil)
}

// MARK: - Standing by

/// Forks a process that waits in cgroups of its own for the command that it is to become. To fork and to move into them takes
/// longer than to execute, on version 2 for as long as an RCU grace period, and nobody waits for it here. Where commands are
/// nested, it is the init of a pid namespace.
private func standBy(_ received: borrowing DescriptorList, _ steps: CommandSteps) -> JailReport {
    let descriptors = received.raw
    do throws(Errno) {
        let pid = try forkSibling(into: steps.initial == nil ? [] : [.pid, .mount])
        if pid == 0 {
            if steps.initial != nil { runCommandInit(descriptors[0], steps) }
            waitForCommand(descriptors[0], groups: Array(descriptors.dropFirst()), steps)
        }
        return .started(pid: pid)
    } catch {
        return .notStarted(step: "start", errno: error)
    }
}

/// The whole life of a process that stands by. Until it is told what to be it is as confined as the spawner, whose copy it
/// is, and as out of reach for commands.
private func waitForCommand(_ socket: Int32, groups: [Int32], _ steps: CommandSteps) -> Never {
    nameProcess("cordon-standby")
    do throws(StandByFailure) {
        // The command does not wait for sixty calls.
        resetSignals()
        // The process group that signals to the command go to, also those that come before it is one.
        try failing("session") { () throws(Errno) in try startSession() }
        for group in groups {
            try failing("cgroups") { () throws(Errno) in try enter(group, steps) }
        }
        // The spawner's socket must end with the spawner.
        try failing("start") { () throws(Errno) in try closeDescriptors(from: 3, except: socket) }
        rehearse(steps)
        // It keeps its pages, which are few and those of every other one: it is made so that nobody waits.
        var message = try failing("start") { () throws(Errno) in try receive(on: socket) }
        // It is not needed any more.
        if message.bytes.isEmpty { exitNow(0) }
        let order = try failing("start") { () throws(Errno) in try Order(message.bytes) }
        guard case .start(groups: 0, let command) = order else {
            throw StandByFailure(step: "start", errno: .badMessage)
        }
        try become(command, message.takeDescriptors(), steps)
    } catch {
        try? send(JailReport.notStarted(step: error.step, errno: error.errno).encoded, on: socket)
        exitNow(127)
    }
}

/// Moves this process into a group whose file is open.
///
/// On version 1 its opener must be root or have the mover's id, the real or the saved one (kernel/cgroup/cgroup-v1.c): a caller
/// with subordinate ids has the command's, and so has this process for that moment. Then it is out of reach again.
private func enter(_ group: Int32, _ steps: CommandSteps) throws(Errno) {
    do throws(Errno) { return _ = try write(group, [UInt8(ascii: "0")]) } catch {
        guard error == .accessDenied else { throw error }
    }
    for case .identity(let user, _, _) in steps.own {
        let own = callerIdentity.user
        try setSavedUser(user)
        _ = try write(group, [UInt8(ascii: "0")])
        return try setSavedUser(own)
    }
    throw .accessDenied
}

/// Becomes a command.
///
/// Borrowed: the descriptors must be open until it has.
private func become(
    _ command: CommandRequest?, _ descriptors: borrowing DescriptorList, _ steps: CommandSteps
) throws(StandByFailure) -> Never {
    var scope: LandlockRuleset?
    let order = try failing("start") { () throws(Errno) in try CommandOrder(command, groups: 0, descriptors) }
    let start = try failing("start") { () throws(Errno) in
        try commandStart(order.command, steps, &scope, groups: [])
    }
    let failure = becomeCommand(start, descriptors: order.streams)
    // The ruleset, too.
    _ = scope.read { $0.raw }
    throw StandByFailure(step: failure.step, errno: failure.errno)
}

/// Does what is done with a command, but for the last step, so that the pages that it takes are there when one comes.
private func rehearse(_ steps: CommandSteps) {
    var scope: LandlockRuleset?
    let nothing = CommandRequest(candidates: ["/"], arguments: ["/"], environment: ["A=B"], directory: "/")
    guard case .start(_, let command?) = try? Order(Order.start(groups: 0, command: nothing).encoded),
        let start = try? commandStart(command, steps, &scope, groups: [])
    else { return }
    rehearseCommand(start)
}

struct StandByFailure: Error {
    var step: String
    var errno: Errno
}

func failing<Result: ~Copyable>(
    _ step: String, _ body: () throws(Errno) -> Result
) throws(StandByFailure) -> Result {
    do throws(Errno) { return try body() } catch { throw StandByFailure(step: step, errno: error) }
}
