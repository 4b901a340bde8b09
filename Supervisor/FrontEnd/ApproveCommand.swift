// `cordon approve` and `cordon deny`: a person's answer to what a policy asks.
internal import Client
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import Wire

private let help = """
    cordon approve, cordon deny: answer what a policy asks

    usage: cordon approve [--session] ID
           cordon deny ID
           cordon approve --list [--json]

      --session   not only this once, but for exactly this command until its session ends, where the policies allow it
      --list      the questions that wait
      --json      print them as JSON

    Whoever asked cannot answer: run it in a terminal of your own. The policies must name "cli" under approval.approvers.
    Exit codes: 0 answered, 125 not.

    examples:
      cordon approve --list
      cordon approve 3f2a9c01d4e5
      cordon deny 3f2a9c01d4e5

    """

let approveOptions = [
    CommandOption(name: "--session", says: "for as long as its session lasts"),
    CommandOption(name: "--list", says: "the questions that wait"), .json, .help,
]

/// Answers and exits.
func approveCommand(_ arguments: [String], approves: Bool) -> Never {
    if arguments.contains(where: { $0 == "--help" || $0 == "-h" }) { leave(printing: help, code: 0) }
    do throws(SubcommandFailure) { try answer(arguments, approves: approves) } catch {
        leave(printing: "cordon: \(error.text)\n", code: ExitCode.cordonFailed, to: 2)
    }
}

private func answer(_ arguments: [String], approves: Bool) throws(SubcommandFailure) -> Never {
    var reader = OptionReader(arguments, help: "cordon approve --help")
    var scope = "once", isList = false, json = false
    let known = approves ? approveOptions.map(\.name) : ["--help"]
    while let option = try usage({ () throws(UsageError) in try reader.next(known: known) }) {
        try usage { () throws(UsageError) in try reader.requireFlag(option) }
        switch option.name {
        case "--session": scope = "session"
        case "--list": isList = true
        default: json = true
        }
    }
    let clients = supervisors()
    if isList { list(clients, json: json) }
    guard reader.operands.count == 1, let id = reader.operands.first else {
        throw .usage(UsageError("one question's id is needed", remedy: "see cordon approve --list"))
    }
    var refusal: SubcommandFailure?
    for client in clients {
        do throws(ClientError) {
            _ = try client.call(
                "approval.answer",
                [
                    "approval": .string(id), "answer": .string(approves ? "approve" : "deny"), "scope": .string(scope),
                ])
            exitNow(0)
        } catch {
            if case .answered(let answer) = error, answer.code == .unknownApproval { continue }
            refusal = .client(error)
        }
    }
    throw refusal
        ?? .usage(UsageError("no question \"\(printable(id))\" waits", remedy: "see cordon approve --list"))
}

/// Every supervisor of this user's that answers, the one of the system's service among them.
private func supervisors() -> [Client] {
    Signal.ignore(Signal.pipe)
    let environment = callerEnvironment()
    let service = environment.first { $0.name == "CORDON_SOCKET" }?.value
    let sockets = [service].compactMap { $0 } + (Endpoints(environment)?.sockets() ?? [])
    return sockets.compactMap { path in
        guard let client = try? Client(path: path) else { return nil }
        client.whenSilent = saySilence
        guard (try? client.hello(as: "cordon approve")) != nil else { return nil }
        return client
    }
}

private func list(_ clients: [Client], json: Bool) -> Never {
    let questions = clients.flatMap { client in
        ((try? client.call("approval.list"))?["approvals"]?.elements ?? []).map { (client, $0) }
    }
    if json {
        let all: JsonObject = ["approvals": .array(questions.map { $0.1 })]
        leave(printing: all.text + "\n", code: 0)
    }
    var rows = [["ID", "EXPIRES", "SESSION", "DIRECTORY", "COMMAND"]]
    for (client, question) in questions {
        guard let question = question.members else { continue }
        let command =
            question["command"]?.text ?? (question["argv"]?.texts ?? []).map(shellWord).joined(separator: " ")
        // Another user's session is not told of, not even to root.
        let id = question["session"]?.text ?? ""
        let session = (try? client.call("session.inspect", ["session": .string(id)])) ?? [:]
        rows.append(
            [
                question["id"]?.text ?? "", roundedDuration(question["expires_in_ms"]?.unsigned ?? 0),
                session["name"]?.text ?? id, session["workspace"]?.text ?? "-", command,
            ].map(printable))
    }
    leave(printing: columns(rows), code: 0)
}
