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
    init(_ params: inout Params) throws(RpcError) {
        policy = try params.optionalText("policy")
        workspace = try params.optionalText("workspace")
        if let workspace, workspace.utf8.first != UInt8(ascii: "/") {
            throw params.wrong("workspace", "must be an absolute path")
        }
        image = try params.optionalText("image")
        limits.wall = try params.optionalCount("timeout_ms", 1...UInt64(Int64.max))
        limits.memory = try params.optionalCount("memory", 1...UInt64(Int64.max))
        limits.pids = try params.optionalCount("pids", 1...UInt64(Int64.max))
        limits.environment = try params.variables("env").map { ($0.name, $0.value) }
    }
}

/// A session that can be started, and by what its commands are judged.
struct PreparedSession: Sendable {
    let specification: SessionSpecification
    let workspace: Workspace
    let tiers: PolicyTiers
    let engine: Engine
    let policy: Policy
    let jail: PreparedJail
    /// What tells this plan from every other one.
    let planHash: String

    /// - Parameters:
    ///   - environment: the supervisor's own, which over pipes is the caller's.
    ///   - records: the directories of the supervisor's own records.
    ///   - isForOne: whether the jail is one command's own.
    init(
        _ specification: SessionSpecification, environment: [(name: String, value: String)], records: [String],
        machine: Machine, programs: String?, isForOne: Bool
    ) throws(Refusal) {
        self.specification = specification
        let place = try Workspace(
            specification.workspace, home: environment.first { $0.name == "HOME" }?.value,
            records: recordDirectories(environment) + records)
        workspace = place
        (tiers, engine, policy) = try refusing(policy: specification.policy) { () throws(PolicyError) in
            let tiers = try PolicyTiers(
                specification.policy, workspace: place.path, environment: environment)
            var policy = tiers.confinement(machineMemory: machine.memory)
            try policy.tighten(to: specification.limits, machineMemory: machine.memory)
            return (tiers, try tiers.engine(), policy)
        }
        if specification.image == nil, policy.fileSystem.read.isEmpty, policy.fileSystem.write.isEmpty {
            throw Refusal(
                LaunchFailure(
                    step: "policy", object: tiers.session.name,
                    remedy: "it grants no files, so nothing can be run by it: write `fs.read`, as preset:readonly does")
            )
        }
        var image: String?
        if let path = specification.image {
            image = try refusing(step: "image", path) { () throws(Errno) in try resolvedPath(path) }
        }
        let own = if let programs { programs } else { try refusing(Supervisor.ownDirectory) }
        jail = try prepareJail(
            policy,
            PlanRequest(
                workspace: place.path, directory: place.path, callerEnvironment: environment,
                setEnvironment: specification.limits.environment.map { (name: $0.0, value: $0.1) }, image: image,
                programs: own, isForSession: !isForOne), machine)
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
