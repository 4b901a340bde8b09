// The supervisor's side of the system's service, which hands over who connects.
internal import Broker
internal import Linux
internal import SupervisorCore
internal import Wire

/// Takes connections from the service, and tells it when there is nobody left.
final class GateClient {
    private let socket: Descriptor
    private let broker: Broker
    private let loop: EventLoop
    private var timer: EventLoop.Timer?

    init(_ socket: consuming Descriptor, _ broker: Broker, _ loop: EventLoop) {
        self.socket = socket
        self.broker = broker
        self.loop = loop
    }

    /// Watches. At the service's end the loop is stopped.
    func start() throws(Errno) {
        try socket.setNonBlocking(true)
        _ = try loop.watch(socket.raw, .readable) { [self] _ in hear() }
        broker.whenIdle = { [self] isIdle in wait(isIdle) }
        wait(true)
    }

    private func wait(_ isIdle: Bool) {
        if let timer { loop.cancel(timer) }
        timer = isIdle ? loop.after(Daemon.linger) { [self] in tellIdleness() } : nil
    }

    private func hear() {
        let message: Message
        do throws(Errno) { message = try receive(on: socket.raw, capacity: 16, wait: false) } catch {
            switch error {
            case .connectionReset: loop.stop()
            // There was no room for its descriptor, and nothing but a connection has one. It is lost, and taken: uncounted, the
            // service would take every later one for the one before.
            case .badMessage: try? send([GateWord.taken.rawValue], on: socket.raw)
            default: break
            }
            return
        }
        take(message)
    }

    private func take(_ received: consuming Message) {
        var message = received
        do throws(Errno) {
            switch message.bytes.first.flatMap(GateWord.init) {
            case .connection?:
                // Before anything is done with it: one that ends this process must not end the next one too.
                try send([GateWord.taken.rawValue], on: socket.raw)
                var clients = message.takeDescriptors()
                try serve(try clients.take(0))
            case .reload?: broker.reload()
            case .taken?, .idle?, nil:
                // The service is gone, or is not what it should be.
                loop.stop()
            }
        } catch {
            // One client's trouble, such as a shortage of descriptors, is not the others'.
            if error == .connectionReset { loop.stop() }
        }
    }

    private func serve(_ client: consuming Descriptor) throws(Errno) {
        let credentials = try peerCredentials(of: client.raw)
        // As the service says; it is looked at again since nobody else's client may come in.
        guard credentials.user == effectiveUser else { return }
        try broker.serve(
            input: client, output: nil, peer: Peer(user: credentials.user, pid: credentials.pid))
    }

    private func tellIdleness() {
        // Where that fails the service is gone, which is heard too.
        try? send([GateWord.idle.rawValue], on: socket.raw)
    }
}
