// Which trees of the host a policy names, as they are at this moment.
internal import JailPlan
internal import Linux
internal import Machine
internal import PolicyModel

extension Planner {
    /// `read` and `write` name paths, not patterns: what they name is mounted.
    mutating func collectGrants() throws(PlanFailure) {
        var problems: [Diagnostic] = []
        if isRoot, !machine.isPrivileged {
            problems.append(
                Diagnostic(
                    location: policy.identity.root.location,
                    message: "root = true maps root's files to the jail's root, which only the host's root may do",
                    remedy: "run Cordon as root, or leave it out; commands run as 1000:1000"))
        }
        if isRoot, let exec = policy.fileSystem.exec {
            problems.append(
                Diagnostic(
                    location: exec.first?.location ?? policy.identity.root.location,
                    message: "`exec` binds nobody who may overwrite the programs that it lists, as root = true does",
                    remedy: "leave out one of them"))
        }
        // By bytes: to Swift two spellings of é are one text, to the kernel two files.
        var found: [[UInt8]: (path: String, writable: Bool)] = [:]
        for (rules, writable) in [(policy.fileSystem.read, false), (policy.fileSystem.write, true)] {
            for rule in rules {
                guard let path = literalPath(rule.value) else {
                    if !rule.value.isLiteral {
                        problems.append(
                            Diagnostic(
                                location: rule.location,
                                message: "\(rule.value.text): `read` and `write` take paths, not patterns",
                                remedy: "name the directory, and use `deny` or `protect` for parts of it"))
                    }
                    continue
                }
                if writable, path == "/" || ["/usr", "/etc", "/proc", "/dev", "/sys"].contains(path) {
                    problems.append(
                        Diagnostic(
                            location: rule.location, message: "\(path) cannot be made writable in a jail",
                            remedy: "name a directory of your own"))
                    continue
                }
                found[Array(path.utf8)] = (path, (found[Array(path.utf8)]?.writable ?? false) || writable)
            }
        }
        // A run that ignored one would either break or be open.
        problems += policy.networkGrants.map { grant in
            Diagnostic(
                location: grant.location, message: "the network grant `\(grant.value)` cannot be enforced yet",
                remedy: "remove it; with `network.mode = \"deny\"` nothing can be reached")
        }
        guard problems.isEmpty else { throw .invalid(problems) }
        if let workspace = found[Array(request.workspace.utf8)], let linked = LinkedWorktree(of: request.workspace) {
            worktree = linked
            let common = Array(linked.commonDirectory.utf8)
            found[common] = (linked.commonDirectory, (found[common]?.writable ?? false) || workspace.writable)
        }
        for (path, writable) in found.values where !Self.isSurrounding(path) {
            // A path that is not there grants nothing, so leaving it out weakens nothing.
            guard (try? status(at: path)) != nil else { continue }
            grants.append(Grant(path: path, source: try resolve(path), writable: writable))
        }
        grants.sort {
            (pathComponents($0.path).count, $0.path) < (pathComponents($1.path).count, $1.path)
        }
    }

    /// A tree of the host as it is at this moment. In the workspace, where a jail may have planted them, no
    /// symbolic link is followed; elsewhere the host's own are, once.
    func resolve(_ path: String) throws(PlanFailure) -> HostTree {
        do throws(Errno) {
            let real = isInside(path, request.workspace) ? path : try resolvedPath(path)
            let place = try open(
                bytes: pathBytes(real), .path, beneath: currentDirectory, resolve: [.noSymlinks, .noMagicLinks])
            return HostTree(path: real, status: try status(of: place.raw))
        } catch {
            throw .unreadable(path: path, error)
        }
    }

    /// A file or directory of the host, and what it was when it was looked at.
    struct HostTree {
        var path: String
        var status: FileStatus
        var source: Source { Source(path, identity: status.identity) }
    }

    static func isSurrounding(_ path: String) -> Bool {
        ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/dev"].contains(path)
    }

    /// The path on the host that a pattern without wildcards names; nil for the private home, which is not
    /// on the host, and for patterns.
    func literalPath(_ pattern: PathPattern) -> String? {
        guard pattern.isLiteral else { return nil }
        let names = pattern.literalPrefix.joined(separator: "/")
        switch pattern.anchor {
        case .root: return "/" + names
        case .workspace: return names.isEmpty ? request.workspace : request.workspace + "/" + names
        case .home: return nil
        }
    }
}
