// Why the journal cannot do what it was asked, and what somebody can do about it.

/// A failure of the journal: what, where, and the remedy.
public struct JournalError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure it is.
    public enum Kind: String, Sendable, Hashable {
        /// No space, no quota, or a limit on the size of files (ENOSPC, EDQUOT, EFBIG).
        case full
        /// The directory or the file system may not be written to (EROFS, EACCES, EPERM).
        case readOnly
        /// The disk failed (EIO), or a call that the others do not cover.
        case inputOutput
        /// What was read is not what was written.
        case corrupt
        /// Somebody else owns the journal now.
        case busy
        /// The directory belongs to somebody else, or others can write to it.
        case notOurs
        /// It was written by another version of Cordon.
        case otherVersion
        /// The caller's mistake: a session or command that is not there, one that is there already, a value that no
        /// record can hold. Nothing is wrong with the journal.
        case invalid
    }

    /// What failed.
    public let kind: Kind
    /// The file or directory.
    public let path: String
    /// The system's or SQLite's own words.
    public let detail: String
    /// A sentence that says what to do.
    public let remedy: String

    init(_ kind: Kind, path: String, _ detail: String, remedy: String? = nil) {
        self.kind = kind
        self.path = path
        self.detail = detail
        self.remedy = remedy ?? Self.remedy(for: kind)
    }

    init(_ error: SqliteError, path: String) { self.init(error.kind, path: path, error.detail) }

    /// One line with all of it.
    public var description: String { "journal \(path): \(kind.rawValue): \(detail); \(remedy)" }

    private static func remedy(for kind: Kind) -> String {
        switch kind {
        case .full: "make room on its file system: work that runs goes on, new work is refused until then"
        case .readOnly: "make the state directory writable for the supervisor's user, or name another one"
        case .inputOutput: "look into the kernel's log for errors of the disk, then start the supervisor again"
        case .corrupt: "start the supervisor again: it moves the damaged file aside and begins a new one"
        case .busy: "end the other supervisor that uses this state directory, or name another directory"
        case .notOurs: "give the directory to the supervisor's user with mode 0700, or name another one"
        case .otherVersion: "use the version of Cordon that wrote it, or move the file away"
        case .invalid: "ask for what is there"
        }
    }
}
