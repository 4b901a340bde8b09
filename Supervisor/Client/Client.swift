// A client of the supervisor: requests and their answers, streams and their credit. For one thread, with or without a loop.
public import Linux
public import Wire

/// Why a request got no result.
public enum ClientError: Error, Sendable {
    /// The supervisor said so.
    case answered(RpcError)
    /// The connection is of no use any more.
    case lost(String)

    /// For people.
    public var message: String {
        switch self {
        case .answered(let error): error.message
        case .lost(let why): "the supervisor cannot be reached: \(why)"
        }
    }
}

/// What comes on a stream, and what may go on it.
public struct StreamHandler {
    /// Bytes, in order; their credit is given back when this returns.
    public var data: ([UInt8]) -> Void
    /// Nothing more will come, or be taken.
    public var end: () -> Void
    /// The supervisor takes more.
    public var room: () -> Void

    /// A handler; what is not given is passed over.
    public init(
        data: @escaping ([UInt8]) -> Void = { _ in }, end: @escaping () -> Void = {}, room: @escaping () -> Void = {}
    ) {
        self.data = data
        self.end = end
        self.room = room
    }
}

/// A connection to a supervisor. It blocks only where its caller waits for an answer.
public final class Client {
    /// The version of the protocol that it speaks.
    public static let version: Int64 = 1
    /// Bytes that may be on their way on one stream to here.
    private static let window: UInt32 = 4 << 20

    /// Milliseconds of silence after which whoever waits is told.
    private static let patience = 2000

    private let reading: Descriptor
    /// The socket that it connected to; empty for pipes.
    private var path = ""
    private var isSilenceTold = false
    /// Nil where it is the same, or once it is closed.
    private var writing: Descriptor?
    private var decoder = FrameDecoder(longest: 1 << 24)
    private var buffer = [UInt8](repeating: 0, count: 1 << 18)
    private var nextId: Int64 = 1
    private var waiting: [Int64: (Result<JsonObject, ClientError>) -> Void] = [:]
    private var streams: [UInt32: StreamHandler] = [:]
    private var credits: [UInt32: Int] = [:]
    /// Bytes that came on streams before somebody said what to do with them.
    private var early: [UInt32: (bytes: [UInt8], isEnded: Bool)] = [:]
    private var failure: String?
    private var takesDescriptors = false
    /// Hears what the supervisor tells without being asked.
    public var whenTold: (_ method: String, _ params: JsonObject) -> Void = { _, _ in }
    /// Hears once that an answer is waited for and the supervisor at a path says nothing at all.
    public var whenSilent: ((_ path: String) -> Void)?

    /// Speaks on a pair of descriptors, which block.
    public init(reading: consuming Descriptor, writing: consuming Descriptor?) {
        self.reading = reading
        self.writing = writing
    }

    /// Connects to a socket.
    public convenience init(path: String) throws(Errno) {
        self.init(reading: try connect(to: path), writing: nil)
        self.path = path
    }

    /// To be watched for `receive`.
    public var descriptor: Int32 { reading.raw }

    /// Agrees on a version.
    @discardableResult
    public func hello(as name: String) throws(ClientError) -> JsonObject {
        let answer = try call("hello", ["versions": .array([.number(Self.version)]), "client": .string(name)])
        takesDescriptors = answer["features"]?.texts?.contains("descriptors") ?? false
        return answer
    }

    /// Asks, and waits for the answer. What comes meanwhile on streams goes to their handlers.
    ///
    /// - Parameter paths: parameters that name files. Where the supervisor takes descriptors they are opened here, so that
    ///   it sees that this process may. What cannot be opened here is the supervisor's to refuse.
    public func call(
        _ method: String, _ params: JsonObject = [:], proving paths: [String] = []
    ) throws(ClientError) -> JsonObject {
        var answer: Result<JsonObject, ClientError>?
        var named: [JsonValue] = [], opened = DescriptorList()
        for name in takesDescriptors ? paths : [] {
            guard let path = params[name]?.text, path.utf8.first == UInt8(ascii: "/"),
                let file = try? Linux.open(path, [.readOnly, .nonBlocking])
            else { continue }
            named.append(.string(name))
            opened.append(file)
        }
        var params = params
        if !named.isEmpty { params.add("descriptors", .array(named)) }
        send(method, params, descriptors: opened.raw) { answer = $0 }
        _ = consume opened
        if answer == nil { noticeSilence(probes: method != "hello") }
        while answer == nil { receive() }
        return try (answer ?? .failure(.lost("no answer"))).get()
    }

    /// Tells ``whenSilent``, once, where nothing comes for a while. What takes long is no silence: a supervisor that says
    /// nothing is asked how it is, which it answers whatever else it does.
    private func noticeSilence(probes: Bool) {
        guard whenSilent != nil, !isSilenceTold, !hasWord(within: Self.patience / 2) else { return }
        if probes { send("health") { _ in } }
        if !hasWord(within: Self.patience / 2) { tellSilence() }
    }

    /// Tells ``whenSilent``, unless it knows.
    public func tellSilence() {
        guard !isSilenceTold else { return }
        isSilenceTold = true
        whenSilent?(path)
    }

