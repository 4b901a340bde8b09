// What an audit log tells: who wanted what, what was decided and why, and what came of it. Values only; nothing is written
// here.
public import Wire

/// Something that happened, for ``AuditLog/append(_:masked:)``.
///
/// A command that runs for a while takes two records: `command.started` with `command`, `decision` and the plan before it
/// starts, so that a supervisor that is killed leaves word of it, and `command.ended` with the result and the peaks, which
/// names the first by `about` and does not repeat the command. Where one record is enough, it is `command.run`.
public struct AuditEvent: Sendable {
    /// What kind of thing happened. Names that begin with `audit.` are the log's own.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// A supervisor begins.
        case supervisorStarted = "supervisor.started"
        /// A supervisor ends in order.
        case supervisorStopped = "supervisor.stopped"
        /// A client is there.
        case connectionOpened = "connection.opened"
        /// A client is gone.
        case connectionClosed = "connection.closed"
        /// A request was not carried out, before any verdict on it: malformed, unknown, over a quota.
        case requestRefused = "request.refused"
        /// A jail stays.
        case sessionOpened = "session.opened"
        /// It is gone.
        case sessionClosed = "session.closed"
        /// A command was judged and not started: denied, or to be asked about.
        case commandRefused = "command.refused"
        /// A command is about to start.
        case commandStarted = "command.started"
        /// A command has ended that had `command.started`.
        case commandEnded = "command.ended"
        /// A command was judged, ran and ended: all in one record.
        case commandRun = "command.run"
        /// A command's result came from the cache: nothing ran.
        case cacheHit = "cache.hit"
        /// A result went into the cache.
        case cacheStored = "cache.stored"
        /// Somebody is asked.
        case approvalAsked = "approval.asked"
        /// Somebody answered, or nobody did in time.
        case approvalAnswered = "approval.answered"
        /// A terminal was opened or attached to.
        case terminalAttached = "terminal.attached"
        /// It was left.
        case terminalDetached = "terminal.detached"
        /// A file was asked for by a path.
        case fileRequest = "file.request"
        /// A change of a workspace was kept or thrown away.
        case workspaceChanged = "workspace.changed"
        /// Something inside a jail met a wall that the supervisor noticed.
        case denial = "denial"
    }

    /// Whose request it is.
    public struct Who: Sendable, Hashable {
        /// The user id of the client, as the kernel tells it.
        public var user: UInt32?
        /// The process id of the client.
        public var process: Int32?
        /// The number of the connection, in this supervisor.
        public var connection: UInt64?
        /// The session's id.
        public var session: String?

        /// Somebody, as far as known.
        public init(
            user: UInt32? = nil, process: Int32? = nil, connection: UInt64? = nil, session: String? = nil
        ) {
            self.user = user
            self.process = process
            self.connection = connection
            self.session = session
        }
    }

    /// A command as it was asked for.
    public enum Command: Sendable, Hashable {
        /// A string for a shell.
        case string(String)
        /// A program and its arguments.
        case argv([String])
    }

    /// What came of it.
    public struct Result: Sendable, Hashable {
        /// Why it ended, by the contract's word: `exited`, `timeout`, `denied` …
        public var reason: String
        /// The process's own status, if it had one.
        public var exitCode: Int32?
        /// The signal that ended it.
        public var signal: Int32?
        /// Milliseconds from the start to the end.
        public var durationMilliseconds: UInt64?

        /// A result.
        public init(
            reason: String, exitCode: Int32? = nil, signal: Int32? = nil, durationMilliseconds: UInt64? = nil
        ) {
            self.reason = reason
            self.exitCode = exitCode
            self.signal = signal
            self.durationMilliseconds = durationMilliseconds
        }
    }

    /// The most that it used.
    public struct Peaks: Sendable, Hashable {
        /// Bytes of memory.
        public var memory: UInt64?
        /// Processes.
        public var pids: UInt64?
        /// Milliseconds of processor time of the whole tree.
        public var cpuMilliseconds: UInt64?
        /// Bytes of output, kept or not.
        public var output: UInt64?

        /// Peaks, as far as known.
        public init(
            memory: UInt64? = nil, pids: UInt64? = nil, cpuMilliseconds: UInt64? = nil, output: UInt64? = nil
        ) {
            self.memory = memory
            self.pids = pids
            self.cpuMilliseconds = cpuMilliseconds
            self.output = output
        }
    }

    /// What happened: the member `event`.
    public var kind: Kind
    /// Whose request it is: the member `who`.
    public var who: Who
    /// The method of the protocol.
    public var method: String?
    /// The command: a string, or an array of strings, so that `cordon policy simulate` tells them apart.
    public var command: Command?
    /// The working directory: the member `cwd`.
    public var directory: String?
    /// The workspace.
    public var workspace: String?
    /// Whether the verdict is one for a jail: the member `jailed`.
    public var isJailed: Bool?
    /// The number of the record that this one goes on from.
    public var about: UInt64?
    /// Facts about the cache, the terminal, the session.
    public var facts: JsonObject
    /// The verdict with its evidence, as `Verdict.json` makes it. Its `decision` becomes a member of the record too.
    public var verdict: JsonObject?
    /// The hash of the plan, in hexadecimal.
    public var plan: String?
    /// What came of it.
    public var result: Result?
    /// The most that it used.
    public var peaks: Peaks?

    /// An event with nothing but its kind, and whose it is.
    public init(_ kind: Kind, who: Who = Who()) {
        self.kind = kind
        self.who = who
        facts = JsonObject()
    }

    /// The members of the record between `event` and `prev`. What is not known is left out, but for a command's `decision`.
    var members: JsonObject {
        var json = JsonObject()
        var person = JsonObject()
        if let user = who.user { person.add("user", .number(Int64(user))) }
        if let process = who.process { person.add("pid", .number(Int64(process))) }
        if let connection = who.connection { person.add("connection", .count(connection)) }
        if let session = who.session { person.add("session", .string(session)) }
        if !person.names.isEmpty { json.add("who", .object(person)) }
        if let method { json.add("method", .string(method)) }
        switch command {
        case .string(let text): json.add("command", .string(text))
        case .argv(let words): json.add("command", .array(words.map { .string($0) }))
        case nil: break
        }
        if let directory { json.add("cwd", .string(directory)) }
        if let workspace { json.add("workspace", .string(workspace)) }
        if let isJailed { json.add("jailed", .bool(isJailed)) }
        if let about { json.add("about", .count(about)) }
        if !facts.names.isEmpty { json.add("facts", .object(facts)) }
        if command != nil || verdict != nil { json.add("decision", verdict?["decision"] ?? .null) }
        if let verdict { json.add("verdict", .object(verdict)) }
        if let plan { json.add("plan", .string(plan)) }
        if let result { json.add("result", .object(result.json)) }
        if let peaks { json.add("peaks", .object(peaks.json)) }
        return json
    }
}

extension AuditEvent.Result {
    fileprivate var json: JsonObject {
        var json = JsonObject()
        json.add("reason", .string(reason))
        json.add("exit_code", exitCode.map { .number(Int64($0)) } ?? .null)
        json.add("signal", signal.map { .number(Int64($0)) } ?? .null)
        if let durationMilliseconds { json.add("duration_ms", .count(durationMilliseconds)) }
        return json
    }
}

extension AuditEvent.Peaks {
    fileprivate var json: JsonObject {
        var json = JsonObject()
        if let memory { json.add("memory_bytes", .count(memory)) }
        if let pids { json.add("pids", .count(pids)) }
        if let cpuMilliseconds { json.add("cpu_ms", .count(cpuMilliseconds)) }
        if let output { json.add("output_bytes", .count(output)) }
        return json
    }
}
