// `cordon policy`: asks, explains and checks policies. It starts nothing, and needs no privilege.
internal import Caller
internal import Linux
internal import PolicyDecision
internal import PolicyModel

/// Exit codes of `cordon policy`, as the command-line contract says.
enum PolicyExit {
    static let allow: Int32 = 0
    /// A check that found something: a failed test, a lint finding, a score above the threshold.
    static let failed: Int32 = 1
    /// The policy or the call is wrong.
    static let wrong: Int32 = 2
    static let ask: Int32 = 10
    static let deny: Int32 = 11

    static func of(_ decision: Decision) -> Int32 {
        switch decision {
        case .allow: allow
        case .ask: ask
        case .deny: deny
        }
    }
}

/// A subcommand of `cordon policy`, or of another command that has some.
struct PolicySubcommand: Sendable {
    var name: String
    var says: String
    var options: [CommandOption]
    var operand = OptionValue.none
    var help: String
    var run: @Sendable ([String]) throws(PolicyFailure) -> Never
}

/// Why a subcommand answers nothing.
enum PolicyFailure: Error {
    case usage(UsageError)
    case policy(PolicyError)
    /// A file that cannot be read or written.
    case file(String, Errno)

    var text: String {
        switch self {
        case .usage(let error): error.description
        case .policy(let error): error.diagnostics.map(\.description).joined(separator: "\ncordon: ")
        case .file(let path, let error): "\(path): \(error.message)"
        }
    }
}

let policySubcommands = [
    checkSubcommand, explainSubcommand, testSubcommand, lintSubcommand, diffSubcommand, simulateSubcommand,
    scoreSubcommand, formatSubcommand, schemaSubcommand, trustSubcommand,
]

extension PolicySubcommand {
    /// The names that its options have.
    var known: [String] { options.map(\.name) }
}

/// Runs a subcommand of `cordon policy` and exits.
func policyCommand(_ arguments: [String]) -> Never {
    runSubcommand(of: "policy", policySubcommands, help: policyHelp, arguments)
}

/// Runs one of a command's subcommands and exits.
func runSubcommand(
    of command: String, _ subcommands: [PolicySubcommand], help: String, _ arguments: [String]
) -> Never {
    guard let name = arguments.first, name != "--help", name != "-h", name != "help" else {
        let isAsked = !arguments.isEmpty
        if let wanted = arguments.dropFirst().first, let found = subcommands.first(where: { $0.name == wanted }) {
            leave(printing: found.help, code: 0)
        }
        leave(printing: help, code: isAsked ? 0 : PolicyExit.wrong, to: isAsked ? 1 : 2)
    }
    guard let subcommand = subcommands.first(where: { $0.name == name }) else {
        let guess = nearest(to: name, in: subcommands.map(\.name)).map { "did you mean \"\($0)\"?" }
        wrong(
            .usage(
                UsageError("unknown command \"\(command) \(name)\"", remedy: guess ?? "see cordon \(command) --help")))
    }
    let rest = Array(arguments.dropFirst())
    if rest.prefix(while: { $0 != "--" }).contains(where: { $0 == "--help" || $0 == "-h" }) {
        leave(printing: subcommand.help, code: 0)
    }
    do throws(PolicyFailure) { try subcommand.run(rest) } catch { wrong(error) }
}

private func wrong(_ failure: PolicyFailure) -> Never {
    leave(printing: "cordon: \(failure.text)\n", code: PolicyExit.wrong, to: 2)
}

/// Names and what they say, one a line.
func list(_ subcommands: [PolicySubcommand]) -> String {
    let width = subcommands.map(\.name.count).max() ?? 0
    return subcommands.map { "  \(padded($0.name, width))  \($0.says)\n" }.joined()
}

private var policyHelp: String {
    """
    cordon policy: ask what a policy says, and check policies before they are used

    usage: cordon policy COMMAND [OPTION…]

    \(list(policySubcommands))
    examples:
      cordon policy check -- 'git status && ls'            exit 0 allow, 10 ask, 11 deny, 2 wrong
      cordon policy explain --policy preset:readonly -- 'find . -exec rm {} +'
      cordon policy test my-policy.toml                    its examples and tests
      cordon policy lint --sarif my-policy.toml            for a CI job

    see cordon policy COMMAND --help

    """
}

/// The options that say by which policy, and where, something is judged.
struct PolicyContext {
    static let options = [
        CommandOption(name: "--policy", value: .policy, says: "a policy file, or preset:NAME"),
        CommandOption(name: "--workspace", value: .directory, says: "the workspace"),
        CommandOption(name: "--cwd", value: .directory, says: "the working directory"),
    ]

    var policy: String?
    private var workspace: String?
    private var directory: String?

    /// Takes one of the options; false where it is another.
    mutating func take(
        _ option: (name: String, attached: String?), from reader: inout OptionReader
    ) throws(PolicyFailure) -> Bool {
        switch option.name {
        case "--policy": policy = try usage { () throws(UsageError) in try reader.value(of: option) }
        case "--workspace": workspace = try usage { () throws(UsageError) in try reader.value(of: option) }
        case "--cwd": directory = try usage { () throws(UsageError) in try reader.value(of: option) }
        default: return false
        }
        return true
    }

    /// The workspace and the working directory, absolute.
    func places() throws(PolicyFailure) -> (workspace: String, directory: String) {
        let current = (try? workingDirectory()) ?? "/"
        func resolve(_ path: String) throws(PolicyFailure) -> String {
            do throws(Errno) { return try resolvedPath(path) } catch { throw .file(path, error) }
        }
        let place = try resolve(workspace ?? current)
        if let directory { return (place, try resolve(directory)) }
        return (place, isInside(current, place) ? current : place)
    }

    /// The policies that have a say, and their engine.
    func engine(_ workspace: String) throws(PolicyFailure) -> (tiers: PolicyTiers, engine: Engine) {
        do throws(PolicyError) {
            let tiers = try PolicyTiers(policy, workspace: workspace, environment: callerEnvironment())
            return (tiers, try tiers.engine())
        } catch {
            throw .policy(error)
        }
    }
}

/// A usage error as a failure.
func usage<Result>(_ body: () throws(UsageError) -> Result) throws(PolicyFailure) -> Result {
    do throws(UsageError) { return try body() } catch { throw .usage(error) }
}

/// Reads one policy. Its examples are not run: who wants that calls `runExamples`.
func policyFile(_ reference: String) throws(PolicyFailure) -> Policy {
    do throws(PolicyError) { return try readPolicy(reference).policy } catch { throw .policy(error) }
}

/// Reads a file, or standard input where its name is a dash.
func inputBytes(_ path: String) throws(PolicyFailure) -> [UInt8] {
    do throws(Errno) {
        return try readFile(path == "-" ? "/dev/stdin" : path, limit: 1 << 30)
    } catch {
        throw .file(path, error)
    }
}

/// Text in a column.
func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.unicodeScalars.count))
}

/// Colours, on a terminal alone and where the user has not said otherwise (no-color.org).
struct Paint {
    private let isOn: Bool

    init() { isOn = isTerminal(1) && !callerEnvironment().contains { $0.name == "NO_COLOR" && !$0.value.isEmpty } }

    func decision(_ decision: Decision, _ text: String? = nil) -> String {
        switch decision {
        case .allow: paint("32", text ?? decision.rawValue)
        case .ask: paint("33", text ?? decision.rawValue)
        case .deny: paint("31", text ?? decision.rawValue)
        }
    }

    func faint(_ text: String) -> String { paint("2", text) }

    private func paint(_ code: String, _ text: String) -> String { isOn ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }
}
