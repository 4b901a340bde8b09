// From a wish for a session to a jail that can be started: policies are read, limits compared, trees walked. It takes long, so
// it is done in a thread, with nothing but values.
internal import Caller
internal import JailPlanner
internal import Journal
internal import Linux
internal import Machine
internal import PolicyDecision
internal import PolicyModel
internal import SupervisorCore
internal import Wire

/// What a caller wants a session to be.
struct SessionSpecification: Sendable {
    var policy: String?
    var workspace: String?
    var image: String?
    var limits = RequestLimits()
    /// The variables of whoever asks, from which the policies pass some; nil: the supervisor's own. They may be secrets, and are
    /// recorded nowhere.
    var callerEnvironment: [(name: String, value: String)]?
    /// What its client has shown to be able to open, by the parameter that names it.
    var proofs: [String: FileIdentity] = [:]

    init() {}

    /// Its limits, for the journal. Variables are not among them: they may be secrets.
    var limitsText: String {
        var json = JsonObject()
        if let wall = limits.wall { json.add("timeout_ms", .count(wall)) }
        if let memory = limits.memory { json.add("memory", .count(memory)) }
        if let pids = limits.pids { json.add("pids", .count(pids)) }
        return json.text
    }

    /// As the journal has it.
    init(_ entry: SessionEntry) {
        policy = entry.policy.isEmpty ? nil : entry.policy
        workspace = entry.workspace
        image = entry.image.isEmpty ? nil : entry.image
        let json = (try? JsonValue(parsing: Array(entry.limits.utf8)))?.members ?? [:]
        limits.wall = json["timeout_ms"]?.unsigned
        limits.memory = json["memory"]?.unsigned
        limits.pids = json["pids"]?.unsigned
    }

    /// Takes the members of a request that say it.
    init(_ params: inout Params, proofs given: [FileIdentity?]) throws(RpcError) {
        for (index, name) in (try params.texts("descriptors") ?? []).enumerated() {
            guard ["workspace", "policy", "image"].contains(name), proofs[name] == nil else {
                throw params.wrong("descriptors", "must name parameters with paths, each once")
            }
            guard given.indices.contains(index), let identity = given[index] else {
                throw params.wrong("descriptors", "has no open file for \"\(name)\" with it (SCM_RIGHTS, not O_PATH)")
            }
            proofs[name] = identity
        }
        policy = try params.optionalText("policy")
        workspace = try params.optionalText("workspace")
        image = try params.optionalText("image")
        // The supervisor stands elsewhere than who asks.
        let file = policy.flatMap { $0.hasPrefix("preset:") ? nil : $0 }
        for (name, path) in [("workspace", workspace), ("policy", file), ("image", image)] {
            guard let path, path.utf8.first != UInt8(ascii: "/") else { continue }
            throw params.wrong(name, "must be an absolute path" + (name == "policy" ? " or preset:NAME" : ""))
        }
        limits.wall = try params.optionalCount("timeout_ms", 1...UInt64(Int64.max))
        limits.memory = try params.optionalCount("memory", 1 << 20...UInt64(Int64.max))
        limits.pids = try params.optionalCount("pids", 1...UInt64(Int64.max))
        try takeVariables(&params)
    }

    /// Takes what no journal has of it.
    mutating func takeVariables(_ params: inout Params) throws(RpcError) {
        limits.environment = try params.variables("env").map { ($0.name, $0.value) }
        callerEnvironment = try params.callerVariables("caller_env")
    }

    /// Refuses paths that came without a proof: whoever asks may have fewer rights than its user.
    func requireProofs(_ rules: TierRules) throws(RpcError) {
        let ownersOwn = policy.map { $0.hasPrefix("preset:") || rules.names($0) } ?? true
        let paths = [("workspace", workspace), ("policy", ownersOwn ? nil : policy), ("image", image)]
        for (name, path) in paths where path != nil && proofs[name] == nil {
            throw RpcError(
                .notAllowed, "\"\(name)\" needs a descriptor of the same file, which shows that you can open it",
                ["parameter": .string(name)])
        }
    }

