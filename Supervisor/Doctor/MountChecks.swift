// File systems and mount calls, each in a user and mount namespace of its own.
internal import Linux

private let group = "mounts"

func checkMounts(_ here: Circumstances) -> [Check] {
    var checks = [
        check("mount.tmpfs", here) { () throws(Obstacle) in
            let place = try enterWithTmpfs()
            try doing("write a file") { () throws(Errno) in
                _ = try open(place + "/file", [.writeOnly, .create], mode: 0o600)
            }
            return "limited in bytes and inodes"
        },
        check("mount.open_tree", here, tryTree),
        check("mount.pivot_root", here, tryPivot),
        check("mount.proc", here) { () throws(Obstacle) in try tryProc([]) },
        check("mount.proc.subset", here, needed: false) { () throws(Obstacle) in try tryProc([("subset", "pid")]) },
        check("mount.devpts", here, tryTerminals),
        check("mount.overlay", here, needed: false, tryOverlay),
    ]
    checks.append(checkIdMapped(here))
    return checks
}

private func check(
    _ name: String, _ here: Circumstances, needed: Bool = true, _ body: () throws(Obstacle) -> String
) -> Check {
    switch attempt(body) {
    case .worked(let detail): return .works(name, in: group, detail, needed: needed)
    case .failed(let obstacle):
        return .fails(name, in: group, obstacle.text, blocker(of: name, here, obstacle), needed: needed)
    }
}

private func blocker(of name: String, _ here: Circumstances, _ obstacle: Obstacle) -> Blocker {
    if obstacle.step.hasPrefix("unshare(") {
        return here.blockerOfNamespace(String(obstacle.step.dropFirst(8).dropLast()), obstacle)
    }
    let type = name.split(separator: ".").dropFirst().first.map(String.init) ?? name
    if obstacle.errno == .noDevice {
        return Blocker(
            name: "a kernel without \(type)",
            remedy: type == "overlay" ? "modprobe overlay" : "boot a kernel that has it",
            isMissing: true)
    }
    // Overlays keep what they know in user xattrs, which tmpfs has since Linux 6.6.
    if type == "overlay", obstacle.errno == .inputOutput || obstacle.errno == .notSupported {
        return Blocker(
            name: "tmpfs without user xattrs",
            remedy: "boot Linux 6.6 or later, or keep upper layers on ext4, xfs or btrfs",
            isMissing: true)
    }
    // The kernel gives a new /proc only to who can already see all of one.
    if type == "proc", obstacle.errno == .notPermitted, !here.masksOfProc.isEmpty {
        let masks = here.masksOfProc.prefix(3).joined(separator: ", ") + (here.masksOfProc.count > 3 ? ", …" : "")
        return Blocker(
            name: "masked /proc (\(masks))",
            remedy: here.container == nil ? "umount what lies over parts of /proc" : here.containerRemedy)
    }
    if name == "mount.proc.subset", obstacle.errno == .invalid {
        return Blocker(name: "a kernel older than Linux 5.8", remedy: "boot Linux 6.1 or later", isMissing: true)
    }
    return here.blockerOfCall(type, since: "5.12", obstacle)
}

/// Enters new namespaces and mounts a small tmpfs over a directory that every system has. Nobody else sees it.
private func enterWithTmpfs(_ more: Namespaces = []) throws(Obstacle) -> String {
    try enterAsRoot(more.union(.mount))
    return try mountTmpfs()
}

private func mountTmpfs() throws(Obstacle) -> String {
    try doing("make mounts private") { () throws(Errno) in try makePrivate("/") }
    let place = ["/tmp", "/mnt", "/usr"].first { (try? status(at: $0, follow: true))?.isDirectory == true } ?? "/"
    try doing("mount tmpfs") { () throws(Errno) in
        let tree = try makeFileSystem(
            "tmpfs", [("size", "1048576"), ("nr_inodes", "100"), ("mode", "0755")], attributes: [.noSetUid, .noDevices])
        try attach(tree.raw, to: place, in: currentDirectory)
    }
    return place
}

