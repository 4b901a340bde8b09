// The cgroups of one user of the service: root limits them, and the user's own supervisor makes its jails' groups inside.
internal import Linux
internal import Machine

/// Where the groups of all users are made.
final class ServiceGroups {
    private let tree: CgroupTree
    /// Two services in one group would take each other's users for remains.
    private let lock: Descriptor?

    /// Inside of the groups that this process is in; nil where another service is there already. On version 2 it goes to
    /// a leaf first, since a group that gives controllers to others holds no process itself (cgroups(7)).
    init?() throws(Errno) {
        tree = CgroupTree.own()
        if let base = tree.bases.first {
            // Whoever can open a directory can lock it (flock(2)): one that only root can, so that nobody else keeps the service
            // from starting.
            let place = base + "/cordon-service.lock"
            try makeDirectoryIfMissing(place, mode: 0o700)
            let directory = try open(place, [.readOnly, .directory])
            guard try tryLock(directory.raw) else { return nil }
            lock = consume directory
        } else {
            lock = nil
        }
        guard tree.layout == .version2, let base = tree.unified else { return }
        if tree.mustLeave {
            try makeDirectoryIfMissing(base + "/cordon-service")
            try writeText("0", to: base + "/cordon-service/cgroup.procs")
        }
        try enable(in: base)
    }

    private func enable(in directory: String) throws(Errno) {
        let wanted = Set(tree.unifiedControllers.map(\.unifiedName)).sorted().map { "+" + $0 }
        try writeText(wanted.joined(separator: " "), to: directory + "/cgroup.subtree_control")
    }

    private func directories(_ user: UInt32) -> [String] { tree.bases.map { $0 + "/cordon-user-\(user)" } }

    /// Whether a user's groups are there: in use, or what could not be removed.
    func exist(for user: UInt32) -> Bool { directories(user).contains { (try? status(at: $0)) != nil } }

    /// Makes a user's groups with the limits that a rule gives. Until ``give(to:)`` they are root's alone: whoever enters one that
    /// is its user's can be frozen in it.
    ///
    /// - Returns: the files by which a process enters.
    /// - Throws: `ENOTSUP` for a limit that no group here can hold; `EEXIST` where there is one already, which may be its user's.
    func make(for user: UInt32, _ rights: ServiceRules.Rights) throws(Errno) -> [String] {
        guard rights.memory == nil || tree.has(.memory), rights.pids == nil || tree.has(.pids) else {
            throw .notSupported
        }
        var entrances: [String] = []
        // Controllers that share a hierarchy share a directory.
        for directory in Set(directories(user)).sorted() {
            // Nobody else's to enter: what is inside could be locked, and jails are told from dead ones by locks.
            try makeDirectory(directory, mode: 0o700)
            var entrance = directory
            if tree.layout == .version2 {
                try enable(in: directory)
                entrance += "/supervisor"
                try makeDirectory(entrance)
            }
            entrances.append(entrance + "/cgroup.procs")
        }
        try limit(user, rights)
        return entrances
    }

    /// Gives what is inside of a user's groups to the user.
    func give(to user: UInt32) throws(Errno) {
        for directory in Set(directories(user)).sorted() {
            // Only these: the files with limits stay root's (cgroups(7), delegation).
            var given = ["", "/cgroup.procs"]
            if tree.layout == .version2 {
                given += ["/cgroup.threads", "/cgroup.subtree_control", "/supervisor", "/supervisor/cgroup.procs"]
            } else if directory == tree.unified.map({ $0 + "/cordon-user-\(user)" }) {
                given += ["/cgroup.threads", "/cgroup.subtree_control"]
            } else {
                given.append("/tasks")
            }
            for file in given {
                try changeOwner(directory + file, in: currentDirectory, user: user, group: .max)
            }
        }
    }

