// The engine: request → verdict. It opens nothing and starts nothing; what it must know of the machine it is told.
public import PolicyModel
internal import PolicyShell

/// One of the files that have a say, from the machine's owner down to the one request.
public struct Tier: Sendable {
    /// Whose word it is.
    public enum Name: String, Sendable, CaseIterable {
        case system, user, project, session
    }

    /// Whose word it is.
    public var name: Name
    /// What it says, merged with what it extends.
    public var policy: Policy

    /// A tier.
    public init(_ name: Name, _ policy: Policy) {
        self.name = name
        self.policy = policy
    }
}

/// What is asked: may this be started?
public struct CommandRequest: Sendable {
    /// What would be started.
    public enum Subject: Sendable {
        /// A string for bash, of any bytes.
        case string([UInt8])
        /// A program and its arguments, without a shell.
        case argv([String])
    }

    /// What would be started.
    public var subject: Subject
    /// The workspace's absolute path.
    public var workspace: String
    /// The absolute working directory.
    public var directory: String
    /// Whether a shell there goes by another name for that directory (`PWD`), by which it would take `..`.
    public var isBehindLink = false
    /// Whether it would run in a jail made by the same policy.
    public var isJailed: Bool
    /// Whether it must run exactly as it stands, without a rewrite.
    public var asIs: Bool
    /// What it would be given beside its words.
    public var input: CommandInput

    /// A request.
    public init(
        _ subject: Subject, workspace: String, directory: String? = nil, isJailed: Bool = false, asIs: Bool = false,
        input: CommandInput = .none
    ) {
        self.subject = subject
        self.workspace = workspace
        self.directory = directory ?? workspace
        self.isJailed = isJailed
        self.asIs = asIs
        self.input = input
    }
}

/// Judges requests by the tiers of a policy. Making one compiles the rules; judging keeps nothing.
public struct Engine: Sendable {
    /// Gives the absolute path without links that a path leads to, what does not exist yet included; nil where that is not
    /// known.
    public typealias Resolver = @Sendable (String) -> String?

    /// Gives the paths below a directory whose names match a shell's patterns, as they are now; nil where they are too many.
    public typealias Expander = @Sendable (_ directory: String, _ patterns: [String]) -> [String]?

    let tiers: [CompiledTier]
    let table: ProgramTable
    let resolve: Resolver?
    let expand: Expander?

    /// Compiles tiers.
    ///
    /// - Parameters:
    ///   - resolve: looks through symbolic links. Without it, paths are judged by their names alone.
    ///   - expand: finds the files that a pattern stands for. Without it, a pattern is judged by what it could stand for.
    /// - Throws: ``PolicyError`` for expressions that cannot be compiled.
    public init(
        _ tiers: [Tier], resolve: Resolver? = nil, expand: Expander? = nil
    ) throws(PolicyError) {
        var compiled: [CompiledTier] = []
        for tier in tiers { compiled.append(try CompiledTier(tier)) }
        self.tiers = compiled
        table = ProgramTable.shared
        self.resolve = resolve
        self.expand = expand
    }

    /// The verdict on a request.
    public func judge(_ request: CommandRequest) -> Verdict {
        var judge = Judge(engine: self, request: request)
        switch request.subject {
        case .string(let bytes): return judge.verdict(string: bytes)
        case .argv(let words): return judge.verdict(argv: words)
        }
    }
}

/// A tier, ready to be asked.
struct CompiledTier: Sendable {
    let name: Tier.Name
    let policy: Policy
    /// The rules about each program.
    let rules: [String: [CompiledRule]]
    let files: CompiledFileRules
    /// Whether the policy's own PATH names a directory that commands may write: then no bare name is what it seems.
    let writableSearchPath: String?

    init(_ tier: Tier) throws(PolicyError) {
        name = tier.name
        policy = tier.policy
        var rules: [String: [CompiledRule]] = [:]
        var diagnostics: [Diagnostic] = []
        for rule in tier.policy.commands {
            do throws(InvalidValue) {
                rules[rule.argv.program, default: []].append(try CompiledRule(rule))
            } catch {
                diagnostics.append(
                    Diagnostic(
                        location: rule.argv.location ?? rule.location, message: error.message, remedy: error.remedy))
            }
        }
        guard diagnostics.isEmpty else { throw PolicyError(diagnostics: diagnostics) }
        self.rules = rules
        files = CompiledFileRules(tier.policy)
        writableSearchPath = tier.policy.environment.set["PATH"].flatMap { path in
            path.split(separator: ":", omittingEmptySubsequences: false).map(String.init).first { directory in
                directory.utf8.first != UInt8(ascii: "/")
                    || tier.policy.fileSystem.write.contains { pattern in
                        pattern.value.anchor == .root
                            && pattern.value.covers(relativePath: PathPattern.components(of: directory))
                    }
            }
        }
    }

    /// Whether it says anything about commands.
    var speaksOfCommands: Bool {
        let defaults = policy.defaults
        return !policy.commands.isEmpty || defaults.command != nil || defaults.opaque != nil || defaults.jailed != nil
    }

    /// A rule to allow a command to which nothing but `interactive` is missing.
    func closedRule(_ command: JudgedCommand) -> CommandRule? {
        guard command.openReason != nil else { return nil }
        return rules[command.name]?.first { $0.wouldAllowInteractively(command) }?.rule
    }

    /// Whether nothing can be run by it.
    var isVerdictOnly: Bool { policy.fileSystem.read.isEmpty && policy.fileSystem.write.isEmpty }

    /// What it says where no rule matches.
    func fallback(isOpaque: Bool, isJailed: Bool) -> (decision: Located<Decision>, key: String)? {
        let defaults = policy.defaults
        if isJailed, let jailed = defaults.jailed { return (jailed, "defaults.jailed") }
        if isOpaque, let opaque = defaults.opaque { return (opaque, "defaults.opaque") }
        return defaults.command.map { ($0, "defaults.command") }
    }
}
