// What the engine answers.
public import PolicyModel

/// What enforces a verdict.
public enum Enforcement: String, Sendable, Hashable {
    /// The kernel, in a jail made by this policy, whatever the command turns out to do.
    case kernel
    /// The supervisor, which starts nothing that is denied. What was started is bound by kernel rules alone.
    case broker
    /// Nothing: no tier grants a file, so nothing can be run.
    case checkOnly = "check-only"
}

/// One reason for a verdict.
public struct Evidence: Sendable, Hashable {
    /// What this reason alone says.
    public var decision: Decision
    /// The id of a rule, or a key such as `fs.deny` and `defaults.command`.
    public var rule: String
    /// Where it was written; nil for what no file says.
    public var location: SourceLocation?
    /// The part of the request that it is about.
    public var matched: String
    /// Why.
    public var reason: String
    /// The smallest change that would alter it.
    public var remedy: String?
    /// What enforces it.
    public var enforced: Enforcement
}

/// A part of a request, with its own verdict: what `cordon policy explain` shows.
public struct Step: Sendable, Hashable {
    /// What would be run or opened.
    public var title: String
    /// The verdict on this part and on all below it.
    public var decision: Decision
    /// Reasons of this part alone.
    public var evidence: [Evidence]
    /// What it would run in its turn.
    public var steps: [Step] = []

    /// All reasons, those of inner parts last.
    public var allEvidence: [Evidence] { evidence + steps.flatMap(\.allEvidence) }
}

/// The answer to one request.
public struct Verdict: Sendable, Hashable {
    /// What is to be done.
    public var decision: Decision
    /// Whether the answer is about other words than those that were asked about.
    public var isRewritten = false
    /// The words to execute without a shell, where one simple command is allowed.
    public var argv: [String]?
    /// The string to give to bash, where more than one command is allowed and some of them were rewritten.
    public var command: String?
    /// What it would be given beside its words, where something in it may obey that; `none` where nothing
    /// does.
    public var input = CommandInput.none
    /// Globs of variables that must not be in the environment.
    public var environmentUnset: [String] = []
    /// `NAME=VALUE` each: variables that must be in it. A rewritten string for bash has them already.
    public var environmentSet: [String] = []

    /// The same, taken apart.
    public var variables: [(name: String, value: String)] {
        environmentSet.map { text in
            let name = text.utf8.prefix { $0 != UInt8(ascii: "=") }
            return (String(Substring(name)), String(Substring(text.utf8.dropFirst(name.count + 1))))
        }
    }
    /// Why: the strictest reasons first.
    public var evidence: [Evidence]
    /// The same as a tree.
    public var steps: [Step]
    /// Why the request could not be analysed; nil where it could.
    public var opaque: String?

    /// The first reason for the decision.
    public var mainEvidence: Evidence? { evidence.first { $0.decision == decision } }
}

extension [Step] {
    /// The strictest of them.
    var decision: Decision { map(\.decision).max() ?? .allow }
}
