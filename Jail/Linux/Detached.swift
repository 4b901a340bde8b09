// Starting a program that outlives its starter.
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
        // Out of the way, since it may be 3 itself.
        let moved = cordon_fcntl(descriptor, F_DUPFD_CLOEXEC, 10)
        dup2(moved, 3)
        // Where it belongs: a directory that is mounted there can be unmounted.
        _ = unsafe chdir("/")
        replaceProcess(path, arguments: arguments, environment: environment)
        _ = try? writing.write(String(errno))
        _exit(127)
    }
    var status: Int32 = 0
    _ = unsafe waitpid(child, &status, 0)
    _ = consume writing
    let answer = try reading.readAll(limit: 64)
    if let number = Int32(String(decoding: answer, as: UTF8.self)) { throw Errno(rawValue: number) }
}

/// Waits for a lock on a whole file, which goes with its last descriptor.
///
/// The corresponding C function is `flock`.
public func waitForLock(_ descriptor: Int32) throws(Errno) {
    try retrying { flock(descriptor, LOCK_EX) }
}
