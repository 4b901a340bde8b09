// `cordon session new`, `ls`, `inspect` and `rm`.
internal import Client
internal import Linux
internal import PolicyModel
internal import Wire

let newSubcommand = Subcommand(
    name: "new", says: "open a session",
    options: [
        CommandOption(name: "--name", value: .text, says: "a name to call it by"),
        CommandOption(name: "--policy", value: .policy, says: "a policy file, or preset:NAME"),
        CommandOption(name: "--workspace", value: .directory, says: "the directory that commands work in"),
        CommandOption(name: "--image", value: .directory, says: "a directory with a root file system"),
        CommandOption(name: "--timeout", value: .text, says: "a deadline for each command"),
        CommandOption(name: "--memory", value: .text, says: "a limit for all of it, such as 64M, 2G"),
        CommandOption(name: "--pids", value: .text, says: "a limit on processes"),
        CommandOption(name: "--env", value: .variable, says: "set a variable, or pass the caller's"),
        CommandOption(name: "--idle", value: .text, says: "close it when nobody used it for so long"),
        .json, .help,
    ], operand: .none, help: newHelp, run: new)

private let newHelp = """
    cordon session new: open a session, a jail that stays

    usage: cordon session new [OPTION…]

      --name NAME       a name to call it by, beside its id
      --policy P        a policy file, or preset:NAME; else a trusted .cordon.toml, else preset:agent
      --workspace DIR   the directory that commands work in; the current directory
      --image DIR       a directory with a root file system; the host's /usr
      --timeout D       a deadline for each command, such as 30s; at most the policy's
      --memory S        a limit for all that runs in it, such as 2G; at most the policy's
      --pids N          a limit on processes; at most the policy's
      --env K=V         set a variable (may be given again); --env K passes the caller's
      --idle D          close it when nobody used it for so long, such as 30m
      --json            print the session as JSON, with its guarantees

    Its id is printed. The first session starts a supervisor in the background, which stays while there are any.

    examples:
      cordon session new --name work
      id=$(cordon session new --policy preset:build --idle 1h)

    """

@Sendable private func new(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    var reader = OptionReader(arguments, help: "cordon session new --help")
    let run = RunOptions.LimitReader()
    var params = JsonObject()
    var environment = JsonObject()
    var json = false, workspace: String?, policy: String?
    while let option = try usage({ () throws(UsageError) in try reader.next(known: newSubcommand.known) }) {
        func value() throws(SubcommandFailure) -> String {
            try usage { () throws(UsageError) in try reader.value(of: option) }
        }
        switch option.name {
        case "--name": params.add("name", .string(try value()))
        case "--policy": policy = try value()
        case "--workspace": workspace = try value()
        case "--image": params.add("image", .string(try absolute(try value())))
        case "--timeout": params.add("timeout_ms", .count(try run.duration(option, &reader)))
        case "--memory": params.add("memory", .count(try run.size(option, &reader)))
        case "--pids": params.add("pids", .count(try run.count(option, &reader)))
        case "--idle": params.add("idle_ms", .count(try run.duration(option, &reader)))
        case "--env":
            let (name, text) = try run.variable(option, &reader)
            environment.add(name, .string(text))
        default:
            try usage { () throws(UsageError) in try reader.requireFlag(option) }
            json = true
        }
    }
    guard reader.operands.isEmpty else {
        throw .usage(UsageError("new takes no command", remedy: "run one with cordon session exec"))
    }
    // As the caller sees it: the supervisor stands elsewhere.
    params.add("workspace", .string(try absolute(workspace ?? ".")))
    if let policy {
        params.add("policy", .string(policy.hasPrefix("preset:") ? policy : try absolute(policy)))
    }
    if !environment.names.isEmpty { params.add("env", .object(environment)) }
    params.add("caller_env", .object(try callerVariables(beside: params)))
    let client = try connectToSessions()
    let made = try asking { () throws(ClientError) in
        try client.call("session.create", params, proving: ["workspace", "policy", "image"])
    }
    for note in made["notes"]?.texts ?? [] { put("cordon: \(note)\n", to: 2) }
    let id = made["session"]?.members?["id"]?.text ?? ""
    leave(printing: json ? made.text + "\n" : id + "\n", code: 0)
}

