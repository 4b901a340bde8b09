// What a program expects to find around it: the host's /usr, a few files of /etc, devices, private
// directories. All of it is data for the plan; nothing is touched here but for looking what the host has.
internal import JailPlan
internal import Linux

enum Surroundings {
    /// The command's home and user name in every jail.
    static let home = "/home/cordon", userName = "cordon"
    /// The private file system whose directories appear as /tmp, /var/tmp, /dev/shm and the home: one quota.
    static let privateStore = "/run/cordon/private"
    /// `(directory of the store, where it appears, mode)`.
    static let privateDirectories = [
        ("tmp", "/tmp", UInt32(0o1777)), ("var-tmp", "/var/tmp", 0o1777), ("shm", "/dev/shm", 0o1777),
        ("home", home, 0o700),
    ]

    private static let common: MountAttributes = [.noSetUid, .noDevices]

    /// Top-level names that are links into /usr on a merged system, or directories of their own.
    private static let programDirectories = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"]

    /// Dynamic loaders of x86-64: glibc's, where the ABI says and where distributions keep it, and musl's.
    static let loaders = [
        "/lib64/ld-linux-x86-64.so.2", "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1",
    ]

    /// What is taken from the host's /etc, where it is there. Everything else of /etc stays outside.
    private static let hostConfiguration = [
        "alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.conf", "localtime", "mime.types",
        "nsswitch.conf", "os-release", "pki", "protocols", "services", "ssl", "terminfo", "timezone",
    ]

    /// Device nodes that are harmless to share.
    private static let devices = ["full", "null", "random", "tty", "urandom", "zero"]

    /// Files and directories of procfs that tell about the host, or command it (threat row 13). What only the
    /// host's root may open is out of reach anyway and listed where other runtimes mask it too.
    private static let secretProc = [
        "acpi", "asound", "bus", "fs", "interrupts", "irq", "kallsyms", "kcore", "keys", "key-users", "kmsg",
        "latency_stats", "sched_debug", "scsi", "sysrq-trigger", "timer_list", "timer_stats",
    ]

    /// The host's programs and libraries.
    static func programs() -> [Action] {
        var actions: [Action] = [
            .bind(source: Source("/usr"), path: "/usr", attributes: common.union(.readOnly))
        ]
        for name in programDirectories {
            let path = "/" + name
            guard let status = try? status(at: path) else { continue }
            if status.isSymlink, let target = try? readLink(path) {
                actions.append(.symlink(path: path, target: target))
            } else if status.isDirectory {
                actions.append(.bind(source: Source(path), path: path, attributes: common.union(.readOnly)))
            }
        }
        return actions
    }

    /// A directory with a root file system in place of the host's. Each entry at its top appears by itself,
    /// so that every mount point above is one that the jail made, not one that the image's author chose
    /// (CVE-2025-31133, -52565, -52881).
    ///
    /// - Parameter withConfiguration: whether its /etc is among them.
    static func image(_ root: String, withConfiguration: Bool) throws(PlanFailure) -> [Action] {
        let ours = ["dev", "proc", "sys", "tmp", "run", "home"] + (withConfiguration ? [] : ["etc"])
        do throws(Errno) {
            let directory = try open(root, [.readOnly, .directory])
            for name in ["dev", "proc", "sys", "dev/null", "dev/pts", "tmp", "run", "etc"] {
                guard let status = try? status(at: name, in: directory.raw), status.isSymlink else { continue }
                throw Errno.loop
            }
            var result: [Action] = []
            for entry in try entries(of: directory.raw) {
                let name = entry.text
                if ours.contains(name) { continue }
                let status = try status(at: name, in: directory.raw)
                if status.isSymlink {
                    result.append(.symlink(path: "/" + name, target: try readLink(name, in: directory.raw)))
                } else if status.isDirectory {
                    result.append(
                        .bind(source: Source(root + "/" + name), path: "/" + name, attributes: common.union(.readOnly)))
                }
            }
            return result
        } catch {
            throw .unreadable(path: root, error)
        }
    }

