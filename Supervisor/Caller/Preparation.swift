// From a policy and a request to a jail that can be started.
public import JailPlanner
public import Linux
public import Machine
public import PolicyModel
internal import SupervisorCore

/// Makes the plan of a jail, and the private caches that it will mount.
///
/// - Parameter failing: sees a plan that cannot be made before it is refused, and may start anew where it could be made.
public func prepareJail(
    _ policy: Policy, _ request: PlanRequest, _ machine: Machine, failing: (PlanFailure) -> Void = { _ in }
) throws(Refusal) -> PreparedJail {
    let caches = try planning { () throws(PlanFailure) in
        try cacheDirectories(policy: policy, request: request, machine: machine)
    }
    try refusing { () throws(LaunchFailure) in
        for directory in caches { try makePrivateDirectory(directory) }
    }
    return try planning { () throws(PlanFailure) in
        do throws(PlanFailure) { return try makePlan(policy: policy, request: request, machine: machine) } catch {
            failing(error)
            throw error
        }
    }
}

/// Does something of a caller's that the kernel may refuse.
public func refusing<Result>(
    step: String, _ object: String = "", _ body: () throws(Errno) -> Result
) throws(Refusal) -> Result {
    do throws(Errno) { return try body() } catch {
        throw Refusal(LaunchFailure(step: step, object: object, errno: error))
    }
}

private func planning<Result>(_ body: () throws(PlanFailure) -> Result) throws(Refusal) -> Result {
    do throws(PlanFailure) { return try body() } catch {
        let text = error.description
        throw Refusal(
            step: "plan", object: error.objectName, text: text.joinedLines("\ncordon: "), remedy: text.joinedLines("; ")
        )
    }
}

extension PlanFailure {
    /// The guarantee, file or path that the failure is about.
    fileprivate var objectName: String {
        switch self {
        case .missing(let all): all.map(\.guarantee.rawValue).joined(separator: ",")
        case .invalid(let diagnostics): diagnostics.first?.location?.description ?? ""
        case .unreadable(let path, _): path
        }
    }
}

extension String {
    fileprivate func joinedLines(_ separator: String) -> String {
        split(separator: "\n").joined(separator: separator)
    }
}
