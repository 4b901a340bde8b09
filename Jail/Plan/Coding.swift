// A plan on its way into the jail: the steps of jail-init, the spawner and the command.
// The supervisor's and the stub's steps never travel; what cannot travel has no code.
public import Linux

extension Plan {
    /// The steps that are applied inside, each with its position in the whole plan.
    public func encodedForJail() -> [UInt8] {
        var writer = ByteWriter()
        let inside = steps.enumerated().filter { ![.supervisor, .stub].contains($0.element.actor) }
        writer.write(Array(inside)) { writer, step in
            writer.write(UInt64(step.offset))
            writer.write(UInt8(Step.Actor.allCases.firstIndex(of: step.element.actor) ?? 0))
            step.element.action.write(to: &writer)
        }
        return writer.bytes
    }

    /// The reverse of `encodedForJail`: actors, actions and their positions in the whole plan.
    public static func decodedInJail(_ bytes: [UInt8]) throws(Errno) -> [(index: Int, step: Step)] {
        var reader = ByteReader(bytes)
        let steps = try reader.list { (reader) throws(Errno) in
            let index = try reader.number(as: Int.self)
            let actor = Int(try reader.byte())
            guard Step.Actor.allCases.indices.contains(actor) else { throw .badMessage }
            return (index: index, step: Step(Step.Actor.allCases[actor], try Action(from: &reader)))
        }
        guard reader.isAtEnd else { throw .badMessage }
        return steps
    }
}

extension Action {
    private enum Code: UInt8 {
        case freshKeyring, zeroClock, hostName, loopback, dropGroups, become, undumpable, forkSpawner, makeRoot,
            directory,
            symlink, file
        case attachTree, bind, fileSystem, overlay, rebind, pin, hide, protect, sealRoot, pivotRoot, leaveOldRoot,
            keepCapabilities
        case enterCgroups, awaitRoot, awaitJail, cgroupNamespace, boundingSet, noNewPrivileges, landlock,
            filters,
            signalScope, identity, limits
        case nestCommands
    }

    func write(to writer: inout ByteWriter) {
        func code(_ code: Code) { writer.write(code.rawValue) }
        switch self {
        case .cgroups, .mapIds, .cloneTree, .clone: break
        case .freshKeyring: code(.freshKeyring)
        case .zeroClock: code(.zeroClock)
        case .hostName(let name):
            code(.hostName)
            writer.write(name)
        case .loopback: code(.loopback)
        case .dropGroups: code(.dropGroups)
        case .become(let user, let group):
            code(.become)
            writer.write(UInt64(user))
            writer.write(UInt64(group))
        case .undumpable: code(.undumpable)
        case .forkSpawner: code(.forkSpawner)
        case .makeRoot(let bytes, let inodes):
            code(.makeRoot)
            writer.write(bytes)
            writer.write(inodes)
        case .directory(let path, let mode, let owner):
            code(.directory)
            writer.write(path)
            writer.write(UInt64(mode))
            writer.write(UInt64(owner))
        case .symlink(let path, let target):
            code(.symlink)
            writer.write(path)
            writer.write(target)
        case .file(let path, let contents, let mode):
            code(.file)
            writer.write(path)
            writer.write(contents)
            writer.write(UInt64(mode))
        case .attachTree(let index, let path):
            code(.attachTree)
            writer.write(UInt64(index))
            writer.write(path)
        case .bind(let source, let path, let attributes):
            code(.bind)
            writer.write(source.path)
            writer.write(source.identity != nil)
            writer.write(source.identity?.device ?? 0)
            writer.write(source.identity?.inode ?? 0)
            writer.write(path)
            writer.write(attributes.rawValue)
        case .fileSystem(let type, let path, let parameters, let attributes):
            code(.fileSystem)
            writer.write(type)
            writer.write(path)
            writer.write(parameters) { writer, parameter in
                writer.write(parameter.key)
                writer.write(parameter.value)
            }
            writer.write(attributes.rawValue)
        case .overlay(let lower, let upper, let work, let path, let attributes):
            code(.overlay)
            for text in [lower, upper, work, path] { writer.write(text) }
            writer.write(attributes.rawValue)
        case .rebind(let source, let path, let attributes):
            code(.rebind)
            writer.write(source)
            writer.write(path)
            writer.write(attributes.rawValue)
        case .pin(let path):
            code(.pin)
            writer.write(path)
        case .hide(let path, let optional):
            code(.hide)
            writer.write(path)
            writer.write(optional)
        case .protect(let path, let optional):
            code(.protect)
            writer.write(path)
            writer.write(optional)
        case .sealRoot: code(.sealRoot)
        case .pivotRoot: code(.pivotRoot)
        case .leaveOldRoot: code(.leaveOldRoot)
        case .keepCapabilities(let set):
            code(.keepCapabilities)
            writer.write(set)
        case .enterCgroups: code(.enterCgroups)
        case .nestCommands: code(.nestCommands)
        case .awaitRoot: code(.awaitRoot)
        case .awaitJail: code(.awaitJail)
        case .cgroupNamespace: code(.cgroupNamespace)
        case .boundingSet(let set):
            code(.boundingSet)
            writer.write(set)
        case .noNewPrivileges: code(.noNewPrivileges)
        case .landlock(let abi, let scoped, let rules):
            code(.landlock)
            writer.write(UInt64(abi))
            writer.write(scoped)
            writer.write(rules) { writer, rule in
                writer.write(rule.path)
                writer.write(rule.access.rawValue)
            }
        case .filters(let fingerprint, let count):
            code(.filters)
            writer.write(fingerprint)
            writer.write(UInt64(count))
        case .signalScope: code(.signalScope)
        case .identity(let user, let group, let capabilities):
            code(.identity)
            writer.write(UInt64(user))
            writer.write(UInt64(group))
            writer.write(capabilities)
        case .limits(let limits):
            code(.limits)
            writer.write(limits) { writer, limit in
                writer.write(Int64(limit.resource))
                writer.write(limit.value)
            }
        }
    }

