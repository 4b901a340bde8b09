// Tokens → commands (POSIX.1-2017, 2.9 and 2.10): lists, pipelines, groups, conditions and loops without variables.
//
// Which branch runs is not asked: every simple command that is written is one that could run.

struct ShellParser {
    private let tokens: [ShellToken]
    private var at = 0
    private var program = ShellProgram()
    private var depth = 0
    private var isList = false
    /// Deeper nesting is no command that anybody means.
    private static let deepest = 100

    private init(_ tokens: [ShellToken]) { self.tokens = tokens }

    /// What the tokens say.
    static func parse(_ tokens: [ShellToken]) throws(OpaqueCommand) -> ShellProgram {
        var parser = ShellParser(tokens)
        try parser.list(until: [])
        guard parser.at == tokens.count else { throw parser.unexpected() }
        parser.program.isSimple = parser.program.commands.count == 1 && !parser.isList
        return parser.program
    }

    // MARK: - Tokens

    private var current: ShellToken? { at < tokens.count ? tokens[at] : nil }

    private func isControl(_ form: String) -> Bool { current?.kind == .control(form) }

    /// A reserved word is one only unquoted, and only where a command begins.
    private func isReserved(_ word: String) -> Bool {
        guard let token = current, token.kind == .word, !token.isQuoted else { return false }
        return token.text == word
    }

    private func unexpected() -> OpaqueCommand {
        guard let token = current else {
            return OpaqueCommand("it ends too early", at: 0..<(tokens.last?.range.upperBound ?? 0))
        }
        return OpaqueCommand("a part of the language that is not analysed, or a mistake", at: token.range)
    }

    private mutating func take(control form: String) throws(OpaqueCommand) {
        guard isControl(form) else { throw unexpected() }
        at += 1
    }

    private mutating func take(reserved word: String) throws(OpaqueCommand) {
        guard isReserved(word) else { throw unexpected() }
        at += 1
    }

    private mutating func skipNewlines() { while current?.kind == .newline { at += 1 } }

    /// The end of a list: end of the string, a closing parenthesis, or one of these reserved words.
    private func isAtEnd(_ words: [String]) -> Bool {
        current == nil || isControl(")") || words.contains { isReserved($0) }
    }

    // MARK: - Lists

    private mutating func list(until words: [String]) throws(OpaqueCommand) {
        skipNewlines()
        while !isAtEnd(words) {
            try andOr()
            if isControl(";") || isControl("&") {
                // One command with `;` behind it is still one; in the background it is not.
                if isControl("&") { isList = true }
                at += 1
                if current?.kind == .newline { skipNewlines() }
            } else if current?.kind == .newline {
                skipNewlines()
            } else if !isAtEnd(words) {
                throw unexpected()
            }
        }
    }

    private mutating func andOr() throws(OpaqueCommand) {
        try pipeline()
        while isControl("&&") || isControl("||") {
            isList = true
            at += 1
            skipNewlines()
            try pipeline()
        }
    }

    private mutating func pipeline() throws(OpaqueCommand) {
        if isReserved("time") {
            // bash's word for a whole pipeline; dash starts a program of that name, which starts the first command.
            at += 1
            isList = true
            if isReserved("-p") { at += 1 }
        }
        while isReserved("!") {
            at += 1
            isList = true
        }
        try command()
        while isControl("|") || isControl("|&") {
            isList = true
            at += 1
            skipNewlines()
            try command()
        }
    }

    // MARK: - Commands

    private mutating func command() throws(OpaqueCommand) {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest, let token = current else {
            throw depth > Self.deepest
                ? OpaqueCommand("it is nested too deeply", at: current?.range ?? 0..<0) : unexpected()
        }
        if isControl("(") {
            at += 1
            isList = true
            try body(until: [])
            try take(control: ")")
            return try redirections(of: token)
        }
        guard token.kind == .word, !token.isQuoted else { return try simple() }
        switch token.text {
        case "{":
            at += 1
            isList = true
            try body(until: ["}"])
            try take(reserved: "}")
            try redirections(of: token)
        case "if":
            isList = true
            try condition()
            try redirections(of: token)
        case "while", "until":
            at += 1
            isList = true
            try body(until: ["do"])
            try take(reserved: "do")
            try body(until: ["done"])
            try take(reserved: "done")
            try redirections(of: token)
        default: try simple()
        }
    }

