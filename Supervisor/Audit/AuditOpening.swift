// Opening a log: what a killed process leaves is made whole, and what nobody can have left by dying is refused.
internal import Linux
internal import Wire

extension AuditLog {
    /// Opens a log, or begins one in a directory that has none, and records that.
    ///
    /// A line that goes on from the head by one is adopted: a process was killed before it wrote the head. The half of a line
    /// is kept in `audit.torn-TIME` and cut off. The record `audit.opened` says so, in `adopted` and `torn`. Whatever else head
    /// and files do not agree on, no process of ours left by dying: it is refused. What lies further back is looked at by
    /// ``verifyAudit(_:heads:)``.
    ///
    /// - Parameters:
    ///   - directory: made where it is missing, with those above it, for this user alone.
    ///   - heads: the directory of the head; `head` in the log's own, unless another is given.
    ///   - copy: gets each line that is in the log, for a place where whoever can write the log cannot.
    /// - Throws: ``AuditError``
    public convenience init(
        _ directory: String, heads: String? = nil, limits: AuditLimits = AuditLimits(), copy: (([UInt8]) -> Void)? = nil
    ) throws(AuditError) {
        let heads = heads ?? directory + "/" + AuditFiles.heads
        let opening = Opening(directory: directory, heads: heads)
        let folder = try privateDirectory(directory)
        let headFolder = try privateDirectory(heads)
        let present = try opening.step("list", "") { () throws(Errno) in
            (
                rotated: try AuditFiles.rotated(in: folder.raw),
                current: try presentStatus(AuditFiles.current, in: folder.raw)
            )
        }
        let isNew = present.rotated.isEmpty && present.current?.size ?? 0 == 0
        let headFile = try opening.head(headFolder.raw, isNew: isNew)
        var head = try opening.read(headFile.raw, isNew: isNew)

        // A process may have died while it began another file, before that had a record.
        var number = head.file, base = head.bytes
        let full = AuditFiles.rotated(head.file)
        var isBegun = false
        if present.rotated.last == head.file {
            try opening.check(head, full, in: folder.raw, isWhole: true)
            number += 1
            base = 0
            isBegun = present.current == nil
        } else if let later = present.rotated.last, later > head.file {
            throw .tampered(AuditFault(way: .headBehind, file: AuditFiles.rotated(later), text: headBehindText))
        } else if present.current == nil {
            guard head.count == 0 else {
                throw .tampered(AuditFault(way: .cutTail, file: AuditFiles.current, text: "it is gone"))
            }
            isBegun = true
        } else {
            try opening.check(head, AuditFiles.current, in: folder.raw, isWhole: false)
        }
        let flags: OpenFlags = isBegun ? [.readWrite, .create, .exclusive, .append] : [.readWrite, .append]
        let file = try opening.step("open", AuditFiles.current) { () throws(Errno) in
            try AuditFiles.open(AuditFiles.current, flags, in: folder.raw)
        }

        let rest = try opening.rest(of: file.raw, from: base)
        var adopted: UInt64?
        var torn: String?
        if rest.last == UInt8(ascii: "\n") {
            let line = rest.dropLast()
            guard let reading = AuditLine.read(line), reading.number == head.count + 1,
                reading.previous.elementsEqual(head.hash)
            else {
                throw .tampered(AuditFault(way: .headBehind, file: AuditFiles.current, text: headBehindText))
            }
            head.count += 1
            head.hash = Array(reading.hash)
            head.file = number
            head.bytes = base + UInt64(rest.count)
            adopted = head.count
            try opening.step("write the head", AuditFiles.head) { () throws(Errno) in
                guard try write(headFile.raw, at: 0, head.encoded) == AuditHead.size else { throw .inputOutput }
            }
        } else if !rest.isEmpty {
            torn = try opening.keep(rest, in: folder.raw)
            try opening.step("truncate", AuditFiles.current) { () throws(Errno) in try truncate(file.raw, to: base) }
        }

        self.init(
            directory: directory, limits: limits, folder: folder, headFile: headFile, file: file, head: head,
            number: number, length: head.file == number ? head.bytes : 0, copy: copy)
        var members: JsonObject = ["log": .string(id), "file": .count(number), "pid": .number(Int64(processID))]
        if let adopted { members.add("adopted", .count(adopted)) }
        if let torn { members.add("torn", .string(torn)) }
        _ = try append("audit.opened", members.following)
    }
}

private let headBehindText = "it holds more than the head knows of"

/// A directory for this user alone, made where it is missing.
private func privateDirectory(_ path: String) throws(AuditError) -> Descriptor {
    do throws(Errno) {
        try makeDirectories(path, mode: 0o700)
        let directory = try open(path, [.readOnly, .directory])
        guard try status(of: directory.raw).isOwnAlone else { throw .notPermitted }
        return directory
    } catch {
        throw error == .notPermitted ? .unsafe(path: path) : .failed(step: "mkdir", path: path, error)
    }
}

/// The status of a file; nil where there is none.
func presentStatus(_ name: String, in directory: Int32) throws(Errno) -> FileStatus? {
    do throws(Errno) { return try status(at: name, in: directory) } catch {
        guard error == .noEntry else { throw error }
        return nil
    }
}

