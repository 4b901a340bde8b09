// cordon-janitor: cleans up after a supervisor that was killed.
//
// A supervisor has one. It holds nothing but a socket (descriptor 3), over which it is told of every jail:
// the directories of its cgroups and the pidfd of its init. While the socket is open it does nothing at
// all. At end-of-file it waits for each init to be dead, which jail-init sees to on its own socket, and
// removes the groups. When it starts it removes what an earlier supervisor and janitor, both killed, left.
internal import Linux
internal import Machine

@main
struct Janitor {
    static func main() {
        // In a session of its own since it was started; a terminal's signals do not reach it.
        let control = Descriptor(owning: 3)
        let tree = CgroupTree.discover(privileged: effectiveUser == 0)
        _ = sweep(tree)
        var charges: [String: Int] = [:]
        var directories: [[String]] = []
        var inits = DescriptorList()
        while (try? waitLightly(for: control.raw)) != nil,
            var message = try? receive(on: control.raw, capacity: 65536), !message.bytes.isEmpty
        {
            let lines = String(decoding: message.bytes, as: UTF8.self).split(separator: "\n").map(String.init)
            guard let word = lines.first else { continue }
            if word == "bye" { return }
            guard lines.count >= 2 else { continue }
            switch word {
            case "add":
                guard let held = try? message.descriptors.take(0) else { continue }
                charges[lines[1]] = inits.append(held)
                directories.append(Array(lines.dropFirst(2)))
            case "done":
                if let index = charges.removeValue(forKey: lines[1]) { _ = try? inits.take(index) }
            default: continue
            }
        }
        for index in charges.values {
            if let number = try? inits.number(at: index) { _ = try? waitReadable(number, milliseconds: 2000) }
            for directory in directories[index] { removeGroup(directory) }
        }
        // A supervisor that was killed between making groups and telling of them holds their lock no more.
        awaitLocks(sweep(tree), tree)
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
        let deadline = monotonicNanoseconds() + 500_000_000
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

    /// Removes the jails whose supervisor is dead: nobody holds the lock on their first group any more. Returns the
    /// groups of the others.
    private static func sweep(_ tree: CgroupTree) -> [String] {
        guard let primary = bases(of: tree).first else { return [] }
        let parent = primary + "/cordon"
        guard let directory = try? open(parent, [.readOnly, .directory]),
            let names = try? entries(of: directory.raw)
        else { return [] }
        var alive: [String] = []
        for name in names where name.isDirectory && name.text.hasPrefix("jail-") {
            let group = parent + "/" + name.text
            guard let lock = try? open(group, [.readOnly, .directory]) else { continue }
            if (try? tryLock(lock.raw)) == true { remove(group, tree) } else { alive.append(group) }
        }
        return alive
    }

    /// Removes a jail's groups, its first one last.
    private static func remove(_ group: String, _ tree: CgroupTree) {
        let bases = bases(of: tree)
        // A process in it can only be one whose jail-init is dying at this moment.
        try? writeText("1", to: group + "/cgroup.kill")
        let name = group.split(separator: "/").last.map(String.init) ?? ""
        for base in bases.dropFirst() where base != bases.first { removeGroup(base + "/cordon/" + name) }
        for child in ["init", "run"] where (try? status(at: group + "/" + child)) != nil {
            removeGroup(group + "/" + child)
        }
        removeGroup(group)
    }

    private static func bases(of tree: CgroupTree) -> [String] {
        ([tree.unified] + CgroupController.allCases.map { tree.hierarchies[$0] }).compactMap { $0 }
    }
}
