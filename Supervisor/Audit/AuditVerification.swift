// Whether a log is as it was written: every line follows the one before it, and the head is its end. It changes nothing, and
// needs no lock: a log may grow meanwhile.
internal import Linux
internal import Wire

/// What became of a log.
public enum AuditVerdict: Sendable, Hashable {
    /// It is as it was written.
    case intact(Summary)
    /// It is not.
    case broken(AuditFault)

    /// What an intact log holds.
    public struct Summary: Sendable, Hashable {
        /// The number of its first record: not 1 where old files were pruned.
        public var first: UInt64 = 1
        /// The number of its last record.
        public var last: UInt64 = 0
        /// How many files it has.
        public var files = 0
        /// Whether the last record is one that the head does not know of. A process that was killed leaves that, and so could
        /// somebody who adds a line; the next one to open the log adopts it.
        public var isAheadOfHead = false
        /// Bytes of a line without an end, behind the last record: a process was killed, or is writing.
        public var tornBytes = 0
    }
}

/// Reads a whole log, in bounded memory, and tells whether it is as it was written.
///
/// - Parameters:
///   - directory: the log's own.
///   - heads: the directory of its head; `head` in the log's own, unless another is given.
/// - Throws: ``AuditError`` where there is no log, or it cannot be read.
public func verifyAudit(_ directory: String, heads: String? = nil) throws(AuditError) -> AuditVerdict {
    let heads = heads ?? directory + "/" + AuditFiles.heads
    do throws(Errno) {
        let folder = try open(directory, [.readOnly, .directory])
        var oldest = try AuditFiles.rotated(in: folder.raw).first
        while true {
            var verification = Verification(folder: folder.raw, heads: heads)
            do throws(Verification.Stop) { return .intact(try verification.run()) } catch {
                switch error {
                case .fault(let fault):
                    // The oldest file may have been pruned after it was listed; files are never so fast that this goes on.
                    let now = try AuditFiles.rotated(in: folder.raw).first
                    if fault.way == .removed, now != oldest {
                        oldest = now
                        continue
                    }
                    return .broken(fault)
                case .errno(let errno): throw errno
                case .missing: throw Errno.noEntry
                }
            }
        }
    } catch {
        throw error == .noEntry ? .missing(path: directory) : .failed(step: "read", path: directory, error)
    }
}

private struct Verification {
    enum Stop: Error {
        case fault(AuditFault)
        case errno(Errno)
        case missing
    }

    let folder: Int32
    let heads: String
    private var summary = AuditVerdict.Summary()
    /// The last line that was found good, and where it is.
    private var hash = AuditLine.origin
    private var previous: [UInt8] = []
    private var name = AuditFiles.current
    private var line: UInt64 = 0
    /// The head as it was before the log was read.
    private var head: AuditHead?
    /// What has to be the end of a file before the first one here, and what a record said of that.
    private var start: (file: UInt64, last: UInt64, hash: [UInt8])?
    private var isStartRecorded = false

    init(folder: Int32, heads: String) {
        self.folder = folder
        self.heads = heads
    }

    mutating func run() throws(Stop) -> AuditVerdict.Summary {
        let rotated = try reading { () throws(Errno) in try AuditFiles.rotated(in: folder) }
        let current = try reading { () throws(Errno) in try presentStatus(AuditFiles.current, in: folder) }
        let head = try readHead()
        guard let head else {
            guard !rotated.isEmpty || current != nil else { throw .missing }
            throw fault(.headMissing, AuditFiles.head, nil, "the log has none")
        }
        self.head = head
        guard !rotated.isEmpty || current != nil || head.count == 0 else {
            throw fault(.removed, AuditFiles.current, nil, "no file is left of \(head.count) records")
        }
        var number = rotated.first ?? head.file
        while let next = try file(number, last: head.file) {
            var reader = LineReader(next)
            try read(&reader, number)
            // It may have got its number and a successor meanwhile, and some lines before that.
            guard try isRotated(reader.file.raw, number) else { break }
            try read(&reader, number)
            if summary.tornBytes > 0 {
                throw fault(.changed, name, line + 1, "a line without an end, in a file that grows no more")
            }
            number += 1
        }
        return try conclude(head)
    }

