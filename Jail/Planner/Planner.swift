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

private struct Planner {
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

    var hasAutomaticToolchains = false
    /// Tool chains and caches: `(directory of the host, where it appears)`.
    var otherTrees: [(source: String, path: String)] = []

    struct Grant {
        var path: String
        var source: HostTree
        var writable: Bool
    }

    private var command: Owner {
        let user = policy.identity.user?.value ?? UserIdentity(uid: 1000, gid: 1000)
        return Owner(user: user.uid, group: user.gid)
    }

    /// Root inside, for package managers: over a writable layer that goes with the jail.
    private var isRoot: Bool { policy.identity.root.value }
    private var isOpenNetwork: Bool { policy.network.value == .host }
    private var isPure: Bool { policy.seccomp.value == .pure }
    private var restrictsExecution: Bool { policy.fileSystem.exec != nil }

    private mutating func add(_ actor: Step.Actor, _ actions: Action...) { steps += actions.map { Step(actor, $0) } }
    private mutating func add(_ actor: Step.Actor, _ actions: [Action]) { steps += actions.map { Step(actor, $0) } }

    /// The order of confinement, as the manual lists it.
    mutating func make() throws(PlanFailure) -> PreparedJail {
        let (limits, processLimit) = assurance.limits(policy.resources, on: machine)
        let map = assurance.identityMap(for: machine, command: command)
        try collectGrants()
        let toolchains = ToolchainPlan(
            policy.fileSystem.toolchains.value, callerEnvironment: request.callerEnvironment,
            workspace: request.workspace)
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
        add(.spawner, .filters(fingerprint: filterName, count: 2), .awaitRoot)
        addLandlock()
        // After Landlock, whose rules name places that only the command may enter.
        add(.spawner, .keepCapabilities(Capability.set(.setGid, .setUid, .kill) | kept), .awaitJail)

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

    private var namespaces: Namespaces {
        var all: Namespaces = [.user, .mount, .pid, .ipc, .uts]
        if !isOpenNetwork { all.insert(.network) }
        return all
    }

    // MARK: - Grants

    /// `read` and `write` name paths, not patterns: what they name is mounted.
    private mutating func collectGrants() throws(PlanFailure) {
        var problems: [Diagnostic] = []
        if isRoot, !machine.isPrivileged {
            problems.append(
                Diagnostic(
                    location: policy.identity.root.location,
                    message: "root = true maps root's files to the jail's root, which only the host's root may do",
                    remedy: "run Cordon as root, or leave it out; commands run as 1000:1000"))
        }
        // By bytes: to Swift two spellings of é are one text, to the kernel two files.
        var found: [[UInt8]: (path: String, writable: Bool)] = [:]
        for (rules, writable) in [(policy.fileSystem.read, false), (policy.fileSystem.write, true)] {
            for rule in rules {
                guard let path = literalPath(rule.value) else {
                    if !rule.value.isLiteral {
                        problems.append(
                            Diagnostic(
                                location: rule.location,
                                message: "\(rule.value.text): `read` and `write` take paths, not patterns",
                                remedy: "name the directory, and use `deny` or `protect` for parts of it"))
                    }
                    continue
                }
                if writable, path == "/" || ["/usr", "/etc", "/proc", "/dev", "/sys"].contains(path) {
                    problems.append(
                        Diagnostic(
                            location: rule.location, message: "\(path) cannot be made writable in a jail",
                            remedy: "name a directory of your own"))
                    continue
                }
                found[Array(path.utf8)] = (path, (found[Array(path.utf8)]?.writable ?? false) || writable)
            }
        }
        guard problems.isEmpty else { throw .invalid(problems) }
        for (path, writable) in found.values where !Self.isSurrounding(path) {
            // A path that is not there grants nothing, so leaving it out weakens nothing.
            guard (try? status(at: path)) != nil else { continue }
            grants.append(Grant(path: path, source: try resolve(path), writable: writable))
        }
        grants.sort {
            (pathComponents($0.path).count, $0.path) < (pathComponents($1.path).count, $1.path)
        }
    }

    /// A tree of the host as it is at this moment. In the workspace, where a jail may have planted them, no
    /// symbolic link is followed; elsewhere the host's own are, once.
    private func resolve(_ path: String) throws(PlanFailure) -> HostTree {
        do throws(Errno) {
            let real = isInside(path, request.workspace) ? path : try resolvedPath(path)
            let place = try open(
                bytes: pathBytes(real), .path, beneath: currentDirectory, resolve: [.noSymlinks, .noMagicLinks])
            return HostTree(path: real, status: try status(of: place.raw))
        } catch {
            throw .unreadable(path: path, error)
        }
    }

    /// A file or directory of the host, and what it was when it was looked at.
    struct HostTree {
        var path: String
        var status: FileStatus
        var source: Source { Source(path, identity: status.identity) }
    }

    private static func isSurrounding(_ path: String) -> Bool {
        ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/dev"].contains(path)
    }

    /// The path on the host that a pattern without wildcards names; nil for the private home, which is not
    /// on the host, and for patterns.
    private func literalPath(_ pattern: PathPattern) -> String? {
        guard pattern.isLiteral else { return nil }
        let names = pattern.literalPrefix.joined(separator: "/")
        switch pattern.anchor {
        case .root: return "/" + names
        case .workspace: return names.isEmpty ? request.workspace : request.workspace + "/" + names
        case .home: return nil
        }
    }

    // MARK: - The tree

    private mutating func addTree(map: IdentityMap, toolchains: ToolchainPlan, caches: CachePlan) throws(PlanFailure) {
        let programs = try request.image.map { (image) throws(PlanFailure) in
            try Surroundings.image(image, withConfiguration: isRoot)
        }
        if !isRoot { add(.jailInit, programs ?? Surroundings.programs()) }
        var keeperOwns = false
        var hasTty = true
        if case .single = map { (keeperOwns, hasTty) = (true, false) }
        // An image's own /etc, with the accounts that its packages know, belongs to its root.
        if !(isRoot && request.image != nil) {
            add(
                .jailInit,
                Surroundings.configuration(
                    command: command, root: isRoot, hostName: policy.identity.hostname, network: isOpenNetwork))
        }
        add(.jailInit, Surroundings.deviceDirectory(hasTtyGroup: hasTty))
        add(.jailInit, Surroundings.processDirectory(processesOnly: isPure))
        let disk = policy.resources.disk?.value ?? 1 << 30
        add(
            .jailInit,
            Surroundings.privateDirectories(
                bytes: disk, inodes: policy.resources.inodes?.value ?? max(4096, disk / 8192),
                owner: keeperOwns ? 0 : command.user, noExec: restrictsExecution))
        if isRoot { addLayers(over: programs ?? Surroundings.programs()) }
        hasAutomaticToolchains = policy.fileSystem.toolchains.value == .auto && !toolchains.roots.isEmpty
        if policy.fileSystem.toolchains.value != .auto { otherTrees = toolchains.roots.map { ($0, $0) } }
        otherTrees += caches.mounts.map { ($0.source, $0.path) }
        for root in toolchains.roots { addHostTree(try resolve(root), at: root, writable: false, owned: false) }
        for grant in grants { addHostTree(grant.source, at: grant.path, writable: grant.writable, owned: true) }
        for cache in caches.mounts {
            let tree = try resolve(cache.source)
            if let writable = grants.first(where: { $0.writable && overlaps($0.source.path, tree.path) }) {
                throw .invalid([
                    Diagnostic(
                        location: policy.fileSystem.caches.first?.location,
                        message: "the private caches at \(tree.path) meet \(writable.path), which a jail may write",
                        remedy: "set XDG_CACHE_HOME to a directory outside of it")
                ])
            }
            addHostTree(tree, at: cache.path, writable: true, owned: true)
        }

        let execute: LandlockAccess = restrictsExecution ? [] : .execute
        landlockRules += [
            // Listing the root, where only what was mounted can be seen; its own root may make things there.
            LandlockRule("/", isRoot ? LandlockAccess.read.union(.change).union(execute) : .listing),
            LandlockRule("/usr", LandlockAccess.read.union(execute)), LandlockRule("/etc", .read),
            LandlockRule("/proc", LandlockAccess.read.union(.change)),
            LandlockRule("/dev", LandlockAccess.read.union(.device)),
        ]
        for (_, path, _) in Surroundings.privateDirectories {
            landlockRules.append(LandlockRule(path, LandlockAccess.read.union(.change).union(execute).union(.device)))
        }
        // Trees at the top of an image, or of a host whose /bin is a directory. /etc was bound piece by piece.
        for case .bind(_, let path, _) in steps.map(\.action)
        where path.utf8.dropFirst().allSatisfy({ $0 != UInt8(ascii: "/") }) && path != "/usr" {
            landlockRules.append(LandlockRule(path, LandlockAccess.read.union(execute)))
        }
        // A dynamic program is executed together with its loader; without it, no listed program would start.
        if restrictsExecution {
            for path in Surroundings.loaders { landlockRules.append(LandlockRule(path, .execute)) }
        }
        for rule in policy.fileSystem.exec ?? [] {
            if let path = literalPath(rule.value) { landlockRules.append(LandlockRule(path, .execute)) }
        }
    }

    /// A tree of the host at a path in the jail. As root the supervisor clones it, whatever directories lie
    /// above it, and maps its owner's id to the command's; otherwise jail-init does, with the caller's rights.
    private mutating func addHostTree(_ tree: HostTree, at path: String, writable: Bool, owned: Bool) {
        var attributes: MountAttributes = [.noSetUid, .noDevices]
        if !writable { attributes.insert(.readOnly) }
        if restrictsExecution, !isExecutable(path) { attributes.insert(.noExec) }
        if machine.isPrivileged {
            let ids: TreeIds =
                owned ? .owner(Owner(user: tree.status.user, group: tree.status.group)) : .host
            add(.supervisor, .cloneTree(index: treeCount, source: tree.source, attributes: attributes, ids: ids))
            add(.jailInit, .attachTree(index: treeCount, path: path))
            treeCount += 1
        } else {
            add(.jailInit, .bind(source: tree.source, path: path, attributes: attributes))
        }
        var access = LandlockAccess.read
        if writable { access.formUnion(.change) }
        if !restrictsExecution { access.formUnion(.execute) }
        landlockRules.append(LandlockRule(path, access))
    }

    /// The trees that programs are in, each below a layer of the private store that takes what is written.
    private mutating func addLayers(over programs: [Action]) {
        for action in programs {
            guard case .bind(let source, let path, let attributes) = action else {
                add(.jailInit, action)
                continue
            }
            let lower = "/run/cordon/lower" + path, layer = Surroundings.privateStore + "/layers" + path
            add(.supervisor, .cloneTree(index: treeCount, source: source, attributes: attributes, ids: .jail))
            add(
                .jailInit, .attachTree(index: treeCount, path: lower),
                .directory(path: layer + "/upper", mode: 0o755, owner: 0),
                .directory(path: layer + "/work", mode: 0o755, owner: 0),
                .overlay(
                    lower: lower, upper: layer + "/upper", work: layer + "/work", path: path,
                    attributes: attributes.subtracting(.readOnly)))
            treeCount += 1
        }
    }

    private func overlaps(_ one: String, _ other: String) -> Bool {
        isInside(one, other) || isInside(other, one)
    }

    private func isExecutable(_ path: String) -> Bool {
        (policy.fileSystem.exec ?? []).contains { rule in
            literalPath(rule.value).map { isInside($0, path) } ?? false
        }
    }

    // MARK: - Masks

    private mutating func addMasks() throws(PlanFailure) {
        let rules = policy.fileSystem
        let deny = rules.deny.map(\.value), protect = rules.protect.map(\.value)
        // Literal paths need no walk.
        var pins: [String] = [], masks: [Action] = []
        for pattern in deny {
            guard let path = literalPath(pattern) else { continue }
            pins += ancestors(of: path)
            masks.append(.hide(path: path, optional: true))
            // What a link names is denied with it.
            if let status = try? status(at: path), status.isSymlink, let target = try? resolvedPath(path) {
                masks.append(.hide(path: target, optional: true))
            }
        }
        let walk = TreeWalk(
            deny: deny.filter { literalPath($0) == nil && $0.anchor == .workspace },
            protect: protect.filter { literalPath($0) == nil && $0.anchor == .workspace })
        // Named tool chains and caches are searched for sockets alone. Those that `auto` finds are not: a quarter
        // of a million files, as rustup and pyenv have, take longer than a run. SECURITY.md says so.
        let socketsOnly = TreeWalk(deny: [], protect: [])
        for root in otherTrees where (try? status(at: root.source))?.isDirectory == true {
            let tree = try resolve(root.source)
            masks += try socketsOnly.masks(in: tree.path, identity: tree.status.identity, shownAt: root.path).sockets
                .map {
                    .hide(path: $0, optional: false)
                }
        }
        for grant in grants where grant.source.status.isDirectory {
            let found = try walk.masks(
                in: grant.source.path, identity: grant.source.status.identity, shownAt: grant.path)
            if grant.writable { pins += found.pinned }
            // What was seen must be there when it is masked: if it moved meanwhile, the jail does not start.
            masks += found.hidden.map { .hide(path: $0, optional: false) }
            masks += found.sockets.map { .hide(path: $0, optional: false) }
            if grant.writable { masks += found.protected.map { .protect(path: $0, optional: false) } }
        }
        for pattern in protect {
            guard let path = literalPath(pattern) else { continue }
            pins += ancestors(of: path)
            masks.append(.protect(path: path, optional: true))
        }
        // A mount point cannot be renamed, so the names that patterns rest on stay: `.git` cannot be moved aside and
        // replaced by a copy with other hooks, and `.kube/config` cannot become `moved/config`. Upper ones first.
        // Compared as bytes: to Swift two spellings of é are one text, to the kernel two files.
        for path in Set(pins.map { Array($0.utf8) }).sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            add(.jailInit, .pin(path: String(decoding: path, as: UTF8.self)))
        }
        add(.jailInit, masks)
        if let programs = request.programs { try protectPrograms(programs) }
        // A pattern that nothing above looks for would be silently without effect.
        for rule in rules.deny + rules.protect where literalPath(rule.value) == nil && rule.value.anchor != .workspace {
            throw .invalid([
                Diagnostic(
                    location: rule.location,
                    message: rule.value.anchor == .home
                        ? "\(rule.value.text): the jail's home is private and empty at the start: there is nothing to mask"
                        : "\(rule.value.text): a pattern from / cannot be masked",
                    remedy: "name a path without wildcards, or a pattern in the workspace")
            ])
        }
        if policy.fileSystem.toolchains.value == .auto, hasAutomaticToolchains {
            assurance.lack(
                .sockets, "tool chains that PATH names are not searched for sockets",
                remedy: "name them in `[fs] toolchains`, or set it to \"none\"")
        }
        assurance.give(.sockets)
        if !deny.isEmpty { assurance.give(.deny) }
        if !protect.isEmpty { assurance.give(.protect) }
        let isWritable = grants.contains { $0.writable }
        if isWritable, !(deny.isEmpty && protect.isEmpty) {
            assurance.lack(
                .denyCreate, "a workspace that is written directly cannot refuse new names",
                remedy: "make the workspace read-only")
        } else if !(deny.isEmpty && protect.isEmpty) {
            assurance.give(.denyCreate)
        }
    }

