// Policy → plan: everything about a jail is decided here, before any process exists.
internal import JailFilters
internal import JailPlan
internal import Linux
public import Machine
public import PolicyModel

/// Makes the plan for a policy on a machine. Reads the host (what is there, what must be masked), changes
/// nothing.
public func makePlan(
    policy: Policy, request: PlanRequest, machine: Machine
) throws(PlanFailure) -> PreparedJail {
    var planner = Planner(policy: policy, request: request, machine: machine)
    return try planner.make()
}

/// The private cache directories that a plan will mount; they must exist before it is made.
public func cacheDirectories(
    policy: Policy, request: PlanRequest, machine: Machine
) throws(PlanFailure) -> [String] {
    try CachePlan(
        policy.fileSystem.caches, workspace: request.workspace, user: machine.user,
        callerEnvironment: request.callerEnvironment
    ).mounts.map(\.source)
}

struct Planner {
    let policy: Policy
    let request: PlanRequest
    let machine: Machine
    var assurance: Assurance
    var steps: [Step] = []
    var treeCount = 0
    var landlockRules: [LandlockRule] = []
    /// Trees of the host that commands get besides the surroundings, with whether they may write.
    var grants: [Grant] = []

    init(policy: Policy, request: PlanRequest, machine: Machine) {
        self.policy = policy
        self.request = request
        self.machine = machine
        assurance = Assurance(allowed: Set(policy.allowDegraded.keys))
    }

    /// The repository that follows the workspace.
    var worktree: LinkedWorktree?
    var hasAutomaticToolchains = false
    /// Tool chains and caches: `(directory of the host, where it appears)`.
    var otherTrees: [(source: String, path: String)] = []

    struct Grant {
        var path: String
        var source: HostTree
        var writable: Bool
    }

    var command: Owner {
        let user = policy.identity.user?.value ?? UserIdentity(uid: 1000, gid: 1000)
        return Owner(user: user.uid, group: user.gid)
    }

    /// Root inside, for package managers: over a writable layer that goes with the jail.
    var isRoot: Bool { policy.identity.root.value }
    var isOpenNetwork: Bool { policy.network.value == .host }
    var isPure: Bool { policy.seccomp.value == .pure }
    var restrictsExecution: Bool { policy.fileSystem.exec != nil }

    mutating func add(_ actor: Step.Actor, _ actions: Action...) { steps += actions.map { Step(actor, $0) } }
    mutating func add(_ actor: Step.Actor, _ actions: [Action]) { steps += actions.map { Step(actor, $0) } }

