// Reading the journal back: sessions, commands, and parts of their output.

extension Journal {
    /// Sessions that are open or interrupted, oldest first.
    public func sessions() throws(JournalError) -> [JournalSession] {
        try reading { () throws(SqliteError) in
            let states = database.sessions.values.sorted { $0.serial < $1.serial }
            let entries = try database.connection.prepare("SELECT * FROM session WHERE serial = ?")
            let events = try database.connection.prepare(
                "SELECT kind, at, text FROM event WHERE session = ? ORDER BY ordinal")
            var result: [JournalSession] = []
            for state in states {
                var found: [JournalSession.Event] = []
                try events.rows([.integer(state.serial)]) { row in
                    let at = row.number(1)
                    switch EventKind(rawValue: row.integer(0)) {
                    case .interrupted: found.append(.interrupted(at: at))
                    case .reopened: found.append(.reopened(at: at))
                    case .note: found.append(.note(at: at, row.text(2)))
                    case nil: break
                    }
                    return true
                }
                try entries.rows([.integer(state.serial)]) { row in
                    let entry = SessionEntry(
                        id: row.text(1), name: row.text(2), user: UInt32(clamping: row.integer(3)),
                        workspace: row.text(4), policy: row.text(5), image: row.text(6), limits: row.text(7),
                        created: row.number(8))
                    let life = state.interruptedAt.map { JournalSession.State.interrupted(at: $0) } ?? .open
                    result.append(JournalSession(entry: entry, state: life, events: found))
                    return false
                }
            }
            return result
        }
    }

    /// A session's commands that were not forgotten, in the order of their numbers.
    ///
    /// - Throws: `invalid` where there is no such session.
    public func commands(of id: String) throws(JournalError) -> [JournalCommand] {
        let state = try known(id)
        return try reading { () throws(SqliteError) in
            let extents = try database.connection.prepare(
                """
                SELECT stream, sum(length(bytes)), max(start + length(bytes)), NULL FROM output
                    WHERE session = ?1 AND number = ?2 GROUP BY stream
                UNION ALL SELECT stream, 0, start, upTo FROM gap WHERE session = ?1 AND number = ?2
                """)
            var result: [JournalCommand] = []
            var failure: SqliteError?
            try database.connection.prepare(
                """
                SELECT number, life, arguments, directory, background, started, at, report FROM command
                    LEFT JOIN ending USING (session, number)
                    WHERE session = ?1 AND number NOT IN (SELECT number FROM forgotten WHERE session = ?1)
                    ORDER BY number
                """
            ).rows([.integer(state.serial)]) { row in
                var parts: [JournalStream: JournalExtent] = [:]
                let number = row.number(0)
                do throws(SqliteError) {
                    try extents.rows([.integer(state.serial), .number(number)]) { extent in
                        guard let stream = JournalStream(rawValue: UInt8(clamping: extent.integer(0))) else {
                            return true
                        }
                        parts[stream, default: JournalExtent()].add(extent)
                        return true
                    }
                } catch {
                    failure = error
                    return false
                }
                let entry = CommandEntry(
                    number: number, arguments: CommandEntry.splitArguments(row.bytes(2)), directory: row.text(3),
                    isBackground: row.integer(4) != 0, started: row.number(5))
                result.append(
                    JournalCommand(
                        entry: entry, state: self.state(of: row, in: state),
                        output: parts[.output] ?? JournalExtent(), errors: parts[.errors] ?? JournalExtent()))
                return true
            }
            if let failure { throw failure }
            return result
        }
    }

    /// A part of a stream, at most so many bytes: from the first byte on that is there, up to the next that is not.
    /// What is held in memory for want of space is not among it.
    ///
    /// - Throws: `invalid` where there is no such command.
    public func output(
        session id: String, command number: UInt64, stream: JournalStream, from offset: UInt64, limit: Int
    ) throws(JournalError) -> JournalOutput {
        let state = try known(id)
        guard try hasCommand(state.serial, number) else { throw invalid("there is no command \(number) in \(id)") }
        return try reading { () throws(SqliteError) in
            var bytes: [UInt8] = []
            var start: UInt64?
            try database.connection.prepare(
                """
                SELECT start, bytes FROM output WHERE session = ?1 AND number = ?2 AND stream = ?3
                    AND start >= coalesce((SELECT max(start) FROM output
                        WHERE session = ?1 AND number = ?2 AND stream = ?3 AND start <= ?4), 0)
                    ORDER BY start
                """
            ).rows([.integer(state.serial), .number(number), .integer(Int64(stream.rawValue)), .number(offset)]) {
                row in
                let place = start.map { $0 + UInt64(bytes.count) } ?? max(offset, row.number(0))
                let piece = row.bytes(1)
                guard row.number(0) <= place else { return false }
                let known = Int(clamping: place - row.number(0))
                guard known < piece.count else { return true }
                bytes += piece[known...].prefix(limit - bytes.count)
                start = start ?? place
                return bytes.count < limit
            }
            return JournalOutput(bytes: bytes, start: start ?? offset)
        }
    }

    func hasCommand(_ session: Int64, _ number: UInt64) throws(JournalError) -> Bool {
        try reading { () throws(SqliteError) in
            var found = false
            try database.connection.prepare(
                """
                SELECT 1 FROM command WHERE session = ?1 AND number = ?2
                    AND NOT EXISTS (SELECT 1 FROM forgotten WHERE session = ?1 AND number = ?2)
                """
            ).rows([.integer(session), .number(number)]) { _ in
                found = true
                return false
            }
            return found
        }
    }

    func readCoverage(_ key: StreamKey) throws(JournalError) -> Coverage {
        try reading { () throws(SqliteError) in
            var coverage = Coverage(limit: options.outputLimit)
            let values: [SqliteValue] = [
                .integer(key.session), .number(key.number), .integer(Int64(key.stream.rawValue)),
            ]
            try database.connection.prepare(
                """
                SELECT start, start + length(bytes) FROM output WHERE session = ?1 AND number = ?2 AND stream = ?3
                UNION ALL SELECT start, upTo FROM gap WHERE session = ?1 AND number = ?2 AND stream = ?3 ORDER BY 1
                """
            ).rows(values) { row in
                if row.number(0) < row.number(1) { _ = coverage.add(row.number(0)..<row.number(1)) }
                return true
            }
            try database.connection.prepare("SELECT upTo FROM gap WHERE session = ? AND number = ? AND stream = ?")
                .rows(values) { row in
                    coverage.droppedUpTo = max(coverage.droppedUpTo, row.number(0))
                    return false
                }
            return coverage
        }
    }

    private func state(of row: borrowing SqliteStatement, in session: SessionState) -> JournalCommand.State {
        if !row.isNull(6) { return .ended(at: row.number(6), report: row.text(7)) }
        guard session.isOpen, row.integer(1) == session.life else { return .interrupted }
        for case .ending(session.serial, row.number(0), let at, let report) in held {
            return .ended(at: at, report: report)
        }
        return .running
    }

    private func reading<Result>(_ body: () throws(SqliteError) -> Result) throws(JournalError) -> Result {
        do throws(SqliteError) { return try body() } catch { throw JournalError(error, path: path) }
    }
}

extension SqliteStatement {
    borrowing func number(_ column: Int32) -> UInt64 { UInt64(clamping: integer(column)) }
}

extension JournalExtent {
    fileprivate mutating func add(_ row: borrowing SqliteStatement) {
        if row.isNull(3) {
            kept += row.number(1)
            end = max(end, row.number(2))
        } else if row.number(2) < row.number(3) {
            dropped = row.number(2)..<row.number(3)
        }
    }
}
