// The cgroups of one command of a session, inside of its jail's: what it used is known apart from the others', and what it
// leaves behind can be killed without them.
internal import JailPlan
internal import Linux
internal import Machine

/// One command's groups, removed when the value goes away, with whatever still runs in them.
struct CommandGroups: ~Copyable, Sendable {
    /// Inside of each of the jail's.
    private let directories: [String]
    private let counters: CgroupCounters
    private let files: CounterFiles
    /// A version 2 group, which dies by one write.
    private let killable: String?
    /// Whether somebody is in that one, as the kernel says.
    private let events: Descriptor?
    /// Whether that one has all controllers.
    private let isUnified: Bool
    /// Files through which the command enters, open.
    private var entrances: DescriptorList

    /// Where a jail's commands get their groups.
    struct Nesting: Sendable {
        /// The jail's group on version 2, nil without one.
        let killable: String?
        /// The directories that count for the jail.
        let counters: CgroupCounters
        /// Whether version 2 has all controllers, and so `run` holds the commands.
        let isUnified: Bool
    }

    /// Makes them.
    init(_ name: String, in nesting: Nesting) throws(LaunchFailure) {
        let jail = nesting.killable, outer = nesting.counters, isUnified = nesting.isUnified
        var making = Making(name: name)
        var counters = CgroupCounters()
        var killable: String?
        do throws(LaunchFailure) {
            if let jail {
                let directory = try making.make(isUnified ? jail + "/run" : jail, "cgroup.procs")
                killable = directory
                counters[.cpuacct] = directory
                if isUnified { for controller in outer.directories.keys { counters[controller] = directory } }
            }
            if !isUnified {
                for (controller, directory) in outer.directories.sorted(by: { $0.value < $1.value })
                // Processor time is counted by version 2 where there is one, and has no limit for a command.
                where ![.cpuacct, .cpu].contains(controller) || (jail == nil && controller == .cpuacct) {
                    counters[controller] = try making.make(directory, "tasks")
                }
            }
        } catch {
            for directory in making.directories.reversed() { removeGroup(directory) }
            throw error
        }
        self.killable = killable
        events = Self.openEvents(of: killable)
        self.isUnified = isUnified
        self.counters = counters
        files = CounterFiles(counters)
        directories = making.directories
        entrances = making.finish()
    }

    private static func openEvents(of group: String?) -> Descriptor? {
        guard let group else { return nil }
        return try? open(group + "/cgroup.events", .readOnly)
    }

    /// What was made so far.
    private struct Making: ~Copyable {
        let name: String
        var directories: [String] = []
        private var entrances = DescriptorList()

        init(name: String) { self.name = name }

        mutating func make(_ parent: String, _ entrance: String) throws(LaunchFailure) -> String {
            let directory = parent + "/" + name
            // Controllers that share a hierarchy share a group.
            if directories.contains(directory) { return directory }
            try step("cgroups", directory) { () throws(Errno) in try makeDirectory(directory) }
            directories.append(directory)
            let file = directory + "/" + entrance
            entrances.append(try step("cgroups", file) { () throws(Errno) in try open(file, .writeOnly) })
            return directory
        }

        consuming func finish() -> DescriptorList { entrances }
    }

    deinit {
        kill()
        for directory in directories.reversed() { removeGroup(directory) }
    }

    /// Gives away the files through which the command enters, once: who was ordered to enter has copies.
    mutating func takeEntrances() -> DescriptorList {
        var taken = DescriptorList()
        swap(&taken, &entrances)
        return taken
    }

    /// Microseconds of processor time so far.
    func cpuMicroseconds() -> UInt64? { files.cpuMicroseconds() }

    /// What it used, processor time as well.
    func usageWithTime() -> CgroupUsage {
        var usage = files.usage()
        usage.cpuMicroseconds = cpuMicroseconds()
        return usage
    }

    /// Bounds its memory and its tasks more closely than its jail's. What cannot be bounded here is refused.
    func limit(memory: UInt64?, pids: UInt64?) throws(LaunchFailure) {
        var limits = CgroupLimits()
        limits.memory = memory
        limits.pids = pids
        for (controller, value) in [(CgroupController.memory, memory), (.pids, pids)] where value != nil {
            guard let directory = counters[controller] else {
                throw LaunchFailure(
                    step: "cgroups", object: controller.rawValue, remedy: "a command has no limit of its own here")
            }
            if !isUnified { try CgroupMaker.limitVersion1(controller, limits, directory) }
        }
        if isUnified, let killable { try CgroupMaker.limitVersion2(limits, killable) }
    }

    /// Whether nobody is in them.
    var isEmpty: Bool {
        guard let directory = killable ?? directories.first,
            let text = try? readText(directory + "/cgroup.procs")
        else { return true }
        return text.isEmpty
    }

    /// Kills whatever is in them.
    func kill() {
        if let killable {
            // To look is cheap, and to kill waits for everybody on the machine who changes a group.
            if isVacant { return }
            // It fails only when the group is gone, and then there is nobody to kill.
            try? writeText("1", to: killable + "/cgroup.kill")
            return
        }
        killOneByOne()
    }

    /// Whether the kernel says that no live process is in them; a dead one leaves before its death is told.
    private var isVacant: Bool {
        guard let raw = events.read({ $0.raw }) else { return false }
        var buffer = [UInt8](repeating: 0, count: 64)
        guard let count = try? Linux.read(raw, at: 0, into: &buffer) else { return false }
        return buffer[..<count].starts(with: Array("populated 0\n".utf8))
    }

    /// Version 1 has no such write. Nothing new can start once the limit on tasks is zero, so the list gets shorter.
    private func killOneByOne() {
        guard let directory = counters[.pids] ?? directories.first else { return }
        try? writeText("0", to: directory + "/pids.max")
        for _ in 0..<64 {
            guard let text = try? readText(directory + "/cgroup.procs"), !text.isEmpty else { return }
            for line in text.split(separator: "\n") {
                guard let pid = Int32(line), pid > 0, let process = try? ProcessHandle(pid: pid) else { continue }
                // The number may be another process's by now: who is held is looked for again in the list.
                guard let again = try? readText(directory + "/cgroup.procs"),
                    again.split(separator: "\n").contains(line)
                else { continue }
                try? process.signal(Signal.kill)
            }
        }
    }
}
