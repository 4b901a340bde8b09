// What the scanner takes a string apart into.

/// A piece of a command string.
struct ShellToken: Sendable {
    enum Kind: Sendable, Hashable {
        case word
        /// `;` `;;` `&` `|` `|&` `&&` `||` `(` `)`
        case control(String)
        case newline
        /// `<` `>` `>|` `>>` `<>` `<&` `>&` `<<<` `&>` `&>>`; the descriptor in front, if any, is part of the range.
        case redirect(String)
        /// `<<` or `<<-`, with its body read.
        case hereDocument
    }

    /// `$( … )`, its commands not yet parsed.
    struct Substitution: Sendable {
        var start: Int
        var tokens: [ShellToken]
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
    /// Whether the value, or the here-document's text, shows only when it runs.
    var isComputed = false
    /// Whether a computed word may be none or several.
    var isSplit = false
    /// Whether dash would read it otherwise.
    var needsBash = false
    /// The words that a brace expansion makes of it; empty where there is none.
    var expansions: [String] = []
    /// In its word, or in the body of its here-document.
    var substitutions: [Substitution] = []

    /// The words of a command that it stands for.
    var words: [ShellWord] {
        // A pattern's files are several, also where what it is made of is quoted: `"$x"*`.
        if isComputed { return [ShellWord(computedAt: range, isSplit: isSplit || isPattern)] }
        if expansions.isEmpty { return [word] }
        return expansions.map { ShellWord($0, isPattern: isPattern, range: range) }
    }

    /// A word that is neither computed nor several.
    var word: ShellWord { ShellWord(text, isPattern: isPattern, range: range) }
}
