// cordon-supervisor: the broker as a program, on a pair of pipes or on a socket.
internal import Broker
internal import Linux
internal import Machine
internal import SupervisorCore

@main
struct Daemon {
    static func main() {
        do throws(Errno) { try fillStandardDescriptors() } catch { exitNow(125) }
        // Who has gone is told by the write that fails.
        Signal.ignore(Signal.pipe)
        do throws(DaemonFailure) {
            let options = try DaemonOptions(Array(commandLine().dropFirst()))
            try run(options)
        } catch {
            put("cordon-supervisor: \(error.text)\n")
            exitNow(error.code)
        }
        exitNow(0)
    }

    private static func run(_ options: DaemonOptions) throws(DaemonFailure) {
        do throws(Errno) {
            let loop = try EventLoop()
            // Before there are threads, which inherit what is blocked.
            let signals = try SignalSource([Signal.terminate, Signal.interrupt, Signal.hangUp])
            let broker = try start(options, loop)
            _ = try loop.watch(signals.descriptor.raw, .readable) { _ in
                while let number = (try? signals.next()) ?? nil {
                    if number != Signal.hangUp { loop.stop() }
                }
            }
            switch options.mode {
            case .standard:
                broker.whenAlone = { loop.stop() }
                try broker.serve(
                    input: Descriptor(owning: 0).duplicate(), output: Descriptor(owning: 1).duplicate(),
                    peer: Peer(user: effectiveUser, pid: parentProcessID))
            case .socket(let path):
                let socket = try listen(at: path, mode: 0o600)
                defer { try? unlink(path) }
                let user = effectiveUser
                try broker.listen(on: socket.raw) { $0.user == user || $0.user == 0 }
                try loop.run()
                broker.close()
                return
            }
            try loop.run()
            broker.close()
        } catch {
            throw DaemonFailure(text: "\(error)", code: 125)
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
