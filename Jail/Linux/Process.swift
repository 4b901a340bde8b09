// Processes: cloning into namespaces, starting commands, waiting, identity.
internal import CLinux
internal import Glibc

/// Kinds of namespaces. The bits are CLONE_NEW*.
public struct Namespaces: OptionSet, Sendable, Hashable {
    /// The bits.
    public let rawValue: UInt64
    /// Makes one from bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// user_namespaces(7)
    public static let user = Namespaces(rawValue: UInt64(CLONE_NEWUSER))
    /// mount_namespaces(7)
    public static let mount = Namespaces(rawValue: UInt64(CLONE_NEWNS))
    /// pid_namespaces(7)
    public static let pid = Namespaces(rawValue: UInt64(CLONE_NEWPID))
    /// network_namespaces(7)
    public static let network = Namespaces(rawValue: UInt64(CLONE_NEWNET))
    /// ipc_namespaces(7)
    public static let ipc = Namespaces(rawValue: UInt64(CLONE_NEWIPC))
    /// uts_namespaces(7)
    public static let uts = Namespaces(rawValue: UInt64(CLONE_NEWUTS))
    /// cgroup_namespaces(7)
    public static let cgroup = Namespaces(rawValue: UInt64(CLONE_NEWCGROUP))
    /// time_namespaces(7)
    public static let time = Namespaces(rawValue: UInt64(CLONE_NEWTIME))

    /// The names, in the order of the bits' importance.
    public var names: [String] {
        let all: [(Namespaces, String)] = [
            (.user, "user"), (.mount, "mount"), (.pid, "pid"), (.network, "net"), (.ipc, "ipc"), (.uts, "uts"),
            (.cgroup, "cgroup"), (.time, "time"),
        ]
        return all.filter { contains($0.0) }.map(\.1)
    }
}

/// Moves the calling thread into new namespaces.
///
/// The corresponding C function is `unshare`.
public func enterNew(_ namespaces: Namespaces) throws(Errno) { try check(unshare(Int32(namespaces.rawValue))) }

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

    /// Sends a signal; a child that is dead already is not an error.
    ///
    /// The corresponding C function is `pidfd_send_signal`.
    public borrowing func signal(_ number: Int32) throws(Errno) {
        if pidfd_send_signal(pidfd.raw, number, nil, 0) != 0 {
            let error = Errno.current
            if error != .noProcess { throw error }
        }
    }

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

/// A limit on a process, as in setrlimit(2).
public struct ResourceLimit: Sendable, Hashable {
    /// The RLIMIT_ number.
    public let resource: Int32
    /// Soft and hard value.
    public let value: UInt64

    /// Limits one resource.
    public init(_ resource: Resource, _ value: UInt64) {
        self.resource = resource.rawValue
        self.value = value
    }

    /// Makes one from the RLIMIT_ number.
    public init(number: Int32, value: UInt64) {
        resource = number
        self.value = value
    }

    /// What can be limited, with the numbers of x86-64.
    public enum Resource: Int32, Sendable, CaseIterable {
        case fileSize = 1, core = 4, processes = 6, openFiles = 7, messageQueues = 12
    }
}

/// Limits a resource of the calling process, for good.
///
/// The corresponding C function is `setrlimit`.
public func setLimit(_ limit: ResourceLimit) throws(Errno) {
    try checkRaw(cordon_setrlimit(limit.resource, limit.value))
}

/// What a command is started with. Everything is the command's own: the spawner keeps its identity.
public struct CommandStart: Sendable {
    /// Executables to try in order, as execvp(3) does.
    public var candidates: [String]
    /// The arguments, the name first.
    public var arguments: [String]
    /// `NAME=value` each.
    public var environment: [String]
    /// The working directory, entered with the command's own rights.
    public var directory: String
    /// The user and group, or nil where it keeps the spawner's.
    public var identity: (user: UInt32, group: UInt32)?
    /// A bit for each capability that it keeps.
    public var capabilities: UInt64
    /// Limits that are for each process.
    public var limits: [ResourceLimit]
    /// Whether descriptor 0 becomes its controlling terminal.
    public var controllingTerminal: Bool
    /// A Landlock ruleset that it alone is under, or nil.
    public var ruleset: Int32?

    /// Makes a start.
    public init(
        candidates: [String], arguments: [String], environment: [String], directory: String,
        identity: (user: UInt32, group: UInt32)?, capabilities: UInt64, limits: [ResourceLimit],
        controllingTerminal: Bool, ruleset: Int32? = nil
    ) {
        self.candidates = candidates
        self.arguments = arguments
        self.environment = environment
        self.directory = directory
        self.identity = identity
        self.capabilities = capabilities
        self.limits = limits
        self.controllingTerminal = controllingTerminal
        self.ruleset = ruleset
    }
}

