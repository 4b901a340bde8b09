// What a supervisor on pipes costs its client, everything switched on: verdict, cgroups, report, journal, audit log.
internal import Client
internal import Glibc
internal import Linux
internal import Wire

/// A supervisor of its own, and a session in it.
final class SupervisorCosts {
    private let client: Client
    private let process: Program
    private let subject: Subject
    private let state: String
    private let session: JsonValue
    private(set) var rows: [Row] = []
    private let iterations: Int

    init(_ subject: Subject, iterations: Int) throws {
        self.subject = subject
        self.iterations = iterations
        state = "/var/tmp/cordon-bench-state-\(processID)"
        var input = try makePipe(), output = try makePipe()
        let theirInput = try input.takeReading(), theirOutput = try output.takeWriting()
        process = try Program(
            subject.programs + "/cordon-supervisor", ["--stdio", "--state", state], input: theirInput.raw,
            output: theirOutput.raw)
        client = Client(reading: try output.takeReading(), writing: try input.takeWriting())
        try client.hello(as: "bench")
        session =
            try client.call("session.create", ["workspace": .string(subject.workspace)])["session"]?.members?["id"]
            ?? .null
    }

    func measure() throws {
        pause(microseconds: 300_000)
        rows.append(Row("supervisor, idle, with one session", proportionalSize(of: process.pid), "MB", target: 10))
        try measureCommands()
        try measureRequests()
        try measureOutput()
        try measureMemory()
    }

    /// Ends it, and removes what it kept.
    func end() {
        client.close()
        _ = process.wait()
        _ = Program.time("/bin/rm", ["-rf", state])
    }

    private func run(_ words: [String]) throws -> JsonObject {
        try client.call(
            "command.run", ["session": session, "argv": .array(words.map { .string($0) })])
    }

    /// Commands in the session, and in jails of their own.
    func measureCommands() throws {
        try measureInSession()
        try measureJails()
    }

    private func measureInSession() throws {
        var command = Samples(), rested = Samples(), spawn = Samples()
        for _ in 0..<20 { _ = try run([Subject.command]) }
        for _ in 0..<iterations * 5 {
            let begin = monotonicNanoseconds()
            let report = try run([Subject.command])
            command.append(monotonicNanoseconds() - begin)
            guard report["exit_code"]?.whole == 0 else {
                throw BenchFailure("a command in a session failed: \(report.text)")
            }
            if let time = Program.time(Subject.command, []) { spawn.append(time) }
        }
        for _ in 0..<max(iterations / 4, 10) {
            pause(microseconds: 20_000)
            let begin = monotonicNanoseconds()
            _ = try run([Subject.command])
            rested.append(monotonicNanoseconds() - begin)
        }
        rows.append(Row("a command in a live session", command, reference: spawn, target: 1.5))
        rows.append(Row("  posix_spawn and wait", spawn))
        rows.append(Row("  after 20 ms of rest", rested, reference: spawn))
    }

    /// A fresh jail with a command's result: from the ready ones, and with none ready.
    private func measureJails() throws {
        var warm = Samples(), cold = Samples()
        let words: JsonObject = ["workspace": .string(subject.workspace), "argv": .array([.string(Subject.command)])]
        // Another limit is another plan, so that nothing is ready for it.
        for number in 0..<max(iterations / 4, 10) {
            var other = words
            other.add("pids", .number(Int64(100 + number)))
            var begin = monotonicNanoseconds()
            _ = try client.call("run", other)
            cold.append(monotonicNanoseconds() - begin)
            // Ready by then: nobody measures how long one takes to become so.
            while try client.call("health")["ready_jails"]?.whole ?? 0 == 0 { pause(microseconds: 1000) }
            _ = try client.call("run", words)
            pause(microseconds: 20_000)
            begin = monotonicNanoseconds()
            _ = try client.call("run", words)
            warm.append(monotonicNanoseconds() - begin)
            pause(microseconds: 20_000)
        }
        rows.append(Row("a command in a fresh jail that was ready", warm, reference: cold, target: 0.75))
        rows.append(Row("  none was ready", cold))
    }

