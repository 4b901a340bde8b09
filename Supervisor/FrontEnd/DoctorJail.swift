// The doctor's last trial: /usr/bin/true in a real jail, by the same call that `cordon run` makes.
internal import Doctor
internal import JailPlanner
internal import Linux
internal import Machine
internal import PolicyModel
internal import SupervisorCore

/// Runs it in a workspace that is gone afterwards.
func tryJail(on machine: Machine) -> Check {
    let environment = callerEnvironment()
    var refusal: Check?
    for base in [environment.first { $0.name == "TMPDIR" }?.value ?? "/tmp", "/var/tmp"] {
        guard let workspace = TrialWorkspace.make(in: base) else { continue }
        let check = tryJail(on: machine, workspace: workspace.path, environment)
        if check.state == .works { return check }
        // The file system of one may be unfit (no id-mapping) where that of the other is not.
        refusal = refusal ?? check
    }
    return refusal
        ?? .jail(
            state: .blocked, detail: "no workspace could be made", blockedBy: "the permissions of $TMPDIR and /var/tmp",
            remedy: "set TMPDIR to a directory of your own")
}

private func tryJail(on machine: Machine, workspace: String, _ environment: [(name: String, value: String)]) -> Check {
    let began = monotonicNanoseconds()
    let prepared: PreparedJail
    do throws(PolicyError) {
        let policy = try Policy.load("preset:agent") { (_) throws(FileReadFailure) in throw .missing }
        let request = PlanRequest(workspace: workspace, directory: workspace, callerEnvironment: environment)
        do throws(PlanFailure) { prepared = try makePlan(policy: policy, request: request, machine: machine) } catch {
            // As `cordon run` does: what is examined is then what a run would find.
            if UserManager.couldGive(error) {
                try? removeDirectory(workspace)
                UserManager(machine: machine, environment: environment)?.startAnewInScope()
            }
            return refused(error)
        }
    } catch {
        return .jail(
            state: .missing, detail: error.diagnostics.map(\.description).joined(separator: "; "),
            blockedBy: "the preset", remedy: "reinstall Cordon")
    }
    do throws(LaunchFailure) {
        let supervisor = try Supervisor(machine: machine)
        var request = RunRequest(arguments: ["/usr/bin/true"])
        request.wallLimit = 10_000
        request.captures = true
        request.readsInput = false
        request.forwardsSignals = false
        let outcome = run(request, in: prepared, filters: FilterStore(directory: nil), supervisor: supervisor)
        if let failure = outcome.failure { throw failure }
        guard outcome.reason == .exited, outcome.exitCode == 0 else {
            return .jail(
                state: .blocked, detail: "/usr/bin/true: \(briefNote(outcome) ?? "exited \(outcome.exitCode ?? -1)")",
                blockedBy: outcome.reason.rawValue, remedy: "see what fails above")
        }
        let milliseconds = (monotonicNanoseconds() - began) / 1_000_000
        return .jail(
            state: .works, detail: "preset:agent ran /usr/bin/true in \(milliseconds) ms", blockedBy: nil, remedy: nil)
    } catch {
        return .jail(
            state: .blocked, detail: "\(error.step) \(error.object)" + (error.errno.map { ": \($0)" } ?? ""),
            blockedBy: "the step \(error.step)", remedy: error.remedy)
    }
}

private func refused(_ failure: PlanFailure) -> Check {
    if case .missing(let all) = failure {
        return .jail(
            state: .blocked, detail: all.map { "\($0.guarantee.rawValue): \($0.reason)" }.joined(separator: "; "),
            blockedBy: "missing guarantees: " + all.map(\.guarantee.rawValue).joined(separator: ", "),
            remedy: all.map(\.remedy).uniqued().joined(separator: "; ") + "; or list them under allow_degraded")
    }
    return .jail(
        state: .blocked, detail: failure.description, blockedBy: "the plan", remedy: "see what fails above")
}

extension Array where Element: Hashable {
    fileprivate func uniqued() -> [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}

/// A directory of this caller's alone, removed with the value.
private struct TrialWorkspace: ~Copyable {
    let path: String

    private init(path: String) { self.path = path }

    /// nil where none can be made.
    static func make(in base: String) -> TrialWorkspace? {
        guard let base = try? resolvedPath(base) else { return nil }
        let path = base + "/cordon-doctor-" + String(UInt64.random(in: .min ... .max), radix: 36)
        do throws(Errno) { try makeDirectory(path, mode: 0o700) } catch { return nil }
        return TrialWorkspace(path: path)
    }

    deinit { try? removeDirectory(path) }
}
