// The audit log: records are added, chained by their hashes, and never changed. It reads nothing back but its own end.
internal import Linux
internal import Wire

/// How much a log keeps.
public struct AuditLimits: Sendable, Hashable {
    /// Bytes in a file; a record that would pass them begins another one. A record may be 1 MiB long.
    public var fileBytes: UInt64
    /// How many files are kept that grow no more.
    public var rotatedFiles: Int

    /// 64 MiB in a file, and 16 older files.
    public init(fileBytes: UInt64 = 64 << 20, rotatedFiles: Int = 16) {
        self.fileBytes = fileBytes
        self.rotatedFiles = rotatedFiles
    }
}

/// A log of what happened, in lines of JSON, each chained to the one before it (``AuditLine``), with the last hash kept apart.
///
/// In its directory are `audit.jsonl`, which grows; `audit-N.jsonl`, which grow no more; and `audit.torn-TIME`, halves of
/// lines that a killed process left. The head is in `head/audit.head` or in a directory of the caller's choice. Who can write
/// both can make another log: a head that is kept where the log's writer alone can write, or copied away now and then, is
/// what a forger is found by.
///
/// A record is in the files when ``append(_:masked:)`` returns, and survives the death of the process, not of the machine:
/// nothing is waited for until it is on a disk. One process writes a log at a time; others may read it meanwhile.
///
/// Not for more than one thread. The process should ignore SIGXFSZ where its files are limited (setrlimit(2)).
public final class AuditLog {
    /// The directory of the log.
    public let directory: String
    let limits: AuditLimits
    let folder: Descriptor
    let headFile: Descriptor
    var file: Descriptor
    /// What the head file holds.
    var head: AuditHead
    /// The number of the open file and its length. They are ahead of the head's while a file has no record yet.
    var number: UInt64, length: UInt64
    /// Why nothing can be added any more.
    var failure: AuditError?
    private let copy: (([UInt8]) -> Void)?
    /// The time of the last record, and its text: most of that text stays for a second.
    private var lastTime = WallTime(milliseconds: .min), lastText = ""

    init(
        directory: String, limits: AuditLimits, folder: consuming Descriptor, headFile: consuming Descriptor,
        file: consuming Descriptor, head: AuditHead, number: UInt64, length: UInt64,
        copy: (([UInt8]) -> Void)?
    ) {
        self.directory = directory
        self.limits = limits
        self.folder = folder
        self.headFile = headFile
        self.file = file
        self.head = head
        self.number = number
        self.length = length
        self.copy = copy
    }

    /// How many records were ever written.
    public var count: UInt64 { head.count }

    /// Adds a record.
    ///
    /// Every text in it may come from anybody: the writer escapes what could end a line or command a terminal. A record that
    /// would be longer than 1 MiB has its longest texts and lists cut, and says how many bytes it had, in `cut`.
    ///
    /// - Parameter masked: values that must not be in the log; each is replaced in every text before it is hashed.
    /// - Returns: the record's number, for ``AuditEvent/about``.
    /// - Throws: ``AuditError``. The record is then not in the log, and the caller stops new work.
    @discardableResult
    public func append(_ event: AuditEvent, masked: [String] = []) throws(AuditError) -> UInt64 {
        if let failure { throw failure }
        var members = event.members
        if !masked.isEmpty {
            let secrets = secretBytes(masked)
            members = members.map { $0.masked(secrets) }
        }
        return try append(event.kind.rawValue, Self.bounded(members))
    }

    /// The members as text, with a comma in front, within what a line may hold.
    private static func bounded(_ members: JsonObject) -> [UInt8] {
        // What a line has besides: its number, the time, the event, two hashes.
        let room = AuditLine.longest - 512
        let whole = members.following
        if whole.count <= room { return whole }
        let size = JsonValue.number(Int64(whole.count))
        for (bytes, elements) in [(4096, 256), (256, 32)] {
            var shorter = members.map { $0.shortened(bytes: bytes, elements: elements) }
            shorter.add("cut", size)
            let text = shorter.following
            if text.count <= room { return text }
        }
        var least = JsonObject()
        for name in ["who", "decision"] {
            if let value = members[name] { least.add(name, value.shortened(bytes: 256, elements: 1)) }
        }
        least.add("cut", size)
        return least.following
    }

    /// Adds a record of any event, and begins another file before it where this one is full.
    func append(_ event: String, _ members: [UInt8]) throws(AuditError) -> UInt64 {
        var line = make(event, members)
        if length > 0, length + UInt64(line.bytes.count) > limits.fileBytes {
            try rotate()
            line = make(event, members)
        } else if length == 0, number > 1 {
            // The first record of a file could not be written when it was begun.
            try begin()
            line = make(event, members)
        }
        try commit(line)
        return head.count
    }