    /// 40 % status, 40 % cache, 20 % reading a command's output, 16 at a time.
    private func measureRequests() throws {
        let started = try client.call(
            "command.start", ["session": session, "argv": .array(["seq", "100"].map { .string($0) })])
        let command = started["command"] ?? .null
        _ = try client.call("command.wait", ["session": session, "command": command])
        var times = Samples(), sent = 0, answered = 0, failed = 0
        let about: JsonObject = ["session": session, "command": command]
        var reading = about
        reading.add("limit", .number(64))
        let begin = monotonicNanoseconds()
        let end = begin + (iterations >= 200 ? 60_000_000_000 : 2_000_000_000)
        func next() {
            let start = monotonicNanoseconds()
            let then: (Result<JsonObject, ClientError>) -> Void = { answer in
                times.append(monotonicNanoseconds() - start)
                answered += 1
                if case .failure = answer { failed += 1 }
            }
            switch sent % 10 {
            case 0..<4: client.send("command.status", about, then: then)
            case 4..<6: client.send("cache.get", ["key": .string("key \(sent % 1000)")], then: then)
            case 6..<8:
                client.send(
                    "cache.set", ["key": .string("key \(sent % 1000)"), "value": .string("value \(sent)")], then: then)
            default: client.send("command.read", reading, then: then)
            }
            sent += 1
        }
        while monotonicNanoseconds() < end, !client.isLost {
            while sent - answered < 16 { next() }
            client.receive()
        }
        while answered < sent, !client.isLost { client.receive() }
        let seconds = Double(monotonicNanoseconds() - begin) / 1e9
        guard failed == 0, !client.isLost else { throw BenchFailure("\(failed) requests failed") }
        let rate = Double(answered) / seconds
        rows.append(Row("requests, 16 at a time, of 10,000 a second or more", 1e6 / rate, "µs", target: 100))
        rows.append(Row("  requests a second, for \(Int(seconds)) s", rate, "/s"))
        rows.append(Row("  the 99th of 100", times.microseconds(at: 0.99), "µs", target: 5000))
    }

    /// Output of a command through the supervisor, to a client that passes over it.
    private func measureOutput() throws {
        let bytes = iterations >= 200 ? 1_000_000_000 : 100_000_000
        var isOver = false, got = 0
        client.whenTold = { [client] _, params in
            guard let streams = params["streams"]?.members else { return }
            for name in ["stdout", "stderr"] {
                guard let number = streams[name]?.whole.flatMap({ UInt32(exactly: $0) }) else { continue }
                client.open(
                    number, StreamHandler(data: { got += $0.count }, end: { if name == "stdout" { isOver = true } }))
            }
        }
        let before = proportionalSize(of: process.pid)
        let begin = monotonicNanoseconds()
        client.send(
            "command.run",
            [
                "session": session, "stream": .bool(true), "inline": .number(0),
                "argv": .array(["head", "-c", "\(bytes)", "/dev/zero"].map { .string($0) }),
            ]
        ) { _ in }
        // What it needs for any stream it has by then.
        var early: Double?
        while !isOver, !client.isLost {
            client.receive()
            if early == nil, got > bytes / 10 { early = proportionalSize(of: process.pid) }
        }
        let seconds = Double(monotonicNanoseconds() - begin) / 1e9
        let after = proportionalSize(of: process.pid)
        guard got == bytes else { throw BenchFailure("\(got) bytes of \(bytes) came") }
        rows.append(Row("1 GB of output, of 1 GB/s or more", seconds * 1e12 / Double(bytes), "ms", target: 1000))
        rows.append(Row("  the supervisor's growth behind the first tenth", after - (early ?? before), "MB", target: 1))
        rows.append(Row("  and in all", after - before, "MB"))
    }

    private func measureMemory() throws {
        let calls = iterations >= 200 ? 10_000 : 1000
        for _ in 0..<calls / 10 { _ = try client.call("health") }
        let before = proportionalSize(of: process.pid)
        for number in 0..<calls {
            _ = try client.call("cache.set", ["key": .string("key \(number % 100)"), "value": .string("\(number)")])
        }
        rows.append(Row("growth in \(calls) calls", proportionalSize(of: process.pid) - before, "MB", target: 1))
        // What it gives back in a quiet moment.
        pause(microseconds: 3_500_000)
        rows.append(Row("supervisor, idle after all that", proportionalSize(of: process.pid), "MB", target: 10))
        let count = iterations >= 200 ? 200 : 8
        let own = descendants(of: process.pid).reduce(0) { $0 + proportionalSize(of: $1.pid) }
        let alone = proportionalSize(of: process.pid)
        for _ in 0..<count { _ = try client.call("session.create", ["workspace": .string(subject.workspace)]) }
        pause(microseconds: 1_000_000)
        let all = descendants(of: process.pid).reduce(0) { $0 + proportionalSize(of: $1.pid) }
        let each = (all - own + proportionalSize(of: process.pid) - alone) / Double(count)
        rows.append(Row("an idle session, one of \(count + 1)", each, "MB", target: 2))
    }
}
