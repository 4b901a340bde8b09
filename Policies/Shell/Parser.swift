// Tokens → commands (POSIX.1-2017, 2.9 and 2.10): lists, pipelines, groups, and commands in substitutions.
//
// Which branch runs is not asked: every simple command that is written is one that could run.

/// A program, and what a second reading must have in common with it.
struct ShellReading {
    var program = ShellProgram()
    /// Where the names of commands start.
    var commandStarts: [Int] = []
    /// Where words of commands start, names included.
    var wordStarts: [Int] = []
    var substitutionStarts: [Int] = []
    /// Where the numbers of redirected descriptors start.
    var descriptorStarts: Set<Int> = []
    /// Where the operators of pipelines are.
    var pipes: [ShellRange] = []

    /// The bytes with a `;` in place of all pipes but the first eight: the same commands, and cheap to read.
    ///
    /// The grammar of tree-sitter-bash is ambiguous for pipelines. All readings of one are kept, twice as many for each
    /// pipe, until the string's end is seen: a kilobyte can take minutes, in a step that no timeout ends. (Not for the
    /// first ones, since a `;` in the line of a here-document is what that grammar misreads.)
    func withFewPipes(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for range in pipes.dropFirst(8) {
            for index in range { bytes[index] = UInt8(ascii: " ") }
            bytes[range.lowerBound] = UInt8(ascii: ";")
        }
        return bytes
    }
}

struct ShellParser {
    private var tokens: [ShellToken]
    var at = 0
    var reading = ShellReading()
    private var depth = 0
    /// How many substitutions are open.
    private(set) var substitutionDepth = 0
    /// Whether it is more than one simple command of words that are known.
    var isList = false
    /// Where `time` and its option start, in front of the next command.
    private var timeStarts: [Int] = []

    private init(_ tokens: [ShellToken]) { self.tokens = tokens }

    /// What the tokens say.
    static func parse(_ tokens: [ShellToken]) throws(OpaqueCommand) -> ShellReading {
        var parser = ShellParser(tokens)
        try parser.whole()
        parser.reading.program.isSimple = parser.reading.program.commands.count == 1 && !parser.isList
        return parser.reading
    }

    private mutating func whole() throws(OpaqueCommand) {
        try list(until: [])
        guard at == tokens.count else { throw unexpected() }
    }

    // MARK: - Tokens

    var current: ShellToken? { at < tokens.count ? tokens[at] : nil }

    func isControl(_ form: String) -> Bool { current?.kind == .control(form) }

    /// A reserved word is one only unquoted, and only where a command begins.
    func isReserved(_ word: String) -> Bool {
        guard let token = current, token.kind == .word, !token.isQuoted else { return false }
        return token.text == word
    }

    func unexpected() -> OpaqueCommand {
        guard let token = current else {
            return OpaqueCommand("it ends too early", at: 0..<(tokens.last?.range.upperBound ?? 0))
        }
        return OpaqueCommand("a part of the language that is not analysed, or a mistake", at: token.range)
    }

    mutating func take(control form: String) throws(OpaqueCommand) {
        guard isControl(form) else { throw unexpected() }
        at += 1
    }

    mutating func take(reserved word: String) throws(OpaqueCommand) {
        guard isReserved(word) else { throw unexpected() }
        at += 1
    }

    mutating func skipNewlines() { while current?.kind == .newline { at += 1 } }

    /// The end of a list: end of the string, a closing parenthesis, the end of a case, or one of these reserved words.
    private func isAtEnd(_ words: [String]) -> Bool {
        current == nil || isControl(")") || isControl(";;") || words.contains { isReserved($0) }
    }

    // MARK: - Lists

    mutating func list(until words: [String]) throws(OpaqueCommand) {
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
        if isReserved("time") { try time() }
        while isReserved("!") {
            at += 1
            isList = true
        }
        try command()
        while isControl("|") || isControl("|&") {
            isList = true
            if let token = current { reading.pipes.append(token.range) }
            at += 1
            skipNewlines()
            try command()
        }
    }

