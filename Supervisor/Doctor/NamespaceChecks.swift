// Each kind of namespace, made inside a user namespace as a jail's are.
internal import Linux

/// A user namespace in which the calling process is root, and others with it, one call for each so that the
/// kernel's answer has an addressee.
func enterAsRoot(_ kinds: Namespaces = []) throws(Obstacle) {
    let (user, group) = callerIdentity
    try doing("unshare(user)") { () throws(Errno) in try enterNew(.user) }
    for (file, text) in [("setgroups", "deny"), ("gid_map", "0 \(group) 1\n"), ("uid_map", "0 \(user) 1\n")] {
        try doing("write /proc/self/\(file)") { () throws(Errno) in try writeText(text, to: "/proc/self/" + file) }
    }
    for kind in namespaceKinds where kinds.contains(kind.flag) {
        try doing("unshare(\(kind.name))") { () throws(Errno) in try enterNew(kind.flag) }
    }
}

/// A kind of namespace, its name in guarantees and its file in /proc/PID/ns.
let namespaceKinds: [(flag: Namespaces, name: String, file: String)] = [
    (.user, "user", "user"), (.mount, "mount", "mnt"), (.pid, "pid", "pid"), (.network, "net", "net"),
    (.ipc, "ipc", "ipc"), (.uts, "uts", "uts"), (.cgroup, "cgroup", "cgroup"), (.time, "time", "time"),
]

func checkNamespaces(_ here: Circumstances) -> [Check] {
    let group = "namespaces"
    return namespaceKinds.map { kind in
        let name = "ns." + kind.name
        let outcome = attempt { () throws(Obstacle) in
            let before = try namespaceId(kind.file)
            if kind.flag == .user { return try tryUser(before) }
            try enterAsRoot(kind.flag)
            // A process that unshares these stays where it is; its children go in.
            if kind.flag == .pid || kind.flag == .time {
                return try attempt { () throws(Obstacle) in try newId(kind.file, before) }.result()
            }
            return try newId(kind.file, before) + evidence(of: kind.flag)
        }
        switch outcome {
        case .worked(let detail): return .works(name, in: group, detail)
        case .failed(let obstacle):
            let culprit = obstacle.step == "unshare(\(kind.name))" ? kind.name : "user"
            let blocker =
                obstacle.step.hasPrefix("unshare") || obstacle.errno == .noSpace
                ? here.blockerOfNamespace(culprit, obstacle) : here.blockerOfRights(obstacle)
            return .fails(name, in: group, obstacle.text, blocker)
        }
    }
}

/// A user namespace is worth something only if its root may do things in it: AppArmor can give one without.
private func tryUser(_ before: String) throws(Obstacle) -> String {
    try enterAsRoot(.uts)
    try doing("sethostname in a user namespace") { () throws(Errno) in try setHostName("doctor") }
    return try newId("user", before)
}

private func namespaceId(_ file: String) throws(Obstacle) -> String {
    try doing("readlink /proc/self/ns/\(file)") { () throws(Errno) in try readLink("/proc/self/ns/" + file) }
}

private func newId(_ file: String, _ before: String) throws(Obstacle) -> String {
    let after = try namespaceId(file)
    guard after != before else { throw Obstacle("unshare succeeded, but the namespace is the old one, \(before)") }
    return after
}

private func evidence(of kind: Namespaces) throws(Obstacle) -> String {
    guard kind == .network else { return "" }
    let devices = (try? readText("/proc/self/net/dev"))?.split(separator: "\n").dropFirst(2) ?? []
    let names = devices.compactMap { $0.split(separator: ":").first?.split(separator: " ").first }
    return names.isEmpty ? "" : ", with nothing but " + names.joined(separator: " ")
}
