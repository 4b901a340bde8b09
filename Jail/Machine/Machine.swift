// What this machine and this caller can give, as far as a plan depends on it. Reading it costs some tens of
// microseconds; `cordon doctor` tries the same things for real.
public import Linux

/// Facts about the machine and the caller.
public struct Machine: Sendable, Hashable {
    /// The caller's ids.
    public var user: UInt32, group: UInt32
    /// The caller's supplementary groups.
    public var supplementaryGroups: [UInt32]
    /// Landlock's ABI; 0 where there is none.
    public var landlockABI: Int
    /// Why there is no Landlock.
    public var landlockObstacle: Errno?
    /// Where cgroups can be made.
    public var cgroups: CgroupTree
    /// Bytes of memory.
    public var memory: UInt64
    /// Whether any swap is in use, so that a limit on it matters.
    public var hasSwap: Bool
    /// The caller's subordinate ids, where newuidmap(1) and newgidmap(1) can map them.
    public var subordinateIds: SubordinateIds?

    /// Whether this process's own user namespace has the host ids that jails take their ranges from. One that
    /// a container or `unshare -Ur` made has few.
    public var hasJailIds: Bool

    /// Whether the caller is root, with the rights to map any id and to make id-mapped mounts.
    public var isPrivileged: Bool { user == 0 && hasJailIds }

    /// The host ids of all jails lie above those of systemd-nspawn (524288…1879048191) and end at 2^31, the last
    /// id that programs with signed ids can handle.
    public static let jailIds: Range<UInt32> = 0x7000_0000..<0x8000_0000

    /// Whether a map of user_namespaces(7) covers the host ids of jails.
    static func coversJailIds(_ map: String) -> Bool {
        map.split(separator: "\n").contains { line in
            let fields = line.split(separator: " ").compactMap { UInt64($0) }
            return fields.count == 3 && fields[0] <= UInt64(jailIds.lowerBound)
                && fields[0] + fields[2] >= UInt64(jailIds.upperBound)
        }
    }

    /// The machine's own user namespace maps every id; its number is part of the kernel's interface
    /// (PROC_USER_INIT_INO, include/linux/proc_ns.h), and asking for it spares reading two maps.
    private static var isInitialUserNamespace: Bool {
        (try? status(at: "/proc/self/ns/user", follow: true))?.inode == 0xEFFF_FFFD
    }

    /// Looks around.
    public static func inspect() throws(Errno) -> Machine {
        let (user, group) = callerIdentity
        var abi = 0
        var obstacle: Errno?
        do throws(Errno) { abi = try LandlockRuleset.abi() } catch { obstacle = error }
        let memory = memorySizes()
        return Machine(
            user: user, group: group, supplementaryGroups: try Linux.supplementaryGroups(), landlockABI: abi,
            landlockObstacle: obstacle, cgroups: .discover(privileged: user == 0),
            memory: memory.total, hasSwap: memory.swap > 0,
            subordinateIds: user == 0 ? nil : SubordinateIds.find(user: user, group: group),
            hasJailIds: isInitialUserNamespace
                || coversJailIds((try? readText("/proc/self/uid_map")) ?? "")
                    && coversJailIds((try? readText("/proc/self/gid_map")) ?? "")
        )
    }
}

/// A caller's ranges in /etc/subuid and /etc/subgid (subuid(5)), and the programs that map them.
public struct SubordinateIds: Sendable, Hashable {
    /// The first subordinate user id, and how many there are.
    public var users: (first: UInt32, count: UInt32) { (firstUser, userCount) }
    /// The first subordinate group id, and how many there are.
    public var groups: (first: UInt32, count: UInt32) { (firstGroup, groupCount) }
    private var firstUser: UInt32, userCount: UInt32, firstGroup: UInt32, groupCount: UInt32
    /// newuidmap(1) and newgidmap(1).
    public var userHelper: String, groupHelper: String

    /// The first range of the user in both files; nil without one of at least 1,001 ids, or without helpers.
    static func find(user: UInt32, group: UInt32) -> SubordinateIds? {
        guard let name = userName(of: user),
            let userRange = firstRange(in: "/etc/subuid", name: name, id: user),
            let groupRange = firstRange(in: "/etc/subgid", name: name, id: user),
            let userHelper = helper("newuidmap"), let groupHelper = helper("newgidmap")
        else { return nil }
        return SubordinateIds(
            firstUser: userRange.0, userCount: userRange.1, firstGroup: groupRange.0, groupCount: groupRange.1,
            userHelper: userHelper, groupHelper: groupHelper)
    }

    private static func helper(_ name: String) -> String? {
        ["/usr/bin/", "/bin/", "/usr/local/bin/"].map { $0 + name }.first { Linux.mayExecute($0) }
    }

    private static func firstRange(in file: String, name: String, id: UInt32) -> (UInt32, UInt32)? {
        for line in ((try? readText(file)) ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":")
            guard fields.count == 3, fields[0] == name || fields[0] == "\(id)", let first = UInt32(fields[1]),
                let count = UInt32(fields[2]), count > 1000, first.addingReportingOverflow(count).overflow == false
            else { continue }
            return (first, count)
        }
        return nil
    }

    /// newuidmap wants an account; one without a line in /etc/passwd has none.
    private static func userName(of user: UInt32) -> String? {
        for line in ((try? readText("/etc/passwd")) ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count >= 3, fields[2] == "\(user)" { return String(fields[0]) }
        }
        return nil
    }
}
