// `cordon session`: jails that stay, kept by a supervisor that outlives the call.
internal import Client
internal import Linux
internal import PolicyModel
internal import SupervisorCore
internal import Wire

/// A subcommand of `cordon session`.
struct SessionSubcommand: Sendable {
    var name: String
    var says: String
    var options: [CommandOption]
    /// What its operands are called in completions.
    var operand: SessionOperand
    var help: String
    var run: @Sendable ([String]) throws(SessionFailure) -> Never

    /// The names that its options have.
    var known: [String] { options.flatMap { [$0.name] + ($0.short.map { [$0] } ?? []) } }
}

/// What stands behind a subcommand's options.
enum SessionOperand {
    case none, session, sessionAndCommand
}

/// Why a subcommand did not do what it should.
enum SessionFailure: Error {
    case usage(UsageError)
    case client(ClientError)
    case other(LaunchFailure)

    var text: String {
        switch self {
        case .usage(let error): error.description
        case .client(.answered(let error)): error.message
        case .client(let error): error.message
        case .other(let failure): failure.description
        }
    }
}

let sessionSubcommands = [
    newSubcommand, execSubcommand, attachSubcommand, listSubcommand, inspectSubcommand, removeSubcommand,
]

/// Runs a subcommand and exits.
func sessionCommand(_ arguments: [String]) -> Never {
    guard let name = arguments.first, name != "--help", name != "-h", name != "help" else {
        let isAsked = !arguments.isEmpty
        if let wanted = arguments.dropFirst().first, let found = sessionSubcommands.first(where: { $0.name == wanted })
        {
            leave(printing: found.help, code: 0)
        }
        leave(printing: sessionHelp, code: isAsked ? 0 : ExitCode.cordonFailed, to: isAsked ? 1 : 2)
    }
    guard let subcommand = sessionSubcommands.first(where: { $0.name == name }) else {
        let guess = nearest(to: name, in: sessionSubcommands.map(\.name)).map { "did you mean \"\($0)\"?" }
        fail(.usage(UsageError("unknown command \"session \(name)\"", remedy: guess ?? "see cordon session --help")))
    }
    let rest = Array(arguments.dropFirst())
    if rest.prefix(while: { $0 != "--" }).contains(where: { $0 == "--help" || $0 == "-h" }) {
        leave(printing: subcommand.help, code: 0)
    }
    do throws(SessionFailure) { try subcommand.run(rest) } catch { fail(error) }
}

func fail(_ failure: SessionFailure) -> Never {
    leave(printing: "cordon: \(failure.text)\n", code: ExitCode.cordonFailed, to: 2)
}

private var sessionHelp: String {
    let width = sessionSubcommands.map(\.name.count).max() ?? 0
    let list = sessionSubcommands.map { "  \(padded($0.name, width))  \($0.says)\n" }.joined()
    return """
        cordon session: jails that stay, in which commands run one after the other and together

        usage: cordon session COMMAND [OPTION…]

        \(list)
        examples:
          cordon session new --name work                 in the current directory, by preset:agent
          cordon session exec work -- make test
          cordon session attach work                     a shell in it, on this terminal
          cordon session ls
          cordon session rm work

        see cordon session COMMAND --help

        """
}

/// Connects to the supervisor that keeps this user's sessions, which is started where there is none.
func connectToSessions() throws(SessionFailure) -> Client {
    let environment = callerEnvironment()
    guard let endpoints = Endpoints(environment) else {
        throw .usage(UsageError("there is no place for sessions", remedy: "set HOME or XDG_RUNTIME_DIR"))
    }
    Signal.ignore(Signal.pipe)
    let client: Client
    do throws(LaunchFailure) {
        let program = try Supervisor.ownDirectory() + "/cordon-supervisor"
        do throws(Errno) {
            client = try endpoints.connectOrStart(program: program, environment: environment)
        } catch {
            throw LaunchFailure(
                step: "supervisor", object: endpoints.shared, errno: error,
                remedy: error == .nameTooLong
                    ? "the path of a socket has at most 107 bytes: set XDG_RUNTIME_DIR to a shorter one"
                    : "its directory must be yours alone, and \(program) must be there")
        }
    } catch {
        throw .other(error)
    }
    try asking { () throws(ClientError) in try client.hello(as: "cordon session") }
    return client
}

/// A request's failure as the subcommand's.
@discardableResult
func asking<Result>(_ body: () throws(ClientError) -> Result) throws(SessionFailure) -> Result {
    do throws(ClientError) { return try body() } catch { throw .client(error) }
}

/// A usage error as the subcommand's failure.
func reading<Result>(_ body: () throws(UsageError) -> Result) throws(SessionFailure) -> Result {
    do throws(UsageError) { return try body() } catch { throw .usage(error) }
}
