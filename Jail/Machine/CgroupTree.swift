// Where cgroups can be made on this machine: version 1, version 2, or a hybrid of both (cgroups(7)).
//
// It only reads. Making groups is the supervisor's work.
public import Linux

/// A kind of resource that a cgroup controller limits or counts.
public enum CgroupController: String, Sendable, Hashable, CaseIterable {
    case memory, pids, cpu, cpuacct
    case io = "blkio"

    /// The controller's name on version 2, where `cpu` counts too.
    public var unifiedName: String {
        switch self {
        case .io: "io"
        case .cpuacct: "cpu"
        default: rawValue
        }
    }
}

/// The parts of the cgroup file systems in which this process may make groups.
public struct CgroupTree: Sendable, Hashable {
    /// How the machine mounts its controllers.
    public enum Layout: String, Sendable, Hashable {
        /// All controllers on version 1 hierarchies, no version 2.
        case version1 = "v1"
        /// Controllers on version 1, and a version 2 hierarchy beside them.
        case hybrid
        /// Version 2 alone.
        case version2 = "v2"
        /// No cgroup file system is mounted, or none that this user may write.
        case none
    }

    /// How controllers are mounted.
    public var layout: Layout
    /// The version 2 directory in which groups may be made.
    public var unified: String?
    /// The version 2 controllers that groups there can have.
    public var unifiedControllers: Set<CgroupController> = []
    /// For each version 1 controller the directory in which groups may be made.
    public var hierarchies: [CgroupController: String] = [:]
    /// Why nothing can be made, where that is so.
    public var obstacle: String?
    /// Whether this process has to leave `unified` for a leaf before controllers can be enabled below it.
    public var mustLeave = false

    /// Whether a controller is usable on any version.
    public func has(_ controller: CgroupController) -> Bool {
        hierarchies[controller] != nil || unifiedControllers.contains(controller)
    }

    /// All jails of all supervisors live in one group of this name, where a janitor finds what is left.
    public static let parent = "cordon"

    /// The directories in which groups may be made; the first is where a jail's first group is, with its lock.
    public var bases: [String] {
        ([unified] + CgroupController.allCases.map { hierarchies[$0] }).compactMap { $0 }
    }

    /// The first groups of all jails that there are, alive or not.
    public func jailGroups() -> [String] {
        guard let primary = bases.first,
            let directory = try? open(primary + "/" + Self.parent, [.readOnly, .directory]),
            let names = try? entries(of: directory.raw)
        else { return [] }
        return names.filter { $0.isDirectory && $0.text.hasPrefix("jail-") }.map {
            primary + "/" + Self.parent + "/" + $0.text
        }
    }

    /// The lock on a jail's first group, where its supervisor is dead; nil where that holds it, or the group is gone.
    public static func lockIfAbandoned(_ group: String) -> Descriptor? {
        guard let lock = try? open(group, [.readOnly, .directory]), (try? tryLock(lock.raw)) == true else { return nil }
        return lock
    }

    /// In which part of a tree groups are made.
    enum Scope {
        /// At its root, as this user can see it.
        case root
        /// In the highest group that was delegated to this user.
        case delegated
        /// In the group that this process is in.
        case own
    }

    /// Reads /proc/self/mountinfo and /proc/self/cgroup. Never fails: what cannot be read cannot be used.
    public static func discover(privileged: Bool) -> CgroupTree { discover(privileged ? .root : .delegated) }

    /// The groups that this process is in, as a service manager gave them to it, for groups inside of them.
    public static func own() -> CgroupTree { discover(.own) }

    private static func discover(_ scope: Scope) -> CgroupTree {
        guard let mounts = try? readText("/proc/self/mountinfo"), let groups = try? readText("/proc/self/cgroup")
        else { return CgroupTree(layout: .none, obstacle: "/proc/self/mountinfo cannot be read") }
        return discover(mounts: mounts, groups: groups, scope: scope, isWritable: isWritable)
    }