    /// bash's word for a whole pipeline; dash starts a program of that name. Only what both parsers take for a prefix of
    /// a simple command.
    private mutating func time() throws(OpaqueCommand) {
        isList = true
        reading.program.needsBash = true
        while let token = current, timeStarts.isEmpty || timeStarts.count == 1 && isReserved("-p") {
            timeStarts.append(token.range.lowerBound)
            at += 1
        }
        guard let token = current, token.kind == .word, token.isQuoted || !Self.compound.contains(token.text),
            token.text != "!", !token.text.hasPrefix("-")
        else { throw unexpected() }
    }

    // MARK: - Commands

    /// Words that begin a command of other commands.
    private static let compound: Set<String> = ["{", "if", "while", "until", "for", "case"]

    private mutating func command() throws(OpaqueCommand) {
        depth += 1
        defer { depth -= 1 }
        guard depth <= ShellScanner.deepest, let token = current else {
            throw depth > ShellScanner.deepest
                ? OpaqueCommand("it is nested too deeply", at: current?.range ?? 0..<0) : unexpected()
        }
        if isControl("(") {
            at += 1
            isList = true
            try body(until: [])
            try take(control: ")")
            return try redirections(of: token)
        }
        guard token.kind == .word, !token.isQuoted, Self.compound.contains(token.text) else { return try simple() }
        isList = true
        at += 1
        switch token.text {
        case "{":
            try body(until: ["}"])
            try take(reserved: "}")
        case "if": try condition()
        case "while", "until":
            try body(until: ["do"])
            try loopBody()
        case "for": try forLoop()
        case "case": try caseChoice()
        default: throw unexpected()
        }
        try redirections(of: token)
    }

    /// A list that must hold something.
    mutating func body(until words: [String]) throws(OpaqueCommand) {
        let before = reading.program.commands.count
        try list(until: words)
        guard reading.program.commands.count > before else { throw unexpected() }
    }

    /// Words that begin what this parser does not know, or that mean nothing where a command begins.
    private static let foreign: Set<String> = [
        "select", "function", "coproc", "[[", "]]", "then", "else", "elif", "fi", "do", "done", "esac", "in", "}", "!",
        "time",
    ]

    private mutating func simple() throws(OpaqueCommand) {
        var command = SimpleCommand(words: [], redirections: [], range: current?.range ?? 0..<0)
        var starts: [Int] = []
        var substitutions: [ShellToken.Substitution] = []
        scan: while let token = current {
            switch token.kind {
            case .word:
                if command.words.isEmpty { try requireName(token) }
                command.words += token.words
                starts.append(token.range.lowerBound)
                substitutions += take(computed: token)
                at += 1
            case .redirect, .hereDocument: command.redirections.append(try redirection(&substitutions))
            case .control("("): throw unexpected()
            case .control, .newline: break scan
            }
        }
        guard !command.words.isEmpty || !command.redirections.isEmpty else { throw unexpected() }
        command.range = command.range.lowerBound..<(tokens[at - 1].range.upperBound)
        reading.program.commands.append(command)
        // To the second parser `time` is a command's name like others.
        let allStarts = timeStarts + starts
        timeStarts = []
        if let name = allStarts.first { reading.commandStarts.append(name) }
        reading.wordStarts += allStarts
        try parse(substitutions)
    }

    private func requireName(_ token: ShellToken) throws(OpaqueCommand) {
        let reason: String
        if !token.isQuoted, Self.foreign.contains(token.text) {
            throw unexpected()
        } else if token.isAssignment {
            reason = "an assignment"
        } else if token.isComputed {
            reason = "a command name that is computed"
        } else if token.isPattern {
            reason = "a command name that is a pattern"
        } else if !token.expansions.isEmpty {
            reason = "a command name in a brace expansion"
        } else if token.text.isEmpty {
            reason = "a command without a name"
        } else {
            return
        }
        throw OpaqueCommand(reason, at: token.range)
    }

