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

/// Gives memory that is free in this process back to the system.
///
/// The corresponding C function is `malloc_trim`.
public func releaseFreeMemory() { cordon_release_memory() }

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

/// Whether this process has a child that is not reaped.
///
/// The corresponding C function is `waitid` with WNOWAIT.
public var hasChildren: Bool {
    var information = unsafe siginfo_t()
    return unsafe waitid(P_ALL, 0, &information, WEXITED | WNOHANG | WNOWAIT) == 0
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

/// The process that started this one.
///
/// The corresponding C function is `getppid`.
public var parentProcessID: Int32 { getppid() }

/// The real user and group of this process.
public var callerIdentity: (user: UInt32, group: UInt32) { (getuid(), getgid()) }

/// The effective user of this process.
public var effectiveUser: UInt32 { geteuid() }

/// A session of its own, without a terminal.
///
/// The corresponding C function is `setsid`.
public func startSession() throws(Errno) { try check(setsid()) }

/// The session of this process (credentials(7)), told apart from any other one since the machine was installed: the id of
/// the boot, the leader's pid, and when it started; nil where the leader is gone or not to be seen.
public func terminalSession() -> String? {
    let leader = getsid(0)
    // The name in parentheses may hold anything; what follows the last one is numbers (proc(5), /proc/pid/stat).
    guard leader > 0, let boot = try? readText("/proc/sys/kernel/random/boot_id"),
        let state = try? readText("/proc/\(leader)/stat"), let name = state.lastIndex(of: ")")
    else {
        return nil
    }
    let fields = state[name...].split(separator: " ")
    // The start time is field 22, and the name was the second.
    guard fields.count > 20 else { return nil }
    return "\(boot.filter { !$0.isNewline })/\(leader)/\(fields[20])"
}

/// How many processors are online.
///
/// The corresponding C function is `sysconf` with `_SC_NPROCESSORS_ONLN`.
public func processorCount() -> Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) }
