// A policy held against its own examples: `match`, `not_match` and `[[test]]`.
public import PolicyModel

/// What became of one example.
public struct ExampleResult: Sendable {
    /// The command.
    public var command: String
    /// Where the example stands.
    public var location: SourceLocation?
    /// Nil where it is as the policy says.
    public var failure: String?
    /// Rules that took part in the verdict.
    public var rules: [String]
}

extension Policy {
    /// Runs the examples of this policy's own rules and its tests. A test sees this policy alone, in a workspace that does
    /// not exist.
    ///
    /// - Parameter rulesOf: only rules of this file; all of them where it is nil.
    /// - Throws: ``PolicyError`` for rules that cannot be compiled.
    public func runExamples(rulesOf file: String? = nil) throws(PolicyError) -> [ExampleResult] {
        let workspace = "/workspace"
        let engine = try Engine([Tier(.session, self)])
        var results: [ExampleResult] = []
        for rule in commands where file.map({ sameBytes($0, rule.location.file) }) ?? true {
            for (examples, shouldMatch) in [(rule.match, true), (rule.notMatch, false)] {
                for example in examples {
                    let matches = engine.isAllMatched(by: rule, example.value, workspace: workspace)
                    var failure: String?
                    if matches != shouldMatch {
                        failure =
                            "the rule \(quoted(rule.id)) " + (matches ? "matches" : "does not match") + " its example "
                            + quoted(example.value)
                    }
                    results.append(
                        ExampleResult(
                            command: example.value, location: example.location, failure: failure, rules: [rule.id]))
                }
            }
        }
        for test in tests {
            let directory = workspace + (test.directory.map { "/" + $0 } ?? "")
            let request = CommandRequest(
                .string(Array(test.run.value.utf8)), workspace: workspace, directory: directory,
                isJailed: test.isJailed, input: test.input)
            let verdict = engine.judge(request)
            results.append(
                ExampleResult(
                    command: test.run.value, location: test.run.location, failure: test.failure(verdict),
                    rules: verdict.evidence.map(\.rule)))
        }
        return results
    }

    /// The examples that fail, as what is wrong with the policy.
    public func failedExamples() throws(PolicyError) -> [Diagnostic] {
        try runExamples(rulesOf: name).compactMap { result in
            result.failure.map { Diagnostic(location: result.location, message: $0) }
        }
    }
}

extension PolicyTest {
    fileprivate func failure(_ verdict: Verdict) -> String? {
        let shown = quoted(run.value)
        if let decision, verdict.decision != decision {
            let reason = verdict.mainEvidence.map { ", by `\($0.rule)`: \($0.reason)" } ?? ""
            return "\(shown) is expected to be \(decision.rawValue), and is \(verdict.decision.rawValue)\(reason)"
        }
        if let rule, !verdict.evidence.contains(where: { sameBytes($0.rule, rule) }) {
            let rules = verdict.evidence.map { "`\($0.rule)`" }.joined(separator: ", ")
            return "\(shown) is expected to be decided by \(quoted(rule)), and is by \(rules)"
        }
        return nil
    }
}

extension Engine {
    /// Whether every command of a string is one that a rule is about.
    func isAllMatched(by rule: CommandRule, _ string: String, workspace: String) -> Bool {
        guard let compiled = try? CompiledRule(rule) else { return false }
        let judge = Judge(engine: self, request: CommandRequest(.string(Array(string.utf8)), workspace: workspace))
        return judge.isAllMatched(by: compiled)
    }
}
