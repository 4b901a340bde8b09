// Every controller on the version that this machine has it on: a group is really made, limited, entered and
// removed.
internal import Linux
internal import Machine

private let group = "cgroups"

/// What a controller's limit is called on both versions, and a value that does no harm.
private struct Controller {
    var kind: CgroupController
    var fileOnVersionOne: String
    var fileOnVersionTwo: String
    /// nil: the file is only read.
    var value: String?
}

private let controllers = [
    Controller(
        kind: .memory, fileOnVersionOne: "memory.limit_in_bytes", fileOnVersionTwo: "memory.max", value: "1073741824"),
    Controller(kind: .pids, fileOnVersionOne: "pids.max", fileOnVersionTwo: "pids.max", value: "64"),
    Controller(kind: .cpu, fileOnVersionOne: "cpu.cfs_quota_us", fileOnVersionTwo: "cpu.max", value: "50000"),
    Controller(kind: .cpuacct, fileOnVersionOne: "cpuacct.usage", fileOnVersionTwo: "cpu.stat"),
    Controller(kind: .io, fileOnVersionOne: "blkio.throttle.io_service_bytes", fileOnVersionTwo: "io.stat"),
]

func checkCgroups(_ here: Circumstances) -> [Check] {
    let tree = here.machine.cgroups
    let unified = tree.unified.map { UnifiedTrial(base: $0, tree: tree) }
    let trial = unified?.result
    var checks = [checkLayout(here), checkDelegation(here, trial)]
    for controller in controllers {
        checks.append(check(controller, here, trial))
        if controller.kind == .memory { checks.append(checkSwap(here, trial)) }
    }
    checks += [checkKill(here, trial), checkBirth(here, trial)]
    unified?.cleanUp()
    return checks
}

// MARK: - Layout and delegation

private func checkLayout(_ here: Circumstances) -> Check {
    let name = "cgroup.layout"
    let hasControllers = CgroupController.allCases.contains { here.mounts.versionOne($0.rawValue) != nil }
    switch (here.mounts.versionTwo, hasControllers) {
    case (let two?, true): return .works(name, in: group, "hybrid: controllers on v1, and v2 at \(two.point)")
    case (let two?, false): return .works(name, in: group, "v2 at \(two.point)")
    case (nil, true): return .works(name, in: group, "v1")
    case (nil, false):
        return .fails(
            name, in: group, "no cgroup file system is mounted",
            Blocker(
                name: "no cgroup file system", remedy: "mount -t cgroup2 cgroup2 /sys/fs/cgroup", isMissing: true))
    }
}

private func checkDelegation(_ here: Circumstances, _ trial: Result<String, Obstacle>?) -> Check {
    let name = "cgroup.delegation"
    let tree = here.machine.cgroups
    switch trial {
    case .success?:
        return .works(
            name, in: group,
            "groups can be made in \(tree.unified ?? "")" + (tree.mustLeave ? ", by leaving it first" : ""))
    case .failure(let obstacle)?:
        return .fails(name, in: group, obstacle.text, blockerOfMaking(here, obstacle))
    case nil:
        if let base = tree.hierarchies.values.min() {
            return .works(name, in: group, "groups can be made in \(base) (v1)")
        }
        return .fails(name, in: group, tree.obstacle ?? "no group may be made", here.blockerOfDelegation)
    }
}

private func blockerOfMaking(_ here: Circumstances, _ obstacle: Obstacle) -> Blocker {
    switch obstacle.errno {
    case .busy? where obstacle.step.contains("subtree_control"):
        let base = here.machine.cgroups.unified ?? "/sys/fs/cgroup"
        return Blocker(
            name: "processes in \(base), which therefore cannot divide its resources",
            remedy:
                "mkdir \(base)/init && for p in $(cat \(base)/cgroup.procs); do echo $p > \(base)/init/cgroup.procs; done"
        )
    case .noSpace?, .again?:
        return Blocker(
            name: "a limit on cgroups", remedy: "raise cgroup.max.descendants and cgroup.max.depth above this group")
    default: return here.blockerOfDelegation
    }
}