    private func limit(_ user: UInt32, _ rights: ServiceRules.Rights) throws(Errno) {
        func set(_ controller: CgroupController, _ value: UInt64?, _ old: String, _ unified: String) throws(Errno) {
            if let base = tree.hierarchies[controller] {
                // Version 1 calls no limit −1 for memory and "max" for processes.
                let none = controller == .memory ? "-1" : "max"
                try writeText(value.map { "\($0)" } ?? none, to: base + "/cordon-user-\(user)/" + old)
            } else if let base = tree.unified, tree.unifiedControllers.contains(controller) {
                try writeText(value.map { "\($0)" } ?? "max", to: base + "/cordon-user-\(user)/" + unified)
            }
        }
        try set(.memory, rights.memory, "memory.limit_in_bytes", "memory.max")
        try set(.pids, rights.pids, "pids.max", "pids.max")
        if let memory = rights.memory { try limitSwap(user, memory) }
        // The kernel has some 65,000 groups with memory for everybody, and what is nested too deeply nobody can name any more.
        if let base = tree.unified {
            let group = base + "/cordon-user-\(user)"
            try writeText("\(Self.mostGroups)", to: group + "/cgroup.max.descendants")
            try writeText("\(Self.deepest)", to: group + "/cgroup.max.depth")
        }
    }

    /// A session has a dozen, with what stands by.
    private static let mostGroups = 16_384
    private static let deepest = 16

    /// What is swapped out is memory too: none on version 2, and within the limit of memory on version 1. Without the files
    /// there is no accounting of swap.
    private func limitSwap(_ user: UInt32, _ memory: UInt64) throws(Errno) {
        let file: String, value: String
        if let base = tree.hierarchies[.memory] {
            (file, value) = (base + "/cordon-user-\(user)/memory.memsw.limit_in_bytes", "\(memory)")
        } else if let base = tree.unified {
            (file, value) = (base + "/cordon-user-\(user)/memory.swap.max", "0")
        } else {
            return
        }
        if (try? status(at: file)) != nil { try writeText(value, to: file) }
    }

    /// Kills whatever is left in a user's groups, and removes them. It waits for deaths, so it has a process of its own; its
    /// user, whose groups they are, can make it wait long.
    func remove(for user: UInt32) {
        if let unified = tree.unified {
            let group = unified + "/cordon-user-\(user)"
            try? writeText("1", to: group + "/cgroup.kill")
            awaitEmpty(group)
        }
        for base in tree.hierarchies.values { Self.killAll(in: base + "/cordon-user-\(user)") }
        removeGroups(directories(user).reversed())
    }

    /// Version 1 kills no group, so each process is killed by itself, until none is seen: one whose jail-init was stopped, or
    /// one that its user moved there from elsewhere.
    private static func killAll(in directory: String) {
        for _ in 0..<16 {
            if kill(in: directory) == 0 { return }
            pause(microseconds: 1000)
        }
    }

    /// - Returns: how many there were.
    private static func kill(in directory: String) -> Int {
        func processes() -> [Int32] {
            ((try? readText(directory + "/cgroup.procs")) ?? "").split(separator: "\n").compactMap { Int32($0) }
        }
        var count = 0
        for pid in processes() {
            // Held first, and looked for again after that: the number may be another process's meanwhile.
            guard let process = try? ProcessHandle(pid: pid), processes().contains(pid) else { continue }
            try? process.signal(Signal.kill)
            count += 1
        }
        guard let handle = try? open(directory, [.readOnly, .directory]), let names = try? entries(of: handle.raw)
        else {
            return count
        }
        return names.filter(\.isDirectory).reduce(count) { $0 + kill(in: directory + "/" + $1.text) }
    }

    /// Users whose groups are there, left by a service that was killed.
    func remaining() -> [UInt32] {
        guard let base = tree.bases.first, let handle = try? open(base, [.readOnly, .directory]),
            let names = try? entries(of: handle.raw)
        else { return [] }
        return names.compactMap { entry in
            entry.text.hasPrefix("cordon-user-") ? UInt32(entry.text.dropFirst("cordon-user-".count)) : nil
        }
    }
}
