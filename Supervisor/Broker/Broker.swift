// The broker: what clients ask for over their connections, judged, done and answered. It runs on one thread, that of its loop.
internal import Audit
internal import Cache
public import Caller
internal import JailPlanner
internal import Journal
public import Linux
public import Machine
public import SupervisorCore
public import Wire

/// What a broker may hold, and where it keeps what must not be lost.
public struct BrokerSettings: Sendable {
    /// Sessions of one user.
    public var sessions = 256
    /// Bytes that all sessions together may be limited to; nil: no such bound.
    public var memory: UInt64?
    /// Processes that all sessions together may be limited to; nil: no such bound.
    public var pids: UInt64?
    /// Milliseconds after which a session that nobody uses is closed, where it does not say so itself; nil: never.
    public var idle: UInt64?
    /// Bytes of memory for jails that are ready before they are asked for.
    public var poolMemory: UInt64 = 32 << 20
    /// Requests of one client that may be open at a time.
    public var calls = 1024
    /// What the cache may hold.
    var cache = CacheLimits()
    /// What each session may do at a time.
    public var session = SessionLimits()
    /// The directory in which supervisors of one user keep what must not be lost; nil: there is no place for one, and nothing
    /// can be begun.
    public var state: String?
    /// What is written to standard error.
    public var logLevel = "warning"
    /// What the machine's owner says about policies.
    public var rules = TierRules()
    /// Whether paths count only where a descriptor proves that the client itself can open them.
    public var provesPaths = false
    /// Whether standard error gets every record of the audit log: the log itself is the user's own file.
    public var copiesAudit = false
    /// The directory with `jail-init` and the janitor; nil: this program's own.
    public var programs: String?

    /// The usual ones.
    public init() {}
}

/// Serves clients.
public final class Broker {
    /// The protocol's.
    static let version: Int64 = 1

    let loop: EventLoop
    let workers: Workers
    let supervisor: Supervisor
    let settings: BrokerSettings
    /// The supervisor's own environment, which over pipes is its caller's.
    let environment: [(name: String, value: String)]
    let filters: FilterStore
    let approvals: Approvals
    let pool: WarmPool
    let records: Records
    let cache: CacheStore
    /// When something in it expires next.
    var cacheTimer: EventLoop.Timer?
    var cacheTimerAt: UInt64 = 0
    var policyWatch: PolicyWatch?
    var reloadTimer: EventLoop.Timer?
    /// Nanoseconds from a change to the reading.
    var reloadPause = Broker.shortestReloadPause
    /// How often something has happened to a file of a policy.
    var policyChanges: UInt64 = 0
    /// Who waits for the reading that goes on, and for the one behind it; nil: none goes on.
    var reloadWaiters: (now: [ReloadAnswer], next: [ReloadAnswer])?
    var scrapers: [UInt64: Scraper] = [:]
    var nextScraper: UInt64 = 0
    /// Sessions whose supervisor died, by id.
    var interrupted: [String: JournalSession] = [:]
    var sessions: [String: OpenSession] = [:]
    /// Sessions that are being made.
    var sessionsToCome = 0
    var namesToCome: Set<String> = []
    var reservations: [UInt64: Reservation] = [:]
    var nextReservation: UInt64 = 0
    private var connections: [UInt64: Connection] = [:]
    private var nextConnection: UInt64 = 1
    private var listeners: [EventLoop.Watch] = []
    private let startedAt = monotonicNanoseconds()
    private(set) var requests: UInt64 = 0
    private var requestsAtRest: UInt64 = 0
    private var isTrimmed = false
    /// Called when there is neither a client nor a session any more, and again when there is one.
    public var whenIdle: ((Bool) -> Void)?
    private var isIdle = true