extension Circumstances {
    /// Why no group can be made, where the reason is who the caller is or where it runs.
    fileprivate var blockerOfDelegation: Blocker {
        let places = mounts.entries.filter { $0.type == "cgroup2" || $0.type == "cgroup" }
        if places.isEmpty {
            return Blocker(
                name: "no cgroup file system",
                remedy: container == nil
                    ? "mount -t cgroup2 cgroup2 /sys/fs/cgroup"
                    : "docker run -v /sys/fs/cgroup:/sys/fs/cgroup --cgroupns host …",
                isMissing: true)
        }
        if places.allSatisfy(\.isReadOnly) {
            return Blocker(
                name: "cgroups are mounted read-only",
                remedy: container == nil
                    ? "mount -o remount,rw \(places[0].point)"
                    : "docker run --cgroupns host -v /sys/fs/cgroup:/sys/fs/cgroup:rw …")
        }
        if machine.isPrivileged {
            return Blocker(name: "the permissions of \(places[0].point)", remedy: "run as the real root")
        }
        return Blocker(name: "no cgroup is delegated to this user", remedy: delegationRemedy)
    }

    private var delegationRemedy: String {
        if hasSystemd { return "systemd-run --user --scope -p Delegate=yes -- cordon run …" }
        let user = userName ?? "\(machine.user)"
        let enter = "mkdir -p $d; chown -R \(machine.user) $d; echo '$$' > $d/cgroup.procs"
        let points = CgroupController.allCases.compactMap { mounts.versionOne($0.rawValue)?.point }
        guard points.isEmpty else {
            let all = points + (mounts.versionTwo.map { [$0.point] } ?? [])
            return "sudo sh -c 'for m in \(all.joined(separator: " ")); do d=$m/\(user); \(enter); done'"
        }
        let two = mounts.versionTwo?.point ?? "/sys/fs/cgroup"
        return "sudo sh -c 'echo +memory +pids +cpu +io > \(two)/cgroup.subtree_control; d=\(two)/\(user); \(enter)'"
    }

    /// Why a controller is not to be had.
    fileprivate func blockerOfController(_ kind: CgroupController) -> Blocker {
        if let mount = mounts.versionOne(kind.rawValue) {
            return mount.isReadOnly
                ? Blocker(name: "\(mount.point) is mounted read-only", remedy: blockerOfDelegation.remedy)
                : blockerOfDelegation
        }
        guard let two = mounts.versionTwo else {
            return Blocker(
                name: "no cgroup file system with it", remedy: "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
                isMissing: true)
        }
        let inRoot = (try? readText(two.point + "/cgroup.controllers"))?.split(separator: " ") ?? []
        guard inRoot.contains(Substring(kind.unifiedName)) else {
            return Blocker(
                name: "the kernel, or its command line, has no \(kind.unifiedName) controller",
                remedy: kind == .memory ? "boot with cgroup_enable=memory" : "boot a kernel with that controller",
                isMissing: true)
        }
        guard let base = machine.cgroups.unified else { return blockerOfDelegation }
        let parent = base.lastIndex(of: "/").map { String(base[..<$0]) } ?? base
        return Blocker(
            name: "\(kind.unifiedName) is not delegated to \(base)",
            remedy: hasSystemd && !machine.isPrivileged
                ? "sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' "
                    + "| sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload"
                : "echo +\(kind.unifiedName) > \(parent)/cgroup.subtree_control")
    }
}

// MARK: - Controllers

private func check(_ controller: Controller, _ here: Circumstances, _ trial: Result<String, Obstacle>?) -> Check {
    let kind = controller.kind
    let name = "cgroup." + (kind == .io ? "io" : kind.rawValue)
    // Rootless without groups, RLIMIT_NPROC takes the place of pids.
    let isNeeded = kind != .io && !(kind == .pids && !here.machine.isPrivileged)
    do throws(Obstacle) {
        if let base = here.machine.cgroups.hierarchies[kind] {
            return .works(name, in: group, try tryVersionOne(controller, base), needed: isNeeded)
        }
        if case .success(let directory)? = trial {
            let isThere = here.machine.cgroups.unifiedControllers.contains(kind) || kind == .cpuacct
            if isThere {
                try limit(directory + "/" + controller.fileOnVersionTwo, controller.value)
                return .works(name, in: group, "v2, \(controller.fileOnVersionTwo)", needed: isNeeded)
            }
        }
        if case .failure(let obstacle)? = trial { throw obstacle }
    } catch {
        return .fails(name, in: group, error.text, blockerOfMaking(here, error), needed: isNeeded)
    }
    return .fails(
        name, in: group, "this caller can make no group with it", here.blockerOfController(kind), needed: isNeeded)
}

