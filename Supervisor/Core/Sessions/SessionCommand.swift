// One command of a session, from its order to its report.
internal import JailPlan
internal import Linux

/// What to run in a session.
public struct SessionRequest: Sendable {
    /// The command and its arguments.
    public var arguments: [String]
    /// The working directory in the jail.
    public var directory: String
    /// `NAME=value` each.
    public var environment: [String]
    /// Text for its standard input; nil for none.
    public var input: [UInt8]?
    /// Milliseconds on the wall clock.
    public var wallLimit: UInt64?
    /// Bytes kept of each stream.
    public var outputLimit: UInt64 = 2 << 20
    /// Limits within those of the jail.
    public var memory: UInt64?
    /// As `memory`.
    public var pids: UInt64?
    /// Whether what it leaves running when it ends goes on.
    public var isBackground = false

    /// A request without limits of its own.
    public init(arguments: [String], directory: String, environment: [String]) {
        self.arguments = arguments
        self.directory = directory
        self.environment = environment
    }
}

/// A command that was ordered.
public final class SessionCommand {
    /// Where it is in its life.
    public enum State: String, Sendable {
        case starting, running, ended
    }

    /// Unique in its session.
    public let id: UInt64
    /// What was asked for.
    public let request: SessionRequest
    /// Where it is.
    public private(set) var state = State.starting
    /// What became of it; before its end what is known so far.
    public private(set) var outcome: Outcome
    private let loop: EventLoop
    private let jail: SessionJail
    private var groups: CommandGroupsBox?
    private var output: Stream, errors: Stream
    private var input: Input?
    private var pid: Int32?
    private var earlySignals: [Int32] = []
    private var startedAt: UInt64 = 0
    private var timer: EventLoop.Timer?
    /// Why it is being killed.
    private var killedFor: EndReason?
    private var death: SessionJail.Death?
    private var endHandlers: [() -> Void] = []
    private var outputHandlers: [() -> Void] = []

    /// One of its streams: the pipe while it is open, and what was kept.
    private struct Stream {
        var source: DescriptorBox?
        var watch: EventLoop.Watch?
        var capture: Capture
        var masker: Masker
        var buffer = ReadBuffer()
    }

    /// What is still to be written to its standard input.
    private final class Input {
        let target: Descriptor
        var bytes: ArraySlice<UInt8>
        var watch: EventLoop.Watch?

        init(target: consuming Descriptor, bytes: [UInt8]) {
            self.target = target
            self.bytes = bytes[...]
        }
    }

    private final class DescriptorBox {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }

    /// A stream that is given up when a command is dead but its pipe is held: the call must not hang.
    private static let patience: UInt64 = 1_000_000_000

    init(
        id: UInt64, _ request: SessionRequest, jail: SessionJail, groups: CommandGroupsBox?, masked: [String],
        guarantees: GuaranteeNames, loop: EventLoop
    ) {
        self.id = id
        self.request = request
        self.jail = jail
        self.groups = groups
        self.loop = loop
        outcome = Outcome(reason: .error, guarantees: guarantees)
        output = Stream(capture: Capture(limit: request.outputLimit), masker: Masker(masked))
        errors = Stream(capture: Capture(limit: request.outputLimit), masker: Masker(masked))
    }

    /// Orders it. What fails here is its outcome too.
    func start(searchPath: [String], null: Int32) {
        do throws(LaunchFailure) {
            try order(searchPath: searchPath, null: null)
        } catch {
            fail(error)
        }
    }

