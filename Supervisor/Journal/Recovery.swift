// What a start finds: sessions whose supervisor is dead become interrupted ones.
internal import Linux

extension Journal {
    /// Records every session that is open as interrupted, and gives up the oldest interrupted ones beyond the bound.
    /// Where the disk is full that is held in memory, and new work is refused: what is there can be read all the same.
    func recover() {
        let now = wallMilliseconds()
        var rows: [Row] = []
        for (key, state) in database.sessions.sorted(by: { $0.value.serial < $1.value.serial }) where state.isOpen {
            rows.append(
                .event(session: state.serial, ordinal: state.nextOrdinal, kind: .interrupted, at: now, text: ""))
            database.sessions[key]?.nextOrdinal += 1
            database.sessions[key]?.interruptedAt = now
            opening.interrupted.append(String(decoding: key, as: UTF8.self))
        }
        let oldest = database.sessions.sorted { $0.value.serial < $1.value.serial }
        for (key, state) in oldest.dropLast(max(0, options.interruptedLimit)) {
            rows.append(.closed(session: state.serial, at: now))
            database.sessions[key] = nil
            opening.givenUp.append(String(decoding: key, as: UTF8.self))
        }
        // More rows than may be held are more sessions than may be kept, by far.
        _ = try? commit(rows, isNew: false)
    }
}
