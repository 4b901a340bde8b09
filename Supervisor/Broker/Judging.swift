// From a wish for a command to one that may be started: judged by the session's policies, rewritten as they say, and asked
// about where they ask.
internal import Audit
internal import Caller
internal import JailPlanner
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import Reports
internal import SupervisorCore
internal import Wire

/// What a caller wants to run.
struct CommandWish {
    static let usualInline: UInt64 = 64 << 10, mostInline: UInt64 = 256 << 10

    enum Subject {
        case argv([String])
        case string(String)
    }

    let subject: Subject
    let directory: String?
    let environment: [(name: String, value: String)]
    var input = SessionRequest.Input.none
    private let isOnTerminal: Bool
    var wall: UInt64?
    let memory: UInt64?
    let pids: UInt64?
    let isBackground: Bool
    /// Whether it is answered when it has begun, not when it has ended.
    let isStarted: Bool
    let isStreamed: Bool
    /// Bytes of each stream that the report holds.
    let inline: Int

    private enum Standard: String, CaseIterable { case none, open }

    /// - Parameters:
    ///   - limits: whether it may name limits of its own.
    ///   - isOnTerminal: whether it is to have a terminal, by which it is read and written to.
    init(
        _ params: inout Params, isStarted: Bool, limits: Bool = true, isOnTerminal: Bool = false
    ) throws(RpcError) {
        self.isStarted = isStarted
        self.isOnTerminal = isOnTerminal
        let argv = try params.texts("argv"), string = try params.optionalText("command", most: 1 << 17)
        switch (argv, string) {
        case (let argv?, nil):
            guard let name = argv.first, !name.isEmpty else { throw params.wrong("argv", "needs a program") }
            subject = .argv(argv)
        case (nil, let string?): subject = .string(string)
        default: throw RpcError(.invalidParams, "exactly one of \"argv\" and \"command\" is needed")
        }
        directory = try params.optionalText("cwd")
        environment = limits ? try params.variables("env") : []
        wall = limits ? try params.optionalCount("timeout_ms", 1...UInt64(Int64.max)) : nil
        memory = limits ? try params.optionalCount("memory", 4096...UInt64(Int64.max)) : nil
        pids = limits ? try params.optionalCount("pids", 1...4_194_304) : nil
        guard !isOnTerminal else {
            (isBackground, isStreamed, inline) = (true, false, 0)
            return
        }
        isBackground = isStarted ? try params.flag("background") : false
        isStreamed = try params.flag("stream")
        inline = Int(try params.optionalCount("inline", 0...Self.mostInline) ?? Self.usualInline)
        let bytes = try params.optionalBytes("input")
        let standard = try params.choice("stdin", Standard.self)
        if let bytes {
            guard standard == nil else { throw params.wrong("stdin", "is given beside \"input\"") }
            input = .bytes(bytes)
        } else if standard == .open {
            guard isStarted || isStreamed else {
                throw params.wrong("stdin", "can be open only with \"stream\", or for a command that is started")
            }
            input = .later
        }
    }

    /// What it is judged to be given beside its words.
    var form: CommandInput {
        if isOnTerminal { return .terminal }
        return switch input {
        case .none: .none
        case .bytes(let bytes): bytes.isEmpty ? .none : .given
        case .later: .given
        }
    }

    /// For the audit log.
    var audited: AuditEvent.Command {
        switch subject {
        case .argv(let argv): .argv(argv)
        case .string(let string): .string(string)
        }
    }

    /// For people.
    var json: JsonObject {
        switch subject {
        case .argv(let argv): ["argv": .array(argv.map { .string($0) })]
        case .string(let string): ["command": .string(string)]
        }
    }
}

/// A command that may be started.
struct AllowedCommand {
    let argv: [String]
    let directory: String
    let environment: [(name: String, value: String)]
    /// Values of this command's own that must not leave.
    let secrets: [String]
    let verdict: Verdict
}

