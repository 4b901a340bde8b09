// `cordon session ps`, `logs`, `wait` and `kill`: commands and terminals that run without this program.
internal import Client
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import SupervisorCore
internal import Wire

let psSubcommand = Subcommand(
    name: "ps", says: "list a session's commands and terminals", options: [.json, .help], operand: .text,
    help: """
        cordon session ps: list a session's commands and terminals

        usage: cordon session ps [--json] SESSION

          --json   print them as JSON

        Those that have ended are listed too, the last 256 of them. The numbers are what logs, wait, kill and
        attach --terminal take.

        examples:
          cordon session ps work
          cordon session ps --json work | jq '.commands[] | select(.state == "running") | .command'

        """, run: ps)

@Sendable private func ps(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    let (json, operands) = try flags(arguments, of: psSubcommand)
    guard operands.count == 1, let session = operands.first else {
        throw .usage(UsageError("ps takes one session", remedy: "see cordon session ls"))
    }
    let client = try connectToSessions()
    let place: JsonObject = ["session": .string(session)]
    let commands = try asking { () throws(ClientError) in try client.call("command.list", place) }
    var terminals: JsonObject = ["terminals": .array([])]
    do throws(ClientError) { terminals = try client.call("terminal.list", place) } catch {
        // Of an interrupted session only its commands were recorded.
        guard case .answered(let answer) = error, answer.code == .ended else { throw .client(error) }
    }
    let all: JsonObject = [
        "commands": commands["commands"] ?? .array([]), "terminals": terminals["terminals"] ?? .array([]),
    ]
    if json { leave(printing: all.text + "\n", code: 0) }
    var rows: [(number: Int64, cells: [String])] = []
    for (list, kind) in [("commands", "command"), ("terminals", "terminal")] {
        for one in (all[list]?.elements ?? []).compactMap(\.members) {
            let number = one[kind]?.whole ?? 0
            let words = (one["argv"]?.texts ?? []).map(shellWord).joined(separator: " ")
            let time = one["duration_ms"]?.unsigned.map(roundedDuration) ?? "-"
            rows.append((number, ["\(number)", kind, state(one), time, words].map(printable)))
        }
    }
    let sorted = rows.sorted { $0.number < $1.number }.map(\.cells)
    leave(printing: columns([["NUMBER", "KIND", "STATE", "TIME", "COMMAND"]] + sorted), code: 0)
}

/// The state, and of what has ended how.
private func state(_ one: JsonObject) -> String {
    switch one["reason"]?.text {
    case "exited"?: "exited \(one["exit_code"]?.whole ?? 0)"
    case "signaled"?: Signal.name(Int32(clamping: one["signal"]?.whole ?? 0))
    case let reason?: reason
    case nil: one["state"]?.text ?? ""
    }
}

/// A time as people read it.
func roundedDuration(_ milliseconds: UInt64) -> String {
    let seconds = milliseconds / 1000
    switch seconds {
    case 0: return "\(milliseconds)ms"
    case ..<60: return "\(seconds)s"
    case ..<3600: return "\(seconds / 60)m\(seconds % 60)s"
    default: return "\(seconds / 3600)h\(seconds / 60 % 60)m"
    }
}

/// One command of a session, or one of its terminals: their numbers are of one kind.
private struct Started {
    let client: Client
    let place: JsonObject

    /// What SESSION and N mean.
    init(_ operands: [String], of name: String) throws(SubcommandFailure) {
        guard operands.count == 2 else {
            throw .usage(
                UsageError(
                    "\(name) takes a session and the number of a command", remedy: "see cordon session ps SESSION"))
        }
        guard let number = UInt64(operands[1]), number > 0, number <= Int64.max else {
            throw .usage(
                UsageError(
                    "\(printable(operands[1])): not the number of a command", remedy: "see cordon session ps SESSION"))
        }
        client = try connectToSessions()
        place = ["session": .string(operands[0]), "command": .count(number)]
    }

    /// Asks for a command, and where there is none of that number, for a terminal.
    func ask(
        _ command: String, _ terminal: String, _ params: JsonObject = [:], _ forTerminal: JsonObject? = nil
    ) throws(ClientError) -> JsonObject {
        do throws(ClientError) { return try client.call(command, joined(place, params)) } catch {
            guard case .answered(let answer) = error, answer.code == .unknownCommand else { throw error }
            let own: JsonObject = [
                "session": place["session"] ?? .null, "terminal": place["command"] ?? .null,
            ]
            do throws(ClientError) { return try client.call(terminal, joined(own, forTerminal ?? params)) } catch {
                // Neither: what was asked for is a command to the caller.
                if case .answered(let second) = error, second.code == .unknownTerminal { throw .answered(answer) }
                throw error
            }
        }
    }

    private func joined(_ first: JsonObject, _ second: JsonObject) -> JsonObject {
        var all = first
        for name in second.names { if let value = second[name] { all.add(name, value) } }
        return all
    }
}

