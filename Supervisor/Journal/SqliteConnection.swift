// A connection to one SQLite database: the only file that holds its C pointer.
internal import CSqlite
internal import Glibc

/// Closed when its owner goes away; statements that still live keep what they need of it (sqlite3_close_v2).
/// One thread at a time uses it: it is opened without a mutex.
@safe struct SqliteConnection: ~Copyable {
    private let handle: OpaquePointer
    /// Frames in the write-ahead log after the last commit of this connection, told by the hook.
    private let frames: UnsafeMutablePointer<Int32>

    /// Opens a database that exists. No component of its path may be a symbolic link.
    init(path: String) throws(SqliteError) {
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE
        Self.forgetErrno()
        let code = unsafe sqlite3_open_v2(path, &opened, flags, nil)
        guard let pointer = unsafe opened else { throw SqliteError(code: code, message: "no memory") }
        guard code == SQLITE_OK else {
            let error = unsafe Self.error(pointer, code)
            unsafe sqlite3_close_v2(pointer)
            throw error
        }
        unsafe handle = pointer
        unsafe frames = .allocate(capacity: 1)
        unsafe frames.initialize(to: 0)
    }

    deinit {
        unsafe sqlite3_close_v2(handle)
        unsafe frames.deallocate()
    }

    /// Runs statements that take no values and whose rows nobody wants.
    borrowing func execute(_ sql: String) throws(SqliteError) {
        Self.forgetErrno()
        let code = unsafe sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw unsafe Self.error(handle, code) }
    }

    borrowing func prepare(_ sql: String) throws(SqliteError) -> SqliteStatement {
        var statement: OpaquePointer?
        let code = unsafe sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard code == SQLITE_OK, let pointer = unsafe statement else { throw unsafe Self.error(handle, code) }
        return unsafe SqliteStatement(owning: pointer)
    }

    /// The first column of the first row.
    borrowing func integer(_ sql: String) throws(SqliteError) -> Int64 {
        var result: Int64 = 0
        try prepare(sql).rows { row in
            result = row.integer(0)
            return false
        }
        return result
    }

    /// The first column of the first row.
    borrowing func text(_ sql: String) throws(SqliteError) -> String {
        var result = ""
        try prepare(sql).rows { row in
            result = row.text(0)
            return false
        }
        return result
    }

    /// Whether BEGIN is in force: after some errors SQLite has rolled back by itself.
    var isInTransaction: Bool { unsafe sqlite3_get_autocommit(handle) == 0 }

    /// Rows that the last statement changed.
    var changes: Int { Int(unsafe sqlite3_changes(handle)) }

    /// Frames in the write-ahead log after this connection's last commit, once `countFrames` was called.
    var logFrames: Int { Int(unsafe frames.pointee) }

    /// Starts counting. It takes the place of SQLite's own checkpoints, which use the same hook.
    borrowing func countFrames() {
        unsafe sqlite3_wal_hook(
            handle,
            { context, _, _, count in
                unsafe context?.assumingMemoryBound(to: Int32.self).pointee = count
                return SQLITE_OK
            }, frames)
    }

    /// Copies what it can from the log into the database without waiting for anybody (SQLITE_CHECKPOINT_PASSIVE).
    ///
    /// - Returns: frames in the log, and how many of them have been copied. The next writer begins the log anew when
    ///   both are the same.
    borrowing func checkpoint() throws(SqliteError) -> (frames: Int, copied: Int) {
        var frames: Int32 = 0
        var copied: Int32 = 0
        Self.forgetErrno()
        let code = unsafe sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied)
        guard code == SQLITE_OK else { throw unsafe Self.error(handle, code) }
        return (Int(frames), Int(copied))
    }

    static func error(_ handle: OpaquePointer?, _ code: Int32) -> SqliteError {
        guard unsafe handle != nil else { return SqliteError(code: code, message: "no connection") }
        let text = unsafe sqlite3_errmsg(handle)
        let message = unsafe text.map { unsafe String(cString: $0) } ?? "unknown error"
        // Only these codes come from a system call. sqlite3_system_errno is not told where a commit fails, so the
        // number is taken from where the call left it (`forgetErrno`).
        let isSystem = [SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_READONLY].contains(code & 0xFF)
        return SqliteError(code: code, errno: isSystem ? errno : 0, message: message)
    }

    /// What an earlier call left there says nothing about the next.
    static func forgetErrno() { errno = 0 }
}