extension Broker {
    /// Judges a wish, and calls back with what may be started: at once, or when somebody has answered.
    func judge(
        _ wish: CommandWish, in entry: OpenSession, for call: Call,
        then: @escaping (Result<AllowedCommand, RpcError>) -> Void
    ) throws(RpcError) {
        let directory = try place(wish.directory, in: entry)
        let variables = try environment(wish, in: entry)
        let subject: PolicyDecision.CommandRequest.Subject =
            switch wish.subject {
            case .argv(let argv): .argv(argv)
            case .string(let string): .string(Array(string.utf8))
            }
        let request = PolicyDecision.CommandRequest(
            subject, workspace: entry.prepared.workspace.path, directory: directory, isJailed: true, input: wish.form)
        let verdict = entry.judge(request)
        let allowed = AllowedCommand(
            argv: verdict.argv ?? wish.argv(verdict), directory: directory,
            environment: changed(variables, by: verdict), secrets: entry.secrets(of: wish), verdict: verdict)
        switch verdict.decision {
        case .allow: then(.success(allowed))
        case .deny:
            try refuse(wish, verdict, directory, in: entry, for: call)
            throw RpcError(.denied, verdict.sentence, verdict.json)
        case .ask: try ask(wish, verdict, in: entry, directory, for: call) { then($0.map { allowed }) }
        }
    }

    /// Records that something was not started.
    private func refuse(
        _ wish: CommandWish, _ verdict: Verdict, _ directory: String, in entry: OpenSession, for call: Call
    ) throws(RpcError) {
        records.metrics.denials.add(1, verdict.mainEvidence?.rule ?? "")
        var event = AuditEvent(.commandRefused, who: AuditEvent.Who(call.connection, session: entry.id))
        event.method = call.method
        event.command = wish.audited
        event.directory = directory
        event.workspace = entry.prepared.workspace.path
        event.isJailed = true
        event.verdict = verdict.json
        if wish.form != .none { event.facts.add("input", .string(wish.form.rawValue)) }
        try records.tell(event, masked: entry.prepared.jail.maskedValues + entry.secrets(of: wish))
    }

    /// Records what was asked and what was said.
    private func tell(
        _ kind: AuditEvent.Kind, _ question: String, _ facts: JsonObject, in entry: OpenSession, _ who: Connection
    ) throws(RpcError) {
        var event = AuditEvent(kind, who: AuditEvent.Who(who, session: entry.id))
        event.facts = ["approval": .string(question)]
        for name in facts.names { if let value = facts[name] { event.facts.add(name, value) } }
        try records.tell(event, masked: entry.prepared.jail.maskedValues)
    }

    private func ask(
        _ wish: CommandWish, _ verdict: Verdict, in entry: OpenSession, _ directory: String, for call: Call,
        then: @escaping (Result<Void, RpcError>) -> Void
    ) throws(RpcError) {
        let tiers = entry.prepared.tiers.tiers
        let terms = ApprovalTerms(tiers)
        let key = entry.approvalKey(wish, directory, verdict.input)
        if let end = entry.approved[key], end > monotonicNanoseconds() { return then(.success(())) }
        guard terms.areForCli else {
            if ApprovalTerms.headlessAnswer(tiers) == .allow { return then(.success(())) }
            try refuse(wish, verdict, directory, in: entry, for: call)
            throw RpcError(
                .notApproved,
                "\(verdict.sentence); nobody can be asked: the policies do not name \"cli\" under approval.approvers",
                verdict.json)
        }
        let question = try approvals.ask(
            session: entry.id, by: call.connection, command: wish.json, verdict: verdict, terms: terms
        ) { answer in
            switch answer {
            case .approved(let scope):
                if scope == .session {
                    let limit = terms.expiry.map { nanoseconds(milliseconds: $0) }
                    entry.approved[key] =
                        limit.map { monotonicNanoseconds().addingReportingOverflow($0) }.map {
                            $0.overflow ? .max : $0.partialValue
                        } ?? .max
                }
                then(.success(()))
            case .denied: then(.failure(RpcError(.denied, "it was denied: \(verdict.sentence)", verdict.json)))
            case .withdrawn: then(.failure(RpcError(.cancelled, "it was taken back")))
            case .expired:
                then(.failure(RpcError(.notApproved, "nobody answered in time: \(verdict.sentence)", verdict.json)))
            }
        }
        call.whenCancelled = { [approvals] in approvals.withdraw(question) }
        do throws(RpcError) { try tell(.approvalAsked, question.id, wish.json, in: entry, call.connection) } catch {
            approvals.withdraw(question)
            throw error
        }
        // Who asked is told that somebody has to answer, and cannot do it.
        call.connection.send(
            .request(
                id: nil, method: "approval.pending",
                params: ["request": call.id?.json ?? .null, "approval": .object(question.json)]))
    }

