// What can go wrong beneath a root, each with a stable word for the protocol. It never carries a path: the caller has it.
public import Linux

/// Why something beneath a root was refused or failed.
public enum TreeError: Error, Hashable, Sendable {
    /// The path starts with a slash.
    case absolute
    /// The path holds a NUL byte.
    case nul
    /// The path leads out of the root, by `..`, by a symbolic link, or through /proc.
    case outside
    /// There is no such file.
    case missing
    /// It is there, and is no directory.
    case notDirectory
    /// It is there, and is no regular file: a pipe, a socket, a device or a directory is never read as one.
    case notRegular
    /// Too many symbolic links, or one where none may be.
    case link
    /// The kernel refused it.
    case denied
    /// A name or a path is longer than the kernel takes.
    case tooLong
    /// A pattern, with the reason.
    case pattern(PatternProblem)
    /// There is no file type of that name.
    case unknownType
    /// Anything else, by its number.
    case system(Errno)

    /// A word that stays the same from version to version.
    public var word: String {
        switch self {
        case .absolute: "absolute-path"
        case .nul: "nul-in-path"
        case .outside: "outside-root"
        case .missing: "not-found"
        case .notDirectory: "not-a-directory"
        case .notRegular: "not-a-regular-file"
        case .link: "symlink-refused"
        case .denied: "permission-denied"
        case .tooLong: "path-too-long"
        case .pattern(let problem): problem.rawValue
        case .unknownType: "unknown-file-type"
        case .system: "system-error"
        }
    }

    /// What an error of opening beneath a directory means.
    public init(_ error: Errno) {
        switch error {
        case .noEntry: self = .missing
        case .crossDevice: self = .outside
        case .notDirectory: self = .notDirectory
        case .loop: self = .link
        case .accessDenied, .notPermitted: self = .denied
        case .nameTooLong: self = .tooLong
        default: self = .system(error)
        }
    }
}

/// What is wrong with a glob.
public enum PatternProblem: String, Hashable, Sendable {
    /// `[` without `]`, or a class that does not exist.
    case badClass = "bad-character-class"
    /// `{` without `}`, or the other way round.
    case badBraces = "unbalanced-braces"
    /// A backslash at the end.
    case danglingEscape = "dangling-backslash"
    /// Braces that stand for more alternatives than `Glob.mostAlternatives`, or a pattern longer than `Glob.longest`.
    case tooLarge = "pattern-too-large"
}
