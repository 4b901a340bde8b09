// Commands in sessions: run to the end or started, looked at, read, written to, killed.
internal import Audit
internal import Journal
internal import Linux
internal import Reports
internal import SupervisorCore
internal import Wire

extension Broker {
    func runCommand(_ call: Call, _ params: inout Params) throws(RpcError) {
        let entry = try session(&params, of: call)
        let wish = try CommandWish(&params, isStarted: false)
        try params.finish()
        try run(wish, in: entry, for: call)
    }

    /// A command in a jail of its own, which goes with it.
    func runOnce(_ call: Call, _ params: inout Params) throws(RpcError) {
        let specification = try specification(call, &params)
        var wish = try CommandWish(&params, isStarted: false, limits: false)
        wish.wall = specification.limits.wall
        try params.finish()
        makeSession(
            call, specification, name: nil, idle: nil, limits: settings.session, isBound: true, isForOne: true
        ) { [weak self] entry in
            do throws(RpcError) {
                try self?.run(wish, in: entry, for: call) { self?.close(entry, why: "it was made for one command") }
            } catch {
                call.fail(error)
                self?.close(entry, why: "it was made for one command")
            }
        }
    }

    /// Runs it to its end and answers with its report.
    ///
    /// - Parameter after: called once it has ended or could not be run.
    private func run(
        _ wish: CommandWish, in entry: OpenSession, for call: Call, after: @escaping () -> Void = {}
    ) throws(RpcError) {
        try judge(wish, in: entry, for: call) { [weak self] result in
            guard let self else { return }
            guard !call.isAnswered else { return after() }
            do throws(RpcError) {
                let command = try begin(try result.get(), wish, in: entry, for: call)
                let streams = wish.isStreamed ? connect(command, of: call.connection) : nil
                if let streams {
                    call.connection.send(
                        .request(id: nil, method: "command.started", params: started(call, entry, command, streams)))
                }
                call.whenCancelled = { try? command.kill(Signal.kill) }
                command.whenEnded { [weak self, unowned command] in
                    self?.answer(call, command, in: entry, inline: wish.inline)
                    after()
                }
            } catch {
                call.fail(error)
                after()
            }
        }
    }

    private func answer(_ call: Call, _ command: SessionCommand, in entry: OpenSession, inline: Int) {
        do throws(RpcError) {
            try acknowledge(command, in: entry, inline: inline)
            call.answer(inline) { inline in
                var report = reportObject(command.outcome, inline: inline)
                report.add("command", .count(command.id))
                return report
            }
        } catch {
            call.fail(error)
        }
    }

    private func started(
        _ call: Call, _ entry: OpenSession, _ command: SessionCommand, _ streams: JsonObject
    ) -> JsonObject {
        [
            "request": call.id?.json ?? .null, "session": .string(entry.id), "command": .count(command.id),
            "streams": .object(streams),
        ]
    }

    func startCommand(_ call: Call, _ params: inout Params) throws(RpcError) {
        let entry = try session(&params, of: call)
        let wish = try CommandWish(&params, isStarted: true)
        try params.finish()
        try judge(wish, in: entry, for: call) { [weak self] result in
            guard let self, !call.isAnswered else { return }
            do throws(RpcError) {
                let command = try begin(try result.get(), wish, in: entry, for: call)
                var answer: JsonObject = ["command": .count(command.id), "state": .string(command.state.rawValue)]
                if wish.isStreamed { answer.add("streams", .object(connect(command, of: call.connection))) }
                call.answer(answer)
            } catch {
                call.fail(error)
            }
        }
    }

    private func begin(
        _ allowed: AllowedCommand, _ wish: CommandWish, in entry: OpenSession, for call: Call
    ) throws(RpcError) -> SessionCommand {
        var request = SessionRequest(
            arguments: allowed.argv, directory: allowed.directory,
            environment: allowed.environment.map { $0.name + "=" + $0.value })
        let resources = entry.policy.resources
        let own = entry.ownLimits(memory: wish.memory, pids: wish.pids, machineMemory: supervisor.machine.memory)
        request.input = wish.input
        request.secrets = allowed.secrets
        request.wallLimit = wish.wall ?? resources.wall?.value
        request.cpuLimit = resources.cpu?.value
        request.outputLimit = resources.output?.value ?? 2 << 20
        request.killsOnOutput = resources.outputAction.value == .kill
        request.memory = own.memory
        request.pids = own.pids
        request.isBackground = wish.isBackground
        return try record(request, allowed, wish, in: entry, for: call)
    }

