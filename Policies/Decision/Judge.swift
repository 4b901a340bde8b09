// One request, from its text to its verdict.
internal import PolicyModel
internal import PolicyShell

struct Judge {
    let engine: Engine
    let request: CommandRequest
    let workspace: [String]
    /// Where a command may be when it runs: more than one place behind a `cd`.
    var directories: [[String]]
    /// Whether it may be anywhere else too: then a path that does not start at the root leads nobody knows where.
    var isLost = false
    let finder: PlaceFinder
    /// Whether another command may have made files by the time that a pattern is expanded, with names of its choosing.
    private(set) var mayHaveMadeFiles = false
    /// Commands inside commands inside commands.
    private static let deepest = 8
    /// Places where a command may be.
    static let mostPlaces = 16
    /// Reasons in one verdict.
    private static let mostEvidence = 256
    private var depth = 0
    /// Whether the shell at hand is bash, and no plain `sh`.
    private var isBash = true
    var rewrites: [Rewrite] = []

    var environmentUnset: [String] = [], environmentSet: [String] = []
    var needsRewrite = false
    /// Whether something in it does what its input says, or nobody knows whether it does.
    private var obeysInput = false

    init(engine: Engine, request: CommandRequest) {
        self.engine = engine
        self.request = request
        finder = PlaceFinder(engine: engine)
        workspace = PathPattern.components(of: request.workspace).map(String.init)
        directories = [normalized(PathPattern.components(of: request.directory).map(String.init))]
    }

    // MARK: - Whole requests

    mutating func verdict(argv: [String]) -> Verdict {
        guard !argv.isEmpty else { return opaqueVerdict("there is nothing to run", matched: "") }
        // execve(2) ends a word at a NUL, so that another word is run than was judged.
        if argv.contains(where: { $0.utf8.contains(0) }) {
            return opaqueVerdict("a word contains a NUL byte", matched: "")
        }
        if argv.contains(where: joinsMarks) {
            return opaqueVerdict("a mark is joined to a character of ASCII, or stands for one", matched: "")
        }
        let step = judge(words: argv.map { Word(text: $0) }, index: 0, canRewrite: true)
        var verdict = finish([step] + startingPlace())
        if verdict.decision == .allow { verdict.argv = rewrites.first?.words ?? argv }
        return verdict
    }

    mutating func verdict(string: [UInt8]) -> Verdict {
        let program: ShellProgram
        do throws(OpaqueCommand) {
            program = try analyse(string)
        } catch {
            let start = min(error.range.lowerBound, string.count)
            let end = min(max(error.range.upperBound, start), string.count)
            // To the end of the word: two bytes of it tell nobody where to look.
            let rest = string[end...].prefix { $0 > 0x20 && !";&|<>()".utf8.contains($0) }
            return opaqueVerdict(error.reason, matched: excerpt(string[start..<rest.endIndex]))
        }
        // Only comments and blanks: bash runs nothing.
        if program.commands.isEmpty { return finish([]) }
        let steps = judge(program, canRewrite: true)
        var verdict = finish(steps + startingPlace())
        guard verdict.decision == .allow else { return verdict }
        if program.isSimple, program.groupRedirections.isEmpty, let command = program.commands.first,
            command.redirections.isEmpty, !command.words.contains(where: \.isPattern)
        {
            verdict.argv = rewrites.first?.words ?? command.words.map(\.text)
        } else if verdict.isRewritten {
            let command = rewritten(string, program)
            guard isSame(Array(command.utf8), as: program) else { return unwritableVerdict(steps) }
            verdict.command = command
        }
        return verdict
    }

    /// Whether every command of the string is one that a rule is about.
    func isAllMatched(by rule: CompiledRule) -> Bool {
        guard case .string(let bytes) = request.subject, let program = try? analyse(bytes), !program.commands.isEmpty
        else { return false }
        return program.commands.allSatisfy { command in
            !command.words.isEmpty && rule.mismatch(judgedCommand(command.words.map(Word.init))) == nil
        }
    }