    /// The same from given texts, so that every layout can be tested on any machine.
    static func discover(
        mounts: String, groups: String, scope: Scope, isWritable: (String) -> Bool
    ) -> CgroupTree {
        var tree = CgroupTree(layout: .none)
        let own = ownGroups(groups)
        var unifiedMount: String?
        var versionOneMounted = false
        for line in mounts.utf8.split(separator: UInt8(ascii: "\n")) {
            guard isControlGroup(line) else { continue }
            // "36 35 98:0 /root /mnt2 rw,noatime master:1 - ext3 /dev/root rw": proc_pid_mountinfo(5)
            let fields = line.split(separator: UInt8(ascii: " ")).map { Substring($0) }
            guard let dash = fields.firstIndex(of: "-"), dash >= 5, fields.count >= dash + 4 else { continue }
            let front = fields[..<dash], back = Array(fields[(dash + 1)...])
            guard back[0] == "cgroup2" || back[0] == "cgroup" else { continue }
            versionOneMounted = versionOneMounted || back[0] == "cgroup"
            let mountPoint = unescape(front[4])
            if back[0] == "cgroup2" {
                unifiedMount = unifiedMount ?? mountPoint
            } else if back[0] == "cgroup" {
                let options = back[2].split(separator: ",")
                for controller in CgroupController.allCases where options.contains(Substring(controller.rawValue)) {
                    let place = scope == .root ? "/" : own[controller.rawValue] ?? "/"
                    let base = mountPoint + (place == "/" ? "" : place)
                    if tree.hierarchies[controller] == nil, isWritable(base) { tree.hierarchies[controller] = base }
                }
            }
        }
        if let mount = unifiedMount {
            tree.useUnified(mount: mount, own: own[""] ?? "/", scope: scope, isWritable: isWritable)
        }
        switch (tree.unified != nil, !tree.hierarchies.isEmpty || (versionOneMounted && tree.unified != nil)) {
        case (true, true): tree.layout = .hybrid
        case (true, false): tree.layout = .version2
        case (false, true): tree.layout = .version1
        case (false, false):
            tree.layout = .none
            tree.obstacle =
                unifiedMount == nil && !versionOneMounted
                ? "no cgroup file system is mounted" : "no cgroup that this user may write was delegated"
        }
        return tree
    }

    /// A machine has dozens of other mounts, so lines are taken apart only where " - cgroup" stands in them.
    private static func isControlGroup(_ line: Substring.UTF8View) -> Bool {
        let separator = UInt8(ascii: "-")
        var rest = line
        while let dash = rest.firstIndex(of: separator) {
            rest = rest[rest.index(after: dash)...]
            if rest.starts(with: " cgroup".utf8) { return true }
        }
        return false
    }

    private mutating func useUnified(mount: String, own: String, scope: Scope, isWritable: (String) -> Bool) {
        var candidate = mount
        if scope == .own, own != "/" {
            candidate = mount + own
            guard isWritable(candidate) else { return }
            mustLeave = true
        } else if scope == .delegated {
            // Delegation: the highest group above our own that belongs to this user. Moving a process needs
            // write access to the common ancestor of both groups (cgroups(7), delegation containment).
            var path = own
            var highest: String?
            while path != "/" && !path.isEmpty && isWritable(mount + path) && isWritable(mount + path + "/cgroup.procs")
            {
                highest = path
                path = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "/"
            }
            guard let highest else { return }
            candidate = mount + highest
            mustLeave = highest == own
        } else if !isWritable(candidate) {
            return
        } else {
            // Only the root of all groups lacks this file; the root that a container sees may be crowded.
            mustLeave = own == "/" && (try? status(at: candidate + "/cgroup.events")) != nil
        }
        unified = candidate
        let available = (try? readText(candidate + "/cgroup.controllers")) ?? ""
        let names = available.split(separator: " ")
        unifiedControllers = Set(CgroupController.allCases.filter { names.contains(Substring($0.unifiedName)) })
    }

    /// `{"memory": "/path", …}`, the version 2 group under the empty name.
    private static func ownGroups(_ text: String) -> [String: String] {
        var result: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            for name in fields[1].split(separator: ",", omittingEmptySubsequences: false) {
                result[String(name)] = String(fields[2])
            }
        }
        return result
    }

    /// mountinfo writes space, tab, newline and backslash as octal escapes.
    private static func unescape(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isWritable(_ path: String) -> Bool { Linux.mayWrite(path) }
}
