// A request, from its arrival to its one answer, whoever is gone meanwhile. It knows of no method.
internal import Linux
internal import SupervisorCore
internal import Wire

/// A request that is being served. It is answered once.
final class Call {
    /// Nil for a notification.
    let id: RpcId?
    let method: String
    let connection: Connection
    private let loop: EventLoop
    private var timer: EventLoop.Timer?
    private(set) var isAnswered = false
    /// Takes back what it began, where it is cancelled, its deadline passes or its client is gone.
    var whenCancelled: (() -> Void)?
    /// The files whose descriptors came with it.
    var proofs: [FileIdentity?] = []
    /// Hears that it failed, in whatever way.
    var whenUnanswered: (() -> Void)?
    private let told: (Call, RpcErrorCode?) -> Void

    /// - Parameter told: hears how it was answered.
    init(
        id: RpcId?, method: String, connection: Connection, loop: EventLoop,
        told: @escaping (Call, RpcErrorCode?) -> Void
    ) {
        self.id = id
        self.method = method
        self.connection = connection
        self.loop = loop
        self.told = told
    }

    func setDeadline(milliseconds: UInt64) {
        timer = loop.after(milliseconds: milliseconds) { [weak self] in
            self?.cancel(RpcError(.deadline, "it was not done within \(milliseconds) ms"))
        }
    }

    func answer(_ result: JsonObject) { finish(.success(.object(result))) }

    /// Answers with what may be too long for a frame, and then with less of it.
    func answer(_ inline: Int, _ result: (Int) -> JsonObject) {
        var size = inline
        var whole = result(size)
        // A frame has room for more than this beside the output.
        while size > 0, whole.text.utf8.count > Frame.longestPayload - 4096 {
            size /= 2
            whole = result(size)
        }
        answer(whole)
    }

    func fail(_ error: RpcError) { finish(.failure(error)) }

    /// Takes it back.
    func cancel(_ error: RpcError) {
        guard !isAnswered else { return }
        let action = whenCancelled
        fail(error)
        action?()
    }

    /// Its client is gone.
    func abandon() {
        guard !isAnswered else { return }
        isAnswered = true
        if let timer { loop.cancel(timer) }
        told(self, .cancelled)
        whenUnanswered?()
        let action = whenCancelled
        whenCancelled = nil
        action?()
    }

    private func finish(_ result: Result<JsonValue, RpcError>) {
        guard !isAnswered else { return }
        isAnswered = true
        if let timer { loop.cancel(timer) }
        whenCancelled = nil
        if let id {
            connection.calls[id] = nil
            connection.send(.response(id: id, result))
        }
        if case .failure(let error) = result {
            told(self, error.code)
            whenUnanswered?()
        } else {
            told(self, nil)
        }
        whenUnanswered = nil
    }
}
