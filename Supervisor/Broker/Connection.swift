// One client: its frames in, its frames out, and the streams between. What it sends may be hostile, and it may never read.
internal import Linux
internal import SupervisorCore
internal import Wire

/// Who is at the other end.
public struct Peer: Sendable, Hashable {
    /// Its user.
    public var user: UInt32
    /// Its process; nil where it is not known.
    public var pid: Int32?

    /// A peer.
    public init(user: UInt32, pid: Int32?) {
        self.user = user
        self.pid = pid
    }
}

/// A connected client.
final class Connection {
    /// Bytes that may wait for a client before it gets no more of its streams.
    private static let streamRoom = 1 << 20
    /// Bytes that may wait for a client before nothing more is taken from it.
    private static let mostPending = 4 << 20
    /// Bytes that a client may send on a stream before it is given more.
    static let window: UInt32 = 256 << 10

    /// Descriptors that may wait for the request that names them.
    private static let mostProofs = 64

    let number: UInt64
    let peer: Peer
    /// Whether descriptors can come along: it is a socket.
    let takesDescriptors: Bool
    /// The files whose descriptors came, in order; nil for one that shows nothing. The descriptors themselves are closed.
    private var proofs: [FileIdentity?] = []
    /// What it may use, once it has said hello.
    var isReady = false
    /// What it calls itself.
    var client: String?
    private let loop: EventLoop
    /// Closed with the connection, however long somebody keeps that.
    private var input: Descriptor?
    private var output: Descriptor?
    private var inputWatch: EventLoop.Watch?
    private var outputWatch: EventLoop.Watch?
    private var decoder = FrameDecoder()
    private var buffer = [UInt8](repeating: 0, count: 65536)
    private var outbox: [UInt8] = []
    private var outboxStart = 0
    private var isBatching = false
    private(set) var isClosed = false
    /// Requests that are not answered yet.
    var calls: [RpcId: Call] = [:]
    private var outgoing: [UInt32: OutgoingStream] = [:]
    private var incoming: [UInt32: IncomingStream] = [:]
    private var nextStream: UInt32 = 1
    private let received: (Connection, Result<RpcMessage, RpcFailure>) -> Void
    private let closed: (Connection) -> Void

    init(
        number: UInt64, peer: Peer, input: consuming Descriptor, output: consuming Descriptor?, loop: EventLoop,
        received: @escaping (Connection, Result<RpcMessage, RpcFailure>) -> Void,
        closed: @escaping (Connection) -> Void
    ) throws(Errno) {
        self.number = number
        self.peer = peer
        self.loop = loop
        self.received = received
        self.closed = closed
        takesDescriptors = output == nil
        try input.setNonBlocking(true)
        // On a socket one descriptor cannot be watched for both, since epoll takes each once.
        let output = if let output { output } else { try input.duplicate() }
        try output.setNonBlocking(true)
        widenPipe(output.raw, to: 1 << 20)
        self.input = consume input
        self.output = consume output
        try watchInput()
    }

    private var inputNumber: Int32 { input.read { $0.raw } ?? -1 }
    private var outputNumber: Int32 { output.read { $0.raw } ?? -1 }
    private var pendingCount: Int { outbox.count - outboxStart }

    // MARK: - In

    private func watchInput() throws(Errno) {
        inputWatch = try loop.watch(inputNumber, .readable) { [weak self] _ in self?.readable() }
    }

    private func readable() {
        isBatching = true
        do throws(Errno) {
            let count = takesDescriptors ? try receiveWithProofs() : try read(inputNumber, into: &buffer)
            if count == 0 { close() } else { decode(buffer[..<count]) }
        } catch {
            if error != .again { close() }
        }
        isBatching = false
        flush()
        // Who does not read is not read either.
        if pendingCount > Self.mostPending, let watch = inputWatch {
            loop.unwatch(watch)
            inputWatch = nil
        }
    }

    /// Takes what there is, and notes which files came along.
    private func receiveWithProofs() throws(Errno) -> Int {
        let part = try receive(on: inputNumber, into: &buffer)
        // Who sends more than anybody asks for is no client.
        guard proofs.count + part.descriptors.count <= Self.mostProofs else { throw .badMessage }
        for descriptor in part.descriptors.raw {
            // O_PATH needs no right to read, so it shows none.
            let identity = isOpenForReading(descriptor) ? (try? status(of: descriptor))?.identity : nil
            proofs.append(identity)
        }
        return part.count
    }

