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

    Standard input, output and errors are passed on, and so are SIGINT, SIGTERM, SIGHUP and SIGQUIT. A command that has
    not ended 5 s after one of them, or at a second one, is killed. Exit codes as those of cordon run.

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
        let started: JsonObject
        do throws(ClientError) { started = try client.call("command.start", params) } catch { fail(error) }
        leave(printing: json ? started.text + "\n" : "\(started["command"]?.whole ?? 0)\n", code: 0)
    }
    do throws(Errno) {
        let execution = try Execution(client, params, isCaptured: json)
        let result = try execution.run()
        if let failure = execution.failure {
            leave(printing: "cordon: \(failure)\n", code: ExitCode.cordonFailed, to: 2)
        }
        finish(result, of: words.first, json: json)
    } catch {
        throw .other(LaunchFailure(step: "exec", errno: error))
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
    private var shown: [Int32: ShownOutput] = [1: ShownOutput(1), 2: ShownOutput(2)]
    private var farewell: Farewell?
    private var farewellTimer: EventLoop.Timer?
    /// The signal for which the command is ended.
    private var ended: Int32?
    private var isKillOpen = false
    /// Why output could not be written.
    private(set) var failure: LaunchFailure?

    init(_ client: Client, _ params: JsonObject, isCaptured: Bool) throws(Errno) {
        self.client = client
        self.params = params
        self.isCaptured = isCaptured
        loop = try EventLoop()
    }

    func run() throws(Errno) -> Result<JsonObject, ClientError> {
        let signals = try SignalSource([Signal.interrupt, Signal.terminate, Signal.hangUp, Signal.quit])
        _ = try loop.watch(signals.descriptor.raw, .readable) { [self] _ in
            while let number = (try? signals.next()) ?? nil { take(number) }
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
        for descriptor in shown.keys.sorted() { write([], to: descriptor, isLast: true) }
        guard let ended else { return try captured(result ?? .failure(.lost("it has ended"))) }
        var report: JsonObject
        if case .success(let own)? = result {
            report = own
        } else {
            report = reportObject(
                Outcome(reason: .signaled, guarantees: GuaranteeNames(enforced: [], degraded: [], notes: [])))
        }
        report.replace("reason", .string(EndReason.signaled.rawValue))
        report.replace("signal", .number(Int64(ended)))
        report.replace("exit_code", .null)
        return try captured(.success(report))
    }

    private func considerEnd() {
        guard let result else { return }
        if case .success = result, openStreams > 0 { return }
        loop.stop()
    }

    private func told(_ method: String, _ params: JsonObject) {
        sayQuestion(method, params)
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
    }

    private func pass(_ bytes: [UInt8], to descriptor: Int32) { write(bytes, to: descriptor, isLast: false) }

    /// Writes what the command says. Where that cannot be done the command is told as it would be by a broken pipe, and what it
    /// says from then on is nobody's.
    private func write(_ bytes: [UInt8], to descriptor: Int32, isLast: Bool) {
        do throws(Errno) {
            try shown[descriptor]?.write(bytes)
            if isLast { try shown[descriptor]?.flush() }
        } catch {
            shown[descriptor] = nil
            if error != .brokenPipe, failure == nil { failure = ShownOutput.failure(error, of: descriptor) }
            if !isLast { kill(Signal.pipe) }
        }
    }

    // MARK: - Signals

    /// Passes a request to end on; what comes next is none any more, and nor is to do nothing about it.
    private func take(_ number: Int32) {
        // Nothing of it runs yet, or its approval is waited for: to be left ends it.
        guard command != .null else {
            ended = number
            return loop.stop()
        }
        if let farewell, farewell.isRepeated { return end(farewell.signal) }
        let isByHand = number == Signal.interrupt && isTerminal(0)
        farewell = Farewell(number, isByHand: isByHand)
        if let farewellTimer { loop.cancel(farewellTimer) }
        farewellTimer = isByHand ? nil : loop.after(milliseconds: Farewell.length) { [self] in end(number) }
        kill(number)
    }

    private func end(_ number: Int32) {
        guard ended == nil else { return loop.stop() }
        ended = number
        kill(Signal.kill)
        // A supervisor that does not answer is left, and hears of it when it does.
        _ = loop.after(milliseconds: 2000) { [self] in loop.stop() }
    }

    private func kill(_ number: Int32) {
        guard command != .null else { return }
        isKillOpen = true
        let request: JsonObject = ["session": session, "command": command, "signal": .string(String(number))]
        client.send("command.kill", request) { [self] _ in isKillOpen = false }
        _ = loop.after(milliseconds: 2000) { [self] in
            if isKillOpen, ended == nil { client.tellSilence() }
        }
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

/// That somebody asked for the end, and what follows, as `cordon run` has it.
private struct Farewell {
    /// Milliseconds that the command has to end.
    static let length: UInt64 = 5000

    let signal: Int32
    private let repeatableUntil: UInt64

    /// - Parameter isByHand: whether it is the Ctrl-C that is part of how many programs are used: only two of them soon after
    ///   each other mean it.
    init(_ signal: Int32, isByHand: Bool) {
        self.signal = signal
        repeatableUntil = isByHand ? monotonicNanoseconds() + 2_000_000_000 : .max
    }

    var isRepeated: Bool { monotonicNanoseconds() < repeatableUntil }
}