    /// Runs it, with a record of what is about to be done before, and of what became of it behind.
    private func record(
        _ request: SessionRequest, _ allowed: AllowedCommand, _ wish: CommandWish, in entry: OpenSession, for call: Call
    ) throws(RpcError) -> SessionCommand {
        let (command, started) = try launch(
            request.arguments, isBackground: request.isBackground, allowed, wish, in: entry, for: call
        ) { () throws(LaunchFailure) in try entry.session.run(request) }
        command.whenEnded { [weak self, unowned command] in
            self?.recordEnd(
                command.outcome, output: command.produced.output + command.produced.errors, started, in: entry)
        }
        return command
    }

    /// Starts something that was admitted, behind the record of its start.
    ///
    /// - Returns: what was started, and by what the record of its end is to name its start.
    func launch<Started>(
        _ argv: [String], isBackground: Bool, _ allowed: AllowedCommand, _ wish: CommandWish, in entry: OpenSession,
        for call: Call, facts: JsonObject = [:], refusal: (LaunchFailure) -> RpcError = { $0.rpc },
        _ start: () throws(LaunchFailure) -> Started
    ) throws(RpcError) -> (Started, StartRecord) {
        let number: UInt64
        do throws(LaunchFailure) { number = try entry.session.admit() } catch { throw error.rpc }
        let started = try recordStart(
            number, argv, isBackground: isBackground, allowed, wish, in: entry, for: call, facts: facts)
        do throws(LaunchFailure) { return (try start(), started) } catch {
            records.note(
                .commandEnded(session: entry.id, number: number, at: wallMilliseconds(), report: error.json.text))
            throw refusal(error)
        }
    }

    /// What the record of a command's start is known by.
    struct StartRecord {
        fileprivate let number: UInt64
        fileprivate let about: UInt64
        fileprivate let who: AuditEvent.Who
    }

    /// Records a command that is about to start: where that fails, it must not.
    private func recordStart(
        _ number: UInt64, _ argv: [String], isBackground: Bool, _ allowed: AllowedCommand, _ wish: CommandWish,
        in entry: OpenSession, for call: Call, facts: JsonObject
    ) throws(RpcError) -> StartRecord {
        let who = AuditEvent.Who(call.connection, session: entry.id)
        var event = AuditEvent(.commandStarted, who: who)
        event.method = call.method
        event.command = wish.audited
        event.directory = allowed.directory
        event.workspace = entry.prepared.workspace.path
        event.isJailed = true
        event.verdict = allowed.verdict.json
        event.plan = entry.prepared.planHash
        event.facts = facts
        event.facts.add("number", .count(number))
        if wish.form != .none { event.facts.add("input", .string(wish.form.rawValue)) }
        let about = try records.tell(event, masked: entry.prepared.jail.maskedValues + allowed.secrets)
        try records.begin(
            .commandStarted(
                session: entry.id,
                CommandEntry(
                    number: number, arguments: argv, directory: allowed.directory, isBackground: isBackground,
                    started: wallMilliseconds())))
        return StartRecord(number: number, about: about, who: who)
    }

    /// Records what became of a command.
    func recordEnd(_ outcome: Outcome, output: UInt64, _ started: StartRecord, in entry: OpenSession) {
        entry.touch()
        // With a session that was closed the journal has forgotten its commands.
        if sessions[entry.id] != nil {
            records.note(
                .commandEnded(
                    session: entry.id, number: started.number, at: wallMilliseconds(),
                    report: reportObject(outcome, inline: 0).text
                ))
        }
        _ = try? records.tell(
            AuditEvent(ended: outcome, output: output, about: started.about, who: started.who),
            masked: entry.prepared.jail.maskedValues)
        records.metrics.commands.add(1, outcome.reason.rawValue)
        records.metrics.commandSeconds.observe(Double(outcome.durationMilliseconds) / 1000)
        records.metrics.outputBytes.add(output)
    }

    /// Records what a report is about to say of the output.
    private func acknowledge(_ command: SessionCommand, in entry: OpenSession, inline: Int) throws(RpcError) {
        guard sessions[entry.id] != nil else { return }
        for (isErrors, stream) in [(false, command.outcome.output), (true, command.outcome.errors)] {
            try acknowledge(
                stream, total: isErrors ? command.produced.errors : command.produced.output, inline, isErrors, command,
                entry)
        }
    }

    /// Head and tail, as the report has them.
    private func acknowledge(
        _ stream: CapturedStream, total: UInt64, _ inline: Int, _ isErrors: Bool, _ command: SessionCommand,
        _ entry: OpenSession
    ) throws(RpcError) {
        let bytes = stream.bytes
        guard !bytes.isEmpty, inline > 0 else { return }
        if bytes.count <= inline, !stream.isTruncated {
            return try records.acknowledge(
                session: entry.id, command: command.id, errors: isErrors, from: 0, bytes)
        }
        let head = Array(bytes.prefix(min(bytes.count, inline - inline / 2))), tail = Array(bytes.suffix(inline / 2))
        try records.acknowledge(session: entry.id, command: command.id, errors: isErrors, from: 0, head)
        try records.acknowledge(
            session: entry.id, command: command.id, errors: isErrors, from: total - UInt64(tail.count), tail)
    }

