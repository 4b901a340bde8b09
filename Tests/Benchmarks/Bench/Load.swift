// Many jails at a time, and what they leave behind.
internal import Linux
internal import Machine
internal import Synchronization

/// Results of the load test.
struct LoadResult {
    var failures: [String]
    var perSecond: Double
}

func load(_ subject: Subject, jails: Int, atATime: Int) -> LoadResult {
    let next = Atomic<Int>(0)
    let failures = Mutex<[String]>([])
    let begin = monotonicNanoseconds()
    let body: @Sendable () -> Void = {
        while next.add(1, ordering: .relaxed).oldValue < jails {
            let outcome = subject.run([Subject.command])
            if outcome.reason != .exited || outcome.exitCode != 0 {
                failures.withLock { $0.append(outcome.failure.map { "\($0)" } ?? "\(outcome.reason)") }
            }
        }
    }
    do throws(Errno) { try inThreads(atATime, body) } catch { failures.withLock { $0.append("threads: \(error)") } }
    let seconds = Double(monotonicNanoseconds() - begin) / 1e9
    return LoadResult(failures: failures.withLock { $0 }, perSecond: Double(jails) / seconds)
}

/// What a jail could leave behind, by name.
struct Remains {
    private var kinds: [(kind: String, names: Set<String>)]

    /// Looks around: this process's descriptors, mounts and children, all groups below `cordon`, and all names
    /// where temporary files live.
    static func now(_ groups: CgroupTree) -> Remains {
        var directories: Set<String> = []
        for base in Set([groups.unified].compactMap { $0 } + groups.hierarchies.values) {
            for name in names(in: base + "/cordon") where name.isDirectory {
                let path = base + "/cordon/" + name.text
                directories.insert(path)
                for child in names(in: path) where child.isDirectory { directories.insert(path + "/" + child.text) }
            }
        }
        var files: Set<String> = []
        for directory in [
            "/tmp", "/var/tmp", "/dev/shm", "/run/cordon", "/var/cache/cordon", "/var/cache/cordon/filters",
        ] {
            // Other programs use these places too; what is Cordon's own says so in its name.
            let isOurs = directory.contains("cordon")
            for name in names(in: directory) where isOurs || Self.isCordons(name.text) {
                files.insert(directory + "/" + name.text)
            }
        }
        let mounts = ((try? readText("/proc/self/mountinfo")) ?? "").split(separator: "\n").map(String.init)
        // The descriptor of /proc/self/fd itself is open while it is read.
        return Remains(kinds: [
            ("descriptors", Set(names(in: "/proc/self/fd").map(\.text))), ("mounts", Set(mounts)),
            ("cgroups", directories), ("processes", Set(descendants(of: processID).map { "\($0.pid) \($0.name)" })),
            ("temporary files", files),
        ])
    }

    var summary: String { kinds.map { "\($0.names.count) \($0.kind)" }.joined(separator: ", ") }

    private static func isCordons(_ name: String) -> Bool { name.contains("cordon") || name.contains("jail") }

    /// What is here and was not there before. Another Cordon on this machine may have jails of its own: theirs
    /// go, or have processes in them. What stays for two seconds, empty, is a leak.
    static func since(_ before: Remains, _ groups: CgroupTree) -> (after: Remains, leaked: [String]) {
        var after = now(groups)
        var leaked = after.beyond(before)
        for _ in 0..<20 where !leaked.isEmpty {
            pause(microseconds: 100_000)
            after = now(groups)
            leaked = leaked.filter(Set(after.beyond(before)).contains)
        }
        return (after, leaked)
    }

    private func beyond(_ before: Remains) -> [String] {
        zip(kinds, before.kinds).flatMap { now, before in
            now.names.subtracting(before.names).filter { now.kind != "cgroups" || !Self.isOccupied($0) }
                .map { "\(now.kind): \($0)" }
        }
    }

    /// Whether the jail of a group, by its name in any hierarchy, has a live process.
    private static func isOccupied(_ group: String) -> Bool {
        let components = group.split(separator: "/")
        guard let position = components.firstIndex(of: "cordon"), position + 1 < components.count else { return false }
        let jail = components[position + 1]
        let mounts = (try? readText("/proc/self/mountinfo")) ?? ""
        for line in mounts.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 4, line.contains(" - cgroup") else { continue }
            for place in ["", "/init", "/run"] {
                let file = "\(fields[4])/cordon/\(jail)\(place)/cgroup.procs"
                if let text = try? readText(file), !text.isEmpty { return true }
            }
        }
        return false
    }

    private static func names(in directory: String) -> [DirectoryEntry] {
        guard let opened = try? open(directory, [.readOnly, .directory]) else { return [] }
        return (try? entries(of: opened.raw)) ?? []
    }
}

/// A process below another.
struct Descendant {
    var pid: Int32, parent: Int32
    var name: String
}

/// All processes below one, from /proc.
func descendants(of ancestor: Int32) -> [Descendant] {
    guard let directory = try? open("/proc", [.readOnly, .directory]), let all = try? entries(of: directory.raw) else {
        return []
    }
    var processes: [Int32: Descendant] = [:]
    for entry in all {
        // "123 (name) S 45 …": the name may hold anything, so the last parenthesis counts (proc(5)).
        guard let pid = Int32(entry.text), let text = try? readText("/proc/\(pid)/stat"),
            let opening = text.firstIndex(of: "("), let closing = text.lastIndex(of: ")")
        else { continue }
        let fields = text[text.index(after: closing)...].split(separator: " ")
        guard fields.count > 1, let parent = Int32(fields[1]) else { continue }
        processes[pid] = Descendant(pid: pid, parent: parent, name: String(text[text.index(after: opening)..<closing]))
    }
    return processes.values.filter { process in
        var pid = process.parent
        while pid != ancestor {
            guard let parent = processes[pid]?.parent else { return false }
            pid = parent
        }
        return true
    }
}
