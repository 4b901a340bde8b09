// Which policies have a say: the machine's, the user's, the project's, and the one that was asked for.
public import Linux
public import PolicyDecision
public import PolicyModel

/// What the owner of a machine says about policies to somebody who is served by the system's service.
public struct TierRules: Sendable {
    /// Files that hold beside `/etc/cordon/policy.toml`, and must be there.
    public var machine: [String] = []
    /// What a session's policy may be, byte by byte, the first where none is named; nil: anything.
    public var allowed: [String]?

    /// Nothing is said.
    public init() {}

    /// Whether a policy is one that the machine's owner names.
    public func names(_ reference: String) -> Bool {
        allowed?.contains { $0.utf8.elementsEqual(reference.utf8) } ?? false
    }

    fileprivate func chosen(_ reference: String?) throws(PolicyError) -> String? {
        guard let allowed else { return reference }
        guard let reference else { return allowed.first }
        if names(reference) { return reference }
        throw PolicyError(diagnostics: [
            Diagnostic(
                location: nil, message: "this machine's owner does not let you use the policy \(printable(reference))",
                remedy: "use " + allowed.map(printable).joined(separator: " or "))
        ])
    }
}

/// The policies that judge and confine one request.
public struct PolicyTiers: Sendable {
    /// From the machine's owner to the request; the last is the session's.
    public private(set) var tiers: [Tier] = []
    /// What tells these from others: which files took part, as what, and every byte of them.
    public private(set) var fingerprint = ""

    /// The policy that was asked for, or what stands for it.
    public var session: Policy { tiers[tiers.count - 1].policy }

    /// What stands for a policy where none is named and no project is trusted.
    public static let defaultPolicy = "preset:agent"
    /// A project's own policy, in its workspace.
    public static let projectFile = ".cordon.toml"

    /// Reads all of them.
    ///
    /// - Parameters:
    ///   - named: what `--policy` names; nil for a trusted project's own policy, else preset:agent.
    ///   - shown: the file that `named` has to be; nil: whatever it leads to.
    ///   - files: gets the names of the files that were looked for, also of those that are not there or that are wrong: where one
    ///     of them changes, so may all of this.
    /// - Throws: `PolicyError` with everything that is wrong in all of the files, their own examples included.
    public init(
        _ named: String?, workspace: String, environment: [(name: String, value: String)],
        rules: TierRules = TierRules(), shown: FileIdentity? = nil, files: inout [String]
    ) throws(PolicyError) {
        var diagnostics: [Diagnostic] = []
        var projectSources: [PolicySource] = []
        var parts: [[UInt8]] = []
        var looked = [Self.systemFile, workspace + "/" + Self.projectFile]
        defer { files = looked }
        let reference = try rules.chosen(named)
        func load(_ name: Tier.Name, _ reference: String, shown: FileIdentity? = nil) -> Tier? {
            do throws(PolicyError) {
                let read = try readPolicy(reference, presetTests: false, shown: shown, looking: { looked.append($0) })
                parts += read.sources.flatMap { [pathBytes($0.path), $0.bytes] }
                if name == .project { projectSources = read.sources }
                // A preset's own were checked when Cordon was built.
                let failures = reference.hasPrefix("preset:") ? [] : try read.policy.failedExamples()
                guard failures.isEmpty else { throw PolicyError(diagnostics: failures) }
                return Tier(name, read.policy)
            } catch {
                diagnostics += error.diagnostics
                return nil
            }
        }
        if exists(Self.systemFile) { tiers += [load(.system, Self.systemFile)].compactMap { $0 } }
        for file in rules.machine { tiers += [load(.system, file)].compactMap { $0 } }
        let userFile = Self.userFile(environment)
        looked += [userFile].compactMap { $0 }
        if let file = userFile, exists(file) { tiers += [load(.user, file)].compactMap { $0 } }
        let project = workspace + "/" + Self.projectFile
        var isTrustedProject = false
        if exists(project) {
            let tier = load(.project, project)
            isTrustedProject =
                reference == nil && tier != nil && TrustStore(environment)?.trusts(project, projectSources) == true
            if let tier { tiers.append(isTrustedProject ? Tier(.session, tier.policy) : tier) }
        }
        if !isTrustedProject {
            tiers += [load(.session, reference ?? Self.defaultPolicy, shown: shown)].compactMap { $0 }
        }
        guard diagnostics.isEmpty else { throw PolicyError(diagnostics: diagnostics) }
        fingerprint = digest(tiers.flatMap { [Array($0.name.rawValue.utf8), pathBytes($0.policy.name)] } + parts)
    }

