// What is different between two policies, and which way: looser, tighter, or neither.
public import PolicyModel

/// One difference.
public struct PolicyChange: Sendable, Hashable {
    /// Which way it goes.
    public enum Direction: String, Sendable {
        case loosened, tightened, changed
    }

    /// Which way it goes.
    public var direction: Direction
    /// What it is about: a key, a rule's id, or a command.
    public var subject: String
    /// As it was; nil where it was not there.
    public var before: String?
    /// As it is; nil where it is not there.
    public var after: String?

    /// A difference from its parts.
    public init(direction: Direction, subject: String, before: String?, after: String?) {
        self.direction = direction
        self.subject = subject
        self.before = before
        self.after = after
    }
}

extension Policy {
    /// What another policy says differently.
    public func changes(to other: Policy) -> [PolicyChange] {
        var changes: [PolicyChange] = []
        func add(_ subject: String, _ before: String?, _ after: String?, _ direction: PolicyChange.Direction) {
            if before != after {
                changes.append(PolicyChange(direction: direction, subject: subject, before: before, after: after))
            }
        }
        func compare(_ key: String, _ mine: [String], _ theirs: [String], more: PolicyChange.Direction) {
            let less: PolicyChange.Direction = more == .loosened ? .tightened : .loosened
            for text in mine where !theirs.contains(text) { add(key, text, nil, less) }
            for text in theirs where !mine.contains(text) { add(key, nil, text, more) }
        }
        compare("fs.read", fileSystem.read.map(\.value.text), other.fileSystem.read.map(\.value.text), more: .loosened)
        compare(
            "fs.write", fileSystem.write.map(\.value.text), other.fileSystem.write.map(\.value.text), more: .loosened)
        compare("fs.deny", fileSystem.deny.map(\.value.text), other.fileSystem.deny.map(\.value.text), more: .tightened)
        compare(
            "fs.protect", fileSystem.protect.map(\.value.text), other.fileSystem.protect.map(\.value.text),
            more: .tightened)
        compare(
            "fs.caches", fileSystem.caches.map(\.value.rawValue), other.fileSystem.caches.map(\.value.rawValue),
            more: .loosened)
        compare(
            "fs.toolchains", fileSystem.toolchains.value.names, other.fileSystem.toolchains.value.names, more: .loosened
        )
        compare("env.pass", environment.pass, other.environment.pass, more: .loosened)
        compare("env.mask", environment.mask, other.environment.mask, more: .tightened)
        compare(
            "allow_degraded", allowDegraded.keys.map(\.rawValue).sorted(),
            other.allowDegraded.keys.map(\.rawValue).sorted(), more: .loosened)
        compare(
            "network.grant", networkGrants.map(\.value.description), other.networkGrants.map(\.value.description),
            more: .loosened)
        switch (fileSystem.exec, other.fileSystem.exec) {
        case (nil, let exec?): add("fs.exec", nil, exec.map(\.value.text).joined(separator: " "), .tightened)
        case (let exec?, nil): add("fs.exec", exec.map(\.value.text).joined(separator: " "), nil, .loosened)
        case (let mine?, let theirs?):
            compare("fs.exec", mine.map(\.value.text), theirs.map(\.value.text), more: .loosened)
        case (nil, nil): break
        }
        add(
            "network.mode", network.value.rawValue, other.network.value.rawValue,
            other.network.value == .host ? .loosened : .tightened)
        add(
            "seccomp.preset", seccomp.value.rawValue, other.seccomp.value.rawValue,
            other.seccomp.value == .agent ? .loosened : .tightened)
        add(
            "identity.root", "\(identity.root.value)", "\(other.identity.root.value)",
            other.identity.root.value ? .loosened : .tightened)
        add(
            "env.inherit", environment.inherit.rawValue, other.environment.inherit.rawValue,
            other.environment.inherit == .all ? .loosened : .tightened)
        for name in Set(environment.set.keys).union(other.environment.set.keys).sorted() {
            add("env.set.\(name)", environment.set[name], other.environment.set[name], .changed)
        }
        add("identity.user", identity.user?.value.description, other.identity.user?.value.description, .changed)
        add("identity.hostname", identity.hostname, other.identity.hostname, .changed)
        add(
            "resources.output_action", resources.outputAction.value.rawValue,
            other.resources.outputAction.value.rawValue,
            other.resources.outputAction.value == .truncate ? .loosened : .tightened)
        let scopes = (approval.scopes?.value ?? [.once], other.approval.scopes?.value ?? [.once])
        compare("approval.scopes", scopes.0.map(\.rawValue), scopes.1.map(\.rawValue), more: .loosened)
        let approvers = (approval.approvers?.value ?? [.terminal], other.approval.approvers?.value ?? [.terminal])
        compare("approval.approvers", approvers.0.map(\.rawValue), approvers.1.map(\.rawValue), more: .loosened)
        add(
            "approval.expiry", approval.expiry.map { formatDuration($0.value) },
            other.approval.expiry.map { formatDuration($0.value) }, .changed)
        changes += resources.changes(to: other.resources)
        changes += changesOfCommands(to: other)
        return changes
    }

