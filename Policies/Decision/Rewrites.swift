// Commands that are allowed only as they are changed: their words, and a string for bash that has them.
internal import PolicyModel
internal import PolicyShell

extension Judge {
    /// A change of one command.
    struct Rewrite {
        /// Which command of the string.
        var index: Int
        /// In front of all, in a string for bash: `env` and variables.
        var prefix: [String]
        /// What comes behind the program's name.
        var front: [String]
        /// The word behind which flags come.
        var place: Int
        var flags: [String]
        /// The command's own words.
        var original: [String]

        /// What comes behind one of the words.
        func added(behind number: Int) -> [String] {
            (number == 0 ? front : []) + (number == place ? flags : [])
        }

        var words: [String] { original.enumerated().flatMap { [$1] + added(behind: $0) } }
    }

    mutating func apply(
        _ rewrite: CommandRewrite, to words: [Word], _ invocation: Invocation, index: Int, _ step: inout Step
    ) {
        needsRewrite = true
        environmentUnset += rewrite.environmentUnset.map(\.text).filter { !environmentUnset.contains($0) }
        environmentSet += rewrite.environmentSet.filter { !environmentSet.contains($0) }
        let prefix = rewrite.environmentSet.isEmpty ? [] : ["env"] + rewrite.environmentSet
        let front = rewrite.options + rewrite.config.flatMap { ["-c", $0] }
        if !front.isEmpty || !rewrite.flags.isEmpty || !prefix.isEmpty {
            // Behind the subcommand, or behind the program where there is none.
            let place = words.dropFirst().firstIndex { $0.text == invocation.written.last } ?? 0
            rewrites.append(
                Rewrite(
                    index: index, prefix: prefix, front: front, place: place, flags: rewrite.flags,
                    original: words.map(\.text)))
        }
        guard request.asIs else { return }
        step.add(
            Evidence(
                decision: .ask, rule: "rewrite", matched: step.title,
                reason: "it is allowed only as it is rewritten, and it is to run as it is",
                remedy: "leave out --as-is", enforced: .broker))
    }

    /// Whether a rewritten string has the words that were judged.
    func isSame(_ string: [UInt8], as program: ShellProgram) -> Bool {
        guard let again = try? analyse(string), again.commands.count == program.commands.count else { return false }
        let changes = Dictionary(rewrites.map { ($0.index, $0.prefix + $0.words) }) { first, _ in first }
        return zip(program.commands, again.commands).enumerated().allSatisfy { index, pair in
            let words = changes[index] ?? pair.0.words.map(\.text)
            return sameNames(words, pair.1.words.map(\.text))
                && pair.0.redirections.count == pair.1.redirections.count
        }
    }

    mutating func unwritableVerdict(_ steps: [Step]) -> Verdict {
        let evidence = Evidence(
            decision: .ask, rule: "rewrite", matched: "",
            reason: "it is allowed only rewritten, and cannot be written anew",
            remedy: "write its words without control characters, or as separate commands", enforced: .broker)
        return finish(steps + [Step(title: "the rewritten string", decision: .ask, evidence: [evidence])])
    }

    /// The string with the rewritten commands' words generated anew; what is not static stays as it is written.
    func rewritten(_ string: [UInt8], _ program: ShellProgram) -> String {
        var edits: [(range: ShellRange, text: String)] = []
        let changes = Dictionary(rewrites.map { ($0.index, $0) }) { first, _ in first }
        for (index, command) in program.commands.enumerated() {
            guard let change = changes[index] else { continue }
            for (number, word) in command.words.enumerated() where !word.isPattern && !word.isComputed {
                let words = (number == 0 ? change.prefix : []) + [word.text] + change.added(behind: number)
                let text = words.map(singleQuoted).joined(separator: " ")
                if let last = edits.last, last.range == word.range {
                    // Words of one brace expansion.
                    edits[edits.count - 1].text += " " + text
                } else {
                    edits.append((word.range, text))
                }
            }
        }
        var result: [UInt8] = []
        var at = 0
        // Commands in substitutions stand among the words of another.
        for edit in edits.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
            result += string[at..<edit.range.lowerBound]
            result += edit.text.utf8
            at = edit.range.upperBound
        }
        result += string[at...]
        return String(decoding: result, as: UTF8.self)
    }
}

/// A word in single quotes.
func singleQuoted(_ text: String) -> String {
    // By bytes: to Swift a quote with an accent is no quote.
    let quote = UInt8(ascii: "'")
    let bytes = text.utf8.flatMap { $0 == quote ? Array("'\\''".utf8) : [$0] }
    return String(decoding: [quote] + bytes + [quote], as: UTF8.self)
}
