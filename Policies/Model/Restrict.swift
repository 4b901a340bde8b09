// Several policies with a say in one run: what each of them grants, and nothing more.

extension Policy {
    /// What both this policy and another allow. Command rules stay this policy's own: the engine asks each tier by itself.
    ///
    /// Only what the other states counts: a tier that does not speak of something leaves it alone. Where two patterns
    /// cannot be compared, the grant is dropped.
    ///
    /// - Parameter machineMemory: bytes of memory of this machine, where a limit is a percentage.
    public func restricted(by other: Policy, machineMemory: UInt64) -> Policy {
        var result = self
        result.sources += other.sources.filter { source in !sources.contains { sameBytes($0, source) } }
        result.fileSystem = fileSystem.restricted(by: other)
        if other.stated.contains("network.mode"), other.network.value == .deny { result.network = other.network }
        result.environment = environment.restricted(by: other)
        result.resources = resources.restricted(by: other.resources, machineMemory: machineMemory)
        // The limit of output has a default, which is nobody's word.
        if !other.stated.contains("resources.output") { result.resources.output = resources.output }
        if other.stated.contains("seccomp.preset"), other.seccomp.value == .pure { result.seccomp = other.seccomp }
        if other.stated.contains("identity.root"), !other.identity.root.value, identity.root.value {
            result.identity.root = other.identity.root
            result.identity.user = other.identity.user
        }
        result.networkGrants = networkGrants.filter { grant in
            !other.stated.contains("network.mode") || other.networkGrants.contains { $0.value == grant.value }
        }
        return result
    }
}

extension FileSystemRules {
    fileprivate func restricted(by other: Policy) -> FileSystemRules {
        let rules = other.fileSystem
        var result = self
        result.deny.add(rules.deny)
        result.protect.add(rules.protect)
        if other.stated.contains("fs.read") || other.stated.contains("fs.write") {
            result.read = common(read + write, rules.read + rules.write)
            result.write = common(write, rules.write)
        }
        if let exec = rules.exec { result.exec = self.exec.map { common($0, exec) } ?? exec }
        if other.stated.contains("fs.toolchains"), rules.toolchains.value == .none {
            result.toolchains = rules.toolchains
        }
        if other.stated.contains("fs.caches") {
            result.caches = caches.filter { cache in rules.caches.contains { $0.value == cache.value } }
        }
        return result
    }

    /// The patterns of each list that one of the other covers.
    private func common(_ first: [Located<PathPattern>], _ second: [Located<PathPattern>]) -> [Located<PathPattern>] {
        var result = first.filter { pattern in second.contains { $0.value.includes(pattern.value) } }
        result.add(second.filter { pattern in first.contains { $0.value.includes(pattern.value) } })
        return result
    }
}

extension PathPattern {
    /// Whether every path that another pattern is about is one that this is about.
    fileprivate func includes(_ other: PathPattern) -> Bool {
        if self == other { return true }
        guard anchor == other.anchor, isLiteral else {
            return anchor == .root && components.isEmpty && other.anchor != .home
        }
        return covers(relativePath: other.literalPrefix)
    }
}

extension EnvironmentRules {
    fileprivate func restricted(by other: Policy) -> EnvironmentRules {
        let rules = other.environment
        var result = self
        result.mask += rules.mask.filter { !mask.contains($0) }
        if other.stated.contains("env.inherit") || other.stated.contains("env.pass"), rules.inherit == .none {
            // What both let pass by the same words, or what the other names where this one lets everything in.
            result.pass =
                inherit == .all ? rules.pass : pass.filter { rules.pass.contains($0) || rules.pass.contains("*") }
            result.inherit = .none
        }
        return result
    }
}

extension ResourceLimits {
    fileprivate func restricted(by other: ResourceLimits, machineMemory: UInt64) -> ResourceLimits {
        var result = self
        result.wall = Self.least(wall, other.wall)
        result.cpu = Self.least(cpu, other.cpu)
        result.cpus = Self.least(cpus, other.cpus)
        result.swap = Self.least(swap, other.swap)
        result.pids = Self.least(pids, other.pids)
        result.output = Self.least(output, other.output)
        result.disk = Self.least(disk, other.disk)
        result.inodes = Self.least(inodes, other.inodes)
        result.openFiles = Self.least(openFiles, other.openFiles)
        result.fileSize = Self.least(fileSize, other.fileSize)
        result.ioRead = Self.least(ioRead, other.ioRead)
        result.ioWrite = Self.least(ioWrite, other.ioWrite)
        if let theirs = other.memory {
            let mine = memory?.value.bytes(ofMachine: machineMemory) ?? .max
            if theirs.value.bytes(ofMachine: machineMemory) < mine { result.memory = theirs }
        }
        return result
    }

    private static func least<Value: Comparable>(_ first: Located<Value>?, _ second: Located<Value>?) -> Located<Value>?
    {
        guard let first, let second else { return first ?? second }
        return second.value < first.value ? second : first
    }
}
