// What to run on a terminal in a session.
public import Linux

/// A command that is to have a terminal.
public struct TerminalRequest: Sendable {
    /// The command and its arguments.
    public var arguments: [String]
    /// The working directory in the jail.
    public var directory: String
    /// `NAME=value` each.
    public var environment: [String]
    /// Values of its own that are masked in what it shows, beside the session's.
    public var secrets: [String] = []
    /// The window at the start.
    public var size = TerminalSize.usual
    /// What kind of terminal it is for programs (TERM, terminfo(5)); nil leaves what the environment says.
    public var term: String?
    /// Milliseconds on the wall clock.
    public var wallLimit: UInt64?
    /// Milliseconds after which a terminal that nobody is attached to is hung up, unless something was written to it, by
    /// anybody, or its command showed something.
    public var idleLimit: UInt64?
    /// Limits within those of the jail.
    public var memory: UInt64?
    /// As `memory`.
    public var pids: UInt64?
    /// Bytes that are kept of what it shows.
    public var outputCapacity = RingBuffer.usualCapacity
    /// Bytes that may wait for the command to read them.
    public var inputCapacity = 64 << 10

    /// A request without limits of its own.
    public init(arguments: [String], directory: String, environment: [String]) {
        self.arguments = arguments
        self.directory = directory
        self.environment = environment
    }

    /// The environment with the terminal's kind in it.
    var completeEnvironment: [String] {
        guard let term else { return environment }
        // By bytes: to Swift a name and a combining mark behind its "=" are another text.
        return environment.filter { !$0.utf8.starts(with: "TERM=".utf8) } + ["TERM=" + term]
    }
}
