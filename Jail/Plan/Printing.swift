// Plans as text: one line a step, stable, so that two plans can be compared with diff(1).
public import Linux

extension Plan: CustomStringConvertible {
    /// One line a step: the actor, the action, its parameters.
    public var description: String {
        let width = Step.Actor.allCases.map(\.rawValue.count).max() ?? 0
        return steps.map { step in
            let actor = step.actor.rawValue
            return actor + String(repeating: " ", count: width - actor.count + 2) + "\(step.action)"
        }.joined(separator: "\n")
    }
}

extension Action: CustomStringConvertible {
    /// The step's name, as errors and timings use it.
    public var name: String { String(description.prefix { $0 != " " }) }

    /// What it acts on: a path, or nothing.
    public var object: String {
        switch self {
        case .cloneTree(_, let source, _, _): source.path
        case .directory(let path, _, _), .symlink(let path, _), .file(let path, _, _), .attachTree(_, let path),
            .bind(_, let path, _), .fileSystem(_, let path, _, _), .overlay(_, _, _, let path, _),
            .rebind(_, let path, _), .pin(let path),
            .hide(let path, _),
            .protect(let path, _):
            path
        case .hostName(let name): name
        default: ""
        }
    }

    /// The name and the parameters.
    public var description: String {
        switch self {
        case .cgroups(let limits): "cgroups" + limits.summary
        case .mapIds(.ownRange): "map-ids own range of \(IDs.rangeSize)"
        case .mapIds(.helpers(let users, let groups)):
            "map-ids newuidmap \(Self.list(users)) newgidmap \(Self.list(groups))"
        case .mapIds(.single(let inside, let user, let group)): "map-ids single \(inside)=\(user):\(group)"
        case .cloneTree(let index, let source, let attributes, let ids):
            "clone-tree #\(index) \(source.path) \(attributes.names)" + ids.summary
        case .clone(let namespaces): "clone " + namespaces.names.joined(separator: ",")
        case .freshKeyring: "fresh-keyring"
        case .zeroClock: "zero-clock"
        case .hostName(let name): "host-name \(name)"
        case .loopback: "loopback"
        case .dropGroups: "drop-groups"
        case .become(let user, let group): "become \(user):\(group)"
        case .undumpable: "undumpable"
        case .forkSpawner: "fork-spawner"
        case .makeRoot(let bytes, let inodes): "make-root size=\(bytes) nr_inodes=\(inodes)"
        case .directory(let path, let mode, let owner): "directory \(path) \(String(mode, radix: 8)) \(owner)"
        case .symlink(let path, let target): "symlink \(path) -> \(target)"
        case .file(let path, let contents, let mode): "file \(path) \(String(mode, radix: 8)) \(contents.utf8.count) B"
        case .attachTree(let index, let path): "attach-tree #\(index) \(path)"
        case .bind(let source, let path, let attributes): "bind \(source.path) \(path) \(attributes.names)"
        case .fileSystem(let type, let path, let parameters, let attributes):
            "file-system \(type) \(path) \(attributes.names)"
                + parameters.map { $0.value.isEmpty ? " \($0.key)" : " \($0.key)=\($0.value)" }.joined()
        case .overlay(let lower, let upper, let work, let path, let attributes):
            "overlay \(path) \(attributes.names) lower=\(lower) upper=\(upper) work=\(work)"
        case .rebind(let source, let path, let attributes): "rebind \(source) \(path) \(attributes.names)"
        case .pin(let path): "pin \(path)"
        case .hide(let path, let optional): "hide \(path)" + (optional ? " if there" : "")
        case .protect(let path, let optional): "protect \(path)" + (optional ? " if there" : "")
        case .sealRoot: "seal-root"
        case .pivotRoot: "pivot-root"
        case .leaveOldRoot: "leave-old-root"
        case .keepCapabilities(let set): "keep-capabilities \(Self.hex(set))"
        case .enterCgroups: "enter-cgroups"
        case .nestCommands: "nest-commands"
        case .awaitRoot: "await-root"
        case .awaitJail: "await-jail"
        case .cgroupNamespace: "cgroup-namespace"
        case .boundingSet(let set): "bounding-set \(Self.hex(set))"
        case .noNewPrivileges: "no-new-privileges"
        case .landlock(let abi, let scoped, let rules):
            "landlock abi=\(abi)" + (scoped ? " scoped" : "")
                + rules.map { " \($0.path)=\(Self.hex($0.access.rawValue))" }.joined()
        case .filters(let fingerprint, let count): "filters \(count) \(fingerprint)"
        case .signalScope: "signal-scope"
        case .identity(let user, let group, let capabilities):
            "identity \(user):\(group) capabilities \(Self.hex(capabilities))"
        case .limits(let limits): "limits" + limits.map { " \($0.name)=\($0.value)" }.joined()
        }
    }

    private static func list(_ ranges: [IDRange]) -> String {
        ranges.map { "\($0.inside)=\($0.outside)+\($0.count)" }.joined(separator: ",")
    }

    private static func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
}

extension TreeIds {
    var summary: String {
        switch self {
        case .host: ""
        case .owner(let owner): " owner \(owner.user):\(owner.group)=command"
        case .jail: " ids of the jail"
        }
    }
}

extension CgroupLimits {
    var summary: String {
        let all: [(String, UInt64?)] = [
            ("memory", memory), ("swap", swap), ("pids", pids), ("cpu-millis", cpuMillis), ("read-rate", readRate),
            ("write-rate", writeRate),
        ]
        return all.compactMap { name, value in value.map { " \(name)=\($0)" } }.joined()
    }
}

extension ResourceLimit {
    /// `RLIMIT_NOFILE` and the like.
    public var name: String {
        switch Resource(rawValue: resource) {
        case .fileSize: "RLIMIT_FSIZE"
        case .core: "RLIMIT_CORE"
        case .processes: "RLIMIT_NPROC"
        case .openFiles: "RLIMIT_NOFILE"
        case .messageQueues: "RLIMIT_MSGQUEUE"
        case nil: "RLIMIT_\(resource)"
        }
    }
}

extension Action {
    /// The name and the object, for timings.
    public var summary: String { object.isEmpty ? name : name + " " + object }
}
