// Making one jail's groups on each layout.
internal import JailPlan
internal import Linux
internal import Machine

/// The directories of one jail's groups, and what each is for.
struct CgroupMaker {
    let tree: CgroupTree
    /// Every directory made so far; each is removed before those that were made before it.
    private(set) var made: [String] = []
    /// The directory to read each controller's counters from.
    private(set) var counters = CgroupCounters()
    /// Every file that the spawner writes to, to enter.
    private(set) var entrances: [String] = []
    /// The group of the whole jail on version 2, which has cgroup.kill.
    private(set) var killable: String?
    private var name = ""
    private var primary = ""

    init(tree: CgroupTree) { self.tree = tree }

    private static let parent = CgroupTree.parent

    /// Makes the group that jail-init is born in, and takes the lock that says that the jail is alive.
    mutating func makeBirthGroup() throws(LaunchFailure) -> BirthGroup {
        guard let primaryBase = tree.bases.first else {
            throw LaunchFailure(step: "cgroups", remedy: tree.obstacle ?? "no cgroups can be made here")
        }
        let alive = try makePrimary(in: primaryBase)
        name = alive.name
        primary = primaryBase + "/" + Self.parent + "/" + name
        guard let base = tree.unified else { return BirthGroup(lock: alive.takeLock(), directory: nil) }
        var birth = primary
        killable = primary
        counters[.cpuacct] = primary
        if tree.layout == .version2 {
            try enableControllers(in: [base, base + "/" + Self.parent, primary])
            birth = primary + "/init"
            try makeInner(birth)
        }
        let directory = try step("cgroups", birth) { () throws(Errno) in try open(birth, [.path, .directory]) }
        return BirthGroup(lock: alive.takeLock(), directory: directory)
    }

    /// Makes the groups with limits, which the spawner enters.
    ///
    /// - Parameter nests: whether commands will have groups inside of them. On version 2 a group with others inside holds no
    ///   process itself (cgroups(7)), so the spawner then has one too.
    mutating func makeLimitedGroups(_ limits: CgroupLimits, nests: Bool) throws(LaunchFailure) {
        for controller in neededOnVersion1(limits) {
            guard let base = tree.hierarchies[controller] else { continue }
            let directory = base + "/" + Self.parent + "/" + name
            if !made.contains(directory) { try makeGroup(directory, in: base) }
            try Self.limitVersion1(controller, limits, directory)
            // A thread that moves itself by way of `tasks` spares the kernel the lock that keeps all forks of
            // the machine waiting, and the grace period that comes with it (some milliseconds).
            if !entrances.contains(directory + "/tasks") { entrances.append(directory + "/tasks") }
            counters[controller] = directory
        }
        if tree.layout == .version2 {
            let run = primary + "/run"
            try makeInner(run)
            try Self.limitVersion2(limits, run)
            if nests {
                try enableControllers(in: [run])
                try makeInner(run + "/spawner")
            }
            entrances.append(run + (nests ? "/spawner" : "") + "/cgroup.procs")
            for controller in tree.unifiedControllers { counters[controller] = run }
            counters[.cpuacct] = run
        }
    }

    private mutating func makeInner(_ directory: String) throws(LaunchFailure) {
        try step("cgroups", directory) { () throws(Errno) in try makeDirectory(directory) }
        made.append(directory)
    }

    /// The first group carries the lock that says "alive". A sweeper that came between the making and the
    /// locking has removed it, or holds it for a moment: then another name is tried.
    private mutating func makePrimary(in base: String) throws(LaunchFailure) -> AliveGroup {
        for _ in 0..<64 {
            let name = "jail-" + String(UInt64.random(in: .min ... .max), radix: 36)
            let directory = base + "/" + Self.parent + "/" + name
            try makeGroup(directory, in: base)
            if let lock = try? open(directory, [.readOnly, .directory]), (try? tryLock(lock.raw)) == true,
                let there = try? status(at: directory), let held = try? status(of: lock.raw), there.inode == held.inode
            {
                return AliveGroup(name: name, lock: lock)
            }
            made.removeLast()
            try? removeDirectory(directory)
        }
        throw LaunchFailure(step: "cgroups", object: base, errno: .busy)
    }

    private mutating func makeGroup(_ directory: String, in base: String) throws(LaunchFailure) {
        try step("cgroups", directory) { () throws(Errno) in
            // Nobody else's to open: whoever can could take its lock, and hold it when its owner is dead (flock(2)).
            do throws(Errno) { try makeDirectory(directory, mode: 0o700) } catch {
                guard error == .noEntry else { throw error }
                let parent = base + "/" + Self.parent
                try makeDirectoryIfMissing(parent)
                startCounting(parent)
                try makeDirectory(directory, mode: 0o700)
            }
        }
        made.append(directory)
    }

    /// Version 1 counts the bytes of a disk only once some group has a rule for it. One that limits nothing does.
    private func startCounting(_ parent: String) {
        let file = parent + "/blkio.throttle.read_bps_device"
        guard (try? status(at: file)) != nil, let disks = try? Self.disks() else { return }
        // A disk that knows no throttling is not counted; the next one may be.
        for disk in disks { try? writeText("\(disk) \(UInt64.max / 2)", to: file) }
    }

