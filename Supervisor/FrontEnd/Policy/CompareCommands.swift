// `cordon policy diff`, `simulate` and `score`: what a policy changes, what it would have said, and how exposed it leaves.
internal import Caller
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import Wire
internal import Reports

let diffSubcommand = Subcommand(
    name: "diff", says: "compare two policies, rules and verdicts",
    options: [
        CommandOption(name: "--corpus", value: .file, says: "commands to compare verdicts on"),
        CommandOption(name: "--jailed", says: "as for cordon run"),
        CommandOption(name: "--fail-on", value: .text, says: "fail where anything is looser"), .json, .help,
    ], operand: .policy, help: diffHelp, run: diff)
let simulateSubcommand = Subcommand(
    name: "simulate", says: "replay a list of commands",
    options: PolicyContext.options + [
        CommandOption(name: "--log", value: .file, says: "the commands"),
        CommandOption(name: "--jailed", says: "as for cordon run"),
        CommandOption(name: "--fail-on", value: .text, says: "fail on ask or deny"), .json, .help,
    ], help: simulateHelp, run: simulate)
let scoreSubcommand = Subcommand(
    name: "score", says: "rate the exposure from 0 to 10, line by line",
    options: [CommandOption(name: "--threshold", value: .text, says: "fail above it"), .json, .help], operand: .policy,
    help: scoreHelp, run: score)

private let diffHelp = """
    cordon policy diff: what one policy says differently from another

    usage: cordon policy diff [OPTION…] OLD NEW

      --corpus FILE         commands to compare verdicts on: one a line, or JSON lines {"command": "…"}; else the examples and
                            tests of both
      --jailed              verdicts as for cordon run
      --fail-on loosened    exit 1 where anything is looser in NEW
      --json                print the differences as JSON

    exit codes: 0, 1 by --fail-on, 2 a policy or the call is wrong

    examples:
      cordon policy diff preset:readonly preset:agent
      cordon policy diff --fail-on loosened main/policy.toml policy.toml

    """

private let simulateHelp = """
    cordon policy simulate: what a policy would have said about a list of commands

    usage: cordon policy simulate --log FILE [OPTION…]

      --log FILE          one command a line, or JSON lines {"command": "…", "decision": "…"}, where a command may also be
                          ["PROGRAM", "ARGUMENT", …]; or an audit log, whose lines tell the workspace too; - for standard
                          input
      --policy P          a policy file, or preset:NAME; as for check
      --workspace DIR     the workspace; the current directory
      --cwd DIR           the working directory
      --jailed            verdicts as for cordon run
      --fail-on ask|deny  exit 1 where a command would be asked about or denied
      --json              print the counts and the changed verdicts as JSON

    exit codes: 0, 1 by --fail-on, 2 the policy or the call is wrong

    examples:
      cordon policy simulate --policy new.toml --log commands.jsonl
      cordon policy simulate --policy new.toml --log ~/.local/state/cordon/supervisors/0/audit.jsonl
      history | cut -c 8- | cordon policy simulate --log - --fail-on deny

    """

private let scoreHelp = """
    cordon policy score: how exposed a policy leaves the machine, from 0 to 10

    usage: cordon policy score [OPTION…] [POLICY]

      POLICY            a policy file, or preset:NAME; .cordon.toml
      --threshold N     exit 1 where the score is above N
      --json            print the lines as JSON

    exit codes: 0, 1 by --threshold, 2 the policy or the call is wrong

    examples:
      cordon policy score preset:agent
      cordon policy score --threshold 3.5 my-policy.toml

    """

/// A command of a log, with the verdict that it got then.
private struct LoggedCommand {
    var subject: CommandRequest.Subject
    var decision: Decision?
    /// Where and how it was judged, as an audit log tells it.
    var workspace: String?
    var directory: String?
    var isJailed: Bool?
    var input = CommandInput.none

    /// For people.
    var text: String {
        switch subject {
        case .string(let bytes): String(decoding: bytes, as: UTF8.self)
        case .argv(let words): words.map(shellWord).joined(separator: " ")
        }
    }