    /// Reads all of them, for who does not ask again.
    public init(
        _ named: String?, workspace: String, environment: [(name: String, value: String)],
        rules: TierRules = TierRules()
    ) throws(PolicyError) {
        var files: [String] = []
        try self.init(named, workspace: workspace, environment: environment, rules: rules, files: &files)
    }

    /// One policy that confines as all of them do.
    public func confinement(machineMemory: UInt64) -> Policy {
        tiers.dropLast().reduce(session) { $0.restricted(by: $1.policy, machineMemory: machineMemory) }
    }

    /// An engine that looks through links as this machine has them.
    public func engine() throws(PolicyError) -> Engine {
        try Engine(tiers, resolve: Self.resolve, expand: { expanded($0, $1) })
    }

    /// Follows links name by name, also to what does not exist yet: who writes there makes it. One that leads through /proc is
    /// not followed: what that is depends on who asks.
    private static let resolve: Engine.Resolver = { path in
        var place = "", rest = pathComponents(path)[...], links = 0
        /// Behind what is not there, nothing is.
        var isMissing = false
        while let name = rest.popFirst() {
            if name == "." { continue }
            if name == ".." {
                place = parentPath(place) ?? ""
                continue
            }
            let next = place + "/" + name
            if next == "/proc" || next == "/dev" { return nil }
            if isMissing {
                place = next
                continue
            }
            let target: String
            do throws(Errno) { target = try readLink(next) } catch {
                // EINVAL: it is there, and no link; what is not there is what it looks like.
                guard error == .invalid || error == .noEntry || error == .notDirectory else { return nil }
                isMissing = error != .invalid
                place = next
                continue
            }
            links += 1
            guard links <= 40 else { return nil }
            if target.utf8.first == UInt8(ascii: "/") { place = "" }
            rest = pathComponents(target)[...] + rest
        }
        return place.isEmpty ? "/" : place
    }

    /// The variables for what is executed without a shell and without a jail: what every tier lets pass, what the policies
    /// set, and what a program cannot do without. The names of masked ones come apart.
    public func commandEnvironment(
        _ caller: [(name: String, value: String)], without unset: [Glob],
        setting set: [(name: String, value: String)] = []
    ) -> (variables: [(name: String, value: String)], masked: [String]) {
        let speaking = tiers.filter {
            $0.policy.stated.contains("env.inherit") || $0.policy.stated.contains("env.pass")
        }
        let isStrangersWord = speaking.allSatisfy { $0.name == .project }
        let passing = speaking.map { $0.policy.environment.matcher() }
        // A stranger's file must not take away what a program is found and started by.
        let masking = tiers.map { tier in (tier, tier.policy.environment.matcher()) }
        let needed = ["HOME", "USER", "LOGNAME", "LANG", "TERM", "TZ"]
        // bash reads the first two as programs before the command starts.
        let never = ["BASH_ENV", "ENV", "PATH"]
        var values = ["PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        for (name, value) in caller where !never.contains(name) {
            if needed.contains(name) || !isStrangersWord && passing.allSatisfy({ $0.passes(name) }) {
                values[name] = value
            }
        }
        // A project's file is a stranger's, and a variable such as LD_PRELOAD runs anything.
        for tier in tiers where tier.name != .project { values.merge(tier.policy.environment.set) { $1 } }
        for name in values.keys where unset.contains(where: { $0.matches(name) }) { values[name] = nil }
        let masked = values.keys.filter { name in
            masking.contains { tier, matcher in
                matcher.masks(name) && !(tier.name == .project && ["PATH", "HOME"].contains(name))
            }
        }.sorted()
        for name in masked { values[name] = nil }
        // What an allowed command is safe by comes last, so that nobody's mask takes it away.
        for (name, value) in set { values[name] = value }
        return (values.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }, masked)
    }

    private static let systemFile = "/etc/cordon/policy.toml"

    private static func userFile(_ environment: [(name: String, value: String)]) -> String? {
        userDirectory("XDG_CONFIG_HOME", "/.config", environment).map { $0 + "/cordon/policy.toml" }
    }
}