    /// The order of confinement, as the manual lists it.
    mutating func make() throws(PlanFailure) -> PreparedJail {
        let (limits, processLimit) = assurance.limits(policy.resources, on: machine)
        let map = assurance.identityMap(for: machine, command: command)
        try collectGrants()
        let toolchains = ToolchainPlan(
            policy.fileSystem.toolchains.value, callerEnvironment: request.callerEnvironment,
            workspace: request.workspace, programs: request.programs)
        let caches = try CachePlan(
            policy.fileSystem.caches, workspace: request.workspace, user: machine.user,
            callerEnvironment: request.callerEnvironment)
        let environment = EnvironmentPlan(
            rules: policy.environment, request: request, toolchainPath: toolchains.path,
            more: toolchains.variables + caches.variables,
            userName: command.user == 0 ? "root" : Surroundings.userName)

        // Outside: limits, the clone, its ids.
        if let limits { add(.supervisor, .cgroups(limits)) }
        add(.stub, .clone(namespaces))
        add(.supervisor, .mapIds(map))

        // PID 1: the spawner is forked first and enters its groups while mounts are made.
        add(.jailInit, .freshKeyring, .zeroClock, .hostName(policy.identity.hostname))
        if !isOpenNetwork { add(.jailInit, .loopback) }
        // The spawner enters its groups with the caller's identity, which version 1 compares, and then takes
        // the keeper's, as PID 1 does at once.
        let identity: [Action] =
            if case .single(let inside, _, _) = map {
                [.become(user: inside, group: command.group), .undumpable]
            } else {
                [.dropGroups, .become(user: IDs.keeper, group: IDs.keeper), .undumpable]
            }
        add(.jailInit, .forkSpawner)
        add(.jailInit, identity)
        add(.jailInit, .makeRoot(bytes: 16 << 20, inodes: 16384))

        // The tree, from the root down.
        try addTree(map: map, toolchains: toolchains, caches: caches)
        try addMasks()
        if isRoot {
            // The layers and what they rest on: its root has the rights to change them under the kernel's feet.
            add(.jailInit, .hide(path: "/run/cordon", optional: false))
        } else {
            add(.jailInit, .sealRoot)
        }
        add(.jailInit, .pivotRoot, .leaveOldRoot, .keepCapabilities(Capability.set(.kill)))

        // The spawner: what commands inherit, and as much of it as possible while jail-init makes the root.
        if limits != nil { add(.spawner, .enterCgroups) }
        add(.spawner, .cgroupNamespace)
        add(.spawner, identity)
        // 1, not 0: a core handler at the end of a pipe is started whatever the limit, except at this very
        // value (core(5), fs/coredump.c). The filter keeps it there.
        let kept = isRoot ? Capability.packageManager : 0
        add(.spawner, .noNewPrivileges, .limits([ResourceLimit(.core, 1)]), .boundingSet(kept))
        let filters = FilterRequest(
            preset: isPure ? .pure : .agent, allowExecutableMemoryFiles: !restrictsExecution,
            allowUnixSockets: !(isOpenNetwork && machine.landlockABI < 6),
            packageManager: isRoot)
        let filterName = filterFingerprint(filters)
        let nests = request.isForSession && limits == nil
        if nests {
            // What makes the namespaces is under no filter, and no command can see it. Each namespace's init mounts its own
            // /proc, confines itself as a spawner does, and only then starts the command.
            let making = Capability.set(.administration, .searchAccess, .setGid, .setUid, .kill)
            add(.spawner, .awaitRoot, .awaitJail, .keepCapabilities(making | kept), .nestCommands)
            add(.spawner, Surroundings.processDirectory(processesOnly: isPure))
            assurance.note(
                "commands: no cgroup can be made here, so each has a pid namespace and a /proc of its own, in which it sees "
                    + "its own processes only")
        }
        add(.spawner, .filters(fingerprint: filterName, count: 2))
        if !nests { add(.spawner, .awaitRoot) }
        addLandlock()
        // After Landlock, whose rules name places that only the command may enter.
        add(.spawner, .keepCapabilities(Capability.set(.setGid, .setUid, .kill) | kept))
        if !nests { add(.spawner, .awaitJail) }

        // Each command.
        if sharesKeeper(map), machine.landlockABI >= 6 { add(.command, .signalScope) }
        var processLimits: [ResourceLimit] = []
        if let size = policy.resources.fileSize?.value { processLimits.append(ResourceLimit(.fileSize, size)) }
        if let files = policy.resources.openFiles?.value { processLimits.append(ResourceLimit(.openFiles, files)) }
        if let processLimit { processLimits.append(ResourceLimit(.processes, processLimit)) }
        add(.command, .limits(processLimits), .identity(user: command.user, group: command.group, capabilities: kept))

        giveWhatStepsGive()
        return PreparedJail(
            plan: Plan(steps), filters: filters, filterName: filterName, environment: environment.variables,
            maskedValues: environment.maskedValues, directory: request.directory, searchPath: environment.searchPath,
            guarantees: try assurance.settle(), writableTrees: grants.filter(\.writable).map(\.source.path))
    }

    /// Whether commands have the same user as jail-init and the spawner.
    private func sharesKeeper(_ map: IdentityMap) -> Bool {
        if case .single = map { true } else { command.user == IDs.keeper }
    }

    var namespaces: Namespaces {
        var all: Namespaces = [.user, .mount, .pid, .ipc, .uts]
        if !isOpenNetwork { all.insert(.network) }
        return all
    }

    // MARK: - The second wall and the summary

    private mutating func addLandlock() {
        guard machine.landlockABI > 0 else {
            let reason = machine.landlockObstacle.map { "the kernel says \($0)" } ?? "the kernel has none"
            assurance.lack(.landlock, reason, remedy: "add landlock to the kernel's lsm= list (Linux 5.13 or later)")
            if restrictsExecution {
                assurance.lack(.exec, "it rests on Landlock; " + reason, remedy: "as for landlock")
            }
            return
        }
        add(
            .spawner,
            .landlock(abi: machine.landlockABI, scoped: machine.landlockABI >= 6, rules: landlockRules))
        // Root inside may write wherever its layers are, so for it the wall is no second one.
        if !isRoot { assurance.give(.landlock) }
        if restrictsExecution { assurance.give(.exec) }
    }

    private mutating func giveWhatStepsGive() {
        assurance.give(
            .userNamespace, .mountNamespace, .pidNamespace, .ipcNamespace, .utsNamespace, .cgroupNamespace,
            .timeNamespace, .root, .proc, .noNewPrivileges, .seccomp, .keyring, .disk, .output, .treeKill
        )
        if !isRoot { assurance.give(.capabilities) }
        // Without scopes the pid and network namespaces keep signals and abstract sockets inside; with the
        // host's network and no scopes, unix sockets are refused altogether.
        assurance.give(.landlockScope)
        if policy.resources.wall != nil { assurance.give(.wall) }
        if isOpenNetwork {
            assurance.note("network: THE HOST'S NETWORK IS OPEN to this command, as the policy says")
        } else {
            assurance.give(.networkNamespace)
        }
    }
}