    private func changesOfCommands(to other: Policy) -> [PolicyChange] {
        var changes: [PolicyChange] = []
        let answers: [(String, Located<Decision>?, Located<Decision>?, Decision)] = [
            ("defaults.command", defaults.command, other.defaults.command, .ask),
            ("defaults.opaque", defaults.opaque, other.defaults.opaque, .ask),
            (
                "defaults.jailed", defaults.jailed ?? defaults.command, other.defaults.jailed ?? other.defaults.command,
                .ask
            ),
            ("defaults.headless_ask", defaults.headlessAsk, other.defaults.headlessAsk, .deny),
        ]
        for (key, mine, theirs, unset) in answers where mine?.value != theirs?.value {
            let before = mine?.value ?? unset, after = theirs?.value ?? unset
            changes.append(
                PolicyChange(
                    direction: after < before ? .loosened : after > before ? .tightened : .changed, subject: key,
                    before: mine?.value.rawValue, after: theirs?.value.rawValue))
        }
        let mine = Dictionary(commands.map { ($0.id, $0) }) { first, _ in first }
        let theirs = Dictionary(other.commands.map { ($0.id, $0) }) { first, _ in first }
        for id in Set(mine.keys).union(theirs.keys).sorted() {
            switch (mine[id], theirs[id]) {
            case (let rule?, nil):
                changes.append(
                    PolicyChange(
                        direction: rule.decision == .allow ? .tightened : .loosened, subject: "command \(id)",
                        before: rule.summary, after: nil))
            case (nil, let rule?):
                changes.append(
                    PolicyChange(
                        direction: rule.decision == .allow ? .loosened : .tightened, subject: "command \(id)",
                        before: nil,
                        after: rule.summary))
            case (let before?, let after?) where before.summary != after.summary:
                let direction = before.direction(to: after)
                changes.append(
                    PolicyChange(
                        direction: direction, subject: "command \(id)", before: before.summary, after: after.summary))
            default: break
            }
        }
        return changes
    }
}

extension Toolchains {
    fileprivate var names: [String] {
        switch self {
        case .auto: ["auto"]
        case .none: []
        case .paths(let paths): paths
        }
    }
}

