// The rows that records become, and the prepared statements that write them.

/// A change of one table, with everything that it needs: it can be written now or later.
enum Row {
    case session(serial: Int64, SessionEntry)
    case closed(session: Int64, at: UInt64)
    case event(session: Int64, ordinal: Int64, kind: EventKind, at: UInt64, text: String)
    case command(session: Int64, life: Int64, CommandEntry)
    case ending(session: Int64, number: UInt64, at: UInt64, report: String)
    case forgotten(session: Int64, number: UInt64)
    case output(StreamKey, start: UInt64, [UInt8])
    /// Of the bytes from the end of the head on, those before a place are dropped.
    case gap(StreamKey, start: UInt64, upTo: UInt64)

    var isOneStatement: Bool { if case .gap = self { false } else { true } }

    /// What it costs to hold it in memory, in bytes.
    var weight: Int {
        switch self {
        case .output(_, _, let bytes): 128 + bytes.count
        case .ending(_, _, _, let report): 128 + report.utf8.count
        case .event(_, _, _, _, let text): 128 + text.utf8.count
        default: 128
        }
    }
}

/// A stream of a command of a session.
struct StreamKey: Hashable {
    let session: Int64
    let number: UInt64
    let stream: JournalStream
}

/// The kinds of rows in `event`.
enum EventKind: Int64 {
    case interrupted = 1, reopened, note
}

/// Statements that write rows.
struct RowWriter: ~Copyable {
    private let session, closed, event, command, ending, forgotten, output, dropOutput, gap: SqliteStatement

    /// Rows that may have had to wait ignore that they are there already: a repetition must not hold up what comes
    /// behind.
    init(_ connection: borrowing SqliteConnection) throws(SqliteError) {
        let session = try connection.prepare("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        let closed = try connection.prepare("INSERT OR IGNORE INTO closed VALUES (?, ?)")
        let event = try connection.prepare("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?)")
        let command = try connection.prepare("INSERT INTO command VALUES (?, ?, ?, ?, ?, ?, ?)")
        let ending = try connection.prepare("INSERT OR IGNORE INTO ending VALUES (?, ?, ?, ?)")
        let forgotten = try connection.prepare("INSERT OR IGNORE INTO forgotten VALUES (?, ?)")
        let output = try connection.prepare("INSERT OR IGNORE INTO output VALUES (?, ?, ?, ?, ?)")
        let dropOutput = try connection.prepare(
            """
            DELETE FROM output WHERE session = ?1 AND number = ?2 AND stream = ?3 AND start >= ?4 AND start < ?5
                AND start + length(bytes) <= ?5
            """)
        let gap = try connection.prepare(
            """
            INSERT OR REPLACE INTO gap VALUES (?1, ?2, ?3, ?4, coalesce(
                (SELECT min(start) FROM output WHERE session = ?1 AND number = ?2 AND stream = ?3 AND start >= ?4), ?5))
            """)
        self.session = session
        self.closed = closed
        self.event = event
        self.command = command
        self.ending = ending
        self.forgotten = forgotten
        self.output = output
        self.dropOutput = dropOutput
        self.gap = gap
    }

    borrowing func write(_ row: Row) throws(SqliteError) {
        switch row {
        case .session(let serial, let entry):
            try session.run(
                .integer(serial), .text(entry.id), .text(entry.name), .integer(Int64(entry.user)),
                .text(entry.workspace), .text(entry.policy), .text(entry.image), .text(entry.limits),
                .number(entry.created))
        case .closed(let session, let at): try closed.run(.integer(session), .number(at))
        case .event(let session, let ordinal, let kind, let at, let text):
            try event.run(.integer(session), .integer(ordinal), .integer(kind.rawValue), .number(at), .text(text))
        case .command(let session, let life, let entry):
            try command.run(
                .integer(session), .number(entry.number), .integer(life), .bytes(entry.joinedArguments[...]),
                .text(entry.directory), .integer(entry.isBackground ? 1 : 0), .number(entry.started))
        case .ending(let session, let number, let at, let report):
            try ending.run(.integer(session), .number(number), .number(at), .text(report))
        case .forgotten(let session, let number): try forgotten.run(.integer(session), .number(number))
        case .output(let key, let start, let bytes):
            try output.run(
                .integer(key.session), .number(key.number), .integer(Int64(key.stream.rawValue)), .number(start),
                .bytes(bytes[...]))
        case .gap(let key, let start, let upTo):
            let stream = SqliteValue.integer(Int64(key.stream.rawValue))
            try dropOutput.run(.integer(key.session), .number(key.number), stream, .number(start), .number(upTo))
            try gap.run(.integer(key.session), .number(key.number), stream, .number(start), .number(upTo))
        }
    }
}

extension SqliteValue {
    /// SQLite's integers have a sign; greater numbers are refused before.
    static func number(_ value: UInt64) -> SqliteValue { .integer(Int64(clamping: value)) }
}

extension CommandEntry {
    /// Each argument ends with NUL.
    var joinedArguments: [UInt8] {
        var bytes: [UInt8] = []
        for argument in arguments {
            bytes.append(contentsOf: argument.utf8)
            bytes.append(0)
        }
        return bytes
    }

    static func splitArguments(_ bytes: [UInt8]) -> [String] {
        bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast().map {
            String(decoding: $0, as: UTF8.self)
        }
    }
}