let reopenSubcommand = Subcommand(
    name: "reopen", says: "begin an interrupted session anew",
    options: [
        CommandOption(name: "--env", value: .variable, says: "set a variable, or pass the caller's"),
        CommandOption(name: "--idle", value: .text, says: "close it when nobody used it for so long"), .json, .help,
    ], operand: .text,
    help: """
        cordon session reopen: begin a session anew whose supervisor has died

        usage: cordon session reopen [OPTION…] SESSION

          --env K=V   set a variable (may be given again); --env K passes the caller's
          --idle D    close it when nobody used it for so long, such as 30m
          --json      print the session as JSON

        cordon session ls shows it as interrupted. It has a new jail on its workspace, by its policy as that is now, and keeps its
        id and its name. Its variables were not recorded: they are this program's again. Earlier commands are forgotten.

        examples:
          cordon session reopen work

        """, run: reopen)

@Sendable private func reopen(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    var reader = OptionReader(arguments, help: "cordon session reopen --help")
    let limits = RunOptions.LimitReader()
    var params = JsonObject(), environment = JsonObject(), json = false
    while let option = try usage({ () throws(UsageError) in try reader.next(known: reopenSubcommand.known) }) {
        switch option.name {
        case "--idle": params.add("idle_ms", .count(try limits.duration(option, &reader)))
        case "--env":
            let (name, text) = try limits.variable(option, &reader)
            environment.add(name, .string(text))
        default:
            try usage { () throws(UsageError) in try reader.requireFlag(option) }
            json = true
        }
    }
    guard reader.operands.count == 1, let name = reader.operands.first else {
        throw .usage(UsageError("reopen takes one session", remedy: "see cordon session ls"))
    }
    params.add("session", .string(name))
    if !environment.names.isEmpty { params.add("env", .object(environment)) }
    params.add("caller_env", .object(try callerVariables(beside: params)))
    let client = try connectToSessions()
    let made = try asking { () throws(ClientError) in try client.call("session.reopen", params) }
    leave(printing: json ? made.text + "\n" : (made["session"]?.members?["id"]?.text ?? "") + "\n", code: 0)
}

/// This process's own variables, from which the policies pass some: which, only the supervisor knows.
private func callerVariables(beside params: JsonObject) throws(SubcommandFailure) -> JsonObject {
    var variables = JsonObject()
    // Of a name that comes twice, getenv(3) finds the first.
    var seen: Set<[UInt8]> = [], largest = (name: "", size: 0)
    for (name, value) in callerEnvironment() where seen.insert(Array(name.utf8)).inserted {
        variables.add(name, .string(value))
        if value.utf8.count > largest.size { largest = (name, value.utf8.count) }
    }
    // A request is one frame; a few bytes of it are not the parameters.
    let size = variables.text.utf8.count + params.text.utf8.count
    guard size <= Frame.longestPayload - 1024 else {
        throw .usage(
            UsageError(
                "the environment is too large for one request: \(formatSize(UInt64(size)))",
                remedy: "unset what is large, such as \(printable(largest.name)) with \(largest.size) bytes"))
    }
    return variables
}

private func absolute(_ path: String) throws(SubcommandFailure) -> String {
    if path.utf8.first == UInt8(ascii: "/") { return path }
    do throws(Errno) {
        let current = try workingDirectory()
        return path == "." ? current : try resolvedPath(path)
    } catch {
        throw .usage(UsageError("\(path): \(error.message)", remedy: "name one that exists"))
    }
}

let listSubcommand = Subcommand(
    name: "ls", says: "list sessions", options: [.json, .help], operand: .none,
    help: """
        cordon session ls: list your sessions

        usage: cordon session ls [--json]

          --json   print them as JSON

        examples:
          cordon session ls
          cordon session ls --json | jq -r '.sessions[].id'

        """, run: list)

