// The few system calls that tests make themselves, without pointers.
import Glibc

enum Calls {
    static func open(_ path: String, _ flags: Int32) -> Int32 { unsafe Glibc.open(path, flags | O_CLOEXEC) }

    static func changeMode(_ path: String, _ mode: mode_t) { _ = unsafe chmod(path, mode) }

    /// Of the name itself, should it be a link.
    static func changeOwner(_ path: String, _ owner: uid_t) { _ = unsafe lchown(path, owner, owner) }

    /// Whether it was made.
    static func makeDirectory(_ path: String) -> Bool { unsafe mkdir(path, 0o755) == 0 }

    static func remove(_ path: String) { _ = unsafe unlink(path) }

    static func makeFifo(_ path: String) { _ = unsafe mkfifo(path, 0o666) }

    static func makeLink(_ path: String, to existing: String) { _ = unsafe link(existing, path) }

    /// nil when there is nothing of that name; a link is not followed.
    static func status(_ path: String) -> stat? {
        var status = stat()
        return unsafe lstat(path, &status) == 0 ? status : nil
    }

    /// A bound unix socket, listening where its type can; an abstract one for a name that starts with "@".
    static func unixSocket(_ name: String, datagram: Bool = false) -> Int32 {
        let type = datagram ? SOCK_DGRAM : SOCK_STREAM
        let handle = socket(AF_UNIX, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let isAbstract = name.hasPrefix("@")
        let bytes = Array(name.utf8)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { path in
            for (index, byte) in bytes.enumerated() { unsafe path[index] = index == 0 && isAbstract ? 0 : byte }
        }
        let length = socklen_t(2 + bytes.count + (isAbstract ? 0 : 1))
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(handle, $0, length) }
        }
        if bound != 0 || (!datagram && listen(handle, 8) != 0) {
            close(handle)
            return -1
        }
        if !isAbstract { changeMode(name, 0o777) }
        return handle
    }

    /// A socket that listens on the host's loopback, and its port.
    static func loopbackSocket() -> (handle: Int32, port: Int) {
        let handle = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = unsafe bind(handle, $0, length)
                _ = listen(handle, 8)
                _ = unsafe getsockname(handle, $0, &length)
            }
        }
        return (handle, Int(UInt16(bigEndian: address.sin_port)))
    }

    /// Whether somebody has connected, or sent something.
    static func hasVisitor(_ handle: Int32) -> Bool {
        var polled = pollfd(fd: handle, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&polled, 1, 0) > 0
    }

    /// A directory with a unique name.
    static func temporaryDirectory(_ prefix: String) -> String? {
        var template = Array((prefix + ".XXXXXX").utf8CString)
        let made = unsafe template.withUnsafeMutableBufferPointer { buffer in
            unsafe buffer.baseAddress.map { unsafe mkdtemp($0) != nil } ?? false
        }
        return made ? String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }
}
