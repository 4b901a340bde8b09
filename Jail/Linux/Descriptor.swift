// File descriptors with one owner.
internal import CLinux
internal import Glibc

/// An open file descriptor, closed when its owner goes away. It cannot be copied, so it cannot be closed
/// twice, nor used after it was closed and its number given to another file.
public struct Descriptor: ~Copyable, Sendable {
    /// The number. Valid while this value lives.
    public let raw: Int32

    /// Takes ownership of an open descriptor.
    public init(owning raw: Int32) { self.raw = raw }

    deinit { _ = Glibc.close(raw) }

    /// Gives the number away; the caller closes it.
    public consuming func release() -> Int32 {
        let number = raw
        discard self
        return number
    }

    /// A second descriptor for the same open file, close-on-exec.
    ///
    /// The corresponding C function is `fcntl` with `F_DUPFD_CLOEXEC`.
    public borrowing func duplicate() throws(Errno) -> Descriptor {
        Descriptor(owning: try checkRaw(cordon_fcntl(raw, F_DUPFD_CLOEXEC, 3)))
    }

    /// Reads once. Zero is end-of-file.
    ///
    /// The corresponding C function is `read`.
    public borrowing func read(into buffer: inout [UInt8], upTo count: Int? = nil) throws(Errno) -> Int {
        try read(descriptor: raw, into: &buffer, upTo: count)
    }

    /// Writes every byte, waiting where the descriptor blocks.
    ///
    /// The corresponding C function is `write`.
    public borrowing func writeAll(_ bytes: [UInt8]) throws(Errno) {
        var offset = 0
        while offset < bytes.count {
            offset += try write(descriptor: raw, bytes, from: offset)
        }
    }

    /// Writes a text as UTF-8, in one call: kernel files (`cgroup.procs`, `uid_map`) take no second one.
    public borrowing func write(_ text: String) throws(Errno) {
        let bytes = Array(text.utf8)
        let count = try write(descriptor: raw, bytes, from: 0)
        guard count == bytes.count else { throw .again }
    }

    /// Everything up to end-of-file, refused (`E2BIG`) when it is more than `limit` bytes.
    public borrowing func readAll(limit: Int = 16 << 20) throws(Errno) -> [UInt8] {
        try Linux.readAll(of: raw, limit: limit)
    }

    /// Sets or clears `O_NONBLOCK`.
    public borrowing func setNonBlocking(_ on: Bool) throws(Errno) {
        let flags = try checkRaw(cordon_fcntl(raw, F_GETFL, 0))
        try checkRaw(cordon_fcntl(raw, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK))
    }

    private borrowing func read(descriptor: Int32, into buffer: inout [UInt8], upTo count: Int?) throws(Errno) -> Int {
        try Linux.read(descriptor, into: &buffer, upTo: count)
    }

    private borrowing func write(descriptor: Int32, _ bytes: [UInt8], from offset: Int) throws(Errno) -> Int {
        try Linux.write(descriptor, bytes[offset...])
    }
}

/// Reads once from a descriptor that somebody else owns (0, say).
///
/// The corresponding C function is `read`.
public func read(_ descriptor: Int32, into buffer: inout [UInt8], upTo limit: Int? = nil) throws(Errno) -> Int {
    let count = min(limit ?? buffer.count, buffer.count)
    while true {
        let got = unsafe buffer.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, count) }
        if got >= 0 { return got }
        let error = Errno.current
        if error != .interrupted { throw error }
    }
}

/// Writes once to a descriptor that somebody else owns (1 or 2, say); returns how many bytes were taken.
///
/// The corresponding C function is `write`.
public func write(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>) throws(Errno) -> Int {
    if bytes.isEmpty { return 0 }
    while true {
        let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count >= 0 { return count }
        let error = Errno.current
        if error != .interrupted { throw error }
    }
}

