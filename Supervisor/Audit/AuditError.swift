// Why a log takes no record, or cannot be read.
public import Linux

/// Why a log takes no record, or cannot be read.
///
/// Whoever gets one from ``AuditLog`` stops new work: what cannot be recorded must not happen. Commands that run already may
/// end; their results are lost to the log, and belong into the program's own log.
public enum AuditError: Error, Sendable, Hashable {
    /// The disk, a quota or the process's limit on the size of files is exhausted. The log is whole, without this record, and
    /// takes records again as soon as there is room.
    case full(path: String, Errno)
    /// The files are not as this log left them. The remedy is a person's: look with `cordon audit verify`, and move the
    /// directory away, so that a new log begins.
    case tampered(AuditFault)
    /// Another process writes it.
    case inUse(path: String)
    /// The directory belongs to somebody else, or others may write it.
    case unsafe(path: String)
    /// There is no log.
    case missing(path: String)
    /// A step that the kernel refused.
    case failed(step: String, path: String, Errno)
}

extension AuditError: CustomStringConvertible {
    /// A sentence for people.
    public var description: String {
        switch self {
        case .full(let path, let errno):
            "\(path): no room for the audit log: \(errno.message): free some, or give --state"
        case .tampered(let fault): "the audit log was tampered with: \(fault)"
        case .inUse(let path): "\(path): another process writes this audit log"
        case .unsafe(let path): "\(path): not a directory of this user's that only they can write"
        case .missing(let path): "\(path): there is no audit log"
        case .failed(let step, let path, let errno): "\(path): \(step): \(errno.message)"
        }
    }
}

/// What is wrong with a log, and where it shows first.
public struct AuditFault: Error, Sendable, Hashable {
    /// In which way.
    public enum Way: String, Sendable, Hashable, CaseIterable {
        /// Lines are missing that were there, or a whole file of them.
        case removed
        /// A line is not what was written: its bytes, or all lines up to it.
        case changed
        /// Lines were moved or repeated.
        case reordered
        /// The head knows of more than there is.
        case cutTail = "cut_tail"
        /// The head is not there.
        case headMissing = "head_missing"
        /// The head is not what was written.
        case headChanged = "head_changed"
        /// There are more lines than the head knows of: it is an older one, or they were added by somebody else.
        case headBehind = "head_behind"
        /// The head belongs to another log.
        case otherLog = "other_log"
    }

    /// In which way.
    public var way: Way
    /// The name of the file that it shows in.
    public var file: String
    /// The line that it shows at, from 1 on; nil where it is about the file.
    public var line: UInt64?
    /// For people.
    public var text: String
}

extension AuditFault: CustomStringConvertible {
    /// `audit.jsonl:7: removed: …`
    public var description: String {
        "\(file):\(line.map { "\($0):" } ?? "") \(way.rawValue): \(text)"
    }
}
