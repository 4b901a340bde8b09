// A command string, taken apart into words and operators (POSIX.1-2017, 2.3; bash(1), Quoting).
//
// Only what bash and dash read alike, or what is marked as bash's alone. Whatever else there is, the string is refused as
// opaque with the byte at which that was found: this scanner never guesses. It is held against real shells by random
// strings (Tests/PolicyShellTests).

struct ShellScanner {
    /// Longer strings are no commands that a person or an agent means to have judged.
    static let longest = 1 << 20
    /// Deeper nesting is no command that anybody means.
    static let deepest = 100
    /// Words, blanks, newlines and comments of one list. libtree-sitter counts the children of a node in 16 bits, and writes
    /// beyond its memory where there are more.
    static let mostPieces = 30_000
    private var pieces = 0

    let bytes: [UInt8]
    var at = 0
    var tokens: [ShellToken] = []
    var documents: [HereDocument] = []
    /// The bytes as the second parser gets them: what it is known to misread, and what has no meaning, made plain.
    var plain: [UInt8]
    /// How many substitutions are open.
    var depth = 0
    /// Whether a here-document was announced in front of an open substitution: its body would begin inside.
    var isBehindDocument = false
    /// Bytes of words that brace expansions made.
    var expanded = 0
    /// Where bytes are that may stand in quotes alone.
    private var hidden: Set<Int> = []

    private init(_ bytes: [UInt8]) {
        self.bytes = bytes
        plain = bytes
    }

    /// The tokens of a string, and the string for the second parser, of the same length.
    static func scan(_ bytes: [UInt8]) throws(OpaqueCommand) -> (tokens: [ShellToken], plain: [UInt8]) {
        var scanner = ShellScanner(bytes)
        scanner.hidden = try requirePlainText(bytes)
        try scanner.run()
        return (scanner.tokens, scanner.plain)
    }

