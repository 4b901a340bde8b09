// cordon-janitor: removes the cgroups of jails whose supervisor is dead.
//
// Executed by a process that slept until its supervisor was gone (JanitorClient), or, with the word `sweep`, by a
// supervisor that finds what an earlier one and its janitor, both killed, left. A jail is dead when nobody holds the lock
// on its first group any more; which jails there were is read from the cgroup file system, so nothing has to be told.
internal import Linux
internal import Machine

@main
struct Janitor {
    static func main() {
        let tree = CgroupTree.discover(privileged: effectiveUser == 0)
        let held = sweep(tree)
        // A supervisor that looks for remains is alive, and so may be the others.
        if commandLine().dropFirst().first != "sweep" { awaitLocks(held, tree) }
    }

    /// Waits for locks that go a moment later: a child of the dead supervisor that was about to execute still has them.
    /// Other supervisors' jails stay locked, and are left alone.
    private static func awaitLocks(_ held: [String], _ tree: CgroupTree) {
        // Opened before the watch, and closed after it: our own closing must not be what it tells of.
        var locks = DescriptorList()
        let groups = held.filter { group in
            guard let lock = try? open(group, [.readOnly, .directory]) else { return false }
            locks.append(lock)
            return true
        }
        guard !groups.isEmpty, let watch = try? CloseWatch(groups) else { return }
        var waiting = Array(groups.indices)
        let deadline = monotonicNanoseconds() + 900_000_000
        while true {
            waiting.removeAll { index in
                guard let lock = try? locks.number(at: index), (try? tryLock(lock)) == true else { return false }
                remove(groups[index], tree)
                return true
            }
            let now = monotonicNanoseconds()
            guard !waiting.isEmpty, now < deadline,
                (try? watch.wait(milliseconds: Int((deadline - now) / 1_000_000) + 1)) == true
            else { return }
        }
    }

    /// Removes the jails whose supervisor is dead. Returns the first groups of the others.
    private static func sweep(_ tree: CgroupTree) -> [String] {
        tree.jailGroups().filter { group in
            // Held while the group is removed, so that two janitors do not meet in it.
            guard let lock = CgroupTree.lockIfAbandoned(group) else { return true }
            remove(group, tree)
            _ = consume lock
            return false
        }
    }

    /// Removes a jail's groups, its first one last.
    private static func remove(_ group: String, _ tree: CgroupTree) {
        // A process in it can only be one whose jail-init is dying at this moment.
        try? writeText("1", to: group + "/cgroup.kill")
        for child in ["init", "run"] where (try? status(at: group + "/" + child)) != nil {
            removeGroup(group + "/" + child)
        }
        awaitEmpty(group)
        let name = pathComponents(group).last ?? ""
        removeGroups(tree.bases.dropFirst().map { $0 + "/" + CgroupTree.parent + "/" + name } + [group])
    }
}
