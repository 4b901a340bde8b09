// A command string, taken apart into words and operators (POSIX.1-2017, 2.3; bash(1), Quoting).
//
// Only what bash and dash read alike, and what has a value that the text alone gives. Whatever else there is, the
// string is refused as opaque with the byte at which that was found: this scanner never guesses. It is held against
// real shells by random strings (Tests/PolicyShellTests).

/// A piece of a command string.
struct ShellToken: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        case word
        /// `;` `&` `|` `|&` `&&` `||` `(` `)`
        case control(String)
        case newline
        /// `<` `>` `>|` `>>` `<>` `<&` `>&` `<<<` `&>` `&>>`; the descriptor in front, if any, is part of the range.
        case redirect(String)
        /// `<<` or `<<-`, with its body read.
        case hereDocument
    }

    var kind: Kind
    var range: ShellRange
    /// A word's value.
    var text = ""
    var isPattern = false
    /// Whether a part of a word was quoted: a reserved word in quotes is none.
    var isQuoted = false
    /// Whether it has the form of an assignment in front of a command.
    var isAssignment = false

    var word: ShellWord { ShellWord(text, isPattern: isPattern, range: range) }
}

struct ShellScanner {
    /// Longer strings are no commands that a person or an agent means to have judged.
    static let longest = 1 << 20
    private let bytes: [UInt8]
    private var at = 0
    private var tokens: [ShellToken] = []
    private var documents: [(delimiter: [UInt8], isLiteral: Bool, stripsTabs: Bool, range: ShellRange)] = []

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The tokens of a string.
    static func scan(_ bytes: [UInt8]) throws(OpaqueCommand) -> [ShellToken] {
        try requirePlainText(bytes)
        var scanner = ShellScanner(bytes)
        try scanner.run()
        return scanner.tokens
    }

