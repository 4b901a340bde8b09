// How an `ask` may be answered, by all policies that have a say.
public import PolicyDecision
public import PolicyModel

/// What the policies' `[approval]` sections allow together.
public struct ApprovalTerms: Sendable {
    private let scopes: Set<ApprovalRules.Scope>
    /// How long a request waits and an answer holds; nil for as long as it takes.
    public let expiry: Milliseconds?
    private let approvers: Set<ApprovalRules.Approver>

    /// Of all tiers together.
    public init(_ tiers: [Tier]) {
        scopes = Self.common(tiers, [.once]) { $0.scopes?.value }
        approvers = Self.common(tiers, [.terminal]) { $0.approvers?.value }
        expiry = tiers.compactMap { $0.policy.approval.expiry?.value }.min()
    }

    /// What every list holds. A project's file, which may be a stranger's, only shortens what the others give.
    private static func common<Item: Hashable>(
        _ tiers: [Tier], _ standard: Set<Item>, _ list: (ApprovalRules) -> [Item]?
    ) -> Set<Item> {
        let own = tiers.filter { $0.name != .project }.compactMap { list($0.policy.approval) }
        let strangers = tiers.filter { $0.name == .project }.compactMap { list($0.policy.approval) }
        let given = own.isEmpty ? standard : own.dropFirst().reduce(Set(own[0])) { $0.intersection($1) }
        return strangers.reduce(given) { $0.intersection($1) }
    }

    /// Whether the person at the terminal may answer at all.
    public var areForTerminal: Bool { approvers.contains(.terminal) && !scopes.isEmpty }

    /// Whether `cordon approve` may answer.
    public var areForCli: Bool { approvers.contains(.cli) && !scopes.isEmpty }

    /// Whether an answer may be for so long.
    public func contains(_ scope: ApprovalRules.Scope) -> Bool { scopes.contains(scope) }

    /// What stands for an answer where nobody can be asked.
    public static func headlessAnswer(_ tiers: [Tier]) -> Decision {
        // A stranger's file may refuse, and never allow.
        let answers = tiers.compactMap { tier in
            tier.policy.defaults.headlessAsk.map(\.value).flatMap {
                tier.name == .project && $0 == .allow ? nil : $0
            }
        }
        return answers.max() ?? .deny
    }
}
