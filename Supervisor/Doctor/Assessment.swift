// The closed list of guarantees, held against what was found here.
public import PolicyModel
internal import Machine

/// Whether and how this machine gives this caller a guarantee.
public struct Assessment: Sendable, Hashable {
    /// Whether it is given.
    public enum Given: String, Sendable, Hashable {
        /// A policy that wants it gets it.
        case yes
        /// A policy that wants it is refused, unless it lists it under `allow_degraded`.
        case no
        /// Something weaker takes its place, or it depends on the run.
        case degraded
    }

    /// Which.
    public var guarantee: Guarantee
    /// Whether.
    public var given: Given
    /// By which mechanism here; where it is not given, by which it would be.
    public var mechanism: String
    /// Why not, or what is weaker.
    public var reason: String?
    /// What opens it.
    public var remedy: String?
}

extension Examination {
    /// Every guarantee of the closed list, in its order.
    public var assessments: [Assessment] { Guarantee.allCases.map(assess) }

    private var isRoot: Bool { machine.isPrivileged }

    private func assess(_ guarantee: Guarantee) -> Assessment {
        switch guarantee {
        case .userNamespace: rests(guarantee, on: ["ns.user"])
        case .mountNamespace, .pidNamespace, .networkNamespace, .ipcNamespace, .utsNamespace, .cgroupNamespace,
            .timeNamespace:
            rests(guarantee, on: ["ns.user", guarantee.rawValue])
        case .root:
            rests(
                guarantee,
                on: ["ns.user", "ns.mount", "mount.tmpfs", "mount.open_tree", "mount.devpts", "mount.pivot_root"])
        case .proc: rests(guarantee, on: ["ns.pid", "mount.proc"])
        case .ids: assessIds()
        case .workspaceIds:
            isRoot
                ? rests(guarantee, on: ["mount.idmapped"], by: "MOUNT_ATTR_IDMAP")
                : rests(guarantee, on: ["ns.user"], by: "the caller's own id is the command's")
        case .groups:
            rests(
                guarantee, on: ["groups"], by: isRoot ? "setgroups(2)" : check("groups")?.detail ?? guarantee.mechanism)
        case .capabilities: rests(guarantee, on: ["ns.user"])
        case .noNewPrivileges: rests(guarantee, on: ["no_new_privs"])
        case .seccomp: rests(guarantee, on: ["seccomp"])
        case .landlock: rests(guarantee, on: ["landlock"], by: "landlock(7), ABI \(machine.landlockABI)")
        case .landlockScope:
            machine.landlockABI >= 6
                ? rests(guarantee, on: ["landlock"], by: "landlock(7), scopes of ABI \(machine.landlockABI)")
                : rests(
                    guarantee, on: ["ns.pid", "ns.net"],
                    by: "the pid and network namespaces; Landlock here has no scopes")
        case .keyring: rests(guarantee, on: ["keyring"])
        case .deny, .protect, .sockets: rests(guarantee, on: ["ns.mount", "mount.open_tree"])
        case .denyCreate:
            Assessment(
                guarantee: guarantee, given: .degraded, mechanism: guarantee.mechanism,
                reason: "given where the workspace is read-only, not where it is written directly",
                remedy: "use preset:readonly, or list \"fs.deny.create\" under allow_degraded as preset:agent does")
        case .exec: rests(guarantee, on: ["landlock", "mount.open_tree"])
        case .memory, .swap, .cpuRate, .io: assessController(guarantee)
        case .pids: assessPids()
        case .cpuTime: rests(guarantee, on: ["cgroup.cpuacct"], by: check("cgroup.cpuacct")?.detail ?? "")
        case .disk: rests(guarantee, on: ["mount.tmpfs"])
        case .wall, .output: rests(guarantee, on: [])
        case .treeKill:
            check("cgroup.kill")?.state == .works
                ? rests(guarantee, on: ["ns.pid"], by: "the death of the pid namespace's init, and cgroup.kill")
                : rests(guarantee, on: ["ns.pid"], by: "the death of the pid namespace's init")
        case .janitor: rests(guarantee, on: ["jail-init", "cordon-janitor"])
        }
    }

    /// Given when every check does work; else the first that does not says why.
    private func rests(_ guarantee: Guarantee, on names: [String], by mechanism: String? = nil) -> Assessment {
        let culprit = names.lazy.compactMap { check($0) }.first { $0.state != .works }
        guard let culprit else {
            return Assessment(guarantee: guarantee, given: .yes, mechanism: mechanism ?? guarantee.mechanism)
        }
        return Assessment(
            guarantee: guarantee, given: .no, mechanism: guarantee.mechanism, reason: reason(culprit),
            remedy: culprit.remedy)
    }

    private func reason(_ check: Check) -> String {
        "\(check.name) is \(check.state.rawValue)" + (check.blockedBy.map { ": \($0)" } ?? "")
    }

    private func assessIds() -> Assessment {
        if isRoot { return rests(.ids, on: ["ids.range"], by: "65,536 ids of its own for each live jail") }
        let hasMore = check("ids.subordinate")?.state == .works
        return rests(
            .ids, on: ["ids.single"],
            by: hasMore ? "the caller's own id and its subordinate ones, through newuidmap(1)" : "one id, the caller's")
    }

    private func assessController(_ guarantee: Guarantee) -> Assessment {
        let name =
            switch guarantee {
            case .memory: "cgroup.memory"
            case .swap: "cgroup.swap"
            case .cpuRate: "cgroup.cpu"
            default: "cgroup.io"
            }
        if guarantee == .swap, !machine.hasSwap, check("cgroup.memory")?.state == .works {
            return rests(guarantee, on: [], by: "this machine has no swap")
        }
        return rests(guarantee, on: [name], by: check(name)?.detail ?? guarantee.mechanism)
    }

    private func assessPids() -> Assessment {
        var result = rests(.pids, on: ["cgroup.pids"], by: check("cgroup.pids")?.detail ?? "")
        if result.given == .no, !isRoot {
            result.given = .degraded
            result.mechanism = "RLIMIT_NPROC"
            result.reason = "it counts all processes of the id, not those of one tree; " + (result.reason ?? "")
        }
        return result
    }
}
