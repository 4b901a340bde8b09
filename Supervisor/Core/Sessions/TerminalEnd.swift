// The supervisor's end of a jail's terminal: what is typed waits here until the terminal takes it, what is shown is read
// and masked. It never waits, and knows nothing of commands.
internal import Linux

/// The master of a terminal on a loop. It belongs to the thread that runs the loop.
final class TerminalEnd {
    private let loop: EventLoop
    private let inputCapacity: Int
    private var master: Descriptor?
    private var watch: EventLoop.Watch?
    private var watched: Events = []
    private var masker: Masker
    private var buffer = ReadBuffer()
    private var input: ArraySlice<UInt8> = []
    private var flushTimer: EventLoop.Timer?
    /// Whether nobody has the terminal open at this moment.
    private var isVacant = false
    /// Whether nothing is read from it, so that its command has to wait.
    var isPaused = false { didSet { if isPaused != oldValue { renewWatch() } } }
    /// Whether it is closed as soon as nobody has the terminal open: its command is dead.
    var closesWhenVacant = false
    /// Called when it was closed for that reason.
    var hasEnded: () -> Void = {}
    /// Called with what is shown, masked.
    var shows: (ArraySlice<UInt8>) -> Void = { _ in }
    /// Called when something was shown and what was there is read.
    var hasShown: () -> Void = {}
    /// Called when half of the room for input is free.
    var hasGainedRoom: () -> Void = {}
    /// Called when it cannot be watched any more.
    var hasFailed: (LaunchFailure) -> Void = { _ in }

    /// What could be the start of a secret is shown after this long, since a person waits for it.
    private static let flushAfter: UInt64 = 10_000_000
    /// So much is read before others have their turn. The kernel holds less of what a dead command has shown.
    private static let turn = 256 << 10

    init(masked: [String], inputCapacity: Int, loop: EventLoop) {
        self.loop = loop
        self.inputCapacity = inputCapacity
        masker = Masker(masked)
    }

    /// Begins to serve a terminal.
    func open(_ master: consuming Descriptor) {
        self.master = consume master
        feed()
        renewWatch()
    }

    /// The master, while it is open.
    var raw: Int32? { master.read { $0.raw } }

    /// Lets go of the terminal: its session and its foreground group get SIGHUP (tty_ioctl(4), pty(7)).
    func close() {
        guard master != nil else { return }
        if let watch { loop.unwatch(watch) }
        watch = nil
        watched = []
        _ = master.take()
        input = []
        if let flushTimer { loop.cancel(flushTimer) }
        flushTimer = nil
        flush()
    }

    // MARK: - Input

    /// Takes as many of the bytes as there is room for, and says how many.
    func write(_ bytes: ArraySlice<UInt8>) -> Int {
        let taken = bytes.prefix(max(0, inputCapacity - input.count))
        input = input.isEmpty ? taken : input + taken
        feed()
        return taken.count
    }

    /// Whether half of the room for input is free.
    var hasRoom: Bool { input.count <= inputCapacity / 2 }

    private func feed() {
        guard let raw else { return }
        while !input.isEmpty {
            do throws(Errno) { input = input.dropFirst(try Linux.write(raw, input)) } catch {
                // EIO: nobody has it open, and so nobody will read this.
                if error != .again { input = [] }
                break
            }
        }
        // Its memory goes with the last byte.
        if input.isEmpty { input = [] }
        renewWatch()
        if hasRoom { hasGainedRoom() }
    }

    // MARK: - Output

    /// Reads what is there. A read waits for what is on its way between the two ends (n_tty_read), so what a command showed before it died is
    /// there.
    func fill() {
        var total = 0
        while let raw, total < Self.turn {
            do throws(Errno) {
                let count = try Linux.read(raw, into: &buffer.bytes)
                // No master says so; were it otherwise, there would be nothing more to come.
                guard count > 0 else { throw Errno.inputOutput }
                total += count
                isVacant = false
                let shown = masker.mask(buffer.bytes[..<count])
                shows(shown[...])
            } catch {
                if error == .again { break }
                // EIO: everybody has closed it (pty(7)). Who lives may open it again.
                isVacant = true
                break
            }
        }
        if total > 0 { considerFlush() }
        if isVacant, closesWhenVacant { close() }
        if total > 0 { hasShown() }
        guard raw != nil else { return hasEnded() }
        renewWatch()
    }

    /// What is held back now has to wait for a moment more.
    private func considerFlush() {
        if let flushTimer { loop.cancel(flushTimer) }
        flushTimer = nil
        guard masker.holdsBack else { return }
        flushTimer = loop.after(Self.flushAfter) { [weak self] in
            self?.flushTimer = nil
            self?.flush()
            self?.hasShown()
        }
    }

    private func flush() {
        let rest = masker.flush()
        if !rest.isEmpty { shows(rest[...]) }
    }

    // MARK: - Waiting

    /// Watches for what is of interest now, and for nothing else: what is ready and not wanted would keep the loop awake.
    private func renewWatch() {
        guard let raw else { return }
        var wanted: Events = isPaused ? [] : .readable
        if !input.isEmpty { wanted.insert(.writable) }
        // A terminal that everybody has closed is ready all the time: only what is new there counts.
        if isVacant, !wanted.isEmpty { wanted.insert(.onChange) }
        guard wanted != watched else { return }
        if let watch { loop.unwatch(watch) }
        watch = nil
        watched = wanted
        if wanted.isEmpty { return }
        do throws(Errno) {
            watch = try loop.watch(raw, wanted) { [weak self] events in self?.serve(events) }
        } catch {
            hasFailed(LaunchFailure(step: "epoll", errno: error))
        }
    }

    private func serve(_ events: Events) {
        if events.contains(.writable) { feed() }
        if !isPaused, !events.intersection([.readable, .hangUp, .error]).isEmpty { fill() }
    }
}
