// `cordon session attach`: a terminal in a session, on this one.
internal import Client
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import SupervisorCore
internal import Wire

let attachSubcommand = Subcommand(
    name: "attach", says: "open a terminal in a session, or go back to one",
    options: [
        CommandOption(name: "--terminal", value: .text, says: "the number of one that is open"),
        CommandOption(name: "--cwd", value: .directory, says: "the working directory, in the workspace"), .help,
    ], operand: .text,
    help: """
        cordon session attach: open a terminal in a session, or go back to one that is open

        usage: cordon session attach [--cwd DIR] SESSION [-- COMMAND [ARGUMENT…]]
               cordon session attach --terminal N SESSION

          --terminal N   the number of one that is open; what it showed last is shown again
          --cwd DIR      the working directory: the workspace, or a directory in it

        Without a command, a shell. Ctrl-] leaves it as it is, to be come back to; its number is printed then, and where a
        signal ends this program. Exit codes as those of cordon run; 0 where it was left.

        examples:
          cordon session attach work
          cordon session attach work -- vi notes.txt
          cordon session attach --terminal 3 work

        """, run: attach)

@Sendable private func attach(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    var reader = OptionReader(arguments, help: "cordon session attach --help")
    var number: UInt64?, directory: String?
    while let option = try usage({ () throws(UsageError) in try reader.next(known: attachSubcommand.known) }) {
        let text = try usage { () throws(UsageError) in try reader.value(of: option) }
        if option.name == "--cwd" {
            directory = text
            continue
        }
        guard let value = UInt64(text), value > 0 else {
            throw .usage(UsageError("--terminal \(text): not a number", remedy: "see the number that attach printed"))
        }
        number = value
    }
    var words = reader.operands
    guard !words.isEmpty else {
        throw .usage(UsageError("no session", remedy: "write cordon session attach SESSION"))
    }
    let session = words.removeFirst()
    if words.first == "--" { words.removeFirst() }
    guard number == nil || (words.isEmpty && directory == nil) else {
        throw .usage(
            UsageError("a terminal that is open has its command", remedy: "leave out --terminal, or the command"))
    }
    guard isTerminal(0), isTerminal(1) else {
        throw .usage(
            UsageError(
                "attach needs a terminal on standard input and output",
                remedy: "for a command without one, use cordon session exec"))
    }
    let client = try connectToSessions()
    let size = terminalSize(of: 0)
    if number == nil {
        var params: JsonObject = [
            "session": .string(session), "argv": .array((words.isEmpty ? ["bash"] : words).map { .string($0) }),
        ]
        if let term = callerEnvironment().first(where: { $0.name == "TERM" })?.value, !term.isEmpty {
            params.add("term", .string(term))
        }
        if let size {
            params.add("rows", .number(Int64(size.rows)))
            params.add("columns", .number(Int64(size.columns)))
        }
        if let directory { params.add("cwd", .string(directory)) }
        do throws(ClientError) { number = try client.call("terminal.open", params)["terminal"]?.unsigned } catch {
            fail(error)
        }
    }
    do throws(Errno) {
        try Attached(client, session: session, terminal: number ?? 0).run(words.first ?? "bash")
    } catch {
        throw .other(LaunchFailure(step: "terminal", errno: error))
    }
}

/// This terminal, as one of the session's.
private final class Attached {
    /// Ctrl-], as in telnet.
    private static let leave: UInt8 = 0x1D

    private let client: Client
    private let session: String
    private let place: JsonObject
    private let number: UInt64
    private let loop: EventLoop
    private var input: UInt32?
    private var watch: EventLoop.Watch?
    private var hasLeft = false
    private var ending: Result<JsonObject, ClientError>?

    init(_ client: Client, session: String, terminal: UInt64) throws(Errno) {
        self.client = client
        self.session = session
        number = terminal
        place = ["session": .string(session), "terminal": .count(terminal)]
        loop = try EventLoop()
    }