    private func order(searchPath: [String], null: Int32) throws(LaunchFailure) {
        if request.memory != nil || request.pids != nil {
            guard let groups else {
                throw LaunchFailure(step: "cgroups", remedy: "without cgroups a command has no limits of its own")
            }
            try groups.groups.limit(memory: request.memory, pids: request.pids)
        }
        var outputPipe = try step("pipe") { () throws(Errno) in try makePipe() }
        var errorPipe = try step("pipe") { () throws(Errno) in try makePipe() }
        output.source = DescriptorBox(try step("pipe") { () throws(Errno) in try outputPipe.takeReading() })
        errors.source = DescriptorBox(try step("pipe") { () throws(Errno) in try errorPipe.takeReading() })
        let theirOutput = try step("pipe") { () throws(Errno) in try outputPipe.takeWriting() }
        let theirErrors = try step("pipe") { () throws(Errno) in try errorPipe.takeWriting() }
        try step("epoll") { () throws(Errno) in
            try output.source?.descriptor.setNonBlocking(true)
            try errors.source?.descriptor.setNonBlocking(true)
            try watchStream(\.output)
            try watchStream(\.errors)
        }
        let command = CommandRequest(
            candidates: candidates(request.arguments.first ?? "", in: searchPath),
            arguments: request.arguments, environment: request.environment, directory: request.directory)
        let answer = SessionJail.Starting(
            started: { [self] pid in began(pid) }, failed: { [self] failure in fail(failure) })
        let entrances = groups?.groups.entrances.raw ?? []
        if let text = request.input {
            var inputPipe = try step("pipe") { () throws(Errno) in try makePipe() }
            let theirInput = try step("pipe") { () throws(Errno) in try inputPipe.takeReading() }
            let input = Input(target: try step("pipe") { () throws(Errno) in try inputPipe.takeWriting() }, bytes: text)
            try step("pipe") { () throws(Errno) in try input.target.setNonBlocking(true) }
            self.input = input
            try jail.start(
                command, descriptors: (theirInput.raw, theirOutput.raw, theirErrors.raw), groups: entrances, answer)
            feed()
        } else {
            try jail.start(command, descriptors: (null, theirOutput.raw, theirErrors.raw), groups: entrances, answer)
        }
    }

    /// Ends it before its turn came.
    func abandon() { fail(LaunchFailure(step: "session", remedy: "it was closed before the command's turn came")) }

    // MARK: - For its caller

    /// Calls back when it has ended, at once where it has already.
    public func whenEnded(_ action: @escaping () -> Void) {
        if state == .ended { action() } else { endHandlers.append(action) }
    }

    /// Calls back once when there is more output, or none to come.
    public func whenOutput(_ action: @escaping () -> Void) {
        if state == .ended { action() } else { outputHandlers.append(action) }
    }

    /// Sends a signal to its whole tree: SIGKILL to every process, any other to its process group.
    public func kill(_ number: Int32) throws(LaunchFailure) {
        // What comes before its pid is known waits for it: its output may be there before.
        if state == .starting { return earlySignals.append(number) }
        guard state == .running, let pid else { return }
        if number == Signal.kill, let groups { groups.groups.kill() }
        try jail.signal(number, to: pid)
    }

    /// Bytes of one stream from a cursor on; see ``Capture``.
    public func read(errors wantsErrors: Bool, from offset: UInt64, limit: Int) -> (
        bytes: [UInt8], start: UInt64, next: UInt64
    ) {
        (wantsErrors ? errors : output).capture.read(from: offset, limit: limit)
    }

    /// How many bytes there were.
    public var produced: (output: UInt64, errors: UInt64) { (output.capture.total, errors.capture.total) }

    // MARK: - Its life

    private func began(_ pid: Int32) {
        self.pid = pid
        state = .running
        startedAt = monotonicNanoseconds()
        if let limit = request.wallLimit {
            let nanoseconds = limit.multipliedReportingOverflow(by: 1_000_000)
            timer = loop.after(nanoseconds.overflow ? .max : nanoseconds.partialValue) { [weak self] in
                guard let self, state == .running else { return }
                killedFor = .timeout
                groups?.groups.kill()
                try? jail.signal(Signal.kill, to: pid)
            }
        }
        jail.whenDead(pid) { [self] death in died(death) }
        for number in earlySignals { try? kill(number) }
        earlySignals = []
    }

    private func died(_ death: SessionJail.Death) {
        self.death = death
        if let timer { loop.cancel(timer) }
        outcome.durationMilliseconds = (monotonicNanoseconds() - startedAt + 500_000) / 1_000_000
        // What it leaves behind dies with it, unless it was started to go on.
        if !request.isBackground { groups?.groups.kill() }
        drain(\.output)
        drain(\.errors)
        if output.source == nil, errors.source == nil { return finish() }
        if request.isBackground { return finish() }
        // Those who were killed a moment ago still hold the pipes.
        timer = loop.after(Self.patience) { [weak self] in self?.finish() }
    }