    init(from reader: inout ByteReader) throws(Errno) {
        guard let code = Code(rawValue: try reader.byte()) else { throw .badMessage }
        switch code {
        case .freshKeyring: self = .freshKeyring
        case .zeroClock: self = .zeroClock
        case .hostName: self = .hostName(try reader.text())
        case .loopback: self = .loopback
        case .dropGroups: self = .dropGroups
        case .become:
            self = .become(user: try reader.number(as: UInt32.self), group: try reader.number(as: UInt32.self))
        case .undumpable: self = .undumpable
        case .forkSpawner: self = .forkSpawner
        case .makeRoot: self = .makeRoot(bytes: try reader.number(), inodes: try reader.number())
        case .directory:
            self = .directory(
                path: try reader.text(), mode: try reader.number(as: UInt32.self),
                owner: try reader.number(as: UInt32.self))
        case .symlink: self = .symlink(path: try reader.text(), target: try reader.text())
        case .file:
            self = .file(
                path: try reader.text(), contents: try reader.text(), mode: try reader.number(as: UInt32.self))
        case .attachTree: self = .attachTree(index: try reader.number(as: Int.self), path: try reader.text())
        case .bind:
            let path = try reader.text(), isKnown = try reader.flag()
            let identity = FileIdentity(device: try reader.number(), inode: try reader.number())
            self = .bind(
                source: Source(path, identity: isKnown ? identity : nil), path: try reader.text(),
                attributes: MountAttributes(rawValue: try reader.number()))
        case .fileSystem:
            self = .fileSystem(
                type: try reader.text(), path: try reader.text(),
                parameters: try reader.list { (reader) throws(Errno) in
                    Parameter(try reader.text(), try reader.text())
                },
                attributes: MountAttributes(rawValue: try reader.number()))
        case .overlay:
            self = .overlay(
                lower: try reader.text(), upper: try reader.text(), work: try reader.text(), path: try reader.text(),
                attributes: MountAttributes(rawValue: try reader.number()))
        case .rebind:
            self = .rebind(
                source: try reader.text(), path: try reader.text(),
                attributes: MountAttributes(rawValue: try reader.number()))
        case .pin: self = .pin(path: try reader.text())
        case .hide: self = .hide(path: try reader.text(), optional: try reader.flag())
        case .protect: self = .protect(path: try reader.text(), optional: try reader.flag())
        case .sealRoot: self = .sealRoot
        case .pivotRoot: self = .pivotRoot
        case .leaveOldRoot: self = .leaveOldRoot
        case .keepCapabilities: self = .keepCapabilities(try reader.number())
        case .enterCgroups: self = .enterCgroups
        case .nestCommands: self = .nestCommands
        case .awaitRoot: self = .awaitRoot
        case .awaitJail: self = .awaitJail
        case .cgroupNamespace: self = .cgroupNamespace
        case .boundingSet: self = .boundingSet(try reader.number())
        case .noNewPrivileges: self = .noNewPrivileges
        case .landlock:
            self = .landlock(
                abi: try reader.number(as: Int.self), scoped: try reader.flag(),
                rules: try reader.list { (reader) throws(Errno) in
                    LandlockRule(try reader.text(), LandlockAccess(rawValue: try reader.number()))
                })
        case .filters: self = .filters(fingerprint: try reader.text(), count: try reader.number(as: Int.self))
        case .signalScope: self = .signalScope
        case .identity:
            self = .identity(
                user: try reader.number(as: UInt32.self), group: try reader.number(as: UInt32.self),
                capabilities: try reader.number())
        case .limits:
            self = .limits(
                try reader.list { (reader) throws(Errno) in
                    ResourceLimit(number: try reader.number(as: Int32.self), value: try reader.number())
                })
        }
    }
}
