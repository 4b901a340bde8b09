// Little languages within one word: a filter of jq, a format of printf.

enum JqFilter {
    /// What reads modules and the environment (jq(1), Modules).
    private static let words: Set<String> = [
        "import", "include", "modulemeta", "env", "ENV", "getpath", "input_filename",
    ]

    /// Whether a filter works on its input alone; a word is looked for in strings too.
    static func isHarmless(_ text: String) -> Bool {
        let names = text.utf8.split { byte in
            !((0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || byte == 0x5F)
        }
        return !names.contains { words.contains(String(Substring($0))) }
    }
}

enum PrintfFormat {
    /// Whether a format only prints: `%n` assigns a variable, of which PATH is one (bash(1), printf).
    static func isHarmless(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        while let start = rest.firstIndex(of: UInt8(ascii: "%")) {
            rest = rest[(start + 1)...].drop { "#0 +-'123456789.*hlqjztLI$".utf8.contains($0) }
            guard let conversion = rest.first else { return true }
            // A backslash makes any character, and what follows a time in parentheses is its `T`.
            if conversion == UInt8(ascii: "n") || conversion == UInt8(ascii: "\\") { return false }
            rest = rest.dropFirst()
        }
        return true
    }
}
