// cordon-supervisor: the broker as a program, on a pair of pipes or on a socket.
internal import Broker
internal import Client
internal import Linux
internal import Machine
internal import SupervisorCore

@main
struct Daemon {
    static func main() {
        do throws(Errno) { try fillStandardDescriptors() } catch { exitNow(125) }
        // Who has gone is told by the write that fails.
        Signal.ignore(Signal.pipe)
        // A limit on the size of files is an error of the write (setrlimit(2)).
        Signal.ignore(Signal.fileSize)
        do throws(DaemonFailure) {
            let options = try DaemonOptions(Array(commandLine().dropFirst()))
            // First of all: nothing is read, and no thread started, with the rights of root.
            if let identity = options.identity { try become(identity) }
            try run(options)
        } catch {
            put("cordon-supervisor: \(error.text)\n")
            exitNow(error.code)
        }
        exitNow(0)
    }

    private static func become(_ identity: DaemonOptions.Identity) throws(DaemonFailure) {
        do throws(Errno) {
            try Linux.become(
                user: identity.user, group: identity.group, supplementary: identity.supplementary)
        } catch {
            throw DaemonFailure(text: "it cannot become user \(identity.user): \(error.message)", code: 125)
        }
    }

    private static func awaitFirst(_ gate: Int32) throws(Errno) {
        let poller = try Poller()
        try poller.add(gate, .readable, token: 0)
        while try poller.wait().isEmpty {}
    }

    private static func run(_ options: DaemonOptions) throws(DaemonFailure) {
        do throws(Errno) {
            // What it was put into is its own once there is something to do (UserGroups.give).
            if case .gate(let number) = options.mode { try awaitFirst(number) }
            let loop = try EventLoop()
            // Before there are threads, which inherit what is blocked.
            let signals = try SignalSource([Signal.terminate, Signal.interrupt, Signal.hangUp])
            let broker = try start(options, loop)
            _ = try loop.watch(signals.descriptor.raw, .readable) { _ in
                while let number = (try? signals.next()) ?? nil {
                    if number == Signal.hangUp { broker.reload() } else { loop.stop() }
                }
            }
            let scraped = try metricsSocket(options.metrics)
            if let number = scraped.read({ $0.raw }) { try broker.serveMetrics(on: number) }
            let endpoints = Endpoints(callerEnvironment())
            switch options.mode {
            case .standard:
                try broker.serve(
                    input: try Descriptor(owning: 0).duplicate(), output: try Descriptor(owning: 1).duplicate(),
                    peer: Peer(user: effectiveUser, pid: parentProcessID), whenGone: { loop.stop() })
                try serveAnswers(broker, endpoints, loop)
            case .socket(let path):
                try serve(broker, loop, try listen(at: path, mode: 0o600), path)
            case .listening(let number, let path):
                // Whoever started it connects at once; after that, it goes when nobody needs it.
                var timer: EventLoop.Timer?
                func wait() { timer = loop.after(linger) { loop.stop() } }
                broker.whenIdle = { isIdle in
                    if let timer { loop.cancel(timer) }
                    if isIdle { wait() }
                }
                wait()
                try serve(broker, loop, Descriptor(owning: number), path)
            case .gate(let number):
                let gate = GateClient(Descriptor(owning: number), broker, loop)
                try gate.start()
                try loop.run()
                broker.close()
            }
        } catch {
            throw DaemonFailure(text: options.mode.explanation(of: error), code: 125)
        }
    }

    /// Nanoseconds that one without clients and sessions stays.
    static let linger: UInt64 = 30_000_000_000

    private static func serve(
        _ broker: Broker, _ loop: EventLoop, _ socket: consuming Descriptor, _ path: String
    ) throws(Errno) {
        let user = effectiveUser
        try socket.setNonBlocking(true)
        try broker.listen(on: socket.raw) { $0.user == user || $0.user == 0 }
        try loop.run()
        try? unlink(path)
        broker.close()
    }

    /// Beside the one client there are those who answer its questions.
    private static func serveAnswers(
        _ broker: Broker, _ endpoints: Endpoints?, _ loop: EventLoop
    ) throws(Errno) {
        let path = endpoints?.own(pid: processID) ?? ""
        // Without such a place nobody can answer, and questions expire.
        if let endpoints, (try? endpoints.prepare()) != nil {
            try? unlink(path)
            if let socket = try? listen(at: path, mode: 0o600) {
                return try serve(broker, loop, socket, path)
            }
        }
        try loop.run()
        broker.close()
    }

    private static func metricsSocket(_ place: DaemonOptions.MetricsPlace?) throws(Errno) -> Descriptor? {
        switch place {
        case .socket(let path)?:
            // One that nobody listens on is left by a supervisor that was killed.
            if (try? connect(to: path)) == nil { try? unlink(path) }
            return try listen(at: path, mode: 0o600)
        case .port(let port)?: return try listenOnLoopback(port: port)
        case nil: return nil
        }
    }

    private static func start(_ options: DaemonOptions, _ loop: EventLoop) throws(Errno) -> Broker {
        let machine = try Machine.inspect()
        do throws(LaunchFailure) {
            return try Broker(settings: options.settings, machine: machine, loop: loop)
        } catch {
            put("cordon-supervisor: \(error)\n")
            exitNow(125)
        }
    }
}

/// Writes to standard error.
func put(_ text: String) { _ = try? write(2, Array(text.utf8)[...]) }
