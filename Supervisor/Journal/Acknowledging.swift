// Output: in the journal before a client is told that it has it, once, and not without bound.
extension Journal {
    /// Records bytes of a stream of an open session's command that a client is about to get. What the journal has
    /// already is not written again, so ranges may be acknowledged in any order and repeatedly. They should touch each
    /// other: a stream may have 1,024 separate parts.
    ///
    /// Of each stream `outputLimit` bytes are kept, half from its start and half before the last byte acknowledged;
    /// older ones in the middle are dropped, which is recorded.
    ///
    /// - Throws: `invalid` where there is no such command or its parts are too many; else why nothing can be written,
    ///   where as much is held as may be.
    @discardableResult
    public func acknowledge(
        session id: String, command number: UInt64, stream: JournalStream, from offset: UInt64, _ bytes: [UInt8]
    ) throws(JournalError) -> Durability {
        let state = try known(id)
        guard state.isOpen else { throw invalid("session \(id) is interrupted") }
        let (end, overflows) = offset.addingReportingOverflow(UInt64(bytes.count))
        guard !overflows, end <= UInt64(Int64.max) else { throw invalid("a place in a stream: \(offset)") }
        let key = StreamKey(session: state.serial, number: number, stream: stream)
        var coverage: Coverage
        if let known = coverages[key] {
            coverage = known
        } else {
            guard try hasCommand(state.serial, number) else { throw invalid("there is no command \(number) in \(id)") }
            coverage = try readCoverage(key)
        }
        guard !coverage.isScattered else { throw invalid("more than 1,024 separate parts of a stream") }
        var rows = coverage.add(offset..<end).map { piece in
            Row.output(
                key, start: piece.lowerBound,
                Array(bytes[Int(piece.lowerBound - offset)..<Int(piece.upperBound - offset)]))
        }
        if let place = coverage.drop() { rows.append(.gap(key, start: coverage.headLimit, upTo: place)) }
        let result = try commit(rows, isNew: false)
        // Most streams are read to their end and never again. What is not remembered is read from the database, so none
        // is let go of that the database does not have.
        if coverages.count >= 128, held.isEmpty { coverages.removeAll() }
        coverages[key] = coverage
        return result
    }
}