    private func make(_ event: String, _ members: [UInt8]) -> (bytes: [UInt8], hash: [UInt8]) {
        AuditLine.make(
            number: head.count + 1, time: timeText(), event: event, members: members, previous: head.hash)
    }

    private func timeText() -> String {
        let now = WallTime.now()
        if now != lastTime {
            lastTime = now
            lastText = now.text
        }
        return lastText
    }

    /// Writes a line, and then the head. Whoever is killed between the two leaves a line that the head does not know of yet;
    /// the next one to open the log adopts it.
    private func commit(_ line: (bytes: [UInt8], hash: [UInt8])) throws(AuditError) {
        do throws(Errno) {
            let count = try write(file.raw, line.bytes[...])
            // A file takes part of a write only where there is no room for the rest.
            guard count == line.bytes.count else { throw .noSpace }
            var next = head
            next.count += 1
            next.file = number
            next.bytes = length + UInt64(line.bytes.count)
            next.hash = line.hash
            guard try write(headFile.raw, at: 0, next.encoded) == AuditHead.size else { throw .inputOutput }
            head = next
            length = next.bytes
            copy?(line.bytes)
        } catch {
            let path = directory + "/" + AuditFiles.current
            let reason = AuditError(writing: path, error)
            do throws(Errno) {
                // What is left of the line would be taken for a torn one, and the next line would follow it.
                try truncate(file.raw, to: length)
                _ = try write(headFile.raw, at: 0, head.encoded)
            } catch { failure = reason }
            throw reason
        }
    }

    // MARK: - Files

    /// Gives the full file its number and begins another one.
    private func rotate() throws(AuditError) {
        let old = AuditFiles.rotated(number)
        try step("rename", AuditFiles.current) { () throws(Errno) in
            try rename(AuditFiles.current, to: old, in: folder.raw)
        }
        do throws(Errno) {
            file = try AuditFiles.open(
                AuditFiles.current, [.writeOnly, .create, .exclusive, .append], in: folder.raw)
        } catch {
            let reason = AuditError(writing: directory + "/" + AuditFiles.current, error)
            do throws(Errno) { try rename(old, to: AuditFiles.current, in: folder.raw) } catch { failure = reason }
            throw reason
        }
        number += 1
        length = 0
        try begin()
    }

    /// Writes the first record of a file that is not a log's first, and removes files that are too many.
    func begin() throws(AuditError) {
        try commit(
            make(
                "audit.rotated",
                (["log": .string(id), "file": .count(number)] as JsonObject).following))
        try prune()
    }

    /// Removes the oldest files. Each removal is recorded first, with the last number and hash of the file, so that what was
    /// pruned is told from what somebody removed.
    private func prune() throws(AuditError) {
        let present = try step("list", "") { () throws(Errno) in try AuditFiles.rotated(in: folder.raw) }
        for oldest in present.dropLast(limits.rotatedFiles) {
            let name = AuditFiles.rotated(oldest)
            let last = try step("read", name) { () throws(Errno) -> [UInt8]? in
                let file = try AuditFiles.open(name, .readOnly, in: folder.raw)
                return try lastLines(of: file.raw, 1).lines.first
            }
            guard let line = last, let reading = AuditLine.read(line[...]) else {
                throw .tampered(
                    AuditFault(way: .changed, file: name, text: "its last line is not one of a log's"))
            }
            var members: JsonObject = ["file": .count(oldest), "last": .count(reading.number)]
            members.add("last_hash", .string(String(decoding: reading.hash, as: UTF8.self)))
            try commit(make("audit.pruned", members.following))
            try step("unlink", name) { () throws(Errno) in try unlink(name, in: folder.raw) }
        }
    }

    /// The log's id as text.
    var id: String { String(decoding: head.log, as: UTF8.self) }

    private func step<Result>(
        _ step: String, _ name: String, _ body: () throws(Errno) -> Result
    ) throws(AuditError) -> Result {
        do throws(Errno) { return try body() } catch {
            throw .failed(step: step, path: directory + "/" + name, error)
        }
    }
}

extension AuditError {
    init(writing path: String, _ errno: Errno) {
        self = errno.isFull ? .full(path: path, errno) : .failed(step: "write", path: path, errno)
    }
}

extension Errno {
    /// Whether there is no room: on the disk, in a quota (EDQUOT), or in a file (EFBIG).
    fileprivate var isFull: Bool { self == .noSpace || rawValue == 122 || rawValue == 27 }
}

extension JsonObject {
    /// The members as text, behind others: the first brace is a comma, and the last one is not there.
    var following: [UInt8] {
        guard !names.isEmpty else { return [] }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(1024)
        write(to: &bytes)
        bytes[0] = UInt8(ascii: ",")
        bytes.removeLast()
        return bytes
    }
}
