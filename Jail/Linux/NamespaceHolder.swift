// Namespaces that exist without a program in them.
internal import CLinux
internal import Glibc

/// A process that does nothing but keep new namespaces alive. It is gone when the value is.
///
/// The corresponding system call is `clone3`; the process shares this one's memory and runs no Swift.
///
/// Safe, in any thread: the stack is private, unmapped once, and only after the process that stands on it is reaped.
@safe public struct NamespaceHolder: ~Copyable, @unchecked Sendable {
    /// Its pid in the caller's namespace.
    public let pid: Int32
    private let stack: UnsafeMutableRawPointer
    private var gate: Int32
    private static let stackSize = 16384

    /// Makes the namespaces.
    public init(_ namespaces: Namespaces) throws(Errno) {
        var gate = try makePipe()
        let reading = try gate.takeReading(), writing = try gate.takeWriting()
        guard let stack = unsafe mapStack(Self.stackSize) else { throw Errno.current }
        let pid = unsafe cordon_clone_namespace_holder(namespaces.rawValue, reading.raw, stack, Self.stackSize)
        guard pid > 0 else {
            unsafe munmap(stack, Self.stackSize)
            throw Errno(rawValue: -pid)
        }
        self.pid = pid
        unsafe self.stack = unsafe stack
        self.gate = writing.release()
    }

    /// Lets the process go. It is waited for when the value goes away, by when it is long dead.
    public mutating func letGo() {
        // Closing the gate is end-of-file for the process, which then exits.
        _ = Glibc.close(gate)
        gate = -1
    }

    deinit {
        if gate >= 0 { _ = Glibc.close(gate) }
        var status: Int32 = 0
        while unsafe waitpid(pid, &status, Int32(bitPattern: 0x4000_0000)) < 0, errno == EINTR {}
        unsafe munmap(stack, Self.stackSize)
    }
}

/// Memory for a child to stand on; nil with errno set.
func mapStack(_ size: Int) -> UnsafeMutableRawPointer? {
    let address = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    return unsafe address == UnsafeMutableRawPointer(bitPattern: -1) ? nil : address
}
