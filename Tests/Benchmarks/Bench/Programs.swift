// Starting programs of the host, timed from outside.
internal import CLinux
internal import Glibc
internal import Linux

/// A program that was started; it is waited for by its owner.
struct Program {
    let pid: pid_t

    /// Starts a program with this process's environment. Descriptors that are not close-on-exec cross.
    init(_ path: String, _ arguments: [String], input: Int32? = nil, output: Int32? = nil) throws(Errno) {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        if let input {
            unsafe posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        if let output { unsafe posix_spawn_file_actions_adddup2(&actions, output, 1) }
        var pointers = unsafe ([path] + arguments).map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        defer { unsafe pointers.forEach { unsafe free($0) } }
        var pid: pid_t = 0
        let error = unsafe posix_spawn(&pid, path, &actions, nil, pointers, cordon_environment())
        guard error == 0 else { throw Errno(rawValue: error) }
        self.pid = pid
    }

    /// Its wait status.
    func wait() -> Int32 {
        var status: Int32 = -1
        while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return status
    }

    /// Runs it to its end and tells how long that took, in nanoseconds; nil where it failed.
    static func time(_ path: String, _ arguments: [String]) -> UInt64? {
        let begin = monotonicNanoseconds()
        guard let program = try? Program(path, arguments), program.wait() == 0 else { return nil }
        return monotonicNanoseconds() - begin
    }
}

/// The C floor, one iteration at a time, so that it can alternate with what it is compared with. It ends when
/// the value goes away.
struct Floor: ~Copyable {
    private let program: Program
    private let requests: Int32
    private let answers: Descriptor

    /// - Parameter mode: `full`, `exec-init` or `bare`.
    init(_ executable: String, _ mode: String, plan: String) throws(Errno) {
        var input = try makePipe(), output = try makePipe()
        let theirInput = try input.takeReading(), theirOutput = try output.takeWriting()
        let requests = try input.takeWriting(), answers = try output.takeReading()
        program = try Program(executable, [mode, "-", plan], input: theirInput.raw, output: theirOutput.raw)
        self.requests = requests.release()
        self.answers = answers
    }

    deinit {
        // End-of-file is its order to end.
        _ = close(requests)
        _ = program.wait()
    }

    /// The nanoseconds of one jail; nil where it failed.
    func next() -> UInt64? {
        guard (try? Linux.write(requests, [10])) == 1 else { return nil }
        var text = ""
        var buffer = [UInt8](repeating: 0, count: 64)
        while !text.hasSuffix("\n") {
            guard let count = try? answers.read(into: &buffer), count > 0 else { return nil }
            text += String(decoding: buffer[..<count], as: UTF8.self)
        }
        return UInt64(text.dropLast())
    }
}