extension CommandRule {
    /// Which way a rule of the same id goes; what cannot be compared counts as looser.
    fileprivate func direction(to other: CommandRule) -> PolicyChange.Direction {
        if decision != other.decision { return other.decision < decision ? .loosened : .tightened }
        guard argv.words == other.argv.words else { return .loosened }
        let mine = Set(except.map(\.text)), theirs = Set(other.except.map(\.text))
        let isExceptTighter = decision == .allow ? theirs.isSuperset(of: mine) : theirs.isSubset(of: mine)
        let isFlagsTighter: Bool
        switch (flags, other.flags) {
        case (nil, nil): isFlagsTighter = true
        case (let mine?, let theirs?):
            isFlagsTighter = Set(theirs.map(\.glob.text)).isSubset(of: mine.map(\.glob.text))
        default: isFlagsTighter = false
        }
        let keepsRewrite =
            Set(other.rewrite.config).isSuperset(of: rewrite.config)
            && Set(other.rewrite.options + other.rewrite.flags).isSuperset(of: rewrite.options + rewrite.flags)
            && Set(other.rewrite.environmentUnset).isSuperset(of: rewrite.environmentUnset)
            && Set(other.rewrite.environmentSet).isSuperset(of: rewrite.environmentSet)
        let isTighter =
            isExceptTighter && (isFlagsTighter || decision != .allow) && keepsRewrite && (other.isLocked || !isLocked)
            && (isInteractive || !other.isInteractive)
        return isTighter ? .tightened : .loosened
    }

    /// All that it says, in one line.
    var summary: String {
        var text = "\(decision.rawValue) " + argv.text
        if let flags { text += " flags " + flags.map(\.glob.text).joined(separator: " ") }
        if !except.isEmpty { text += " except " + except.map(\.text).joined(separator: ", ") }
        if !rewrite.config.isEmpty { text += " with " + rewrite.config.joined(separator: " ") }
        if !(rewrite.options + rewrite.flags).isEmpty {
            text += " with " + (rewrite.options + rewrite.flags).joined(separator: " ")
        }
        if !rewrite.environmentSet.isEmpty { text += " with " + rewrite.environmentSet.joined(separator: " ") }
        if !rewrite.environmentUnset.isEmpty {
            text += " without " + rewrite.environmentUnset.map(\.text).joined(separator: " ")
        }
        if isLocked { text += " locked" }
        if isInteractive { text += " interactive" }
        return text
    }
}

extension ResourceLimits {
    fileprivate func changes(to other: ResourceLimits) -> [PolicyChange] {
        var changes: [PolicyChange] = []
        func add<Value: Comparable>(
            _ key: String, _ mine: Located<Value>?, _ theirs: Located<Value>?, _ format: (Value) -> String
        ) {
            guard mine?.value != theirs?.value else { return }
            let isLooser =
                switch (mine?.value, theirs?.value) {
                case (_, nil): true
                case (nil, _): false
                case (let before?, let after?): before < after
                }
            changes.append(
                PolicyChange(
                    direction: isLooser ? .loosened : .tightened, subject: "resources.\(key)",
                    before: mine.map { format($0.value) },
                    after: theirs.map { format($0.value) }))
        }
        add("wall", wall, other.wall, formatDuration)
        add("cpu", cpu, other.cpu, formatDuration)
        add("cpus", cpus, other.cpus) { "\($0)" }
        add("swap", swap, other.swap, formatSize)
        add("output", output, other.output, formatSize)
        add("disk", disk, other.disk, formatSize)
        add("file_size", fileSize, other.fileSize, formatSize)
        add("io_read", ioRead, other.ioRead, formatSize)
        add("io_write", ioWrite, other.ioWrite, formatSize)
        add("pids", pids, other.pids) { "\($0)" }
        add("inodes", inodes, other.inodes) { "\($0)" }
        add("open_files", openFiles, other.openFiles) { "\($0)" }
        if memory?.value != other.memory?.value {
            let isLooser =
                switch (memory?.value, other.memory?.value) {
                case (_, nil): true
                case (.bytes(let before), .bytes(let after)): before < after
                case (.percent(let before), .percent(let after)): before < after
                // A share and a size are not to be compared without a machine.
                case (nil, _): false
                default: true
                }
            changes.append(
                PolicyChange(
                    direction: isLooser ? .loosened : .tightened, subject: "resources.memory",
                    before: memory?.value.description,
                    after: other.memory?.value.description))
        }
        return changes
    }
}
