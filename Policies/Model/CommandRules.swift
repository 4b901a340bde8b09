// The part of a policy that judges requests: which commands may be started.

/// What is to be done about a request. Ordered from the loosest to the strictest.
public enum Decision: String, CaseIterable, Sendable, Hashable, Comparable {
    /// It may be done.
    case allow
    /// A person decides.
    case ask
    /// It may not be done.
    case deny

    private var strictness: Int {
        switch self {
        case .allow: 0
        case .ask: 1
        case .deny: 2
        }
    }

    /// Whether the first is looser.
    public static func < (first: Decision, second: Decision) -> Bool { first.strictness < second.strictness }
}

/// What a command is given beside its words: whoever writes it can have an interpreter do anything.
public enum CommandInput: String, CaseIterable, Sendable, Hashable {
    /// Nothing but what the words themselves redirect.
    case none
    /// Bytes that nobody has judged.
    case given
    /// A terminal, with somebody at it.
    case terminal
}

/// `[defaults]`: what is said where no rule matches. Nil where the policy does not say.
public struct CommandDefaults: Sendable, Equatable {
    /// A command that no rule matches.
    public var command: Located<Decision>?
    /// A string that cannot be analysed.
    public var opaque: Located<Decision>?
    /// Either of them, where it is to run in a jail.
    public var jailed: Located<Decision>?
    /// What becomes of `ask` where there is nobody to ask: deny (the default) or allow.
    public var headlessAsk: Located<Decision>?

    /// Defaults that say nothing.
    public init() {}
}

/// One element of an `argv` pattern.
public enum ArgumentPattern: Sendable, Hashable {
    /// This word. One that starts with a dash is an option, which may stand anywhere and be spelt in any way.
    case word(String)
    /// `...`: any number of operands of any kind, never options.
    case operands
    /// `<class>` or, for any number of them, `<class>...`.
    case operand(OperandClass, isRepeated: Bool)
}

/// What an operand has to be.
public enum OperandClass: Sendable, Hashable {
    /// Anything, also what is computed when the command runs, where `--` stands in front.
    case any
    /// A path that `[fs]` allows.
    case path
    /// A path in the workspace.
    case workspace
    /// A name that matches a pattern.
    case glob(Glob)
    /// A URL with http or https.
    case url
    /// A whole number, with a sign or without.
    case number
    /// The whole of it matches a regular expression of RE2.
    case expression(String)
    /// A script of sed that neither executes, writes nor reads anything.
    case sedScript
}

/// A list of words that a command must have.
public struct ArgvPattern: Sendable, Hashable {
    /// The name of the program, then its words.
    public var elements: [ArgumentPattern]
    /// As it was written.
    public var words: [String]
    /// Where it was written.
    public var location: SourceLocation?

    /// As it was written, words between spaces.
    public var text: String { words.joined(separator: " ") }

    /// The program's name.
    public var program: String {
        if case .word(let name) = elements.first { return name }
        return ""
    }
}

/// An option that a rule lets pass: its name or its whole word, with `*` and the like.
public struct FlagPattern: Sendable, Hashable {
    /// The pattern.
    public var glob: Glob
    /// Where it was written.
    public var location: SourceLocation?

    /// Whether it names no option at all: `*`, `-*`, `--*`.
    package var isEverything: Bool { glob.text.utf8.allSatisfy { "-*".utf8.contains($0) } }
}

/// How an allowed command is changed before it runs.
public struct CommandRewrite: Sendable, Hashable {
    /// git's configuration, given as `-c NAME=VALUE` in front of the subcommand.
    public var config: [String] = []
    /// Options in front of the subcommand.
    public var options: [String] = []
    /// Options behind the subcommand.
    public var flags: [String] = []
    /// Globs of variables to take out of the environment.
    public var environmentUnset: [Glob] = []
    /// `NAME=VALUE` each: variables to put into it.
    public var environmentSet: [String] = []

    /// A change that changes nothing.
    public init() {}

    /// This change and another one behind it, each thing once.
    package func adding(_ other: CommandRewrite) -> CommandRewrite {
        var sum = self
        sum.config += other.config.filter { !config.contains($0) }
        sum.options += other.options.filter { !options.contains($0) }
        sum.flags += other.flags.filter { !flags.contains($0) }
        sum.environmentUnset += other.environmentUnset.filter { !environmentUnset.contains($0) }
        // Of two values of one variable the first counts: the machine's owner speaks before the request.
        func name(_ text: String) -> [UInt8] { Array(text.utf8.prefix { $0 != UInt8(ascii: "=") }) }
        let known = Set(environmentSet.map(name))
        sum.environmentSet += other.environmentSet.filter { !known.contains(name($0)) }
        return sum
    }

    /// Whether nothing is changed.
    public var isEmpty: Bool {
        config.isEmpty && options.isEmpty && flags.isEmpty && environmentUnset.isEmpty && environmentSet.isEmpty
    }
}

/// `[[command]]`.
public struct CommandRule: Sendable, Equatable {
    /// Its name; its words where it has none.
    public var id: String
    /// Where it starts.
    public var location: SourceLocation
    /// What it is about.
    public var argv: ArgvPattern
    /// The options that it lets pass; nil for those that the table of programs calls harmless.
    public var flags: [FlagPattern]?
    /// What it says.
    public var decision: Decision
    /// How an allowed command is changed.
    public var rewrite = CommandRewrite()
    /// For people.
    public var reason: String?
    /// Commands that it is not about.
    public var except: [ArgvPattern] = []
    /// The rule of an extended file that it stands for.
    public var replaces: Located<String>?
    /// Whether nothing that extends this file can replace it.
    public var isLocked = false
    /// Whether the program may be given a terminal or input by hand.
    public var isInteractive = false
    /// Commands that must match, checked when the policy is read.
    public var match: [Located<String>] = []
    /// Commands that must not.
    public var notMatch: [Located<String>] = []
}

/// `[approval]`: how an `ask` can be answered.
public struct ApprovalRules: Sendable, Equatable {
    /// For what an answer holds.
    public enum Scope: String, CaseIterable, Sendable, Hashable {
        /// This request.
        case once
        /// All requests of exactly this argv, until the session ends. Never a prefix.
        case session
    }

    /// Who may answer; never the party that asked.
    public enum Approver: String, CaseIterable, Sendable, Hashable {
        /// The person at the terminal.
        case terminal
        /// `cordon approve`.
        case cli
    }

    /// The scopes that an answer may have; at first there is `once` alone.
    public var scopes: Located<[Scope]>?
    /// How long a request waits, and an answer holds.
    public var expiry: Located<Milliseconds>?
    /// Who may answer.
    public var approvers: Located<[Approver]>?

    /// Rules that say nothing.
    public init() {}
}

/// `[[test]]`: a command and the verdict that it must get.
public struct PolicyTest: Sendable, Equatable {
    /// The command.
    public var run: Located<String>
    /// Its working directory, below the workspace.
    public var directory: String?
    /// Whether it is to run in a jail.
    public var isJailed = false
    /// What it is given beside its words.
    public var input = CommandInput.none
    /// The verdict.
    public var decision: Decision?
    /// The rule that must be among the evidence.
    public var rule: String?
}

/// `[[network.grant]]` or an element of `network.allow`.
public struct NetworkGrant: Sendable, Hashable, CustomStringConvertible {
    /// A name, `*.` and a name, or an address.
    public var host: String
    /// Its ports.
    public var ports: [UInt16]

    /// `host:port,port`, safe to print.
    public var description: String { printable(host) + ":" + ports.map { "\($0)" }.joined(separator: ",") }
}
