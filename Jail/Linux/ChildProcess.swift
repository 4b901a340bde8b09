// Children that are cloned straight into namespaces, and execute there.
internal import CLinux
internal import Glibc

/// A child process, held by its pidfd: no other process can be meant, whatever becomes of the number.
///
/// Safe: the stage is memory that the child shares until it executes; it is written before the child exists, then by
/// the child alone until `startFailure` has waited for it, and unmapped after that.
@safe public struct ChildProcess: ~Copyable, @unchecked Sendable {
    /// The pid in the caller's namespace, for messages and for /proc.
    public let pid: Int32
    /// Readable when the child is dead (pidfd_open(2)).
    public let pidfd: Descriptor
    private let stage: UnsafeMutableRawPointer
    fileprivate static let stageSize = 32768

    fileprivate init(pid: Int32, pidfd: consuming Descriptor, stage: UnsafeMutableRawPointer) {
        self.pid = pid
        self.pidfd = pidfd
        unsafe self.stage = unsafe stage
    }

    deinit {
        _ = startFailure
        unsafe munmap(stage, Self.stageSize)
    }

    /// Waits until it has executed its program, or has failed to, which is thrown, and the child reaped. Whoever
    /// talks to a child finds out by silence that it never began; this says why.
    public borrowing func confirmExecuted() throws(SpawnFailure) {
        guard let failure = startFailure else { return }
        _ = try? wait()
        throw failure
    }

    private var startFailure: SpawnFailure? {
        var error: Int32 = 0
        let step = unsafe cordon_await_exec(stage, &error)
        guard step != 0 else { return nil }
        let steps = [2: "descriptors", 3: "capabilities", 4: "execveat"]
        return SpawnFailure(step: steps[Int(step)] ?? "execveat", errno: Errno(rawValue: error))
    }

    /// Readable when it has ended; valid while this value lives (pidfd_open(2)).
    public var endDescriptor: Int32 { pidfd.raw }

    /// Whether it has ended; it may be waited for then without waiting.
    ///
    /// The corresponding C function is `poll` on its pidfd (pidfd_open(2)).
    public var isDead: Bool { (try? waitReadable(pidfd.raw, milliseconds: 0)) ?? true }

    /// Sends a signal; a child that is dead already is not an error.
    ///
    /// The corresponding C function is `pidfd_send_signal`.
    public borrowing func signal(_ number: Int32) throws(Errno) { try sendSignal(number, toHolderOf: pidfd.raw) }

    /// Waits for its death and reaps it. Returns the raw wait status, or nil where somebody else reaped it
    /// (a caller that ignores SIGCHLD makes the kernel do so).
    ///
    /// The corresponding C function is `waitpid`.
    @discardableResult
    public borrowing func wait() throws(Errno) -> Int32? {
        var entry = pollfd(fd: pidfd.raw, events: Int16(POLLIN), revents: 0)
        try retrying { unsafe poll(&entry, 1, -1) }
        var status: Int32 = 0
        while true {
            if unsafe waitpid(pid, &status, Int32(bitPattern: 0x4000_0000) /* __WALL */) == pid { return status }
            let error = Errno.current
            if error == .noChild { return nil }
            if error != .interrupted { throw error }
        }
    }
}

/// Which step of a start failed, and why.
public struct SpawnFailure: Error, Sendable {
    /// The step's name.
    public let step: String
    /// What the kernel said.
    public let errno: Errno
}

/// Texts of any bytes (`pathText`) as the NULL-terminated array that execve(2) wants, alive during `body`.
func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
    var bytes: [CChar] = []
    var offsets: [Int] = []
    for string in strings {
        offsets.append(bytes.count)
        bytes.append(contentsOf: pathBytes(string).map { CChar(bitPattern: $0) })
        bytes.append(0)
    }
    return unsafe bytes.withUnsafeBufferPointer { flat in
        var pointers: [UnsafePointer<CChar>?] = unsafe offsets.map { offset in
            unsafe flat.baseAddress.map { unsafe $0 + offset }
        }
        unsafe pointers.append(nil)
        return unsafe pointers.withUnsafeBufferPointer { array in
            // An array that holds at least the NULL has an address.
            unsafe withExtendedLifetime(array) { unsafe body(array.baseAddress.unsafelyUnwrapped) }
        }
    }
}

/// Clones straight into new namespaces and executes an open file there, with descriptors 0-2 on /dev/null,
/// 3 on `control` and no others, in a session of its own, with `ambient` capabilities and no environment.
/// Returns when the process exists; whether it could execute, `confirmExecuted` tells. With a `gate`, a pipe's reading
/// end, it executes only at end-of-file, and a byte sends it away.
///
/// The corresponding system calls are `clone3` (CLONE_PIDFD, CLONE_INTO_CGROUP) and `execveat`.
public func cloneAndExecute(
    _ executable: borrowing Descriptor, arguments: [String], namespaces: Namespaces, cgroup: Int32?,
    control: Int32, null: Int32, ambientCapabilities: UInt64, gate: Int32? = nil
) throws(SpawnFailure) -> ChildProcess {
    var pidfd: Int32 = -1
    let file = executable.raw
    guard let stage = unsafe mapStack(ChildProcess.stageSize) else {
        throw SpawnFailure(step: "clone3", errno: Errno.current)
    }
    let pid = unsafe withCStrings(arguments) { argv in
        var request = unsafe cordon_clone_request(
            flags: namespaces.rawValue, cgroup: cgroup ?? -1, executable: file, null: null, control: control,
            gate: gate ?? -1, ambient_capabilities: ambientCapabilities, arguments: argv)
        return unsafe cordon_clone_exec(&request, stage, ChildProcess.stageSize, &pidfd)
    }
    guard pid > 0 else {
        unsafe munmap(stage, ChildProcess.stageSize)
        throw SpawnFailure(step: "clone3", errno: Errno(rawValue: -pid))
    }
    return unsafe ChildProcess(pid: pid, pidfd: Descriptor(owning: pidfd), stage: stage)
}

/// Another process, held by a pidfd.
public struct ProcessHandle: ~Copyable {
    /// Its number, which may be another process's once this one has been reaped.
    public let pid: Int32
    private let pidfd: Descriptor

    /// Holds whoever has this pid now.
    ///
    /// The corresponding C function is `pidfd_open`.
    public init(pid: Int32) throws(Errno) {
        self.pid = pid
        pidfd = Descriptor(owning: try check(pidfd_open(pid, 0)))
    }

    /// Readable when it has ended; valid while this value lives (pidfd_open(2)).
    public var endDescriptor: Int32 { pidfd.raw }

    /// Sends a signal; a process that is dead already is not an error.
    ///
    /// The corresponding C function is `pidfd_send_signal`.
    public borrowing func signal(_ number: Int32) throws(Errno) { try sendSignal(number, toHolderOf: pidfd.raw) }

    /// Reaps a child that has ended: how; nil where it was reaped before, or is no child.
    ///
    /// The corresponding C function is `waitpid`.
    public borrowing func reap() -> ExitStatus? {
        var status: Int32 = 0
        while unsafe waitpid(pid, &status, 0) != pid { if errno != EINTR { return nil } }
        return ExitStatus(waitStatus: status)
    }
}

private func sendSignal(_ number: Int32, toHolderOf pidfd: Int32) throws(Errno) {
    do throws(Errno) { try check(pidfd_send_signal(pidfd, number, nil, 0)) } catch {
        if error != .noProcess { throw error }
    }
}
