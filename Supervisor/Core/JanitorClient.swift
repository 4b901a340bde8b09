// The supervisor's side of its janitor.
internal import Linux

/// A process that sleeps until this one is gone, and then becomes the janitor. In good order it is sent away.
///
/// It is there before the first cgroup is made, so that none can outlive the supervisor unseen. The program that cleans
/// up is executed only where there is something to clean: most supervisors are never killed.
struct JanitorClient: ~Copyable, Sendable {
    /// Closed before `process` waits for its execution.
    private let gate: Descriptor
    private let process: ChildProcess

    /// Starts it.
    init(executable: String, null: borrowing Descriptor) throws(LaunchFailure) {
        let file = try step("janitor", executable) { () throws(Errno) in
            let file = try open(executable, .readOnly)
            // It cannot be tried without doing its work, so at least it must be a program.
            var magic = [UInt8](repeating: 0, count: 4)
            guard try file.read(into: &magic) == 4, magic == Array("\u{7f}ELF".utf8), mayExecute(executable) else {
                throw Errno.notExecutable
            }
            return file
        }
        var pipe = try step("janitor") { () throws(Errno) in try makePipe() }
        let reading = try step("janitor") { () throws(Errno) in try pipe.takeReading() }
        let writing = try step("janitor") { () throws(Errno) in try pipe.takeWriting() }
        process = try Self.start(file, reading, null, executable)
        gate = writing
    }

    private static func start(
        _ file: borrowing Descriptor, _ gate: borrowing Descriptor, _ null: borrowing Descriptor, _ executable: String
    ) throws(LaunchFailure) -> ChildProcess {
        try launching(executable, as: "janitor") { () throws(SpawnFailure) in
            try cloneAndExecute(
                file, arguments: ["cordon-janitor"], namespaces: [], cgroup: nil, control: -1, null: null.raw,
                ambientCapabilities: 0, gate: gate.raw)
        }
    }

    /// Whether it has been killed, so that nobody would clean up after this process.
    var isDead: Bool { process.isDead }

    /// Every jail was cleaned up: it may go.
    deinit {
        // Where it cannot be told, it hears the gate close, looks for remains, finds none, and goes.
        if (try? gate.writeAll([1])) != nil { _ = try? process.wait() }
    }
}
