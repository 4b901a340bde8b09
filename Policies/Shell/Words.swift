// Words: quotes, escapes, and what is only computed when the string runs.

/// A word as far as it is read.
struct PartialWord {
    var token: ShellToken
    var value: [UInt8] = []
    var braces = Braces()
    /// Whether there are digits and nothing else, as in front of a redirection.
    var isNumber = true
    /// Whether a line ended in it.
    var isContinued = false
    /// Whether there was an unquoted `[`: where it ends is not looked for, since a `]` behind it may end nothing.
    private var hasBracket = false
    /// Whether something quoted would mean something else in a pattern without its quotes.
    private(set) var hidesPattern = false

    init(at start: Int) { token = ShellToken(kind: .word, range: start..<start) }
}

extension ShellScanner {
    mutating func word() throws(OpaqueCommand) {
        let start = at
        var word = PartialWord(at: start)
        scan: while let byte = peek() {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: ";"), UInt8(ascii: "&"),
                UInt8(ascii: "|"), UInt8(ascii: "("), UInt8(ascii: ")"):
                break scan
            case UInt8(ascii: "<"), UInt8(ascii: ">"):
                if word.isContinued { throw opaque("a redirection behind a word that is continued on its line") }
                if word.isNumber { return try redirect(from: start) }
                if word.value.first == UInt8(ascii: "{") {
                    throw opaque("a redirection of a descriptor that is computed")
                }
                break scan
            case UInt8(ascii: "'"):
                guard let end = bytes[(at + 1)...].firstIndex(of: byte) else { throw opaque("a quote without an end") }
                word.quote(bytes[(at + 1)..<end])
                at = end
            case UInt8(ascii: "\""):
                word.quote([])
                try doubleQuoted(&word)
            case UInt8(ascii: "\\"):
                guard let next = peek(1) else { throw opaque("a backslash at the end") }
                if next == UInt8(ascii: "\n") {
                    continueLine(&word)
                } else {
                    word.quote([next])
                    at += 1
                }
            case UInt8(ascii: "`"): throw opaque("a command substitution in backquotes")
            case UInt8(ascii: "$"):
                if peek(1) == UInt8(ascii: "'") {
                    try escapedQuotes(&word)
                } else {
                    try expand(&word, inQuotes: false)
                }
            case UInt8(ascii: "~") where at == start: try tilde(&word)
            case UInt8(ascii: "~")
            where word.value.last == UInt8(ascii: "=") || word.value.last == UInt8(ascii: ":"):
                throw opaque("a tilde, which stands for a home directory")
            default:
                try requireNoDeception(in: at..<(at + 1))
                if byte == UInt8(ascii: "="), !word.token.isQuoted, Self.isAssignmentTarget(word.value) {
                    word.token.isAssignment = true
                }
                word.add(byte)
            }
            word.isNumber = word.isNumber && (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            at += 1
        }
        if word.token.isPattern, word.hidesPattern {
            throw OpaqueCommand("a pattern with quoted parts that look like a pattern", at: start..<at)
        }
        word.token.range = start..<at
        word.token.text = word.token.isComputed ? "" : String(decoding: word.value, as: UTF8.self)
        try expandBraces(&word)
        tokens.append(word.token)
    }

    /// `NAME=`, `NAME+=` and `NAME[…]=`.
    private static func isAssignmentTarget(_ value: [UInt8]) -> Bool {
        let rest = value.dropFirst(nameLength(value[...]))
        guard rest.count < value.count else { return false }
        return rest.isEmpty || rest.elementsEqual("+".utf8) || rest.first == UInt8(ascii: "[")
    }

    /// How many bytes at the start are a variable's name.
    static func nameLength(_ bytes: ArraySlice<UInt8>) -> Int {
        guard let first = bytes.first, !(0x30...0x39).contains(first) else { return 0 }
        return bytes.prefix { $0 == UInt8(ascii: "_") || isLetter($0) || (0x30...0x39).contains($0) }.count
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }

    // MARK: - Quotes

    /// A backslash at the end of a line joins the next one: two bytes that nothing sees. The second parser would take
    /// them for the end of the word.
    private mutating func continueLine(_ word: inout PartialWord) {
        hide(at..<(at + 2))
        word.isContinued = true
        word.braces.isUnclear = true
        at += 1
    }

    /// After it `at` is on the closing quote.
    private mutating func doubleQuoted(_ word: inout PartialWord) throws(OpaqueCommand) {
        let start = at
        at += 1
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: "\""): return
            case UInt8(ascii: "`"): throw opaque("a command substitution in backquotes")
            case UInt8(ascii: "$"): try expand(&word, inQuotes: true)
            case UInt8(ascii: "\\"):
                switch peek(1) {
                case UInt8(ascii: "$"), UInt8(ascii: "`"), UInt8(ascii: "\""), UInt8(ascii: "\\"):
                    at += 1
                    word.quote([bytes[at]])
                case UInt8(ascii: "\n"): continueLine(&word)
                default: word.quote([byte])
                }
            default: word.quote([byte])
            }
            at += 1
        }
        throw OpaqueCommand("a quote without an end", at: start..<bytes.count)
    }

    /// `$'…'`, which dash does not know; after it `at` is on the closing quote.
    private mutating func escapedQuotes(_ word: inout PartialWord) throws(OpaqueCommand) {
        let start = at
        word.token.needsBash = true
        word.quote([])
        at += 2
        while let byte = peek() {
            if byte == UInt8(ascii: "'") { return }
            if byte == UInt8(ascii: "\\") {
                word.quote([try escape()])
            } else {
                word.quote([byte])
            }
            at += 1
        }
        throw OpaqueCommand("a quote without an end", at: start..<bytes.count)
    }

    /// Without the quote itself: for dash the word ends there, and what follows is another command.
    private static let escapes: [UInt8: UInt8] = [
        UInt8(ascii: "\\"): 0x5C, UInt8(ascii: "\""): 0x22, UInt8(ascii: "n"): 0x0A,
        UInt8(ascii: "r"): 0x0D, UInt8(ascii: "t"): 0x09, UInt8(ascii: "a"): 0x07, UInt8(ascii: "b"): 0x08,
        UInt8(ascii: "e"): 0x1B, UInt8(ascii: "f"): 0x0C, UInt8(ascii: "v"): 0x0B,
    ]

    private mutating func escape() throws(OpaqueCommand) -> UInt8 {
        let start = at
        at += 1
        if let next = peek(), let value = Self.escapes[next] { return value }
        // Two digits, of a printable character: zero ends the word, and others need not be UTF-8.
        if peek() == UInt8(ascii: "x"), at + 2 < bytes.count {
            let digits = bytes[(at + 1)...(at + 2)]
            let isHex = digits.allSatisfy { UnicodeScalar($0).properties.isASCIIHexDigit }
            if isHex, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16),
                (0x20..<0x7F).contains(value)
            {
                at += 2
                return value
            }
        }
        throw OpaqueCommand("an escape that is not analysed", at: start..<min(start + 2, bytes.count))
    }

    // MARK: - What is computed

    /// A tilde in front: the home directory of whoever runs it. Names of users and of directories are not analysed.
    private mutating func tilde(_ word: inout PartialWord) throws(OpaqueCommand) {
        switch peek(1) {
        case nil, UInt8(ascii: "/"), UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: ";"),
            UInt8(ascii: "&"), UInt8(ascii: "|"), UInt8(ascii: ")"):
            word.token.isComputed = true
        default: throw opaque("a tilde, which stands for a directory", length: 2)
        }
    }

    /// A dollar sign in a word.
    private mutating func expand(_ word: inout PartialWord, inQuotes: Bool) throws(OpaqueCommand) {
        guard let expansion = try expansion(inQuotes: inQuotes) else {
            // The second parser takes some of them for the start of something.
            if inQuotes { hide(at..<(at + 1)) }
            return word.add(UInt8(ascii: "$"))
        }
        word.token.isComputed = true
        if !inQuotes || expansion.isList { word.token.isSplit = true }
        if let substitution = expansion.substitution { word.token.substitutions.append(substitution) }
    }

    /// What a dollar sign begins; afterwards `at` is on its last byte. Nil where the sign stands for itself.
    mutating func expansion(
        inQuotes: Bool
    ) throws(OpaqueCommand) -> (isList: Bool, substitution: ShellToken.Substitution?)? {
        let next = peek(1)
        switch next ?? 0 {
        case UInt8(ascii: "("):
            if peek(2) == UInt8(ascii: "(") { throw opaque("arithmetic", length: 3) }
            return (false, try substitution())
        case UInt8(ascii: "{"):
            let length = Self.nameLength(bytes[(at + 2)...])
            guard length > 0, peek(2 + length) == UInt8(ascii: "}") else { throw opaque("an expansion", length: 2) }
            at += 2 + length
        case UInt8(ascii: "1")...UInt8(ascii: "9"), UInt8(ascii: "?"), UInt8(ascii: "#"), UInt8(ascii: "$"),
            UInt8(ascii: "!"), UInt8(ascii: "@"), UInt8(ascii: "*"):
            at += 1
        default:
            let length = Self.nameLength(bytes[min(at + 1, bytes.count)...])
            if length == 0 {
                // A line that goes on behind it may bring what it expands.
                let isContinued = next == UInt8(ascii: "\\") && peek(2) == UInt8(ascii: "\n")
                guard !isContinued, isLiteralDollar(before: next, inQuotes: inQuotes) else {
                    throw opaque("an expansion", length: 2)
                }
                return nil
            }
            at += length
        }
        if peek(1) == UInt8(ascii: "[") { throw opaque("what may be a subscript") }
        return (next == UInt8(ascii: "@"), nil)
    }

    /// A dollar sign that nothing follows which it could expand. Others are refused: what follows may be a name.
    private func isLiteralDollar(before next: UInt8?, inQuotes: Bool) -> Bool {
        switch next {
        case UInt8(ascii: " "): true
        case nil, UInt8(ascii: ";"), UInt8(ascii: "&"), UInt8(ascii: "\t"), UInt8(ascii: "\n"): !inQuotes
        case UInt8(ascii: "|"), UInt8(ascii: ")"): true
        case UInt8(ascii: "\""), UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: "%"), UInt8(ascii: ","),
            UInt8(ascii: "]"), UInt8(ascii: "\\"), UInt8(ascii: "^"), UInt8(ascii: "+"), UInt8(ascii: "="),
            UInt8(ascii: ":"), UInt8(ascii: "}"):
            inQuotes
        default: false
        }
    }
}

extension PartialWord {
    /// Adds what is in quotes, without a meaning of its own.
    mutating func quote(_ text: some Collection<UInt8>) {
        token.isQuoted = true
        braces.isUnclear = braces.isUnclear || braces.isOpen
        hidesPattern = hidesPattern || hasBracket && !text.isEmpty || text.contains { "*?[\\".utf8.contains($0) }
        value += text
    }

    /// Adds a byte that is not quoted.
    mutating func add(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["):
            token.isPattern = true
            if byte == UInt8(ascii: "[") { hasBracket = true }
            braces.isUnclear = braces.isUnclear || braces.isOpen
        default:
            // To dash it is one of the characters, to bash it means none of them.
            if byte == UInt8(ascii: "^"), value.last == UInt8(ascii: "[") { token.needsBash = true }
            braces.note(byte, at: value.count)
        }
        value.append(byte)
    }
}
