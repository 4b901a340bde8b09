// bubblewrap with the mounts of a plan: the peer that `cordon run` is held against.
//
// Capabilities, limits, filters, Landlock, id maps and time namespaces have no counterpart and are left out, so
// bubblewrap does less.
internal import CLinux
internal import Glibc
internal import JailPlan
internal import Linux

struct Bubblewrap: ~Copyable {
    static let path = "/usr/bin/bwrap"
    private(set) var arguments: [String] = [
        "--unshare-all", "--new-session", "--hostname", "cordon", "--uid", "1000", "--gid", "1000",
    ]
    /// Files made in the jail: bubblewrap reads them from descriptors, each time from the start.
    private var contents = DescriptorList()

    /// The same mounts as a plan's.
    init(_ plan: Plan, directory: String, command: [String]) throws(Errno) {
        var sources: [Int: (source: String, readOnly: Bool)] = [:]
        for step in plan.steps {
            switch step.action {
            case .cloneTree(let index, let source, let attributes, _):
                sources[index] = (source.path, attributes.contains(.readOnly))
            case .attachTree(let index, let path):
                if let tree = sources[index] {
                    arguments += [tree.readOnly ? "--ro-bind" : "--bind", tree.source, path]
                }
            case .bind(let source, let path, let attributes):
                if path.hasPrefix("/dev/") { continue }
                arguments += [attributes.contains(.readOnly) ? "--ro-bind" : "--bind", source.path, path]
            case .symlink(let path, let target):
                if !path.hasPrefix("/dev/") { arguments += ["--symlink", target, path] }
            case .directory(let path, _, _):
                if path == "/dev" { arguments += ["--dev", path] } else { arguments += ["--dir", path] }
            case .file(let path, let text, _): arguments += ["--file", String(try keep(text)), path]
            case .fileSystem(let type, let path, _, _):
                if type == "proc" { arguments += ["--proc", path] }
                if type == "tmpfs" { arguments += ["--tmpfs", path] }
            case .rebind(_, let path, _): arguments += ["--tmpfs", path]
            case .hide(let path, _):
                guard let status = try? status(at: path) else { continue }
                arguments += status.isDirectory ? ["--tmpfs", path] : ["--ro-bind", "/dev/null", path]
            case .protect(let path, _):
                // bubblewrap covers /proc/sys by itself.
                if !path.hasPrefix("/proc/"), (try? status(at: path)) != nil { arguments += ["--ro-bind", path, path] }
            default: continue
            }
        }
        arguments += ["--chdir", directory, "--"] + command
    }

    private mutating func keep(_ text: String) throws(Errno) -> Int32 {
        let file = try makeMemoryFile(named: "bench")
        try file.writeAll(Array(text.utf8))
        contents.append(file)
        guard let number = contents.raw.last else { throw .invalid }
        _ = cordon_fcntl(number, F_SETFD, 0)
        return number
    }

    /// The nanoseconds of one run; nil where it failed.
    func time() -> UInt64? {
        for file in contents.raw { try? rewind(file) }
        return Program.time(Self.path, arguments)
    }
}
