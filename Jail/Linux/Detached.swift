// Starting a program in a session of its own: one that outlives its starter, or one that its starter looks after.
internal import CLinux
internal import Glibc

/// Starts a program in a session of its own, with nothing on 0, 1 and 2, and one descriptor as number 3. It has no parent to
/// wait for it. Only for single-threaded programs.
///
/// - Throws: why it could not be executed.
///
/// The corresponding C functions are `fork`, `setsid`, `dup2` and `execve`.
public func startDetached(
    _ path: String, arguments: [String], environment: [String], descriptor: Int32
) throws(Errno) {
    var told = try makePipe()
    let reading = try told.takeReading(), writing = try told.takeWriting()
    let null = try open("/dev/null", .readWrite)
    let child = try forkProcess()
    if child == 0 {
        // The child's own child belongs to nobody, so it is reaped by the system.
        if setsid() < 0 || ((try? forkProcess()) ?? -1) != 0 { _exit(0) }
        for number: Int32 in 0...2 { dup2(null.raw, number) }
        executeInChild(path, arguments, environment, descriptor, failure: writing.raw)
    }
    var status: Int32 = 0
    _ = unsafe waitpid(child, &status, 0)
    _ = consume writing
    try requireExecuted(reading)
}

/// Starts a program in a session of its own, with nothing on 0, the caller's own 2 on 1 and 2, and one descriptor as number 3,
/// as a child of the caller's. Only for single-threaded programs.
///
/// - Parameter entrances: files of cgroups, as `cgroup.procs`, that it enters before it executes.
/// - Throws: why it could not enter them or be executed. Then there is no child.
///
/// The corresponding C functions are `fork`, `setsid`, `dup2` and `execve`.
public func startChild(
    _ path: String, arguments: [String], environment: [String], descriptor: Int32, entrances: [String]
) throws(Errno) -> ProcessHandle {
    var told = try makePipe()
    let reading = try told.takeReading(), writing = try told.takeWriting()
    let null = try open("/dev/null", .readWrite)
    let child = try forkProcess()
    if child == 0 {
        _ = setsid()
        // What the caller blocked in order to read it is the caller's own affair.
        var none = sigset_t()
        _ = unsafe sigemptyset(&none)
        _ = unsafe pthread_sigmask(SIG_SETMASK, &none, nil)
        for file in entrances {
            // Zero is whoever writes it (cgroups(7)).
            do throws(Errno) { try writeText("0", to: file) } catch { fail(error, writing.raw) }
        }
        dup2(null.raw, 0)
        dup2(2, 1)
        executeInChild(path, arguments, environment, descriptor, failure: writing.raw)
    }
    _ = consume writing
    do throws(Errno) {
        try requireExecuted(reading)
        return try ProcessHandle(pid: child)
    } catch {
        _ = kill(child, SIGKILL)
        var status: Int32 = 0
        _ = unsafe waitpid(child, &status, 0)
        throw error
    }
}

/// Becomes the program, with `descriptor` as number 3 and no others from there on.
private func executeInChild(
    _ path: String, _ arguments: [String], _ environment: [String], _ descriptor: Int32, failure: Int32
) -> Never {
    // Out of the way, since it may be 3 itself.
    let moved = cordon_fcntl(descriptor, F_DUPFD_CLOEXEC, 10)
    dup2(moved, 3)
    // Where it belongs: a directory that is mounted there can be unmounted.
    _ = unsafe chdir("/")
    replaceProcess(path, arguments: arguments, environment: environment)
    fail(Errno.current, failure)
}

private func fail(_ error: Errno, _ told: Int32) -> Never {
    _ = try? write(told, Array(String(error.rawValue).utf8)[...])
    _exit(127)
}

/// A program that is executed closes the pipe without a word.
private func requireExecuted(_ told: borrowing Descriptor) throws(Errno) {
    let answer = try told.readAll(limit: 64)
    if let number = Int32(String(decoding: answer, as: UTF8.self)) { throw Errno(rawValue: number) }
}

/// Waits for a lock on a whole file, which goes with its last descriptor.
///
/// The corresponding C function is `flock`.
public func waitForLock(_ descriptor: Int32) throws(Errno) {
    try retrying { flock(descriptor, LOCK_EX) }
}
