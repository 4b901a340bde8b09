// Writing id maps, and user namespaces that exist only to carry one (for id-mapped mounts).
internal import JailPlan
internal import Linux
internal import Machine

/// Writes the maps of a new user namespace whose first process is `pid`. `programs` are the helpers of this machine.
func mapIds(
    _ map: IdentityMap, firstId: UInt32?, of pid: Int32, programs: SubordinateIds?
) throws(LaunchFailure) {
    let process = "/proc/\(pid)"
    switch map {
    case .ownRange:
        guard let first = firstId else { throw LaunchFailure(step: "map-ids", object: process) }
        let line = "0 \(first) \(IDs.rangeSize)\n"
        try step("map-ids", process + "/gid_map") { () throws(Errno) in try writeText(line, to: process + "/gid_map") }
        try step("map-ids", process + "/uid_map") { () throws(Errno) in try writeText(line, to: process + "/uid_map") }
    case .single(let inside, let user, let group):
        // Without privileges over the group map, setgroups must be given up first (user_namespaces(7)).
        try step("map-ids", process + "/setgroups") { () throws(Errno) in
            try writeText("deny", to: process + "/setgroups")
        }
        try step("map-ids", process + "/gid_map") { () throws(Errno) in
            try writeText("\(inside) \(group) 1\n", to: process + "/gid_map")
        }
        try step("map-ids", process + "/uid_map") { () throws(Errno) in
            try writeText("\(inside) \(user) 1\n", to: process + "/uid_map")
        }
    case .helpers(let users, let groups):
        // Two set-uid programs, at the same time: each takes a millisecond to start. Both have ended when this returns.
        guard let programs else { throw LaunchFailure(step: "map-ids", object: process) }
        let userHelper = try MapHelper(programs.userHelper, pid: pid, users)
        let groupHelper = try MapHelper(programs.groupHelper, pid: pid, groups)
        let outcomes = (userHelper.outcome(), groupHelper.outcome())
        try outcomes.0.get()
        try outcomes.1.get()
    }
}

/// newuidmap(1) or newgidmap(1) at work. It has ended when the value goes away.
private struct MapHelper: ~Copyable {
    private let path: String
    private let process: ChildProcess

    init(_ path: String, pid: Int32, _ ranges: [IDRange]) throws(LaunchFailure) {
        self.path = path
        let arguments = [path, "\(pid)"] + ranges.flatMap { ["\($0.inside)", "\($0.outside)", "\($0.count)"] }
        let file = try step("open", path) { () throws(Errno) in try open(path, .readOnly) }
        let null = try step("open", "/dev/null") { () throws(Errno) in try open("/dev/null", .readWrite) }
        process = try launching(path) { () throws(SpawnFailure) in
            try cloneAndExecute(
                file, arguments: arguments, namespaces: [], cgroup: nil, control: -1, null: null.raw,
                ambientCapabilities: 0)
        }
    }

    /// Waits for its end.
    func outcome() -> Result<Void, LaunchFailure> {
        Result { () throws(LaunchFailure) in
            try launching(path) { () throws(SpawnFailure) in try process.confirmExecuted() }
            let status = try step("map-ids", path) { () throws(Errno) in try process.wait() }
            // nil: the caller ignores SIGCHLD, so the kernel reaped it; a failed map shows at the next step.
            guard status == nil || status == 0 else {
                throw LaunchFailure(
                    step: "map-ids", object: path,
                    remedy: "it refused: check this user's lines in /etc/subuid and /etc/subgid")
            }
        }
    }

    deinit { _ = try? process.wait() }
}

/// A user namespace in which `owner` of a file system appears as the command's user of a jail.
final class OwnerMap: Sendable {
    let owner: Owner
    /// Keeps the namespace.
    let namespace: Descriptor
    /// It is let go at once, and waited for only at the jail's end.
    private let holder: NamespaceHolder

    init(owner: Owner, commandUser: UInt32, commandGroup: UInt32) throws(LaunchFailure) {
        var holder = try step("clone-tree", "user namespace") { () throws(Errno) in try NamespaceHolder(.user) }
        let process = "/proc/\(holder.pid)"
        namespace = try step("clone-tree", "id map") { () throws(Errno) in
            try writeText("\(owner.group) \(commandGroup) 1\n", to: process + "/gid_map")
            try writeText("\(owner.user) \(commandUser) 1\n", to: process + "/uid_map")
            return try open(process + "/ns/user", .readOnly)
        }
        holder.letGo()
        self.owner = owner
        self.holder = consume holder
    }
}