    /// Gives a client streams for what a command says and hears.
    private func connect(_ command: SessionCommand, of connection: Connection) -> JsonObject {
        var json = JsonObject()
        for (name, isErrors) in [("stdout", false), ("stderr", true)] {
            let stream = connection.openOutgoing { [weak command] in command?.resume(errors: isErrors) }
            json.add(name, .number(Int64(stream.number)))
            command.connect(errors: isErrors, stream)
        }
        if command.takesInput {
            var incoming: IncomingStream?
            let stream = connection.openIncoming(
                { [weak command] bytes in
                    command?.write(bytes) { if $0 { incoming?.grant() } }
                }, end: { [weak command] in command?.closeInput() })
            incoming = stream
            command.whenEnded { [weak connection] in connection?.closeIncoming(stream.number) }
            json.add("stdin", .number(Int64(stream.number)))
        }
        return json
    }

    // MARK: - Those that were started

    private func command(_ params: inout Params, in entry: OpenSession) throws(RpcError) -> SessionCommand {
        let number = try params.count("command", 1...UInt64(Int64.max))
        guard let command = entry.session.command(number) else {
            throw RpcError(
                .unknownCommand, "no command \(number) in this session, or not any more",
                ["command": .count(number)])
        }
        return command
    }

    func commandStatus(_ call: Call, _ params: inout Params) throws(RpcError) {
        if let dead = try takeInterrupted(&params, of: call) { return try commandStatusOf(dead, call, &params) }
        let entry = try session(&params, of: call)
        let command = try command(&params, in: entry)
        try params.finish()
        call.answer(command.summary)
    }

    func listCommands(_ call: Call, _ params: inout Params) throws(RpcError) {
        if let dead = try takeInterrupted(&params, of: call) { return try listCommandsOf(dead, call, &params) }
        let entry = try session(&params, of: call)
        try params.finish()
        call.answer(["commands": .array(entry.session.allCommands.map { .object($0.summary) })])
    }

    func readCommand(_ call: Call, _ params: inout Params) throws(RpcError) {
        if let dead = try takeInterrupted(&params, of: call) { return try readCommandOf(dead, call, &params) }
        let entry = try session(&params, of: call)
        let command = try command(&params, in: entry)
        let reading = try Reading(&params)
        try params.finish()
        let wait = reading.wait
        func tell() {
            do throws(RpcError) {
                let part = reading.bytes(command)
                try records.acknowledge(
                    session: entry.id, command: command.id, errors: reading.isErrors, from: part.start, part.bytes)
                call.answer(reading.answer(command, part))
            } catch {
                call.fail(error)
            }
        }
        guard wait > 0, !reading.isReady(command) else { return tell() }
        waitForOutput(
            wait, call, isReady: { reading.isReady(command) }, again: { command.whenOutput($0) },
            then: {
                entry.touch()
                tell()
            })
    }

    /// Waits until there is something to read, or the time is up.
    func waitForOutput(
        _ milliseconds: UInt64, _ call: Call, isReady: @escaping () -> Bool,
        again: @escaping (@escaping () -> Void) -> Void, then: @escaping () -> Void
    ) {
        var timer: EventLoop.Timer?
        func finish() {
            guard let own = timer, !call.isAnswered else { return }
            loop.cancel(own)
            timer = nil
            then()
        }
        func look() {
            guard timer != nil, !call.isAnswered else { return }
            if isReady() { finish() } else { again { look() } }
        }
        timer = loop.after(milliseconds: milliseconds) { finish() }
        call.whenCancelled = { [loop] in
            if let own = timer { loop.cancel(own) }
            timer = nil
        }
        look()
    }

    func waitForCommand(_ call: Call, _ params: inout Params) throws(RpcError) {
        if let dead = try takeInterrupted(&params, of: call) { return try waitForCommandOf(dead, call, &params) }
        let entry = try session(&params, of: call)
        let command = try command(&params, in: entry)
        let inline = Int(try params.optionalCount("inline", 0...CommandWish.mostInline) ?? CommandWish.usualInline)
        try params.finish()
        command.whenEnded { [weak self, unowned command] in
            entry.touch()
            self?.answer(call, command, in: entry, inline: inline)
        }
    }

    func killCommand(_ call: Call, _ params: inout Params) throws(RpcError) {
        let entry = try session(&params, of: call)
        let command = try command(&params, in: entry)
        let number = try params.signal("signal") ?? Signal.kill
        try params.finish()
        do throws(LaunchFailure) { try command.kill(number) } catch { throw error.rpc }
        call.answer(["state": .string(command.state.rawValue)])
    }