    mutating func redirections(of group: ShellToken) throws(OpaqueCommand) {
        var substitutions: [ShellToken.Substitution] = []
        scan: while let token = current {
            switch token.kind {
            case .redirect, .hereDocument:
                reading.program.groupRedirections.append(try redirection(&substitutions))
            // `( … ) word` is a mistake in every shell.
            case .word
            where token.isQuoted
                || !["}", "then", "else", "elif", "fi", "do", "done", "esac"].contains(token.text):
                throw unexpected()
            case .control("("): throw unexpected()
            default: break scan
            }
        }
        try parse(substitutions)
    }

    private mutating func redirection(
        _ substitutions: inout [ShellToken.Substitution]
    ) throws(OpaqueCommand) -> ShellRedirection {
        let token = tokens[at]
        at += 1
        substitutions += take(computed: token)
        guard case .redirect(let form) = token.kind else { return ShellRedirection(.text, range: token.range) }
        if token.range.count > form.utf8.count { reading.descriptorStarts.insert(token.range.lowerBound) }
        guard let target = current, target.kind == .word else { throw unexpected() }
        at += 1
        substitutions += take(computed: target)
        let range = token.range.lowerBound..<target.range.upperBound
        if !target.expansions.isEmpty { throw OpaqueCommand("a redirection to a brace expansion", at: range) }
        if form == "<<<" { return ShellRedirection(.text, range: range) }
        // Which file a pattern names is not known, and shells differ in whether they expand it here.
        if target.isPattern { throw OpaqueCommand("a redirection to a pattern", at: range) }
        if target.isComputed { throw OpaqueCommand("a redirection to a file whose name is computed", at: range) }
        switch form {
        case "<": return ShellRedirection(.read(target.word), range: range)
        case ">", ">|", ">>", "&>", "&>>": return ShellRedirection(.write(target.word), range: range)
        case "<>": return ShellRedirection(.readAndWrite(target.word), range: range)
        default:
            // `>&FILE` writes a file in bash; a number or a dash opens none.
            let isNumber = !target.text.isEmpty && target.text.utf8.allSatisfy { (0x30...0x39).contains($0) }
            if target.text == "-" || isNumber { return ShellRedirection(.duplicate, range: range) }
            // Without a number in front it is bash's other way to write `&>`.
            if form == ">&", token.range.count == 2,
                target.text.utf8.first.map({ !"-0123456789".utf8.contains($0) }) ?? false
            {
                reading.program.needsBash = true
                return ShellRedirection(.write(target.word), range: range)
            }
            throw OpaqueCommand("a duplication of a descriptor that is no number", at: range)
        }
    }

    // MARK: - Substitutions

    /// Notes what a token says of the whole, and gives the substitutions in it.
    mutating func take(computed token: ShellToken) -> [ShellToken.Substitution] {
        if token.needsBash { reading.program.needsBash = true }
        if token.isComputed { isList = true }
        return token.substitutions
    }

    /// The commands in substitutions, with all that they hold.
    mutating func parse(_ substitutions: [ShellToken.Substitution]) throws(OpaqueCommand) {
        for substitution in substitutions {
            reading.substitutionStarts.append(substitution.start)
            depth += 1
            substitutionDepth += 1
            guard depth <= ShellScanner.deepest else {
                throw OpaqueCommand("it is nested too deeply", at: substitution.start..<(substitution.start + 2))
            }
            let outer = (tokens, at)
            tokens = substitution.tokens
            at = 0
            let before = reading.program.commands.count
            try whole()
            guard reading.program.commands.count > before else {
                throw OpaqueCommand("an empty substitution", at: substitution.start..<(substitution.start + 2))
            }
            (tokens, at) = outer
            substitutionDepth -= 1
            depth -= 1
        }
    }
}