    /// Only what is limited or counted: each group costs a directory and an attachment.
    private func neededOnVersion1(_ limits: CgroupLimits) -> [CgroupController] {
        var needed: [CgroupController] = [.memory, .pids, .io]
        if limits.cpuMillis != nil { needed.append(.cpu) }
        if tree.unified == nil { needed.append(.cpuacct) }
        return needed
    }

    private static func set(_ value: String, _ file: String) throws(LaunchFailure) {
        try step("cgroups", file) { () throws(Errno) in try writeText(value, to: file) }
    }

    static func limitVersion1(
        _ controller: CgroupController, _ limits: CgroupLimits, _ directory: String
    ) throws(LaunchFailure) {
        switch controller {
        case .memory:
            guard let memory = limits.memory else { return }
            try set("\(memory)", directory + "/memory.limit_in_bytes")
            if let swap = limits.swap {
                let total = memory.addingReportingOverflow(swap)
                try set("\(total.overflow ? .max : total.partialValue)", directory + "/memory.memsw.limit_in_bytes")
            }
        case .pids:
            if let pids = limits.pids { try set("\(pids)", directory + "/pids.max") }
        case .cpu:
            if let millis = limits.cpuMillis {
                try set("100000", directory + "/cpu.cfs_period_us")
                try set("\(max(millis * 100, 1000))", directory + "/cpu.cfs_quota_us")
            }
        case .io:
            for (rate, file) in [
                (limits.readRate, "blkio.throttle.read_bps_device"),
                (limits.writeRate, "blkio.throttle.write_bps_device"),
            ] {
                guard let rate else { continue }
                for device in try disks() { try set("\(device) \(rate)", directory + "/" + file) }
            }
        case .cpuacct: break
        }
    }

    static func limitVersion2(_ limits: CgroupLimits, _ directory: String) throws(LaunchFailure) {
        if let memory = limits.memory {
            try set("\(memory)", directory + "/memory.max")
            // The tree is one piece of work: losing a part of it to the OOM killer helps nobody.
            try set("1", directory + "/memory.oom.group")
        }
        if let swap = limits.swap { try set("\(swap)", directory + "/memory.swap.max") }
        if let pids = limits.pids { try set("\(pids)", directory + "/pids.max") }
        if let millis = limits.cpuMillis { try set("\(max(millis * 100, 1000)) 100000", directory + "/cpu.max") }
        if limits.readRate != nil || limits.writeRate != nil {
            for device in try disks() {
                let read = limits.readRate.map { " rbps=\($0)" } ?? ""
                let write = limits.writeRate.map { " wbps=\($0)" } ?? ""
                try set(device + read + write, directory + "/io.max")
            }
        }
    }

    /// Controllers are enabled from the base downwards; each level needs it only once.
    private func enableControllers(in directories: [String]) throws(LaunchFailure) {
        let wanted = Set(tree.unifiedControllers.map(\.unifiedName))
        for directory in directories {
            let file = directory + "/cgroup.subtree_control"
            let enabled = try step("cgroups", file) { () throws(Errno) in try readText(file) }
            let missing = wanted.subtracting(enabled.split(separator: " ").map(String.init))
            if missing.isEmpty { continue }
            try Self.set(missing.sorted().map { "+" + $0 }.joined(separator: " "), file)
        }
    }

    /// A group with controllers enabled for its children may hold no process (cgroups(7), no internal
    /// processes): where it is in the base, this one moves to a leaf, before it has any child.
    static func leaveBase(_ tree: CgroupTree) throws(LaunchFailure) {
        guard tree.mustLeave, tree.layout == .version2, let base = tree.unified else { return }
        let leaf = base + "/cordon-supervisor"
        try step("cgroups", leaf) { () throws(Errno) in try makeDirectoryIfMissing(leaf) }
        try step("cgroups", leaf + "/cgroup.procs") { () throws(Errno) in
            try writeText("\(processID)", to: leaf + "/cgroup.procs")
        }
    }

    /// The whole disks of the machine, "8:0" each; limits on partitions are refused by the kernel.
    private static func disks() throws(LaunchFailure) -> [String] {
        try step("cgroups", "/sys/block") { () throws(Errno) in
            let directory = try open("/sys/block", [.readOnly, .directory])
            return try entries(of: directory.raw).compactMap { entry in
                entry.text.hasPrefix("loop") || entry.text.hasPrefix("ram")
                    ? nil : try? readText("/sys/block/\(entry.text)/dev")
            }
        }
    }
}

/// The group that jail-init is born in.
struct BirthGroup: ~Copyable {
    private let lock: Descriptor
    /// For CLONE_INTO_CGROUP; nil without version 2.
    private let directory: Descriptor?

    init(lock: consuming Descriptor, directory: consuming Descriptor?) {
        self.lock = lock
        self.directory = directory
    }

    /// For CLONE_INTO_CGROUP.
    var cloneInto: Int32? { directory.read { $0.raw } }
}

/// A jail's first group, locked: whoever can take the lock knows that the jail's owner is dead.
private struct AliveGroup: ~Copyable {
    let name: String
    private let lock: Descriptor

    init(name: String, lock: consuming Descriptor) {
        self.name = name
        self.lock = lock
    }

    consuming func takeLock() -> Descriptor { lock }
}