    private func hasWord(within milliseconds: Int) -> Bool {
        (try? waitReadable(reading.raw, milliseconds: milliseconds)) ?? true
    }

    /// Asks, and calls back with the answer.
    @discardableResult
    public func send(
        _ method: String, _ params: JsonObject = [:], descriptors: [Int32] = [],
        then: @escaping (Result<JsonObject, ClientError>) -> Void
    ) -> Int64 {
        let id = nextId
        nextId += 1
        if let failure {
            then(.failure(.lost(failure)))
            return id
        }
        waiting[id] = then
        write(.control, 0, RpcMessage.request(id: .number(id), method: method, params: params).encoded, descriptors)
        return id
    }

    /// Takes in what there is, once; waits where there is nothing.
    public func receive() {
        guard failure == nil else { return }
        do throws(Errno) {
            let count = try reading.read(into: &buffer)
            guard count > 0 else { return lose("it has ended") }
            decoder.append(buffer[..<count])
        } catch {
            return lose(error.message)
        }
        while failure == nil {
            do throws(FrameError) {
                guard let frame = try decoder.next() else { return }
                handle(frame)
            } catch {
                return lose("it sends what is no frame")
            }
        }
    }

    /// Leaves the supervisor, which hears end-of-file.
    public func close() {
        lose("it was left")
        writing = nil
    }

    /// Whether it is of no use any more.
    public var isLost: Bool { failure != nil }

    // MARK: - Streams

    /// Says what to do with a stream, and gives the first credit.
    public func open(_ stream: UInt32, _ handler: StreamHandler) {
        streams[stream] = handler
        if credits[stream] == nil { credits[stream] = 256 << 10 }
        write(Frame.credit(Self.window, stream: stream))
        guard let waited = early.removeValue(forKey: stream) else { return }
        if !waited.bytes.isEmpty { deliver(waited.bytes, on: stream) }
        if waited.isEnded { end(stream) }
    }

    /// How many bytes a stream takes now.
    public func room(on stream: UInt32) -> Int { credits[stream] ?? 0 }

    /// Writes on a stream, at most as much as there is room for.
    public func write(_ bytes: [UInt8], on stream: UInt32) {
        credits[stream, default: 0] -= bytes.count
        write(.data, stream, bytes)
    }

    /// Ends a stream behind what was written.
    public func finish(_ stream: UInt32) { write(.end, stream, []) }

    private func handle(_ frame: Frame) {
        switch frame.kind {
        case .control:
            switch RpcMessage.parse(frame.payload) {
            case .failure(let failure): lose("it sends what is no message: \(failure.error.message)")
            case .success(.request(_, let method, let params)): whenTold(method, params)
            case .success(.response(let id, let result)): answer(id, result)
            }
        case .data:
            if streams[frame.stream] != nil {
                deliver(frame.payload, on: frame.stream)
            } else {
                early[frame.stream, default: ([], false)].bytes += frame.payload
            }
        case .credit:
            credits[frame.stream, default: 0] += Int(frame.creditCount ?? 0)
            streams[frame.stream]?.room()
        case .end:
            if streams[frame.stream] != nil {
                end(frame.stream)
            } else {
                early[frame.stream, default: ([], false)].isEnded = true
            }
        }
    }

    private func deliver(_ bytes: [UInt8], on stream: UInt32) {
        streams[stream]?.data(bytes)
        write(Frame.credit(UInt32(bytes.count), stream: stream))
    }

    private func end(_ stream: UInt32) {
        credits[stream] = nil
        streams.removeValue(forKey: stream)?.end()
    }

    private func answer(_ id: RpcId?, _ result: Result<JsonValue, RpcError>) {
        guard case .number(let number)? = id, let action = waiting.removeValue(forKey: number) else {
            // A complaint about a frame of ours: nothing that follows can be trusted to be understood.
            if case .failure(let error) = result, id == nil { lose(error.message) }
            return
        }
        switch result {
        case .success(let value): action(.success(value.members ?? [:]))
        case .failure(let error): action(.failure(.answered(error)))
        }
    }

    private func write(_ frame: Frame) { write(frame.kind, frame.stream, frame.payload) }

    private func write(
        _ kind: Frame.Kind, _ stream: UInt32, _ payload: [UInt8], _ descriptors: [Int32] = []
    ) {
        guard failure == nil else { return }
        do throws(Errno) {
            let bytes = Frame(kind, stream: stream, payload: payload).encoded
            // `writing` stands for `reading` where there is one descriptor for both.
            if writing != nil {
                _ = try writing.read { (descriptor) throws(Errno) in try descriptor.writeAll(bytes) }
            } else {
                try sendAll(bytes, descriptors: descriptors, on: reading)
            }
        } catch {
            // Who was sent away was told why before.
            if error == .brokenPipe { while failure == nil { receive() } } else { lose(error.message) }
        }
    }

    private func lose(_ why: String) {
        guard failure == nil else { return }
        failure = why
        let open = waiting.values, handlers = streams.values
        waiting = [:]
        streams = [:]
        for action in open { action(.failure(.lost(why))) }
        for handler in handlers { handler.end() }
    }
}
