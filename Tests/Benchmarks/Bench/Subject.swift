// What is measured: one policy, one plan, one command, in every way of running it.
internal import CLinux
internal import Glibc
internal import JailPlanner
internal import Linux
internal import Machine
internal import PolicyModel
internal import SupervisorCore

/// Why the benchmark cannot go on.
struct BenchFailure: Error {
    var message: String
    init(_ message: String) { self.message = message }
}

struct Subject {
    let machine: Machine
    let policy: Policy
    let prepared: PreparedJail
    let filters: FilterStore
    let supervisor: Supervisor
    /// A directory of the benchmark's own: the workspace, the plan and the filters for the floor.
    let directory: String
    /// Where `cordon`, `jail-init` and the rest are.
    let programs: String
    static let command = "/usr/bin/true"
    var workspace: String { directory + "/workspace" }

    /// `preset:agent`, as `cordon run` takes it.
    init() throws {
        machine = try Machine.inspect()
        let own = try readLink("/proc/self/exe")
        programs = String(own[..<(own.lastIndex(of: "/") ?? own.endIndex)])
        directory = "/var/tmp/cordon-bench-\(processID)"
        try makeDirectory(directory)
        try makeDirectory(directory + "/workspace")
        policy = try Policy.load("preset:agent") { (_) throws(FileReadFailure) in throw .missing }
        let request = PlanRequest(
            workspace: directory + "/workspace", directory: directory + "/workspace",
            callerEnvironment: callerEnvironment())
        prepared = try makePlan(policy: policy, request: request, machine: machine)
        filters = FilterStore.standard(home: nil, cacheHome: nil)
        supervisor = try Supervisor(machine: machine, programs: programs)
    }

    /// The supervisor's own call.
    func run(_ arguments: [String], wall: UInt64? = nil, recordsTimes: Bool = false) -> Outcome {
        var request = RunRequest(arguments: arguments)
        request.captures = true
        request.recordsTimes = recordsTimes
        request.readsInput = false
        request.forwardsSignals = false
        request.wallLimit = wall ?? policy.resources.wall?.value
        request.cpuLimit = policy.resources.cpu?.value
        request.outputLimit = policy.resources.output?.value ?? 2 << 20
        return SupervisorCore.run(request, in: prepared, filters: filters, supervisor: supervisor)
    }

    /// The plan and what belongs to it, as the floor reads them.
    func writeFloorPlan() throws -> String {
        var lines: [String] = []
        let groups = machine.cgroups
        var bases: [String] = []
        for controller in [CgroupController.memory, .pids, .io, .cpu] {
            guard let base = groups.hierarchies[controller], !bases.contains(base) else { continue }
            bases.append(base)
            lines.append("+version1 \(controller.rawValue) \(base)")
        }
        if let base = groups.unified {
            lines.append("+version2 \(base)" + (groups.layout == .version2 ? " limits" : ""))
        }
        lines.append("+counters")
        for (index, program) in try filters.programs(for: prepared.filters, named: prepared.filterName).enumerated() {
            let path = directory + "/filter-\(index)"
            try write(program, path)
            lines.append("+filter \(path)")
        }
        lines.append("+working-directory \(prepared.directory)")
        lines.append("+command \(Self.command)")
        let variables = prepared.environment.map { "\($0.name)=\($0.value)" }.filter { !$0.contains(" ") }
        lines.append("+environment " + variables.joined(separator: " "))
        let path = directory + "/plan"
        try write(Array((lines.joined(separator: "\n") + "\n" + prepared.plan.description + "\n").utf8), path)
        return path
    }

    func write(_ bytes: [UInt8], _ path: String) throws {
        let file = try open(path, [.writeOnly, .create, .truncate], mode: 0o600)
        try file.writeAll(bytes)
    }

    /// Removes what `init` and the others made.
    func cleanUp() {
        for name in ["filter-0", "filter-1", "plan"] { try? unlink(directory + "/" + name) }
        try? removeDirectory(workspace)
        try? removeDirectory(directory)
    }
}
