// Commands that may hide in the words of a program that can run them, in a way that its table cannot tell: the value of an
// option of `man`, what stands behind an unknown option of `tmux`. They are looked for by rules that refuse, never by those
// that allow.
internal import PolicyModel

extension Judge {
    /// So many words are looked at behind a name, and so many names in one command: more are none of a person's.
    private static let longest = 32
    private static let most = 64

    /// What rules that refuse say about commands that the words of a command may be.
    func suspects(in command: JudgedCommand) -> [Evidence] {
        let words = suspectWords(command)
        var found: [Evidence] = []
        var tries = 0
        for (index, word) in words.enumerated() {
            let parts = Self.parts(of: word.text)
            for place in parts.indices where isRefused(Self.name(parts[place])) {
                tries += 1
                guard tries <= Self.most else {
                    return [refusal(command, rule: "opaque", .ask, "too many of its words are names of programs")]
                }
                // What stands in one string with it, or, where it is a word by itself, the words behind it.
                var hidden = parts[place...].prefix(Self.longest).map { Word(text: $0) }
                if parts.count == 1 { hidden += words[(index + 1)...].prefix(Self.longest) }
                found += refusals(of: hidden, in: command)
            }
        }
        return found
    }

    /// Whether some rule refuses a program of this name.
    private func isRefused(_ name: String) -> Bool {
        engine.tiers.contains { $0.rules[name]?.contains { $0.rule.decision != .allow } ?? false }
    }

    /// Words behind which many programs take a command: `uv run`, `bundle exec`, `docker exec`.
    private static let running: Set<String> = ["run", "exec", "shell", "x"]

    /// Words that the program may run, and that were not found to be a command. What is a program of another language than
    /// a shell's is left to the manual's warning about interpreters.
    private func suspectWords(_ command: JudgedCommand) -> [Word] {
        let invocation = command.invocation
        let values = invocation.options.filter { [.program, .config, .assignment].contains($0.kind) }.compactMap(
            \.value)
        guard invocation.spec != nil else { return values }
        let isPowerful = !invocation.effects.isDisjoint(with: [.executes, .interprets, .privileged])
        let runs =
            isPowerful && invocation.inner.isEmpty
            && (Self.running.contains(invocation.path.last ?? "")
                || Self.running.contains(invocation.operands.first?.word.text ?? ""))
        // An interpreter of another language may take a program with an option that is not known, as another shell does.
        let isStrange =
            invocation.effects.contains(.interprets) && invocation.options.contains { $0.spec == nil && $0.kind == nil }
        if runs || isStrange || hidesCommand(invocation) {
            let subcommands = Set(invocation.written)
            return command.words.dropFirst().filter { $0.form != .computed && !subcommands.contains($0.text) }
        }
        return values
            + invocation.operands.filter { operand in
                switch operand.kind {
                case nil: isPowerful
                case .program, .config, .assignment: true
                case .target: operand.word.text.utf8.contains(UInt8(ascii: "="))
                case .awkScript, .sedScript: invocation.hasPowerfulScript
                // A command to less, vi and their kin.
                default: isPowerful && operand.word.text.utf8.first == UInt8(ascii: "+")
                }
            }.map(\.word)
    }

    private func refusals(of words: [Word], in command: JudgedCommand) -> [Evidence] {
        let hidden = judgedCommand(words)
        return engine.tiers.flatMap { $0.rules[hidden.name] ?? [] }.filter {
            $0.rule.decision != .allow && $0.mismatch(hidden) == nil
        }.map { candidate in
            let name = printable(command.name)
            var item = refusal(
                command, rule: candidate.rule.id, candidate.rule.decision,
                "`\(name)` may run `\(printable(hidden.name))`, in a way that the table of programs cannot tell")
            item.location = candidate.rule.location
            return item
        }
    }

    private func refusal(_ command: JudgedCommand, rule: String, _ decision: Decision, _ reason: String) -> Evidence {
        Evidence(
            decision: decision, rule: rule, matched: title(command.words), reason: reason,
            remedy: "run it by itself, or change the rule", enforced: enforcement)
    }

    /// The words of a string as any shell may take it apart, or an option's value.
    private static func parts(of text: String) -> [String] {
        text.utf8.split { $0 <= 0x20 || ";|&(){}<>\"'`!=+\\".utf8.contains($0) }.map { String(Substring($0)) }
    }

    private static func name(_ word: String) -> String {
        word.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(word[word.utf8.index(after: $0)...]) } ?? word
    }
}
