// Tool chains outside /usr (cargo, nvm, pyenv, /opt) and private caches.
internal import Linux
internal import PolicyModel

struct ToolchainPlan {
    /// Directories of the host to mount read-only at their own paths.
    var roots: [String] = []
    /// Entries for PATH, in the caller's order.
    var path: [String] = []
    /// Variables that the tools need since HOME is another one.
    var variables: [(name: String, value: String)] = []

    /// Where a tool chain ends: the directory of its own that holds all of it. What lies beside may be a
    /// secret (`~/.cargo/credentials.toml`), so cargo contributes its `bin` alone.
    private static let wholeRoots = [".pyenv", ".nvm", ".rbenv", ".nodenv", ".volta", ".sdkman", ".asdf", ".swiftly"]

    /// - Parameter programs: Cordon's own, which are no tool of a command's.
    init(
        _ toolchains: Toolchains, callerEnvironment: [(name: String, value: String)], workspace: String,
        programs: String?
    ) {
        switch toolchains {
        case .none: return
        case .paths(let paths):
            roots = paths.compactMap { try? resolvedPath($0) }
            path = roots.flatMap { root in
                let bin = root + "/bin"
                return (try? status(at: bin, follow: true))?.isDirectory == true ? [bin] : [root]
            }
        case .auto: findAll(callerEnvironment, workspace: workspace, programs: programs)
        }
    }

    private mutating func findAll(
        _ environment: [(name: String, value: String)], workspace: String, programs: String?
    ) {
        let value = environment.first { $0.name == "PATH" }?.value ?? ""
        let home = environment.first { $0.name == "HOME" }.flatMap { try? resolvedPath($0.value) } ?? "/"
        var seen: Set<String> = []
        for entry in value.split(separator: ":").map(String.init) where seen.insert(entry).inserted {
            guard entry.hasPrefix("/"), !Self.isSystem(entry), !isInside(entry, workspace),
                let resolved = try? resolvedPath(entry), !Self.isSystem(resolved),
                (try? status(at: resolved))?.isDirectory == true
            else { continue }
            let root = Self.root(of: resolved)
            // A PATH that names what the home or the workspace is in is no tool chain.
            guard root != "/", root != programs, !isInside(home, root), !isInside(workspace, root) else { continue }
            if !roots.contains(root) { roots.append(root) }
            path.append(resolved)
            if resolved.hasSuffix("/.cargo/bin") {
                let rustup = String(resolved.dropLast("/.cargo/bin".count)) + "/.rustup"
                if !roots.contains(rustup), (try? status(at: rustup))?.isDirectory == true {
                    roots.append(rustup)
                    variables.append(("RUSTUP_HOME", rustup))
                }
            }
            if root.hasSuffix("/.pyenv"), !variables.contains(where: { $0.name == "PYENV_ROOT" }) {
                variables.append(("PYENV_ROOT", root))
            }
        }
    }

    private static func root(of path: String) -> String {
        let components = pathComponents(path)
        for (index, component) in components.enumerated() where wholeRoots.contains(component) {
            return "/" + components[...index].joined(separator: "/")
        }
        if components.first == "opt", components.count > 1 { return "/opt/" + components[1] }
        return path
    }

    private static func isSystem(_ path: String) -> Bool {
        ["/usr", "/bin", "/sbin", "/lib", "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp"].contains {
            isInside(path, $0)
        }
    }
}

/// Private caches of package managers: directories of the host, one set for each project.
struct CachePlan {
    /// `(directory of the host, where it appears)`.
    var mounts: [(source: String, path: String)] = []
    var variables: [(name: String, value: String)] = []

    init(
        _ kinds: [Located<CacheKind>], workspace: String, user: UInt32,
        callerEnvironment: [(name: String, value: String)]
    ) throws(PlanFailure) {
        guard let first = kinds.first else { return }
        func caller(_ name: String) -> String? { callerEnvironment.first { $0.name == name }?.value }
        // In /tmp another user could have made the directory before.
        guard let base = user == 0 ? "/var/cache" : caller("XDG_CACHE_HOME") ?? caller("HOME").map({ $0 + "/.cache" })
        else {
            throw .invalid([
                Diagnostic(
                    location: first.location,
                    message: "private caches need a place, and neither HOME nor XDG_CACHE_HOME is set",
                    remedy: "set one of them, or leave `caches` out")
            ])
        }
        let project = base + "/cordon/projects/" + Self.name(of: workspace)
        for kind in kinds.map(\.value) {
            let path = Surroundings.home + "/.cache/" + kind.rawValue
            mounts.append((project + "/" + kind.rawValue, path))
            switch kind {
            case .cargo: variables.append(("CARGO_HOME", path))
            case .npm: variables.append(("npm_config_cache", path))
            case .pip: variables.append(("PIP_CACHE_DIR", path))
            case .go:
                variables.append(("GOMODCACHE", path + "/mod"))
                variables.append(("GOCACHE", path + "/build"))
            }
        }
    }

    /// A file name that no other workspace's path gives: slashes become dashes, and dashes are escaped.
    private static func name(of path: String) -> String {
        var name = ""
        for character in path.dropFirst() {
            switch character {
            case "%": name += "%p"
            case "-": name += "%d"
            case "/": name += "-"
            default: name.append(character)
            }
        }
        return name
    }
}