/// Starts a command as a sibling: the caller's parent reaps it. Returns its pid.
///
/// The corresponding system calls are `clone` with CLONE_PARENT and `execve`.
public func startCommand(_ start: CommandStart, descriptors: (Int32, Int32, Int32)) throws(SpawnFailure) -> Int32 {
    var failed: Int32 = 0
    let limits = start.limits.map { cordon_rlimit(resource: $0.resource, soft: $0.value, hard: $0.value) }
    let pid = unsafe withCStrings(start.candidates) { paths in
        unsafe withCStrings(start.arguments) { arguments in
            unsafe withCStrings(start.environment) { environment in
                unsafe withCStrings([start.directory]) { directory in
                    unsafe limits.withUnsafeBufferPointer { limits in
                        var command = unsafe cordon_command(
                            paths: paths, arguments: arguments, environment: environment, directory: directory.pointee,
                            descriptors: descriptors, user: start.identity?.user ?? UInt32.max,
                            group: start.identity?.group ?? UInt32.max, capabilities: start.capabilities,
                            limits: limits.baseAddress, limit_count: limits.count,
                            controlling_terminal: start.controllingTerminal ? 1 : 0, ruleset: start.ruleset ?? -1)
                        return unsafe cordon_spawn_command(&command, &failed)
                    }
                }
            }
        }
    }
    guard pid > 0 else {
        let steps = [
            "clone", "clone", "session", "descriptors", "limits", "identity", "capabilities", "directory", "landlock",
            "execve",
        ]
        throw SpawnFailure(step: steps[Int(failed)], errno: Errno(rawValue: -pid))
    }
    return pid
}

/// Executes another program in this process. Returns only where that fails.
///
/// The corresponding C function is `execve`.
public func replaceProcess(_ path: String, arguments: [String], environment: [String]) {
    unsafe withCStrings(arguments) { argv in
        unsafe withCStrings(environment) { envp in
            unsafe cordon_execve(path, argv, envp)
        }
    }
}

/// Forks; zero in the child. Only for single-threaded programs.
///
/// The corresponding C function is `fork`.
public func forkProcess() throws(Errno) -> Int32 { try checkRaw(cordon_fork()) }

/// How a process ended.
public enum ExitStatus: Sendable, Hashable {
    /// By itself, with this code.
    case exited(Int32)
    /// By this signal.
    case signaled(Int32)

    /// From the status of wait(2); nil for a stop or a continuation.
    public init?(waitStatus: Int32) {
        if cordon_exited(waitStatus) != 0 {
            self = .exited(cordon_exit_status(waitStatus))
        } else if cordon_signaled(waitStatus) != 0 {
            self = .signaled(cordon_term_signal(waitStatus))
        } else {
            return nil
        }
    }
}

/// A dead child.
public struct ReapedChild: Sendable {
    /// Its pid.
    public let pid: Int32
    /// The raw wait status.
    public let status: Int32
    /// Processor time of it and of the children it reaped, in microseconds.
    public let cpuMicroseconds: UInt64
    /// The most memory that it or one of the children it reaped had resident, in bytes.
    public let peakMemory: UInt64
}

/// Reaps one dead child of any kind, without waiting; nil when none is dead.
///
/// The corresponding C function is `wait4` with WNOHANG and __WALL.
public func reapAny() throws(Errno) -> ReapedChild? {
    var status: Int32 = 0
    var usage = rusage()
    let pid = unsafe wait4(-1, &status, WNOHANG | Int32(bitPattern: 0x4000_0000), &usage)
    if pid == 0 { return nil }
    if pid < 0 {
        let error = Errno.current
        if error == .noChild { return nil }
        throw error
    }
    func microseconds(_ time: timeval) -> UInt64 { UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_usec) }
    return ReapedChild(
        pid: pid, status: status, cpuMicroseconds: microseconds(usage.ru_utime) + microseconds(usage.ru_stime),
        peakMemory: UInt64(max(0, usage.ru_maxrss)) * 1024)
}

/// Sends a signal by pid; only where no pidfd can exist (pid namespaces' own init).
///
/// The corresponding C function is `kill`.
public func sendSignal(_ number: Int32, to pid: Int32) throws(Errno) { try check(kill(pid, number)) }

/// Ends the process at once, running no exit handlers.
///
/// The corresponding C function is `_exit`.
public func exitNow(_ code: Int32) -> Never { _exit(code) }

/// This process's pid in its own namespace.
public var processID: Int32 { getpid() }

/// The real user and group of this process.
public var callerIdentity: (user: UInt32, group: UInt32) { (getuid(), getgid()) }

/// The effective user of this process.
public var effectiveUser: UInt32 { geteuid() }

/// A session of its own, without a terminal.
///
/// The corresponding C function is `setsid`.
public func startSession() throws(Errno) { try check(setsid()) }

/// A process that does nothing but keep new namespaces alive. It is gone when the value is.
///
/// The corresponding system call is `clone3`; the process shares this one's memory and runs no Swift.
///
/// Safe: the stack is private, unmapped once, and only after the process that stands on it is reaped.
@safe public struct NamespaceHolder: ~Copyable {
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

private func mapStack(_ size: Int) -> UnsafeMutableRawPointer? {
    let address = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    return unsafe address == UnsafeMutableRawPointer(bitPattern: -1) ? nil : address
}

/// How many processors are online.
///
/// The corresponding C function is `sysconf` with `_SC_NPROCESSORS_ONLN`.
public func processorCount() -> Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) }
