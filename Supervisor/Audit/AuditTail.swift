// The end of a log, and what is added to it, for whoever looks on. It checks nothing: that is for verification.
internal import Linux

/// Follows a log over its rotations. The writer is not asked, and not disturbed.
public struct AuditTail: ~Copyable {
    /// The log's directory.
    public let directory: String
    private let folder: Descriptor
    private var reader: LineReader?

    /// - Throws: ``AuditError`` where there is no such directory.
    public init(_ directory: String) throws(AuditError) {
        self.directory = directory
        do throws(Errno) { folder = try Linux.open(directory, [.readOnly, .directory]) } catch {
            throw error == .noEntry ? .missing(path: directory) : .failed(step: "open", path: directory, error)
        }
    }

    /// The last lines, oldest first, each without its newline. ``next()`` goes on behind them.
    public mutating func last(_ count: Int) throws(AuditError) -> [[UInt8]] {
        try refusing { (tail: inout AuditTail) throws(Errno) in
            var lines: [[UInt8]] = []
            tail.reader = nil
            // What grows is opened first: what gets a number meanwhile is then found by it.
            var seen: FileIdentity?
            if let file = try tail.open(AuditFiles.current) {
                seen = try status(of: file.raw).identity
                let end: UInt64
                (lines, end) = try lastLines(of: file.raw, count)
                tail.reader = LineReader(file, from: end)
            }
            for number in try AuditFiles.rotated(in: tail.folder.raw).reversed() where lines.count < count {
                guard let file = try tail.open(AuditFiles.rotated(number)),
                    try status(of: file.raw).identity != seen
                else { continue }
                lines = try lastLines(of: file.raw, count - lines.count).lines + lines
            }
            return lines
        }
    }

    /// The lines that were added since the last look, in order, without waiting. At most some thousand at a time: empty means
    /// that there are no more.
    public mutating func next() throws(AuditError) -> [[UInt8]] {
        try refusing { (tail: inout AuditTail) throws(Errno) in
            var lines: [[UInt8]] = []
            var size = 0
            while size < 1 << 20 {
                if tail.reader == nil {
                    guard let file = try tail.open(AuditFiles.current) else { return lines }
                    tail.reader = LineReader(file)
                }
                guard var reader = tail.reader.take() else { return lines }
                // Looked at before the last read: what has a successor grows no more.
                let later = try tail.successor(of: reader.file.raw)
                var next = try reader.next()
                while case .line(let line) = next, size < 1 << 20 {
                    lines.append(Array(line))
                    size += line.count + 64
                    if size < 1 << 20 { next = try reader.next() }
                }
                if case .tooLong = next { throw .badMessage }
                guard case .end = next, let later else {
                    tail.reader = consume reader
                    if case .end = next { return lines }
                    continue
                }
                guard let file = try tail.open(later) else { return lines }
                tail.reader = LineReader(file)
            }
            return lines
        }
    }

    /// The name of the file that comes after an open one; nil where that still grows, or was removed.
    private borrowing func successor(of file: Int32) throws(Errno) -> String? {
        let own = try status(of: file).identity
        // Whatever gets a number between the two looks is found by it, or has none yet.
        if try presentStatus(AuditFiles.current, in: folder.raw)?.identity == own { return nil }
        let rotated = try AuditFiles.rotated(in: folder.raw)
        for (index, number) in rotated.enumerated()
        where try presentStatus(AuditFiles.rotated(number), in: folder.raw)?.identity == own {
            if index + 1 < rotated.count { return AuditFiles.rotated(rotated[index + 1]) }
            return try presentStatus(AuditFiles.current, in: folder.raw) == nil ? nil : AuditFiles.current
        }
        // Pruned while it was read: the oldest that is left is the next.
        return rotated.first.map(AuditFiles.rotated) ?? AuditFiles.current
    }

    private borrowing func open(_ name: String) throws(Errno) -> Descriptor? {
        do throws(Errno) { return try AuditFiles.open(name, .readOnly, in: folder.raw) } catch {
            guard error == .noEntry else { throw error }
            return nil
        }
    }

    private mutating func refusing<Result>(
        _ body: (inout AuditTail) throws(Errno) -> Result
    ) throws(AuditError) -> Result {
        do throws(Errno) { return try body(&self) } catch {
            throw .failed(step: "read", path: directory, error)
        }
    }
}

/// The directories of a user's logs, one for each slot of a supervisor, in order of their numbers.
///
/// - Parameter state: Cordon's state directory.
/// - Throws: ``AuditError/missing(path:)`` where there is none.
public func auditDirectories(_ state: String) throws(AuditError) -> [String] {
    let above = auditSlots(state)
    do throws(Errno) {
        let directory = try open(above, [.readOnly, .directory])
        let numbers = try entries(of: directory.raw).compactMap { decimal($0.name[...]) }.sorted()
        return numbers.map { auditDirectory(state, slot: $0) }
    } catch {
        throw error == .noEntry ? .missing(path: above) : .failed(step: "read", path: above, error)
    }
}

/// The directory of the log of one slot.
public func auditDirectory(_ state: String, slot: UInt64) -> String { auditSlots(state) + "/\(slot)" }

/// The directory that the slots are in.
public func auditSlots(_ state: String) -> String { state + "/supervisors" }