let logsSubcommand = Subcommand(
    name: "logs", says: "print what a command or a terminal has shown",
    options: [
        CommandOption(name: "--stderr", says: "its standard error, in place of its standard output"),
        CommandOption(name: "--follow", short: "-f", says: "go on until it has ended"), .help,
    ], operand: .text,
    help: """
        cordon session logs: print what a command or a terminal has shown

        usage: cordon session logs [--stderr] [--follow] SESSION N

          --stderr       its standard error, in place of its standard output; a terminal has only one
          -f, --follow   go on until it has ended

        Of much output the start and the end are kept; what is missing is said on standard error.

        examples:
          n=$(cordon session exec -d work -- make test)
          cordon session logs --follow work $n
          cordon session logs --stderr work $n

        """, run: logs)

@Sendable private func logs(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    var reader = OptionReader(arguments, help: "cordon session logs --help")
    var stream = "stdout", isFollowed = false
    while let option = try usage({ () throws(UsageError) in try reader.next(known: logsSubcommand.known) }) {
        try usage { () throws(UsageError) in try reader.requireFlag(option) }
        if option.name == "--stderr" { stream = "stderr" } else { isFollowed = true }
    }
    let one = try Started(reader.operands, of: "logs")
    var cursor: UInt64 = 0, output = ShownOutput(1)
    while true {
        var params: JsonObject = ["cursor": .count(cursor), "limit": .number(256 << 10)]
        if isFollowed { params.add("wait_ms", .number(86_400_000)) }
        var forCommand = params
        forCommand.add("stream", .string(stream))
        let part = try asking { () throws(ClientError) in
            try one.ask("command.read", "terminal.read", forCommand, params)
        }
        if let skipped = part["skipped"]?.unsigned, skipped > 0 {
            put("cordon: \(skipped) bytes were not kept\n", to: 2)
        }
        let text = part["data"]?.text ?? ""
        let bytes = part["data_encoding"]?.text == "base64" ? base64Decoded(text) ?? [] : Array(text.utf8)
        do throws(Errno) { try output.write(bytes) } catch { leaveUnwritten(error) }
        let next = part["next"]?.unsigned ?? cursor
        if part["end"]?.truth == true || (!isFollowed && next <= cursor) { break }
        cursor = next
    }
    do throws(Errno) { try output.flush() } catch { leaveUnwritten(error) }
    exitNow(0)
}

private func leaveUnwritten(_ error: Errno) -> Never {
    // As a program whose reader goes away.
    if error == .brokenPipe { exitNow(128 + Signal.pipe) }
    leave(printing: "cordon: \(ShownOutput.failure(error, of: 1))\n", code: ExitCode.cordonFailed, to: 2)
}

let waitSubcommand = Subcommand(
    name: "wait", says: "wait for a command or a terminal to end",
    options: [CommandOption(name: "--json", says: "print its report"), .help], operand: .text,
    help: """
        cordon session wait: wait for a command or a terminal to end

        usage: cordon session wait [--json] SESSION N

          --json   print its report, as cordon session exec does

        Exit codes as those of cordon session exec: its own, where it ended by itself. To be interrupted leaves it alone.

        examples:
          n=$(cordon session exec -d work -- make test)
          cordon session wait work $n && echo passed

        """, run: wait)

@Sendable private func wait(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    let (json, operands) = try flags(arguments, of: waitSubcommand)
    let one = try Started(operands, of: "wait")
    let report = try asking { () throws(ClientError) in
        try one.ask("command.wait", "terminal.wait", json ? [:] : ["inline": .number(0)], [:])
    }
    finish(.success(report), of: nil, json: json)
}

let killSubcommand = Subcommand(
    name: "kill", says: "end a command or a terminal, or send it a signal",
    options: [
        CommandOption(name: "--signal", short: "-s", value: .text, says: "such as TERM; KILL ends all of it"), .help,
    ],
    operand: .text,
    help: """
        cordon session kill: end a command or a terminal, or send it a signal

        usage: cordon session kill [--signal S] SESSION N

          -s, --signal S   a signal's name or number; KILL, which ends it with all that it has started. Another one goes to its
                           process group, for a terminal to the one in its foreground

        examples:
          cordon session kill work 3
          cordon session kill --signal INT work 3

        """, run: kill)

@Sendable private func kill(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    var reader = OptionReader(arguments, help: "cordon session kill --help")
    var signal = "KILL"
    while let option = try usage({ () throws(UsageError) in try reader.next(known: killSubcommand.known) }) {
        signal = try usage { () throws(UsageError) in try reader.value(of: option) }
    }
    let one = try Started(reader.operands, of: "kill")
    try asking { () throws(ClientError) in
        try one.ask("command.kill", "terminal.signal", ["signal": .string(signal)])
    }
    exitNow(0)
}
