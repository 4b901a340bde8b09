// The lines of a file that may still grow, one after the other, in bounded memory.
internal import Linux

/// Reads whole lines from an offset on.
struct LineReader: ~Copyable {
    enum Next {
        /// A line without its newline. It is good until the next call.
        case line(ArraySlice<UInt8>)
        /// The file ends here, for now, with so many bytes of a line that has no end.
        case end(partial: Int)
        /// A line is longer than any that a log has; the reader stays before it.
        case tooLong
    }

    let file: Descriptor
    /// Where the next line starts.
    private(set) var offset: UInt64
    private var buffer: [UInt8] = []
    /// The first byte of the buffer that was not given out, and the first that was not searched.
    private var start = 0, searched = 0
    private var chunk = [UInt8](repeating: 0, count: 1 << 16)

    init(_ file: consuming Descriptor, from offset: UInt64 = 0) {
        self.file = file
        self.offset = offset
    }

    mutating func next() throws(Errno) -> Next {
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = buffer[start..<end]
                guard line.count < AuditLine.longest else { return .tooLong }
                offset += UInt64(line.count + 1)
                start = end + 1
                searched = start
                return .line(line)
            }
            searched = buffer.count
            let partial = buffer.count - start
            guard partial < AuditLine.longest else { return .tooLong }
            let count = try read(file.raw, at: offset + UInt64(partial), into: &chunk)
            if count == 0 { return .end(partial: partial) }
            if start > 0 {
                buffer.removeFirst(start)
                searched -= start
                start = 0
            }
            buffer += chunk[..<count]
        }
    }
}

/// The last whole lines of a file, oldest first, each without its newline, and the offset behind them. What is longer than a
/// line of a log is left out.
func lastLines(of file: Int32, _ limit: Int) throws(Errno) -> (lines: [[UInt8]], end: UInt64) {
    var start = UInt64(try status(of: file).size)
    var bytes: [UInt8] = []
    var newlines = 0
    // One newline more than there are lines, so that the first of them is whole.
    while start > 0, newlines <= limit, bytes.count < (limit + 1) * AuditLine.longest {
        let size = min(start, 1 << 16)
        var block = [UInt8](repeating: 0, count: Int(size))
        let count = try read(file, at: start - size, into: &block)
        guard count == block.count else { throw .inputOutput }
        start -= size
        newlines += block.count { $0 == UInt8(ascii: "\n") }
        bytes = block + bytes
    }
    guard let last = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return ([], start) }
    var lines = bytes[...last].split(separator: UInt8(ascii: "\n"))
    if start > 0 { lines.removeFirst() }
    return (lines.suffix(limit).filter { $0.count < AuditLine.longest }.map(Array.init), start + UInt64(last) + 1)
}
