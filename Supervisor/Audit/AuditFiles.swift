// The names of a log's files, and how they are opened: beneath the log's own directory, through no link.
internal import Linux

enum AuditFiles {
    /// The file that grows.
    static let current = "audit.jsonl"
    /// The head.
    static let head = "audit.head"
    /// Where the head is, unless somewhere else was chosen.
    static let heads = "head"

    /// A file that grows no more.
    static func rotated(_ number: UInt64) -> String { "audit-\(number).jsonl" }

    /// The numbers of the files that grow no more, in order.
    static func rotated(in directory: Int32) throws(Errno) -> [UInt64] {
        // A position that an earlier listing left behind would hide names.
        try rewind(directory)
        return try entries(of: directory).compactMap { number(in: $0.name) }.sorted()
    }

    private static func number(in name: [UInt8]) -> UInt64? {
        let start = Array("audit-".utf8), end = Array(".jsonl".utf8)
        guard name.starts(with: start), name.count > start.count + end.count, name.suffix(end.count).elementsEqual(end)
        else { return nil }
        return decimal(name[start.count..<(name.count - end.count)])
    }

    /// Opens one, or makes it for its user alone.
    static func open(_ name: String, _ flags: OpenFlags, in directory: Int32) throws(Errno) -> Descriptor {
        // openat2 refuses a mode where nothing may be made.
        let file = try Linux.open(
            name, flags, mode: flags.contains(.create) ? 0o600 : 0, beneath: directory,
            resolve: [.beneath, .noSymlinks])
        // A pipe in its place would be waited for.
        guard try status(of: file.raw).isRegular else { throw .invalid }
        return file
    }
}

/// A number as it is written here: digits alone, none of them a zero in front.
func decimal(_ digits: ArraySlice<UInt8>) -> UInt64? {
    guard let first = digits.first, first != UInt8(ascii: "0") || digits.count == 1, digits.count <= 19 else {
        return nil
    }
    var number: UInt64 = 0
    for digit in digits {
        guard (0x30...0x39).contains(digit) else { return nil }
        number = number * 10 + UInt64(digit - 0x30)
    }
    return number
}
