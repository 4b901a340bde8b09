// Which directory a command works in. It is resolved with the caller's rights, before anything else.
internal import Linux
internal import SupervisorCore

/// The directory that a command works in.
public struct Workspace: Sendable {
    /// The workspace, absolute and without symbolic links.
    public let path: String
    /// The working directory: the caller's own, where that lies in the workspace.
    public let directory: String

    /// Finds it.
    ///
    /// - Parameters:
    ///   - chosen: as the caller names it; nil for the current directory.
    ///   - home: the caller's own, which with all that is in it is refused.
    ///   - records: directories of Cordon's own. What holds one of them, or lies in one, is refused: a command could rewrite the
    ///     audit log, or take the place of a supervisor.
    /// - Throws: ``Refusal`` for a directory that is none, that a link leads to, or that is the system's or a home.
    public init(_ chosen: String?, home: String?, records: [String]) throws(Refusal) {
        let current = try? workingDirectory()
        let wanted = chosen ?? current ?? "."
        let resolved: String
        do throws(Errno) {
            resolved = try resolvedPath(wanted)
            // A link in its path may be one that a jail planted: what is named must be what is mounted.
            if chosen != nil { try Self.requireNoLinks(wanted) }
            guard try status(at: resolved).isDirectory else { throw Errno.notDirectory }
        } catch {
            throw Refusal(
                LaunchFailure(
                    step: "workspace", object: wanted, errno: error,
                    remedy: error == .loop
                        ? "a symbolic link leads there: name the directory itself, \((try? resolvedPath(wanted)) ?? "")"
                        : "name an existing directory with --workspace"))
        }
        for place in records {
            let real = (try? resolvedPath(place)) ?? place
            guard isInside(real, resolved) || isInside(resolved, real) else { continue }
            throw Refusal(
                LaunchFailure(
                    step: "workspace", object: resolved,
                    remedy: "\(real) is Cordon's own, and a command must not reach it: name a project's directory"))
        }
        if let reason = Self.objection(to: resolved, home: home.flatMap { try? resolvedPath($0) }) {
            throw Refusal(
                LaunchFailure(
                    step: "workspace", object: resolved,
                    remedy: reason + ": name a project's directory with --workspace"))
        }
        path = resolved
        if let current, isInside(current, resolved) {
            directory = current
        } else {
            directory = resolved
        }
    }

    private static func requireNoLinks(_ wanted: String) throws(Errno) {
        _ = try open(wanted, [.path, .directory], beneath: currentDirectory, resolve: [.noSymlinks])
    }

    private static let system = [
        "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin", "/sys",
        "/tmp",
        "/usr", "/usr/local", "/var", "/var/lib", "/var/tmp",
    ]

    private static func objection(to path: String, home: String?) -> String? {
        if path == "/" { return "the whole machine is not a workspace" }
        if let home, isInside(home, path) {
            return "your home, with all that is in it, is not a workspace"
        }
        if system.contains(path)
            || ["/proc", "/sys", "/dev", "/run/cordon", "/var/cache/cordon"].contains(where: { isInside(path, $0) })
        {
            return "a directory of the system is not a workspace"
        }
        return nil
    }
}

/// The directories in which Cordon keeps its records and its sockets, for a user with this environment.
public func recordDirectories(_ environment: [(name: String, value: String)]) -> [String] {
    let state = userDirectory("XDG_STATE_HOME", "/.local/state", environment)
    let runtime = environment.first { $0.name == "XDG_RUNTIME_DIR" }?.value
    return [state, runtime].compactMap { $0 }.filter { $0.utf8.first == UInt8(ascii: "/") }.map { $0 + "/cordon" }
}
