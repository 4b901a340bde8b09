// What to run in a jail made for it alone.

/// What to run, and within which limits.
public struct RunRequest: Sendable {
    /// The command and its arguments.
    public var arguments: [String]
    /// Milliseconds on the wall clock.
    public var wallLimit: UInt64?
    /// Milliseconds of processor time of the whole tree.
    public var cpuLimit: UInt64?
    /// Bytes kept of each captured stream.
    public var outputLimit: UInt64
    /// Whether output beyond the limit, captured or not, ends the run.
    public var killsOnOutput: Bool
    /// Whether output is kept for the report instead of being passed on to descriptors 1 and 2.
    public var captures: Bool
    /// Whether descriptor 0 is passed on; otherwise the command's input is empty.
    public var readsInput: Bool
    /// Whether the command gets a terminal in the jail, for which descriptors 0 and 1, which must be one, stand outside.
    public var usesTerminal: Bool
    /// Signals that this process receives and passes on.
    public var forwardsSignals: Bool
    /// Whether the outcome says when each step of the start was done.
    public var recordsTimes: Bool

    /// A run without limits that passes everything on.
    public init(arguments: [String]) {
        self.arguments = arguments
        outputLimit = 2 << 20
        killsOnOutput = false
        captures = false
        readsInput = true
        usesTerminal = false
        forwardsSignals = true
        recordsTimes = false
    }
}

/// The executables to try for a command's name, as execvp(3): a name with a slash is a path, another one is looked for.
func candidates(_ name: String, in path: [String]) -> [String] {
    if name.isEmpty { return [] }
    return name.utf8.contains(UInt8(ascii: "/")) ? [name] : path.map { $0 + "/" + name }
}
