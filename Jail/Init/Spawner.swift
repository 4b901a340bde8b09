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
    let socket = start.socket, steps = start.steps
    let confined = confineReporting(start)
    do {
        try send(confined.encoded, on: socket)
        guard case .ready = confined else { exitNow(1) }
        while let request = try nextCommand(on: socket) {
            try send(try startOne(request, steps: steps).encoded, on: socket)
        }
    } catch {
        exitNow(1)
    }
    exitNow(0)
}

private func confineReporting(_ start: consuming SpawnerStart) -> JailReport {
    do throws(StepFailure) { return .ready(times: try confine(start)) } catch { return error.report }
}

/// Enters the groups, waits for the root, then gives everything up, step by step.
private func confine(_ start: consuming SpawnerStart) throws(StepFailure) -> [JailReport.StepTime] {
    var times: [JailReport.StepTime] = []
    for (index, step) in start.steps where step.actor == .spawner {
        do throws(Errno) {
            switch step.action {
            case .enterCgroups:
                // "0" is the writer itself; its own identity does not matter, the opener's did (cgroups(7)).
                for group in start.groups { _ = try write(group, [UInt8(ascii: "0")]) }
            case .dropGroups: try dropSupplementaryGroups()
            case .become(let user, let group): try become(user: user, group: group)
            case .undumpable: try makeUndumpable()
            case .awaitRoot, .awaitJail:
                var byte: [UInt8] = [0]
                guard try start.rootReady.read(into: &byte) == 1 else { throw Errno.brokenPipe }
            case .cgroupNamespace: try enterNew(.cgroup)
            case .boundingSet(let bounding): try cutBoundingSet(to: bounding)
            case .keepCapabilities(let kept): try keepOnly(kept)
            case .noNewPrivileges: try forbidNewPrivileges()
            case .limits(let limits): for limit in limits { try setLimit(limit) }
            case .landlock(let abi, let scoped, let rules): try restrict(abi: abi, scoped: scoped, rules: rules)
            case .filters(_, let count):
                guard count == start.filters.count else { throw Errno.badMessage }
                for program in start.filters { try loadFilter(program) }
            default: throw Errno.invalid
            }
        } catch {
            throw StepFailure(index: index, object: step.action.object, errno: error)
        }
        let now = monotonicNanoseconds() + start.clock.monotonicSeconds * 1_000_000_000
        times.append(.init(index: index, nanoseconds: now))
    }
    return times
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

/// A command and the descriptors it gets.
private struct PendingCommand: ~Copyable {
    let request: CommandRequest
    let descriptors: DescriptorList
}

/// Waits for the next command; nil when the supervisor is gone.
private func nextCommand(on socket: Int32) throws(Errno) -> PendingCommand? {
    try waitLightly(for: socket)
    var message = try receive(on: socket)
    if message.bytes.isEmpty { return nil }
    guard case .start(let groups) = try Order(message.bytes), groups >= 0, groups <= 16,
        message.descriptors.count == 4 + groups
    else { throw .badMessage }
    let request = try message.descriptors.take(0)
    return PendingCommand(
        request: try CommandRequest(try request.readAll()), descriptors: message.takeDescriptors())
}

/// Starts a command and says what became of it.
private func startOne(
    _ pending: borrowing PendingCommand, steps: [(index: Int, step: Step)]
) throws(Errno) -> JailReport {
    var identity: (user: UInt32, group: UInt32)?
    var capabilities: UInt64 = 0
    var limits: [ResourceLimit] = []
    var scope: LandlockRuleset?
    for (_, step) in steps where step.actor == .command {
        switch step.action {
        case .identity(let user, let group, let kept):
            identity = (user, group)
            capabilities = kept
        case .limits(let all): limits = all
        case .signalScope: scope = try .signalScope()
        default: throw .invalid
        }
    }
    let request = pending.request
    let descriptors = pending.descriptors.raw
    let start = CommandStart(
        candidates: request.candidates, arguments: request.arguments, environment: request.environment,
        directory: request.directory, identity: identity, capabilities: capabilities, limits: limits,
        controllingTerminal: request.controllingTerminal, ruleset: scope.read { $0.raw },
        groups: Array(descriptors.dropFirst(4)), hasOwnLimits: request.hasOwnLimits)
    do throws(SpawnFailure) {
        return .started(pid: try startCommand(start, descriptors: (descriptors[1], descriptors[2], descriptors[3])))
    } catch {
        return .notStarted(step: error.step, errno: error.errno)
    }
}
