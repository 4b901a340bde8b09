// One rule held against one command.
//
// What makes a verdict looser is matched strictly: every word and every option must be known to be meant. What makes it
// stricter is matched broadly: another spelling, more operands or a path to the program are no way around it.
internal import PolicyModel

struct CompiledRule: Sendable {
    let rule: CommandRule
    private let argv: CompiledPattern
    private let except: [CompiledPattern]

    init(_ rule: CommandRule) throws(InvalidValue) {
        self.rule = rule
        argv = try CompiledPattern(rule.argv)
        var list: [CompiledPattern] = []
        for pattern in rule.except { list.append(try CompiledPattern(pattern)) }
        except = list
    }

    /// Whether nothing but `interactive` is missing for it to allow a command.
    func wouldAllowInteractively(_ command: JudgedCommand) -> Bool {
        rule.decision == .allow && !rule.isInteractive && command.openReason != nil
            && argv.strictMismatch(command, flags: rule.flags) == nil && exception(command) == nil
    }

    private func exception(_ command: JudgedCommand) -> String? {
        except.contains { $0.matchesBroadly(command) } ? "an exception of the rule matches" : nil
    }

    /// Nil where the rule matches, else why it does not; an empty reason where it is about something else.
    func mismatch(_ command: JudgedCommand) -> String? {
        if rule.decision == .allow {
            if let reason = argv.strictMismatch(command, flags: rule.flags) { return reason }
            if let reason = command.openReason, !rule.isInteractive {
                return "\(reason), and the rule is not `interactive`"
            }
            return exception(command)
        }
        guard argv.matchesBroadly(command) else { return "" }
        // An exception loosens: no option passes but those that it names.
        let isExcepted = except.contains { $0.strictMismatch(command, flags: []) == nil }
        return isExcepted ? "an exception of the rule matches" : nil
    }
}

/// A simple command with what is known about its words and its place.
struct JudgedCommand {
    var words: [Word]
    var invocation: Invocation
    /// The bare name of the program, whatever directory was written in front.
    var name: String
    /// What it would be given beside its words.
    var input: CommandInput
    /// Whether the name leads to where the policy's PATH leads.
    var isTrustedName: Bool
    /// Whether a path is in the workspace, wherever the command is.
    var isInWorkspace: (String) -> Bool
    /// Whether it is from some place where the command may be.
    var mayBeInWorkspace: (String) -> Bool
    /// Whether `[fs]` lets a path be read.
    var isReadable: (String) -> Bool

    /// Why it may do anything whatever its words say, where whoever gives it input or sits at its terminal can tell it to.
    var openReason: String? {
        if invocation.readsProgramFromInput { return "it reads its program from its input" }
        guard invocation.obeysInput else { return nil }
        return switch input {
        case .none: nil
        case .given: "it is an interpreter with input of which nothing is known"
        case .terminal: "it is an interpreter on a terminal"
        }
    }
}

struct CompiledPattern: Sendable {
    private enum Element: Sendable {
        case word(String)
        case operands
        case operand(OperandClass, Expression?, isRepeated: Bool)
    }

    private let program: String
    private let elements: [Element]
    /// Options that must be there.
    private let options: [String]

    init(_ pattern: ArgvPattern) throws(InvalidValue) {
        program = pattern.program
        var elements: [Element] = []
        var options: [String] = []
        for element in pattern.elements.dropFirst() {
            switch element {
            case .word(let text) where text.utf8.first == UInt8(ascii: "-") && text != "-": options.append(text)
            case .word(let text): elements.append(.word(text))
            case .operands: elements.append(.operands)
            case .operand(let kind, let isRepeated):
                var expression: Expression?
                if case .expression(let text) = kind { expression = try Expression(text) }
                elements.append(.operand(kind, expression, isRepeated: isRepeated))
            }
        }
        self.elements = elements
        self.options = options
    }

    // MARK: - Strictly

