// Conditions, loops and choices (POSIX.1-2017, 2.9.4), behind the word that begins them.

extension ShellParser {
    /// `if`, and `elif`, which is one more.
    mutating func condition() throws(OpaqueCommand) {
        while true {
            try body(until: ["then"])
            try take(reserved: "then")
            try body(until: ["elif", "else", "fi"])
            guard isReserved("elif") else { break }
            at += 1
        }
        if isReserved("else") {
            at += 1
            try body(until: ["fi"])
        }
        try take(reserved: "fi")
    }

    mutating func loopBody() throws(OpaqueCommand) {
        reading.program.hasLoop = true
        try take(reserved: "do")
        try body(until: ["done"])
        try take(reserved: "done")
    }

    /// `for NAME in WORD…`: what its words are is not followed; uses of the variable are computed.
    mutating func forLoop() throws(OpaqueCommand) {
        guard let name = current, name.kind == .word, !name.isQuoted, Self.isOwnVariable(name.text) else {
            throw OpaqueCommand("a loop over a variable that may have a meaning", at: current?.range ?? 0..<0)
        }
        at += 1
        try take(reserved: "in")
        while let word = current, word.kind == .word {
            at += 1
            try parse(take(computed: word))
        }
        guard isControl(";") || current?.kind == .newline else { throw unexpected() }
        at += 1
        skipNewlines()
        try loopBody()
    }

    /// Whether assigning a variable changes nothing but it: variables in capitals steer shells and programs, and of those
    /// in small letters the proxies' and npm's settings do.
    private static func isOwnVariable(_ name: String) -> Bool {
        // Names that people choose, and that steer nothing.
        if ["FILE", "F", "DIR", "D", "I", "N", "X", "NAME", "LINE", "ITEM"].contains(name) { return true }
        guard let first = name.utf8.first, (0x61...0x7A).contains(first), !name.hasSuffix("proxy"),
            !name.hasPrefix("npm")
        else { return false }
        return name.utf8.allSatisfy { byte in
            (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "_")
        }
    }

    /// `case WORD in PATTERN) LIST;; … esac`, each pattern static.
    mutating func caseChoice() throws(OpaqueCommand) {
        // The parenthesis behind a pattern would have ended it for the scanner, and does for old versions of bash.
        if substitutionDepth > 0 { throw OpaqueCommand("`case` in a command substitution", at: tokenRange) }
        guard let word = current, word.kind == .word, word.expansions.isEmpty else { throw unexpected() }
        at += 1
        try parse(take(computed: word))
        skipNewlines()
        try take(reserved: "in")
        skipNewlines()
        while !isReserved("esac") {
            if isControl("(") { at += 1 }
            try pattern()
            while isControl("|") {
                at += 1
                try pattern()
            }
            try take(control: ")")
            try list(until: ["esac"])
            if isControl(";;") {
                at += 1
                skipNewlines()
            } else if !isReserved("esac") {
                throw unexpected()
            }
        }
        try take(reserved: "esac")
    }

    private mutating func pattern() throws(OpaqueCommand) {
        guard let token = current, token.kind == .word, !token.isComputed, token.expansions.isEmpty, !token.needsBash,
            !isReserved("esac")
        else { throw unexpected() }
        at += 1
    }

    private var tokenRange: ShellRange { current?.range ?? 0..<0 }
}
