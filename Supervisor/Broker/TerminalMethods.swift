// Terminals in sessions: opened, written to, read, shared by clients.
internal import Audit
internal import Journal
internal import Linux
internal import PolicyModel
internal import Reports
internal import SupervisorCore
internal import Wire

extension Broker {
    func openTerminal(_ call: Call, _ params: inout Params) throws(RpcError) {
        let entry = try session(&params, of: call)
        let wish = try CommandWish(&params, isStarted: true, isOnTerminal: true)
        var request = TerminalRequest(arguments: [], directory: "", environment: [])
        request.size = try size(&params) ?? .usual
        request.term = try params.optionalText("term", most: 64)
        if let term = request.term, !term.utf8.allSatisfy(isNameByte) || term.isEmpty {
            throw params.wrong("term", "must be the name of a kind of terminal, such as xterm-256color")
        }
        request.idleLimit = try params.optionalCount("idle_ms", 1...31_536_000_000)
        if let bytes = try params.optionalCount("buffer", 4096...(64 << 20)) { request.outputCapacity = Int(bytes) }
        try params.finish()
        request.wallLimit = wish.wall ?? entry.policy.resources.wall?.value
        let own = entry.ownLimits(memory: wish.memory, pids: wish.pids, machineMemory: supervisor.machine.memory)
        request.memory = own.memory
        request.pids = own.pids
        try judge(wish, in: entry, for: call) { [weak self] result in
            guard let self, !call.isAnswered else { return }
            do throws(RpcError) {
                let allowed = try result.get()
                var request = request
                request.arguments = allowed.argv
                request.directory = allowed.directory
                request.secrets = allowed.secrets
                request.environment = allowed.environment.map { $0.name + "=" + $0.value }
                let terminal = try open(request, allowed, wish, in: entry, for: call)
                call.answer(["terminal": .count(terminal.id), "state": .string(terminal.state.rawValue)])
            } catch {
                call.fail(error)
            }
        }
    }

    private func open(
        _ request: TerminalRequest, _ allowed: AllowedCommand, _ wish: CommandWish, in entry: OpenSession,
        for call: Call
    ) throws(RpcError) -> SessionTerminal {
        let (terminal, started) = try launch(
            request.arguments, isBackground: true, allowed, wish, in: entry, for: call,
            facts: ["terminal": .bool(true)],
            // So many are open already.
            refusal: { $0.step == "terminal" ? RpcError(.limit, $0.description, $0.json) : $0.rpc }
        ) { () throws(LaunchFailure) in try entry.session.open(request) }
        terminal.whenEnded { [weak self, unowned terminal] in
            self?.recordEnd(terminal.outcome, output: terminal.produced, started, in: entry)
        }
        return terminal
    }

    private func size(_ params: inout Params) throws(RpcError) -> TerminalSize? {
        let rows = try params.optionalCount("rows"), columns = try params.optionalCount("columns")
        guard rows != nil || columns != nil else { return nil }
        guard let rows, let columns, let size = TerminalSize(rows: Int(clamping: rows), columns: Int(clamping: columns))
        else {
            throw params.wrong("rows", "and \"columns\" must both be from 1 to \(TerminalSize.most)")
        }
        return size
    }

    private func terminal(_ params: inout Params, in entry: OpenSession) throws(RpcError) -> SessionTerminal {
        let number = try params.count("terminal", 1...UInt64(Int64.max))
        guard let terminal = entry.session.terminal(number) else {
            throw RpcError(
                .unknownTerminal, "no terminal \(number) in this session, or not any more",
                ["terminal": .count(number)])
        }
        return terminal
    }

    func writeToTerminal(_ call: Call, _ params: inout Params) throws(RpcError) {
        let entry = try session(&params, of: call)
        let terminal = try terminal(&params, in: entry)
        let bytes = try params.bytes("data")
        try params.finish()
        guard terminal.state != .ended else { throw ended(terminal) }
        var rest = bytes[...]
        func write() {
            guard !call.isAnswered else { return }
            rest = rest.dropFirst(terminal.write(rest))
            if rest.isEmpty { return call.answer(["written": .number(Int64(bytes.count))]) }
            terminal.whenRoom { write() }
        }
        write()
    }

