// What a terminal of a live session costs: from its order to its end, and for one key.
internal import Linux
internal import SupervisorCore

/// How long a terminal takes to be opened, written to, read back and closed, and how long a key's echo takes.
struct TerminalTimes {
    private(set) var whole = Samples()
    /// One key after the other, and each after a while, as a person types.
    private(set) var echo = Samples(), restedEcho = Samples()
    private let loop: EventLoop
    private let workers: Workers
    private let session: Session
    private let request: TerminalRequest

    init(_ subject: Subject) throws {
        loop = try EventLoop()
        workers = try Workers(count: 1, loop: loop)
        session = try Session(
            id: "bench",
            try JailHandle.start(subject.prepared, filters: subject.filters, supervisor: subject.supervisor),
            supervisor: subject.supervisor, workers: workers, loop: loop)
        request = TerminalRequest(
            arguments: ["/usr/bin/cat"], directory: subject.prepared.directory,
            environment: subject.prepared.environment.map { $0.name + "=" + $0.value })
    }

    mutating func measure(_ iterations: Int) throws {
        // What only the first one meets.
        for _ in 0..<3 { try open { _, _ in } }
        for _ in 0..<iterations {
            let begin = monotonicNanoseconds()
            try open { _, _ in }
            whole.append(monotonicNanoseconds() - begin)
            rest(1)
        }
        try open { terminal, times in
            for _ in 0..<iterations { times.echo.append(try times.key(of: terminal)) }
            for _ in 0..<max(iterations / 4, 10) {
                times.rest(100)
                times.restedEcho.append(try times.key(of: terminal))
            }
        }
        session.close()
    }

    /// Opens one, waits for the echo of a line, does something with it, and closes it.
    private mutating func open(_ body: (SessionTerminal, inout TerminalTimes) throws -> Void) throws {
        let terminal = try session.open(request)
        // The echo of the line discipline, and the line again from the command.
        try show("line\n", again: 1, on: terminal)
        try body(terminal, &self)
        terminal.hangUp()
        terminal.whenEnded { [loop] in loop.stop() }
        try loop.run()
        session.forget(terminal.id)
    }

    private func key(of terminal: SessionTerminal) throws -> UInt64 {
        let begin = monotonicNanoseconds()
        try show("x", again: 0, on: terminal)
        return monotonicNanoseconds() - begin
    }

    private func show(_ text: String, again: Int, on terminal: SessionTerminal) throws {
        let bytes = Array(text.utf8)
        // A newline comes back as two characters.
        let expected = terminal.produced + UInt64((bytes.count + (text.last == "\n" ? 1 : 0)) * (again + 1))
        _ = terminal.write(bytes[...])
        while terminal.produced < expected {
            guard terminal.state != .ended else { throw BenchFailure("a terminal ended as \(terminal.outcome)") }
            terminal.whenOutput { [loop] in loop.stop() }
            try loop.run()
        }
    }

    /// Lets the loop do what it has put off, for so many milliseconds.
    private func rest(_ milliseconds: UInt64) {
        _ = loop.after(milliseconds * 1_000_000) { [loop] in loop.stop() }
        try? loop.run()
    }
}