/// A pipe: what is written to `writing` comes out of `reading`. Both are close-on-exec.
///
/// The corresponding C function is `pipe2`.
public func makePipe() throws(Errno) -> Pipe {
    var ends: [Int32] = [-1, -1]
    try check(unsafe pipe2(&ends, O_CLOEXEC))
    return Pipe(reading: Descriptor(owning: ends[0]), writing: Descriptor(owning: ends[1]))
}

/// Gives a pipe room for about so many bytes, as far as this user may; other files stay as they are.
///
/// The corresponding C function is `fcntl` with F_SETPIPE_SZ.
public func widenPipe(_ descriptor: Int32, to bytes: Int32) { _ = cordon_fcntl(descriptor, F_SETPIPE_SZ, bytes) }

/// Two connected ends. Each is owned here until it is taken.
public struct Pipe: ~Copyable, Sendable {
    private var first: Descriptor?
    private var second: Descriptor?

    init(reading: consuming Descriptor, writing: consuming Descriptor) {
        first = consume reading
        second = consume writing
    }

    /// Takes the end to read from (of a socket pair: one end). It can be taken once.
    public mutating func takeReading() throws(Errno) -> Descriptor {
        guard let end = first.take() else { throw .invalid }
        return end
    }

    /// Takes the end to write to (of a socket pair: the other end). It can be taken once.
    public mutating func takeWriting() throws(Errno) -> Descriptor {
        guard let end = second.take() else { throw .invalid }
        return end
    }
}

/// Everything in a file from its start on, wherever others who hold it have read to.
///
/// The corresponding C function is `pread`.
public func readWhole(_ file: Int32, limit: Int = 16 << 20) throws(Errno) -> [UInt8] {
    let size = Int(try status(of: file).size)
    guard size <= limit else { throw .tooBig }
    var result = [UInt8](repeating: 0, count: size)
    var done = 0
    while done < size {
        let count = unsafe result.withUnsafeMutableBytes { buffer in
            unsafe pread(file, buffer.baseAddress.map { unsafe $0 + done }, size - done, off_t(done))
        }
        if count < 0, Errno.current == .interrupted { continue }
        guard try check(count) > 0 else { throw .badMessage }
        done += count
    }
    return result
}

/// Everything that a descriptor with an owner elsewhere still holds, refused when it is more than `limit`.
public func readAll(of descriptor: Int32, limit: Int = 16 << 20) throws(Errno) -> [UInt8] {
    var result: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16384)
    while true {
        let count = try read(descriptor, into: &buffer)
        if count == 0 { return result }
        result.append(contentsOf: buffer[..<count])
        guard result.count <= limit else { throw .tooBig }
    }
}

/// Opens /dev/null for each of the descriptors 0, 1 and 2 that is closed.
public func fillStandardDescriptors() throws(Errno) {
    for number: Int32 in 0...2 where cordon_fcntl(number, F_GETFD, 0) < 0 {
        let null = try open("/dev/null", .readWrite).release()
        // The lowest free number is this one, since those below it are open; it is meant to be inherited by nobody.
        if null != number { _ = Glibc.close(null) }
    }
}

/// A second open file for a pipe or a terminal that somebody else owns, which never waits; nil for other files.
/// Making the owner's own descriptor non-blocking would surprise whoever shares it.
public func reopenNonBlocking(_ descriptor: Int32, _ flags: OpenFlags) -> Descriptor? {
    guard let kind = try? status(of: descriptor), kind.isPipe || isTerminal(descriptor) else { return nil }
    return try? open("/proc/self/fd/\(descriptor)", flags.union(.nonBlocking))
}

/// Closes every descriptor from a number on but one, whoever owns them: for a process that goes on as another one.
///
/// The corresponding C function is `close_range`.
public func closeDescriptors(from first: Int32, except kept: Int32) throws(Errno) {
    if kept > first { try check(close_range(UInt32(first), UInt32(kept - 1), 0)) }
    try check(close_range(UInt32(max(first, kept + 1)), .max, 0))
}
