// Sessions: made, listed, looked at, closed.
internal import Audit
internal import Cache
internal import Caller
internal import JailPlanner
internal import Journal
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import SupervisorCore
internal import Wire

extension Broker {
    /// A session of the caller's, by id or name.
    func session(_ params: inout Params, of call: Call) throws(RpcError) -> OpenSession {
        let text = try params.text("session")
        guard let entry = find(text, user: call.connection.peer.user) else {
            if findInterrupted(text, user: call.connection.peer.user) != nil {
                throw RpcError(
                    .ended, "session \"\(text)\" was interrupted: its supervisor died; session.reopen begins it anew",
                    ["session": .string(text), "state": .string("interrupted")])
            }
            throw RpcError(.unknownSession, "no session \"\(text)\"", ["session": .string(text)])
        }
        entry.touch()
        return entry
    }

    func find(_ text: String, user: UInt32) -> OpenSession? {
        let own = sessions.values.filter { $0.user == user }
        return own.first { sameBytes($0.id, text) } ?? own.first { $0.name.map { sameBytes($0, text) } ?? false }
    }

    /// What a request wants a session to be, with proofs where they are needed.
    func specification(_ call: Call, _ params: inout Params) throws(RpcError) -> SessionSpecification {
        let specification = try SessionSpecification(&params, proofs: call.proofs)
        if settings.provesPaths { try specification.requireProofs(settings.rules) }
        return specification
    }

    func createSession(_ call: Call, _ params: inout Params) throws(RpcError) {
        try records.requireRoom()
        let specification = try specification(call, &params)
        let name = try params.optionalText("name", most: 64)
        let idle = try params.optionalCount("idle_ms", 1...31_536_000_000) ?? settings.idle
        let isBound = try params.flag("bound")
        var limits = settings.session
        if let count = try params.optionalCount("concurrent", 1...1024) { limits.concurrent = Int(count) }
        if let count = try params.optionalCount("per_minute", 1...1_000_000) { limits.perMinute = Int(count) }
        try params.finish()
        let user = call.connection.peer.user
        if let name {
            guard name.utf8.allSatisfy(isNameByte), !name.isEmpty else {
                throw params.wrong("name", "must be letters, digits, dots, dashes and underscores")
            }
            guard find(name, user: user) == nil, !namesToCome.contains(name) else {
                throw RpcError(.nameTaken, "there is a session \"\(name)\" already", ["name": .string(name)])
            }
        }
        makeSession(call, specification, name: name, idle: idle, limits: limits, isBound: isBound) { entry in
            call.answer([
                "session": .object(entry.summary),
                "enforced": .array(entry.prepared.jail.guarantees.enforced.map { .string($0.rawValue) }),
                "degraded": .array(entry.prepared.jail.guarantees.degraded.map { .string($0.rawValue) }),
                "notes": .array(entry.prepared.jail.guarantees.notes.map { .string($0) }),
            ])
        }
    }