    // MARK: - Files

    /// The file of this number; nil where the log ends before it.
    private mutating func file(_ number: UInt64, last: UInt64) throws(Stop) -> Descriptor? {
        // Between the two looks it may have got its number.
        for name in [AuditFiles.rotated(number), AuditFiles.current, AuditFiles.rotated(number)] {
            let found = try reading { () throws(Errno) -> Descriptor? in
                do throws(Errno) { return try AuditFiles.open(name, .readOnly, in: folder) } catch {
                    guard error == .noEntry else { throw error }
                    return nil
                }
            }
            guard let found else { continue }
            if name == AuditFiles.current, let own = try ownNumber(found.raw), own > number { continue }
            self.name = name
            line = 0
            summary.files += 1
            return found
        }
        guard number > last else {
            throw fault(.removed, AuditFiles.rotated(number), nil, "the file is not there")
        }
        return nil
    }

    /// The number that a file's first record has for it; nil where it has none yet.
    private func ownNumber(_ file: Int32) throws(Stop) -> UInt64? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = try reading { () throws(Errno) in try Linux.read(file, at: 0, into: &bytes) }
        guard let end = bytes[..<count].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        return AuditLine.object(bytes[..<end])?["file"]?.natural
    }

    private func isRotated(_ file: Int32, _ number: UInt64) throws(Stop) -> Bool {
        try reading { () throws(Errno) in
            let own = try status(of: file).identity
            return try presentStatus(AuditFiles.rotated(number), in: folder)?.identity == own
        }
    }

    private func readHead() throws(Stop) -> AuditHead? {
        do throws(Errno) {
            let directory = try open(heads, [.readOnly, .directory])
            let file = try AuditFiles.open(AuditFiles.head, .readOnly, in: directory.raw)
            let bytes = try readWhole(file.raw, limit: 4096)
            if let head = AuditHead(bytes) { return head }
        } catch {
            if error == .noEntry { return nil }
            guard error == .tooBig else { throw .errno(error) }
        }
        throw fault(.headChanged, AuditFiles.head, nil, "it is not what was written")
    }

    // MARK: - Lines

    private mutating func read(_ reader: inout LineReader, _ number: UInt64) throws(Stop) {
        while true {
            let next: LineReader.Next
            do throws(Errno) { next = try reader.next() } catch { throw .errno(error) }
            switch next {
            case .end(let partial):
                summary.tornBytes = partial
                return
            case .tooLong: throw fault(.changed, name, line + 1, "longer than any line of a log")
            case .line(let bytes):
                line += 1
                try take(bytes, number, &reader)
                if let head, summary.last == head.count { try compare(head, number, reader.offset) }
            }
        }
    }

    private mutating func take(_ bytes: ArraySlice<UInt8>, _ number: UInt64, _ reader: inout LineReader) throws(Stop) {
        guard let reading = AuditLine.read(bytes) else {
            throw fault(.changed, name, line, "it is not what was written")
        }
        if line == 1 { try begin(bytes, reading, number) }
        if reading.number != summary.last + 1 {
            let isBack = reading.number <= summary.last
            let isElsewhere = isBack ? true : try isAhead(&reader, number)
            throw fault(
                isElsewhere ? .reordered : .removed, name, line,
                "record \(reading.number) stands where \(summary.last + 1) should be")
        }
        guard reading.previous.elementsEqual(hash) else {
            throw fault(.changed, name, line, "it does not follow the line before it")
        }
        if reading.isOwn { try note(bytes, reading) }
        summary.last = reading.number
        previous = hash
        hash = Array(reading.hash)
    }

    /// The first line of a file says whose it is; the first of all where the log begins.
    private mutating func begin(
        _ bytes: ArraySlice<UInt8>, _ reading: AuditLine.Reading, _ number: UInt64
    ) throws(Stop) {
        guard reading.isOwn, let object = AuditLine.object(bytes), let id = object["log"]?.text,
            let own = object["file"]?.natural
        else { throw fault(.removed, name, 1, "it is not the first line of a file") }
        guard let head, id.utf8.elementsEqual(head.log) else {
            throw fault(.otherLog, name, 1, "the head belongs to another log")
        }
        guard own == number else {
            throw fault(
                own > number ? .removed : .reordered, name, 1, "it is file \(own) and stands where \(number) should be")
        }
        guard summary.files == 1, number > 1 else { return }
        // Older files were pruned, or somebody removed them: which of these, a later record tells.
        guard reading.number > 1 else { throw fault(.changed, name, 1, "a log begins in its midst") }
        start = (number - 1, reading.number - 1, Array(reading.previous))
        summary.first = reading.number
        summary.last = reading.number - 1
        hash = Array(reading.previous)
    }

    private mutating func note(_ bytes: ArraySlice<UInt8>, _ reading: AuditLine.Reading) throws(Stop) {
        guard let start, reading.event.elementsEqual("audit.pruned".utf8), let object = AuditLine.object(bytes),
            object["file"]?.natural == start.file
        else { return }
        isStartRecorded =
            object["last"]?.natural == start.last
            && object["last_hash"]?.text.map { $0.utf8.elementsEqual(start.hash) } == true
    }

    /// Whether the record that is missed stands further on.
    private func isAhead(_ reader: inout LineReader, _ number: UInt64) throws(Stop) -> Bool {
        let missed = summary.last + 1
        func isThere(_ reader: inout LineReader) throws(Stop) -> Bool {
            try reading { () throws(Errno) in
                while case .line(let bytes) = try reader.next() {
                    if let other = AuditLine.read(bytes), other.number == missed { return true }
                }
                return false
            }
        }
        if try isThere(&reader) { return true }
        let later = try reading { () throws(Errno) in try AuditFiles.rotated(in: folder).filter { $0 > number } }
        for name in later.map(AuditFiles.rotated) + [AuditFiles.current] {
            guard let file = try? AuditFiles.open(name, .readOnly, in: folder) else { continue }
            var other = LineReader(file)
            if try isThere(&other) { return true }
        }
        return false
    }

    // MARK: - The end

    /// Whether the record that a head tells of is where it says.
    private func compare(_ head: AuditHead, _ number: UInt64, _ offset: UInt64) throws(Stop) {
        guard head.hash == hash, head.file == number, head.bytes == offset else {
            throw fault(.changed, name, line, "the head tells of another record \(head.count)")
        }
    }

    private mutating func conclude(_ head: AuditHead) throws(Stop) -> AuditVerdict.Summary {
        guard summary.last >= head.count else {
            // Where the bytes are all there, the newline of the last line is not.
            let missing = head.count - summary.last
            if missing == 1, summary.tornBytes > 0, let size = try? status(at: name, in: folder).size,
                size >= head.bytes
            {
                throw fault(.changed, name, line + 1, "it is not what was written")
            }
            throw fault(.cutTail, name, line, "the last \(missing) records are missing behind it")
        }
        if let start, !isStartRecorded {
            throw fault(.removed, AuditFiles.rotated(start.file), nil, "the file is not there, and was not pruned")
        }
        // The log may have grown while it was read.
        guard let now = try readHead(), now.log == head.log, now.count >= head.count else {
            throw fault(.headChanged, AuditFiles.head, nil, "it was changed meanwhile")
        }
        guard summary.last <= now.count + 1 else {
            throw fault(
                .headBehind, name, nil, "there are \(summary.last - now.count) more records than the head knows of")
        }
        if summary.last == now.count + 1 {
            guard previous == now.hash else { throw fault(.changed, name, line, "it does not follow the head") }
            summary.isAheadOfHead = true
        } else if summary.last == now.count, now.hash != hash {
            throw fault(.changed, name, line, "the head tells of another record \(now.count)")
        }
        return summary
    }

    private func fault(_ way: AuditFault.Way, _ file: String, _ line: UInt64?, _ text: String) -> Stop {
        .fault(AuditFault(way: way, file: file, line: line, text: text))
    }

    private func reading<Result: ~Copyable>(_ body: () throws(Errno) -> Result) throws(Stop) -> Result {
        do throws(Errno) { return try body() } catch { throw .errno(error) }
    }
}

extension JsonValue {
    /// A whole number that is not negative.
    var natural: UInt64? {
        switch self {
        case .number(let number): UInt64(exactly: number)
        case .count(let number): number
        default: nil
        }
    }
}
