// How exposed a machine is to what runs by a policy: from 0 (nothing can go wrong) to 10, a line for each reason.
public import PolicyModel

/// One line of a score.
public struct ScoreLine: Sendable, Hashable {
    /// The key that it is about.
    public var key: String
    /// What it says.
    public var says: String
    /// Tenths that it adds.
    public var tenths: Int
    /// Tenths that it could add at most.
    public var most: Int
    /// Where; nil for a default.
    public var location: SourceLocation?
}

/// The exposure of a policy.
public struct ExposureScore: Sendable {
    /// Every line, also those that add nothing.
    public var lines: [ScoreLine]
    /// Tenths, 0 to 100.
    public var tenths: Int { lines.reduce(0) { $0 + $1.tenths } }
    /// As in `3.4`.
    public var text: String { "\(tenths / 10).\(tenths % 10)" }
}

extension Policy {
    /// The exposure. The weights add up to 100 tenths; what they stand for is in Policies/README.md.
    public func exposure() -> ExposureScore {
        // Nothing can be run by a policy that grants no file: what bounds a run is of no account.
        let runs = !fileSystem.read.isEmpty || !fileSystem.write.isEmpty
        var lines: [ScoreLine] = []
        func add(_ key: String, _ says: String, _ tenths: Int, of most: Int, _ location: SourceLocation? = nil) {
            lines.append(ScoreLine(key: key, says: says, tenths: min(tenths, most), most: most, location: location))
        }
        add(
            "network.mode", network.value == .host ? "the host's network" : "no network but loopback",
            network.value == .host ? 20 : min(networkGrants.count * 2, 10), of: 20, network.location)
        let writesRoot = fileSystem.write.filter { $0.value.anchor == .root }
        let writesWorkspace = fileSystem.write.contains { $0.value.anchor == .workspace }
        add(
            "fs.write",
            writesRoot.isEmpty
                ? writesWorkspace ? "the workspace is written directly" : "nothing of the machine is written"
                : "paths outside of the workspace are written",
            (writesWorkspace ? 8 : 0) + writesRoot.count * 4, of: 15, fileSystem.write.first?.location)
        let readsAll = fileSystem.read.filter { $0.value.anchor == .root && $0.value.literalPrefix.first != "usr" }
        add(
            "fs.read",
            readsAll.isEmpty ? "programs and the workspace are read" : "more of the machine is read",
            readsAll.contains { $0.value.components.isEmpty } ? 10 : readsAll.count * 2, of: 10,
            fileSystem.read.first?.location)
        let secrets = readableSecrets()
        add(
            "fs.deny",
            secrets.isEmpty ? "usual places of secrets are denied" : "can be read: " + secrets.joined(separator: ", "),
            secrets.count * 2, of: 10, fileSystem.deny.first?.location)
        let hooks = writableHooks()
        add(
            "fs.protect",
            hooks.isEmpty ? "what is executed later is protected" : "can be written: " + hooks.joined(separator: ", "),
            hooks.count, of: 5, fileSystem.protect.first?.location)
        add(
            "fs.exec",
            fileSystem.exec == nil ? "everything readable can be executed" : "listed paths alone are executed",
            fileSystem.exec == nil && runs ? 3 : 0, of: 3, fileSystem.exec?.first?.location)
        add(
            "seccomp.preset", "the set of system calls is `\(seccomp.value.rawValue)`", seccomp.value == .pure ? 0 : 4,
            of: 4,
            seccomp.location)
        add(
            "identity.root", identity.root.value ? "root in its namespace, with six capabilities" : "no capability",
            identity.root.value ? 6 : 0, of: 6, identity.root.location)
        let inheritsAll = environment.inherit == .all
        add(
            "env",
            inheritsAll ? "every variable of the caller enters" : "variables that enter: \(environment.pass.count)",
            inheritsAll ? 5 : environment.pass.contains { $0.contains("*") } ? 3 : 0, of: 5)
        let limits = [
            resources.wall != nil, resources.memory != nil, resources.pids != nil, resources.cpu != nil,
            resources.disk != nil,
        ]
        let missing = limits.filter { !$0 }.count
        add(
            "resources", missing == 0 ? "all limits are there" : "\(missing) of 5 limits are missing",
            runs ? missing : 0,
            of: 5)
        addCommands(&lines)
        add(
            "allow_degraded",
            allowDegraded.isEmpty
                ? "every guarantee or no run" : "guarantees that may be missing: \(allowDegraded.count)",
            allowDegraded.count, of: 4, allowDegraded.values.first)
        return ExposureScore(lines: lines)
    }

    private func addCommands(_ lines: inout [ScoreLine]) {
        // Command rules bound requests alone, so they weigh less than what the kernel enforces.
        let answers: [(String, Located<Decision>?, Int)] = [
            ("defaults.command", defaults.command, 3), ("defaults.opaque", defaults.opaque ?? defaults.command, 3),
            ("defaults.jailed", defaults.jailed ?? defaults.command, 2),
        ]
        for (key, answer, most) in answers {
            let tenths =
                switch answer?.value {
                case .allow: most
                case .ask, nil: 1
                case .deny: 0
                }
            lines.append(
                ScoreLine(
                    key: key, says: answer?.value.rawValue ?? "unset, so ask", tenths: tenths, most: most,
                    location: answer?.location))
        }
        let executing = commands.filter { rule in
            rule.decision == .allow
                && !(ProgramTable.shared.spec([rule.argv.program])?.effects ?? []).isDisjoint(with: [
                    .executes, .interprets, .privileged,
                ])
        }
        lines.append(
            ScoreLine(
                key: "command",
                says: executing.isEmpty
                    ? "no rule allows a program that executes others"
                    : "rules that allow programs which execute others: \(executing.count)",
                tenths: min(executing.count, 2), most: 2, location: executing.first?.location))
        lines.append(
            ScoreLine(
                key: "defaults.headless_ask", says: "\(defaults.headlessAsk?.value.rawValue ?? "deny")",
                tenths: defaults.headlessAsk?.value == .allow ? 3 : 0, most: 3, location: defaults.headlessAsk?.location
            ))
    }
}
