// /proc/self/mountinfo, as proc_pid_mountinfo(5) describes it.
internal import Linux

/// The mounts that this process sees.
struct MountTable: Sendable {
    struct Entry: Sendable {
        var point: String
        var type: String
        /// Of this mount.
        var options: Set<Substring>
        /// Of the file system, which for version 1 of cgroups names the controllers.
        var superOptions: Set<Substring>

        var isReadOnly: Bool { options.contains("ro") || superOptions.contains("ro") }
    }

    let entries: [Entry]

    init() { self.init(text: (try? readText("/proc/self/mountinfo")) ?? "") }

    init(text: String) {
        entries = text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard let dash = fields.dropFirst(6).firstIndex(of: "-"), fields.count > dash + 3 else { return nil }
            return Entry(
                point: String(fields[4]), type: String(fields[dash + 1]), options: Set(fields[5].split(separator: ",")),
                superOptions: Set(fields[dash + 3].split(separator: ",")))
        }
    }

    /// What lies over parts of /proc. Such a mask keeps the kernel from giving out a /proc without it
    /// (mount_too_revealing() in fs/namespace.c). The mount points that the kernel keeps empty for this purpose
    /// reveal nothing.
    var masksOfProc: [String] {
        var seen: Set<String> = []
        return entries.filter {
            $0.point.hasPrefix("/proc/") && $0.point != "/proc/sys/fs/binfmt_misc" && $0.type != "nfsd"
        }
        .map(\.point).filter { seen.insert($0).inserted }
    }

    /// Where a controller of version 1 is mounted.
    func versionOne(_ controller: String) -> Entry? {
        entries.first { $0.type == "cgroup" && $0.superOptions.contains(Substring(controller)) }
    }

    /// The type of the file system that a path lies on.
    func type(of path: String) -> String? {
        entries.filter { isInside(path, $0.point) }
            .max { $0.point.utf8.count < $1.point.utf8.count }?.type
    }

    /// Where version 2 is mounted.
    var versionTwo: Entry? { entries.first { $0.type == "cgroup2" } }
}