private func tryTree() throws(Obstacle) -> String {
    let place = try enterWithTmpfs()
    try doing("mkdir") { () throws(Errno) in try makeDirectory(place + "/usr") }
    let tree = try doing("open_tree /usr") { () throws(Errno) in try cloneTree("/usr", recursive: true) }
    try doing("mount_setattr") { () throws(Errno) in
        try setMountAttributes(of: tree.raw, set: [.readOnly, .noSetUid, .noDevices], recursive: true)
    }
    try doing("move_mount") { () throws(Errno) in try attach(tree.raw, to: place + "/usr", in: currentDirectory) }
    do throws(Errno) { try makeDirectory(place + "/usr/cordon-doctor") } catch {
        guard error == .readOnly || error == .accessDenied else { throw Obstacle("write to a read-only tree", error) }
        return "open_tree, mount_setattr, move_mount"
    }
    try? removeDirectory(place + "/usr/cordon-doctor")
    throw Obstacle("mount_setattr succeeded, but the tree can be written")
}

private func tryPivot() throws(Obstacle) -> String {
    let place = try enterWithTmpfs()
    try doing("chdir") { () throws(Errno) in try changeDirectory(to: place) }
    try doing("pivot_root") { () throws(Errno) in try pivotRoot(to: ".", putOld: ".") }
    try doing("umount the old root") { () throws(Errno) in try detach(".") }
    let root = try doing("open the new root") { () throws(Errno) in try open("/", [.readOnly, .directory]) }
    let names = try doing("list the new root") { () throws(Errno) in try entries(of: root.raw) }
    guard names.isEmpty else { throw Obstacle("the old root is still to be seen") }
    return "a root with nothing in it"
}

/// A procfs shows the pid namespace of who mounts it, so its maker has to be in a new one.
private func tryProc(_ parameters: [(key: String, value: String)]) throws(Obstacle) -> String {
    try enterAsRoot([.mount, .pid])
    return try attempt { () throws(Obstacle) in
        let tree = try doing("mount proc") { () throws(Errno) in
            try makeFileSystem("proc", parameters, attributes: [.noSetUid, .noDevices, .noExec])
        }
        let directory = try doing("open /proc") { () throws(Errno) in
            try open(".", [.readOnly, .directory], at: tree.raw)
        }
        let processes = try doing("list /proc") { () throws(Errno) in try entries(of: directory.raw) }
            .filter { Int32($0.text) != nil }
        guard processes.map(\.text) == ["1"] else { throw Obstacle("processes of the host are to be seen") }
        return "of a pid namespace of its own"
    }.result()
}

private func tryTerminals() throws(Obstacle) -> String {
    try enterAsRoot(.mount)
    try doing("mount devpts") { () throws(Errno) in
        let tree = try makeFileSystem(
            "devpts", [("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620")], attributes: [.noSetUid, .noExec])
        _ = try open("ptmx", .readWrite, at: tree.raw)
    }
    return "an instance of its own, and a terminal in it"
}

