// `cordon session exec`: a command in a session, as if it were run here.
internal import Client
internal import Linux
internal import PolicyModel
internal import Reports
internal import SupervisorCore
internal import Wire

let execSubcommand = Subcommand(
    name: "exec", says: "run a command in a session",
    options: [
        CommandOption(name: "--cwd", value: .directory, says: "the working directory, in the workspace"),
        CommandOption(name: "--timeout", value: .text, says: "a deadline, such as 30s"),
        CommandOption(name: "--memory", value: .text, says: "a limit of its own"),
        CommandOption(name: "--pids", value: .text, says: "a limit of its own on processes"),
        CommandOption(name: "--env", value: .variable, says: "set a variable, or pass the caller's"),
        CommandOption(name: "--background", short: "-d", says: "print its number and do not wait"),
        CommandOption(name: "--json", says: "print exactly one JSON object"), .help,
    ], operand: .text, help: execHelp, run: exec)

private let execHelp = """
    cordon session exec: run a command in a session

    usage: cordon session exec [OPTION…] SESSION -- COMMAND [ARGUMENT…]

      --cwd DIR          the working directory: the workspace, or a directory in it
      --timeout D        a deadline, such as 30s
      --memory S         a limit of its own, within the session's
      --pids N           a limit of its own on processes, within the session's
      --env K=V          set a variable (may be given again); --env K passes the caller's
      -d, --background   print its number and do not wait; what it starts goes on
      --json             print exactly one JSON object, as cordon run does

    Standard input, output and errors are passed on, and so are SIGINT, SIGTERM, SIGHUP and SIGQUIT. Exit codes as those of
    cordon run.

    examples:
      cordon session exec work -- make test
      echo 'print(6*7)' | cordon session exec work -- python3 -
      cordon session exec --json --timeout 5s work -- ./untrusted

    """

@Sendable private func exec(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    let limits = RunOptions.LimitReader()
    var reader = OptionReader(arguments, help: "cordon session exec --help")
    var params = JsonObject()
    var environment = JsonObject()
    var json = false, isBackground = false
    while let option = try usage({ () throws(UsageError) in try reader.next(known: execSubcommand.known) }) {
        switch option.name {
        case "--cwd": params.add("cwd", .string(try usage { () throws(UsageError) in try reader.value(of: option) }))
        case "--timeout": params.add("timeout_ms", .count(try limits.duration(option, &reader)))
        case "--memory": params.add("memory", .count(try limits.size(option, &reader)))
        case "--pids": params.add("pids", .count(try limits.count(option, &reader)))
        case "--env":
            let (name, text) = try limits.variable(option, &reader)
            environment.add(name, .string(text))
        default:
            try usage { () throws(UsageError) in try reader.requireFlag(option) }
            if option.name == "--json" { json = true } else { isBackground = true }
        }
    }
    var words = reader.operands
    guard !words.isEmpty else {
        throw .usage(UsageError("no session", remedy: "write cordon session exec SESSION -- COMMAND"))
    }
    params.add("session", .string(words.removeFirst()))
    if words.first == "--" { words.removeFirst() }
    guard !words.isEmpty else {
        throw .usage(UsageError("no command", remedy: "write cordon session exec SESSION -- COMMAND"))
    }
    params.add("argv", .array(words.map { .string($0) }))
    if !environment.names.isEmpty { params.add("env", .object(environment)) }
    let client = try connectToSessions()
    if isBackground {
        params.add("background", .bool(true))
        let started = try asking { () throws(ClientError) in try client.call("command.start", params) }
        leave(printing: json ? started.text + "\n" : "\(started["command"]?.whole ?? 0)\n", code: 0)
    }
    do throws(Errno) {
        let execution = try Execution(client, params, isCaptured: json)
        finish(try execution.run(), json: json)
    } catch {
        throw .other(LaunchFailure(step: "exec", errno: error))
    }
}