    func finish(_ steps: [Step]) -> Verdict {
        let decision = steps.decision
        // Each once, and no more than a person or a program has use for: the strictest come first below.
        var seen: Set<Evidence> = []
        var evidence = steps.flatMap(\.allEvidence).filter { seen.insert($0).inserted }
        if evidence.isEmpty {
            evidence = [
                Evidence(
                    decision: .allow, rule: "nothing", matched: "", reason: "it runs nothing and opens no file",
                    enforced: .broker)
            ]
        }
        if evidence.contains(where: { $0.decision != .allow }) {
            // Stable: reasons of the same weight stay in the order of the request.
            evidence = [Decision.deny, .ask, .allow].flatMap { wanted in evidence.filter { $0.decision == wanted } }
        }
        var verdict = Verdict(decision: decision, evidence: Array(evidence.prefix(Self.mostEvidence)), steps: steps)
        if obeysInput { verdict.input = request.input }
        verdict.isRewritten = decision == .allow && needsRewrite
        if verdict.isRewritten {
            verdict.environmentUnset = environmentUnset
            verdict.environmentSet = environmentSet
        }
        return verdict
    }

    private func opaqueVerdict(_ reason: String, matched: String) -> Verdict {
        let evidence = fallback(isOpaque: true, matched: matched, reason: "it cannot be analysed: \(reason)")
        var verdict = finish([Step(title: matched, decision: evidence.decision, evidence: [evidence])])
        verdict.opaque = reason
        verdict.input = request.input
        return verdict
    }

    /// What is said where no rule is: the strictest tier that speaks.
    private func fallback(isOpaque: Bool, matched: String, reason: String) -> Evidence {
        var result: Evidence?
        for tier in engine.tiers {
            guard let (answer, key) = tier.fallback(isOpaque: isOpaque, isJailed: request.isJailed) else { continue }
            if tier.name == .project, answer.value == .allow { continue }
            if let known = result, known.decision >= answer.value { continue }
            result = Evidence(
                decision: answer.value, rule: key, location: answer.location, matched: matched, reason: reason,
                remedy: answer.value == .allow ? nil : remedy(isOpaque: isOpaque), enforced: enforcement)
        }
        if let result { return result }
        // A policy without a word about commands leaves a jail to the kernel, and anything else to a person.
        let isSilent = request.isJailed && !engine.tiers.contains(where: \.speaksOfCommands)
        return Evidence(
            decision: isSilent ? .allow : .ask, rule: "default", matched: matched, reason: reason,
            remedy: isSilent ? nil : "write `[defaults]` with `command`, `opaque` and `jailed`", enforced: .broker)
    }

    private func remedy(isOpaque: Bool) -> String {
        isOpaque
            ? "write it without what cannot be analysed, or as separate commands" : "add a `[[command]]` rule for it"
    }

    /// What a run would do about it: where no tier grants any file, there is no run.
    var enforcement: Enforcement { engine.tiers.allSatisfy(\.isVerdictOnly) ? .checkOnly : .broker }

    // MARK: - Strings

    private mutating func judge(_ program: ShellProgram, canRewrite: Bool) -> [Step] {
        let before = (directories, isLost, mayHaveMadeFiles)
        defer { (directories, isLost, mayHaveMadeFiles) = before }
        mayHaveMadeFiles = mayHaveMadeFiles || mayMakeFiles(program)
        var steps: [Step] = []
        for (index, command) in program.commands.enumerated() {
            var step: Step
            if command.words.isEmpty {
                step = Step(title: "a redirection", decision: .allow, evidence: [])
            } else {
                step = judge(words: command.words.map(Word.init), index: index, canRewrite: canRewrite)
                if !changeDirectory(command, isRepeated: program.hasLoop) {
                    step.add(fallback(isOpaque: true, matched: step.title, reason: "where it leads is not known"))
                }
            }
            for redirection in command.redirections { add(redirection, to: &step) }
            steps.append(step)
        }
        if !program.groupRedirections.isEmpty {
            var step = Step(title: "redirections of a group", decision: .allow, evidence: [])
            for redirection in program.groupRedirections { add(redirection, to: &step) }
            steps.append(step)
        }
        return steps
    }

