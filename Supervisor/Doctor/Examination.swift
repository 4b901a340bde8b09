// `cordon doctor`: every primitive that jails are made of, tried for real. Each trial runs in a process of its
// own, or makes something and takes it away again; nothing is left behind.
public import Linux
public import Machine

/// What was found out about this machine, for this caller.
public struct Examination: Sendable {
    /// What the planner goes by.
    public let machine: Machine
    /// What surrounds this process.
    public let circumstances: Circumstances
    /// The trials, group by group.
    public private(set) var checks: [Check]

    /// Tries everything. Only for single-threaded programs.
    public static func perform() throws(Errno) -> Examination {
        // A caller that ignores SIGCHLD would keep trials from being asked how they ended.
        Signal.restoreDefault(Signal.child)
        let machine = try Machine.inspect()
        let here = Circumstances(machine: machine)
        let checks =
            checkNamespaces(here) + checkIds(here) + checkMounts(here) + checkCgroups(here) + checkFilters(here)
            + checkCalls(here) + checkPrograms()
        return Examination(machine: machine, circumstances: here, checks: checks)
    }

    /// Adds a check that was made elsewhere: the jail itself.
    public mutating func add(_ check: Check) { checks.append(check) }

    /// The check of a name.
    public func check(_ name: String) -> Check? { checks.first { $0.name == name } }
}

extension Check {
    /// The last trial: a jail.
    public static func jail(state: State, detail: String, blockedBy: String?, remedy: String?) -> Check {
        Check(
            name: "jail", group: "jail", state: state, detail: detail, blockedBy: blockedBy, remedy: remedy,
            isNeeded: true)
    }
}
