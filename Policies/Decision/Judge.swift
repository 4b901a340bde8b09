// One request, from its text to its verdict.
internal import PolicyModel
internal import PolicyShell

struct Judge {
    let engine: Engine
    let request: CommandRequest
    private let workspace: [String]
    /// Where a command may be when it runs: more than one place behind a `cd`.
    private var directories: [[String]]
    /// Commands inside commands inside commands.
    private static let deepest = 8
    /// Reasons in one verdict.
    private static let mostEvidence = 256
    private var depth = 0
    /// Whether the shell at hand is bash, and no plain `sh`.
    private var isBash = true
    private var rewrites: [Rewrite] = []

    /// A change of one command.
    private struct Rewrite {
        /// Which command of the string.
        var index: Int
        var words: [String]
    }

    private var environmentUnset: [String] = []
    private var needsRewrite = false

    init(engine: Engine, request: CommandRequest) {
        self.engine = engine
        self.request = request
        workspace = PathPattern.components(of: request.workspace).map(String.init)
        directories = [normalized(PathPattern.components(of: request.directory).map(String.init))]
    }

    // MARK: - Whole requests

    mutating func verdict(argv: [String]) -> Verdict {
        guard !argv.isEmpty else { return opaqueVerdict("there is nothing to run", matched: "") }
        let step = judge(words: argv.map { Word(text: $0) }, index: 0, canRewrite: true)
        var verdict = finish([step])
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
        var verdict = finish(steps)
        guard verdict.decision == .allow else { return verdict }
        if program.isSimple, program.groupRedirections.isEmpty, let command = program.commands.first,
            command.redirections.isEmpty, !command.words.contains(where: \.isPattern)
        {
            verdict.argv = rewrites.first?.words ?? command.words.map(\.text)
        } else if !rewrites.isEmpty {
            verdict.command = rewritten(string, program)
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

    private func finish(_ steps: [Step]) -> Verdict {
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
        verdict.isRewritten = decision == .allow && needsRewrite
        if verdict.isRewritten { verdict.environmentUnset = environmentUnset }
        return verdict
    }

    private func opaqueVerdict(_ reason: String, matched: String) -> Verdict {
        let evidence = fallback(isOpaque: true, matched: matched, reason: "it cannot be analysed: \(reason)")
        var verdict = finish([Step(title: matched, decision: evidence.decision, evidence: [evidence])])
        verdict.opaque = reason
        return verdict
    }

    /// What is said where no rule is: the strictest tier that speaks.
    private func fallback(isOpaque: Bool, matched: String, reason: String) -> Evidence {
        var result: Evidence?
        for tier in engine.tiers {
            guard let (answer, key) = tier.fallback(isOpaque: isOpaque, isJailed: request.isJailed) else { continue }
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
    private var enforcement: Enforcement { engine.tiers.allSatisfy(\.isVerdictOnly) ? .checkOnly : .broker }

    // MARK: - Strings

    private mutating func judge(_ program: ShellProgram, canRewrite: Bool) -> [Step] {
        let before = directories
        defer { directories = before }
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

    /// Follows `cd`; false where it leads to a place that is not known.
    private mutating func changeDirectory(_ command: SimpleCommand, isRepeated: Bool) -> Bool {
        let words = command.words.map(\.text)
        let name = words.first { $0 != "command" && $0 != "builtin" && $0.utf8.first != UInt8(ascii: "-") }
        guard name == "cd" || name == "pushd" || name == "popd" || name == "chdir" else { return true }
        // In a loop it leads on and on, and in front of commands that are written before it.
        guard !isRepeated, words.count == 2, words[0] == "cd" || words[0] == "pushd", let target = command.words.last,
            !target.isPattern,
            target.text.utf8.first != UInt8(ascii: "-"), target.text.utf8.first != UInt8(ascii: "+"),
            !target.text.isEmpty
        else { return false }
        // Whether it succeeds is not known, so either place is where the next command may be.
        for directory in directories {
            let place = path(target.text, from: directory)
            if !directories.contains(place) { directories.append(place) }
        }
        return directories.count <= 16
    }

    private func add(_ redirection: ShellRedirection, to step: inout Step) {
        switch redirection.target {
        case .read(let word): judge(path: Word(word), .read, "a redirection", &step)
        case .write(let word): judge(path: Word(word), .write, "a redirection", &step)
        case .readAndWrite(let word):
            judge(path: Word(word), .read, "a redirection", &step)
            judge(path: Word(word), .write, "a redirection", &step)
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
        "alias", "hash", "enable", "source", ".", "shopt", "export", "declare", "typeset", "local", "readonly", "unset",
        "let", "fc", "bind", "mapfile", "readarray", "read", "complete", "compgen", "getopts", "trap", "eval",
    ]
    /// Programs that add words of their input to the command in their words.
    private static let appending: Set<String> = ["xargs", "parallel"]

    private mutating func judge(words: [Word], index: Int, canRewrite: Bool) -> Step {
        let command = judgedCommand(words)
        let invocation = command.invocation
        var step = Step(title: title(words), decision: .allow, evidence: [])
        judgeInner(invocation, &step)
        let isTransparent = isTransparent(invocation)
        var evidence: [Evidence] = []
        var rewrite = CommandRewrite()
        for tier in engine.tiers {
            guard
                let (item, change) = answer(of: tier, on: command, isTransparent: isTransparent, canRewrite: canRewrite)
            else { continue }
            evidence.append(item)
            // Tiers that extend the same preset say the same.
            rewrite.config += change.config.filter { !rewrite.config.contains($0) }
            rewrite.environmentUnset += change.environmentUnset.filter { !rewrite.environmentUnset.contains($0) }
        }
        // A tier that has only heard of the whole is silent about a wrapper that runs nothing of its own.
        if evidence.isEmpty, !isTransparent {
            evidence.append(
                fallback(isOpaque: false, matched: step.title, reason: "no rule is about it"))
        }
        if Self.changingWords.contains(command.name), evidence.allSatisfy({ $0.rule.hasPrefix("default") }) {
            evidence.append(
                fallback(isOpaque: true, matched: step.title, reason: "it can change what other words mean"))
        }
        if let strictest = evidence.map(\.decision).max() {
            for item in evidence where item.decision == strictest || item.decision != .allow { step.add(item) }
        }
        judgeRequests(command, &step)
        if step.decision == .allow, !rewrite.isEmpty { apply(rewrite, to: words, index: index, &step) }
        return step
    }

    private mutating func apply(_ rewrite: CommandRewrite, to words: [Word], index: Int, _ step: inout Step) {
        needsRewrite = true
        environmentUnset += rewrite.environmentUnset.map(\.text).filter { !environmentUnset.contains($0) }
        let settings = rewrite.config.flatMap { ["-c", $0] }
        if !settings.isEmpty {
            rewrites.append(Rewrite(index: index, words: [words[0].text] + settings + words.dropFirst().map(\.text)))
        }
        guard request.asIs else { return }
        step.add(
            Evidence(
                decision: .ask, rule: "rewrite", matched: step.title,
                reason: "it is allowed only as it is rewritten, and it is to run as it is",
                remedy: "leave out --as-is", enforced: .broker))
    }

    /// A wrapper that runs the command in its words and does nothing else that needs a rule.
    private func isTransparent(_ invocation: Invocation) -> Bool {
        guard let spec = invocation.spec, !invocation.mayHideOptions,
            invocation.options.allSatisfy({ $0.spec?.isHarmless ?? false && $0.value?.form ?? .literal == .literal })
        else { return false }
        if spec.operands.last?.kind == .innerCommand {
            return invocation.inner.count == 1 && invocation.effects.isEmpty
                && invocation.operands.allSatisfy { [.word, .number, .text, .signal].contains($0.kind) }
        }
        // `sh -c STRING`, without more words.
        return ["sh", "bash", "dash"].contains(invocation.path[0]) && invocation.strings.count == 1
            && invocation.operands.count == 1 && invocation.strings[0].form == .literal
            && invocation.options.allSatisfy { ["-c", "-e", "-u", "-x", "--norc", "--noprofile"].contains($0.name) }
    }

    private mutating func judgeInner(_ invocation: Invocation, _ step: inout Step) {
        guard !invocation.inner.isEmpty || !invocation.strings.isEmpty else { return }
        guard depth < Self.deepest else {
            return step.add(fallback(isOpaque: true, matched: step.title, reason: "commands are nested too deeply"))
        }
        depth += 1
        defer { depth -= 1 }
        for var words in invocation.inner {
            if Self.appending.contains(invocation.path[0]) { words.append(Word(text: "", form: .computed)) }
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
        guard let (answer, key) = tier.fallback(isOpaque: false, isJailed: request.isJailed) else { return nil }
        var reason = "no rule of \(printable(tier.policy.name)) allows it"
        var remedy = "add a `[[command]]` rule for it"
        if let nearMiss {
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

    private func judgedCommand(_ words: [Word]) -> JudgedCommand {
        let written = words[0].text
        var name = written
        var isTrusted = !engine.tiers.contains { $0.writableSearchPath != nil }
        if let slash = written.utf8.lastIndex(of: UInt8(ascii: "/")) {
            name = String(written[written.utf8.index(after: slash)...])
            isTrusted = Self.systemPath.contains(String(written[..<slash]))
        }
        var named = words
        named[0].text = name
        // The closures answer for the first place that a command may be in; requests ask about all of them.
        let directory = directories[0], judge = self
        return JudgedCommand(
            words: words, invocation: Invocation(named, table: engine.table), name: name, isTrustedName: isTrusted,
            isInWorkspace: { judge.isInWorkspace($0, from: directory) },
            isReadable: { judge.isReadable($0, from: directory) })
    }

    // MARK: - Requests of words

    private func judgeRequests(_ command: JudgedCommand, _ step: inout Step) {
        let invocation = command.invocation
        // Options such as `sed -i` write what the operands name.
        let writesOperands = invocation.options.contains { $0.spec?.writes ?? false }
        for option in invocation.options {
            guard let kind = option.kind, let value = option.value else { continue }
            judge(word: value, kind, isPrefixed: false, &step)
        }
        for operand in invocation.operands {
            guard let kind = operand.kind else {
                // What an unknown program does with a word is not known; a denied path is denied to it all the same.
                if operand.word.form == .literal { judge(unknown: operand.word, &step) }
                continue
            }
            judge(word: operand.word, kind, isPrefixed: false, &step)
            if writesOperands, kind == .read { judge(path: operand.word, .write, "an operand", &step) }
        }
        // `@FILE` holds further options.
        for operand in invocation.operands where operand.word.text.utf8.first == UInt8(ascii: "@") {
            judge(path: Word(text: String(operand.word.text.dropFirst())), .read, "an operand", &step)
        }
    }

    private func judge(word: Word, _ kind: ValueClass, isPrefixed: Bool, _ step: inout Step) {
        switch kind {
        case .read, .script, .cwd, .program:
            // A lone dash is the standard input.
            if word.text != "-" { judge(path: word, .read, "an operand", &step) }
        case .write: if word.text != "-" { judge(path: word, .write, "an operand", &step) }
        case .glob: judge(glob: word, &step)
        case .url, .host: judge(address: word, kind, &step)
        default: break
        }
    }

    private func judge(unknown word: Word, _ step: inout Step) {
        // In a jail the kernel keeps it from the file; whether the word is a path at all is not known here.
        if request.isJailed { return }
        for directory in directories {
            for names in places(word.text, from: directory) {
                let place = CompiledFileRules.Place(names, workspace: workspace, home: Self.jailHome)
                for tier in engine.tiers {
                    guard let denial = tier.files.denial(place, .read) else { continue }
                    return step.add(evidence(denial, "/" + names.joined(separator: "/"), .read, "a word of it"))
                }
            }
        }
    }

    private static let jailHome = ["home", "cordon"]
    /// What every process may use, in a jail or not: no file is behind it.
    private static let alwaysThere: Set<String> = [
        "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/stdin", "/dev/stdout",
        "/dev/stderr",
        "/dev/tty",
    ]

    private func judge(path word: Word, _ access: Access, _ what: String, _ step: inout Step) {
        switch word.form {
        case .computed:
            // Which path it is shows only then; the jail bounds it, and elsewhere a person decides.
            if !request.isJailed {
                step.add(
                    Evidence(
                        decision: .ask, rule: "fs.\(access.rawValue)", matched: word.shown,
                        reason: "which path \(what) is shows only when it runs", remedy: "write the path itself",
                        enforced: .kernel))
            }
        case .pattern: judge(pattern: word, access, what, &step)
        case .literal:
            if Self.alwaysThere.contains(word.text) { return }
            for directory in directories {
                for names in places(word.text, from: directory) { judge(names, access, what, &step) }
            }
        }
    }

    private func judge(_ names: [String], _ access: Access, _ what: String, _ step: inout Step) {
        let place = CompiledFileRules.Place(names, workspace: workspace, home: Self.jailHome)
        let path = "/" + names.joined(separator: "/")
        var granted: FileAnswer?
        for tier in engine.tiers {
            if let denial = tier.files.denial(place, access) {
                return step.add(evidence(denial, path, access, what))
            }
            let grant = tier.files.grant(place, access)
            if grant.decision > granted?.decision ?? .allow || granted == nil { granted = grant }
        }
        guard let granted else { return }
        if granted.decision != .allow, request.isJailed {
            // What is not granted is not there, or cannot be written: the jail itself says so.
            return
        }
        step.add(evidence(granted, path, access, what))
    }

    private func evidence(_ answer: FileAnswer, _ path: String, _ access: Access, _ what: String) -> Evidence {
        let pattern = answer.pattern.map { "`\(printable($0.value.text))`" }
        let reason: String
        var remedy: String?
        switch (answer.rule, answer.decision) {
        case ("fs.deny", _):
            reason = "\(what) is a path that \(pattern ?? "") denies"
            remedy = "leave the path out; a denial is stronger than any grant"
        case ("fs.protect", _):
            reason = "\(what) is written, and \(pattern ?? "") protects it"
            remedy = "write another file"
        case (_, .allow):
            reason = "\(what) is in \(pattern ?? "the workspace"); what lies below it is left to the kernel"
        default:
            reason = "\(what) is \(access == .read ? "read" : "written"), and no `fs.\(access.rawValue)` grants it"
            remedy = "add the path to `fs.\(access.rawValue)`"
        }
        return Evidence(
            decision: answer.decision, rule: answer.rule, location: answer.location, matched: path,
            reason: reason,
            remedy: remedy, enforced: .kernel)
    }

    /// Where a text leads, lexically and through links.
    private func places(_ text: String, from directory: [String]) -> [[String]] {
        let lexical = path(text, from: directory)
        // There a name leads to what the asking process has open, which is another thing for each process.
        if lexical.first == "proc" || lexical.first == "dev" { return [lexical] }
        // Asked of the path as it is written: `link/..` is not what it looks like.
        let written = text.utf8.first == UInt8(ascii: "/") ? text : "/" + directory.joined(separator: "/") + "/" + text
        guard let real = engine.resolve(written).map({ PathPattern.components(of: $0).map(String.init) }),
            real != lexical
        else { return [lexical] }
        return [lexical, real]
    }

    private func path(_ text: String, from directory: [String]) -> [String] {
        let names = PathPattern.components(of: text).map(String.init)
        return normalized(text.utf8.first == UInt8(ascii: "/") ? names : directory + names)
    }

    private func isInWorkspace(_ text: String, from directory: [String]) -> Bool {
        places(text, from: directory).allSatisfy { names in
            names.count >= workspace.count && zip(names, workspace).allSatisfy { sameBytes($0, $1) }
        }
    }

    private func isReadable(_ text: String, from directory: [String]) -> Bool {
        places(text, from: directory).allSatisfy { names in
            let place = CompiledFileRules.Place(names, workspace: workspace, home: Self.jailHome)
            return engine.tiers.allSatisfy {
                $0.files.denial(place, .read) == nil && $0.files.grant(place, .read).decision == .allow
            }
        }
    }

    // MARK: - Patterns

    /// A shell's pattern as an operand: its files are named by the kernel, and a denied one must not be among them.
    private func judge(pattern word: Word, _ access: Access, _ what: String, _ step: inout Step) {
        let names = PathPattern.components(of: word.text).map(String.init)
        let isStatic: (String) -> Bool = { !$0.utf8.contains { "*?[\\".utf8.contains($0) } }
        let prefix = names.prefix(while: isStatic)
        let root = word.text.utf8.first == UInt8(ascii: "/") ? "/" : ""
        for directory in directories {
            // What is in front of the first wildcard must be granted as it stands.
            let base = path(root + prefix.joined(separator: "/"), from: directory)
            var inner = Step(title: "", decision: .allow, evidence: [])
            for place in places(root + prefix.joined(separator: "/"), from: directory) {
                judge(place, access, what, &inner)
            }
            if inner.decision != .allow {
                for item in inner.evidence where item.decision != .allow { step.add(item) }
                return
            }
            var globs: [Glob] = []
            let below = base.dropFirst(workspace.count) + names.dropFirst(prefix.count)
            for name in below {
                guard name != "..", let glob = try? isStatic(name) ? Glob(escaping: name) : Glob(shell: name) else {
                    return step.add(unknownPattern(word, access))
                }
                globs.append(glob)
            }
            guard base.starts(with: workspace) else { continue }
            for tier in engine.tiers {
                guard let denial = tier.files.possibleDenial(globs, access) else { continue }
                if request.isJailed { continue }
                return step.add(
                    Evidence(
                        decision: .ask, rule: access == .read ? "fs.deny" : "fs.protect", location: denial.location,
                        matched: word.text,
                        reason: "a file that it stands for could be one that `\(printable(denial.value.text))` denies",
                        remedy: "name the files, or write a pattern that cannot match it", enforced: .kernel))
            }
        }
        step.add(
            Evidence(
                decision: .allow, rule: "fs.\(access.rawValue)", matched: word.text,
                reason: "which files it stands for is left to the kernel", enforced: .kernel))
    }

    private func unknownPattern(_ word: Word, _ access: Access) -> Evidence {
        Evidence(
            decision: request.isJailed ? .allow : .ask, rule: "fs.\(access.rawValue)", matched: word.text,
            reason: "which files it stands for cannot be told", remedy: "name the files", enforced: .kernel)
    }

    /// A pattern that the program itself holds against names, as with `--include`.
    private func judge(glob word: Word, _ step: inout Step) {
        if request.isJailed || word.text.utf8.first == UInt8(ascii: "!") { return }
        let last = PathPattern.components(of: word.text).last.map(String.init) ?? ""
        guard word.form == .literal, let glob = try? Glob(shell: last) else {
            return step.add(unknownPattern(word, .read))
        }
        for tier in engine.tiers {
            guard let denial = tier.files.possibleDenial([glob], .read, ignoringCase: true, atAnyDepth: true) else {
                continue
            }
            // A name is the denied file itself; a pattern may be.
            return step.add(
                Evidence(
                    decision: glob.literal == nil ? .ask : .deny, rule: "fs.deny", location: denial.location,
                    matched: word.text, reason: "it asks for names that `\(printable(denial.value.text))` denies",
                    remedy: "write a pattern that cannot match it", enforced: .kernel))
        }
    }

    // MARK: - The network

    private func judge(address word: Word, _ kind: ValueClass, _ step: inout Step) {
        // In a jail the kernel decides; what a program does with an address is its own business there.
        if request.isJailed { return }
        // A word alone is the name of one of git's remotes, or of a host in ssh's own list: which host that is, is not said.
        let isName = !word.text.isEmpty && !word.text.utf8.contains { ":/.@".utf8.contains($0) }
        if word.form == .literal, kind == .url, isName { return }
        for tier in engine.tiers where tier.policy.stated.contains("network.mode") && tier.policy.network.value == .deny
        {
            if let host = webHost(word.text),
                tier.policy.networkGrants.contains(where: { $0.value.covers(host, word.text) })
            {
                continue
            }
            return step.add(
                Evidence(
                    decision: .deny, rule: "network.mode", location: tier.policy.network.location, matched: word.shown,
                    reason: "the policy gives no network", remedy: "grant the host in `network.allow`",
                    enforced: .kernel))
        }
    }

    // MARK: - Texts

    private func title(_ words: [Word]) -> String {
        // As long as a person reads; a hostile command has megabytes.
        var text = ""
        for word in words {
            if !text.isEmpty { text += " " }
            text += word.form == .computed ? "…" : word.form == .pattern ? word.text : shellWord(word.text)
            if text.utf8.count > 400 { return String(Substring(text.unicodeScalars.prefix(400))) + "…" }
        }
        return text
    }

    /// The string with the rewritten commands' words generated anew; what is not static stays as it is written.
    private func rewritten(_ string: [UInt8], _ program: ShellProgram) -> String {
        var edits: [(range: ShellRange, text: String)] = []
        let changes = Dictionary(rewrites.map { ($0.index, $0.words) }) { first, _ in first }
        for (index, command) in program.commands.enumerated() {
            guard let words = changes[index] else { continue }
            let added = words.dropFirst().prefix(words.count - command.words.count)
            for (number, word) in command.words.enumerated() where !word.isPattern && !word.isComputed {
                let text = ([word.text] + (number == 0 ? added : [])).map(singleQuoted).joined(separator: " ")
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

extension NetworkGrant {
    /// Whether a URL's host and port are granted.
    fileprivate func covers(_ other: String, _ url: String) -> Bool {
        let wanted = host.lowercased()
        let fits = wanted.hasPrefix("*.") ? other.hasSuffix(wanted.dropFirst()) : other == wanted
        let lower = url.lowercased()
        let authority = lower.utf8.drop { $0 != UInt8(ascii: "/") }.dropFirst(2).prefix { !"/?#".utf8.contains($0) }
        let written = UInt16(String(Substring(authority.drop { $0 != UInt8(ascii: ":") }.dropFirst())))
        let port = written ?? (lower.hasPrefix("https:") ? 443 : 80)
        return fits && ports.contains(port)
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

/// A word in single quotes.
func singleQuoted(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
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