    private func add(_ redirection: ShellRedirection, to step: inout Step) {
        switch redirection.target {
        case .read(let word):
            judge(path: Word(word), .read, "a redirection", &step)
            judge(connection: Word(word), &step)
        case .write(let word):
            judge(path: Word(word), .write, "a redirection", &step)
            judge(connection: Word(word), &step)
        case .readAndWrite(let word):
            judge(path: Word(word), .read, "a redirection", &step)
            judge(path: Word(word), .write, "a redirection", &step)
            judge(connection: Word(word), &step)
        case .duplicate, .text: break
        }
    }

    /// Builtins that give a string to the shell at hand.
    private static let sameShell: Set<String> = ["eval", "trap"]

    /// A string that a program gives to a shell.
    private mutating func judge(string: String, title: String, by program: String) -> Step {
        var step = Step(title: title, decision: .allow, evidence: [])
        guard depth < Self.deepest else {
            step.add(fallback(isOpaque: true, matched: title, reason: "commands are nested too deeply"))
            return step
        }
        depth += 1
        let wasBash = isBash
        defer {
            depth -= 1
            isBash = wasBash
        }
        // Whatever does not name bash may start any shell.
        isBash = program == "bash" || isBash && Self.sameShell.contains(program)
        do throws(OpaqueCommand) {
            let inner = try analyse(Array(string.utf8))
            if inner.needsBash, !isBash {
                throw OpaqueCommand("it is bash's language, and another shell may run it", at: 0..<string.utf8.count)
            }
            step.steps = judge(inner, canRewrite: false)
            step.decision = max(step.decision, step.steps.decision)
        } catch {
            obeysInput = true
            step.add(
                fallback(
                    isOpaque: true, matched: excerpt(Array(string.utf8)[...]),
                    reason: "it cannot be analysed: \(error.reason)"))
        }
        return step
    }

    // MARK: - Commands

    /// Builtins after which words may mean something else.
    private static let changingWords: Set<String> = [
        "alias", "hash", "enable", "source", ".", "set", "shopt", "export", "declare", "typeset", "local", "readonly",
        "unset",
        "let", "fc", "bind", "mapfile", "readarray", "read", "complete", "compgen", "getopts", "trap", "eval",
    ]
    /// Programs that add words of their input to the command in their words.
    private static let appending: Set<String> = ["xargs", "parallel"]

    private mutating func judge(words: [Word], index: Int, canRewrite: Bool) -> Step {
        let before = (directories, isLost)
        defer { (directories, isLost) = before }
        var command = judgedCommand(words)
        if enterDirectories(of: command.invocation) { command = judgedCommand(words) }
        let invocation = command.invocation
        obeysInput = obeysInput || invocation.obeysInput || invocation.spec == nil
        var step = Step(title: title(words), decision: .allow, evidence: [])
        judgeInner(invocation, &step)
        let isTransparent = isTransparent(invocation)
        var evidence: [Evidence] = []
        var rewrite = CommandRewrite()
        /// Whether anybody but a stranger's project has said something.
        var hasOwnWord = false
        for tier in engine.tiers {
            guard
                let (item, change) = answer(of: tier, on: command, isTransparent: isTransparent, canRewrite: canRewrite)
            else { continue }
            evidence.append(item)
            // A project's file is a stranger's: it can tighten, and a rewrite can run anything.
            if tier.name == .project { continue }
            hasOwnWord = true
            // Tiers that extend the same preset say the same.
            rewrite = rewrite.adding(change)
        }
        // A tier that has only heard of the whole is silent about a wrapper that runs nothing of its own.
        if !hasOwnWord, !isTransparent {
            var item = fallback(isOpaque: false, matched: step.title, reason: "no rule is about it")
            if let rule = engine.tiers.compactMap({ $0.closedRule(command) }).first, item.decision != .allow {
                item.reason = closedReason(rule, command)
                item.remedy = openingRemedy(rule)
            }
            evidence.append(item)
        }
        if let strictest = evidence.map(\.decision).max() {
            for item in evidence where item.decision == strictest || item.decision != .allow { step.add(item) }
        }
        for item in suspects(in: command) { step.add(item) }
        judgeRequests(command, &step)
        if step.decision == .allow, !rewrite.isEmpty { apply(rewrite, to: words, invocation, index: index, &step) }
        return step
    }

