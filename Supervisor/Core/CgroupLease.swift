// The cgroups of one jail: made, limited, read and removed.
//
// Version 1: one group for each controller that is needed; the spawner is attached to all of them before
// it starts anything. Version 2: `init` holds jail-init, `run` holds the spawner and its commands and has
// the limits, so that a group OOM kill spares the process that reports it. Hybrid: version 1 groups for
// limits, and one version 2 group, in which jail-init is born, for cgroup.kill and cpu.stat.
internal import JailPlan
internal import Linux
internal import Machine

/// What a jail used.
public struct CgroupUsage: Sendable, Hashable {
    /// Microseconds of processor time of all processes together; nil without a counter.
    public var cpuMicroseconds: UInt64?
    /// The highest number of bytes in use at any time.
    public var peakMemory: UInt64?
    /// The highest number of tasks at any time.
    public var peakPids: UInt64?
    /// Bytes moved from and to disks.
    public var readBytes: UInt64?, writtenBytes: UInt64?
    /// How often the kernel killed a process for the memory limit.
    public var oomKills: UInt64?
    /// How often a fork met the limit on tasks.
    public var pidsDenied: UInt64?
}

/// One jail's groups, removed when the value goes away.
struct CgroupLease: ~Copyable {
    /// Holds the lock that tells other supervisors that this jail is alive.
    private let birth: BirthGroup
    private var groups: CgroupMaker

    /// Makes the group that jail-init is born in; those with limits follow while it is being loaded. What fails
    /// leaves nothing behind.
    static func begin(in tree: CgroupTree) throws(LaunchFailure) -> CgroupLease {
        var groups = CgroupMaker(tree: tree)
        do throws(LaunchFailure) {
            let birth = try groups.makeBirthGroup()
            return CgroupLease(birth: birth, groups: groups)
        } catch {
            removeGroups(groups.made.reversed())
            throw error
        }
    }

    private init(birth: consuming BirthGroup, groups: CgroupMaker) {
        self.birth = birth
        self.groups = groups
    }

    deinit { removeGroups(groups.made.reversed()) }

    /// Makes the groups with limits.
    mutating func limit(_ limits: CgroupLimits) throws(LaunchFailure) { try groups.makeLimitedGroups(limits) }

    private var counters: [CgroupController: String] { groups.counters }

    /// For CLONE_INTO_CGROUP.
    var cloneInto: Int32? { birth.cloneInto }

    /// Opens the files through which the spawner enters every limited group. The kernel asks for the rights
    /// of whoever opened them, so the spawner needs none.
    func openEntrances(into descriptors: inout DescriptorList) throws(LaunchFailure) -> Int {
        for file in groups.entrances {
            descriptors.append(try step("cgroups", file) { () throws(Errno) in try open(file, .writeOnly) })
        }
        return groups.entrances.count
    }

    /// Kills every process of the jail by one write, where the kernel can; the caller kills jail-init too.
    func kill() {
        guard let killable = groups.killable else { return }
        // It fails only when the group is gone, and then there is nobody to kill.
        try? writeText("1", to: killable + "/cgroup.kill")
    }

    /// Microseconds of processor time so far.
    func cpuMicroseconds() -> UInt64? {
        guard let directory = counters[.cpuacct] else { return nil }
        if let text = try? readText(directory + "/cpu.stat"), let value = field("usage_usec", of: text) { return value }
        return (try? readText(directory + "/cpuacct.usage")).flatMap { UInt64($0) }.map { $0 / 1000 }
    }

    /// All counters but processor time, at the end.
    func usage() -> CgroupUsage {
        var usage = CgroupUsage()
        if let directory = counters[.memory] {
            usage.peakMemory = number(directory + "/memory.max_usage_in_bytes") ?? number(directory + "/memory.peak")
            usage.oomKills =
                keyed(directory + "/memory.oom_control", "oom_kill") ?? keyed(directory + "/memory.events", "oom_kill")
        }
        if let directory = counters[.pids] {
            usage.peakPids = number(directory + "/pids.peak")
            usage.pidsDenied = keyed(directory + "/pids.events", "max")
        }
        if let directory = counters[.io] {
            (usage.readBytes, usage.writtenBytes) = inputOutput(directory)
        }
        return usage
    }

    private func number(_ file: String) -> UInt64? { (try? readText(file)).flatMap { UInt64($0) } }

    private func keyed(_ file: String, _ key: String) -> UInt64? {
        (try? readText(file)).flatMap { field(key, of: $0) }
    }

    private func field(_ key: String, of text: String) -> UInt64? {
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ")
            if parts.count == 2, parts[0] == key { return UInt64(parts[1]) }
        }
        return nil
    }

    /// Version 1: "8:0 Read 4096"; version 2: "8:0 rbytes=4096 wbytes=0 …".
    private func inputOutput(_ directory: String) -> (UInt64?, UInt64?) {
        var read: UInt64 = 0
        var written: UInt64 = 0
        if let text = try? readText(directory + "/io.stat") {
            for part in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
                if part.hasPrefix("rbytes=") { read += UInt64(part.dropFirst(7)) ?? 0 }
                if part.hasPrefix("wbytes=") { written += UInt64(part.dropFirst(7)) ?? 0 }
            }
            return (read, written)
        }
        guard let text = try? readText(directory + "/blkio.throttle.io_service_bytes_recursive") else {
            return (nil, nil)
        }
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ")
            guard parts.count == 3, let bytes = UInt64(parts[2]) else { continue }
            if parts[1] == "Read" { read += bytes }
            if parts[1] == "Write" { written += bytes }
        }
        return (read, written)
    }
}

/// Removes groups whose processes are dead. The kernel lets a group go once its last task has been
/// unhashed, which is a moment after its death was reported.
private func removeGroups(_ directories: [String]) {
    for directory in directories { removeGroup(directory) }
}
