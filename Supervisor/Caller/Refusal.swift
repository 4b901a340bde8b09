// Why nothing was started.
internal import Linux
public import PolicyModel
public import SupervisorCore

/// Why nothing was started, for programs and for people.
public struct Refusal: Error, Sendable {
    /// For programs.
    public var failure: LaunchFailure
    /// For people: every problem on a line of its own.
    public var text: String

    /// A refusal with one reason.
    public init(_ failure: LaunchFailure) {
        self.failure = failure
        text = failure.description
    }

    /// A refusal in words of its own.
    public init(step: String, object: String, text: String, remedy: String) {
        failure = LaunchFailure(step: step, object: object, remedy: remedy)
        self.text = text
    }

    /// - Parameter policy: the one that was asked for.
    public init(_ error: PolicyError, by policy: String?) {
        self.init(
            step: "policy",
            object: error.diagnostics.first?.location?.description ?? policy ?? PolicyTiers.defaultPolicy,
            text: error.diagnostics.map(\.description).joined(separator: "\ncordon: "),
            remedy: error.diagnostics.map(\.description).joined(separator: "; "))
    }
}

/// Does something that the supervisor may fail at.
public func refusing<Result>(_ body: () throws(LaunchFailure) -> Result) throws(Refusal) -> Result {
    do throws(LaunchFailure) { return try body() } catch { throw Refusal(error) }
}

/// Does something with policies; `policy` is the one that was asked for.
public func refusing<Result>(policy: String?, _ body: () throws(PolicyError) -> Result) throws(Refusal) -> Result {
    do throws(PolicyError) { return try body() } catch { throw Refusal(error, by: policy) }
}