    /// Starts what all sessions share: the janitor first, then threads.
    public init(settings: BrokerSettings, machine: Machine, loop: EventLoop) throws(LaunchFailure) {
        self.settings = settings
        self.loop = loop
        supervisor = try Supervisor(machine: machine, programs: settings.programs)
        do throws(Errno) { workers = try Workers(count: 2, loop: loop) } catch {
            throw LaunchFailure(step: "threads", errno: error)
        }
        environment = callerEnvironment()
        records = Records(
            state: settings.state, copiesAudit: settings.copiesAudit,
            log: Log(threshold: Log.Level(rawValue: settings.logLevel) ?? .warning), loop: loop)
        // What the user can write must not weaken what the machine's owner says.
        filters =
            settings.provesPaths
            ? FilterStore(directory: nil)
            : FilterStore.standard(
                home: environment.first { $0.name == "HOME" }?.value,
                cacheHome: environment.first { $0.name == "XDG_CACHE_HOME" }?.value)
        approvals = Approvals(loop: loop)
        cache = CacheStore(limits: settings.cache)
        pool = WarmPool(
            memory: settings.poolMemory, supervisor: supervisor, filters: filters, workers: workers, loop: loop)
        records.whenQuiet = { [weak self] in self?.considerMemory() }
        loadCache()
        startPolicyWatch()
        for session in records.interrupted() { interrupted[session.entry.id] = session }
        // Where that cannot be told, nothing can be begun either, and whoever wants to hears why.
        _ = try? records.tell(AuditEvent(.supervisorStarted))
    }

    // MARK: - Clients

    /// Serves a client on a pair of descriptors.
    ///
    /// - Parameter whenGone: called when it has left.
    public func serve(
        input: consuming Descriptor, output: consuming Descriptor?, peer: Peer, whenGone: @escaping () -> Void = {}
    ) throws(Errno) {
        let connection = try Connection(
            number: nextConnection, peer: peer, input: input, output: output, loop: loop,
            received: { [weak self] connection, message in self?.received(message, from: connection) },
            closed: { [weak self] connection in
                self?.forget(connection)
                whenGone()
            })
        connections[nextConnection] = connection
        nextConnection += 1
        considerIdleness()
    }

    /// Serves whoever connects to a listening socket.
    ///
    /// - Parameter admits: who may.
    public func listen(on socket: Int32, admits: @escaping (PeerCredentials) -> Bool) throws(Errno) {
        listeners.append(
            try loop.watch(socket, .readable) { [weak self] _ in
                // One that fails is that client's trouble; a shortage of descriptors passes.
                guard let self, let client = try? accept(on: socket),
                    let credentials = try? peerCredentials(of: client.raw), admits(credentials)
                else { return }
                try? serve(
                    input: client, output: nil, peer: Peer(user: credentials.user, pid: credentials.pid))
            })
    }

    /// Once it has become quiet, what a busy time left is given back.
    private func considerMemory() {
        let isQuiet = requests == requestsAtRest
        if isQuiet, !isTrimmed {
            isTrimmed = true
            releaseFreeMemory()
        } else if !isQuiet {
            isTrimmed = false
        }
        requestsAtRest = requests
    }

    /// Ends everything: sessions, connections, ready jails.
    public func close() {
        for watch in listeners { loop.unwatch(watch) }
        listeners = []
        for connection in connections.values { connection.close() }
        for entry in sessions.values { close(entry, why: "the supervisor was stopped") }
        pool.close()
        saveCache()
        _ = try? records.tell(AuditEvent(.supervisorStopped))
    }

    private func forget(_ connection: Connection) {
        connections[connection.number] = nil
        for entry in sessions.values where entry.isBound && entry.connection === connection {
            close(entry, why: "its client is gone")
        }
        considerIdleness()
    }

    func considerIdleness() {
        let isIdle = connections.isEmpty && sessions.isEmpty && sessionsToCome == 0
        guard isIdle != self.isIdle else { return }
        self.isIdle = isIdle
        whenIdle?(isIdle)
    }

    // MARK: - Requests