    private func ended(_ terminal: SessionTerminal) -> RpcError {
        RpcError(.ended, "terminal \(terminal.id) has ended", ["terminal": .count(terminal.id)])
    }

    func readTerminal(_ call: Call, _ params: inout Params) throws(RpcError) {
        let entry = try session(&params, of: call)
        let terminal = try terminal(&params, in: entry)
        let drains = try params.flag("drain")
        let cursor = try params.optionalCount("cursor") ?? terminal.oldest
        let limit = Int(try params.optionalCount("limit", 1...CommandWish.mostInline) ?? 65536)
        let wait = try params.optionalCount("wait_ms", 0...86_400_000) ?? 0
        try params.finish()
        func isReady() -> Bool { terminal.produced > (drains ? terminal.oldest : cursor) || terminal.state == .ended }
        func tell() {
            let chunk = drains ? terminal.drain(limit: limit) : terminal.read(from: cursor, limit: limit)
            do throws(RpcError) {
                try records.acknowledge(
                    session: entry.id, command: terminal.id, errors: false, from: chunk.start, chunk.bytes)
            } catch {
                return call.fail(error)
            }
            var json = JsonObject()
            addOutput(chunk.bytes, as: "data", to: &json)
            json.add("start", .count(chunk.start))
            json.add("next", .count(chunk.next))
            json.add("skipped", .count(chunk.missed))
            json.add("total", .count(terminal.produced))
            json.add("end", .bool(terminal.state == .ended && chunk.next >= terminal.produced))
            json.add("state", .string(terminal.state.rawValue))
            call.answer(json)
        }
        guard wait > 0, !isReady() else { return tell() }
        waitForOutput(wait, call, isReady: isReady, again: { terminal.whenOutput($0) }, then: tell)
    }

    func clearTerminal(_ call: Call, _ params: inout Params) throws(RpcError) {
        let entry = try session(&params, of: call)
        let terminal = try terminal(&params, in: entry)
        try params.finish()
        terminal.clear()
        call.answer(["next": .count(terminal.produced)])
    }

    func resizeTerminal(_ call: Call, _ params: inout Params) throws(RpcError) {
        let entry = try session(&params, of: call)
        let terminal = try terminal(&params, in: entry)
        guard let size = try size(&params) else { throw params.wrong("rows", "is missing") }
        try params.finish()
        do throws(LaunchFailure) { try terminal.resize(rows: Int(size.rows), columns: Int(size.columns)) } catch {
            throw error.rpc
        }
        call.answer(["rows": .number(Int64(size.rows)), "columns": .number(Int64(size.columns))])
    }

    func signalTerminal(_ call: Call, _ params: inout Params) throws(RpcError) {
        let entry = try session(&params, of: call)
        let terminal = try terminal(&params, in: entry)
        guard let number = try params.signal("signal") else { throw params.wrong("signal", "is missing") }
        try params.finish()
        do throws(LaunchFailure) { try terminal.signal(number) } catch { throw error.rpc }
        call.answer(["state": .string(terminal.state.rawValue)])
    }

    func closeTerminal(_ call: Call, _ params: inout Params) throws(RpcError) {
        let entry = try session(&params, of: call)
        let terminal = try terminal(&params, in: entry)
        try params.finish()
        terminal.hangUp()
        terminal.whenEnded { [unowned terminal] in
            entry.touch()
            call.answer(["closed": .count(terminal.id)])
            entry.session.forget(terminal.id)
        }
    }