    /// - Parameter program: its name, where it could not be started.
    func run(_ program: String) throws(Errno) -> Never {
        let signals = try SignalSource([
            Signal.windowChange, Signal.terminate, Signal.hangUp, Signal.interrupt, Signal.quit,
        ])
        // Whatever ends this from here on, the caller's terminal is as it was.
        let raw = try RawTerminal.enter(0)
        let signalled = serve(signals)
        // Nothing is said before: a raw terminal does not begin lines at their start.
        raw.restore()
        switch ending {
        case .success(let report)?:
            let text = endingText(report, of: program)
            if !text.isEmpty { put("\n" + text, to: 2) }
            exitNow(exitCode(report))
        case .failure(let error)?:
            put("\n", to: 2)
            fail(error)
        case nil where hasLeft || signalled != nil:
            let way = "cordon session attach --terminal \(number) \(printable(shellWord(session)))"
            put("\ncordon: terminal \(number) goes on; go back to it with \(way)\n", to: 2)
            exitNow(signalled.map { 128 + $0 } ?? 0)
        case nil:
            put("\ncordon: the supervisor is gone\n", to: 2)
            exitNow(ExitCode.cordonFailed)
        }
    }

    /// - Returns: the signal that ended it.
    private func serve(_ signals: borrowing SignalSource) -> Int32? {
        var signalled: Int32?
        let descriptor = signals.descriptor.raw
        do throws(Errno) {
            _ = try loop.watch(client.descriptor, .readable) { [self] _ in
                client.receive()
                if client.isLost { loop.stop() }
            }
            _ = try loop.watch(descriptor, .readable) { _ in self.loop.stop() }
        } catch {
            ending = .failure(.lost(error.message))
            return nil
        }
        client.send("terminal.attach", place) { [self] answer in
            switch answer {
            case .success(let attached): begin(attached["streams"]?.members ?? [:])
            case .failure: end(answer)
            }
        }
        while ending == nil, !hasLeft, !client.isLost {
            do throws(Errno) {
                try loop.run()
                while let number = try signals.next() {
                    if number == Signal.windowChange { resize() } else { signalled = number }
                }
            } catch {
                ending = .failure(.lost(error.message))
                return nil
            }
            if signalled != nil { return signalled }
        }
        return nil
    }
    private func begin(_ streams: JsonObject) {
        guard let output = streams["output"]?.whole.flatMap({ UInt32(exactly: $0) }),
            let input = streams["input"]?.whole.flatMap({ UInt32(exactly: $0) })
        else { return end(.failure(.lost("it gives no streams"))) }
        client.open(
            output,
            StreamHandler(
                data: { bytes in
                    var rest = bytes[...]
                    while !rest.isEmpty {
                        do throws(Errno) { rest = rest.dropFirst(try write(1, rest)) } catch {
                            guard error == .again, (try? waitWritable(1)) != nil else { return }
                        }
                    }
                },
                end: { [self] in
                    guard !hasLeft else { return }
                    client.send("terminal.wait", place) { [self] answer in end(answer) }
                }))
        client.open(input, StreamHandler(room: { [self] in readInput() }))
        self.input = input
        readInput()
    }

    private func end(_ answer: Result<JsonObject, ClientError>) {
        ending = answer
        loop.stop()
    }

    private func resize() {
        guard let size = terminalSize(of: 0) else { return }
        var params = place
        params.add("rows", .number(Int64(size.rows)))
        params.add("columns", .number(Int64(size.columns)))
        client.send("terminal.resize", params) { _ in }
    }

    private func readInput() {
        guard let input, client.room(on: input) > 0 else {
            if let watch { loop.unwatch(watch) }
            watch = nil
            return
        }
        guard watch == nil else { return }
        watch = try? loop.watch(0, .readable) { [self] _ in takeInput(input) }
    }

    private func takeInput(_ stream: UInt32) {
        let room = min(client.room(on: stream), 4096)
        guard room > 0 else { return readInput() }
        var buffer = [UInt8](repeating: 0, count: room)
        let count = (try? read(0, into: &buffer)) ?? 0
        let typed = buffer[..<count]
        // End-of-file: the caller's terminal is gone.
        let left = count == 0 ? 0 : typed.firstIndex(of: Self.leave)
        let passed = typed.prefix(upTo: left ?? count)
        if !passed.isEmpty { client.write(Array(passed), on: stream) }
        guard left != nil else { return }
        hasLeft = true
        client.finish(stream)
        loop.stop()
    }
}