    /// The directory that a command is to work in: the workspace or one in it, reached without a link.
    private func place(_ wanted: String?, in entry: OpenSession) throws(RpcError) -> String {
        let workspace = entry.prepared.workspace
        guard let wanted else { return workspace.path }
        func refuse(_ why: String, _ errno: Errno? = nil) -> RpcError {
            RpcError(
                .refused, "cwd \(wanted): \(why)",
                LaunchFailure(
                    step: "directory", object: wanted, errno: errno,
                    remedy: "name the workspace, or a directory in it, without links and \"..\""
                ).json)
        }
        let isAbsolute = wanted.utf8.first == UInt8(ascii: "/")
        let path = isAbsolute ? wanted : workspace.path + "/" + wanted
        let parts = pathComponents(path).filter { !sameBytes($0, ".") }
        guard !parts.contains(where: { sameBytes($0, "..") }) else {
            throw refuse("it has \"..\" in it")
        }
        let clean = parts.map { "/" + $0 }.joined()
        guard isInside(clean, workspace.path) else { throw refuse("it is not in the workspace") }
        do throws(Errno) {
            _ = try open(clean, [.path, .directory], beneath: currentDirectory, resolve: [.noSymlinks, .noMagicLinks])
        } catch {
            throw refuse(error.message, error)
        }
        return clean
    }

    /// The session's variables with those of the request. The policy may refuse these, and limits that are not within its own.
    private func environment(
        _ wish: CommandWish, in entry: OpenSession
    ) throws(RpcError) -> [(name: String, value: String)] {
        var variables = entry.prepared.jail.environment
        // What a shell runs or obeys before the string that was judged.
        if case .string = wish.subject {
            let asked = wish.environment.map(\.name) + entry.prepared.specification.limits.environment.map(\.0)
            if let name = asked.first(where: isReadByShell) {
                throw RpcError(
                    .refused, "\(name) changes what a shell does with a string: start a program by \"argv\" instead",
                    LaunchFailure(step: "environment", object: name, remedy: "leave it out").json)
            }
            // A policy's own are its word; what it passes is whoever's who asked.
            let own = entry.prepared.policy.environment.set
            variables.removeAll { isReadByShell($0.name) && own[$0.name] == nil }
        }
        guard !wish.environment.isEmpty || wish.wall != nil || wish.memory != nil || wish.pids != nil else {
            return variables
        }
        var checked = entry.policy
        do throws(PolicyError) {
            try checked.tighten(
                to: RequestLimits(
                    wall: wish.wall, memory: wish.memory, pids: wish.pids,
                    environment: wish.environment.map { ($0.name, $0.value) }),
                machineMemory: supervisor.machine.memory)
        } catch {
            throw Refusal(error, by: entry.prepared.specification.policy).rpc
        }
        for (name, value) in wish.environment {
            variables.removeAll { sameBytes($0.name, name) }
            variables.append((name, value))
        }
        return variables
    }

    /// As a rule changes them.
    private func changed(
        _ variables: [(name: String, value: String)], by verdict: Verdict
    ) -> [(name: String, value: String)] {
        // Names of variables in a policy were read as globs before.
        let unset = verdict.environmentUnset.compactMap { try? Glob($0) }
        var all = unset.isEmpty ? variables : variables.filter { one in !unset.contains { $0.matches(one.name) } }
        for (name, value) in verdict.variables {
            all.removeAll { sameBytes($0.name, name) }
            all.append((name, value))
        }
        return all
    }

