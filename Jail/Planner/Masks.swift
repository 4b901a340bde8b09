// What lies over denied and protected paths, and over what Cordon itself rests on.
internal import JailPlan
internal import Linux
internal import Machine
internal import PolicyModel

extension Planner {
    mutating func addMasks() throws(PlanFailure) {
        let rules = policy.fileSystem
        let deny = rules.deny.map(\.value), protect = rules.protect.map(\.value)
        // Literal paths need no walk.
        var pins: [String] = [], masks: [Action] = []
        for pattern in deny {
            guard let path = literalPath(pattern) else { continue }
            for shown in appearances(of: path) {
                pins += ancestors(of: shown)
                masks.append(.hide(path: shown, optional: true))
            }
        }
        let walk = TreeWalk(
            deny: deny.filter { literalPath($0) == nil && $0.anchor == .workspace },
            protect: protect.filter { literalPath($0) == nil && $0.anchor == .workspace })
        // Named tool chains and caches are searched for sockets alone. Those that `auto` finds are not: a quarter
        // of a million files, as rustup and pyenv have, take longer than a run. SECURITY.md says so.
        let socketsOnly = TreeWalk(deny: [], protect: [])
        for root in otherTrees where (try? status(at: root.source))?.isDirectory == true {
            let tree = try resolve(root.source)
            masks += try socketsOnly.masks(in: tree.path, identity: tree.status.identity, shownAt: root.path).sockets
                .map {
                    .hide(path: $0, optional: false)
                }
        }
        for grant in grants where grant.source.status.isDirectory {
            let found = try walk.masks(
                in: grant.source.path, identity: grant.source.status.identity, shownAt: grant.path)
            if grant.writable { pins += found.pinned }
            // What was seen must be there when it is masked: if it moved meanwhile, the jail does not start.
            masks += found.hidden.map { .hide(path: $0, optional: false) }
            masks += found.sockets.map { .hide(path: $0, optional: false) }
            if grant.writable { masks += found.protected.map { .protect(path: $0, optional: false) } }
        }
        for pattern in protect {
            guard let path = literalPath(pattern) else { continue }
            for shown in appearances(of: path) {
                pins += ancestors(of: shown)
                masks.append(.protect(path: shown, optional: true))
            }
        }
        for path in worktree?.protectedPaths ?? [] {
            pins += ancestors(of: path)
            masks.append(.protect(path: path, optional: true))
        }
        // A mount point cannot be renamed, so the names that patterns rest on stay: `.git` cannot be moved aside and
        // replaced by a copy with other hooks, and `.kube/config` cannot become `moved/config`. Upper ones first.
        // Compared as bytes: to Swift two spellings of é are one text, to the kernel two files.
        for path in Set(pins.map { Array($0.utf8) }).sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            add(.jailInit, .pin(path: String(decoding: path, as: UTF8.self)))
        }
        add(.jailInit, masks)
        if let programs = request.programs { try protectPrograms(programs) }
        // A pattern that nothing above looks for would be silently without effect.
        for rule in rules.deny + rules.protect where literalPath(rule.value) == nil && rule.value.anchor != .workspace {
            throw .invalid([
                Diagnostic(
                    location: rule.location,
                    message: rule.value.anchor == .home
                        ? "\(rule.value.text): the jail's home is private and empty at the start: there is nothing to mask"
                        : "\(rule.value.text): a pattern from / cannot be masked",
                    remedy: "name a path without wildcards, or a pattern in the workspace")
            ])
        }
        if policy.fileSystem.toolchains.value == .auto, hasAutomaticToolchains {
            assurance.lack(
                .sockets, "tool chains that PATH names are not searched for sockets",
                remedy: "name them in `[fs] toolchains`, or set it to \"none\"")
        }
        assurance.give(.sockets)
        if !deny.isEmpty { assurance.give(.deny) }
        if !protect.isEmpty { assurance.give(.protect) }
        let isWritable = grants.contains { $0.writable }
        if isWritable, !(deny.isEmpty && protect.isEmpty) {
            assurance.lack(
                .denyCreate, "a workspace that is written directly cannot refuse new names",
                remedy: "make the workspace read-only")
        } else if !(deny.isEmpty && protect.isEmpty) {
            assurance.give(.denyCreate)
        }
    }

    /// The top of what leads to Cordon's own programs becomes a read-only mount, which cannot be moved aside either. Links
    /// on the way, such as `.build/release`, lie beneath it too.
    mutating func protectPrograms(_ programs: String) throws(PlanFailure) {
        // By what a grant is, not by what the policy calls it: a link may lead there.
        for grant in grants where grant.writable && isInside(programs, grant.source.path) {
            guard let below = pathComponents(pathBelow(programs, grant.source.path)).first
            else {
                throw .invalid([
                    Diagnostic(
                        location: nil,
                        message: "Cordon's own programs lie in \(programs), which the jail may write",
                        remedy: "install them elsewhere, such as /usr/local/lib/cordon, or choose another workspace")
                ])
            }
            let top = grant.path + "/" + below
            add(.jailInit, .protect(path: top, optional: false))
            assurance.note("\(top) holds Cordon's own programs and is read-only in the jail")
        }
    }

    /// Every path under which a file of the host appears in the jail: its own, that of what a link at its end names, and,
    /// where the policy names a tree by a link, beneath that name too.
    func appearances(of path: String) -> [String] {
        var real: [String] = []
        if let target = try? resolvedPath(path) { real.append(target) }
        if let parent = parentPath(path), let above = try? resolvedPath(parent.isEmpty ? "/" : parent),
            let name = pathComponents(path).last
        {
            real.append((above == "/" ? "" : above) + "/" + name)
        }
        var result = [path] + real
        for grant in grants where grant.path != grant.source.path {
            for file in real where isInside(file, grant.source.path) {
                result.append(grant.path + pathBelow(file, grant.source.path))
            }
        }
        var seen: Set<[UInt8]> = []
        return result.filter { seen.insert(Array($0.utf8)).inserted }
    }

    /// The directories between the writable tree that a path is in and the path, where they exist.
    func ancestors(of path: String) -> [String] {
        // Root inside may rename what lies at the top of its root, too.
        guard let root = grants.last(where: { $0.writable && isInside(path, $0.path) })?.path ?? (isRoot ? "" : nil),
            (try? status(at: path)) != nil
        else { return [] }
        var result: [String] = []
        var parent = path
        while let above = parentPath(parent), above.utf8.count > root.utf8.count {
            result.append(above)
            parent = above
        }
        return result
    }
}
