// The cgroups of one jail: made, limited, read and removed.
//
// Version 1: one group for each controller that is needed; the spawner is attached to all of them before
// it starts anything. Version 2: `init` holds jail-init, `run` holds the spawner and its commands and has
// the limits, so that a group OOM kill spares the process that reports it. Hybrid: version 1 groups for
// limits, and one version 2 group, in which jail-init is born, for cgroup.kill and cpu.stat.
internal import JailPlan
internal import Linux
internal import Machine

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
    ///
    /// - Parameter nests: whether commands will have groups of their own inside of them.
    mutating func limit(_ limits: CgroupLimits, nests: Bool) throws(LaunchFailure) {
        try groups.makeLimitedGroups(limits, nests: nests)
    }

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
    func cpuMicroseconds() -> UInt64? { groups.counters.cpuMicroseconds() }

    /// All counters but processor time, at the end.
    func usage() -> CgroupUsage { groups.counters.usage() }

    /// Bytes of memory in use now; nil without a counter.
    func memory() -> UInt64? { groups.counters.memory() }

    /// Where commands get groups inside of this jail's.
    var nesting: CommandGroups.Nesting {
        CommandGroups.Nesting(
            killable: groups.killable, counters: groups.counters, isUnified: groups.tree.layout == .version2)
    }
}
