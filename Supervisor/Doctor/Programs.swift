// Starting programs in trials, and the programs that Cordon itself consists of.
internal import Linux

/// Runs a program of the host to its end, without input and output.
func runProgram(_ path: String, _ arguments: [String]) throws(Obstacle) -> ExitStatus? {
    let file = try doing("open \(path)") { () throws(Errno) in try open(path, .readOnly) }
    return try execute(file, [path] + arguments, cgroup: nil)
}

/// Runs an open file to its end, in a version 2 cgroup where one is given.
///
/// - Returns: nil where somebody else reaped it.
func execute(_ file: borrowing Descriptor, _ arguments: [String], cgroup: Int32?) throws(Obstacle) -> ExitStatus? {
    let child = try start(file, arguments, cgroup: cgroup)
    // ESRCH is no error to this call; anything else means that pidfds do not work.
    try doing("pidfd_send_signal") { () throws(Errno) in try child.signal(0) }
    let status = try doing("wait") { () throws(Errno) in try child.wait() }
    return status.flatMap { ExitStatus(waitStatus: $0) }
}

private func start(_ file: borrowing Descriptor, _ arguments: [String], cgroup: Int32?) throws(Obstacle) -> ChildProcess
{
    let null = try doing("open /dev/null") { () throws(Errno) in try open("/dev/null", .readWrite) }
    do throws(SpawnFailure) {
        let child = try cloneAndExecute(
            file, arguments: arguments, namespaces: [], cgroup: cgroup, control: -1, null: null.raw,
            ambientCapabilities: 0)
        try child.confirmExecuted()
        return child
    } catch {
        throw Obstacle(error.step, error.errno)
    }
}

/// The smallest program there is (x86-64): it exits with 42. An ELF header, one program header, three
/// instructions: `mov edi, 42; mov eax, SYS_exit; syscall`. See elf(5).
let smallestProgram: [UInt8] =
    [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]  // \x7fELF, 64 bits, little-endian
    + [2, 0, 62, 0, 1, 0, 0, 0] + little(0x40_0078) + little(64) + little(0)  // executable, entry, headers at 64
    + [0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]  // one program header of 56 bytes
    + [1, 0, 0, 0, 5, 0, 0, 0] + little(0) + little(0x40_0000) + little(0x40_0000)  // PT_LOAD, readable and executable
    + little(132) + little(132) + little(4096) + [0xbf, 42, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]

private func little(_ value: UInt64) -> [UInt8] {
    stride(from: UInt64(0), to: 64, by: 8).map { UInt8(truncatingIfNeeded: value >> $0) }
}

/// jail-init and the janitor lie beside the program that starts them.
func checkPrograms() -> [Check] {
    let group = "programs"
    let own = (try? readLink("/proc/self/exe")) ?? ""
    let directory = String(own[..<(own.lastIndex(of: "/") ?? own.endIndex)])
    return ["jail-init", "cordon-janitor"].map { name in
        let path = directory + "/" + name
        guard let status = try? status(at: path, follow: true), status.isRegular else {
            return .fails(
                name, in: group, "\(path) is not there",
                Blocker(
                    name: "an incomplete installation",
                    remedy: "install all of Cordon's programs into one directory (make build)",
                    isMissing: true))
        }
        guard mayExecute(path) else {
            return .fails(
                name, in: group, "\(path) cannot be executed",
                Blocker(name: "its permissions, or a noexec mount", remedy: "chmod 755 \(path)"))
        }
        return .works(name, in: group, path)
    }
}
