// Stream sockets on paths: the way to a supervisor that runs already.
internal import CLinux
internal import Glibc

/// Who is at the other end of a socket, as the kernel noted it when the connection was made.
public struct PeerCredentials: Sendable, Hashable {
    /// Its process.
    public var pid: Int32
    /// Its effective user.
    public var user: UInt32
    /// Its effective group.
    public var group: UInt32
}

/// The other end of a connected unix socket.
///
/// The corresponding C function is `getsockopt` with SO_PEERCRED (unix(7)).
public func peerCredentials(of socket: Int32) throws(Errno) -> PeerCredentials {
    var pid: Int32 = 0, user: UInt32 = 0, group: UInt32 = 0
    try checkRaw(unsafe cordon_peer(socket, &pid, &user, &group))
    return PeerCredentials(pid: pid, user: user, group: group)
}

/// A datagram to whoever receives on a path; a name that begins with `@` is an abstract one (unix(7)).
///
/// The corresponding C functions are `socket` and `sendto`.
public func sendDatagram(_ bytes: [UInt8], to path: String) throws(Errno) {
    let socket = Descriptor(
        owning: try check(Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)))
    try unsafe withAddress(path, mayBeAbstract: true) { address, size in
        unsafe Int32(
            clamping: sendto(socket.raw, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, size))
    }
}

/// A socket that listens on a path, which must not exist; close-on-exec and non-blocking. `mode` is the file's.
///
/// The corresponding C functions are `socket`, `bind` and `listen`.
public func listen(at path: String, mode: UInt32) throws(Errno) -> Descriptor {
    let socket = try streamSocket(SOCK_NONBLOCK)
    // Nobody may connect before the mode is what it has to be.
    let mask = umask(0o777 & ~mode)
    defer { _ = umask(mask) }
    try unsafe withAddress(path) { address, size in unsafe bind(socket.raw, address, size) }
    try check(Glibc.listen(socket.raw, 128))
    return socket
}

/// A connection to whoever listens on a path.
///
/// The corresponding C functions are `socket` and `connect`.
public func connect(to path: String) throws(Errno) -> Descriptor {
    let socket = try streamSocket(SOCK_CLOEXEC)
    try unsafe withAddress(path) { address, size in unsafe Glibc.connect(socket.raw, address, size) }
    return socket
}

/// The next connection to a listening socket, close-on-exec and non-blocking; nil where none waits.
///
/// The corresponding C function is `accept4`.
public func accept(on socket: Int32) throws(Errno) -> Descriptor? {
    do throws(Errno) {
        return Descriptor(owning: try checkRaw(cordon_accept(socket)))
    } catch {
        // Who has gone before it was accepted is nobody's error (accept(2)).
        if error == .again || error == .connectionAborted { return nil }
        throw error
    }
}

private func streamSocket(_ flags: __socket_type) throws(Errno) -> Descriptor {
    Descriptor(
        owning: try check(socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | flags.rawValue), 0)))
}

private func withAddress(
    _ path: String, mayBeAbstract: Bool = false, _ call: (UnsafePointer<sockaddr>, socklen_t) -> Int32
) throws(Errno) {
    let bytes = pathBytes(path)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let room = MemoryLayout.size(ofValue: address.sun_path)
    // One byte is for the end.
    guard bytes.count < room, !bytes.contains(0) else { throw .nameTooLong }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    var size = MemoryLayout<sockaddr_un>.size
    if mayBeAbstract, bytes.first == UInt8(ascii: "@") {
        // An abstract name begins with NUL and is as long as it is said to be (unix(7)).
        address.sun_path.0 = 0
        size -= room - bytes.count
    }
    let result = unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe call($0, socklen_t(size)) }
    }
    try check(result)
}

/// A socket that listens on a port of 127.0.0.1 and nowhere else; close-on-exec and non-blocking.
///
/// The corresponding C functions are `socket`, `bind` and `listen`.
public func listenOnLoopback(port: UInt16) throws(Errno) -> Descriptor {
    let flags = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    let socket = Descriptor(owning: try check(Glibc.socket(AF_INET, flags, 0)))
    // A supervisor that was started again must not wait for what the last one left (socket(7)).
    var on: Int32 = 1
    try check(unsafe setsockopt(socket.raw, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size)))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe bind(socket.raw, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    try check(result)
    try check(Glibc.listen(socket.raw, 16))
    return socket
}
