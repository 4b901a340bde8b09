// Whether a program of awk only computes and prints (POSIX.1-2017, awk; gawk(1)).
//
// It does not read awk's grammar. Strings and regular expressions are taken out first, where it is certain what is one; in
// what is left, any sign of a command, a file or another program makes it more than that.

enum AwkScript {
    /// What starts programs, opens files, loads code, or makes awk read other files.
    private static let words: Set<String> = [
        "system", "getline", "close", "fflush", "include", "load", "extension", "ARGV", "ARGC", "ARGIND", "FUNCTAB",
        "SYMTAB", "ENVIRON", "PROCINFO",
    ]
    static func isHarmless(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        // Where it cannot be told what is a string, everything counts.
        let code = skeleton(bytes) ?? bytes
        var rest = code[...]
        var word: [UInt8] = []
        var prints = false, mayRedirect = false
        while true {
            let byte = rest.popFirst()
            if let byte, isWordByte(byte) {
                word.append(byte)
                continue
            }
            if isPowerful(word) { return false }
            prints = prints || contains(String(decoding: word, as: UTF8.self), "print")
            word = []
            switch byte {
            case nil: return !(prints && mayRedirect)
            // `print > "file"`; a comparison looks the same. `>=` is always one, and `>>` never.
            case UInt8(ascii: ">"):
                if rest.first == UInt8(ascii: "=") {
                    rest.removeFirst()
                } else if rest.first == UInt8(ascii: ">") {
                    return false
                } else {
                    mayRedirect = true
                }
            // It loads and calls.
            case UInt8(ascii: "@"): return false
            // `"command" | getline`; `||` is fine.
            case UInt8(ascii: "|"):
                guard rest.first == byte else { return false }
                rest.removeFirst()
            // A continued line.
            case UInt8(ascii: "\\") where rest.first == UInt8(ascii: "\n"): return false
            default: break
            }
        }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
            || (0x61...0x7A).contains(byte)
    }

    /// A number ends where a letter cannot belong to it any more, so that any word may stand behind a digit.
    private static func isPowerful(_ word: [UInt8]) -> Bool {
        let text = String(decoding: word, as: UTF8.self)
        guard let first = word.first, (0x30...0x39).contains(first) else { return words.contains(text) }
        return word.indices.contains { start in
            words.contains { word[start...].starts(with: $0.utf8) }
        }
    }

    /// The program with a `0` in place of each string and each regular expression; nil where awks could differ in what is
    /// one. A slash begins an expression where a value is expected, which only what is in front of it can tell.
    private static func skeleton(_ bytes: [UInt8]) -> [UInt8]? {
        var code: [UInt8] = []
        var rest = bytes[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "#"), UInt8(ascii: "\\"), UInt8(ascii: "`"): return nil
            case UInt8(ascii: "\""):
                guard skip(to: byte, &rest) else { return nil }
                code.append(UInt8(ascii: "0"))
            case UInt8(ascii: "/"):
                switch code.last(where: { $0 != 0x20 && $0 != 0x09 }) {
                // The start, and what a value follows.
                case nil, UInt8(ascii: "{"), UInt8(ascii: ";"), UInt8(ascii: "("), UInt8(ascii: ","), UInt8(ascii: "~"),
                    UInt8(ascii: "!"), UInt8(ascii: "&"), UInt8(ascii: "|"), UInt8(ascii: "\n"):
                    guard skip(to: byte, &rest) else { return nil }
                    code.append(UInt8(ascii: "0"))
                case let last? where (0x30...0x39).contains(last): code.append(byte)
                default: return nil
                }
            default: code.append(byte)
            }
        }
        return code
    }

    /// Behind the closing byte; false where the line ends first, or where it could be one in brackets.
    private static func skip(to end: UInt8, _ rest: inout ArraySlice<UInt8>) -> Bool {
        // Where brackets end is not looked for: `[]/]`, `[[:alpha:]/]`.
        var hasBracket = false
        while let byte = rest.popFirst() {
            switch byte {
            case end: return end != UInt8(ascii: "/") || !hasBracket
            case UInt8(ascii: "\n"): return false
            case UInt8(ascii: "\\"): if rest.popFirst().map({ $0 == UInt8(ascii: "\n") }) ?? true { return false }
            case UInt8(ascii: "["): hasBracket = true
            default: break
            }
        }
        return false
    }
}
