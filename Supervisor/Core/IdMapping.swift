// Writing id maps, and user namespaces that exist only to carry one (for id-mapped mounts).
internal import JailPlan
internal import Linux

/// Writes the maps of a new user namespace whose first process is `pid`.
func mapIds(_ map: IdentityMap, firstId: UInt32?, of pid: Int32) throws(LaunchFailure) {
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
        // Two set-uid programs, at the same time: each takes a millisecond to start.
        let userHelper = try startHelper("newuidmap", pid: pid, users)
        let groupHelper = try startHelper("newgidmap", pid: pid, groups)
        try finishHelper("newuidmap", userHelper)
        try finishHelper("newgidmap", groupHelper)
    }
}

private func startHelper(_ name: String, pid: Int32, _ ranges: [IDRange]) throws(LaunchFailure) -> ChildProcess {
    let path = "/usr/bin/" + name
    let arguments = [name, "\(pid)"] + ranges.flatMap { ["\($0.inside)", "\($0.outside)", "\($0.count)"] }
    return try runQuietly(path, arguments)
}

private func finishHelper(_ name: String, _ process: borrowing ChildProcess) throws(LaunchFailure) {
    let status = try step("map-ids", name) { () throws(Errno) in try process.wait() }
    // nil: the caller ignores SIGCHLD, so the kernel reaped it; a failed map shows at the next step.
    guard status == nil || status == 0 else {
        throw LaunchFailure(
            step: "map-ids", object: name,
            remedy: "\(name) refused: check this user's lines in /etc/subuid and /etc/subgid")
    }
}

/// Starts a program of the host with nothing but /dev/null and its arguments.
func runQuietly(_ path: String, _ arguments: [String]) throws(LaunchFailure) -> ChildProcess {
    let file = try step("open", path) { () throws(Errno) in try open(path, .readOnly) }
    let null = try step("open", "/dev/null") { () throws(Errno) in try open("/dev/null", .readWrite) }
    do throws(SpawnFailure) {
        return try cloneAndExecute(
            file, arguments: arguments, namespaces: [], cgroup: nil, control: -1, null: null.raw, ambientCapabilities: 0
        )
    } catch {
        throw LaunchFailure(step: error.step, object: path, errno: error.errno)
    }
}

/// A user namespace in which `owner` of a file system appears as the command's user of a jail. Its holder
/// is dead when this returns; the descriptor keeps the namespace.
func makeMountNamespaceMap(owner: Owner, commandUser: UInt32, commandGroup: UInt32) throws(LaunchFailure) -> Descriptor
{
    let holder = try step("clone-tree", "user namespace") { () throws(Errno) in
        try NamespaceHolder(.user)
    }
    let process = "/proc/\(holder.pid)"
    return try step("clone-tree", "id map") { () throws(Errno) in
        try writeText("\(owner.group) \(commandGroup) 1\n", to: process + "/gid_map")
        try writeText("\(owner.user) \(commandUser) 1\n", to: process + "/uid_map")
        return try open(process + "/ns/user", .readOnly)
    }
}
