// What is likely to be a mistake in a policy that says what it says.
public import PolicyModel

/// One thing that lint found.
public struct LintFinding: Sendable, Hashable {
    /// How much it matters.
    public enum Level: String, Sendable {
        case warning, note
    }

    /// What kind of mistake, for ignoring and for baselines.
    public var code: LintCode
    /// Where.
    public var location: SourceLocation?
    /// What is wrong.
    public var message: String
    /// What to write instead.
    public var remedy: String

    /// A finding from its parts.
    public init(code: LintCode, location: SourceLocation?, message: String, remedy: String) {
        self.code = code
        self.location = location
        self.message = message
        self.remedy = remedy
    }

    /// How much it matters.
    public var level: Level { code == .denialWithoutKernel ? .note : .warning }
}

/// The kinds of mistakes, with what each is about.
public enum LintCode: String, CaseIterable, Sendable {
    case neverMatches = "never-matches"
    case broadPrefix = "broad-prefix"
    case unvettedExecutor = "unvetted-executor"
    case denialWithoutKernel = "denial-without-kernel"
    case readableSecret = "readable-secret"
    case writableHook = "writable-hook"
    case looseDefault = "loose-default"
    case openNetwork = "open-network"
    case writableSearchPath = "writable-path"
    case idleInteractive = "idle-interactive"
    case missingReason = "ignore-without-reason"

    /// In one line.
    public var says: String {
        switch self {
        case .neverMatches: "a rule, or a part of one, that no command can match"
        case .broadPrefix: "an allowed program with subcommands, and none of them named"
        case .unvettedExecutor: "a program that executes what it is given, allowed without naming its options"
        case .denialWithoutKernel: "a denied command that an allowed one may still start"
        case .readableSecret: "a file that usually holds secrets, and that can be read"
        case .writableHook: "a file that is executed or believed later, and that can be written"
        case .looseDefault: "a default that allows what nobody has looked at"
        case .openNetwork: "the host's network, without a limit"
        case .writableSearchPath: "a directory of PATH that commands may write"
        case .idleInteractive: "`interactive` where it changes nothing"
        case .missingReason: "an ignored finding without a reason"
        }
    }
}

extension Policy {
    /// What is likely to be a mistake, in the order of the text.
    ///
    /// - Throws: ``PolicyError`` for rules that cannot be compiled.
    public func lint() throws(PolicyError) -> [LintFinding] {
        let tier = try CompiledTier(Tier(.session, self))
        var findings: [LintFinding] = []
        for rule in commands { findings += lint(rule) }
        findings += lintFiles()
        for (answer, key) in [
            (defaults.command, "command"), (defaults.opaque, "opaque"), (defaults.headlessAsk, "headless_ask"),
        ] {
            guard let answer, answer.value == .allow else { continue }
            findings.append(
                LintFinding(
                    code: .looseDefault, location: answer.location,
                    message: "`defaults.\(key)` allows what no rule is about",
                    remedy: key == "headless_ask"
                        ? "write \"deny\""
                        : "write \"ask\" or \"deny\", and `jailed = \"allow\"` for what runs in a jail"))
        }
        if network.value == .host {
            findings.append(
                LintFinding(
                    code: .openNetwork, location: network.location, message: "the jail shares the host's network",
                    remedy: "write `mode = \"deny\"`"))
        }
        if let directory = tier.writableSearchPath {
            findings.append(
                LintFinding(
                    code: .writableSearchPath, location: environment.setLocations["PATH"],
                    message: "PATH holds \(quoted(directory)), so no bare name is what it seems and no rule allows one",
                    remedy: "leave writable and relative directories out of PATH"))
        }
        // What a preset says is the preset's business, unless it is the preset that is asked about.
        findings.removeAll { finding in
            guard let file = finding.location?.file else { return false }
            return file.hasPrefix("preset:") && !sameBytes(file, name)
        }
        return findings.enumerated().sorted { first, second in
            let a = first.element.location, b = second.element.location
            return (a?.file ?? "", a?.line ?? 0, first.offset) < (b?.file ?? "", b?.line ?? 0, second.offset)
        }.map(\.element)
    }

