// Sessions whose supervisor died: what was recorded of them can be read, and they can be begun anew on their workspace.
internal import Caller
internal import Journal
internal import Linux
internal import Reports
internal import SupervisorCore
internal import Wire

extension Broker {
    func findInterrupted(_ text: String, user: UInt32) -> JournalSession? {
        let own = interrupted.values.filter { $0.entry.user == user }
        return own.first { $0.entry.id.utf8.elementsEqual(text.utf8) }
            ?? own.first { !$0.entry.name.isEmpty && $0.entry.name.utf8.elementsEqual(text.utf8) }
    }

    /// An interrupted session that a request names; nil where it names another one.
    func takeInterrupted(_ params: inout Params, of call: Call) throws(RpcError) -> JournalSession? {
        let text = try params.text("session"), user = call.connection.peer.user
        return find(text, user: user) == nil ? findInterrupted(text, user: user) : nil
    }

    func reopenSession(_ call: Call, _ params: inout Params) throws(RpcError) {
        guard let dead = try takeInterrupted(&params, of: call) else {
            _ = try session(&params, of: call)
            throw RpcError(.nameTaken, "this session is open")
        }
        var specification = SessionSpecification(dead.entry)
        try specification.takeVariables(&params)
        let idle = try params.optionalCount("idle_ms", 1...31_536_000_000) ?? settings.idle
        try params.finish()
        try records.requireRoom()
        let name = dead.entry.name.isEmpty ? nil : dead.entry.name
        // From now on nobody else takes it.
        interrupted[dead.entry.id] = nil
        var isMade = false
        call.whenUnanswered = { [weak self] in
            if !isMade { self?.interrupted[dead.entry.id] = dead }
        }
        makeSession(
            call, specification, name: name, idle: idle, limits: settings.session, isBound: false, reopening: dead
        ) { entry in
            isMade = true
            call.answer(["session": .object(entry.summary)])
        }
    }

    // MARK: - What is known of their commands

    private func command(_ params: inout Params, of dead: JournalSession) throws(RpcError) -> JournalCommand {
        let number = try params.count("command", 1...UInt64(Int64.max))
        guard let command = try records.commands(of: dead.entry.id).first(where: { $0.entry.number == number }) else {
            throw RpcError(
                .unknownCommand, "no command \(number) in this session, or not any more", ["command": .count(number)])
        }
        return command
    }

    func commandStatusOf(_ dead: JournalSession, _ call: Call, _ params: inout Params) throws(RpcError) {
        let command = try command(&params, of: dead)
        try params.finish()
        call.answer(command.summary)
    }

    func listCommandsOf(_ dead: JournalSession, _ call: Call, _ params: inout Params) throws(RpcError) {
        try params.finish()
        let all = try records.commands(of: dead.entry.id)
        call.answer(["commands": .array(all.map { .object($0.summary) })])
    }

    func waitForCommandOf(_ dead: JournalSession, _ call: Call, _ params: inout Params) throws(RpcError) {
        let command = try command(&params, of: dead)
        _ = try params.optionalCount("inline")
        try params.finish()
        guard case .ended(_, let report) = command.state,
            let object = (try? JsonValue(parsing: Array(report.utf8)))?.members
        else {
            throw RpcError(
                .ended, "its supervisor died before it ended: what became of it is not known",
                ["command": .count(command.entry.number), "state": .string("interrupted")])
        }
        call.answer(object)
    }

    private enum Name: String, CaseIterable { case stdout, stderr }

    func readCommandOf(_ dead: JournalSession, _ call: Call, _ params: inout Params) throws(RpcError) {
        let command = try command(&params, of: dead)
        let isErrors = try params.choice("stream", Name.self) == .stderr
        let cursor = try params.optionalCount("cursor") ?? 0
        let limit = Int(try params.optionalCount("limit", 1...CommandWish.mostInline) ?? 65536)
        _ = (try params.flag("lines"), try params.optionalCount("wait_ms"))
        try params.finish()
        let part = try records.output(
            session: dead.entry.id, command: command.entry.number, errors: isErrors, from: cursor, limit: limit)
        let total = (isErrors ? command.errors : command.output).end
        let start = part?.start ?? cursor, next = part?.next ?? cursor
        var json = JsonObject()
        addOutput(part?.bytes ?? [], as: "data", to: &json)
        json.add("start", .count(start))
        json.add("next", .count(next))
        json.add("skipped", .count(start - min(cursor, start)))
        json.add("total", .count(total))
        json.add("end", .bool(next >= total))
        json.add("state", .string(command.stateName))
        call.answer(json)
    }
}

extension JournalSession {
    var summary: JsonObject {
        var json: JsonObject = [
            "id": .string(entry.id), "name": entry.name.isEmpty ? .null : .string(entry.name),
            "state": .string("interrupted"),
            "policy": .string(entry.policy.isEmpty ? PolicyTiers.defaultPolicy : entry.policy),
            "workspace": .string(entry.workspace), "created_at": .count(entry.created / 1000), "commands": .number(0),
        ]
        if case .interrupted(let time) = state { json.add("interrupted_at", .count(time / 1000)) }
        if !entry.image.isEmpty { json.add("image", .string(entry.image)) }
        return json
    }
}

extension JournalCommand {
    fileprivate var stateName: String { if case .ended = state { "ended" } else { "interrupted" } }

    fileprivate var summary: JsonObject {
        var json: JsonObject = [
            "command": .count(entry.number), "state": .string(stateName),
            "argv": shortened(entry.arguments), "cwd": .string(entry.directory),
            "background": .bool(entry.isBackground), "stdout_bytes": .count(output.end),
            "stderr_bytes": .count(errors.end),
        ]
        if case .ended(_, let report) = state, let object = (try? JsonValue(parsing: Array(report.utf8)))?.members {
            for name in ["duration_ms", "reason", "exit_code", "signal"] {
                if let value = object[name] { json.add(name, value) }
            }
        }
        return json
    }
}