    /// Holds a path, as it was resolved, against what was shown.
    fileprivate func requireShown(_ name: String, _ path: String) throws(Refusal) {
        guard let shown = proofs[name] else { return }
        let found = try refusing(step: name, path) { () throws(Errno) in try status(at: path, follow: true).identity }
        guard found == shown else {
            throw Refusal(
                LaunchFailure(
                    step: name, object: path, errno: .stale,
                    remedy: "another file than the one whose descriptor came with it: open it anew"))
        }
    }
}

/// A session that can be started, and by what its commands are judged.
struct PreparedSession: Sendable {
    let specification: SessionSpecification
    let workspace: Workspace
    let tiers: PolicyTiers
    /// The files of policies that were looked for.
    let policyFiles: [String]
    let engine: Engine
    let policy: Policy
    let jail: PreparedJail
    /// What tells this plan from every other one.
    let planHash: String

    /// - Parameters:
    ///   - environment: the supervisor's own, which over pipes is the caller's. It says which files of policies count, where
    ///     records, caches and tool chains are; what the policies pass is the caller's, where the specification has it.
    ///   - records: the directories of the supervisor's own records.
    ///   - isForOne: whether the jail is one command's own.
    init(
        _ specification: SessionSpecification, environment: [(name: String, value: String)], records: [String],
        rules: TierRules, machine: Machine, programs: String?, isForOne: Bool
    ) throws(Refusal) {
        self.specification = specification
        let place = try Workspace(
            specification.workspace, home: environment.first { $0.name == "HOME" }?.value,
            records: recordDirectories(environment) + records)
        workspace = place
        if specification.workspace != nil { try specification.requireShown("workspace", place.path) }
        var files: [String] = []
        (tiers, engine, policy) = try refusing(policy: specification.policy) { () throws(PolicyError) in
            let tiers = try PolicyTiers(
                specification.policy, workspace: place.path, environment: environment, rules: rules,
                shown: specification.proofs["policy"], files: &files)
            var policy = tiers.confinement(machineMemory: machine.memory)
            try policy.tighten(to: specification.limits, machineMemory: machine.memory)
            return (tiers, try tiers.engine(), policy)
        }
        policyFiles = files
        if specification.image == nil, policy.fileSystem.read.isEmpty, policy.fileSystem.write.isEmpty {
            throw Refusal(
                LaunchFailure(
                    step: "policy", object: tiers.session.name,
                    remedy: "it grants no files, so nothing can be run by it: write `fs.read`, as preset:readonly does")
            )
        }
        var image: String?
        if let path = specification.image {
            let resolved = try refusing(step: "image", path) { () throws(Errno) in try resolvedPath(path) }
            try specification.requireShown("image", resolved)
            image = resolved
        }
        let own = if let programs { programs } else { try refusing(Supervisor.ownDirectory) }
        var request = PlanRequest(
            workspace: place.path, directory: place.path, callerEnvironment: environment,
            setEnvironment: specification.limits.environment.map { (name: $0.0, value: $0.1) }, image: image,
            programs: own, isForSession: !isForOne)
        request.askerEnvironment = specification.callerEnvironment
        jail = try prepareJail(policy, request, machine)
        let encoded = jail.plan.encodedForJail()
        planHash = digest([encoded, Array(jail.filterName.utf8), Array(jail.plan.description.utf8)])
    }
}

extension Refusal {
    /// As a request's failure.
    var rpc: RpcError { RpcError(.refused, text, failure.json) }
}

extension LaunchFailure {
    /// As a request's failure.
    var rpc: RpcError {
        switch step {
        case "queue", "rate":
            return RpcError(.limit, description, json)
        case "session", "spawner", "jail-init": return RpcError(.ended, description, json)
        default: return RpcError(.refused, description, json)
        }
    }
}
