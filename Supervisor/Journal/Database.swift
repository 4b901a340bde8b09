// The open database with its statements, and what of it is kept in memory: sessions, not their contents.
internal import Linux

/// What a record needs to know about a session.
struct SessionState {
    let serial: Int64
    /// How often it was opened: a command of an earlier life that has not ended never will.
    var life: Int64 = 1
    var nextOrdinal: Int64 = 1
    var interruptedAt: UInt64?
    /// Commands of this life that have not ended.
    var running: Set<UInt64> = []

    var isOpen: Bool { interruptedAt == nil }
}

/// A connection and the statements that are used all the time.
struct Database: ~Copyable {
    let connection: SqliteConnection
    let writer: RowWriter
    /// By the bytes of their ids. Closed ones are not among them.
    var sessions: [[UInt8]: SessionState]
    var lastSerial: Int64
    private let begin: SqliteStatement, commit: SqliteStatement, rollback: SqliteStatement
    private let pageCount: SqliteStatement

    /// Opens and reads it.
    ///
    /// - Throws: of kind `corrupt` where it has to be moved aside.
    static func open(_ path: String) throws(JournalError) -> Database {
        do throws(SqliteError) { return try Database(path) } catch { throw JournalError(error, path: path) }
    }

    private init(_ path: String) throws(SqliteError) {
        let connection = try Schema.open(path)
        let writer = try RowWriter(connection)
        let begin = try connection.prepare("BEGIN IMMEDIATE")
        let commit = try connection.prepare("COMMIT")
        let rollback = try connection.prepare("ROLLBACK")
        let pageCount = try connection.prepare("PRAGMA page_count")
        let sessions = try Self.readSessions(connection)
        let lastSerial = try connection.integer("SELECT coalesce(max(serial), 0) FROM session")
        self.sessions = sessions
        self.lastSerial = lastSerial
        self.writer = writer
        self.begin = begin
        self.commit = commit
        self.rollback = rollback
        self.pageCount = pageCount
        self.connection = connection
    }

    private static func readSessions(
        _ connection: borrowing SqliteConnection
    ) throws(SqliteError) -> [[UInt8]: SessionState] {
        var found: [(id: [UInt8], state: SessionState)] = []
        try connection.prepare(
            "SELECT serial, id FROM session WHERE serial NOT IN (SELECT session FROM closed) ORDER BY serial"
        ).rows { row in
            found.append((row.bytes(1), SessionState(serial: row.integer(0))))
            return true
        }
        var sessions: [[UInt8]: SessionState] = [:]
        let events = try connection.prepare("SELECT ordinal, kind, at FROM event WHERE session = ? ORDER BY ordinal")
        for (id, initial) in found {
            var state = initial
            try events.rows([.integer(state.serial)]) { row in
                state.nextOrdinal = row.integer(0) + 1
                switch EventKind(rawValue: row.integer(1)) {
                case .interrupted: state.interruptedAt = UInt64(clamping: row.integer(2))
                case .reopened:
                    state.interruptedAt = nil
                    state.life += 1
                case .note, nil: break
                }
                return true
            }
            sessions[id] = state
        }
        return sessions
    }

    /// Writes rows in one transaction. All of them are there afterwards, or none.
    borrowing func write(_ rows: [Row]) throws(SqliteError) {
        // One statement is a transaction by itself.
        if rows.count == 1, rows[0].isOneStatement { return try writer.write(rows[0]) }
        try transaction { () throws(SqliteError) in
            for row in rows { try writer.write(row) }
        }
    }

    borrowing func transaction(_ body: () throws(SqliteError) -> Void) throws(SqliteError) {
        try begin.run()
        do throws(SqliteError) {
            try body()
            try commit.run()
        } catch {
            // After some errors SQLite has rolled back by itself (https://sqlite.org/lang_transaction.html).
            if connection.isInTransaction { try? rollback.run() }
            throw error
        }
    }

    /// Bytes of the database, without the log.
    borrowing func size() throws(SqliteError) -> Int {
        var pages: Int64 = 0
        try pageCount.rows { row in
            pages = row.integer(0)
            return false
        }
        return Int(pages) * Schema.pageSize
    }

    /// Bytes of the log that are in use.
    var logSize: Int { connection.logFrames * Schema.frameSize }
}