    func writeToCommand(_ call: Call, _ params: inout Params) throws(RpcError) {
        let entry = try session(&params, of: call)
        let command = try command(&params, in: entry)
        let bytes = try params.optionalBytes("data") ?? []
        let closes = try params.flag("close")
        try params.finish()
        guard command.takesInput else {
            throw RpcError(
                .ended,
                "it takes no input: it has ended, its input is closed, or it was started without \"stdin\": \"open\"",
                ["command": .count(command.id)])
        }
        // A writer that is faster than the command waits, and nobody else.
        command.write(bytes) { [unowned command] isTaken in
            guard isTaken else {
                return call.fail(RpcError(.ended, "it took no more of its input", ["command": .count(command.id)]))
            }
            call.answer(["written": .number(Int64(bytes.count))])
        }
        if closes { command.closeInput() }
    }

    func cleanUpCommands(_ call: Call, _ params: inout Params) throws(RpcError) {
        let entry = try session(&params, of: call)
        let number = try params.optionalCount("command", 1...UInt64(Int64.max))
        try params.finish()
        var forgotten: [JsonValue] = []
        for command in entry.session.allCommands
        where command.state == .ended && number.map({ $0 == command.id }) ?? true {
            entry.session.forget(command.id)
            records.note(.commandForgotten(session: entry.id, number: command.id))
            forgotten.append(.count(command.id))
        }
        call.answer(["forgotten": .array(forgotten)])
    }
}

/// What a `command.read` asks for.
private struct Reading {
    let isErrors: Bool
    private let cursor: UInt64
    private let limit: Int
    /// Whole lines only, while more may come.
    private let isLines: Bool
    /// Milliseconds to wait for something.
    let wait: UInt64

    enum Name: String, CaseIterable { case stdout, stderr }

    init(_ params: inout Params) throws(RpcError) {
        isErrors = try params.choice("stream", Name.self) == .stderr
        cursor = try params.optionalCount("cursor") ?? 0
        limit = Int(try params.optionalCount("limit", 1...UInt64(CommandWish.mostInline)) ?? 65536)
        isLines = try params.flag("lines")
        wait = try params.optionalCount("wait_ms", 0...86_400_000) ?? 0
    }

    func isReady(_ command: SessionCommand) -> Bool {
        !command.hasMoreOutput || !bytes(command).bytes.isEmpty
    }

    func bytes(_ command: SessionCommand) -> (bytes: [UInt8], start: UInt64, next: UInt64) {
        var part = command.read(errors: isErrors, from: cursor, limit: limit)
        if isLines, command.hasMoreOutput, part.bytes.count < limit {
            let whole = (part.bytes.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
            part.next -= UInt64(part.bytes.count - whole)
            part.bytes.removeLast(part.bytes.count - whole)
        }
        return part
    }

    func answer(
        _ command: SessionCommand, _ part: (bytes: [UInt8], start: UInt64, next: UInt64)
    ) -> JsonObject {
        let total = isErrors ? command.produced.errors : command.produced.output
        var json = JsonObject()
        addOutput(part.bytes, as: "data", to: &json)
        json.add("start", .count(part.start))
        json.add("next", .count(part.next))
        // Bytes in between that are not kept.
        json.add("skipped", .count(part.start - min(cursor, part.start)))
        json.add("total", .count(total))
        json.add("end", .bool(!command.hasMoreOutput && part.next >= total))
        json.add("state", .string(command.state.rawValue))
        return json
    }
}

/// Words, as far as they fit where many of them are told: the rest is left out, with a mark.
func shortened(_ words: [String]) -> JsonValue {
    var left = 1024
    var told: [JsonValue] = []
    for word in words {
        let size = word.utf8.count
        guard size <= left else {
            told.append(.string(String(decoding: word.utf8.prefix(left), as: UTF8.self) + "…"))
            break
        }
        left -= size + 1
        told.append(.string(word))
    }
    return .array(told)
}

extension SessionCommand {
    /// What is known of it now.
    var summary: JsonObject {
        var json: JsonObject = [
            "command": .count(id), "state": .string(state.rawValue),
            "argv": shortened(request.arguments), "cwd": .string(request.directory),
            "background": .bool(request.isBackground), "duration_ms": .count(elapsedMilliseconds),
            "stdout_bytes": .count(produced.output), "stderr_bytes": .count(produced.errors),
        ]
        if state == .ended {
            json.add("reason", .string(outcome.reason.rawValue))
            json.add("exit_code", outcome.exitCode.map { .number(Int64($0)) } ?? .null)
            json.add("signal", outcome.signal.map { .number(Int64($0)) } ?? .null)
        }
        return json
    }
}