    private func lint(_ rule: CommandRule) -> [LintFinding] {
        var findings: [LintFinding] = []
        func add(_ code: LintCode, _ message: String, _ remedy: String, at location: SourceLocation? = nil) {
            findings.append(
                LintFinding(code: code, location: location ?? rule.location, message: message, remedy: remedy))
        }
        let table = ProgramTable.shared
        let id = quoted(rule.id)
        let words = rule.argv.elements.compactMap { element -> String? in
            if case .word(let word) = element, word.utf8.first != UInt8(ascii: "-") { return word }
            return nil
        }
        var path = [rule.argv.program]
        var spec = table.spec(path)
        var effects = spec?.effects ?? []
        for word in words.dropFirst() {
            guard spec?.hasSubcommands ?? false else { break }
            guard let inner = table.spec(path + [word]) else {
                add(
                    .neverMatches,
                    "the rule \(id) names \(quoted(word)), which is no known subcommand of `\(path.joined(separator: " "))`",
                    "check the spelling")
                break
            }
            path.append(word)
            spec = inner
            effects.formUnion(inner.effects)
        }
        if let other = commands.first(where: { $0.decision == .deny && $0.id != rule.id && $0.shadows(rule) }),
            rule.decision != .deny
        {
            add(
                .neverMatches, "the rule \(id) never decides: \(quoted(other.id)) denies all that it is about",
                "remove one of them")
        }
        if rule.except.contains(where: { $0.elements == rule.argv.elements }) {
            add(.neverMatches, "an exception of \(id) is all that the rule is about", "make the exception narrower")
        }
        if let flags = rule.flags, let spec {
            for flag in flags
            where !spec.options.keys.contains(where: { flag.glob.matches($0) }) && !flag.isWithValue(spec) {
                add(
                    .neverMatches,
                    "`\(printable(flag.glob.text))` is no option that the table of programs knows for `\(path.joined(separator: " "))`",
                    "check the spelling", at: flag.location)
            }
        }
        let takesRest = rule.argv.elements.contains(.operands)
        if rule.decision == .allow, takesRest, spec?.hasSubcommands ?? false,
            table.hasEffects(below: path)
        {
            add(
                .broadPrefix, "the rule \(id) allows every subcommand of `\(path.joined(separator: " "))`",
                "write a rule for each subcommand that is needed")
        }
        if rule.decision == .allow, takesRest, rule.flags?.contains(where: \.isEverything) ?? true,
            !effects.isDisjoint(with: [.executes, .interprets, .privileged])
        {
            add(
                .unvettedExecutor,
                "`\(path.joined(separator: " "))` executes what it is given, and \(id) names no options",
                "name the options in `flags.allow` and the operands by their class")
        }
        if rule.isInteractive, rule.decision != .allow {
            add(
                .idleInteractive,
                "`interactive` says what is allowed more, and \(id) \(rule.decision == .deny ? "denies" : "asks") in any case",
                "leave it out, or write the rule that allows it")
        }
        if rule.decision == .deny, fileSystem.exec == nil {
            add(
                .denialWithoutKernel,
                "\(id) binds requests alone: what is allowed may start `\(printable(rule.argv.program))` itself",
                "name what may be executed in `fs.exec`, or rely on `fs` and `network`")
        }
        return findings
    }

    /// Places that usually hold secrets, and that are executed or believed later; below the workspace.
    private static let secrets = [
        ".env", ".ssh/id_rsa", ".ssh/id_ed25519", ".aws/credentials", ".netrc", ".git-credentials", ".npmrc", ".pypirc",
        ".docker/config.json", ".kube/config", "server.key",
    ]
    private static let hooks = [
        ".git/hooks/pre-commit", ".git/config", ".cordon.toml", ".envrc", ".vscode/tasks.json",
        ".github/workflows/ci.yml",
        ".bashrc",
    ]

    /// Usual places of secrets, below the workspace, that can be read.
    func readableSecrets() -> [String] { granted(Self.secrets, .read) }

    /// What is executed or believed later, below the workspace, and can be written.
    func writableHooks() -> [String] { granted(Self.hooks, .write) }

    private func granted(_ paths: [String], _ access: Access) -> [String] {
        let files = CompiledFileRules(self), workspace = ["workspace"]
        return paths.filter { path in
            let names = workspace + PathPattern.components(of: path).map(String.init)
            let place = CompiledFileRules.Place(names, workspace: workspace, home: Judge.jailHome)
            let grant = files.grant(place, access)
            return grant.decision == .allow && grant.pattern != nil && files.denial(place, access) == nil
        }
    }

    private func lintFiles() -> [LintFinding] {
        let place = (fileSystem.read + fileSystem.write).first?.location
        var findings: [LintFinding] = []
        let readable = readableSecrets()
        if !readable.isEmpty {
            findings.append(
                LintFinding(
                    code: .readableSecret, location: place, message: "can be read: " + readable.joined(separator: ", "),
                    remedy: "add them to `fs.deny`"))
        }
        let writable = writableHooks()
        if !writable.isEmpty {
            findings.append(
                LintFinding(
                    code: .writableHook, location: fileSystem.write.first?.location ?? place,
                    message: "can be written: " + writable.joined(separator: ", "),
                    remedy: "add them to `fs.protect`, or ignore the finding with a reason"))
        }
        return findings
    }
}

extension CommandRule {
    /// Whether this rule is about every command that another is about: its words are the beginning of the other's.
    fileprivate func shadows(_ other: CommandRule) -> Bool {
        guard except.isEmpty else { return false }
        let mine = argv.elements.filter { $0 != .operands }
        return other.argv.elements.starts(with: mine)
    }
}

extension FlagPattern {
    /// Whether it is an option together with a value, or a cluster of known letters.
    fileprivate func isWithValue(_ spec: ProgramSpec) -> Bool {
        let text = glob.text
        let name = String(text.prefix { $0 != "=" && $0 != "*" })
        if spec.options[name] != nil || spec.longNames.contains(where: { $0.hasPrefix(name) }) { return true }
        guard text.hasPrefix("-"), !text.hasPrefix("--") else { return false }
        return text.dropFirst().prefix { $0 != "*" }.allSatisfy { spec.options["-\($0)"] != nil }
    }
}
