// What the engine says about a run, and what a person says where it asks.
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import SupervisorCore

/// A command that may be started, or the outcome of one that may not.
struct JudgedRun {
    /// The words to start: those that were asked about, or as a rule rewrites them.
    let argv: [String]
    private let unset: [Glob]
    /// Nil where it may be started.
    let refusal: Outcome?

    /// - Parameter isAsked: false for a plan that is only printed, to which an `ask` is no obstacle.
    init(_ command: [String], verdict: Verdict, tiers: PolicyTiers, isAsked: Bool) {
        var decision = verdict.decision
        if decision == .ask { decision = isAsked ? Self.answer(verdict, command, tiers) : .allow }
        argv = verdict.argv ?? command
        // Names of variables in a policy were read as globs before.
        unset = verdict.environmentUnset.compactMap { try? Glob($0) }
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

    /// Asks the person at the terminal; without one, the policy's `headless_ask` answers.
    private static func answer(_ verdict: Verdict, _ command: [String], _ tiers: PolicyTiers) -> Decision {
        // The terminal itself, not standard input: that is the command's, and may be what an agent writes.
        let approvers = tiers.tiers.compactMap { $0.policy.approval.approvers?.value }
        guard approvers.allSatisfy({ $0.contains(.terminal) }), isTerminal(0), isTerminal(2),
            let terminal = try? open("/dev/tty", .readWrite)
        else {
            // A stranger's file may refuse, and never allow.
            let answers = tiers.tiers.compactMap { tier in
                tier.policy.defaults.headlessAsk.map(\.value).flatMap {
                    tier.name == .project && $0 == .allow ? nil : $0
                }
            }
            return answers.max() ?? .deny
        }
        var text = "cordon: may this be run? \(printable(command.map(shellWord).joined(separator: " ")))\n"
        if let reason = verdict.mainEvidence {
            text += "  \(printable(reason.rule)): \(printable(reason.reason))\n"
        }
        text += "[y/N] "
        do throws(Errno) {
            try terminal.writeAll(Array(text.utf8))
            var line: [UInt8] = []
            while line.last != UInt8(ascii: "\n"), line.count < 100 {
                var byte: [UInt8] = [0]
                if try terminal.read(into: &byte, upTo: 1) == 0 { break }
                line += byte
            }
            let isYes = ["y\n", "Y\n", "yes\n"].contains { line.elementsEqual($0.utf8) }
            return isYes ? .allow : .deny
        } catch {
            return .deny
        }
    }
}

/// Why a command was not started, on standard error.
func denialText(_ verdict: Verdict) -> String {
    var text = ""
    for item in verdict.evidence where item.decision != .allow {
        text +=
            "cordon: \(item.decision == .ask ? "not approved" : "denied"): \(printable(item.rule)): \(printable(item.reason))"
        text += " — \(printable(item.matched))\n"
        let place = item.location.map { "\($0): " } ?? ""
        if let remedy = item.remedy { text += "cordon:   \(place)\(printable(remedy))\n" }
    }
    return text
}
