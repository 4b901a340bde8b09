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

let policySubcommands = [
    checkSubcommand, explainSubcommand, testSubcommand, lintSubcommand, diffSubcommand, simulateSubcommand,
    scoreSubcommand, formatSubcommand, schemaSubcommand, trustSubcommand,
]

/// Runs a subcommand of `cordon policy` and exits.
func policyCommand(_ arguments: [String]) -> Never {
    runSubcommand(of: "policy", policySubcommands, help: policyHelp, wrong: PolicyExit.wrong, arguments)
}

private var policyHelp: String {
    """
    cordon policy: ask what a policy says, and check policies before they are used

    usage: cordon policy COMMAND [OPTION…]

    \(subcommandList(policySubcommands))
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
    ) throws(SubcommandFailure) -> Bool {
        switch option.name {
        case "--policy": policy = try usage { () throws(UsageError) in try reader.value(of: option) }
        case "--workspace": workspace = try usage { () throws(UsageError) in try reader.value(of: option) }
        case "--cwd": directory = try usage { () throws(UsageError) in try reader.value(of: option) }
        default: return false
        }
        return true
    }

    /// The workspace and the working directory, absolute.
    func places() throws(SubcommandFailure) -> (workspace: String, directory: String) {
        let current = (try? workingDirectory()) ?? "/"
        func resolve(_ path: String) throws(SubcommandFailure) -> String {
            do throws(Errno) { return try resolvedPath(path) } catch { throw .file(path, error) }
        }
        let place = try resolve(workspace ?? current)
        if let directory { return (place, try resolve(directory)) }
        return (place, isInside(current, place) ? current : place)
    }

    /// The policies that have a say, and their engine.
    func engine(_ workspace: String) throws(SubcommandFailure) -> (tiers: PolicyTiers, engine: Engine) {
        do throws(PolicyError) {
            let tiers = try PolicyTiers(policy, workspace: workspace, environment: callerEnvironment())
            return (tiers, try tiers.engine())
        } catch {
            throw .policy(error)
        }
    }
}

/// Reads one policy. Its examples are not run: who wants that calls `runExamples`.
func policyFile(_ reference: String) throws(SubcommandFailure) -> Policy {
    do throws(PolicyError) { return try readPolicy(reference).policy } catch { throw .policy(error) }
}

/// Reads a file, or standard input where its name is a dash.
func inputBytes(_ path: String) throws(SubcommandFailure) -> [UInt8] {
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