    /// A list that must hold something.
    private mutating func body(until words: [String]) throws(OpaqueCommand) {
        let before = program.commands.count
        try list(until: words)
        guard program.commands.count > before else { throw unexpected() }
    }

    private mutating func condition() throws(OpaqueCommand) {
        at += 1
        try body(until: ["then"])
        try take(reserved: "then")
        try body(until: ["elif", "else", "fi"])
        if isReserved("elif") { return try condition() }
        if isReserved("else") {
            at += 1
            try body(until: ["fi"])
        }
        try take(reserved: "fi")
    }

    /// Words that begin what this parser does not know, or that mean nothing where a command begins.
    private static let foreign: Set<String> = [
        "for", "case", "select", "function", "coproc", "[[", "]]", "then", "else", "elif", "fi", "do", "done", "esac",
        "in",
        "}", "!", "time",
    ]

    private mutating func simple() throws(OpaqueCommand) {
        var command = SimpleCommand(words: [], redirections: [], range: current?.range ?? 0..<0)
        while let token = current {
            switch token.kind {
            case .word:
                if command.words.isEmpty {
                    if !token.isQuoted, Self.foreign.contains(token.text) { throw unexpected() }
                    if token.isAssignment { throw OpaqueCommand("an assignment", at: token.range) }
                    if token.isPattern { throw OpaqueCommand("a command name that is a pattern", at: token.range) }
                    if token.text.isEmpty { throw OpaqueCommand("a command without a name", at: token.range) }
                }
                command.words.append(token.word)
                at += 1
            case .redirect, .hereDocument: command.redirections.append(try redirection())
            case .control("("): throw unexpected()
            case .control, .newline: return try finish(command)
            }
        }
        try finish(command)
    }

    private mutating func finish(_ command: SimpleCommand) throws(OpaqueCommand) {
        guard !command.words.isEmpty || !command.redirections.isEmpty else { throw unexpected() }
        var command = command
        command.range = command.range.lowerBound..<(tokens[at - 1].range.upperBound)
        program.commands.append(command)
    }

    private mutating func redirections(of group: ShellToken) throws(OpaqueCommand) {
        while let token = current {
            switch token.kind {
            case .redirect, .hereDocument: program.groupRedirections.append(try redirection())
            // `( … ) word` is a mistake in every shell.
            case .word where !["}", "then", "else", "elif", "fi", "do", "done"].contains(token.text) || token.isQuoted:
                throw unexpected()
            case .control("("): throw unexpected()
            default: return
            }
        }
    }

    private mutating func redirection() throws(OpaqueCommand) -> ShellRedirection {
        let token = tokens[at]
        at += 1
        guard case .redirect(let form) = token.kind else { return ShellRedirection(.text, range: token.range) }
        guard let target = current, target.kind == .word else { throw unexpected() }
        at += 1
        let range = token.range.lowerBound..<target.range.upperBound
        // Which file a pattern names is not known, and shells differ in whether they expand it here.
        if target.isPattern, form != "<<<" { throw OpaqueCommand("a redirection to a pattern", at: range) }
        switch form {
        case "<<<": return ShellRedirection(.text, range: range)
        case "<": return ShellRedirection(.read(target.word), range: range)
        case ">", ">|", ">>", "&>", "&>>": return ShellRedirection(.write(target.word), range: range)
        case "<>": return ShellRedirection(.readAndWrite(target.word), range: range)
        default:
            // `>&FILE` writes a file in bash; a number or a dash opens none.
            let isNumber = !target.text.isEmpty && target.text.utf8.allSatisfy { (0x30...0x39).contains($0) }
            if target.text == "-" || isNumber { return ShellRedirection(.duplicate, range: range) }
            throw OpaqueCommand("a duplication of a descriptor that is no number", at: range)
        }
    }
}