    /// What came along with a request, which says how many there are. Fewer than that come where it is wrong.
    func takeProofs(_ count: Int) -> [FileIdentity?] {
        defer { proofs.removeFirst(min(count, proofs.count)) }
        return Array(proofs.prefix(count))
    }

    private func decode(_ bytes: ArraySlice<UInt8>) {
        decoder.append(bytes)
        while !isClosed {
            do throws(FrameError) {
                guard let frame = try decoder.next() else { return }
                handle(frame)
            } catch {
                complain(error.message)
            }
        }
    }

    private func handle(_ frame: Frame) {
        switch frame.kind {
        case .control:
            guard frame.stream == 0 else { return complain("control frames are on stream 0") }
            received(self, RpcMessage.parse(frame.payload))
        case .data:
            guard let stream = incoming[frame.stream] else { return complain("no stream \(frame.stream) to write to") }
            guard stream.take(frame.payload) else {
                incoming[frame.stream] = nil
                return complain("more bytes on stream \(frame.stream) than there was credit for: it is ended")
            }
        case .credit:
            guard let count = frame.creditCount else { return complain("a credit is four bytes") }
            // One that has ended meanwhile needs none.
            outgoing[frame.stream]?.add(credit: count)
        case .end:
            guard let stream = incoming.removeValue(forKey: frame.stream) else { return }
            stream.end()
        }
    }

    private func complain(_ message: String) {
        send(.response(id: nil, .failure(RpcError(.frame, message))))
    }

    // MARK: - Out

    func send(_ message: RpcMessage) {
        guard !isClosed else { return }
        var payload = message.encoded
        if payload.count > Frame.longestPayload {
            // What is not asked for is not missed; an answer must come, whatever it says.
            guard case .response(let id, _) = message else { return }
            let error = RpcError(.limit, "the answer is longer than a frame: ask for less", ["limit": .string("frame")])
            payload = RpcMessage.response(id: id, .failure(error)).encoded
        }
        Frame.appendHeader(.control, stream: 0, payloadSize: payload.count, to: &outbox)
        outbox += payload
        if !isBatching { flush() }
    }

    fileprivate func send(_ kind: Frame.Kind, stream: UInt32, _ payload: ArraySlice<UInt8>) {
        guard !isClosed else { return }
        Frame.appendHeader(kind, stream: stream, payloadSize: payload.count, to: &outbox)
        outbox += payload
        if !isBatching { flush() }
    }

    private func flush() {
        guard !isClosed else { return }
        while outboxStart < outbox.count {
            do throws(Errno) {
                outboxStart += try write(outputNumber, outbox[outboxStart...])
            } catch {
                guard error == .again else { return close() }
                if outputWatch == nil { watchOutput() }
                break
            }
        }
        if outboxStart == outbox.count {
            // Memory for a burst is not kept.
            outbox.removeAll(keepingCapacity: outbox.count <= 128 << 10)
            outboxStart = 0
            if let watch = outputWatch { loop.unwatch(watch) }
            outputWatch = nil
        } else if outboxStart > 1 << 20 {
            outbox.removeFirst(outboxStart)
            outboxStart = 0
        }
        if inputWatch == nil, pendingCount <= Self.mostPending / 2 {
            do throws(Errno) { try watchInput() } catch { close() }
        }
    }

    private func watchOutput() {
        do throws(Errno) {
            outputWatch = try loop.watch(outputNumber, .writable) { [weak self] _ in self?.writable() }
        } catch {
            close()
        }
    }

    private func writable() {
        flush()
        guard pendingCount < Self.streamRoom else { return }
        for stream in outgoing.values where stream.waits { stream.wake() }
    }

    // MARK: - Streams

    /// How many bytes streams may add now.
    fileprivate var room: Int { isClosed ? Int.max : max(0, Self.streamRoom - pendingCount) }

    /// A stream to the client, which gives the first credit itself.
    func openOutgoing(_ resume: @escaping () -> Void) -> OutgoingStream {
        let stream = OutgoingStream(number: takeNumber(), connection: self, resume: resume)
        outgoing[stream.number] = stream
        return stream
    }

    /// A stream from the client. It may send ``window`` bytes; more whenever `IncomingStream.grant` is called.
    func openIncoming(
        _ take: @escaping ([UInt8]) -> Void, end: @escaping () -> Void
    ) -> IncomingStream {
        let stream = IncomingStream(number: takeNumber(), connection: self, taken: take, ended: end)
        incoming[stream.number] = stream
        return stream
    }

    fileprivate func forget(outgoing number: UInt32) { outgoing[number] = nil }