    /// White space and controls that readers take for something else than shells do: to bash a no-break space is a
    /// letter, so `#` after one starts no comment. In quotes it has no such meaning, which is seen to there.
    ///
    /// - Returns: where bytes are that may stand in quotes alone.
    private static func requirePlainText(_ bytes: [UInt8]) throws(OpaqueCommand) -> Set<Int> {
        guard bytes.count <= longest else { throw OpaqueCommand("it is longer than a megabyte", at: 0..<bytes.count) }
        if bytes.allSatisfy({ (0x20..<0x7F).contains($0) || $0 == 0x09 || $0 == 0x0A }) { return [] }
        var hidden: [Int] = []
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw OpaqueCommand("it is not UTF-8", at: 0..<bytes.count)
        }
        if joinsMarks(text) {
            throw OpaqueCommand("a mark is joined to a character of ASCII, or stands for one", at: 0..<bytes.count)
        }
        var at = 0
        for scalar in text.unicodeScalars {
            let length = UTF8.width(scalar)
            if isQuotable(scalar) {
                hidden += at..<(at + length)
            } else if isDeceptive(scalar) {
                throw OpaqueCommand(
                    "it contains the character U+" + String(scalar.value, radix: 16, uppercase: true)
                        + ", which is not what it looks like", at: at..<(at + length))
            }
            at += length
        }
        return Set(hidden)
    }

    /// What stands in honest texts: spaces of other widths, the joiners of scripts and of emoji and their variation
    /// selectors. In quotes they mean nothing to a shell; elsewhere they are letters to it and nothing to a reader.
    private static func isQuotable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0xA0, 0x2000...0x200A, 0x200C, 0x200D, 0x202F, 0x205F, 0x3000, 0xFE0E, 0xFE0F: true
        default: false
        }
    }

    private static func isDeceptive(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A: return false
        case 0..<0x20, 0x7F..<0xA0: return true
        case 0x00AD, 0x061C, 0x180E, 0xFEFF: return true
        default: break
        }
        return scalar.properties.isWhitespace && scalar.value != 0x20 || scalar.properties.isBidiControl
            || scalar.properties.isDefaultIgnorableCodePoint
    }

    /// Reads up to the end of the string or, inside of a substitution, up to its closing parenthesis.
    private mutating func run() throws(OpaqueCommand) {
        var open = 0
        while let byte = peek() {
            pieces += 1
            guard pieces <= Self.mostPieces else { throw opaque("it has too many words") }
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"): at += 1
            case UInt8(ascii: "\n"):
                if isBehindDocument { throw opaque("a here-document that would begin inside of a substitution") }
                add(.newline, length: 1)
                try readDocuments()
            case UInt8(ascii: "\\") where peek(1) == UInt8(ascii: "\n"): at += 2
            case UInt8(ascii: "#"): try comment()
            case UInt8(ascii: ";"): try control([";;&", ";&"], [";;", ";"])
            case UInt8(ascii: "|"): try control([], ["||", "|&", "|"])
            case UInt8(ascii: "&"):
                if peek(1) == UInt8(ascii: ">") {
                    add(
                        .redirect(peek(2) == UInt8(ascii: ">") ? "&>>" : "&>"),
                        length: peek(2) == UInt8(ascii: ">") ? 3 : 2)
                } else {
                    try control([], ["&&", "&"])
                }
            case UInt8(ascii: "("):
                // `((` is arithmetic to bash, `f ()` a function, and `=(` an array.
                if peek(1) == UInt8(ascii: "(") { throw opaque("`((` is arithmetic to bash", length: 2) }
                if let last = tokens.last, last.kind == .word, !Self.opensList(last) {
                    throw opaque("a parenthesis after a word", length: 1)
                }
                open += 1
                try control([], ["("])
            case UInt8(ascii: ")"):
                if open == 0, depth > 0 { return try requireNoDocument() }
                open -= 1
                try control([], [")"])
            case UInt8(ascii: "<"), UInt8(ascii: ">"): try redirect(from: at)
            default: try word()
            }
        }
        if depth > 0 { throw opaque("a command substitution without an end") }
        try requireNoDocument()
    }

    private func requireNoDocument() throws(OpaqueCommand) {
        if let first = documents.first { throw OpaqueCommand("a here-document without an end", at: first.range) }
    }

    private mutating func comment() throws(OpaqueCommand) {
        // Versions of bash differ in whether a parenthesis in it ends the substitution.
        if depth > 0 { throw opaque("a comment in a command substitution") }
        let start = at
        while let next = peek(), next != UInt8(ascii: "\n") { at += 1 }
        try requireNoDeception(in: start..<at)
    }

    /// Words after which a command begins, or, behind `in`, a pattern of `case`: there a parenthesis may stand.
    private static func opensList(_ token: ShellToken) -> Bool {
        !token.isQuoted
            && ["!", "{", "if", "then", "else", "elif", "while", "until", "do", "time", "in"].contains(token.text)
    }

    // MARK: - Pieces

    func peek(_ offset: Int = 0) -> UInt8? { at + offset < bytes.count ? bytes[at + offset] : nil }

    func opaque(_ reason: String, length: Int = 1) -> OpaqueCommand {
        OpaqueCommand(reason, at: at..<max(at, min(at + length, bytes.count)))
    }

    private mutating func add(_ kind: ShellToken.Kind, length: Int) {
        tokens.append(ShellToken(kind: kind, range: at..<(at + length)))
        at += length
    }

    private func starts(with text: String) -> Bool { bytes[at...].starts(with: text.utf8) }

    private mutating func control(_ refused: [String], _ known: [String]) throws(OpaqueCommand) {
        if let form = refused.first(where: { starts(with: $0) }) { throw opaque("`\(form)`", length: 2) }
        guard let form = known.first(where: { starts(with: $0) }) else { throw opaque("an unknown operator") }
        add(.control(form), length: form.utf8.count)
    }

    /// Refuses characters that may stand in quotes alone.
    func requireNoDeception(in range: ShellRange) throws(OpaqueCommand) {
        if hidden.isEmpty { return }
        for index in range where hidden.contains(index) {
            throw OpaqueCommand(
                "a space or a joiner, which is not what it looks like, outside of quotes", at: index..<(index + 1))
        }
    }

    /// Gives the second parser other bytes in place of these.
    mutating func hide(_ range: ShellRange, as byte: UInt8 = UInt8(ascii: "x")) {
        for index in range { plain[index] = byte }
    }

    mutating func redirect(from start: Int) throws(OpaqueCommand) {
        if starts(with: "<(") || starts(with: ">(") { throw opaque("a process substitution", length: 2) }
        // dash knows descriptors of one digit, and takes more for a word.
        let digits = at - start
        if digits > 4 { throw OpaqueCommand("a descriptor that is too large", at: start..<at) }
        let forms = ["<<<", "<<-", "<<", "<>", "<&", "<", ">>", ">|", ">&", ">"]
        guard let form = forms.first(where: { starts(with: $0) }) else { throw opaque("an unknown redirection") }
        at += form.utf8.count
        if form == "<<" || form == "<<-" {
            try hereDocument(stripsTabs: form == "<<-", from: start)
        } else {
            tokens.append(ShellToken(kind: .redirect(form), range: start..<at))
        }
        tokens[tokens.count - 1].needsBash = digits > 1
    }

    // MARK: - Substitutions

    /// `$( … )`: from its dollar sign to its closing parenthesis. What is inside is scanned as a string of its own, as
    /// bash and dash do; that parentheses are balanced there, which those of `case` are not, the parser sees to.
    mutating func substitution() throws(OpaqueCommand) -> ShellToken.Substitution {
        let start = at
        guard depth < Self.deepest else { throw opaque("it is nested too deeply", length: 2) }
        var outerTokens: [ShellToken] = [], outerDocuments: [HereDocument] = []
        swap(&tokens, &outerTokens)
        swap(&documents, &outerDocuments)
        let wasBehindDocument = isBehindDocument
        isBehindDocument = isBehindDocument || !outerDocuments.isEmpty
        depth += 1
        at += 2
        try run()
        depth -= 1
        isBehindDocument = wasBehindDocument
        swap(&documents, &outerDocuments)
        swap(&tokens, &outerTokens)
        return ShellToken.Substitution(start: start, tokens: outerTokens)
    }
}

/// Whether a text has characters (grapheme clusters, UAX #29) that hold ASCII and more, as a quote with an accent, or that
/// Unicode calls equal to ASCII, as the Greek question mark is to `;`.
///
/// To shells and kernels these are bytes like any other. Swift's strings take them for one character, or for equal, so that
/// a comparison in this code would not see a quote that bash sees. Letters and digits with marks are how names come from
/// some systems, and no byte of them means anything by itself.
package func joinsMarks(_ text: String) -> Bool {
    if text.utf8.allSatisfy({ $0 < 0x80 }) { return false }
    return text.contains { character in
        let scalars = character.unicodeScalars
        if scalars.count == 1 { return scalars.first.map { [0x37E, 0x1FEF, 0x212A].contains($0.value) } ?? false }
        return character != "\r\n"
            && scalars.contains { $0.isASCII && !$0.properties.isAlphabetic && !("0"..."9").contains($0) }
    }
}