    private func received(_ message: Result<RpcMessage, RpcFailure>, from connection: Connection) {
        switch message {
        case .failure(let failure): connection.send(.response(id: failure.id, .failure(failure.error)))
        // Nothing is asked of clients, so nothing is answered.
        case .success(.response): break
        case .success(.request(let id, let method, let params)):
            if let id, connection.calls[id] != nil {
                return connection.send(
                    .response(id: id, .failure(RpcError(.repeatedId, "a request with this id is not answered yet"))))
            }
            let began = monotonicNanoseconds()
            let call = Call(id: id, method: method, connection: connection, loop: loop) { [records] call, error in
                // A method that is not known is not a label that somebody else chooses.
                let name = error == .unknownMethod ? "unknown" : call.method
                records.metrics.requests.add(1, name, error?.name ?? "ok")
                records.metrics.requestSeconds.observe(Double(monotonicNanoseconds() - began) / 1e9)
            }
            // Claimed whatever becomes of the request, so that the next one's are not taken for its.
            call.proofs = connection.takeProofs(params["descriptors"]?.elements?.count ?? 0)
            requests &+= 1
            do throws(RpcError) {
                // What makes room needs none.
                guard connection.calls.count < settings.calls || Self.makingRoom.contains(method) else {
                    throw RpcError(.limit, "\(settings.calls) requests are open already: wait for answers")
                }
                if let id { connection.calls[id] = call }
                try dispatch(call, Params(params))
            } catch {
                call.fail(error)
            }
        }
    }

    private func dispatch(_ call: Call, _ given: Params) throws(RpcError) {
        var params = given
        if let deadline = try params.optionalCount("deadline_ms", 1...86_400_000_000) {
            call.setDeadline(milliseconds: deadline)
        }
        guard let method = Self.methods[call.method] else {
            throw RpcError(
                .unknownMethod, "no method \"\(call.method)\"", ["methods": .array(Self.methodNames)])
        }
        guard call.connection.isReady || call.method == "hello" else {
            throw RpcError(.notReady, "\"hello\" comes first")
        }
        try method(self)(call, &params)
    }

    typealias Method = @Sendable (Broker) -> (Call, inout Params) throws(RpcError) -> Void

    private static let makingRoom: Set<String> = [
        "cancel", "command.kill", "terminal.close", "terminal.signal", "session.close", "health",
    ]

    private static let methodNames: [JsonValue] = methods.keys.sorted().map { .string($0) }

    private static let methods: [String: Method] = [
        "hello": Broker.hello, "health": Broker.health, "cancel": Broker.cancel,
        "session.create": Broker.createSession, "session.list": Broker.listSessions,
        "session.inspect": Broker.inspectSession, "session.close": Broker.closeSession,
        "session.reopen": Broker.reopenSession, "reload": Broker.reloadNow, "metrics": Broker.giveMetrics,
        "run": Broker.runOnce,
        "command.run": Broker.runCommand, "command.start": Broker.startCommand,
        "command.status": Broker.commandStatus, "command.read": Broker.readCommand,
        "command.wait": Broker.waitForCommand,
        "command.kill": Broker.killCommand, "command.list": Broker.listCommands, "command.write": Broker.writeToCommand,
        "command.cleanup": Broker.cleanUpCommands,
        "terminal.open": Broker.openTerminal, "terminal.write": Broker.writeToTerminal,
        "terminal.read": Broker.readTerminal, "terminal.clear": Broker.clearTerminal,
        "terminal.resize": Broker.resizeTerminal, "terminal.signal": Broker.signalTerminal,
        "terminal.close": Broker.closeTerminal, "terminal.wait": Broker.waitForTerminal,
        "terminal.list": Broker.listTerminals, "terminal.attach": Broker.attachToTerminal,
        "cache.get": Broker.getFromCache, "cache.set": Broker.setInCache, "cache.delete": Broker.deleteFromCache,
        "cache.exists": Broker.existsInCache, "cache.many": Broker.manyInCache, "cache.keys": Broker.keysInCache,
        "cache.expire": Broker.expireInCache, "cache.increment": Broker.incrementInCache,
        "cache.compare_and_set": Broker.compareAndSetInCache, "cache.clear": Broker.clearCache,
        "cache.statistics": Broker.cacheStatistics, "cache.configure": Broker.configureCache,
        "cache.save": Broker.saveCacheNow,
        "approval.list": Broker.listApprovals, "approval.answer": Broker.answerApproval,
    ]

