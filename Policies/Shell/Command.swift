// What a command string would run, as far as that can be said without running it.
//
// Most is static: words whose value is known from the text alone. Of a word that is computed when the string runs it is
// only said that it is; commands that are computed, functions and assignments have no place in these types, and a string
// that has any is opaque.

/// A range of bytes of a command string.
public typealias ShellRange = Range<Int>

/// A word of a command, its quotes taken away.
public struct ShellWord: Sendable, Hashable {
    /// Its value; for a pattern, the pattern with its quotes taken away; empty where it is computed.
    public var text: String
    /// Whether an unquoted `*`, `?` or `[` makes it stand for the names of files that match.
    public var isPattern: Bool
    /// Whether its value shows only when it runs.
    public var isComputed = false
    /// Whether it may turn out to be no word at all, or several: computed without quotes, of `$@`, or a pattern.
    public var isSplit = false
    /// Where it stands. Words of one brace expansion share it.
    public var range: ShellRange

    /// Makes a word with a value.
    public init(_ text: String, isPattern: Bool = false, range: ShellRange) {
        self.text = text
        self.isPattern = isPattern
        self.range = range
    }

    /// Makes a word that is computed.
    init(computedAt range: ShellRange, isSplit: Bool) {
        text = ""
        isPattern = false
        isComputed = true
        self.isSplit = isSplit
        self.range = range
    }
}

/// A redirection of one descriptor.
public struct ShellRedirection: Sendable, Hashable {
    /// What becomes of the descriptor.
    public enum Target: Sendable, Hashable {
        /// `<`
        case read(ShellWord)
        /// `>`, `>|`, `>>`, and `&>` and `&>>` for both outputs.
        case write(ShellWord)
        /// `<>`
        case readAndWrite(ShellWord)
        /// `>&N`, `<&N` or `>&-`: no file is opened.
        case duplicate
        /// `<<<` or a here-document: the text is in the string.
        case text
    }

    /// What it is redirected to.
    public var target: Target
    /// Where it stands.
    public var range: ShellRange

    /// Makes a redirection.
    public init(_ target: Target, range: ShellRange) {
        self.target = target
        self.range = range
    }
}

/// One program or builtin with its words.
public struct SimpleCommand: Sendable, Hashable {
    /// The name first; empty where there is nothing but redirections.
    public var words: [ShellWord]
    /// In the order in which they are written.
    public var redirections: [ShellRedirection]
    /// Where it stands.
    public var range: ShellRange

    /// Makes a command.
    public init(words: [ShellWord], redirections: [ShellRedirection], range: ShellRange) {
        self.words = words
        self.redirections = redirections
        self.range = range
    }
}

/// All that a string would run.
public struct ShellProgram: Sendable, Hashable {
    /// Every simple command, in the order in which they are written; those that compute words of a command follow it.
    /// Which of them run, and how often, is not said.
    public var commands: [SimpleCommand] = []
    /// Redirections of groups and subshells.
    public var groupRedirections: [ShellRedirection] = []
    /// Whether it is one simple command of words that are known, and nothing else: no shell is needed to execute it.
    public var isSimple = false
    /// Whether a command may run more than once, also behind what is written after it.
    public var hasLoop = false
    /// Whether a plain `sh` would read it otherwise.
    public var needsBash = false
}

/// What cannot be analysed, and why.
public struct OpaqueCommand: Error, Sendable, Hashable {
    /// As in "it is opaque: …".
    public var reason: String
    /// Where.
    public var range: ShellRange

    /// Makes one.
    public init(_ reason: String, at range: ShellRange) {
        self.reason = reason
        self.range = range
    }
}