/// The files that a shell's pattern stands for now, at most 512; nil where there are more, or where it cannot be told.
private func expanded(_ directory: String, _ patterns: [String]) -> [String]? {
    var found = [directory]
    for pattern in patterns {
        guard let glob = try? Glob(shell: pattern) else { return nil }
        var next: [String] = []
        for place in found {
            guard let handle = try? open(place, [.readOnly, .directory]), let names = try? entries(of: handle.raw)
            else {
                continue
            }
            // Some shells count characters, some bytes.
            for entry in names
            where glob.matches(bytes: entry.name)
                || glob.matches(String(String.UnicodeScalarView(entry.name.map { Unicode.Scalar($0) })))
            {
                // A leading dot has to be written (bash(1), Pathname Expansion).
                if entry.name.first == UInt8(ascii: "."), pattern.utf8.first != UInt8(ascii: ".") { continue }
                next.append(place + (place == "/" ? "" : "/") + entry.text)
                if next.count > 512 { return nil }
            }
        }
        found = next
    }
    return found
}

/// A directory of the user's, by the XDG Base Directory Specification.
public func userDirectory(
    _ variable: String, _ fallback: String, _ environment: [(name: String, value: String)]
) -> String? {
    if let chosen = environment.first(where: { $0.name == variable })?.value, chosen.utf8.first == UInt8(ascii: "/") {
        return chosen
    }
    guard let home = environment.first(where: { $0.name == "HOME" })?.value, home.utf8.first == UInt8(ascii: "/") else {
        return nil
    }
    return home + fallback
}

/// A file that took part in a policy, as it was read.
public struct PolicySource: Sendable {
    /// As it was named.
    public var path: String
    /// All of it.
    public var bytes: [UInt8]
}

/// Bytes of all files of a policy together. Rules are compared with one another and tried by their tests: from some megabytes a
/// project, which a jail can write, would keep its user's supervisor busy for hours.
private let mostPolicyBytes = 256 << 10

/// Reads a policy from a file or a preset.
public func readPolicy(
    _ reference: String, presetTests: Bool = true, shown: FileIdentity? = nil, looking: (String) -> Void = { _ in }
) throws(PolicyError) -> (policy: Policy, sources: [PolicySource]) {
    var sources: [PolicySource] = []
    var room = mostPolicyBytes
    let policy = try Policy.load(reference, presetTests: presetTests) { (path) throws(FileReadFailure) in
        looking(path)
        do throws(Errno) {
            // A FIFO would be waited for without end, and a device read without one.
            let file = try open(path, [.readOnly, .nonBlocking])
            let status = try status(of: file.raw)
            guard status.isRegular else { throw Errno.invalid }
            // The first is the one that was named; what it extends is its own affair.
            if let shown, sources.isEmpty, status.identity != shown { throw Errno.stale }
            let bytes = try file.readAll(limit: room)
            room -= bytes.count
            sources.append(PolicySource(path: path, bytes: bytes))
            return bytes
        } catch {
            if error == .stale {
                throw FileReadFailure(reason: "another file than the one whose descriptor came with it: open it anew")
            }
            if error == .tooBig {
                throw FileReadFailure(reason: "with what it extends, a policy has at most \(mostPolicyBytes) bytes")
            }
            throw error == .noEntry ? .missing : FileReadFailure(reason: error.message)
        }
    }
    return (policy, sources)
}

/// Whether something is there, or cannot be looked at: what cannot be looked at is not passed over.
private func exists(_ path: String) -> Bool {
    do throws(Errno) {
        _ = try status(at: path)
        return true
    } catch {
        return error != .noEntry && error != .notDirectory
    }
}