private func finish(_ result: Result<JsonObject, ClientError>, json: Bool) -> Never {
    switch result {
    case .success(let report):
        if json {
            put(report.text + "\n", to: 1)
        } else if let failure = report["error"]?.members, let step = failure["step"]?.text {
            let object = failure["object"]?.text ?? "", errno = failure["errno"]?.text.map { ": " + $0 } ?? ""
            put(
                "cordon: \(step)\(object.isEmpty ? "" : " " + printable(object))\(errno); \(failure["remedy"]?.text ?? "")\n",
                to: 2)
        } else if let note = note(report) {
            put("cordon: \(note)\n", to: 2)
        }
        exitNow(exitCode(report))
    case .failure(.answered(let error)):
        let isDenied = error.code == .denied || error.code == .notApproved
        if json {
            var outcome = Outcome(
                reason: isDenied ? .denied : .error, guarantees: GuaranteeNames(enforced: [], degraded: [], notes: []))
            if !isDenied {
                outcome.failure = LaunchFailure(
                    step: error.data["step"]?.text ?? error.code.name, object: error.data["object"]?.text ?? "",
                    remedy: error.data["remedy"]?.text ?? error.message)
            }
            var report = reportObject(outcome)
            if isDenied { report.replace("denials", .array([.object(error.data)])) }
            put(report.text + "\n", to: 1)
        } else {
            put("cordon: \(isDenied ? "denied: " : "")\(printable(error.message))\n", to: 2)
        }
        exitNow(isDenied ? 126 : ExitCode.cordonFailed)
    case .failure(let error): leave(printing: "cordon: \(error.message)\n", code: ExitCode.cordonFailed, to: 2)
    }
}

/// One line where a command did not end by itself.
private func note(_ report: JsonObject) -> String? {
    switch report["reason"]?.text {
    case "timeout": "stopped at the time limit after \(formatDuration(report["duration_ms"]?.unsigned ?? 0))"
    case "cpu_timeout": "stopped at the limit of processor time, \(report["cpu_ms"]?.unsigned ?? 0) ms used"
    case "oom": "killed at the memory limit; the peak was \(formatSize(report["max_memory_bytes"]?.unsigned ?? 0))"
    case "output_limit": "stopped at the limit of output"
    case "signaled": "killed by \(Signal.name(Int32(clamping: report["signal"]?.whole ?? 0)))"
    default: nil
    }
}

/// As the command-line contract says.
func exitCode(_ report: JsonObject) -> Int32 {
    func number(_ name: String) -> Int32? { report[name]?.whole.map { Int32(clamping: $0) } }
    switch report["reason"]?.text {
    case "exited": return number("exit_code") ?? ExitCode.cordonFailed
    case "signaled": return 128 + (number("signal") ?? 0)
    case "timeout", "cpu_timeout": return 124
    case "oom", "output_limit": return 137
    case "denied": return 126
    default:
        guard let failure = report["error"]?.members, failure["step"]?.text == "execve" else {
            return ExitCode.cordonFailed
        }
        return ["ENOENT", "ENOTDIR"].contains(failure["errno"]?.text) ? 127 : 126
    }
}

/// A command whose streams are this process's own.
private final class Execution {
    private let client: Client
    private let params: JsonObject
    private let isCaptured: Bool
    private let loop: EventLoop
    private var result: Result<JsonObject, ClientError>?
    private var session: JsonValue = .null, command: JsonValue = .null
    private var openStreams = 0
    private var inputWatch: EventLoop.Watch?
    private var inputIsWatchable = true
    private var input: UInt32?
    private var earlySignals: [Int32] = []

    init(_ client: Client, _ params: JsonObject, isCaptured: Bool) throws(Errno) {
        self.client = client
        self.params = params
        self.isCaptured = isCaptured
        loop = try EventLoop()
    }

    func run() throws(Errno) -> Result<JsonObject, ClientError> {
        let signals = try SignalSource([Signal.interrupt, Signal.terminate, Signal.hangUp, Signal.quit])
        _ = try loop.watch(signals.descriptor.raw, .readable) { [self] _ in
            while let number = (try? signals.next()) ?? nil { kill(number) }
        }
        _ = try loop.watch(client.descriptor, .readable) { [self] _ in
            client.receive()
            if client.isLost { loop.stop() }
        }
        client.whenTold = { [self] method, params in told(method, params) }
        var wish = params
        wish.add("stream", .bool(true))
        if hasInput() { wish.add("stdin", .string("open")) }
        wish.add("inline", .number(isCaptured ? 256 << 10 : 0))
        client.send("command.run", wish) { [self] answer in
            result = answer
            considerEnd()
        }
        try loop.run()
        return try captured(result ?? .failure(.lost("it has ended")))
    }

    private func considerEnd() {
        guard let result else { return }
        if case .success = result, openStreams > 0 { return }
        loop.stop()
    }

