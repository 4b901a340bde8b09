// What is written to the journal, and what is read back: values, without any connection to a database.

/// A session as it was opened. Times are milliseconds since 1970.
public struct SessionEntry: Sendable {
    /// Unique among the sessions that the journal holds.
    public var id: String
    /// For people.
    public var name: String
    /// Whose it is.
    public var user: UInt32
    /// The directory it works on.
    public var workspace: String
    /// How to find its policy again.
    public var policy: String
    /// Its root file system; empty for the host's.
    public var image: String
    /// Its limits, as its supervisor writes them.
    public var limits: String
    /// When it was made.
    public var created: UInt64

    /// An entry.
    public init(
        id: String, name: String, user: UInt32, workspace: String, policy: String, image: String = "",
        limits: String = "", created: UInt64
    ) {
        self.id = id
        self.name = name
        self.user = user
        self.workspace = workspace
        self.policy = policy
        self.image = image
        self.limits = limits
        self.created = created
    }
}

/// A command as it was started. Its environment is not recorded: it may hold secrets.
public struct CommandEntry: Sendable {
    /// Unique in its session, also after that was reopened.
    public var number: UInt64
    /// The command and its arguments, without NUL.
    public var arguments: [String]
    /// The working directory in the jail.
    public var directory: String
    /// Whether what it leaves running goes on.
    public var isBackground: Bool
    /// Milliseconds since 1970.
    public var started: UInt64

    /// An entry.
    public init(number: UInt64, arguments: [String], directory: String, isBackground: Bool = false, started: UInt64) {
        self.number = number
        self.arguments = arguments
        self.directory = directory
        self.isBackground = isBackground
        self.started = started
    }
}

/// One fact. Times are milliseconds since 1970.
public enum JournalRecord: Sendable {
    /// New work.
    case sessionOpened(SessionEntry)
    /// New work: an interrupted session goes on, in a new jail on its workspace.
    case sessionReopened(session: String, at: UInt64)
    /// It was closed, or somebody does not want to see it any more. Its rows go at the next compaction.
    case sessionClosed(session: String, at: UInt64)
    /// New work.
    case commandStarted(session: String, CommandEntry)
    /// It ended. The report is JSON without the output.
    case commandEnded(session: String, number: UInt64, at: UInt64, report: String)
    /// It ended, and nobody will ask for it. Its rows go at the next compaction.
    case commandForgotten(session: String, number: UInt64)
    /// Something worth knowing about a session.
    case note(session: String, at: UInt64, text: String)
}

/// A command's stream.
public enum JournalStream: UInt8, Sendable, Hashable, CaseIterable {
    /// Standard output.
    case output = 1
    /// Standard error.
    case errors = 2
}

/// What became of a record.
public enum Durability: Sendable, Hashable {
    /// It is in the log file: it survives the death of any process.
    case committed
    /// It could not be written, and is kept in memory until it can. It survives only if this process does.
    case held
}

/// A session as it is read back.
public struct JournalSession: Sendable {
    /// Where it is in its life.
    public enum State: Sendable, Hashable {
        /// It belongs to the supervisor that owns the journal.
        case open
        /// Its supervisor died, at this time at the latest.
        case interrupted(at: UInt64)
    }

    /// Something that happened to it.
    public enum Event: Sendable, Hashable {
        /// Its supervisor was found dead.
        case interrupted(at: UInt64)
        /// It was taken up again.
        case reopened(at: UInt64)
        /// Somebody's remark.
        case note(at: UInt64, String)
    }

    /// As it was opened.
    public let entry: SessionEntry
    /// Where it is.
    public let state: State
    /// What happened to it, in order.
    public let events: [Event]
}

/// A command as it is read back.
public struct JournalCommand: Sendable {
    /// Where it is in its life.
    public enum State: Sendable, Hashable {
        /// It has not ended.
        case running
        /// It ended, with its report.
        case ended(at: UInt64, report: String)
        /// Its supervisor died before it ended.
        case interrupted
    }

    /// As it was started.
    public let entry: CommandEntry
    /// Where it is.
    public let state: State
    /// What is there of its output.
    public let output: JournalExtent
    /// What is there of its errors.
    public let errors: JournalExtent
}

/// How much of a stream is there.
public struct JournalExtent: Sendable, Hashable {
    /// Bytes kept.
    public internal(set) var kept: UInt64 = 0
    /// The place behind the last byte that was acknowledged.
    public internal(set) var end: UInt64 = 0
    /// Bytes of the middle that were acknowledged and not kept.
    public internal(set) var dropped: Range<UInt64>?
}

/// A part of a stream. It starts later than asked for where what was there was not kept.
public struct JournalOutput: Sendable, Hashable {
    /// The bytes.
    public let bytes: [UInt8]
    /// Where they start.
    public let start: UInt64
    /// Where the next ones are to be asked for.
    public var next: UInt64 { start + UInt64(bytes.count) }
}
