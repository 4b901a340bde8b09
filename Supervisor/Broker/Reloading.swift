// Policies that change while sessions are open. What they say anew can only tighten: the strictest of what they said when a
// session was made, and of what they say now, holds. A file that cannot be read or understood changes nothing.
internal import Caller
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import SupervisorCore
internal import Wire

extension Broker {
    /// Reads the policies of every open session again, in a thread, and judges by them from then on.
    ///
    /// - Parameter then: told how many are judged anew, and what is wrong with the others.
    func reloadPolicies(then: @escaping (Int, [String]) -> Void = { _, _ in }) {
        let wanted = sessions.values.map { entry in
            (id: entry.id, policy: entry.prepared.specification.policy, workspace: entry.prepared.workspace.path)
        }
        let environment = environment, rules = settings.rules
        workers.perform(
            { () -> [(id: String, result: Result<Engine, PolicyError>)] in
                wanted.map { session in
                    (
                        session.id,
                        Result { () throws(PolicyError) in
                            try PolicyTiers(
                                session.policy, workspace: session.workspace, environment: environment, rules: rules
                            ).engine()
                        }
                    )
                }
            },
            then: { [weak self] results in
                guard let self else { return }
                var count = 0, problems: [String] = []
                for (id, result) in results {
                    switch result {
                    case .success(let engine):
                        sessions[id]?.current = engine
                        count += 1
                    case .failure(let error):
                        problems += error.diagnostics.map(\.description)
                        records.log.error(
                            "a policy cannot be read again: what it said before holds",
                            ["session": .string(id), "why": .string(error.diagnostics.first?.description ?? "")])
                    }
                }
                then(count, problems)
            })
    }

    /// Reads them again when one of their files may have changed.
    func watchPolicies(of entry: OpenSession) {
        for directory in PolicyTiers.directories(
            entry.prepared.specification.policy, workspace: entry.prepared.workspace.path, environment: environment,
            rules: settings.rules)
        {
            // Where that fails SIGHUP and `reload` are left.
            try? policyWatch?.add(directory)
        }
    }

    /// Begins to watch for changes to files of policies.
    func startPolicyWatch() {
        guard let watch = try? DirectoryWatch() else { return }
        policyWatch = consume watch
        guard let number = policyWatch.read({ $0.descriptor.raw }) else { return }
        _ = try? loop.watch(number, .readable) { [weak self] _ in
            guard let self else { return }
            try? policyWatch?.drain()
            reloadSoon()
        }
    }

    /// One change is seldom alone: an editor makes several.
    private func reloadSoon() {
        guard reloadTimer == nil else { return }
        reloadTimer = loop.after(20_000_000) { [weak self] in
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
