// What the engine says about a run, and what a person says where it asks.
internal import Caller
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import SupervisorCore

/// A command that may be started, or the outcome of one that may not.
struct JudgedRun {
    /// The words to start: those that were asked about, or as a rule rewrites them.
    let argv: [String]
    private let unset: [Glob]
    /// What a rule puts into the environment.
    let variables: [(name: String, value: String)]
    /// Nil where it may be started.
    let refusal: Outcome?

    /// - Parameters:
    ///   - circumstances: what else of the call an approval is about: the image, variables.
    ///   - isAsked: false for a plan that is only printed, to which an `ask` is no obstacle.
    init(
        _ command: [String], verdict: Verdict, in place: Workspace, tiers: [Tier],
        environment: [(name: String, value: String)], circumstances: [String], isAsked: Bool
    ) {
        var decision = verdict.decision
        if decision == .ask {
            decision =
                isAsked ? Self.answer(verdict, command, place, tiers, environment, circumstances) : .allow
        }
        argv = verdict.argv ?? command
        // Names of variables in a policy were read as globs before.
        unset = verdict.environmentUnset.compactMap { try? Glob($0) }
        variables = verdict.variables
        guard decision != .allow else {
            refusal = nil
            return
        }
        var outcome = Outcome(reason: .denied, guarantees: GuaranteeNames(enforced: [], degraded: [], notes: []))
        outcome.denials = [verdict]
        refusal = outcome
    }

    /// The environment without what a rule takes away.
    func environment(_ variables: [(name: String, value: String)]) -> [(name: String, value: String)] {
        unset.isEmpty ? variables : variables.filter { variable in !unset.contains { $0.matches(variable.name) } }
    }

    /// What the person said before, or says now; without a terminal, the policies' `headless_ask` answers.
    private static func answer(
        _ verdict: Verdict, _ command: [String], _ place: Workspace, _ tiers: [Tier],
        _ environment: [(name: String, value: String)], _ circumstances: [String]
    ) -> Decision {
        let terms = ApprovalTerms(tiers)
        let store = terms.contains(.session) ? ApprovalStore(environment) : nil
        let key = store == nil ? "" : ApprovalStore.key(command, in: place, circumstances, tiers)
        if terms.areForTerminal, store?.holds(key) == true { return .allow }
        guard terms.areForTerminal, terms.contains(.once) || store != nil, isTerminal(0), isTerminal(2) else {
            return ApprovalTerms.headlessAnswer(tiers)
        }
        guard let scope = askAtTerminal(verdict, command, terms, canRemember: store != nil) else { return .deny }
        if scope == .session, let store {
            do throws(Errno) { try store.remember(key, for: terms.expiry) } catch {
                put("cordon: the approval holds for once: it cannot be remembered: \(error.message)\n", to: 2)
            }
        }
        return .allow
    }
}
