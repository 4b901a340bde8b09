// The tree that a jail sees, from the root down, and the second wall's view of it.
internal import JailPlan
internal import Linux
internal import Machine
internal import PolicyModel

extension Planner {
    mutating func addTree(map: IdentityMap, toolchains: ToolchainPlan, caches: CachePlan) throws(PlanFailure) {
        let programs =
            if let image = request.image {
                try Surroundings.image(image, withConfiguration: isRoot)
            } else {
                Surroundings.programs()
            }
        if !isRoot { add(.jailInit, programs) }
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
        // Root inside may become others, whose terminals are theirs.
        let terminalOwner = keeperOwns || command.user == IDs.keeper ? nil : command.user
        add(.jailInit, Surroundings.deviceDirectory(hasTtyGroup: hasTty, owner: terminalOwner))
        add(.jailInit, Surroundings.processDirectory(processesOnly: isPure))
        let disk = policy.resources.disk?.value ?? 1 << 30
        add(
            .jailInit,
            Surroundings.privateDirectories(
                bytes: disk, inodes: policy.resources.inodes?.value ?? max(4096, disk / 8192),
                owner: keeperOwns ? 0 : command.user, noExec: restrictsExecution))
        if isRoot { addLayers(over: programs) }
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
    mutating func addHostTree(_ tree: HostTree, at path: String, writable: Bool, owned: Bool) {
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
    mutating func addLayers(over programs: [Action]) {
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

    func overlaps(_ one: String, _ other: String) -> Bool {
        isInside(one, other) || isInside(other, one)
    }

    func isExecutable(_ path: String) -> Bool {
        (policy.fileSystem.exec ?? []).contains { rule in
            literalPath(rule.value).map { isInside($0, path) } ?? false
        }
    }
}
