// Giving space back, a little at a time: rows of closed sessions and forgotten commands go, then pages.
internal import Linux

/// Whether and from what size on it is due.
struct Compaction {
    /// Bytes of database and log together.
    var threshold: Int
    var isRunning = false
    /// Whether anything was closed or forgotten since it last came to an end.
    var hasVictims = true

    /// Those that it needs, while it runs.
    private var statements: [String: StatementBox] = [:]

    final class StatementBox {
        let statement: SqliteStatement
        init(_ statement: consuming SqliteStatement) { self.statement = statement }
    }

    init(threshold: Int) { self.threshold = threshold }

    mutating func statement(
        _ sql: String, _ connection: borrowing SqliteConnection
    ) throws(SqliteError) -> StatementBox {
        if let known = statements[sql] { return known }
        let box = StatementBox(try connection.prepare(sql))
        statements[sql] = box
        return box
    }

    mutating func end() {
        isRunning = false
        statements = [:]
    }

    func isDue(_ database: borrowing Database) -> Bool {
        if isRunning { return true }
        return size(database) > threshold
    }

    /// A quarter beyond the threshold, nobody had a quiet moment.
    func isOverdue(_ database: borrowing Database) -> Bool { size(database) > threshold / 4 * 5 }

    private func size(_ database: borrowing Database) -> Int {
        ((try? database.size()) ?? 0) + database.logSize
    }
}

extension Journal {
    /// How long a slice may begin new steps. It is one transaction: steps that follow each other mostly change the same
    /// pages, and each changed page is written once.
    private static let slice: UInt64 = 700_000

    /// - Returns: whether there is more to do.
    func compact() -> Bool {
        guard compaction.isDue(database) else { return false }
        compaction.isRunning = true
        let end = monotonicNanoseconds() + Self.slice
        do throws(SqliteError) {
            var isLeft = true
            try patiently { () throws(SqliteError) in
                try database.transaction { () throws(SqliteError) in
                    repeat { isLeft = try step() } while isLeft && monotonicNanoseconds() < end
                }
            }
            boundLog()
            if isLeft { return true }
            compaction.end()
            // What lives may be more than the threshold: then it is not gone through again and again.
            compaction.threshold = max(options.compactionThreshold, 2 * (try database.size()))
        } catch {
            compaction.end()
            refuse(JournalError(error, path: path))
        }
        return false
    }

    /// Removes a few rows, or gives back a few pages.
    ///
    /// - Returns: false where nothing is left.
    private func step() throws(SqliteError) -> Bool {
        if compaction.hasVictims {
            if let session = try victim("SELECT session, 0 FROM closed LIMIT 1")?.session {
                try removeSession(session)
                return true
            }
            if let (session, number) = try victim("SELECT session, number FROM forgotten LIMIT 1") {
                try removeCommand(session, number)
                return true
            }
            compaction.hasVictims = false
        }
        guard try database.connection.integer("PRAGMA freelist_count") > 0 else { return false }
        try database.connection.execute("PRAGMA incremental_vacuum(16)")
        return true
    }

    private func victim(_ sql: String) throws(SqliteError) -> (session: Int64, number: Int64)? {
        var found: (Int64, Int64)?
        try compaction.statement(sql, database.connection).statement.rows { row in
            found = (row.integer(0), row.integer(1))
            return false
        }
        return found
    }

    private func removeSession(_ session: Int64) throws(SqliteError) {
        for (sql, limit) in Removal.ofSession where try remove(sql, session) >= limit { return }
    }

    private func removeCommand(_ session: Int64, _ number: Int64) throws(SqliteError) {
        for (sql, limit) in Removal.ofCommand where try remove(sql, session, number) >= limit { return }
    }

    private func remove(_ sql: String, _ keys: Int64...) throws(SqliteError) -> Int {
        try compaction.statement(sql, database.connection).statement.rows(keys.map(SqliteValue.integer)) { _ in true }
        return database.connection.changes
    }
}

/// Statements that remove some of what belongs to a session or a command, and how many rows at most. Where it was that
/// many, there may be more.
private enum Removal {
    /// Pieces of output are of 64 KB.
    private static let tables = [
        ("output", "number, stream, start", 8), ("gap", "number, stream", 64), ("ending", "number", 32),
        ("command", "number", 64), ("forgotten", "number", 64),
    ]

    static let ofCommand = tables.map { some(of: $0, "session = ?1 AND number = ?2") }

    /// The session itself is last, so that no serial is given again while something of it is there.
    static let ofSession =
        (tables + [("event", "ordinal", 64)]).map { some(of: $0, "session = ?1") } + [
            ("DELETE FROM session WHERE serial = ?1", 2), ("DELETE FROM closed WHERE session = ?1", 2),
        ]

    private static func some(of table: (name: String, key: String, limit: Int), _ condition: String) -> (String, Int) {
        let rows = "FROM \(table.name) WHERE \(condition)"
        return ("DELETE \(rows) AND (\(table.key)) IN (SELECT \(table.key) \(rows) LIMIT \(table.limit))", table.limit)
    }
}