private func tryVersionOne(_ controller: Controller, _ base: String) throws(Obstacle) -> String {
    let directory = base + "/" + trialName()
    try doing("mkdir \(directory)") { () throws(Errno) in try makeDirectory(directory) }
    defer { removeGroup(directory) }
    try limit(directory + "/" + controller.fileOnVersionOne, controller.value)
    try enter(directory)
    return "v1 at \(base), \(controller.fileOnVersionOne)"
}

private func limit(_ file: String, _ value: String?) throws(Obstacle) {
    if let value {
        try doing("write \(file)") { () throws(Errno) in try writeText(value, to: file) }
    } else {
        _ = try doing("read \(file)") { () throws(Errno) in try readText(file) }
    }
}

/// A process of this caller's goes in.
private func enter(_ directory: String) throws(Obstacle) {
    _ = try attempt { () throws(Obstacle) in
        let file = directory + "/cgroup.procs"
        try doing("write \(file)") { () throws(Errno) in try writeText("0", to: file) }
        return " "
    }.result()
}

private func checkSwap(_ here: Circumstances, _ trial: Result<String, Obstacle>?) -> Check {
    let name = "cgroup.swap"
    let tree = here.machine.cgroups
    let accounting = Blocker(
        name: "the kernel does not count swap", remedy: "boot with swapaccount=1", isMissing: true)
    func result(_ directory: String, _ file: String) -> Check {
        (try? status(at: directory + "/" + file)) != nil
            ? .works(name, in: group, file, needed: here.machine.hasSwap)
            : .fails(name, in: group, "no \(file) in \(directory)", accounting, needed: here.machine.hasSwap)
    }
    if let base = tree.hierarchies[.memory] { return result(base, "memory.memsw.limit_in_bytes") }
    if tree.unifiedControllers.contains(.memory), case .success(let directory)? = trial {
        return result(directory, "memory.swap.max")
    }
    return .fails(
        name, in: group, "needs the memory controller", here.blockerOfController(.memory), needed: here.machine.hasSwap)
}

// MARK: - What only version 2 has

/// All processes of a group die by one write.
private func checkKill(_ here: Circumstances, _ trial: Result<String, Obstacle>?) -> Check {
    let name = "cgroup.kill"
    guard case .success(let directory)? = trial else { return needsVersionTwo(name, here) }
    do throws(Obstacle) {
        // A group of its own, since one with controllers enabled below may hold no process.
        let victims = directory + "/victims"
        try doing("mkdir \(victims)") { () throws(Errno) in try makeDirectory(victims) }
        defer { removeGroup(victims) }
        let victim = try doing("clone") { () throws(Errno) in try NamespaceHolder([]) }
        try doing("write cgroup.procs") { () throws(Errno) in
            try writeText("\(victim.pid)", to: victims + "/cgroup.procs")
        }
        try doing("write cgroup.kill") { () throws(Errno) in try writeText("1", to: victims + "/cgroup.kill") }
        for _ in 0..<200 {
            let isEmpty =
                (try? readText(victims + "/cgroup.events"))?.split(separator: "\n").contains("populated 0") ?? false
            if isEmpty {
                return .works(name, in: group, "v2, all processes of a group die by one write", needed: false)
            }
            pause(microseconds: 500)
        }
        throw Obstacle("the group did not die within 100 ms")
    } catch {
        let blocker =
            error.errno == .noEntry || error.errno == .accessDenied
            ? Blocker(name: "a kernel without cgroup.kill", remedy: "boot Linux 5.14 or later", isMissing: true)
            : blockerOfMaking(here, error)
        return .fails(name, in: group, error.text, blocker, needed: false)
    }
}

