// What a run must leave as it was: mounts, cgroups, processes, files and descriptors.
//
// Other supervisors may work on the same machine meanwhile. What belongs to a living one is not a leftover:
// a cgroup whose lock is held, a process whose parent is a living `cordon`.
import Foundation
import Testing

struct HostSnapshot {
    private(set) var mounts: Set<String> = []
    private(set) var cgroups: Set<String> = []
    private(set) var processes: Set<String> = []
    private(set) var files: Set<String> = []
    private(set) var descriptors: Set<String> = []

    /// - Parameter directories: where temporary files might be left, besides /run/cordon.
    init(directories: [String] = []) {
        mounts = Set((readFile("/proc/self/mounts") ?? "").split(separator: "\n").map(String.init))
        cgroups = Self.groups()
        processes = Self.helpers()
        for directory in ["/run/cordon"] + directories {
            for name in (try? FileManager.default.subpathsOfDirectory(atPath: directory)) ?? [] {
                files.insert(directory + "/" + name)
            }
        }
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
            guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + name),
                // What the testing library and Foundation open for themselves.
                !target.hasPrefix("/proc/"), !target.hasPrefix("anon_inode:")
            else { continue }
            descriptors.insert(name + " " + target)
        }
    }

    /// What is here and was not there before.
    func leftovers(since before: HostSnapshot) -> Set<String> {
        mounts.subtracting(before.mounts).union(cgroups.subtracting(before.cgroups))
            .union(processes.subtracting(before.processes)).union(files.subtracting(before.files))
            .union(descriptors.subtracting(before.descriptors))
    }

    /// Groups that no living supervisor holds.
    static func groups() -> Set<String> {
        var found: [String: [String]] = [:]
        let root = "/sys/fs/cgroup"
        var alive: Set<String> = []
        for hierarchy in ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []) + [""] {
            let parent = root + "/" + hierarchy + "/cordon"
            for name in (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
            where name.hasPrefix("jail-") {
                found[name, default: []].append(parent + "/" + name)
                if isLocked(parent + "/" + name) { alive.insert(name) }
            }
        }
        return Set(found.filter { !alive.contains($0.key) }.values.joined())
    }

    private static func isLocked(_ directory: String) -> Bool {
        let handle = Calls.open(directory, O_RDONLY | O_DIRECTORY)
        guard handle >= 0 else { return false }
        defer { close(handle) }
        return flock(handle, LOCK_SH | LOCK_NB) != 0
    }

    /// Cordon's processes without a living supervisor above them.
    static func helpers() -> Set<String> {
        var found: Set<String> = []
        for process in processes()
        where ["cordon", "jail-init", "cordon-janitor", "cordon-spawner"].contains(process.name) {
            if process.state == "Z" { continue }
            var parent = process.parent, belongs = false
            while parent > 1, let above = Self.process(parent) {
                if above.name == "cordon" && above.pid != process.pid && above.state != "Z" { belongs = true }
                parent = above.parent
            }
            // A supervisor that was started by somebody else.
            if process.name == "cordon" && process.parent > 1 && process.parent != getpid() { belongs = true }
            if !belongs { found.insert("process \(process.pid) \(process.name)") }
        }
        return found
    }

    struct Process {
        var pid: Int32
        var name: String
        var state: String
        var parent: Int32
    }

    static func process(_ pid: Int32) -> Process? {
        guard let text = readFile("/proc/\(pid)/stat"), let open = text.firstIndex(of: "("),
            let close = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: close)...].split(separator: " ")
        guard fields.count > 1, let parent = Int32(fields[1]) else { return nil }
        return Process(
            pid: pid, name: String(text[text.index(after: open)..<close]), state: String(fields[0]), parent: parent)
    }

    static func processes() -> [Process] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }
            .compactMap { process($0) }
    }

    /// Living processes with this word in their command line.
    static func processes(saying word: String) -> [Int32] {
        processes().filter { process in
            process.state != "Z" && process.pid != getpid()
                && (readFile("/proc/\(process.pid)/cmdline") ?? "").contains(word)
        }.map(\.pid)
    }
}

/// Does something and checks that the host is as before within a second.
func leavingHostUnchanged<Result>(
    directories: [String] = [], within seconds: Double = 1, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> Result
) throws -> Result {
    let before = HostSnapshot(directories: directories)
    let result = try body()
    expectUnchanged(since: before, directories: directories, within: seconds, sourceLocation: sourceLocation)
    return result
}

/// Checks that nothing is left. What others make and remove meanwhile never lasts that long under one name.
func expectUnchanged(
    since before: HostSnapshot, directories: [String] = [], within seconds: Double = 1,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    var left = HostSnapshot(directories: directories).leftovers(since: before)
    _ = eventually(within: seconds) {
        if left.isEmpty { return true }
        left.formIntersection(HostSnapshot(directories: directories).leftovers(since: before))
        return left.isEmpty
    }
    #expect(left.isEmpty, "left behind on the host", sourceLocation: sourceLocation)
}