    /// Makes a session, in threads as far as it takes long, and calls back unless the call has ended meanwhile.
    func makeSession(
        _ call: Call, _ specification: SessionSpecification, name: String?, idle: UInt64?, limits: SessionLimits,
        isBound: Bool, isForOne: Bool = false, reopening: JournalSession? = nil, then: @escaping (OpenSession) -> Void
    ) {
        let environment = environment, machine = supervisor.machine, programs = settings.programs
        let rules = settings.rules
        let state = [settings.state].compactMap { $0 }
        let policyChanges = policyChanges
        sessionsToCome += 1
        if let name { namesToCome.insert(name) }
        var reservation: UInt64?
        func arrived() {
            sessionsToCome -= 1
            if let name { namesToCome.remove(name) }
            if let reservation { reservations[reservation] = nil }
        }
        func failed(_ error: RpcError) {
            arrived()
            call.fail(error)
            considerIdleness()
        }
        func started(_ jail: JailHandle, _ prepared: PreparedSession) {
            guard !call.isAnswered else {
                workers.perform { jail.end() }
                return failed(RpcError(.cancelled, ""))
            }
            do throws(RpcError) {
                let id = if let reopening { reopening.entry.id } else { try newName() }
                // Refused, not silently weaker: the jail of one command ends with it, whatever it leaves running.
                guard isForOne || jail.nests || jail.nestsPids else {
                    throw LaunchFailure(
                        step: "session",
                        remedy: "its plan tells its commands apart neither by cgroups nor by pid namespaces"
                    ).rpc
                }
                try record(id, name, prepared, for: call, reopening: reopening)
                let first = if let reopening { try firstCommand(after: reopening) } else { UInt64(1) }
                let session: Session
                do throws(LaunchFailure) {
                    session = try Session(
                        id: id, jail, prepared: prepared.jail, supervisor: supervisor, workers: workers, loop: loop,
                        limits: limits, isForOne: isForOne, firstCommand: first)
                } catch {
                    records.note(.sessionClosed(session: id, at: wallMilliseconds()))
                    throw error.rpc
                }
                session.whenForgotten = { [records] number in
                    records.note(.commandForgotten(session: id, number: number))
                }
                let entry = OpenSession(
                    id: id, name: name, user: call.connection.peer.user, prepared: prepared, session: session,
                    idle: idle, isBound: isBound, connection: call.connection)
                arrived()
                sessions[id] = entry
                watchIdleness(of: entry)
                watchPolicies(of: entry, since: policyChanges)
                then(entry)
            } catch {
                workers.perform { jail.end() }
                failed(error)
            }
        }
        workers.perform(
            { () -> Result<PreparedSession, RpcError> in
                do throws(Refusal) {
                    return .success(
                        try PreparedSession(
                            specification, environment: environment, records: state, rules: rules, machine: machine,
                            programs: programs, isForOne: isForOne))
                } catch {
                    return .failure(error.rpc)
                }
            },
            then: { [weak self] result in
                guard let self else { return }
                do throws(RpcError) {
                    let prepared = try result.get()
                    reservation = try reserve(prepared.policy, user: call.connection.peer.user)
                    try alive()
                    if let jail = pool.take(prepared.planHash) {
                        started(jail, prepared)
                    } else {
                        let filters = filters, supervisor = supervisor
                        workers.perform(
                            { () -> Result<JailHandle, LaunchFailure> in
                                Result { () throws(LaunchFailure) in
                                    try JailHandle.start(
                                        prepared.jail, filters: filters, supervisor: supervisor, nests: !isForOne)
                                }
                            },
                            then: { result in
                                switch result {
                                case .success(let jail): started(jail, prepared)
                                case .failure(let failure): failed(failure.rpc)
                                }
                            })
                    }
                    // Two jails in the making get into each other's way: the one that somebody waits for goes first.
                    _ = loop.after(WarmPool.patience) { [weak self] in
                        self?.pool.refill(prepared.planHash, prepared.jail)
                    }
                } catch {
                    failed(error)
                }
            })
    }

    private func alive() throws(RpcError) {
        do throws(LaunchFailure) { try supervisor.requireJanitor() } catch { throw error.rpc }
    }

    private func newName() throws(RpcError) -> String {
        while true {
            let name = try randomName()
            if sessions[name] == nil, interrupted[name] == nil { return name }
        }
    }

    /// Before its caller knows of it.
    private func record(
        _ id: String, _ name: String?, _ prepared: PreparedSession, for call: Call, reopening: JournalSession?
    ) throws(RpcError) {
        var event = AuditEvent(.sessionOpened, who: AuditEvent.Who(call.connection, session: id))
        event.method = call.method
        event.workspace = prepared.workspace.path
        event.plan = prepared.planHash
        event.facts.add("policy", .string(prepared.tiers.session.name))
        if let name { event.facts.add("name", .string(name)) }
        try records.tell(event, masked: prepared.jail.maskedValues)
        let now = wallMilliseconds()
        if reopening != nil { return try records.begin(.sessionReopened(session: id, at: now)) }
        try records.begin(
            .sessionOpened(
                SessionEntry(
                    id: id, name: name ?? "", user: call.connection.peer.user, workspace: prepared.workspace.path,
                    policy: prepared.specification.policy ?? "", image: prepared.specification.image ?? "",
                    limits: prepared.specification.limitsText, created: now)))
    }

    private func firstCommand(after session: JournalSession) throws(RpcError) -> UInt64 {
        (try records.commands(of: session.entry.id).map(\.entry.number).max() ?? 0) + 1
    }

    /// Takes room for one more. Limits are reserved: what all sessions could use together is bounded, not what they use now, so
    /// that none can take what another was promised.
    ///
    /// - Returns: what the room is known by, until the session is there.
    private func reserve(_ policy: Policy, user: UInt32) throws(RpcError) -> UInt64 {
        let own = sessions.values.count { $0.user == user } + reservations.values.count { $0.user == user }
        guard own < settings.sessions else {
            throw RpcError(
                .limit, "\(settings.sessions) sessions are open already: close one", ["limit": .string("sessions")])
        }
        let machineMemory = supervisor.machine.memory
        try admit("memory", settings.memory, policy) { $0.resources.memory?.value.bytes(ofMachine: machineMemory) }
        try admit("pids", settings.pids, policy) { $0.resources.pids?.value }
        nextReservation += 1
        reservations[nextReservation] = Reservation(user: user, policy: policy)
        return nextReservation
    }