    /// The top of what leads to Cordon's own programs becomes a read-only mount, which cannot be moved aside either. Links
    /// on the way, such as `.build/release`, lie beneath it too.
    private mutating func protectPrograms(_ programs: String) throws(PlanFailure) {
        for grant in grants where grant.writable && isInside(programs, grant.path) {
            let below = programs.utf8.dropFirst(grant.path.utf8.count + 1).prefix { $0 != UInt8(ascii: "/") }
            guard !below.isEmpty else {
                throw .invalid([
                    Diagnostic(
                        location: nil,
                        message: "Cordon's own programs lie in \(programs), which the jail may write",
                        remedy: "install them elsewhere, such as /usr/local/lib/cordon, or choose another workspace")
                ])
            }
            let top = grant.path + "/" + String(decoding: Array(below), as: UTF8.self)
            add(.jailInit, .protect(path: top, optional: false))
            assurance.note("\(top) holds Cordon's own programs and is read-only in the jail")
        }
    }

    /// The directories between the writable tree that a path is in and the path, where they exist.
    private func ancestors(of path: String) -> [String] {
        guard let root = grants.last(where: { $0.writable && isInside(path, $0.path) })?.path,
            (try? status(at: path)) != nil
        else { return [] }
        var result: [String] = []
        var parent = path
        while let above = parentPath(parent), above.utf8.count > root.utf8.count {
            result.append(above)
            parent = above
        }
        return result
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
        assurance.give(.landlock)
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