    /// Wrappers that read no configuration, start no helper and write nothing.
    private static let plainWrappers: Set<String> = [
        "timeout", "nice", "ionice", "chrt", "taskset", "stdbuf", "setsid", "time", "env", "command", "builtin", "exec",
        "xargs",
    ]

    /// A wrapper that runs the command in its words and does nothing else that needs a rule.
    private func isTransparent(_ invocation: Invocation) -> Bool {
        guard let spec = invocation.spec, !invocation.mayHideOptions,
            invocation.options.allSatisfy({ $0.spec?.isHarmless ?? false && $0.value?.form ?? .literal == .literal })
        else { return false }
        if spec.operands.last?.kind == .innerCommand {
            // `exec -a NAME` lets a program that is several be another one.
            guard Self.plainWrappers.contains(invocation.path[0]),
                !invocation.options.contains(where: { $0.name == "-a" })
            else { return false }
            return invocation.inner.count == 1 && invocation.effects.isEmpty
                && invocation.operands.allSatisfy { [.word, .number, .text, .signal].contains($0.kind) }
        }
        // `sh -c STRING`, without more words.
        return ["sh", "bash", "dash"].contains(invocation.path[0]) && invocation.strings.count == 1
            && invocation.operands.count == 1 && invocation.strings[0].form == .literal
            && invocation.options.allSatisfy { ["-c", "-e", "-u", "-x", "--norc", "--noprofile"].contains($0.name) }
    }

    /// Why it cannot be told what a command does, where it cannot.
    private func unclearReason(_ command: JudgedCommand) -> String? {
        if request.input != .none, let reason = command.openReason { return reason }
        if hidesCommand(command.invocation) { return "which command it runs cannot be told" }
        if command.invocation.hasPowerfulScript { return "its script does more than print, or cannot be told" }
        return Self.changingWords.contains(command.name) ? "it can change what other words mean" : nil
    }

    /// Whether a program runs a command that its words do not show: a wrapper or a shell with an option that is not known, an
    /// option that executes, an interpreter that reads its program from its input.
    func hidesCommand(_ invocation: Invocation) -> Bool {
        guard let spec = invocation.spec else { return false }
        if invocation.options.contains(where: { $0.spec?.executes ?? false }) { return true }
        // To a shell `+e` is an option too, with `-c` behind it.
        if invocation.operands.contains(where: { operand in
            (operand.kind == .script || operand.kind == .command)
                && operand.word.text.utf8.first.map { "+-".utf8.contains($0) } ?? false && operand.word.text != "-"
        }) {
            return true
        }
        if spec.runsCommands, invocation.mayHideOptions || invocation.options.contains(where: { $0.spec == nil }) {
            return true
        }
        return invocation.readsProgramFromInput
    }

    private mutating func judgeInner(_ invocation: Invocation, _ step: inout Step) {
        guard !invocation.inner.isEmpty || !invocation.strings.isEmpty else { return }
        guard depth < Self.deepest else {
            return step.add(fallback(isOpaque: true, matched: step.title, reason: "commands are nested too deeply"))
        }
        depth += 1
        defer { depth -= 1 }
        for var words in invocation.inner {
            if Self.appending.contains(invocation.path[0]) {
                // `-I` puts the input into the words, wherever its mark stands.
                let marks = invocation.options.filter { ["-I", "-i", "--replace"].contains($0.name) }
                for mark in marks {
                    let text = mark.value?.text ?? "{}"
                    words = words.map { contains($0.text, text) ? Word(text: "", form: .computed) : $0 }
                }
                words.append(Word(text: "", form: .computed))
            }
            // To env a lone dash is `-i`.
            if invocation.path[0] == "env" { words = Array(words.drop { $0.text == "-" }) }
            guard let name = words.first, name.form == .literal, !name.text.isEmpty else {
                step.add(fallback(isOpaque: true, matched: step.title, reason: "which command it runs shows only then"))
                continue
            }
            step.attach(judge(words: words, index: 0, canRewrite: false))
        }
        guard !invocation.strings.isEmpty else { return }
        // eval, watch and their kin join their words; options each have a string of their own.
        let isJoined = invocation.operands.contains { $0.kind == .command }
        let strings =
            isJoined ? [invocation.strings.map(\.text).joined(separator: " ")] : invocation.strings.map(\.text)
        guard invocation.strings.allSatisfy({ $0.form == .literal }) else {
            return step.add(
                fallback(isOpaque: true, matched: step.title, reason: "which command it runs shows only then"))
        }
        for string in strings { step.attach(judge(string: string, title: string, by: invocation.path[0])) }
    }

