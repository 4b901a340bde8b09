// The caller's input on its way into a jail.
internal import Linux

/// Descriptor 0, passed on through a pipe: the command never holds a descriptor of the host.
struct InputStream: ~Copyable {
    private var target: Descriptor?
    private var buffer = ReadBuffer()
    private var pending: ArraySlice<UInt8> = []
    private var sourceIsOpen: Bool
    /// Regular files are always ready and cannot be watched.
    private var sourceIsWatchable = true
    private var targetIsWatched = false
    /// The caller's descriptor 0, opened anew where it is a pipe or a terminal: another reader may be quicker, and
    /// waiting for what it took would stop the clock.
    private let reopened: Descriptor?
    private let source: Int32
    /// Whether the target is a terminal's master.
    private let isTerminal: Bool

    init(target: consuming Descriptor, isOpen: Bool, isTerminal: Bool = false) {
        self.isTerminal = isTerminal
        try? target.setNonBlocking(true)
        self.target = consume target
        sourceIsOpen = isOpen
        let own = isOpen ? reopenNonBlocking(0, .readOnly) : nil
        source = own.read { $0.raw } ?? 0
        reopened = own
    }

    /// No input.
    init() {
        target = nil
        reopened = nil
        source = -1
        sourceIsOpen = false
        isTerminal = false
    }

    /// Whether there is nothing more to come.
    var hasEnded: Bool { !sourceIsOpen }

    /// Starts watching.
    mutating func watch(_ poller: borrowing Poller, source sourceToken: UInt64, target targetToken: UInt64)
        throws(LaunchFailure)
    {
        guard sourceIsOpen else { return close() }
        do throws(Errno) { try poller.add(source, .readable, token: sourceToken) } catch {
            sourceIsWatchable = false
            // EPERM: always ready. Anything else (a closed descriptor 0): there is no input.
            if error != .notPermitted { return close() }
            if let raw = self.target.read({ $0.raw }) {
                try step("epoll") { () throws(Errno) in try poller.add(raw, .writable, token: targetToken) }
            }
        }
    }

    /// Moves what can be moved without waiting.
    mutating func advance(_ poller: borrowing Poller, _ sourceToken: UInt64, _ targetToken: UInt64) {
        guard let raw = target.read({ $0.raw }) else { return }
        if pending.isEmpty {
            guard sourceIsOpen else { return close() }
            do throws(Errno) {
                let count = try read(source, into: &buffer.bytes)
                if count == 0 { return end(poller) }
                pending = buffer.bytes[..<count]
                buffer.grow(after: count)
            } catch {
                if error == .again { return }
                return end(poller)
            }
        }
        do throws(Errno) {
            let count = try write(raw, pending)
            pending = pending.dropFirst(count)
        } catch {
            if isTerminal, error == .inputOutput {
                // Everybody has closed it. Who opens it again does not find what was typed before.
                pending = []
            } else if error != .again {
                // The command closed its input: there is nobody to read for.
                return end(poller)
            }
        }
        guard sourceIsWatchable, targetIsWatched == pending.isEmpty else { return }
        // Either the source is watched or the target: a closed other end is always reported, and with nothing to
        // be done about it the loop would spin.
        targetIsWatched = !pending.isEmpty
        if pending.isEmpty {
            try? poller.remove(raw)
            try? poller.add(source, .readable, token: sourceToken)
        } else {
            try? poller.remove(source)
            try? poller.add(raw, .writable, token: targetToken)
        }
    }

    /// Stops watching, and the command sees end-of-file.
    mutating func end(_ poller: borrowing Poller) {
        if sourceIsWatchable { try? poller.remove(source) }
        close()
    }

    /// The command sees end-of-file.
    mutating func close() {
        sourceIsOpen = false
        pending = []
        _ = target.take()
    }
}
