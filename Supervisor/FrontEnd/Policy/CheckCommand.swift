// `cordon policy check` and `explain`: one request, or many, and the verdict on each.
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import Wire
internal import Reports

let checkSubcommand = Subcommand(
    name: "check", says: "judge a command, or many",
    options: PolicyContext.options + [
        CommandOption(name: "--jailed", says: "as for cordon run"), inputOption,
        CommandOption(name: "--argv", says: "a program and its arguments"),
        CommandOption(name: "--as-is", says: "without a rewrite"), .json,
        CommandOption(name: "--batch", value: .file, says: "judge JSON lines"), .help,
    ], help: checkHelp, run: check)

let explainSubcommand = Subcommand(
    name: "explain", says: "show all that a command would run, each part with its verdict",
    options: PolicyContext.options + [
        CommandOption(name: "--jailed", says: "as for cordon run"), inputOption,
        CommandOption(name: "--argv", says: "a program and its arguments"), .json, .help,
    ], help: explainHelp,
    run: explain)

private let inputOption = CommandOption(
    name: "--input", value: .text, says: "what it is given beside its words")

private let contextHelp = """
      --policy P        a policy file, or preset:NAME; else a trusted .cordon.toml, else preset:agent
      --workspace DIR   the workspace; the current directory
      --cwd DIR         the working directory; the current one where it is in the workspace
      --jailed          as it would be judged by cordon run
      --input FORM      as with no input (none), with input that is not known (given), or on a terminal (terminal)
      --argv            the operands are a program and its arguments, not a string for a shell
    """

private let checkHelp = """
    cordon policy check: may this command be run?

    usage: cordon policy check [OPTION…] -- STRING
           cordon policy check [OPTION…] --argv -- PROGRAM [ARGUMENT…]
           cordon policy check [OPTION…] --batch FILE

    \(contextHelp)
      --as-is           an allow that would have to be rewritten is an ask
      --json            print the verdict as JSON
      --batch FILE      judge JSON lines, {"command": "…"} or {"argv": […]}, with "cwd", "jailed" and "input" if
                        wanted; - for standard input; one verdict a line, as JSON

    exit codes: 0 allow, 10 ask, 11 deny, 2 the policy or the call is wrong; of a batch the worst

    examples:
      cordon policy check -- 'git status && ls -la'
      cordon policy check --json --policy preset:readonly -- 'cat .env'
      cordon policy check --argv -- git log --oneline
      cordon policy check --batch commands.jsonl

    """

private let explainHelp = """
    cordon policy explain: all that a command would run, each part with its verdict and the reason

    usage: cordon policy explain [OPTION…] -- STRING

    \(contextHelp)
      --json            print the tree as JSON

    exit codes: as cordon policy check

    examples:
      cordon policy explain -- 'find . -name "*.o" -exec rm {} +'
      cordon policy explain --jailed -- 'make test && git status'

    """

private struct CheckOptions {
    var context = PolicyContext()
    var isJailed = false
    var asIs = false
    var isArgv = false
    var input = CommandInput.none
    var json = false
    var batch: String?
    var operands: [String] = []

    init(_ arguments: [String], of subcommand: Subcommand) throws(SubcommandFailure) {
        let command = subcommand.name, known = subcommand.known
        var reader = OptionReader(arguments, help: "cordon policy \(command) --help")
        while let option = try usage({ () throws(UsageError) in try reader.next(known: known) }) {
            if try context.take(option, from: &reader) { continue }
            if option.name == "--batch" {
                batch = try usage { () throws(UsageError) in try reader.value(of: option) }
                continue
            }
            if option.name == "--input" {
                let text = try usage { () throws(UsageError) in try reader.value(of: option) }
                input = try usage { () throws(UsageError) in try commandInput(text, "--input") }
                continue
            }
            try usage { () throws(UsageError) in try reader.requireFlag(option) }
            switch option.name {
            case "--jailed": isJailed = true
            case "--as-is": asIs = true
            case "--argv": isArgv = true
            default: json = true
            }
        }
        operands = reader.operands
        if batch != nil {
            guard operands.isEmpty else { throw .usage(UsageError("--batch takes no command beside it")) }
        } else if operands.isEmpty {
            throw .usage(
                UsageError("no command", remedy: "write it after --, as in: cordon policy \(command) -- 'git status'"))
        } else if !isArgv, operands.count > 1 {
            throw .usage(
                UsageError("more than one operand", remedy: "quote the command as one string, or use --argv"))
        }
    }

    var subject: CommandRequest.Subject {
        isArgv ? .argv(operands) : .string(pathBytes(operands.first ?? ""))
    }
}

/// Whether the caller's shell calls the directory by another name: it takes `..` off that one (bash(1), cd -L).
private func isBehindLink(_ directory: String) -> Bool {
    guard let name = callerEnvironment().first(where: { $0.name == "PWD" })?.value, !sameBytes(name, directory),
        let there = try? status(at: name, follow: true), let here = try? status(at: directory)
    else { return false }
    return there.device == here.device && there.inode == here.inode
}