    /// Nil where the pattern matches; an empty reason where another command is meant.
    func strictMismatch(_ command: JudgedCommand, flags: [FlagPattern]?) -> String? {
        let invocation = command.invocation
        guard command.name == program else { return "" }
        guard command.isTrustedName else {
            return "`\(command.words.first?.text ?? "")` is not where the policy's PATH leads"
        }
        var operands = invocation.operands[...]
        var subcommands = invocation.written[...]
        /// Operands that the rule has word for word.
        var spelled: Set<Int> = []
        for element in elements {
            switch element {
            case .word(let text):
                if let subcommand = subcommands.popFirst() {
                    guard sameBytes(subcommand, text) else { return "" }
                } else {
                    spelled.insert(operands.startIndex)
                    guard let operand = operands.popFirst(), operand.word.form == .literal,
                        sameBytes(operand.word.text, text)
                    else { return "" }
                }
            case .operands:
                guard subcommands.isEmpty || invocation.spec != nil else { break }
                if let reason = operands.compactMap({ Self.ordinaryMismatch($0, command) }).first { return reason }
                // A subcommand that the rule does not name is an operand of it, as `...` says.
                operands = []
                subcommands = []
            case .operand(let kind, let expression, let isRepeated):
                if !subcommands.isEmpty { return "" }
                repeat {
                    guard let operand = operands.popFirst() else {
                        if isRepeated { break }
                        return "an operand is missing"
                    }
                    if let reason = Self.mismatch(operand, kind, expression, command) { return reason }
                } while isRepeated && !operands.isEmpty
            }
        }
        if let more = operands.first { return "`\(more.word.shown)` is one operand too many" }
        if let more = subcommands.first { return "`\(more)` is not named by the rule" }
        if invocation.mayHideOptions { return "a pattern or something computed may turn out to be an option" }
        for option in options where !invocation.options.contains(where: { Self.isNamed($0, option) }) { return "" }
        for option in invocation.options where !options.contains(where: { Self.isNamed(option, $0) }) {
            if let reason = Self.mismatch(option, flags, command) { return reason }
        }
        if invocation.hasPowerfulScript { return "the script does more than print" }
        return invocation.operands.enumerated().compactMap { index, operand in
            spelled.contains(index) ? nil : Self.powerfulOperand(operand, command)
        }.first
    }

    private static func isNamed(_ option: Invocation.Option, _ name: String) -> Bool {
        sameBytes(option.name, name) || sameBytes(option.word, name)
    }

    private static func mismatch(
        _ option: Invocation.Option, _ flags: [FlagPattern]?, _ command: JudgedCommand
    ) -> String? {
        let shown = "`\(option.name)`"
        if let value = option.value, value.form != .literal { return "the value of \(shown) is not static" }
        guard let flags else {
            guard let spec = option.spec else { return "\(shown) is not known to be harmless" }
            return spec.isHarmless ? nil : "\(shown) can execute or write"
        }
        let isNamed = flags.contains { pattern in
            if let literal = pattern.glob.literal {
                return sameBytes(literal, option.name) || sameBytes(literal, option.word)
            }
            // A pattern is not taken to mean an option that runs other programs, nor one of a known program that is not known.
            if let spec = option.spec {
                guard spec.isHarmless else { return false }
            } else if command.invocation.spec != nil || pattern.isEverything {
                return false
            }
            let whole = option.value.map { "\(option.name)=\($0.text)" } ?? option.name
            return pattern.glob.matches(option.name) || pattern.glob.matches(whole) || pattern.glob.matches(option.word)
        }
        return isNamed ? nil : "the rule does not let \(shown) pass"
    }

    /// Programs to which an operand with `@` in front is a file of further options.
    private static let readingOptions: Set<String> = [
        "gcc", "g++", "cc", "c++", "cpp", "clang", "clang++", "gfortran", "as", "ld", "ar", "nm", "objdump", "objcopy",
        "readelf", "strings", "strip", "ranlib", "size", "addr2line", "c++filt", "javac", "java", "javadoc", "rustc",
    ]

    /// Why an operand may not be, whatever class the rule asks for: it is a filter that does more than filter, sets a variable, or
    /// holds options. One that a rule has word for word may.
    private static func powerfulOperand(_ operand: Invocation.Operand, _ command: JudgedCommand) -> String? {
        let text = operand.word.text, shown = "`\(operand.word.shown)`"
        switch operand.kind {
        case .jqFilter where !JqFilter.isHarmless(text): return "the filter does more than filter"
        case .printfFormat where !PrintfFormat.isHarmless(text): return "the format assigns a variable"
        case .target where text.utf8.contains(UInt8(ascii: "=")): return "\(shown) sets a variable"
        case .read where text.utf8.first == UInt8(ascii: "+") && command.invocation.effects.contains(.executes):
            return "\(shown) is a command to the program"
        default: break
        }
        if text.utf8.first == UInt8(ascii: "@"), readingOptions.contains(command.name) {
            return "\(shown) is a file of further options"
        }
        return nil
    }

    /// What `...` stands for: operands that the table knows, and that run nothing by themselves.
    private static func ordinaryMismatch(_ operand: Invocation.Operand, _ command: JudgedCommand) -> String? {
        let shown = "`\(operand.word.shown)`"
        if operand.word.form == .computed { return "\(shown) shows only when it runs" }
        guard command.invocation.spec != nil else { return nil }
        switch operand.kind {
        case nil: return "\(shown) is more than the program is known to take"
        case .cwd, .code, .assignment, .config, .program: return "\(shown) can change what is run"
        case .awkScript, .sedScript, .command, .jqFilter, .printfFormat:
            return operand.word.form == .literal ? nil : "\(shown) is not static"
        default: return nil
        }
    }

