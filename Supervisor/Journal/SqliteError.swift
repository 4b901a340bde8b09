// What SQLite says when it fails, with the system call's error where there was one.
internal import CSqlite
internal import Linux

/// A result code other than OK, ROW and DONE.
struct SqliteError: Error, Sendable {
    /// The extended result code (https://sqlite.org/rescode.html).
    let code: Int32
    /// Of the system call that failed last on this connection; 0 for none.
    let errno: Int32
    let message: String

    init(code: Int32, errno: Int32 = 0, message: String) {
        self.code = code
        self.errno = errno
        self.message = message
    }

    /// The result code without its extension.
    var primary: Int32 { code & 0xFF }

    /// Not SQLite's: the file is of another version.
    static let otherVersion: Int32 = -1
    static let corrupt = SQLITE_CORRUPT
    static let inputOutput = SQLITE_IOERR

    var kind: JournalError.Kind {
        if code == Self.otherVersion { return .otherVersion }
        switch primary {
        case SQLITE_FULL: return .full
        case SQLITE_READONLY, SQLITE_PERM: return .readOnly
        case SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_FORMAT: return .corrupt
        case SQLITE_BUSY, SQLITE_LOCKED: return .busy
        case SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_TOOBIG: return .invalid
        default: break
        }
        // unixWrite reports ENOSPC as FULL, but a quota and a file-size limit as an I/O error; growing the shared
        // memory file fails with a code of its own.
        let number = Errno(rawValue: errno)
        if number == .noSpace || number == .quota || number == .fileTooBig || code == Self.shmSize { return .full }
        if number == .readOnly || number == .accessDenied || number == .notPermitted { return .readOnly }
        return .inputOutput
    }

    /// SQLITE_IOERR_SHMSIZE is an expression, which does not import.
    private static let shmSize = SQLITE_IOERR | (19 << 8)

    var detail: String { errno == 0 ? message : "\(message): \(Errno(rawValue: errno))" }
}

extension Errno {
    /// Disk quota exceeded.
    static let quota = Errno(rawValue: 122)
    /// File too large: RLIMIT_FSIZE.
    static let fileTooBig = Errno(rawValue: 27)
}