    static func list(_ bytes: [UInt8]) throws(SubcommandFailure) -> [LoggedCommand] {
        var commands: [LoggedCommand] = []
        for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            guard line.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) else { continue }
            guard line.first == UInt8(ascii: "{"), let value = try? JsonValue(parsing: line) else {
                // A line that begins like JSON and is none is a command: `{ ls; }`.
                commands.append(LoggedCommand(subject: .string(Array(line))))
                continue
            }
            guard case .object(let object) = value else { continue }
            let isAudit = object["event"] != nil
            // An audit log tells of more than commands.
            if isAudit, object["command"] == nil { continue }
            guard let subject = subject(object["command"]) else {
                throw .usage(
                    UsageError(
                        "line \(index + 1) of the list has no \"command\"",
                        remedy: "write {\"command\": \"…\"}, or [\"…\"] for a program and its arguments"))
            }
            var command = LoggedCommand(
                subject: subject, decision: object["decision"]?.text.flatMap(Decision.init(rawValue:)))
            if isAudit {
                command.workspace = absolute(object["workspace"])
                command.directory = absolute(object["cwd"])
                command.isJailed = object["jailed"]?.truth
                command.input = object["input"]?.text.flatMap(CommandInput.init(rawValue:)) ?? .none
            }
            commands.append(command)
        }
        return commands
    }

    private static func subject(_ member: JsonValue?) -> CommandRequest.Subject? {
        if let text = member?.text { return .string(Array(text.utf8)) }
        guard let words = member?.texts, !words.isEmpty else { return nil }
        return .argv(words)
    }

    private static func absolute(_ member: JsonValue?) -> String? {
        guard let path = member?.text, path.utf8.first == UInt8(ascii: "/") else { return nil }
        return path
    }
}

// MARK: - diff

@Sendable private func diff(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    var reader = OptionReader(arguments, help: "cordon policy diff --help")
    var corpus: String?
    var failsOnLoosened = false, isJailed = false, json = false
    while let option = try usage({ () throws(UsageError) in
        try reader.next(known: diffSubcommand.known)
    }) {
        switch option.name {
        case "--corpus": corpus = try usage { () throws(UsageError) in try reader.value(of: option) }
        case "--fail-on":
            guard try usage({ () throws(UsageError) in try reader.value(of: option) }) == "loosened" else {
                throw .usage(UsageError("--fail-on takes \"loosened\""))
            }
            failsOnLoosened = true
        default:
            try usage { () throws(UsageError) in try reader.requireFlag(option) }
            if option.name == "--json" { json = true } else { isJailed = true }
        }
    }
    guard reader.operands.count == 2 else {
        throw .usage(UsageError("two policies are needed", remedy: "write cordon policy diff OLD NEW"))
    }
    let before = try policyFile(reader.operands[0]), after = try policyFile(reader.operands[1])
    var changes = before.changes(to: after)
    let commands = try corpus.map { file throws(SubcommandFailure) in
        try LoggedCommand.list(try inputBytes(file))
    }
    do throws(PolicyError) {
        let engines = (try Engine([Tier(.session, before)]), try Engine([Tier(.session, after)]))
        let strings = examples(before, after).map { LoggedCommand(subject: .string(Array($0.utf8))) }
        for command in commands ?? strings {
            let request = CommandRequest(command.subject, workspace: "/workspace", isJailed: isJailed)
            let old = engines.0.judge(request).decision, new = engines.1.judge(request).decision
            guard old != new else { continue }
            changes.append(
                PolicyChange(
                    direction: new < old ? .loosened : .tightened, subject: "`\(command.text)`", before: old.rawValue,
                    after: new.rawValue))
        }
    } catch {
        throw .policy(error)
    }
    let code = failsOnLoosened && changes.contains { $0.direction == .loosened } ? PolicyExit.failed : 0
    if json {
        leave(printing: JsonValue.array(changes.map { .object($0.json) }).serialized + "\n", code: code)
    }
    let paint = Paint()
    var text = ""
    for change in changes {
        let colour: Decision = change.direction == .loosened ? .deny : change.direction == .tightened ? .allow : .ask
        text += paint.decision(colour, padded(change.direction.rawValue, 9)) + "  \(printable(change.subject)): "
        switch (change.before, change.after) {
        case (let before?, let after?): text += "\(printable(before)) → \(printable(after))\n"
        case (nil, let after?): text += "+ \(printable(after))\n"
        default: text += "− \(printable(change.before ?? ""))\n"
        }
    }
    leave(printing: text.isEmpty ? "no difference\n" : text, code: code)
}

/// The examples of both, in order, each once.
private func examples(_ first: Policy, _ second: Policy) -> [String] {
    var seen: Set<String> = []
    return [first, second].flatMap { policy in
        policy.commands.flatMap { ($0.match + $0.notMatch).map(\.value) } + policy.tests.map(\.run.value)
    }.filter { seen.insert($0).inserted }
}

extension PolicyChange {
    fileprivate var json: JsonObject {
        var json = JsonObject()
        json.add("direction", .string(direction.rawValue))
        json.add("subject", .string(subject))
        json.add("before", before.map { .string($0) } ?? .null)
        json.add("after", after.map { .string($0) } ?? .null)
        return json
    }
}

// MARK: - simulate

