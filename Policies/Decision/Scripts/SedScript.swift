// Whether a script of sed only prints: no command that executes (e, s///e), writes (w, W, s///w) or reads (r, R).
//
// It follows sed's grammar (POSIX.1-2017, sed; GNU sed 4.9, Commands) far enough to know where each command begins. Seds
// differ in whether a delimiter within brackets ends an expression, and in what a backslash is there, so a
// script is read in each of these ways: it must be harmless in one, and in the others harmless or surely a mistake, which
// sed finds before it runs anything.

struct SedScript {
    private enum Problem: Error {
        /// It executes, writes or reads, or is not known to do none of these.
        case powerful
        /// A mistake that ends any sed.
        case malformed
    }

    private var bytes: ArraySlice<UInt8>
    private let reading: Reading

    /// Where seds differ.
    private enum Reading: CaseIterable {
        /// A delimiter in brackets is a character, and so is a backslash.
        case brackets
        /// As above, but a backslash in brackets makes a character of what follows it.
        case bracketsWithEscapes
        /// Brackets mean nothing.
        case plain
    }

    /// Whether the script, in one or more `-e` parts, is known to be harmless.
    static func isHarmless(_ parts: [String]) -> Bool {
        // Each part ends as a line does (POSIX).
        let text = Array(parts.joined(separator: "\n").utf8)
        // Seds differ in what ends a label or a comment.
        guard text.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 || $0 == 0x0A }) else { return false }
        guard text.contains(UInt8(ascii: "[")) else { return problem(text, .plain) == nil }
        let problems = Reading.allCases.map { problem(text, $0) }
        return !problems.contains(.powerful) && problems.contains(nil)
    }

    private static func problem(_ text: [UInt8], _ reading: Reading) -> Problem? {
        var script = SedScript(bytes: text[...], reading: reading)
        do throws(Problem) {
            try script.commands()
            return nil
        } catch {
            return error
        }
    }

    private mutating func skip(_ accepted: StaticString) {
        while let byte = bytes.first, accepted.contains(byte) { bytes.removeFirst() }
    }

    private mutating func take() throws(Problem) -> UInt8 {
        guard let byte = bytes.popFirst() else { throw .malformed }
        return byte
    }

    private mutating func commands() throws(Problem) {
        while true {
            skip(" \t\n;")
            guard !bytes.isEmpty else { return }
            try address()
            skip(" \t")
            if bytes.first == UInt8(ascii: ",") {
                bytes.removeFirst()
                skip(" \t")
                if let byte = bytes.first, byte == UInt8(ascii: "+") || byte == UInt8(ascii: "~") {
                    bytes.removeFirst()
                }
                try address()
            }
            skip(" \t!")
            try command(try take())
        }
    }

    /// A line, a step, `$`, `/re/` or `\cREc`; also none.
    private mutating func address() throws(Problem) {
        guard let first = bytes.first else { return }
        switch first {
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            skip("0123456789")
            if bytes.first == UInt8(ascii: "~") {
                bytes.removeFirst()
                skip("0123456789")
            }
        case UInt8(ascii: "$"): bytes.removeFirst()
        case UInt8(ascii: "/"):
            bytes.removeFirst()
            try expression(to: UInt8(ascii: "/"))
            skip("IM")
        case UInt8(ascii: "\\"):
            bytes.removeFirst()
            try expression(to: try delimiter())
            skip("IM")
        default: break
        }
    }

    private mutating func delimiter() throws(Problem) -> UInt8 {
        let byte = try take()
        guard byte != UInt8(ascii: "\n"), byte != UInt8(ascii: "\\"), byte < 0x80 else { throw .malformed }
        return byte
    }

    /// Up to the delimiter of a regular expression.
    private mutating func expression(to delimiter: UInt8) throws(Problem) {
        while true {
            let byte = try take()
            if byte == delimiter { return }
            if byte == UInt8(ascii: "\\") {
                _ = try take()
            } else if byte == UInt8(ascii: "["), reading != .plain {
                try bracket()
            }
        }
    }

    /// Behind `[`: a first `]` is a character; `[:…:]` is a class.
    private mutating func bracket() throws(Problem) {
        if bytes.first == UInt8(ascii: "^") { bytes.removeFirst() }
        if bytes.first == UInt8(ascii: "]") { bytes.removeFirst() }
        while true {
            switch try take() {
            case UInt8(ascii: "]"): return
            case UInt8(ascii: "\\"): if reading == .bracketsWithEscapes { _ = try take() }
            case UInt8(ascii: "["):
                guard let kind = bytes.first, ":.=".utf8.contains(kind) else { break }
                // Where `[.` and `[=` end is read in two ways, and a class is letters.
                guard kind == UInt8(ascii: ":") else { throw .powerful }
                bytes.removeFirst()
                while let byte = bytes.first, (0x61...0x7A).contains(byte) { bytes.removeFirst() }
                guard try take() == kind, try take() == UInt8(ascii: "]") else { throw .powerful }
            default: break
            }
        }
    }

    /// Up to an unescaped delimiter, where brackets mean nothing.
    private mutating func plain(to delimiter: UInt8) throws(Problem) {
        while true {
            let byte = try take()
            if byte == delimiter { return }
            if byte == UInt8(ascii: "\\") { _ = try take() }
        }
    }

    private mutating func command(_ name: UInt8) throws(Problem) {
        switch name {
        case UInt8(ascii: "{"): return
        case UInt8(ascii: "#"): while let byte = bytes.popFirst(), byte != UInt8(ascii: "\n") {}
        case UInt8(ascii: "}"), UInt8(ascii: "="), UInt8(ascii: "d"), UInt8(ascii: "D"), UInt8(ascii: "g"),
            UInt8(ascii: "G"), UInt8(ascii: "h"), UInt8(ascii: "H"), UInt8(ascii: "n"), UInt8(ascii: "N"),
            UInt8(ascii: "p"), UInt8(ascii: "P"), UInt8(ascii: "x"), UInt8(ascii: "z"), UInt8(ascii: "F"):
            try end()
        case UInt8(ascii: "l"), UInt8(ascii: "L"), UInt8(ascii: "q"), UInt8(ascii: "Q"):
            skip(" \t")
            skip("0123456789")
            try end()
        case UInt8(ascii: ":"), UInt8(ascii: "b"), UInt8(ascii: "t"), UInt8(ascii: "T"):
            // In GNU sed a label ends at `;` or white space, elsewhere only at the end of the line. What follows is looked at
            // as commands, and as a part of a label it is harmless.
            skip(" \t")
            while let byte = bytes.first, !" \t\n;}".utf8.contains(byte) { bytes.removeFirst() }
            if name == UInt8(ascii: ":"), bytes.first == UInt8(ascii: "}") { throw .powerful }
            try end()
        case UInt8(ascii: "a"), UInt8(ascii: "i"), UInt8(ascii: "c"): try text()
        case UInt8(ascii: "y"):
            let delimiter = try delimiter()
            try plain(to: delimiter)
            try plain(to: delimiter)
            try end()
        case UInt8(ascii: "s"):
            let delimiter = try delimiter()
            try expression(to: delimiter)
            try plain(to: delimiter)
            skip("gpiIm0123456789M")
            if bytes.first == UInt8(ascii: "e") || bytes.first == UInt8(ascii: "w") { throw .powerful }
            try end()
        case UInt8(ascii: "e"), UInt8(ascii: "w"), UInt8(ascii: "W"), UInt8(ascii: "r"), UInt8(ascii: "R"):
            throw .powerful
        // Letters are commands to some; what is neither is a mistake to all.
        default: throw (0x41...0x5A).contains(name) || (0x61...0x7A).contains(name) ? .powerful : .malformed
        }
    }

    /// The end of a command: of the script, a line, a `;`, a `}` or a comment.
    private mutating func end() throws(Problem) {
        skip(" \t")
        guard let byte = bytes.first else { return }
        guard "\n;}#".utf8.contains(byte) else { throw .malformed }
    }

    /// The text of a, i and c: the rest of the line, and the next where a backslash ends it.
    private mutating func text() throws(Problem) {
        skip(" \t")
        if bytes.first == UInt8(ascii: "\\") {
            bytes.removeFirst()
            if bytes.first == UInt8(ascii: "\n") {
                bytes.removeFirst()
            } else {
                // The one-line form `a\text`, blanks kept. Another backslash is read in two ways, and so is a line that ends
                // behind blanks.
                skip(" \t")
                guard let first = bytes.first, first != UInt8(ascii: "\\"), first != UInt8(ascii: "\n") else {
                    throw .powerful
                }
            }
        }
        // A text that begins with a backslash, or is none, is read in two ways too.
        guard let first = bytes.first, first != UInt8(ascii: "\\"), first != UInt8(ascii: "\n") else {
            throw .powerful
        }
        while let byte = bytes.popFirst(), byte != UInt8(ascii: "\n") {
            if byte == UInt8(ascii: "\\") { _ = bytes.popFirst() }
        }
    }
}

extension StaticString {
    fileprivate func contains(_ byte: UInt8) -> Bool {
        withUTF8Buffer { unsafe $0.contains(byte) }
    }
}
