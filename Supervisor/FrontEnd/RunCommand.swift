// `cordon run`: policy → plan → jail → report.
internal import Caller
internal import JailPlan
internal import JailPlanner
internal import Linux
internal import Machine
internal import PolicyDecision
internal import PolicyModel
internal import SupervisorCore
internal import Reports

/// Runs the command and exits as the contract says.
func runCommand(_ arguments: [String]) -> Never {
    let options: RunOptions
    do throws(UsageError) { options = try RunOptions(arguments) } catch {
        if error.message.isEmpty { leave(printing: RunOptions.help, code: 0) }
        // Who asked for an object gets one, also for a call that could not be read to its end.
        guard arguments.prefix(while: { $0 != "--" }).contains("--json") else {
            leave(printing: "cordon: \(error)\n", code: ExitCode.cordonFailed, to: 2)
        }
        var outcome = Outcome(reason: .error, guarantees: GuaranteeNames(enforced: [], degraded: [], notes: []))
        outcome.failure = LaunchFailure(step: "usage", object: error.message, remedy: error.remedy)
        leave(printing: reportObject(outcome).text + "\n", code: ExitCode.cordonFailed)
    }
    // The report is opened before anything runs: finding out afterwards that it cannot be written is too late.
    var report: ReportFile?
    do throws(Refusal) {
        if let path = options.report { report = try ReportFile(path) }
        let outcome = try execute(options)
        finish(outcome, options, report)
    } catch {
        var outcome = Outcome(reason: .error, guarantees: GuaranteeNames(enforced: [], degraded: [], notes: []))
        outcome.failure = error.failure
        if !options.json { put("cordon: \(error.text)\n", to: 2) }
        finish(outcome, options, report, alreadySaid: true)
    }
}

private func execute(_ options: RunOptions) throws(Refusal) -> Outcome {
    let machine = try refusing(step: "machine") { () throws(Errno) in try Machine.inspect() }
    // First of all: its janitor must be there before the first cgroup is.
    let supervisor =
        options.printPlan ? nil : try refusing { () throws(LaunchFailure) in try Supervisor(machine: machine) }
    let environment = callerEnvironment()
    let place = try Workspace(
        options.workspace, home: environment.first { $0.name == "HOME" }?.value,
        records: recordDirectories(environment))
    let (tiers, policy) = try loadPolicy(options, place, environment, machine: machine)
    if options.image == nil, policy.fileSystem.read.isEmpty, policy.fileSystem.write.isEmpty {
        throw Refusal(
            LaunchFailure(
                step: "policy", object: tiers.session.name,
                remedy: "it grants no files, so nothing can be run by it: write `fs.read`, as preset:readonly does"))
    }
    let judged = try judge(options, by: tiers, place, environment)
    if let refusal = judged.refusal { return refusal }
    let prepared = try plan(policy, options, place, judged, environment, machine)
    guard let supervisor else {
        let text = prepared.plan.description + "\n"
        leave(printing: isTerminal(1) ? String(decoding: TerminalFilter.visible(text), as: UTF8.self) : text, code: 0)
    }

    // Said always: a network that is open, a limit that is another one than its name suggests.
    for note in prepared.guarantees.notes { put("cordon: \(note)\n", to: 2) }
    var request = RunRequest(arguments: judged.argv)
    request.wallLimit = policy.resources.wall?.value
    request.cpuLimit = policy.resources.cpu?.value
    request.outputLimit = policy.resources.output?.value ?? 2 << 20
    request.killsOnOutput = policy.resources.outputAction.value == .kill
    request.captures = options.json
    request.usesTerminal = options.terminal
    request.recordsTimes = options.timing
    let store = FilterStore.standard(
        home: environment.first { $0.name == "HOME" }?.value,
        cacheHome: environment.first { $0.name == "XDG_CACHE_HOME" }?.value)
    return run(request, in: prepared, filters: store.outside(of: prepared.writableTrees), supervisor: supervisor)
}

private func loadPolicy(
    _ options: RunOptions, _ place: Workspace, _ environment: [(name: String, value: String)], machine: Machine
) throws(Refusal) -> (PolicyTiers, Policy) {
    try refusing(policy: options.policy) { () throws(PolicyError) in
        let tiers = try PolicyTiers(options.policy, workspace: place.path, environment: environment)
        var policy = tiers.confinement(machineMemory: machine.memory)
        try policy.tighten(to: options.limits, machineMemory: machine.memory)
        return (tiers, policy)
    }
}

/// Asks the engine before anything starts.
private func judge(
    _ options: RunOptions, by tiers: PolicyTiers, _ place: Workspace, _ environment: [(name: String, value: String)]
) throws(Refusal) -> JudgedRun {
    let input = options.terminal ? CommandInput.terminal : hasInput() ? .given : .none
    let verdict = try refusing(policy: nil) { () throws(PolicyError) in
        try tiers.engine().judge(
            CommandRequest(
                .argv(options.command), workspace: place.path, directory: place.directory, isJailed: true,
                input: input))
    }
    return JudgedRun(
        options.command, verdict: verdict, in: place, tiers: tiers.tiers, environment: environment,
        circumstances: [options.image ?? "", verdict.input.rawValue]
            + options.limits.environment.map { "\($0.0)=\($0.1)" },
        isAsked: !options.printPlan)
}

/// Whether standard input is anything but `/dev/null`, which says nothing.
func hasInput() -> Bool {
    guard let own = try? status(of: 0), let null = try? status(at: "/dev/null") else { return true }
    return own.device != null.device || own.inode != null.inode
}

private func plan(
    _ policy: Policy, _ options: RunOptions, _ place: Workspace, _ judged: JudgedRun,
    _ environment: [(name: String, value: String)], _ machine: Machine
) throws(Refusal) -> PreparedJail {
    var image: String?
    if let path = options.image {
        image = try refusing(step: "image", path) { () throws(Errno) in try resolvedPath(path) }
    }
    let request = PlanRequest(
        workspace: place.path, directory: place.directory, callerEnvironment: judged.environment(environment),
        setEnvironment: options.limits.environment.map { (name: $0.0, value: $0.1) } + judged.variables, image: image,
        programs: try refusing(Supervisor.ownDirectory))
    return try prepareJail(policy, request, machine) { failure in
        if UserManager.couldGive(failure) {
            UserManager(machine: machine, environment: environment)?.startAnewInScope()
        }
    }
}

private func finish(
    _ outcome: Outcome, _ options: RunOptions, _ report: consuming ReportFile?, alreadySaid: Bool = false
) -> Never {
    let json = options.json || options.report != nil ? reportObject(outcome).text : ""
    if let report, let error = report.write(json + "\n") {
        let failure = LaunchFailure(
            step: "report", object: options.report ?? "", errno: error,
            remedy: "the command itself " + (briefNote(outcome) ?? "exited \(outcome.exitCode ?? 0)"))
        leave(printing: "cordon: \(failure)\n", code: ExitCode.cordonFailed, to: 2)
    }
    if options.json {
        guard put(json + "\n", to: 1) else {
            leave(
                printing: "cordon: the report could not be written to standard output\n", code: ExitCode.cordonFailed,
                to: 2)
        }
    } else {
        if let failure = outcome.failure, !alreadySaid { put("cordon: \(failure)\n", to: 2) }
        for denial in outcome.denials { put(denialText(denial.json), to: 2) }
        if let note = briefNote(outcome) { put("cordon: \(note)\n", to: 2) }
        if options.verbose, outcome.reason != .denied { put(textReport(outcome), to: 2) }
    }
    if options.timing { put(timingTable(outcome.times), to: 2) }
    exitNow(outcome.processExitCode)
}