    /// What one tier says about a simple command: its strictest matching rule, else its default.
    private func answer(
        of tier: CompiledTier, on command: JudgedCommand, isTransparent: Bool, canRewrite: Bool
    ) -> (Evidence, CommandRewrite)? {
        var found: CompiledRule?
        var nearMiss: (rule: CommandRule, reason: String)?
        let needsNoRule = request.isJailed && tier.policy.defaults.jailed?.value == .allow
        for candidate in tier.rules[command.name] ?? [] {
            let rule = candidate.rule
            if let reason = candidate.mismatch(command) {
                if !reason.isEmpty, nearMiss == nil { nearMiss = (rule, reason) }
                continue
            }
            if !rule.rewrite.isEmpty, !canRewrite || needsNoRule {
                // Where the jail is enough it need not be rewritten; where it cannot be, the rule does not hold.
                if !needsNoRule { nearMiss = (rule, "it would have to be rewritten, which it cannot be here") }
                continue
            }
            if let known = found?.rule {
                if known.decision > rule.decision { continue }
                if known.decision == rule.decision, known.rewrite.isEmpty || !rule.rewrite.isEmpty { continue }
            }
            found = candidate
        }
        let title = title(command.words)
        if let rule = found?.rule {
            let evidence = Evidence(
                decision: rule.decision, rule: rule.id, location: rule.location, matched: title,
                reason: rule.reason ?? reason(rule.decision),
                remedy: rule.decision == .allow ? nil : "change the rule, or add to its `except`",
                enforced: enforcement)
            return (evidence, rule.decision == .allow ? rule.rewrite : CommandRewrite())
        }
        if isTransparent { return nil }
        guard var (answer, key) = tier.fallback(isOpaque: false, isJailed: request.isJailed) else { return nil }
        let closed = tier.closedRule(command)
        // Without a rule of this tier, what cannot be told about the command is opaque to it.
        if let unclear = unclearReason(command),
            let opaque = tier.fallback(isOpaque: true, isJailed: request.isJailed),
            opaque.decision.value >= answer.value
        {
            var remedy = remedy(isOpaque: true)
            if command.openReason != nil { remedy = closed.map(openingRemedy) ?? Self.closing }
            let evidence = Evidence(
                decision: opaque.decision.value, rule: opaque.key, location: opaque.decision.location, matched: title,
                reason: closed.map { closedReason($0, command) } ?? unclear,
                remedy: opaque.decision.value == .allow ? nil : remedy, enforced: enforcement)
            if opaque.decision.value > answer.value || nearMiss == nil { return (evidence, CommandRewrite()) }
            (answer, key) = opaque
        }
        var reason = "no rule of \(printable(tier.policy.name)) allows it"
        var remedy = "add a `[[command]]` rule for it"
        if let closed {
            reason = closedReason(closed, command)
            remedy = openingRemedy(closed)
        } else if let nearMiss {
            reason = "the rule `\(printable(nearMiss.rule.id))` does not match: \(printable(nearMiss.reason))"
            remedy = "leave that out, or change the rule at \(nearMiss.rule.location)"
        } else if command.invocation.spec == nil {
            reason += ", and it is not in the table of programs"
        } else if let note = command.invocation.spec?.note, answer.value != .allow {
            reason += " (\(note))"
        }
        let evidence = Evidence(
            decision: answer.value, rule: key, location: answer.location, matched: title, reason: reason,
            remedy: answer.value == .allow ? nil : remedy, enforced: enforcement)
        return (evidence, CommandRewrite())
    }

    private static let closing = "give it no input, or allow it by a rule that says `interactive = true`"

