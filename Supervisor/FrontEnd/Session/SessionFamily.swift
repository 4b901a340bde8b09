// `cordon session`: jails that stay, kept by a supervisor that outlives the call.
internal import Client
internal import Linux
internal import PolicyModel
internal import SupervisorCore
internal import Wire

let sessionSubcommands = [
    newSubcommand, execSubcommand, attachSubcommand, listSubcommand, inspectSubcommand, psSubcommand, logsSubcommand,
    waitSubcommand, killSubcommand, reopenSubcommand, removeSubcommand,
]

/// Runs a subcommand of `cordon session` and exits.
func sessionCommand(_ arguments: [String]) -> Never {
    runSubcommand(of: "session", sessionSubcommands, help: sessionHelp, wrong: ExitCode.cordonFailed, arguments)
}

private var sessionHelp: String {
    return """
        cordon session: jails that stay, in which commands run one after the other and together

        usage: cordon session COMMAND [OPTION…]

        \(subcommandList(sessionSubcommands))
        examples:
          cordon session new --name work                 in the current directory, by preset:agent
          cordon session exec work -- make test
          cordon session exec -d work -- make docs       without waiting: its number is printed
          cordon session ps work                         what runs in it; logs, wait and kill take the numbers
          cordon session attach work                     a shell in it, on this terminal
          cordon session ls
          cordon session rm work
          CORDON_SOCKET=/run/cordon/cordon.sock cordon session ls     those of the system's service

        see cordon session COMMAND --help

        """
}

/// Connects to the supervisor that keeps this user's sessions, which is started where there is none. Where `CORDON_SOCKET` names
/// the system's service it is that one's, and no other.
func connectToSessions() throws(SubcommandFailure) -> Client {
    let environment = callerEnvironment()
    if let service = environment.first(where: { $0.name == "CORDON_SOCKET" })?.value, !service.isEmpty {
        return try connectToService(service)
    }
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
            if let note = endpoints.note { put("cordon: \(printable(note))\n", to: 2) }
            throw LaunchFailure(
                step: "supervisor", object: endpoints.shared, errno: error,
                remedy: error == .nameTooLong
                    ? "the path of a socket has at most 107 bytes: set XDG_RUNTIME_DIR to a shorter one"
                    : "its directory must be yours alone, and \(program) must be there")
        }
    } catch {
        throw .other(error)
    }
    if let note = endpoints.note { put("cordon: \(printable(note))\n", to: 2) }
    client.whenSilent = saySilence
    client.whenTold = sayQuestion
    try asking { () throws(ClientError) in try client.hello(as: "cordon session") }
    return client
}

private func connectToService(_ path: String) throws(SubcommandFailure) -> Client {
    Signal.ignore(Signal.pipe)
    let client: Client
    do throws(Errno) { client = try Client(path: path) } catch {
        throw .other(
            LaunchFailure(
                step: "service", object: path, errno: error,
                remedy:
                    "CORDON_SOCKET names the system's service: start it (systemctl start cordon.socket), or unset it "
                    + "for a supervisor of your own"))
    }
    client.whenSilent = saySilence
    client.whenTold = sayQuestion
    try asking { () throws(ClientError) in try client.hello(as: "cordon session") }
    return client
}

/// Says that a command waits for somebody's answer, where that is what the supervisor tells.
@Sendable func sayQuestion(_ method: String, _ params: JsonObject) {
    guard method == "approval.pending", let id = params["approval"]?.members?["id"]?.text.map(printable) else { return }
    put("cordon: this waits for an answer: cordon approve \(id), or cordon deny \(id)\n", to: 2)
}

/// Says that a supervisor is there and does not answer: it is stopped, or the machine is too busy.
@Sendable func saySilence(_ path: String) {
    put("cordon: the supervisor at \(printable(path)) does not answer: still waiting; Ctrl-C ends\n", to: 2)
}
