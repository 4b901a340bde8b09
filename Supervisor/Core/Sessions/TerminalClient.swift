// Somebody who looks at a terminal of a session, at a pace of its own.

/// A client of a terminal, with a cursor. It is detached when it goes away.
public final class TerminalClient {
    private weak var terminal: SessionTerminal?
    private let number: UInt64
    /// Where it reads next.
    public private(set) var cursor: UInt64
    /// Whether the command waits for it.
    let paces: Bool
    private var handlers: [() -> Void] = []

    init(_ terminal: SessionTerminal, number: UInt64, cursor: UInt64, paces: Bool) {
        self.terminal = terminal
        self.number = number
        self.cursor = cursor
        self.paces = paces
    }

    deinit { detach() }

    /// What it has not read yet; of what is gone only how much it was. Nothing once it is detached.
    public func read(limit: Int) -> RingBuffer.Chunk {
        guard let terminal else { return RingBuffer.Chunk(bytes: [], start: cursor, missed: 0) }
        let chunk = terminal.read(from: cursor, limit: limit)
        cursor = chunk.next
        if paces { terminal.renewPace() }
        return chunk
    }

    /// Calls back once when there is something to read, or nothing to come; at once where that is so.
    public func whenOutput(_ action: @escaping () -> Void) {
        guard let terminal, terminal.produced <= cursor, terminal.state != .ended else { return action() }
        handlers.append(action)
    }

    /// Leaves the terminal, which goes on. What it waits for is forgotten.
    public func detach() {
        terminal?.detach(number)
        terminal = nil
        handlers = []
    }

    func tell() {
        let waiting = handlers
        handlers = []
        for handler in waiting { handler() }
    }
}
