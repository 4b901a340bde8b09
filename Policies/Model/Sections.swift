// What one file says, laid over what it extends: scalars and settings override, lists of rules add up.
// Nothing that an extended file denies, protects or masks can be taken away.

/// Every key of the top level.
private let topLevelKeys =
    ["version", "extends", "allow_degraded", "fs", "network", "env", "resources", "seccomp", "identity"]
    + commandRuleKeys

extension Policy {
    /// Lays one file over the policy.
    mutating func apply(_ document: TomlDocument, findings: Findings) {
        let root = TableReader(document.root, of: document, path: "", keys: topLevelKeys, findings: findings)
        root.checkVersion()
        for guarantee in root.list("allow_degraded", choice as TableReader.Conversion<Guarantee>) ?? [] {
            allowDegraded[guarantee.value] = guarantee.location
        }
        fileSystem.read(from: root)
        environment.read(from: root)
        resources.read(from: root)
        if let table = root.table("network", keys: ["mode", "allow", "grant"]) {
            table.read("mode", into: &network, choice)
            readGrants(from: table)
        }
        defaults.read(from: root)
        approval.read(from: root)
        readCommands(from: root)
        readTests(from: root)
        note(root)
        root.table("seccomp", keys: ["preset"])?.read("preset", into: &seccomp, choice)
        if let table = root.table("identity", keys: ["user", "root", "hostname"]) {
            table.read("user", into: &identity.user, userIdentity)
            table.read("root", into: &identity.root, boolean)
            if let name = table.read("hostname", PolicyModel.hostname) { identity.hostname = name.value }
        }
    }
}

extension Policy {
    /// Remembers what was said at all: a tier that does not speak of something leaves it to the others.
    private mutating func note(_ root: TableReader) {
        for section in root.entries where section.kind == .table {
            for entry in root.document.children(of: section) { stated.insert("\(section.key).\(entry.key)") }
        }
    }
}

extension TableReader {
    fileprivate func checkVersion() {
        let remedy = "write `version = 1`"
        guard let entry = entry("version") else {
            let start = SourceLocation(file: node.location.file, line: 1, column: 1)
            return findings.report("`version` is missing", at: start, remedy: remedy)
        }
        switch entry.kind {
        case .integer(1): break
        case .integer(let other):
            findings.report("`version` \(other) is not known to this Cordon", at: entry.location, remedy: remedy)
        default:
            findings.report("`version` must be an integer, not \(entry.kindName)", at: entry.location, remedy: remedy)
        }
    }
}

extension FileSystemRules {
    fileprivate mutating func read(from root: TableReader) {
        let keys = ["read", "write", "deny", "protect", "exec", "toolchains", "caches"]
        guard let table = root.table("fs", keys: keys) else { return }
        read.add(table.list("read", pattern))
        write.add(table.list("write", pattern))
        deny.add(table.list("deny", pattern))
        protect.add(table.list("protect", pattern))
        if let list = table.list("exec", pattern) { exec = list }
        if let list = table.list("caches", choice as TableReader.Conversion<CacheKind>) { caches = list }
        guard let entry = table.entry("toolchains") else { return }
        if entry.kind == .array {
            let paths = table.list("toolchains", absolutePath) ?? []
            toolchains = Located(.paths(paths.map(\.value)), at: entry.location)
        } else {
            table.read("toolchains", into: &toolchains, toolchainsWord)
        }
    }
}

private func toolchainsWord(_ node: TomlNode) throws(InvalidValue) -> Toolchains {
    guard case .string(let word) = node.kind else {
        throw wrongType(node, expected: "\"auto\", \"none\" or an array of paths")
    }
    switch word {
    case "auto": return .auto
    case "none": return .none
    default:
        throw InvalidValue(
            "unknown value \(quoted(word))",
            remedy: suggestion(for: word, in: ["auto", "none"]) + ", or an array of absolute paths")
    }
}

private func absolutePath(_ node: TomlNode) throws(InvalidValue) -> String {
    let pattern = try pattern(node)
    guard pattern.anchor == .root, pattern.isLiteral, !pattern.components.isEmpty else {
        throw InvalidValue(
            "\(quoted(pattern.text)) is not an absolute path", remedy: "write one such as \"/opt/tool\", no wildcards")
    }
    return "/" + pattern.literalPrefix.joined(separator: "/")
}

extension EnvironmentRules {
    fileprivate mutating func read(from root: TableReader) {
        guard let table = root.table("env", keys: ["inherit", "pass", "set", "mask"]) else { return }
        if let word = table.read("inherit", choice as TableReader.Conversion<Inheritance>) { inherit = word.value }
        pass.add(table.list("pass", variableGlob))
        mask.add(table.list("mask", variableGlob))
        guard let variables = table.table("set", keys: nil) else { return }
        for entry in variables.entries {
            do throws(InvalidValue) {
                try checkVariableName(entry.key)
            } catch {
                table.findings.report(error, at: entry.keyLocation)
                continue
            }
            let value = variables.convert(entry, name: variables.name(entry.key)) { (node) throws(InvalidValue) in
                let text = try string(node)
                try checkVariableValue(text, of: entry.key)
                return text
            }
            if let value {
                set[entry.key] = value.value
                setLocations[entry.key] = value.location
            }
        }
    }
}

extension ResourceLimits {
    fileprivate mutating func read(from root: TableReader) {
        let keys = [
            "wall", "cpu", "cpus", "memory", "swap", "pids", "output", "output_action", "disk", "inodes", "open_files",
            "file_size", "io_read", "io_write",
        ]
        guard let table = root.table("resources", keys: keys) else { return }
        table.read("wall", into: &wall, duration)
        table.read("cpu", into: &cpu, duration)
        table.read("cpus", into: &cpus, processors)
        table.read("memory", into: &memory, memorySize)
        table.read("swap", into: &swap, sizeOrZero)
        table.read("pids", into: &pids, count(upTo: 1 << 22))  // PID_MAX_LIMIT
        table.read("output", into: &output, size)
        table.read("output_action", into: &outputAction, choice)
        table.read("disk", into: &disk, size)
        table.read("inodes", into: &inodes, count(upTo: 1 << 40))
        table.read("open_files", into: &openFiles, count(upTo: 1 << 30))
        table.read("file_size", into: &fileSize, size)
        table.read("io_read", into: &ioRead, size)
        table.read("io_write", into: &ioWrite, size)
    }
}

/// Up to so many elements are compared with each other, as nearly all lists are: a policy is read at each start, and a
/// set costs more than such comparisons. A hostile one may have a hundred thousand.
private let shortList = 64

extension Array {
    /// Adds what is not there yet; a rule keeps the place where it was first written.
    mutating func add<Value: Hashable>(_ others: [Element]?) where Element == Located<Value> {
        guard let others else { return }
        if count + others.count <= shortList {
            for other in others where !contains(where: { $0.value == other.value }) { append(other) }
        } else {
            var known = Set(map(\.value))
            for other in others where known.insert(other.value).inserted { append(other) }
        }
    }
}

extension [String] {
    /// The same, compared as bytes, since globs that are equal only to Unicode are two.
    fileprivate mutating func add(_ others: [Located<String>]?) {
        guard let others else { return }
        if count + others.count <= shortList {
            for other in others where !contains(where: { sameBytes($0, other.value) }) { append(other.value) }
        } else {
            var known = Set(map { Array<UInt8>($0.utf8) })
            for other in others where known.insert(Array<UInt8>(other.value.utf8)).inserted { append(other.value) }
        }
    }
}