    private func told(_ method: String, _ params: JsonObject) {
        if method == "approval.pending", let question = params["approval"]?.members, let id = question["id"]?.text {
            return put("cordon: this waits for an answer: cordon approve \(id), or cordon deny \(id)\n", to: 2).discard
        }
        guard method == "command.started", let streams = params["streams"]?.members else { return }
        session = params["session"] ?? .null
        command = params["command"] ?? .null
        for (name, descriptor) in [("stdout", Int32(1)), ("stderr", 2)] {
            guard let number = streams[name]?.whole.flatMap({ UInt32(exactly: $0) }) else { continue }
            openStreams += 1
            client.open(
                number,
                StreamHandler(
                    data: { [self] bytes in if !isCaptured { pass(bytes, to: descriptor) } },
                    end: { [self] in
                        openStreams -= 1
                        considerEnd()
                    }))
        }
        if let number = streams["stdin"]?.whole.flatMap({ UInt32(exactly: $0) }) {
            input = number
            client.open(
                number,
                StreamHandler(end: { [self] in stopReading() }, room: { [self] in readInput() }))
            readInput()
        }
        for number in earlySignals { kill(number) }
        earlySignals = []
    }

    /// Whoever takes no more has gone: the command is told as it would be by a broken pipe.
    private func pass(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            do throws(Errno) { rest = rest.dropFirst(try write(descriptor, rest)) } catch {
                if error == .again, (try? waitWritable(descriptor)) != nil { continue }
                return kill(Signal.pipe)
            }
        }
    }

    private func kill(_ number: Int32) {
        guard command != .null else { return earlySignals.append(number) }
        client.send(
            "command.kill", ["session": session, "command": command, "signal": .string(String(number))]
        ) { _ in }
    }

    // MARK: - Input

    private func readInput() {
        guard let stream = input, client.room(on: stream) > 0 else { return stopWatching() }
        if inputIsWatchable {
            guard inputWatch == nil else { return }
            do throws(Errno) {
                inputWatch = try loop.watch(0, .readable) { [self] _ in takeInput() }
                return
            } catch {
                // EPERM: a file, which is always ready.
                inputIsWatchable = false
            }
        }
        while input != nil, client.room(on: stream) > 0 { takeInput() }
    }

    private func takeInput() {
        guard let stream = input else { return }
        let room = min(client.room(on: stream), 65536)
        guard room > 0 else { return stopWatching() }
        var buffer = [UInt8](repeating: 0, count: room)
        let count: Int
        do throws(Errno) { count = try read(0, into: &buffer) } catch {
            if error == .again { return }
            count = 0
        }
        guard count > 0 else {
            client.finish(stream)
            return stopReading()
        }
        client.write(Array(buffer[..<count]), on: stream)
    }

    private func stopWatching() {
        if let watch = inputWatch { loop.unwatch(watch) }
        inputWatch = nil
    }

    private func stopReading() {
        stopWatching()
        input = nil
    }

    // MARK: - Captures

    /// All that was kept of both streams, where the report has no room for it.
    private func captured(_ result: Result<JsonObject, ClientError>) throws(Errno) -> Result<JsonObject, ClientError> {
        guard isCaptured, case .success(var report) = result else { return result }
        for name in ["stdout", "stderr"] where report[name + "_truncated"]?.truth == true {
            var bytes: [UInt8] = [], cursor: UInt64 = 0, isCut = false
            while true {
                let request: JsonObject = [
                    "session": session, "command": command, "stream": .string(name), "cursor": .count(cursor),
                    "limit": .number(256 << 10),
                ]
                let part: JsonObject
                do throws(ClientError) { part = try client.call("command.read", request) } catch {
                    return .failure(error)
                }
                let text = part["data"]?.text ?? ""
                bytes += part["data_encoding"]?.text == "base64" ? base64Decoded(text) ?? [] : Array(text.utf8)
                if part["skipped"]?.unsigned ?? 0 > 0 { isCut = true }
                let next = part["next"]?.unsigned ?? 0
                guard next > cursor else { break }
                cursor = next
                if part["end"]?.truth == true { break }
            }
            var output = JsonObject()
            addOutput(bytes, as: name, to: &output)
            for member in output.names { if let value = output[member] { report.replace(member, value) } }
            report.replace(name + "_truncated", .bool(isCut))
        }
        return .success(report)
    }
}

extension Bool {
    /// A result that is of no interest.
    fileprivate var discard: Void { () }
}
