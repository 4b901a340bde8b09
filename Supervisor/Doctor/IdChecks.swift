// Which ids this caller may give to a jail.
internal import Linux
internal import Machine

func checkIds(_ here: Circumstances) -> [Check] {
    let isRoot = here.machine.isPrivileged
    var checks = isRoot ? [checkRange(here)] : [checkSingle(here)]
    checks += [checkHelper("newuidmap", here), checkHelper("newgidmap", here)]
    if !isRoot { checks += [checkSubordinates("subuid", here), checkSubordinates("subgid", here), checkMapping(here)] }
    checks.append(checkGroups(here))
    return checks
}

private let group = "ids"

/// The ids of a live jail lie from here on; see `IdRange` in the core.
private let firstJailId: UInt32 = 0x7000_0000, jailIds: UInt32 = 65536

/// Root gives each jail ids that nobody else has.
private func checkRange(_ here: Circumstances) -> Check {
    let outcome = attempt { () throws(Obstacle) in
        let holder = try doing("clone(user)") { () throws(Errno) in try NamespaceHolder(.user) }
        for file in ["gid_map", "uid_map"] {
            try doing("map ids from \(firstJailId) on in \(file)") { () throws(Errno) in
                try writeText("0 \(firstJailId) \(jailIds)\n", to: "/proc/\(holder.pid)/\(file)")
            }
        }
        return "\(jailIds) ids from \(firstJailId) on"
    }
    switch outcome {
    case .worked(let detail): return .works("ids.range", in: group, detail)
    case .failed(let obstacle):
        return .fails("ids.range", in: group, obstacle.text, blockerOfRange(here, obstacle))
    }
}

private func blockerOfRange(_ here: Circumstances, _ obstacle: Obstacle) -> Blocker {
    if obstacle.step.hasPrefix("clone") { return here.blockerOfNamespace("user", obstacle) }
    if here.lacks(CapabilityNumber.setUid) { return here.blockerOfCapability("CAP_SETUID") }
    if here.lacks(CapabilityNumber.setGid) { return here.blockerOfCapability("CAP_SETGID") }
    if let own = try? readText("/proc/self/uid_map"), !maps(firstJailId, in: own) {
        return Blocker(
            name: "this user namespace has no ids from \(firstJailId) on",
            remedy: "run Cordon as root outside of it, or as an ordinary user inside of it (rootless)")
    }
    return here.blockerOfRights(obstacle)
}

/// Whether an id exists in a user namespace with this uid_map.
private func maps(_ id: UInt32, in map: String) -> Bool {
    map.split(separator: "\n").contains { line in
        let numbers = line.split(separator: " ").compactMap { UInt64($0) }
        return numbers.count == 3 && UInt64(id) >= numbers[0] && UInt64(id) + UInt64(jailIds) <= numbers[0] + numbers[2]
    }
}

/// An ordinary user can always map its own id.
private func checkSingle(_ here: Circumstances) -> Check {
    switch attempt({ () throws(Obstacle) in
        try enterAsRoot()
        return "the caller's own id, \(here.machine.user)"
    }) {
    case .worked(let detail): return .works("ids.single", in: group, detail)
    case .failed(let obstacle):
        let blocker =
            obstacle.step.hasPrefix("unshare")
            ? here.blockerOfNamespace("user", obstacle) : here.blockerOfRights(obstacle)
        return .fails("ids.single", in: group, obstacle.text, blocker)
    }
}

/// newuidmap(1) and newgidmap(1) need privileges of their own.
private func checkHelper(_ name: String, _ here: Circumstances) -> Check {
    let suffix = here.machine.isPrivileged ? "; root does without" : ""
    let places = ["/usr/bin/", "/bin/", "/usr/local/bin/"].map { $0 + name }
    guard let path = places.first(where: { (try? status(at: $0, follow: true)) != nil }) else {
        return .fails(
            name, in: group, "not in /usr/bin" + suffix,
            Blocker(name: "the package uidmap is not installed", remedy: "apt-get install uidmap", isMissing: true),
            needed: false)
    }
    guard mayExecute(path) else {
        return .fails(
            name, in: group, "\(path) cannot be executed",
            Blocker(name: "its permissions", remedy: "chmod 4755 \(path)"), needed: false)
    }
    let mode = (try? status(at: path, follow: true))?.mode ?? 0
    let power = mode & 0o4000 != 0 ? "set-uid" : hasFileCapabilities(path) ? "with file capabilities" : nil
    guard let power else {
        return .fails(
            name, in: group, "\(path) is neither set-uid nor has it file capabilities",
            Blocker(name: "its permissions", remedy: "chmod u+s \(path)"), needed: false)
    }
    if here.noNewPrivileges, !here.machine.isPrivileged {
        return .fails(
            name, in: group, "\(path) cannot gain its rights",
            Blocker(
                name: "no_new_privs",
                remedy:
                    "start Cordon without it (systemd: NoNewPrivileges=no; docker: no --security-opt no-new-privileges)"
            ),
            needed: false)
    }
    return .works(name, in: group, "\(path), \(power)\(suffix)", needed: false)
}