    /// /etc: what is made for the jail, and what is the host's.
    static func configuration(command: Owner, root: Bool, hostName: String, network: Bool) -> [Action] {
        var passwd = "root:x:0:0:root:\(root ? home : "/root"):/bin/bash\n"
        var group = "root:x:0:\ntty:x:5:\n"
        if command.user != 0 {
            passwd += "\(userName):x:\(command.user):\(command.group):Cordon:\(home):/bin/bash\n"
        }
        if command.group != 0 { group += "\(userName):x:\(command.group):\n" }
        passwd += "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        group += "nogroup:x:65534:\n"
        var actions: [Action] = [
            .directory(path: "/etc", mode: 0o755, owner: 0),
            .file(path: "/etc/passwd", contents: passwd, mode: 0o444),
            .file(path: "/etc/group", contents: group, mode: 0o444),
            .file(path: "/etc/hostname", contents: hostName + "\n", mode: 0o444),
            .file(
                path: "/etc/hosts", contents: "127.0.0.1 localhost \(hostName)\n::1 localhost ip6-localhost\n",
                mode: 0o444),
            // The same in all jails: it identifies nobody.
            .file(path: "/etc/machine-id", contents: "c04d04c04d04c04d04c04d04c04d04c0\n", mode: 0o444),
            .file(
                path: "/etc/gitconfig",
                contents: "[user]\n\tname = Cordon\n\temail = cordon@localhost\n[safe]\n\tdirectory = *\n", mode: 0o444),
            .symlink(path: "/etc/mtab", target: "/proc/self/mounts"),
        ]
        for name in hostConfiguration + (network ? ["resolv.conf"] : []) {
            let path = "/etc/" + name
            guard let status = try? status(at: path) else { continue }
            if status.isSymlink, name != "resolv.conf", let target = try? readLink(path) {
                actions.append(.symlink(path: path, target: target))
            } else {
                // A relative link would lead elsewhere from the jail's /etc, so resolv.conf is followed here.
                let source = status.isSymlink ? (try? resolvedPath(path)) ?? path : path
                actions.append(
                    .bind(source: Source(source), path: path, attributes: common.union([.readOnly, .noExec])))
            }
        }
        return actions
    }

    /// /dev: six devices, the standard links, terminals of its own.
    ///
    /// - Parameter owner: whom every terminal belongs to, whoever makes it; nil: to who makes it.
    static func deviceDirectory(hasTtyGroup: Bool, owner: UInt32?) -> [Action] {
        var actions: [Action] = [.directory(path: "/dev", mode: 0o755, owner: 0)]
        for name in devices {
            actions.append(
                .bind(source: Source("/dev/" + name), path: "/dev/" + name, attributes: [.noSetUid, .noExec]))
        }
        for (name, target) in [
            ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx"),
        ] {
            actions.append(.symlink(path: "/dev/" + name, target: target))
        }
        var parameters = [Parameter("newinstance", ""), Parameter("ptmxmode", "0666"), Parameter("mode", "620")]
        if hasTtyGroup { parameters.append(Parameter("gid", "5")) }
        // The supervisor makes a command's terminal, and the command must be able to open it again.
        if let owner { parameters.append(Parameter("uid", "\(owner)")) }
        // All instances share the kernel's own limit (kernel.pty.max), which one jail must not use up.
        parameters.append(Parameter("max", "256"))
        actions.append(
            .fileSystem(type: "devpts", path: "/dev/pts", parameters: parameters, attributes: [.noSetUid, .noExec]))
        return actions
    }

    /// /proc, without what tells about the host. In the preset `pure` it has nothing but processes.
    static func processDirectory(processesOnly: Bool) -> [Action] {
        var actions: [Action] = [
            .fileSystem(
                type: "proc", path: "/proc", parameters: processesOnly ? [Parameter("subset", "pid")] : [],
                attributes: [.noSetUid, .noDevices, .noExec])
        ]
        if processesOnly { return actions }
        for name in secretProc { actions.append(.hide(path: "/proc/" + name, optional: true)) }
        actions.append(.protect(path: "/proc/sys", optional: false))
        return actions
    }

    /// The private directories, all of one size.
    static func privateDirectories(bytes: UInt64, inodes: UInt64, owner: UInt32, noExec: Bool) -> [Action] {
        let attributes: MountAttributes = noExec ? common.union(.noExec) : common
        var actions: [Action] = [
            .directory(path: privateStore, mode: 0o755, owner: 0),
            .fileSystem(
                type: "tmpfs", path: privateStore,
                parameters: [
                    Parameter("size", "\(bytes)"), Parameter("nr_inodes", "\(inodes)"), Parameter("mode", "0755"),
                ],
                attributes: attributes),
        ]
        for (name, path, mode) in privateDirectories {
            actions.append(.directory(path: privateStore + "/" + name, mode: mode, owner: owner))
            actions.append(.rebind(source: privateStore + "/" + name, path: path, attributes: attributes))
        }
        return actions
    }
}