@Sendable private func simulate(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    var reader = OptionReader(arguments, help: "cordon policy simulate --help")
    var context = PolicyContext()
    var log: String?
    var limit: Decision?
    var isJailed = false, json = false
    while let option = try usage({ () throws(UsageError) in try reader.next(known: simulateSubcommand.known) }) {
        if try context.take(option, from: &reader) { continue }
        switch option.name {
        case "--log": log = try usage { () throws(UsageError) in try reader.value(of: option) }
        case "--fail-on":
            let word = try usage { () throws(UsageError) in try reader.value(of: option) }
            guard let decision = Decision(rawValue: word), decision != .allow else {
                throw .usage(UsageError("--fail-on takes \"ask\" or \"deny\""))
            }
            limit = decision
        default:
            try usage { () throws(UsageError) in try reader.requireFlag(option) }
            if option.name == "--json" { json = true } else { isJailed = true }
        }
    }
    guard let log, reader.operands.isEmpty else {
        throw .usage(UsageError("a list of commands is needed", remedy: "write --log FILE"))
    }
    let (workspace, directory) = try context.places()
    let engine = try context.engine(workspace).engine
    var counts: [Decision: Int] = [:]
    var changed: [(command: String, before: Decision, after: Decision, reason: String)] = []
    for command in try LoggedCommand.list(try inputBytes(log)) {
        let place = command.workspace ?? workspace
        // A directory outside of the workspace would be no place to judge from.
        let own = command.directory.flatMap { isInside($0, place) ? $0 : nil }
        let verdict = engine.judge(
            CommandRequest(
                command.subject, workspace: place,
                directory: own ?? (command.workspace == nil ? directory : place),
                isJailed: command.isJailed ?? isJailed, input: command.input))
        counts[verdict.decision, default: 0] += 1
        if let before = command.decision, before != verdict.decision {
            changed.append((command.text, before, verdict.decision, verdict.mainEvidence?.reason ?? ""))
        }
    }
    let isOver = limit.map { limit in counts.contains { $0.key >= limit } } ?? false
    let code = isOver ? PolicyExit.failed : 0
    if json {
        var object = JsonObject()
        for decision in Decision.allCases { object.add(decision.rawValue, .number(Int64(counts[decision] ?? 0))) }
        object.add(
            "changed",
            .array(
                changed.map { change in
                    var entry = JsonObject()
                    entry.add("command", .string(change.command))
                    entry.add("before", .string(change.before.rawValue))
                    entry.add("after", .string(change.after.rawValue))
                    entry.add("reason", .string(change.reason))
                    return .object(entry)
                }))
        leave(printing: object.text + "\n", code: code)
    }
    let paint = Paint()
    var text = ""
    for change in changed {
        text += "\(paint.decision(change.before)) → \(paint.decision(change.after))  \(printable(change.command))\n"
        text += "  \(paint.faint(printable(change.reason)))\n"
    }
    text += Decision.allCases.map { "\(counts[$0] ?? 0) \($0.rawValue)" }.joined(separator: ", ")
    leave(printing: text + ", \(changed.count) changed\n", code: code)
}

// MARK: - score

@Sendable private func score(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    var reader = OptionReader(arguments, help: "cordon policy score --help")
    var threshold: Int?
    var json = false
    while let option = try usage({ () throws(UsageError) in try reader.next(known: scoreSubcommand.known) }) {
        if option.name == "--json" {
            try usage { () throws(UsageError) in try reader.requireFlag(option) }
            json = true
        } else {
            let text = try usage { () throws(UsageError) in try reader.value(of: option) }
            guard let value = Double(text), (0...10).contains(value) else {
                throw .usage(UsageError("--threshold \(text): not a score", remedy: "write a number from 0 to 10"))
            }
            threshold = Int((value * 10).rounded(.down))
        }
    }
    guard reader.operands.count <= 1 else { throw .usage(UsageError("more than one policy")) }
    let reference = reader.operands.first ?? PolicyTiers.projectFile
    let exposure = try policyFile(reference).exposure()
    let code = threshold.map { exposure.tenths > $0 } ?? false ? PolicyExit.failed : 0
    if json {
        var object = JsonObject()
        object.add("tenths", .number(Int64(exposure.tenths)))
        object.add("score", .string(exposure.text))
        object.add(
            "lines",
            .array(
                exposure.lines.map { line in
                    var entry = JsonObject()
                    entry.add("key", .string(line.key))
                    entry.add("tenths", .number(Int64(line.tenths)))
                    entry.add("most", .number(Int64(line.most)))
                    entry.add("says", .string(line.says))
                    return .object(entry)
                }))
        leave(printing: object.text + "\n", code: code)
    }
    let paint = Paint()
    var text = ""
    for line in exposure.lines {
        let points = "\(line.tenths / 10).\(line.tenths % 10)"
        let colour: Decision = line.tenths == 0 ? .allow : line.tenths * 2 >= line.most ? .deny : .ask
        text += "  \(paint.decision(colour, points))  \(padded(line.key, 22)) \(printable(line.says))"
        text += line.location.map { "  " + paint.faint($0.description) } ?? ""
        text += "\n"
    }
    let word = exposure.tenths < 25 ? "tight" : exposure.tenths < 50 ? "moderate" : "exposed"
    leave(printing: text + "exposure of \(printable(reference)): \(exposure.text) of 10 (\(word))\n", code: code)
}
