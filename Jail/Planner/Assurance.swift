// Never silently weaker: what the policy wants, held against what the machine gives.
internal import JailPlan
internal import Linux
internal import Machine
internal import PolicyModel

/// Collects which guarantees a plan gives and which it cannot.
struct Assurance {
    private let allowed: Set<Guarantee>
    private(set) var enforced: Set<Guarantee> = []
    private(set) var missing: [MissingGuarantee] = []
    private(set) var notes: [String] = []

    init(allowed: Set<Guarantee>) { self.allowed = allowed }

    mutating func give(_ guarantees: Guarantee...) { enforced.formUnion(guarantees) }

    mutating func note(_ text: String) { notes.append(text) }

    /// - Parameter isAsked: whether this very run asked for it; then no list of what may be missing applies.
    mutating func lack(_ guarantee: Guarantee, _ reason: String, remedy: String, isAsked: Bool = false) {
        missing.append(MissingGuarantee(guarantee: guarantee, reason: reason, remedy: remedy, isAsked: isAsked))
    }

    /// The summary, or the refusal.
    func settle() throws(PlanFailure) -> GuaranteeSummary {
        let refused = missing.filter { $0.isAsked || !allowed.contains($0.guarantee) }
        guard refused.isEmpty else { throw .missing(refused) }
        let degraded = Set(missing.map(\.guarantee))
        return GuaranteeSummary(
            enforced: Guarantee.allCases.filter { enforced.contains($0) && !degraded.contains($0) },
            degraded: Guarantee.allCases.filter { degraded.contains($0) }, notes: notes)
    }

    /// The limits that cgroups enforce. Where a controller is missing, so is its guarantee.
    mutating func limits(
        _ resources: ResourceLimits, on machine: Machine
    ) -> (cgroups: CgroupLimits?, processLimit: UInt64?) {
        var limits = CgroupLimits()
        var processLimit: UInt64?
        let tree = machine.cgroups
        let obstacle =
            tree.obstacle ?? "the controller is not available on this machine's cgroup \(tree.layout.rawValue)"
        let remedy =
            machine.isPrivileged
            ? "`cordon doctor` tells how to mount and enable the controller"
            : "run as root, or under systemd-run --user --scope -p Delegate=yes"

        if let memory = resources.memory?.value.bytes(ofMachine: machine.memory) {
            if tree.has(.memory) {
                limits.memory = memory
                limits.swap = machine.hasSwap ? resources.swap?.value ?? 0 : nil
                give(.memory, .swap)
            } else {
                // What an option sets has no place in a policy.
                lack(.memory, obstacle, remedy: remedy, isAsked: resources.memory?.location == nil)
                lack(.swap, obstacle, remedy: remedy)
            }
        }
        if let pids = resources.pids?.value {
            if tree.has(.pids) {
                limits.pids = pids
                give(.pids)
            } else {
                processLimit = pids
                give(.pids)
                note("pids: limited by RLIMIT_NPROC, since no cgroup with the pids controller can be made here")
            }
        }
        if let cpus = resources.cpus?.value {
            if tree.has(.cpu) {
                limits.cpuMillis = UInt64(max(0.001, min(cpus, 1e9)) * 1000)
                give(.cpuRate)
            } else {
                lack(.cpuRate, obstacle, remedy: remedy)
            }
        }
        if resources.cpu != nil {
            if tree.unified != nil || tree.has(.cpuacct) {
                give(.cpuTime)
            } else {
                lack(.cpuTime, "processor time of a whole tree is counted by cgroups; " + obstacle, remedy: remedy)
            }
        }
        if tree.has(.io) {
            limits.readRate = resources.ioRead?.value
            limits.writeRate = resources.ioWrite?.value
            give(.io)
        } else if resources.ioRead != nil || resources.ioWrite != nil {
            lack(.io, obstacle, remedy: remedy)
        }
        give(.janitor)
        return (tree.layout == .none ? nil : limits, processLimit)
    }

    /// The id map for this caller.
    mutating func identityMap(for machine: Machine, command: Owner) -> IdentityMap {
        if machine.isPrivileged {
            give(.ids, .workspaceIds, .groups)
            return .ownRange
        }
        give(.ids, .workspaceIds)
        if let own = machine.subordinateIds, command.user > 0, command.group > 0 {
            give(.groups)
            return .helpers(
                users: Self.around(command.user, machine.user, own.users),
                groups: Self.around(command.group, machine.group, own.groups))
        }
        let others = machine.supplementaryGroups.filter { $0 != machine.group }
        if others.isEmpty {
            give(.groups)
        } else {
            lack(
                .groups, "this user has supplementary groups, and dropping them needs newgidmap",
                remedy: "install the package uidmap and give this user ranges in /etc/subuid and /etc/subgid")
        }
        return .single(inside: command.user, user: machine.user, group: machine.group)
    }

    /// The caller's id becomes the command's, subordinate ids fill the rest, 65,536 in all at most.
    private static func around(_ inside: UInt32, _ caller: UInt32, _ own: (first: UInt32, count: UInt32)) -> [IDRange] {
        let below = min(inside, own.count)
        let above = min(own.count - below, IDs.rangeSize - min(inside + 1, IDs.rangeSize))
        var ranges = [
            IDRange(inside: 0, outside: own.first, count: below), IDRange(inside: inside, outside: caller, count: 1),
        ]
        if above > 0 { ranges.append(IDRange(inside: inside + 1, outside: own.first + below, count: above)) }
        return ranges
    }
}