/// A range in /etc/subuid or /etc/subgid.
private func checkSubordinates(_ name: String, _ here: Circumstances) -> Check {
    let file = "/etc/" + name
    let lines = ((try? readText(file)) ?? "").split(separator: "\n").map { $0.split(separator: ":") }
    let own = lines.first { line in
        guard line.count == 3, let count = UInt32(line[2]), count > 1000 else { return false }
        return here.userName.map { line[0] == $0 } ?? false || line[0] == "\(here.machine.user)"
    }
    if let own { return .works(name, in: group, "\(own[2]) ids from \(own[1]) on", needed: false) }
    guard let user = here.userName else {
        return .fails(
            name, in: group, "uid \(here.machine.user) has no account",
            Blocker(
                name: "no line in /etc/passwd", remedy: "useradd -u \(here.machine.user) NAME", isMissing: true),
            needed: false)
    }
    let ends = lines.compactMap { line -> UInt64? in
        guard line.count == 3, let first = UInt64(line[1]), let count = UInt64(line[2]), first < 1 << 32,
            count < 1 << 32
        else { return nil }
        return first + count
    }
    let first = max(100000, ends.max() ?? 0)
    return .fails(
        name, in: group, "no range of more than 1,000 ids for \(user)",
        Blocker(
            name: "no line for \(user) in \(file)",
            remedy: "usermod --add-\(name)s \(first)-\(first + 65535) \(user)", isMissing: true), needed: false)
}

/// The helpers, for real.
private func checkMapping(_ here: Circumstances) -> Check {
    let name = "ids.subordinate"
    guard let own = here.machine.subordinateIds else {
        return .fails(
            name, in: group, "not tried",
            Blocker(name: "see newuidmap, newgidmap, subuid and subgid", remedy: "open these first", isMissing: true),
            needed: false)
    }
    let outcome = attempt { () throws(Obstacle) in
        let holder = try doing("clone(user)") { () throws(Errno) in try NamespaceHolder(.user) }
        let commands = [
            (own.groupHelper, here.machine.group, own.groups, "gid_map"),
            (own.userHelper, here.machine.user, own.users, "uid_map"),
        ]
        for (program, caller, range, file) in commands {
            let status = try runProgram(
                program, ["\(holder.pid)", "0", "\(range.first)", "1000", "1000", "\(caller)", "1"])
            guard status == .exited(0) else { throw Obstacle("\(program) refused to map") }
            let map = try doing("read \(file)") { () throws(Errno) in try readText("/proc/\(holder.pid)/\(file)") }
            guard map.split(separator: "\n").count == 2 else { throw Obstacle("\(program) did not map") }
        }
        return "\(own.users.count) user ids and \(own.groups.count) group ids can be mapped"
    }
    switch outcome {
    case .worked(let detail): return .works(name, in: group, detail, needed: false)
    case .failed(let obstacle):
        let blocker =
            obstacle.step.hasPrefix("clone")
            ? here.blockerOfNamespace("user", obstacle)
            : Blocker(
                name: "the helpers' refusal",
                remedy: "try it by hand: unshare -U sleep 9 & \(own.userHelper) $! 0 \(own.users.first) 1000")
        return .fails(name, in: group, obstacle.text, blocker, needed: false)
    }
}

/// Supplementary groups outlive a user namespace, unless somebody with rights over the map drops them.
private func checkGroups(_ here: Circumstances) -> Check {
    let others = here.machine.supplementaryGroups.filter { $0 != here.machine.group }
    if here.machine.isPrivileged { return .works("groups", in: group, "root drops them") }
    if others.isEmpty { return .works("groups", in: group, "the caller has none") }
    if here.machine.subordinateIds != nil { return .works("groups", in: group, "dropped, with newgidmap's map") }
    return .fails(
        "groups", in: group, "the caller has \(others.count), and without newgidmap setgroups(2) is refused",
        Blocker(name: "no subordinate ids", remedy: "open newgidmap and subgid, as said there"))
}