/// A process that is born in its group has not spent a moment outside of its limits.
private func checkBirth(_ here: Circumstances, _ trial: Result<String, Obstacle>?) -> Check {
    let name = "cgroup.clone_into"
    guard case .success(let directory)? = trial else { return needsVersionTwo(name, here) }
    do throws(Obstacle) {
        let place = directory + "/birth"
        try doing("mkdir \(place)") { () throws(Errno) in try makeDirectory(place) }
        defer { removeGroup(place) }
        let file = try doing("open \(place)") { () throws(Errno) in try open(place, [.path, .directory]) }
        let program = try doing("memfd_create") { () throws(Errno) in try makeProgram() }
        _ = try execute(program, ["born"], cgroup: file.raw)
        return .works(name, in: group, "v2, CLONE_INTO_CGROUP", needed: false)
    } catch {
        return .fails(
            name, in: group, error.text, here.blockerOfCall("CLONE_INTO_CGROUP", since: "5.7", error), needed: false)
    }
}

private func needsVersionTwo(_ name: String, _ here: Circumstances) -> Check {
    let blocker =
        here.mounts.versionTwo == nil
        ? Blocker(
            name: "no cgroup v2",
            remedy: "mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified",
            isMissing: true)
        : here.blockerOfDelegation
    return .fails(name, in: group, "only groups of version 2 have it", blocker, needed: false)
}

/// A group of version 2 with all controllers that it can have, made as the supervisor does, and everything put
/// back afterwards.
private struct UnifiedTrial {
    let base: String
    /// The group, or why there is none.
    private(set) var result: Result<String, Obstacle>
    private var enabled: Set<String> = []
    private var hasLeft = false

    private var leaf: String { base + "/cordon-supervisor" }

    init(base: String, tree: CgroupTree) {
        self.base = base
        result = .failure(Obstacle("not tried"))
        do throws(Obstacle) { result = .success(try make(tree)) } catch {
            result = .failure(error)
        }
    }

    private mutating func make(_ tree: CgroupTree) throws(Obstacle) -> String {
        let file = base + "/cgroup.subtree_control"
        let there = try doing("read \(file)") { () throws(Errno) in try readText(file) }
        let wanted = Set(tree.unifiedControllers.map(\.unifiedName)).subtracting(
            there.split(separator: " ").map(String.init))
        if !wanted.isEmpty {
            if tree.mustLeave { try leave() }
            try doing("write \(file)") { () throws(Errno) in
                try writeText(wanted.sorted().map { "+" + $0 }.joined(separator: " "), to: file)
            }
            enabled = wanted
        }
        let directory = base + "/" + trialName()
        try doing("mkdir \(directory)") { () throws(Errno) in try makeDirectory(directory) }
        do throws(Obstacle) { try enter(directory) } catch {
            removeGroup(directory)
            throw error
        }
        return directory
    }

    private mutating func leave() throws(Obstacle) {
        do throws(Errno) { try makeDirectory(leaf) } catch {
            guard error == .exists else { throw Obstacle("mkdir \(leaf)", error) }
        }
        try doing("write \(leaf)/cgroup.procs") { () throws(Errno) in
            try writeText("\(processID)", to: leaf + "/cgroup.procs")
        }
        hasLeft = true
    }

    func cleanUp() {
        if case .success(let directory) = result { removeGroup(directory) }
        // Where jails are at home the controllers stay on: one might be starting at this moment.
        let isInUse = (try? status(at: base + "/cordon")) != nil
        if !enabled.isEmpty, !isInUse {
            try? writeText(
                enabled.sorted().map { "-" + $0 }.joined(separator: " "), to: base + "/cgroup.subtree_control")
        }
        if hasLeft {
            try? writeText("\(processID)", to: base + "/cgroup.procs")
            try? removeDirectory(leaf)
        }
    }
}

private func trialName() -> String { "cordon-doctor-" + String(UInt64.random(in: .min ... .max), radix: 36) }