    private func admit(
        _ what: String, _ bound: UInt64?, _ policy: Policy, _ amount: (Policy) -> UInt64?
    ) throws(RpcError) {
        guard let bound else { return }
        guard let wanted = amount(policy) else {
            throw RpcError(
                .limit,
                "all sessions together have a limit on \(what), so each needs one: name it, or set it in the policy",
                ["limit": .string(what)])
        }
        let others = sessions.values.map(\.prepared.policy) + reservations.values.map(\.policy)
        // A sum that wraps around would be within any bound.
        func sum(_ first: UInt64, _ second: UInt64) -> UInt64 { first > .max - second ? .max : first + second }
        let taken = others.reduce(UInt64(0)) { sum($0, amount($1) ?? 0) }
        guard sum(taken, wanted) <= bound else {
            throw RpcError(
                .limit, "the sessions' limits on \(what) come to \(taken), and with this one's \(wanted) pass \(bound)",
                ["limit": .string(what)])
        }
    }

    private func watchIdleness(of entry: OpenSession) {
        guard let idle = entry.idle else { return }
        let limit = nanoseconds(milliseconds: idle)
        let passed = monotonicNanoseconds() - entry.usedAt
        if entry.session.activeCount > 0 { entry.touch() }
        if passed >= limit, entry.session.activeCount == 0 {
            return close(entry, why: "nobody used it for \(idle) ms")
        }
        let left = entry.session.activeCount > 0 ? limit : limit - passed
        entry.idleTimer = loop.after(left) { [weak self, weak entry] in
            if let self, let entry { watchIdleness(of: entry) }
        }
    }

    /// Ends a session with all that runs in it, and calls back when nothing of it is left.
    func close(_ entry: OpenSession, why: String, then: @escaping () -> Void = {}) {
        guard sessions.removeValue(forKey: entry.id) != nil else { return }
        if let timer = entry.idleTimer { loop.cancel(timer) }
        approvals.withdraw(session: entry.id)
        entry.session.close(then: then)
        if let space = cache.namespace(of: CacheOwner(user: entry.user, session: entry.id)) { cache.drop(space) }
        records.note(.sessionClosed(session: entry.id, at: wallMilliseconds()))
        var event = AuditEvent(.sessionClosed, who: AuditEvent.Who(user: entry.user, session: entry.id))
        event.facts.add("why", .string(why))
        _ = try? records.tell(event)
        considerIdleness()
    }

    func listSessions(_ call: Call, _ params: inout Params) throws(RpcError) {
        try params.finish()
        let own = sessions.values.filter { $0.user == call.connection.peer.user }
            .sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
        let dead = interrupted.values.filter { $0.entry.user == call.connection.peer.user }
            .sorted { ($0.entry.created, $0.entry.id) < ($1.entry.created, $1.entry.id) }
        call.answer(["sessions": .array(dead.map { .object($0.summary) } + own.map { .object($0.summary) })])
    }

    func inspectSession(_ call: Call, _ params: inout Params) throws(RpcError) {
        if let dead = try takeInterrupted(&params, of: call) {
            try params.finish()
            return call.answer(dead.summary)
        }
        let entry = try session(&params, of: call)
        try params.finish()
        var json = entry.summary
        let statistics = entry.session.statistics
        json.add("memory_bytes", entry.session.memory.map { .count($0) } ?? .null)
        json.add("idle_limit_ms", entry.idle.map { .count($0) } ?? .null)
        json.add(
            "statistics",
            [
                "ended": .number(Int64(statistics.ended)), "succeeded": .number(Int64(statistics.succeeded)),
                "mean_ms": .real(statistics.meanMilliseconds), "p99_ms": .count(statistics.p99Milliseconds),
                "output_bytes": .count(statistics.bytes),
            ])
        let usage = entry.session.usage
        json.add(
            "usage",
            [
                "cpu_ms": usage?.cpuMicroseconds.map { .count($0 / 1000) } ?? .null,
                "max_memory_bytes": usage?.peakMemory.map { .count($0) } ?? .null,
                "max_pids": usage?.peakPids.map { .count($0) } ?? .null,
                "oom_kills": usage?.oomKills.map { .count($0) } ?? .null,
            ])
        json.add(
            "enforced", .array(entry.prepared.jail.guarantees.enforced.map { .string($0.rawValue) }))
        json.add(
            "degraded", .array(entry.prepared.jail.guarantees.degraded.map { .string($0.rawValue) }))
        if let failure = entry.session.failure { json.add("error", .object(failure.json)) }
        call.answer(json)
    }

    func closeSession(_ call: Call, _ params: inout Params) throws(RpcError) {
        if let dead = try takeInterrupted(&params, of: call) {
            try params.finish()
            interrupted[dead.entry.id] = nil
            records.note(.sessionClosed(session: dead.entry.id, at: wallMilliseconds()))
            return call.answer(["closed": .string(dead.entry.id)])
        }
        let entry = try session(&params, of: call)
        try params.finish()
        close(entry, why: "its client closed it") { call.answer(["closed": .string(entry.id)]) }
    }
}

func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
        true
    default: false
    }
}