    private static func mismatch(
        _ operand: Invocation.Operand, _ kind: OperandClass, _ expression: Expression?, _ command: JudgedCommand
    ) -> String? {
        let text = operand.word.text
        let shown = "`\(operand.word.shown)`"
        if case .any = kind {
            guard operand.word.form == .literal || operand.isAfterDashes else {
                return "\(shown) is not static, and no `--` stands in front of it"
            }
            return nil
        }
        guard operand.word.form == .literal else { return "\(shown) is not static" }
        let isRight: Bool
        switch kind {
        case .any: isRight = true
        case .path: isRight = command.isReadable(text)
        case .workspace: isRight = command.isInWorkspace(text)
        case .glob(let glob): isRight = glob.matches(text)
        case .url: isRight = webHost(text) != nil
        case .number: isRight = isNumber(text)
        case .expression: isRight = expression?.matches(text) ?? false
        case .sedScript: isRight = SedScript.isHarmless([text])
        }
        return isRight ? nil : "\(shown) is not of the class that the rule asks for"
    }

    // MARK: - Broadly

    func matchesBroadly(_ command: JudgedCommand) -> Bool {
        let invocation = command.invocation
        guard command.name == program else { return false }
        guard options.allSatisfy({ option in mayHave(option, invocation) }) else { return false }
        // Where words were not understood, the pattern's may stand anywhere among them; operands may in any case.
        let isUnderstood = invocation.spec != nil && invocation.options.allSatisfy { $0.spec != nil }
        var subcommands = isUnderstood ? invocation.written[...] : []
        var words = isUnderstood ? invocation.operands.map(\.word)[...] : command.words.dropFirst()
        for element in elements {
            // From a word that may be several on, any word may be anywhere.
            if subcommands.isEmpty, words.contains(where: \.isSplit) { return true }
            let fits: (Word) -> Bool
            switch element {
            case .operands: return true
            case .word(let text):
                if let subcommand = subcommands.popFirst() {
                    if sameBytes(subcommand, text) { continue }
                    return false
                }
                fits = { word in
                    word.form == .computed || word.form == .literal && sameBytes(word.text, text)
                        || word.form == .pattern && ((try? Glob(shell: word.text))?.matches(text) ?? true)
                }
            case .operand(let kind, let expression, let isRepeated):
                // An operand of the class somewhere, or none at all.
                if isRepeated { return words.isEmpty || words.contains { mayBe($0, kind, expression, command) } }
                fits = { mayBe($0, kind, expression, command) }
            }
            guard let at = words.firstIndex(where: fits) else { return false }
            words = words[(at + 1)...]
        }
        return true
    }

    private func mayHave(_ option: String, _ invocation: Invocation) -> Bool {
        if invocation.mayHideOptions { return true }
        return invocation.options.contains { given in
            if Self.isNamed(given, option) { return true }
            if invocation.spec?.synonyms[given.name]?.contains(option) ?? false { return true }
            guard given.spec == nil else { return false }
            if given.word.hasPrefix(option + "=") { return true }
            if option.hasPrefix("--") { return given.word.utf8.count > 2 && option.hasPrefix(given.word) }
            return option.unicodeScalars.count == 2 && !given.word.hasPrefix("--")
                && given.word.unicodeScalars.dropFirst().contains { $0 == option.unicodeScalars.last }
        }
    }

    private func mayBe(_ word: Word, _ kind: OperandClass, _ expression: Expression?, _ command: JudgedCommand) -> Bool
    {
        guard word.form == .literal else { return true }
        return switch kind {
        case .any, .path: true
        case .workspace: command.mayBeInWorkspace(word.text)
        case .glob(let glob): glob.matches(word.text)
        case .url: webHost(word.text) != nil
        case .number: isNumber(word.text)
        case .expression: expression?.matches(word.text) ?? true
        case .sedScript: true
        }
    }
}

private func isNumber(_ text: String) -> Bool {
    let digits = text.utf8.first.map { "+-".utf8.contains($0) } == true ? text.utf8.dropFirst() : text.utf8[...]
    return !digits.isEmpty && digits.allSatisfy { (0x30...0x39).contains($0) }
}

/// The host of a URL with http or https, in lower case; nil for anything else, user names and odd characters included.
func webHost(_ text: String) -> String? {
    let lower = text.lowercased()
    guard let scheme = ["https://", "http://"].first(where: { lower.utf8.starts(with: $0.utf8) }) else { return nil }
    let rest = lower.utf8.dropFirst(scheme.utf8.count)
    let authority = rest.prefix { !"/?#".utf8.contains($0) }
    let host = authority.prefix { $0 != UInt8(ascii: ":") }
    let port = authority.dropFirst(host.count).dropFirst()
    let isName =
        !host.isEmpty && host.last != UInt8(ascii: ".")
        && host.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x2E }
    guard isName, port.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return String(Substring(host))
}