/// The steps of opening.
private struct Opening {
    let directory: String
    let heads: String

    /// The head's file, locked. It is made for a log that is new, and for no other: a head that is missing is a sign.
    func head(_ folder: Int32, isNew: Bool) throws(AuditError) -> Descriptor {
        let path = heads + "/" + AuditFiles.head
        do throws(Errno) {
            let file = try AuditFiles.open(
                AuditFiles.head, isNew ? [.readWrite, .create] : [.readWrite], in: folder)
            guard try tryLock(file.raw) else { throw .busy }
            return file
        } catch {
            switch error {
            case .busy: throw .inUse(path: path)
            case .noEntry:
                throw .tampered(AuditFault(way: .headMissing, file: AuditFiles.head, text: "\(path) is not there"))
            default: throw .failed(step: "open", path: path, error)
            }
        }
    }

    func read(_ file: Int32, isNew: Bool) throws(AuditError) -> AuditHead {
        let bytes = try step("read", AuditFiles.head) { () throws(Errno) in try readWhole(file, limit: 4096) }
        if let head = AuditHead(bytes) { return head }
        // A process may have died after it made the file.
        guard bytes.isEmpty, isNew else {
            throw .tampered(AuditFault(way: .headChanged, file: AuditFiles.head, text: "it is not what was written"))
        }
        let head = AuditHead.new()
        try step("write the head", AuditFiles.head) { () throws(Errno) in
            guard try write(file, at: 0, head.encoded) == AuditHead.size else { throw .noSpace }
        }
        return head
    }

    /// Whether a file has what the head says: so many bytes, at the end of which is its last line.
    func check(_ head: AuditHead, _ name: String, in folder: Int32, isWhole: Bool) throws(AuditError) {
        let (size, last) = try step("read", name) { () throws(Errno) -> (UInt64, [UInt8]) in
            let file = try AuditFiles.open(name, .readOnly, in: folder)
            let size = UInt64(try status(of: file.raw).size)
            let wanted = min(head.bytes, UInt64(AuditLine.longest))
            var bytes = [UInt8](repeating: 0, count: Int(wanted))
            let count = try Linux.read(file.raw, at: head.bytes - wanted, into: &bytes)
            return (size, Array(bytes[..<count]))
        }
        guard size >= head.bytes else {
            throw .tampered(
                AuditFault(way: .cutTail, file: name, text: "\(head.bytes - size) bytes are missing at its end"))
        }
        guard !isWhole || size == head.bytes else {
            throw .tampered(AuditFault(way: .headBehind, file: name, text: headBehindText))
        }
        guard head.bytes > 0 else { return }
        let line = last.dropLast().split(separator: UInt8(ascii: "\n")).last ?? []
        guard last.last == UInt8(ascii: "\n"), let reading = AuditLine.read(line), reading.number == head.count,
            reading.hash.elementsEqual(head.hash)
        else {
            throw .tampered(
                AuditFault(way: .changed, file: name, text: "the head tells of another last line than there is"))
        }
    }

    /// What the head does not know of: at most one line.
    func rest(of file: Int32, from offset: UInt64) throws(AuditError) -> [UInt8] {
        let bytes = try step("read", AuditFiles.current) { () throws(Errno) -> [UInt8] in
            var bytes = [UInt8](repeating: 0, count: AuditLine.longest + 1)
            return Array(bytes[..<(try Linux.read(file, at: offset, into: &bytes))])
        }
        let newline = bytes.firstIndex(of: UInt8(ascii: "\n"))
        guard bytes.count <= AuditLine.longest, newline == nil || newline == bytes.count - 1 else {
            throw .tampered(AuditFault(way: .headBehind, file: AuditFiles.current, text: headBehindText))
        }
        return bytes
    }

    /// Keeps the half of a line in a file of its own, and returns its name.
    func keep(_ bytes: [UInt8], in folder: Int32) throws(AuditError) -> String {
        let time = String(WallTime.now().text.filter { $0.isNumber })
        for attempt in 0..<100 {
            let name = "audit.torn-\(time)" + (attempt == 0 ? "" : "-\(attempt)")
            let isKept = try step("write", name) { () throws(Errno) -> Bool in
                do throws(Errno) {
                    let file = try AuditFiles.open(
                        name, [.writeOnly, .create, .exclusive], in: folder)
                    try file.writeAll(bytes)
                    return true
                } catch {
                    guard error == .exists else { throw error }
                    return false
                }
            }
            if isKept { return name }
        }
        throw .failed(step: "write", path: directory + "/audit.torn-\(time)", .exists)
    }

    func step<Result: ~Copyable>(
        _ step: String, _ name: String, _ body: () throws(Errno) -> Result
    ) throws(AuditError) -> Result {
        do throws(Errno) { return try body() } catch {
            let path = (name == AuditFiles.head ? heads : directory) + "/" + name
            throw step.utf8.starts(with: "write".utf8)
                ? AuditError(writing: path, error) : .failed(step: step, path: path, error)
        }
    }
}
