// What `cordon doctor` needs besides: processes to try something in and throw away, and questions to the kernel.
internal import CLinux
internal import Glibc

/// Runs `body` in a forked child and returns what it answered. The child dies with this process at the
/// latest; whatever it did to its namespaces, filters and rights goes with it. Only for single-threaded
/// programs.
///
/// - Returns: nil where the child died without an answer, or was killed when the time was up.
///
/// The corresponding C functions are `fork`, `prctl` with PR_SET_PDEATHSIG and `waitpid`.
public func answerFromChild(within milliseconds: UInt64, _ body: () -> [UInt8]) throws(Errno) -> [UInt8]? {
    var pipe = try makePipe()
    let reading = try pipe.takeReading(), writing = try pipe.takeWriting()
    let pid = try forkProcess()
    if pid == 0 {
        _ = cordon_prctl(PR_SET_PDEATHSIG, UInt(SIGKILL))
        try? writing.writeAll(body())
        exitNow(0)
    }
    closeNow(writing)
    let answer = try? collect(reading.raw, until: monotonicNanoseconds() + milliseconds * 1_000_000)
    if answer == nil { try? sendSignal(SIGKILL, to: pid) }
    var status: Int32 = 0
    while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
    guard let answer, cordon_exited(status) != 0, cordon_exit_status(status) == 0, !answer.isEmpty else { return nil }
    return answer
}

private func closeNow(_ descriptor: consuming Descriptor) { _ = consume descriptor }

private func collect(_ descriptor: Int32, until deadline: UInt64) throws(Errno) -> [UInt8] {
    var result: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
        let now = monotonicNanoseconds()
        guard now < deadline, try waitReadable(descriptor, milliseconds: Int((deadline - now) / 1_000_000) + 1) else {
            throw .again
        }
        let count = try read(descriptor, into: &buffer)
        if count == 0 { return result }
        result += buffer[..<count]
        guard result.count < 1 << 16 else { throw .tooBig }
    }
}

/// Whether the kernel has SECCOMP_RET_USER_NOTIF.
///
/// The corresponding system call is `seccomp` with SECCOMP_GET_ACTION_AVAIL.
public func requireSeccompNotification() throws(Errno) { try checkRaw(cordon_seccomp_notify_available()) }

/// Whether a seccomp filter, rather than the kernel proper, refuses mount(2). The kernel looks at the pointers
/// before it looks at rights, so for nonsense it says EFAULT to everybody.
///
/// The corresponding C function is `mount`.
public func isMountFiltered() -> Bool {
    let wild = unsafe UnsafePointer<CChar>(bitPattern: 8)
    return unsafe mount(wild, wild, wild, 0, nil) != 0 && errno != EFAULT
}

/// Closes every descriptor from a number on.
///
/// The corresponding C function is `close_range`.
public func closeDescriptors(from first: UInt32) throws(Errno) { try check(close_range(first, .max, 0)) }

/// Whether a descriptor is a terminal.
///
/// The corresponding C function is `isatty`.
public func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

/// Whether a file gives capabilities to who executes it.
///
/// The corresponding C function is `getxattr` of `security.capability`.
public func hasFileCapabilities(_ path: String) -> Bool { unsafe getxattr(path, "security.capability", nil, 0) > 0 }

extension Signal {
    /// Gives a signal its default effect again, for the whole process.
    public static func restoreDefault(_ number: Int32) { cordon_default_signal(number) }
}
