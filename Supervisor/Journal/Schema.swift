// The form of the database: its tables, its settings, and how one is begun, recognised and examined.

/// The form that this program writes and reads.
enum Schema {
    /// In `user_version`. A change of any table is another version.
    static let version: Int64 = 1
    /// Pages are small, since every commit writes whole ones to the log.
    static let pageSize = 4096
    /// A frame of the log is a page and a header (https://sqlite.org/fileformat.html#the_write_ahead_log).
    static let frameSize = pageSize + 24

    /// What belongs to a session lies together, in the order in which it is read, so that a record is one page of one
    /// tree and a session goes as a range. Rows are only added, until compaction removes them.
    private static let tables = """
        CREATE TABLE session (
            serial INTEGER PRIMARY KEY, id TEXT NOT NULL, name TEXT NOT NULL, user INTEGER NOT NULL,
            workspace TEXT NOT NULL, policy TEXT NOT NULL, image TEXT NOT NULL, limits TEXT NOT NULL,
            created INTEGER NOT NULL) STRICT;
        CREATE TABLE closed (session INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT;
        CREATE TABLE event (
            session INTEGER, ordinal INTEGER, kind INTEGER NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL,
            PRIMARY KEY (session, ordinal)) STRICT, WITHOUT ROWID;
        CREATE TABLE command (
            session INTEGER, number INTEGER, life INTEGER NOT NULL, arguments BLOB NOT NULL, directory TEXT NOT NULL,
            background INTEGER NOT NULL, started INTEGER NOT NULL,
            PRIMARY KEY (session, number)) STRICT, WITHOUT ROWID;
        CREATE TABLE ending (
            session INTEGER, number INTEGER, at INTEGER NOT NULL, report TEXT NOT NULL,
            PRIMARY KEY (session, number)) STRICT, WITHOUT ROWID;
        CREATE TABLE forgotten (
            session INTEGER, number INTEGER, PRIMARY KEY (session, number)) STRICT, WITHOUT ROWID;
        CREATE TABLE output (
            session INTEGER, number INTEGER, stream INTEGER, start INTEGER, bytes BLOB NOT NULL,
            PRIMARY KEY (session, number, stream, start)) STRICT, WITHOUT ROWID;
        CREATE TABLE gap (
            session INTEGER, number INTEGER, stream INTEGER, start INTEGER NOT NULL, upTo INTEGER NOT NULL,
            PRIMARY KEY (session, number, stream)) STRICT, WITHOUT ROWID;
        """

    /// Settings of a connection; none of them is kept in the file.
    ///
    /// - `trusted_schema`, `cell_size_check`: a damaged or forged file does no more than give an error.
    /// - `secure_delete`: Debian's SQLite overwrites what is removed, which costs as much as writing it. Only the owner
    ///   can read the file.
    /// - `temp_store`: nothing ever lies in /tmp.
    static let settings = """
        PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA synchronous=NORMAL;
        PRAGMA wal_autocheckpoint=0; PRAGMA secure_delete=OFF; PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=OFF;
        PRAGMA cache_size=-256;
        """

    /// Opens the database, begins it where it is empty, and looks at every page of it.
    ///
    /// - Throws: of kind `corrupt` where it has to be moved aside.
    static func open(_ path: String) throws(SqliteError) -> SqliteConnection {
        let connection = try SqliteConnection(path: path)
        try connection.execute(settings)
        if try connection.integer("SELECT count(*) FROM sqlite_schema") == 0,
            try connection.integer("PRAGMA user_version") == 0
        {
            try begin(connection)
        }
        let found = try connection.integer("PRAGMA user_version")
        guard found == version else {
            throw SqliteError(code: SqliteError.otherVersion, message: "version \(found), not \(version)")
        }
        let answer = try connection.text("PRAGMA quick_check(1)")
        guard answer == "ok" else { throw SqliteError(code: SqliteError.corrupt, message: answer) }
        try connection.execute("PRAGMA journal_size_limit=\(1024 * frameSize)")
        connection.countFrames()
        return connection
    }

    private static func begin(_ connection: borrowing SqliteConnection) throws(SqliteError) {
        // The first two say how the first page is written, so they come before it.
        try connection.execute("PRAGMA page_size=\(pageSize); PRAGMA auto_vacuum=INCREMENTAL")
        guard try connection.text("PRAGMA journal_mode=WAL") == "wal" else {
            throw SqliteError(code: SqliteError.inputOutput, message: "its file system has no shared memory for a log")
        }
        try connection.execute("BEGIN IMMEDIATE; \(tables) PRAGMA user_version=\(version); COMMIT")
    }
}