    func listApprovals(_ call: Call, _ params: inout Params) throws(RpcError) {
        try params.finish()
        let own = approvals.all.filter { $0.asker.peer.user == call.connection.peer.user }
        call.answer(["approvals": .array(own.map { .object($0.json) })])
    }

    private enum Said: String, CaseIterable { case approve, deny }

    func answerApproval(_ call: Call, _ params: inout Params) throws(RpcError) {
        let id = try params.text("approval")
        let said = try params.choice("answer", Said.self)
        let scope = try params.choice("scope", ApprovalRules.Scope.self) ?? .once
        guard let said else { throw params.wrong("answer", "is missing") }
        try params.finish()
        try approvals.answer(id, approves: said == .approve, scope: scope, from: call.connection) {
            (question) throws(RpcError) in
            // An approval that nobody could prove later is none.
            var event = AuditEvent(.approvalAnswered, who: AuditEvent.Who(call.connection, session: question.session))
            event.facts = [
                "approval": .string(id), "answer": .string(said.rawValue), "scope": .string(scope.rawValue),
            ]
            try self.records.tell(event)
        }
        call.answer(["approval": .string(id), "answer": .string(said.rawValue)])
    }
}

extension OpenSession {
    /// Values of a command's own variables that must not leave.
    func secrets(of wish: CommandWish) -> [String] {
        wish.environment.isEmpty ? [] : secretValues(of: wish.environment, by: policy.environment)
    }

    /// The strictest of what its policies said when it was made, and of what they say now.
    func judge(_ request: PolicyDecision.CommandRequest) -> Verdict {
        let first = prepared.engine.judge(request)
        guard let current else { return first }
        var second = current.engine.judge(request)
        guard second.decision == first.decision, second.isRewritten else {
            return second.decision > first.decision ? second : first
        }
        if first.isRewritten, first != second {
            // To follow one word would be to pass over the other.
            second.decision = .deny
            for index in second.evidence.indices {
                second.evidence[index].decision = .deny
                second.evidence[index].reason = "its policies were changed, and change this command in two ways"
                second.evidence[index].remedy = "open a new session"
            }
        }
        return second
    }

    /// What an approval for the session is about: exactly these words, there, with these variables, and with input only where it
    /// was approved with it.
    fileprivate func approvalKey(_ wish: CommandWish, _ directory: String, _ input: CommandInput) -> String {
        digest(
            [
                Array(wish.json.text.utf8), Array(directory.utf8), Array(input.rawValue.utf8),
                Array(
                    wish.environment.map { "\($0.name.utf8.count) \($0.name)=\($0.value.utf8.count) \($0.value)" }
                        .joined().utf8),
            ])
    }
}

/// Variables that make bash run other commands than it is given, or read them differently (bash(1), Shell Variables).
private func isReadByShell(_ name: String) -> Bool {
    [
        "BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS", "BASH_COMPAT", "POSIXLY_CORRECT", "IFS", "PS4", "CDPATH",
        "GLOBIGNORE",
    ]
    .contains { sameBytes($0, name) } || name.utf8.starts(with: "BASH_FUNC_".utf8)
}

extension CommandWish {
    /// The words that run a string, or a rule's rewriting of it.
    fileprivate func argv(_ verdict: Verdict) -> [String] {
        switch subject {
        case .argv(let argv): argv
        // No start-up files, which the workspace could hold; BASH_ENV and ENV are unset for good.
        case .string(let string): ["bash", "--noprofile", "--norc", "-c", verdict.command ?? string]
        }
    }
}

extension Verdict {
    /// Its main reason, in one sentence.
    var sentence: String {
        guard let evidence = mainEvidence else { return "decided: \(decision.rawValue)" }
        return "\(evidence.rule): \(evidence.reason)"
    }
}