/// Reading through, copying up, hiding, and replacing a directory: what a transactional workspace needs.
private func tryOverlay() throws(Obstacle) -> String {
    let place = try enterWithTmpfs()
    let layers = ["lower", "lower/gone", "upper", "work", "merged"]
    for name in layers { try doing("mkdir") { () throws(Errno) in try makeDirectory(place + "/" + name) } }
    for name in ["kept", "gone/file"] {
        try doing("write the lower layer") { () throws(Errno) in
            try writeFile(place + "/lower/" + name, "lower")
        }
    }
    let tree = try doing("mount overlay") { () throws(Errno) in
        try makeFileSystem(
            "overlay",
            [
                ("lowerdir", place + "/lower"), ("upperdir", place + "/upper"), ("workdir", place + "/work"),
                ("userxattr", ""),
            ], attributes: [.noSetUid, .noDevices])
    }
    try doing("attach overlay") { () throws(Errno) in try attach(tree.raw, to: place + "/merged", in: currentDirectory)
    }
    let merged = place + "/merged/"
    try doing("copy up") { () throws(Errno) in try writeFile(merged + "kept", "upper") }
    try doing("whiteout of a file") { () throws(Errno) in try unlink(merged + "gone/file") }
    try doing("whiteout of a directory") { () throws(Errno) in try removeDirectory(merged + "gone") }
    guard (try? readText(place + "/lower/kept")) == "lower", (try? readText(merged + "kept")) == "upper" else {
        throw Obstacle("a write went through to the lower layer")
    }
    try doing("replace a directory") { () throws(Errno) in try makeDirectory(merged + "gone") }
    guard (try? status(at: merged + "gone/file")) == nil else {
        throw Obstacle("a replaced directory shows the old files", .notSupported)
    }
    return "with userxattr on tmpfs: copy up, whiteouts, opaque directories"
}

private func writeFile(_ path: String, _ text: String) throws(Errno) {
    let file = try open(path, [.writeOnly, .create, .truncate], mode: 0o644)
    try file.write(text)
}

/// Root makes a workspace's files appear as the jail's user's. The tree must be this directory's, since it
/// depends on the file system.
private func checkIdMapped(_ here: Circumstances) -> Check {
    let name = "mount.idmapped"
    guard here.machine.isPrivileged else {
        return .fails(
            name, in: group, "for root only; rootless, the caller's own id is mapped and files are its own",
            here.blockerOfCapability("CAP_SYS_ADMIN"), needed: false)
    }
    let place = (try? workingDirectory()) ?? "."
    let outcome = attempt { () throws(Obstacle) in
        let owner = try doing("stat \(place)") { () throws(Errno) in try status(at: ".") }
        let holder = try doing("clone(user)") { () throws(Errno) in try NamespaceHolder(.user) }
        for (file, id) in [("gid_map", owner.group), ("uid_map", owner.user)] {
            try doing("write \(file)") { () throws(Errno) in
                try writeText("\(id) \(4242) 1\n", to: "/proc/\(holder.pid)/\(file)")
            }
        }
        let map = try doing("open the user namespace") { () throws(Errno) in
            try open("/proc/\(holder.pid)/ns/user", .readOnly)
        }
        let tree = try doing("open_tree \(place)") { () throws(Errno) in try cloneTree(".", recursive: false) }
        try doing("mount_setattr(MOUNT_ATTR_IDMAP) on \(place)") { () throws(Errno) in
            try setMountAttributes(of: tree.raw, set: [], recursive: false, idMap: map.raw)
        }
        guard (try? status(of: tree.raw))?.user == 4242 else { throw Obstacle("the owner was not mapped") }
        return "on the file system of \(place)"
    }
    switch outcome {
    case .worked(let detail): return .works(name, in: group, detail)
    case .failed(let obstacle):
        if obstacle.errno == .invalid, obstacle.step.hasPrefix("mount_setattr") {
            let type = here.mounts.type(of: place) ?? "this file system"
            return .fails(
                name, in: group, obstacle.text,
                Blocker(
                    name: "\(type) cannot be id-mapped by this kernel",
                    remedy: "keep workspaces on ext4, xfs or btrfs (tmpfs from Linux 6.3 on)", isMissing: true))
        }
        if obstacle.errno == .notPermitted, here.lacks(CapabilityNumber.sysAdmin) {
            return .fails(name, in: group, obstacle.text, here.blockerOfCapability("CAP_SYS_ADMIN"))
        }
        return .fails(name, in: group, obstacle.text, here.blockerOfCall("id-mapped mounts", since: "5.12", obstacle))
    }
}
