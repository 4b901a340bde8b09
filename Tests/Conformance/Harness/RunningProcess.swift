// A child process with pipes and a deadline. Foundation's Process takes 50 ms for each run.
import Glibc

/// How a process ended.
enum Ending: Equatable, Sendable {
    case exited(Int32)
    case signaled(Int32)
    /// It was killed here, because the deadline had passed.
    case overdue
}

/// What is left of a process when it is gone.
struct Finished: Sendable {
    var ending: Ending
    var output: [UInt8]
    var errors: [UInt8]
    /// VmHWM in kilobytes, as last seen alive.
    var peakMemory: Int
    var milliseconds: Int

    var outputText: String { String(decoding: output, as: UTF8.self) }
    var errorText: String { String(decoding: errors, as: UTF8.self) }
}

struct SpawnError: Error, CustomStringConvertible {
    var description: String
}

/// A process that was started and not yet waited for. Whoever drops it kills it.
final class RunningProcess {
    let pid: pid_t
    private var input: Int32
    private var outputs: [Int32]
    private var captured: [[UInt8]] = [[], []]
    private var peakMemory = 0
    private var status: Int32?
    private let begun = now()

    /// - Parameters:
    ///   - inherited: descriptors of this process that the child gets under the same numbers, without CLOEXEC.
    ///   - input: bytes that are written at once (they have to fit into a pipe); nil: a pipe that stays open.
    init(
        _ arguments: [String], environment: [String: String], directory: String, inherited: [Int32] = [],
        input: [UInt8]? = []
    ) throws {
        var pipes: [(reading: Int32, writing: Int32)] = []
        for _ in 0..<3 { pipes.append(try makePipe()) }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        for (index, end) in [pipes[0].reading, pipes[1].writing, pipes[2].writing].enumerated() {
            unsafe posix_spawn_file_actions_adddup2(&actions, end, Int32(index))
        }
        // A descriptor that is duplicated onto itself loses CLOEXEC.
        for descriptor in inherited { _ = unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor) }
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t(), all = sigset_t()
        unsafe sigemptyset(&none)
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        unsafe posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

        let words = unsafe (["env", "-C", directory] + arguments).map { unsafe strdup($0) } + [nil]
        let variables = unsafe environment.map { unsafe strdup($0.key + "=" + $0.value) } + [nil]
        defer { for unsafe word in unsafe words + variables { unsafe free(word) } }
        var child: pid_t = 0
        let error = unsafe posix_spawnp(&child, "env", &actions, &attributes, words, variables)
        for end in [pipes[0].reading, pipes[1].writing, pipes[2].writing] { close(end) }
        self.input = pipes[0].writing
        outputs = [pipes[1].reading, pipes[2].reading]
        pid = child
        guard error == 0 else {
            status = 0
            throw SpawnError(description: "\(arguments[0]): \(unsafe String(cString: strerror(error)))")
        }
        for output in outputs { _ = fcntl(output, F_SETFL, O_NONBLOCK) }
        if let input {
            write(input)
            closeInput()
        }
    }

    deinit {
        if status == nil {
            kill(pid, SIGKILL)
            _ = reap(0)
        }
        closeInput()
        for output in outputs where output >= 0 { close(output) }
    }

    func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(input, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    func signal(_ number: Int32) { kill(pid, number) }

    var outputSoFar: String { String(decoding: captured[0], as: UTF8.self) }

    /// Waits until standard output has this text; false when the process ends or time is up before.
    func waitForOutput(_ text: String, seconds: Double = 10) -> Bool {
        let deadline = now() + seconds
        while !outputSoFar.contains(text) {
            guard now() < deadline, status == nil else { return false }
            readSome(until: deadline)
            if outputs == [-1, -1] { return outputSoFar.contains(text) }
        }
        return true
    }

    /// Waits for the end, or makes one.
    func finish(within seconds: Double = 30) -> Finished {
        let deadline = now() + seconds
        var overdue = false
        while outputs != [-1, -1] {
            readSome(until: deadline)
            if now() >= deadline {
                overdue = true
                kill(pid, SIGKILL)
                break
            }
            // A survivor that holds the pipe must not be waited for.
            if reap(WNOHANG) {
                drain()
                break
            }
        }
        while !reap(WNOHANG) {
            if now() >= deadline, !overdue {
                overdue = true
                kill(pid, SIGKILL)
            }
            usleep(500)
        }
        let raw = status ?? 0
        let ending: Ending = raw & 0x7f == 0 ? .exited(raw >> 8 & 0xff) : .signaled(raw & 0x7f)
        return Finished(
            ending: overdue ? .overdue : ending, output: captured[0], errors: captured[1], peakMemory: peakMemory,
            milliseconds: Int((now() - begun) * 1000))
    }

    /// Reaps the child if it is dead.
    private func reap(_ options: Int32) -> Bool {
        if status != nil { return true }
        var raw: Int32 = 0
        guard unsafe waitpid(pid, &raw, options) == pid else { return false }
        status = raw
        return true
    }

    private func readSome(until deadline: Double) {
        var polled = outputs.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        let wait = max(0, min(50, Int32((deadline - now()) * 1000)))
        _ = unsafe poll(&polled, 2, wait)
        samplePeak()
        drain()
    }

    private func drain() {
        var buffer = [UInt8](repeating: 0, count: 65536)
        for index in outputs.indices where outputs[index] >= 0 {
            while true {
                let count = unsafe read(outputs[index], &buffer, buffer.count)
                if count > 0 {
                    captured[index] += buffer[..<count]
                } else if count == 0 || errno != EAGAIN {
                    close(outputs[index])
                    outputs[index] = -1
                    break
                } else {
                    break
                }
            }
        }
    }

    private func samplePeak() {
        for line in (readFile("/proc/\(pid)/status") ?? "").split(separator: "\n") where line.hasPrefix("VmHWM:") {
            peakMemory = max(peakMemory, Int(line.split(separator: " ").dropLast().last ?? "0") ?? 0)
        }
    }
}

/// Seconds on the monotonic clock.
func now() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Asks again and again until the answer is yes or time is up.
func eventually(within seconds: Double, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = now() + seconds
    while true {
        if try condition() { return true }
        if now() >= deadline { return false }
        usleep(2000)
    }
}

private func makePipe() throws -> (reading: Int32, writing: Int32) {
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { throw SpawnError(description: "pipe") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
}

/// A whole file; nil when it cannot be read. Works for /proc, whose files have no size.
func readFile(_ path: String) -> String? {
    let file = Calls.open(path, O_RDONLY)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16384)
    while true {
        let count = unsafe read(file, &buffer, buffer.count)
        if count < 0 { return nil }
        if count == 0 { return String(decoding: bytes, as: UTF8.self) }
        bytes += buffer[..<count]
    }
}