    func waitForTerminal(_ call: Call, _ params: inout Params) throws(RpcError) {
        let entry = try session(&params, of: call)
        let terminal = try terminal(&params, in: entry)
        try params.finish()
        terminal.whenEnded { [unowned terminal] in
            entry.touch()
            call.answer(reportObject(terminal.outcome, inline: 0))
        }
    }

    func listTerminals(_ call: Call, _ params: inout Params) throws(RpcError) {
        let entry = try session(&params, of: call)
        try params.finish()
        call.answer(["terminals": .array(entry.session.allTerminals.map { .object($0.summary) })])
    }

    func attachToTerminal(_ call: Call, _ params: inout Params) throws(RpcError) {
        let entry = try session(&params, of: call)
        let terminal = try terminal(&params, in: entry)
        let cursor = try params.optionalCount("cursor") ?? 0
        let paces = try params.flag("paces")
        try params.finish()
        var event = AuditEvent(.terminalAttached, who: AuditEvent.Who(call.connection, session: entry.id))
        event.facts = ["terminal": .count(terminal.id)]
        try records.tell(event)
        let attachment = Attachment(terminal.attach(from: cursor, paces: paces), to: terminal)
        let output = call.connection.openOutgoing { attachment.pump() }
        attachment.output = output
        let input = call.connection.openIncoming({ attachment.write($0) }, end: { attachment.detach() })
        attachment.input = input
        attachment.connection = call.connection
        call.answer([
            "streams": ["output": .number(Int64(output.number)), "input": .number(Int64(input.number))],
            "rows": .number(Int64(terminal.size.rows)), "columns": .number(Int64(terminal.size.columns)),
            "state": .string(terminal.state.rawValue),
        ])
        attachment.pump()
    }
}

/// A client at a terminal. Its streams keep it; the end of the one that it writes on is its leave.
private final class Attachment {
    private let client: TerminalClient
    private let terminal: SessionTerminal
    var output: OutgoingStream?
    var input: IncomingStream?
    weak var connection: Connection?
    private var pending: ArraySlice<UInt8> = []
    private var isOver = false
    private var waits = false

    init(_ client: TerminalClient, to terminal: SessionTerminal) {
        self.client = client
        self.terminal = terminal
    }

    /// Passes on what there is room for.
    func pump() {
        while !isOver, let output {
            let room = output.room
            guard room > 0 else { return }
            let chunk = client.read(limit: min(room, 1 << 16))
            if !chunk.bytes.isEmpty {
                output.take(chunk.bytes[...])
                continue
            }
            if terminal.state == .ended { return finish() }
            guard !waits else { return }
            waits = true
            return client.whenOutput { [self] in
                waits = false
                pump()
            }
        }
    }

    func write(_ bytes: [UInt8]) {
        pending += bytes
        feed()
    }

    private func feed() {
        guard !isOver else { return }
        pending = pending.dropFirst(terminal.write(pending))
        if pending.isEmpty {
            pending = []
            input?.grant()
        } else {
            terminal.whenRoom { [weak self] in self?.feed() }
        }
    }

    func detach() { finish() }

    private func finish() {
        guard !isOver else { return }
        isOver = true
        client.detach()
        output?.end()
        if let input { connection?.closeIncoming(input.number) }
        output = nil
        input = nil
    }
}

extension SessionTerminal {
    /// What is known of it now.
    fileprivate var summary: JsonObject {
        var json: JsonObject = [
            "terminal": .count(id), "state": .string(state.rawValue),
            "argv": shortened(request.arguments), "cwd": .string(request.directory),
            "rows": .number(Int64(size.rows)), "columns": .number(Int64(size.columns)), "total": .count(produced),
            "oldest": .count(oldest),
        ]
        if state == .ended {
            json.add("reason", .string(outcome.reason.rawValue))
            json.add("exit_code", outcome.exitCode.map { .number(Int64($0)) } ?? .null)
            json.add("signal", outcome.signal.map { .number(Int64($0)) } ?? .null)
            json.add("idle", .bool(wasIdle))
        }
        return json
    }
}