    private func finish() {
        guard state != .ended, let death else { return }
        if let timer { loop.cancel(timer) }
        var usage = groups?.groups.usage() ?? CgroupUsage()
        usage.cpuMicroseconds = groups?.groups.cpuMicroseconds() ?? death.cpuMicroseconds
        if usage.peakMemory == nil { usage.peakMemory = death.peakMemory }
        outcome.usage = usage
        outcome.end(waitStatus: death.status)
        if let killedFor { outcome.reason = killedFor }
        outcome.considerMemoryKills()
        end()
    }

    private func fail(_ failure: LaunchFailure) {
        guard state != .ended else { return }
        outcome.reason = .error
        outcome.failure = failure
        end()
    }

    private func end() {
        state = .ended
        close(\.output)
        close(\.errors)
        endInput()
        for (stream, path) in [(output, \Outcome.output), (errors, \Outcome.errors)] {
            outcome[keyPath: path].bytes = stream.capture.bytes
            outcome[keyPath: path].isTruncated = stream.capture.isTruncated
        }
        let handlers = endHandlers + outputHandlers
        endHandlers = []
        outputHandlers = []
        for handler in handlers { handler() }
        // What goes on stays in its groups until the command is forgotten.
        if request.isBackground { return }
        // Removing groups takes as long as the report: nobody waits for it.
        let groups = groups.take()
        loop.later { _ = groups }
    }

    // MARK: - Streams

    private func watchStream(_ path: ReferenceWritableKeyPath<SessionCommand, Stream>) throws(Errno) {
        guard let raw = self[keyPath: path].source?.descriptor.raw else { return }
        self[keyPath: path].watch = try loop.watch(raw, .readable) { [weak self] _ in
            guard let self else { return }
            fill(path, once: true)
            if death != nil, output.source == nil, errors.source == nil { finish() }
        }
    }

    /// Reads what is there, once or until nothing is.
    private func fill(_ path: ReferenceWritableKeyPath<SessionCommand, Stream>, once: Bool) {
        repeat {
            guard let raw = self[keyPath: path].source?.descriptor.raw else { return }
            do throws(Errno) {
                let count = try Linux.read(raw, into: &self[keyPath: path].buffer.bytes)
                guard count > 0 else { return close(path) }
                let masked = self[keyPath: path].masker.mask(self[keyPath: path].buffer.bytes[..<count])
                self[keyPath: path].capture.append(masked[...])
                self[keyPath: path].buffer.grow(after: count)
                let handlers = outputHandlers
                outputHandlers = []
                for handler in handlers { handler() }
            } catch {
                if error != .again { close(path) }
                return
            }
        } while !once
    }

    private func drain(_ path: ReferenceWritableKeyPath<SessionCommand, Stream>) { fill(path, once: false) }

    private func close(_ path: ReferenceWritableKeyPath<SessionCommand, Stream>) {
        guard self[keyPath: path].source != nil else { return }
        if let watch = self[keyPath: path].watch { loop.unwatch(watch) }
        self[keyPath: path].watch = nil
        self[keyPath: path].source = nil
        let rest = self[keyPath: path].masker.flush()
        self[keyPath: path].capture.append(rest[...])
    }

    private func feed() {
        guard let input else { return }
        while !input.bytes.isEmpty {
            do throws(Errno) {
                let count = try write(input.target.raw, input.bytes.prefix(65536))
                input.bytes = input.bytes.dropFirst(count)
            } catch {
                guard error == .again else { return endInput() }
                if input.watch == nil {
                    input.watch = try? loop.watch(input.target.raw, .writable) { [weak self] _ in self?.feed() }
                }
                return
            }
        }
        endInput()
    }

    private func endInput() {
        if let watch = input?.watch { loop.unwatch(watch) }
        input = nil
    }
}