    /// White space and controls that readers take for something else than shells do: to bash a no-break space is a
    /// letter, so `#` after one starts no comment.
    private static func requirePlainText(_ bytes: [UInt8]) throws(OpaqueCommand) {
        guard bytes.count <= longest else { throw OpaqueCommand("it is longer than a megabyte", at: 0..<bytes.count) }
        if bytes.allSatisfy({ (0x20..<0x7F).contains($0) || $0 == 0x09 || $0 == 0x0A }) { return }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw OpaqueCommand("it is not UTF-8", at: 0..<bytes.count)
        }
        var at = 0
        for scalar in text.unicodeScalars {
            let length = UTF8.width(scalar)
            if isDeceptive(scalar) {
                throw OpaqueCommand(
                    "it contains the character U+" + String(scalar.value, radix: 16, uppercase: true)
                        + ", which is not what it looks like", at: at..<(at + length))
            }
            at += length
        }
    }

    private static func isDeceptive(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A: return false
        case 0..<0x20, 0x7F...0xA0: return true
        case 0x00AD, 0x061C, 0x180E, 0xFEFF: return true
        default: break
        }
        return scalar.properties.isWhitespace && scalar.value != 0x20 || scalar.properties.isBidiControl
            || scalar.properties.isDefaultIgnorableCodePoint
    }

    private mutating func run() throws(OpaqueCommand) {
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"): at += 1
            case UInt8(ascii: "\n"):
                add(.newline, length: 1)
                try readDocuments()
            case UInt8(ascii: "\\") where peek(1) == UInt8(ascii: "\n"): at += 2
            case UInt8(ascii: "#"): while let next = peek(), next != UInt8(ascii: "\n") { at += 1 }
            case UInt8(ascii: ";"): try control([";;", ";&"], [";"])
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
                try control([], ["("])
            case UInt8(ascii: ")"): try control([], [")"])
            case UInt8(ascii: "<"), UInt8(ascii: ">"): try redirect(from: at)
            default: try word()
            }
        }
        guard documents.isEmpty else { throw OpaqueCommand("a here-document without an end", at: documents[0].range) }
    }

    /// Words after which a command begins.
    private static func opensList(_ token: ShellToken) -> Bool {
        !token.isQuoted
            && ["!", "{", "if", "then", "else", "elif", "while", "until", "do", "time"].contains(token.text)
    }

    // MARK: - Pieces

    private func peek(_ offset: Int = 0) -> UInt8? { at + offset < bytes.count ? bytes[at + offset] : nil }

    private func opaque(_ reason: String, length: Int = 1) -> OpaqueCommand {
        OpaqueCommand(reason, at: at..<min(at + length, bytes.count))
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

    private mutating func redirect(from start: Int) throws(OpaqueCommand) {
        if starts(with: "<(") || starts(with: ">(") { throw opaque("a process substitution", length: 2) }
        let forms = ["<<<", "<<-", "<<", "<>", "<&", "<", ">>", ">|", ">&", ">"]
        guard let form = forms.first(where: { starts(with: $0) }) else { throw opaque("an unknown redirection") }
        at += form.utf8.count
        if form == "<<" || form == "<<-" { return try hereDocument(stripsTabs: form == "<<-", from: start) }
        tokens.append(ShellToken(kind: .redirect(form), range: start..<at))
    }

    // MARK: - Words

    private mutating func word() throws(OpaqueCommand) {
        let start = at
        var value: [UInt8] = []
        var token = ShellToken(kind: .word, range: start..<start)
        var brace = Brace()
        var isNumber = true
        scan: while let byte = peek() {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: ";"), UInt8(ascii: "&"),
                UInt8(ascii: "|"), UInt8(ascii: "("), UInt8(ascii: ")"):
                break scan
            case UInt8(ascii: "<"), UInt8(ascii: ">"):
                if isNumber { return try redirect(from: start) }
                if value.first == UInt8(ascii: "{") { throw opaque("a redirection of a descriptor that is computed") }
                break scan
            case UInt8(ascii: "'"):
                token.isQuoted = true
                guard let end = bytes[(at + 1)...].firstIndex(of: byte) else { throw opaque("a quote without an end") }
                value += bytes[(at + 1)..<end]
                at = end
            case UInt8(ascii: "\""):
                token.isQuoted = true
                try doubleQuoted(&value)
            case UInt8(ascii: "\\"):
                guard let next = peek(1) else { throw opaque("a backslash at the end") }
                guard next != UInt8(ascii: "\n") else { throw opaque("a word that is continued on the next line") }
                at += 1
                token.isQuoted = true
                value.append(next)
            case UInt8(ascii: "`"): throw opaque("a command substitution")
            case UInt8(ascii: "$"):
                guard isLiteralDollar(before: peek(1)) else { throw opaque("an expansion", length: 2) }
                value.append(byte)
            case UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["):
                token.isPattern = true
                value.append(byte)
            case UInt8(ascii: "~")
            where at == start || value.last == UInt8(ascii: "=") || value.last == UInt8(ascii: ":"):
                throw opaque("a tilde, which stands for a home directory")
            default:
                if byte == UInt8(ascii: "="), !token.isQuoted, Self.isAssignmentTarget(value) {
                    token.isAssignment = true
                }
                value.append(byte)
            }
            if brace.isExpansion(byte) { throw OpaqueCommand("a brace expansion", at: start..<(at + 1)) }
            isNumber = isNumber && (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            at += 1
        }
        token.range = start..<at
        token.text = String(decoding: value, as: UTF8.self)
        tokens.append(token)
    }

    /// A dollar sign that nothing follows which it could expand. Others are refused: what follows may be a name.
    private func isLiteralDollar(before next: UInt8?) -> Bool {
        switch next {
        case nil, UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: ";"), UInt8(ascii: "|"),
            UInt8(ascii: "&"), UInt8(ascii: ")"):
            true
        default: false
        }
    }

    /// `NAME=`, `NAME+=` and `NAME[…]=`.
    private static func isAssignmentTarget(_ value: [UInt8]) -> Bool {
        guard let first = value.first, first == UInt8(ascii: "_") || isLetter(first) else { return false }
        let rest = value.dropFirst().drop { $0 == UInt8(ascii: "_") || isLetter($0) || (0x30...0x39).contains($0) }
        return rest.isEmpty || rest.elementsEqual("+".utf8) || rest.first == UInt8(ascii: "[")
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }

    /// After it `at` is on the closing quote.
    private mutating func doubleQuoted(_ value: inout [UInt8]) throws(OpaqueCommand) {
        let start = at
        at += 1
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: "\""): return
            case UInt8(ascii: "`"): throw opaque("a command substitution")
            case UInt8(ascii: "$"):
                // Before the closing quote and before white space it stands for itself.
                guard peek(1) == UInt8(ascii: "\"") || peek(1) == UInt8(ascii: " ") else {
                    throw opaque("an expansion", length: 2)
                }
                value.append(byte)
            case UInt8(ascii: "\\"):
                switch peek(1) {
                case UInt8(ascii: "$"), UInt8(ascii: "`"), UInt8(ascii: "\""), UInt8(ascii: "\\"):
                    at += 1
                    value.append(bytes[at])
                case UInt8(ascii: "\n"): throw opaque("a word that is continued on the next line")
                default: value.append(byte)
                }
            default: value.append(byte)
            }
            at += 1
        }
        throw OpaqueCommand("a quote without an end", at: start..<bytes.count)
    }

    /// Notices unquoted `{a,b}` and `{1..9}` (bash(1), Brace Expansion). It is cautious: a brace, and later a comma or two
    /// dots, are enough.
    private struct Brace {
        private var isOpen = false, wasDot = false

        mutating func isExpansion(_ byte: UInt8) -> Bool {
            defer { wasDot = byte == UInt8(ascii: ".") }
            if byte == UInt8(ascii: "{") { isOpen = true }
            return isOpen && (byte == UInt8(ascii: ",") || byte == UInt8(ascii: ".") && wasDot)
        }
    }

    // MARK: - Here-documents

    private mutating func hereDocument(stripsTabs: Bool, from start: Int) throws(OpaqueCommand) {
        while peek() == UInt8(ascii: " ") || peek() == UInt8(ascii: "\t") { at += 1 }
        let count = tokens.count
        guard let byte = peek(), ![UInt8(ascii: "<"), UInt8(ascii: ">")].contains(byte) else {
            throw opaque("a here-document without a delimiter")
        }
        try word()
        guard tokens.count == count + 1, let delimiter = tokens.popLast(), delimiter.kind == .word,
            !delimiter.text.isEmpty, !delimiter.text.utf8.contains(UInt8(ascii: "\n"))
        else { throw opaque("a here-document without a delimiter") }
        documents.append((Array(delimiter.text.utf8), delimiter.isQuoted, stripsTabs, start..<at))
        tokens.append(ShellToken(kind: .hereDocument, range: start..<at))
    }

    /// The bodies of the documents that the line announced.
    private mutating func readDocuments() throws(OpaqueCommand) {
        for document in documents {
            while true {
                guard at < bytes.count else {
                    throw OpaqueCommand("a here-document without an end", at: document.range)
                }
                let end = bytes[at...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
                var line = bytes[at..<end]
                if document.stripsTabs { line = line.drop { $0 == UInt8(ascii: "\t") } }
                let isEnd = line.elementsEqual(document.delimiter)
                if !isEnd, !document.isLiteral { try requireNoExpansion(in: at..<end) }
                at = min(end + 1, bytes.count)
                if isEnd { break }
            }
        }
        documents = []
    }

    /// In a body whose delimiter is not quoted, everything but a backslash in front keeps an expansion from happening.
    private func requireNoExpansion(in range: ShellRange) throws(OpaqueCommand) {
        var index = range.lowerBound
        while index < range.upperBound {
            switch bytes[index] {
            case UInt8(ascii: "\\"):
                // At the end of a line it joins the next one, which then may be the delimiter, or not.
                if index + 1 == range.upperBound {
                    throw OpaqueCommand("a continued line in a here-document", at: index..<(index + 1))
                }
                index += 1
            case UInt8(ascii: "$"), UInt8(ascii: "`"):
                throw OpaqueCommand("an expansion in a here-document", at: index..<(index + 1))
            default: break
            }
            index += 1
        }
    }
}
