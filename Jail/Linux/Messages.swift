// Sequenced-packet sockets that carry descriptors.
internal import CLinux
internal import Glibc

/// Two connected sockets that keep message boundaries, both close-on-exec.
///
/// The corresponding C function is `socketpair` with `SOCK_SEQPACKET`.
public func makeSocketPair() throws(Errno) -> Pipe {
    var ends: [Int32] = [-1, -1]
    try check(unsafe socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends))
    return Pipe(reading: Descriptor(owning: ends[0]), writing: Descriptor(owning: ends[1]))
}

/// A message, with the descriptors that came along.
public struct Message: ~Copyable {
    /// The bytes; empty is end-of-file.
    public let bytes: [UInt8]
    /// The descriptors, owned by this value.
    public var descriptors: DescriptorList

    /// Gives all descriptors that are still here to another owner.
    public mutating func takeDescriptors() -> DescriptorList {
        var taken = DescriptorList()
        swap(&taken, &descriptors)
        return taken
    }
}

/// Descriptors that share an owner: closed together, except those that were taken out.
public struct DescriptorList: ~Copyable, Sendable {
    private var numbers: [Int32]

    /// Takes ownership of these descriptors.
    public init(owning numbers: [Int32] = []) { self.numbers = numbers }

    deinit { for number in numbers where number >= 0 { _ = Glibc.close(number) } }

    /// How many there are, taken out or not.
    public var count: Int { numbers.count }

    /// Their numbers, for passing on while this value lives. −1 where one was taken out.
    public var raw: [Int32] { numbers }

    /// Adds one at the end and returns its index.
    @discardableResult
    public mutating func append(_ descriptor: consuming Descriptor) -> Int {
        numbers.append(descriptor.release())
        return numbers.count - 1
    }

    /// Whether there is none.
    public var isEmpty: Bool { numbers.isEmpty }

    /// Closes the first.
    public mutating func removeFirst() {
        guard !numbers.isEmpty else { return }
        let number = numbers.removeFirst()
        if number >= 0 { _ = Glibc.close(number) }
    }

    /// Takes over what another one has.
    public mutating func append(contentsOf other: inout DescriptorList) {
        numbers += other.numbers
        other.numbers = []
    }

    /// The number at an index, still owned by this value.
    public func number(at index: Int) throws(Errno) -> Int32 {
        guard numbers.indices.contains(index), numbers[index] >= 0 else { throw .badMessage }
        return numbers[index]
    }

    /// Takes one out.
    public mutating func take(_ index: Int) throws(Errno) -> Descriptor {
        let number = try number(at: index)
        numbers[index] = -1
        return Descriptor(owning: number)
    }
}

/// Sends one message with descriptors; the receiver gets duplicates.
///
/// The corresponding C function is `sendmsg` with `SCM_RIGHTS`.
public func send(_ bytes: [UInt8], descriptors: [Int32] = [], on socket: Int32) throws(Errno) {
    let sent = unsafe bytes.withUnsafeBytes { data in
        unsafe cordon_send(socket, data.baseAddress, data.count, descriptors, descriptors.count)
    }
    try checkRaw(sent)
}

/// Waits for one message of at most `capacity` bytes; empty bytes mean that the other side is gone. A longer
/// message, or one whose descriptors did not fit, is an error and its descriptors are closed.
///
/// The corresponding C function is `recvmsg`.
public func receive(on socket: Int32, capacity: Int = 4096, wait: Bool = true) throws(Errno) -> Message {
    var buffer = [UInt8](repeating: 0, count: capacity)
    var received = cordon_received()
    let result = unsafe buffer.withUnsafeMutableBytes { data in
        unsafe cordon_receive(
            socket, data.baseAddress, data.count, wait ? 0 : Int32(MSG_DONTWAIT), &received)
    }
    try checkRaw(result)
    let numbers = unsafe withUnsafeBytes(of: &received.descriptors) { all in
        unsafe Array(all.bindMemory(to: Int32.self).prefix(received.descriptor_count))
    }
    let descriptors = DescriptorList(owning: numbers)
    if received.truncated != 0 { throw .badMessage }
    buffer.removeLast(buffer.count - received.bytes)
    return Message(bytes: buffer, descriptors: descriptors)
}

/// A part of a stream, with the descriptors that came along.
public struct StreamPart: ~Copyable {
    /// How many bytes; zero is end-of-file.
    public let count: Int
    /// The descriptors, owned by this value.
    public let descriptors: DescriptorList
}

/// Takes what there is on a stream socket, without waiting, and the descriptors that came along. Where some of them were
/// lost it is an error, and the others are closed.
///
/// The corresponding C function is `recvmsg` (unix(7): no part has the descriptors of two messages).
public func receive(on socket: Int32, into buffer: inout [UInt8]) throws(Errno) -> StreamPart {
    var received = cordon_received()
    let result = unsafe buffer.withUnsafeMutableBytes { data in
        unsafe cordon_receive(socket, data.baseAddress, data.count, Int32(MSG_DONTWAIT), &received)
    }
    try checkRaw(result)
    let numbers = unsafe withUnsafeBytes(of: &received.descriptors) { all in
        unsafe Array(all.bindMemory(to: Int32.self).prefix(received.descriptor_count))
    }
    let descriptors = DescriptorList(owning: numbers)
    if received.truncated != 0 { throw .badMessage }
    return StreamPart(count: received.bytes, descriptors: descriptors)
}

/// Writes every byte on a stream socket that blocks, with descriptors beside the first.
///
/// The corresponding C function is `sendmsg`.
public func sendAll(_ bytes: [UInt8], descriptors: [Int32], on socket: borrowing Descriptor) throws(Errno) {
    let sent = unsafe bytes.withUnsafeBytes { data in
        unsafe cordon_send(socket.raw, data.baseAddress, data.count, descriptors, descriptors.count)
    }
    try checkRaw(Int32(clamping: sent))
    if sent < bytes.count { try socket.writeAll(Array(bytes[sent...])) }
}
