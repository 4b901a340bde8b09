// The supervisor's side of its janitor.
internal import Linux

/// A janitor process and the socket to it. Closing the socket lets it finish and go.
struct JanitorClient: ~Copyable, Sendable {
    private let socket: Descriptor
    private let process: ChildProcess
    private let executable: String

    /// Starts one.
    init(executable: String) throws(LaunchFailure) {
        var pair = try step("janitor") { () throws(Errno) in try makeSocketPair() }
        let ours = try step("janitor") { () throws(Errno) in try pair.takeReading() }
        let theirs = try step("janitor") { () throws(Errno) in try pair.takeWriting() }
        let file = try step("janitor", executable) { () throws(Errno) in try open(executable, .readOnly) }
        let null = try step("janitor", "/dev/null") { () throws(Errno) in try open("/dev/null", .readWrite) }
        process = try janitorStep(executable) { () throws(SpawnFailure) in
            // It starts at the same time as the first jail, and can wait.
            try cloneAndExecute(
                file, arguments: ["cordon-janitor"], namespaces: [], cgroup: nil, control: theirs.raw, null: null.raw,
                ambientCapabilities: 0, niceness: 10)
        }
        self.executable = executable
        socket = ours
    }

    /// Tells it of a jail before anything runs there.
    func add(_ id: String, directories: [String], initProcess: Int32) throws(LaunchFailure) {
        try janitorStep(executable) { () throws(SpawnFailure) in try process.confirmExecuted() }
        let text = (["add", id] + directories).joined(separator: "\n")
        try step("janitor") { () throws(Errno) in
            try send(Array(text.utf8), descriptors: [initProcess], on: socket.raw)
        }
    }

    /// Every jail was cleaned up: it may go. Without this word, the end of the socket means that we were killed.
    deinit { try? send(Array("bye\n".utf8), on: socket.raw) }

    /// Tells it that a jail was cleaned up.
    func done(_ id: String) {
        // A janitor that is gone has nothing to forget.
        try? send(Array("done\n\(id)".utf8), on: socket.raw)
    }
}

private func janitorStep<Result: ~Copyable>(
    _ executable: String, _ body: () throws(SpawnFailure) -> Result
) throws(LaunchFailure) -> Result {
    do throws(SpawnFailure) { return try body() } catch {
        throw LaunchFailure(step: "janitor", object: executable, errno: error.errno)
    }
}