@Sendable private func check(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    let options = try CheckOptions(arguments, of: checkSubcommand)
    let (workspace, directory) = try options.context.places()
    let (tiers, engine) = try options.context.engine(workspace)
    if let file = options.batch {
        try checkBatch(try inputBytes(file), engine, workspace: workspace, directory: directory, options)
    }
    var request = CommandRequest(
        options.subject, workspace: workspace, directory: directory, isJailed: options.isJailed, asIs: options.asIs,
        input: options.input)
    request.isBehindLink = isBehindLink(directory)
    let verdict = engine.judge(request)
    var json = verdict.json
    if verdict.argv != nil {
        let (variables, masked) = tiers.commandEnvironment(
            callerEnvironment(), without: verdict.environmentUnset.compactMap { try? Glob($0) },
            setting: verdict.variables)
        var environment = JsonObject()
        for (name, value) in variables { environment.add(name, .string(value)) }
        json.add("env", .object(environment))
        json.add("env_masked", .array(masked.map { .string($0) }))
    }
    let text = options.json ? json.text + "\n" : verdictText(verdict, Paint())
    leave(printing: text, code: PolicyExit.of(verdict.decision))
}

@Sendable private func explain(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    let options = try CheckOptions(arguments, of: explainSubcommand)
    let (workspace, directory) = try options.context.places()
    let engine = try options.context.engine(workspace).engine
    var request = CommandRequest(
        options.subject, workspace: workspace, directory: directory, isJailed: options.isJailed, input: options.input)
    request.isBehindLink = isBehindLink(directory)
    let verdict = engine.judge(request)
    if options.json {
        var json = verdict.json
        json.add("steps", .array(verdict.steps.map { .object($0.json) }))
        leave(printing: json.text + "\n", code: PolicyExit.of(verdict.decision))
    }
    leave(printing: explanation(verdict, Paint()), code: PolicyExit.of(verdict.decision))
}

// MARK: - Batches

private func checkBatch(
    _ bytes: [UInt8], _ engine: Engine, workspace: String, directory: String, _ options: CheckOptions
) throws(SubcommandFailure) -> Never {
    var worst = PolicyExit.allow
    var output = ""
    var number = 0
    let isBehindLink = isBehindLink(directory)
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
        number += 1
        if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
        do throws(UsageError) {
            var request = try batchRequest(line, workspace: workspace, directory: directory, options)
            // A line's own `cwd` is where its caller will start it, under that name.
            request.isBehindLink = isBehindLink && request.directory == directory
            let verdict = engine.judge(request)
            verdict.json.write(to: &output)
            // Wrong is worse than denied, whatever its number.
            if worst != PolicyExit.wrong { worst = max(worst, PolicyExit.of(verdict.decision)) }
        } catch {
            var json = JsonObject()
            json.add("error", .string(error.message))
            json.add("line", .number(Int64(number)))
            output += json.text
            worst = PolicyExit.wrong
        }
        output += "\n"
        if output.utf8.count > 1 << 16 {
            put(output, to: 1)
            output = ""
        }
    }
    leave(printing: output, code: worst)
}

private func batchRequest(
    _ line: ArraySlice<UInt8>, workspace: String, directory: String, _ options: CheckOptions
) throws(UsageError) -> CommandRequest {
    guard String(validating: line, as: UTF8.self) != nil else { throw UsageError("not UTF-8") }
    let value: JsonValue
    do throws(JsonError) { value = try JsonValue(parsing: line) } catch {
        throw UsageError("not JSON: \(error.message) at byte \(error.offset)")
    }
    guard case .object(let object) = value else { throw UsageError("not an object") }
    let known = ["command", "argv", "cwd", "jailed", "input"]
    if let other = object.names.first(where: { !known.contains($0) }) {
        throw UsageError("unknown member \"\(other)\"")
    }
    let subject: CommandRequest.Subject
    switch (object["command"], object["argv"]) {
    case (let command?, nil):
        guard let text = command.text else { throw UsageError("\"command\" is not a string") }
        subject = .string(Array(text.utf8))
    case (nil, let argv?):
        guard let words = argv.texts, !words.isEmpty else { throw UsageError("\"argv\" is not a list of strings") }
        subject = .argv(words)
    default: throw UsageError("neither \"command\" nor \"argv\", or both")
    }
    var place = directory
    if let member = object["cwd"] {
        guard let path = member.text else { throw UsageError("\"cwd\" is not a string") }
        place = path.utf8.first == UInt8(ascii: "/") ? path : workspace + "/" + path
    }
    var isJailed = options.isJailed
    if let member = object["jailed"] {
        guard let truth = member.truth else { throw UsageError("\"jailed\" is not true or false") }
        isJailed = truth
    }
    var input = options.input
    if let member = object["input"] {
        guard let text = member.text else { throw UsageError("\"input\" is not a string") }
        input = try commandInput(text, "\"input\"")
    }
    return CommandRequest(
        subject, workspace: workspace, directory: place, isJailed: isJailed, asIs: options.asIs, input: input)
}

private func commandInput(_ text: String, _ name: String) throws(UsageError) -> CommandInput {
    guard let input = CommandInput(rawValue: text) else {
        throw UsageError(
            "\(name) is one of " + CommandInput.allCases.map(\.rawValue).joined(separator: ", ")
                + ", not \(quoted(text))")
    }
    return input
}