    private func closedReason(_ rule: CommandRule, _ command: JudgedCommand) -> String {
        "\(command.openReason ?? "it is open"), and the rule `\(printable(rule.id))` is not `interactive`"
    }

    private func openingRemedy(_ rule: CommandRule) -> String {
        "give it no input, or add `interactive = true` to the rule at \(rule.location)"
    }

    private func reason(_ decision: Decision) -> String {
        switch decision {
        case .allow: "the rule allows it"
        case .ask: "the rule leaves it to a person"
        case .deny: "the rule denies it"
        }
    }

    private static let systemPath: Set<String> = [
        "/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin", "/usr/local/sbin",
    ]

    func judgedCommand(_ words: [Word]) -> JudgedCommand {
        let written = words[0].text
        var name = written
        var isTrusted = !engine.tiers.contains { $0.writableSearchPath != nil }
        if let slash = written.utf8.lastIndex(of: UInt8(ascii: "/")) {
            name = String(written[written.utf8.index(after: slash)...])
            isTrusted = Self.systemPath.contains(String(written[..<slash]))
        }
        var named = words
        named[0].text = name
        // An allow must hold wherever the command may be; a denial, wherever it could be.
        let judge = self
        return JudgedCommand(
            words: words,
            invocation: Invocation(named, table: engine.table, patterns: knowledge(of: words)), name: name,
            input: request.input, isTrustedName: isTrusted,
            isInWorkspace: { text in judge.directories.allSatisfy { judge.isInWorkspace(text, from: $0) } },
            mayBeInWorkspace: { text in judge.directories.contains { judge.mayBeInWorkspace(text, from: $0) } },
            isReadable: { text in judge.directories.allSatisfy { judge.isReadable(text, from: $0) } })
    }

    /// What is known of the files that a command's patterns stand for, as they are now.
    private func knowledge(of words: [Word]) -> PatternKnowledge {
        if mayHaveMadeFiles { return .chosen }
        let patterns = words.filter { $0.form == .pattern && $0.mayBecomeOption }
        guard !patterns.isEmpty, engine.expand != nil, !request.isJailed, !isLost else { return .none }
        let hasNoOptions = directories.allSatisfy { directory in
            patterns.allSatisfy { word in
                guard let first = PathPattern.components(of: word.text).first.map(String.init),
                    let files = finder.expansion(directory, [first])
                else { return false }
                return files.allSatisfy { file in
                    PathPattern.components(of: file).last?.utf8.first.map { $0 != UInt8(ascii: "-") } ?? false
                }
            }
        }
        return hasNoOptions ? .noOptions : .none
    }

    // MARK: - Texts

    func title(_ words: [Word]) -> String {
        // As long as a person reads; a hostile command has megabytes.
        var text = ""
        for word in words {
            if !text.isEmpty { text += " " }
            text += word.form == .computed ? "…" : word.form == .pattern ? word.text : shellWord(word.text)
            if text.utf8.count > 400 { return String(Substring(text.unicodeScalars.prefix(400))) + "…" }
        }
        return text
    }

    private func excerpt(_ bytes: ArraySlice<UInt8>) -> String {
        let head = bytes.prefix(200)
        return printable(String(decoding: head, as: UTF8.self)) + (head.count < bytes.count ? "…" : "")
    }
}

extension Step {
    mutating func add(_ item: Evidence) {
        // Only a few are compared: a hostile command has a hundred thousand.
        if !evidence.suffix(32).contains(item) { evidence.append(item) }
        decision = max(decision, item.decision)
    }

    mutating func attach(_ step: Step) {
        steps.append(step)
        decision = max(decision, step.decision)
    }
}

/// `.`, `..` and nothing taken out, as far as names alone say.
func normalized(_ names: [String]) -> [String] {
    var result: [String] = []
    for name in names {
        switch name {
        case ".": break
        case "..": _ = result.popLast()
        default: result.append(name)
        }
    }
    return result
}

/// A word as a shell takes it, quoted only where that is needed.
package func shellWord(_ text: String) -> String {
    let isPlain =
        !text.isEmpty
        && text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "-_./=:,+@%".utf8.contains(byte)
            }
        }
    return isPlain ? text : singleQuoted(text)
}
