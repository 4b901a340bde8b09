// One stream out of a session's command: read as it comes, masked, kept in part, and passed on to who wants it.
internal import Linux

/// Takes a stream's bytes as they come.
public protocol OutputSink: AnyObject {
    /// How many bytes it takes now. Where that is none, it calls `SessionCommand.resume` later; until then the command waits,
    /// as it would for any reader.
    var room: Int { get }
    /// Takes bytes: at most as many as there was room for, but for the last ones of a command that is dead.
    func take(_ bytes: ArraySlice<UInt8>)
    /// No more will come.
    func end()
}

/// A stream of a command.
final class CommandStream {
    private let loop: EventLoop
    private var source: Descriptor?
    private var watch: EventLoop.Watch?
    private(set) var capture: Capture
    private var masker: Masker
    private var buffer = ReadBuffer()
    private var sink: (any OutputSink)?
    /// Called when there is more, or it has ended.
    private let changed: () -> Void
    private(set) var failure: Errno?

    init(limit: UInt64, masked: [String], loop: EventLoop, changed: @escaping () -> Void) {
        capture = Capture(limit: limit)
        masker = Masker(masked)
        self.loop = loop
        self.changed = changed
    }

    deinit { if let watch { loop.unwatch(watch) } }

    /// Whether more may come.
    var isOpen: Bool { source != nil }

    /// Makes the pipe; returns the end that the command writes to.
    func open() throws(LaunchFailure) -> Descriptor {
        try step("pipe") { () throws(Errno) in
            var pipe = try makePipe()
            let reading = try pipe.takeReading()
            try reading.setNonBlocking(true)
            source = consume reading
            try watchSource()
            return try pipe.takeWriting()
        }
    }

    /// Passes on what comes from now on.
    func connect(_ sink: any OutputSink) {
        self.sink = sink
        // Fewer turns between the command, this process and the client.
        if let raw = source.read({ $0.raw }) { widenPipe(raw, to: 1 << 20) }
        if !isOpen { sink.end() }
    }

    /// The sink has room again.
    func resume() {
        guard isOpen, watch == nil else { return }
        do throws(Errno) { try watchSource() } catch {
            failure = error
            close()
        }
    }

    /// Reads all that is there, whatever room the sink has: who wrote it is dead, so it is at most a pipe's content.
    func drain() { while isOpen, fill(atMost: .max) {} }

    /// Takes no more: a writer that still lives meets a broken pipe.
    func close() {
        guard isOpen else { return }
        unwatch()
        source = nil
        pass(masker.flush()[...])
        sink?.end()
        sink = nil
        buffer = ReadBuffer()
        changed()
    }

    private func watchSource() throws(Errno) {
        guard let raw = source.read({ $0.raw }) else { return }
        watch = try loop.watch(raw, .readable) { [weak self] _ in self?.readable() }
    }

    private func unwatch() {
        if let watch { loop.unwatch(watch) }
        watch = nil
    }

    private func readable() {
        guard let sink else {
            fill(atMost: .max)
            return
        }
        let room = sink.room
        if room > 0 { fill(atMost: room) } else { unwatch() }
    }

    /// Reads once; whether there may be more.
    @discardableResult
    private func fill(atMost limit: Int) -> Bool {
        guard let raw = source.read({ $0.raw }) else { return false }
        do throws(Errno) {
            let count = try Linux.read(raw, into: &buffer.bytes, upTo: limit)
            guard count > 0 else {
                close()
                return false
            }
            if masker.isIdle { pass(buffer.bytes[..<count]) } else { pass(masker.mask(buffer.bytes[..<count])[...]) }
            buffer.grow(after: count)
            changed()
            return true
        } catch {
            if error != .again {
                failure = error
                close()
            }
            return false
        }
    }

    private func pass(_ bytes: ArraySlice<UInt8>) {
        guard !bytes.isEmpty else { return }
        capture.append(bytes)
        sink?.take(bytes)
    }
}

/// What goes to a command's standard input: written as it takes it, kept until then, in the order in which it came.
final class CommandInput {
    /// So many bytes may wait; a single writing may have more.
    private static let most = 1 << 20

    private let loop: EventLoop
    private var target: Descriptor?
    private var pending: ArraySlice<UInt8> = []
    private var watch: EventLoop.Watch?
    private var isFinished = false, isClosed = false
    /// Those for whom there is no room yet, in order.
    private var waiting: [(bytes: [UInt8], taken: (Bool) -> Void)] = []

    init(loop: EventLoop) { self.loop = loop }

    deinit { if let watch { loop.unwatch(watch) } }

    /// Whether more may be written.
    var isOpen: Bool { !isClosed && !isFinished }

    /// Makes the pipe; returns the end that the command reads from.
    func open() throws(LaunchFailure) -> Descriptor {
        let reading = try step("pipe") { () throws(Errno) in
            var pipe = try makePipe()
            let writing = try pipe.takeWriting()
            try writing.setNonBlocking(true)
            target = consume writing
            return try pipe.takeReading()
        }
        feed()
        return reading
    }

    /// Adds bytes behind those that came before.
    ///
    /// - Parameter taken: called when there is room for them, with false where nothing is taken any more.
    func write(_ bytes: [UInt8], taken: @escaping (Bool) -> Void = { _ in }) {
        guard isOpen else { return taken(false) }
        waiting.append((bytes, taken))
        feed()
    }

    /// Ends it behind what was written.
    func finish() {
        isFinished = true
        feed()
    }

    /// Ends it at once.
    func close() {
        isClosed = true
        stopWatching()
        target = nil
        pending = []
        let refused = waiting
        waiting = []
        for writer in refused { writer.taken(false) }
    }

    private func stopWatching() {
        if let watch { loop.unwatch(watch) }
        watch = nil
    }

    /// Lets those in for whom there is room.
    private func admit() {
        while let next = waiting.first, pending.isEmpty || pending.count + next.bytes.count <= Self.most {
            waiting.removeFirst()
            pending += next.bytes
            next.taken(true)
        }
    }

    private func feed() {
        admit()
        while let raw = target.read({ $0.raw }), !pending.isEmpty {
            do throws(Errno) {
                let count = try Linux.write(raw, pending.prefix(65536))
                pending = pending.dropFirst(count)
                admit()
            } catch {
                // Who reads it no more has closed it; that is no error of the command's.
                guard error == .again else { return close() }
                if watch == nil { watch = try? loop.watch(raw, .writable) { [weak self] _ in self?.feed() } }
                return
            }
        }
        guard pending.isEmpty else { return }
        // Memory for what is written is not kept.
        pending = []
        stopWatching()
        if isFinished, target != nil { target = nil }
    }
}
