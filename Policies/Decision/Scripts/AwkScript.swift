// Whether a program of awk only computes and prints (POSIX.1-2017, awk; gawk(1)).
//
// It does not read awk's grammar, in which `/` and `"` mean different things in different places: any sign of a command, a
// file or another program makes it more than that, in strings too.

enum AwkScript {
    /// What starts programs, opens files, loads code, or makes awk read other files.
    private static let words: Set<String> = [
        "system", "getline", "close", "fflush", "include", "load", "extension", "ARGV", "ARGC", "ARGIND", "FUNCTAB",
        "SYMTAB", "ENVIRON", "PROCINFO",
    ]

    static func isHarmless(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        var word: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                word.append(byte)
                continue
            // `print > "file"`; a comparison looks the same and is left to a person. `@` loads and calls.
            case UInt8(ascii: ">"), UInt8(ascii: "@"): return false
            // `"command" | getline`; `||` is fine.
            case UInt8(ascii: "|"):
                guard rest.first == byte else { return false }
                rest.removeFirst()
            // A continued line.
            case UInt8(ascii: "\\") where rest.first == UInt8(ascii: "\n"): return false
            default: break
            }
            if isPowerful(word) { return false }
            word = []
        }
        return !isPowerful(word)
    }

    /// A number ends where a letter cannot belong to it any more, so that any word may stand behind a digit.
    private static func isPowerful(_ word: [UInt8]) -> Bool {
        let text = String(decoding: word, as: UTF8.self)
        guard let first = word.first, (0x30...0x39).contains(first) else { return words.contains(text) }
        return word.indices.contains { start in
            words.contains { word[start...].starts(with: $0.utf8) }
        }
    }
}