    private func hello(_ call: Call, _ params: inout Params) throws(RpcError) {
        let given = try params.any("versions").elements ?? []
        let versions = given.compactMap(\.whole)
        guard !versions.isEmpty, versions.count == given.count else {
            throw params.wrong("versions", "must be a list of numbers")
        }
        // For logs; there is nothing to check.
        let client = try params.optionalText("client", most: 256)
        try params.finish()
        guard versions.contains(Self.version) else {
            throw RpcError(
                .version, "this supervisor speaks version \(Self.version)",
                ["versions": .array([.number(Self.version)])])
        }
        call.connection.isReady = true
        call.connection.client = client
        call.answer([
            "version": .number(Self.version), "server": .string("cordon-supervisor"),
            "features": .array(features(of: call.connection).map { .string($0) }), "methods": .array(Self.methodNames),
            "limits": [
                "frame": .number(Int64(Frame.longestPayload)), "window": .number(Int64(Connection.window)),
                "calls": .number(Int64(settings.calls)), "sessions": .number(Int64(settings.sessions)),
            ],
        ])
    }

    private func features(of connection: Connection) -> [String] {
        Self.features + (connection.takesDescriptors ? ["descriptors"] : [])
            + (settings.provesPaths ? ["proven_paths"] : [])
    }

    private static let features = ["sessions", "commands", "streams", "terminals", "approvals", "cache", "journal"]

    private func health(_ call: Call, _ params: inout Params) throws(RpcError) {
        try params.finish()
        call.answer([
            "status": .string(records.refusal == nil ? "ok" : "refusing"),
            "reason": records.refusal.map { .string($0) } ?? .null,
            "uptime_ms": .count((monotonicNanoseconds() - startedAt) / 1_000_000),
            "sessions": .number(Int64(sessions.count)), "interrupted": .number(Int64(interrupted.count)),
            "clients": .number(Int64(connections.count)),
            "ready_jails": .number(Int64(pool.count)), "requests": .count(requests),
        ])
    }

    private func giveMetrics(_ call: Call, _ params: inout Params) throws(RpcError) {
        try params.finish()
        call.answer(["text": .string(metricsText())])
    }

    /// In Prometheus' text format.
    func metricsText() -> String {
        records.metrics.sessions.set(Double(sessions.count))
        records.metrics.connections.set(Double(connections.count))
        records.metrics.runningCommands.set(Double(sessions.values.reduce(0) { $0 + $1.session.activeCount }))
        records.metrics.memory.set(Double(sessions.values.reduce(UInt64(0)) { $0 &+ ($1.session.memory ?? 0) }))
        return records.metrics.text
    }

    private func cancel(_ call: Call, _ params: inout Params) throws(RpcError) {
        guard let id = RpcId(try params.any("id")) else { throw params.wrong("id", "must be a request's id") }
        try params.finish()
        // One that is answered meanwhile is no error.
        let target = call.connection.calls[id]
        let isOpen = target.map { $0 !== call } ?? false
        if isOpen { target?.cancel(RpcError(.cancelled, "it was cancelled")) }
        call.answer(["cancelled": .bool(isOpen)])
    }
}

extension JsonValue: ExpressibleByDictionaryLiteral {
    /// An object with these members, in this order.
    public init(dictionaryLiteral members: (String, JsonValue)...) {
        var object = JsonObject()
        for (name, value) in members { object.add(name, value) }
        self = .object(object)
    }
}