@Sendable private func list(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    let (json, operands) = try flags(arguments, of: listSubcommand)
    guard operands.isEmpty else {
        throw .usage(UsageError("ls takes no session", remedy: "see cordon session inspect"))
    }
    let client = try connectToSessions()
    let answer = try asking { () throws(ClientError) in try client.call("session.list") }
    if json { leave(printing: answer.text + "\n", code: 0) }
    let rows = (answer["sessions"]?.elements ?? []).compactMap(\.members).map { session in
        [
            session["id"]?.text ?? "", session["name"]?.text ?? "-", session["state"]?.text ?? "",
            "\(session["commands"]?.whole ?? 0)", session["policy"]?.text ?? "", session["workspace"]?.text ?? "",
        ].map(printable)
    }
    leave(printing: columns([["ID", "NAME", "STATE", "RUNNING", "POLICY", "WORKSPACE"]] + rows), code: 0)
}

let inspectSubcommand = Subcommand(
    name: "inspect", says: "show a session, its limits and what it used", options: [.help], operand: .text,
    help: """
        cordon session inspect: show a session as JSON: its guarantees, its statistics, what it used

        usage: cordon session inspect SESSION

        examples:
          cordon session inspect work

        """, run: inspect)

@Sendable private func inspect(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    let (_, operands) = try flags(arguments, of: inspectSubcommand)
    guard operands.count == 1, let name = operands.first else {
        throw .usage(UsageError("inspect takes one session", remedy: "see cordon session ls"))
    }
    let client = try connectToSessions()
    let answer = try asking { () throws(ClientError) in
        try client.call("session.inspect", ["session": .string(name)])
    }
    leave(printing: answer.text + "\n", code: 0)
}

let removeSubcommand = Subcommand(
    name: "rm", says: "close sessions, with all that runs in them",
    options: [CommandOption(name: "--all", says: "close all of them"), .help], operand: .text,
    help: """
        cordon session rm: close sessions, with all that runs in them

        usage: cordon session rm SESSION…
               cordon session rm --all

          --all    close all of them

        What commands wrote to the workspace stays. When it returns, every process is dead.

        examples:
          cordon session rm work
          cordon session rm --all

        """, run: remove)

@Sendable private func remove(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    var reader = OptionReader(arguments, help: "cordon session rm --help")
    var isAll = false
    while let option = try usage({ () throws(UsageError) in try reader.next(known: removeSubcommand.known) }) {
        try usage { () throws(UsageError) in try reader.requireFlag(option) }
        isAll = true
    }
    var names = reader.operands
    guard isAll == names.isEmpty else {
        throw .usage(UsageError("name sessions, or --all", remedy: "see cordon session ls"))
    }
    let client = try connectToSessions()
    if isAll {
        let answer = try asking { () throws(ClientError) in try client.call("session.list") }
        names = (answer["sessions"]?.elements ?? []).compactMap { $0.members?["id"]?.text }
    }
    var failed = false
    for name in names {
        do throws(ClientError) { _ = try client.call("session.close", ["session": .string(name)]) } catch {
            put("cordon: \(error.text)\n", to: 2)
            failed = true
        }
    }
    exitNow(failed ? ExitCode.cordonFailed : 0)
}

/// Whether `--json` was given, and the operands.
func flags(
    _ arguments: [String], of subcommand: Subcommand
) throws(SubcommandFailure) -> (json: Bool, operands: [String]) {
    var reader = OptionReader(arguments, help: "cordon session \(subcommand.name) --help")
    var json = false
    while let option = try usage({ () throws(UsageError) in try reader.next(known: subcommand.known) }) {
        try usage { () throws(UsageError) in try reader.requireFlag(option) }
        json = option.name == "--json"
    }
    return (json, reader.operands)
}

/// Text in columns, two spaces apart.
func columns(_ rows: [[String]]) -> String {
    let widths = (rows.first ?? []).indices.map { index in rows.map { $0[index].unicodeScalars.count }.max() ?? 0 }
    return rows.map { row in
        row.enumerated().map { index, text in index == row.count - 1 ? text : padded(text, widths[index] + 2) }.joined()
            + "\n"
    }.joined()
}
