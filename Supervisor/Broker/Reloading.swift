// Policies that change while sessions are open. What they say anew can only tighten: the strictest of what they said when a
// session was made, and of what they say now, holds. A file that cannot be read or understood changes nothing.
internal import Caller
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import SupervisorCore
internal import Wire

/// Told how many sessions are judged anew, and what is wrong with the others.
typealias ReloadAnswer = (Int, [String]) -> Void

extension Broker {
    /// Reads the policies of every open session again, in a thread, and judges by them from then on.
    func reloadPolicies(then: @escaping ReloadAnswer = { _, _ in }) {
        // One after the other: of two at a time the older could come last. One that goes on may have read what is old by now.
        if reloadWaiters != nil {
            reloadWaiters?.next.append(then)
        } else {
            readPolicies(for: [then])
        }
    }

    private func readPolicies(for waiters: [ReloadAnswer]) {
        reloadWaiters = (waiters, [])
        let wanted = sessions.values.map { entry in
            (
                id: entry.id, policy: entry.prepared.specification.policy, workspace: entry.prepared.workspace.path,
                fingerprint: entry.prepared.tiers.fingerprint, then: entry.prepared.policy
            )
        }
        let environment = environment, rules = settings.rules, machineMemory = supervisor.machine.memory
        let began = monotonicNanoseconds()
        workers.perform(
            { () -> [(id: String, files: [String], result: Result<PresentPolicies?, PolicyError>)] in
                wanted.map { session in
                    var files: [String] = []
                    let result = Result { () throws(PolicyError) -> PresentPolicies? in
                        let tiers = try PolicyTiers(
                            session.policy, workspace: session.workspace, environment: environment, rules: rules,
                            files: &files)
                        if sameBytes(tiers.fingerprint, session.fingerprint) { return nil }
                        return PresentPolicies(
                            engine: try tiers.engine(),
                            policy: session.then.restricted(
                                by: tiers.confinement(machineMemory: machineMemory), machineMemory: machineMemory))
                    }
                    return (session.id, files, result)
                }
            },
            then: { [weak self] results in
                guard let self else { return }
                reloadPause = max(Self.shortestReloadPause, 4 * (monotonicNanoseconds() - began))
                var count = 0, problems: [String] = []
                for (id, files, result) in results {
                    sessions[id]?.policyFiles = files
                    switch result {
                    case .success(let present):
                        // Nil: they say what they said when it was made.
                        sessions[id]?.current = present
                        count += 1
                    case .failure(let error):
                        problems += error.diagnostics.map(\.description)
                        records.log.error(
                            "a policy cannot be read again: what it said before holds",
                            ["session": .string(id), "why": .string(error.diagnostics.first?.description ?? "")])
                    }
                }
                // What was not watched while it was read may have changed since.
                if policyWatch?.follow(sessions.values.flatMap(\.policyFiles)) ?? false { reloadSoon() }
                let waiters = reloadWaiters
                reloadWaiters = nil
                for waiter in waiters?.now ?? [] { waiter(count, problems) }
                if let next = waiters?.next, !next.isEmpty { readPolicies(for: next) }
            })
    }

    /// Reads them again when one of their files may have changed: all files that took part, or could.
    ///
    /// - Parameter changes: the number of changes before they were read for this session.
    func watchPolicies(of entry: OpenSession, since changes: UInt64) {
        let isNew = policyWatch?.add(entry.policyFiles) ?? false
        // What was not watched while it was read, and what changed meanwhile, was read for the others alone.
        if isNew || changes != policyChanges { reloadSoon() }
    }

    /// Begins to watch for changes to files of policies.
    func startPolicyWatch() {
        do throws(Errno) {
            let watch = try PolicyWatch()
            _ = try loop.watch(watch.descriptor, .readable) { [weak self] _ in
                guard let self, watch.hasChanged() else { return }
                policyChanges += 1
                reloadSoon()
            }
            policyWatch = watch
        } catch {
            records.log.warning(
                "files of policies are not watched: reload has to be asked for", ["why": .string(error.message)])
        }
    }

    /// One change is seldom alone: an editor makes several.
    static let shortestReloadPause: UInt64 = 20_000_000

    /// What takes long to read is read less often: a jail can write its project's file again and again.
    private func reloadSoon() {
        guard reloadTimer == nil else { return }
        reloadTimer = loop.after(reloadPause) { [weak self] in
            self?.reloadTimer = nil
            self?.reloadPolicies()
        }
    }

    /// As on SIGHUP.
    public func reload() { reloadPolicies() }

    func reloadNow(_ call: Call, _ params: inout Params) throws(RpcError) {
        try params.finish()
        reloadPolicies { count, problems in
            call.answer(["sessions": .number(Int64(count)), "problems": .array(problems.map { .string($0) })])
        }
    }
}