    /// Takes nothing more on a stream, and says so.
    func closeIncoming(_ number: UInt32) {
        guard incoming.removeValue(forKey: number) != nil else { return }
        send(.end, stream: number, [])
    }

    private func takeNumber() -> UInt32 {
        repeat {
            defer { nextStream = nextStream == .max ? 1 : nextStream + 1 }
            if outgoing[nextStream] == nil, incoming[nextStream] == nil { return nextStream }
        } while true
    }

    // MARK: - The end

    /// Lets go of the client. What it waits for is cancelled.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        for watch in [inputWatch, outputWatch] { if let watch { loop.unwatch(watch) } }
        (inputWatch, outputWatch) = (nil, nil)
        input = nil
        output = nil
        let streams = outgoing.values, writers = incoming.values
        outgoing = [:]
        incoming = [:]
        // A command whose reader is gone goes on; its output is kept as it would be without one.
        for stream in streams { stream.wake() }
        for writer in writers { writer.end() }
        let open = calls.values
        calls = [:]
        for call in open { call.abandon() }
        closed(self)
    }
}

extension FrameError {
    fileprivate var message: String {
        switch self {
        case .tooLong(let length):
            "a frame of \(length) bytes: at most \(Frame.longestPayload) and its header are taken"
        case .tooShort(let length): "a frame of \(length) bytes has no header"
        case .unknownKind(let kind): "no frame is of kind \(kind)"
        }
    }
}

/// Bytes to a client, as far as it gave credit.
final class OutgoingStream: OutputSink {
    let number: UInt32
    private weak var connection: Connection?
    private var credit = 0
    private var pending: ArraySlice<UInt8> = []
    private var isEnded = false
    private let resume: () -> Void
    /// Whether somebody was told that there is no room.
    private(set) var waits = false

    fileprivate init(number: UInt32, connection: Connection, resume: @escaping () -> Void) {
        self.number = number
        self.connection = connection
        self.resume = resume
    }

    var room: Int {
        // Without a client everything is taken, and goes nowhere.
        guard let connection, !connection.isClosed else { return Int.max }
        let room = pending.isEmpty ? min(credit, connection.room, Frame.longestPayload) : 0
        if room == 0 { waits = true }
        return room
    }

    /// What is more than there is credit for waits: the last of a command that is dead, which is a pipe's content at most.
    func take(_ bytes: ArraySlice<UInt8>) {
        guard connection.map({ !$0.isClosed }) ?? false else { return }
        if pending.isEmpty {
            let sent = bytes.prefix(credit)
            send(sent)
            pending = bytes.dropFirst(sent.count)
        } else {
            pending += bytes
        }
        if !pending.isEmpty { waits = true }
    }

    private func send(_ bytes: ArraySlice<UInt8>) {
        credit -= bytes.count
        var rest = bytes
        while !rest.isEmpty {
            connection?.send(.data, stream: number, rest.prefix(Frame.longestPayload))
            rest = rest.dropFirst(Frame.longestPayload)
        }
    }

    func end() {
        isEnded = true
        finish()
    }

    private func finish() {
        guard isEnded, pending.isEmpty else { return }
        connection?.send(.end, stream: number, [])
        connection?.forget(outgoing: number)
    }

    fileprivate func add(credit count: UInt32) {
        // More than this is as good as no bound.
        credit = min(credit + Int(count), 1 << 40)
        if !pending.isEmpty {
            let sent = pending.prefix(credit)
            send(sent)
            pending = pending.dropFirst(sent.count)
            finish()
        }
        if waits, pending.isEmpty { wake() }
    }

    fileprivate func wake() {
        waits = false
        resume()
    }
}

/// Bytes from a client.
final class IncomingStream {
    let number: UInt32
    private weak var connection: Connection?
    private var credit = Connection.window
    private let taken: ([UInt8]) -> Void
    private let ended: () -> Void

    fileprivate init(
        number: UInt32, connection: Connection, taken: @escaping ([UInt8]) -> Void, ended: @escaping () -> Void
    ) {
        self.number = number
        self.connection = connection
        self.taken = taken
        self.ended = ended
    }

    /// Lets the client send more, up to a whole window.
    func grant() {
        let more = Connection.window - credit
        guard more > 0, let connection, !connection.isClosed else { return }
        credit += more
        connection.send(.credit, stream: number, Frame.credit(more, stream: number).payload[...])
    }

    fileprivate func take(_ bytes: [UInt8]) -> Bool {
        guard bytes.count <= Int(credit) else {
            end()
            return false
        }
        credit -= UInt32(bytes.count)
        taken(bytes)
        return true
    }

    fileprivate func end() { ended() }
}
