// What comes out of a jail: bytes to pass on or to keep, never more memory than was promised.
internal import Linux

/// Keeps the head and the tail of a stream within a bound, and counts the rest.
struct Capture {
    private let headLimit: Int, tailLimit: Int
    private var head: [UInt8] = []
    /// A ring: the newest byte is before `tailStart`.
    private var tail: [UInt8] = []
    private var tailStart = 0
    private(set) var total: UInt64 = 0

    /// - Parameter limit: bytes kept in all, half of them from the start.
    init(limit: UInt64) {
        let limit = Int(clamping: limit)
        headLimit = limit - limit / 2
        tailLimit = limit / 2
    }

    var isTruncated: Bool { total > UInt64(headLimit + tailLimit) }

    mutating func append(_ bytes: ArraySlice<UInt8>) {
        total += UInt64(bytes.count)
        var rest = bytes
        let room = headLimit - head.count
        if room > 0 {
            head.append(contentsOf: rest.prefix(room))
            rest = rest.dropFirst(room)
        }
        guard tailLimit > 0 else { return }
        rest = rest.suffix(tailLimit)
        let grow = min(tailLimit - tail.count, rest.count)
        tail.append(contentsOf: rest.prefix(grow))
        rest = rest.dropFirst(grow)
        while !rest.isEmpty {
            let part = rest.prefix(tailLimit - tailStart)
            tail.replaceSubrange(tailStart..<tailStart + part.count, with: part)
            rest = rest.dropFirst(part.count)
            tailStart = tailStart + part.count == tailLimit ? 0 : tailStart + part.count
        }
    }

    /// What there is from a byte of the stream on, at most so much of it: the bytes, where they start, and where the next
    /// ones are to be asked for. They start later than asked for where what was there was not kept.
    func read(from offset: UInt64, limit: Int) -> (bytes: [UInt8], start: UInt64, next: UInt64) {
        let headEnd = UInt64(head.count), tailBegin = total - UInt64(tail.count)
        var start = min(offset, total)
        if start < headEnd {
            let bytes = head[Int(start)...].prefix(limit)
            return (Array(bytes), start, start + UInt64(bytes.count))
        }
        start = max(start, tailBegin)
        let skipped = Int(start - tailBegin)
        let older = tail[tailStart...], newer = tail[..<tailStart]
        var kept = Array(older.dropFirst(skipped).prefix(limit))
        kept += newer.dropFirst(max(0, skipped - older.count)).prefix(limit - kept.count)
        return (kept, start, start + UInt64(kept.count))
    }

    /// Head and tail together; where bytes between them are missing, nothing marks the place.
    var bytes: [UInt8] { head + tail[tailStart...] + tail[..<tailStart] }
}

/// Replaces secret values in a stream, also where one is cut in two by a read.
struct Masker {
    private let secrets: [[UInt8]]
    private let starts: Set<UInt8>
    private var held: [UInt8] = []
    private static let replacement = Array("[masked]".utf8)

    init(_ values: [String]) {
        // Longer ones first: one secret may be the start of another.
        secrets = values.map(pathBytes).filter { !$0.isEmpty }.sorted { $0.count > $1.count }
        starts = Set(secrets.compactMap(\.first))
    }

    /// Whether it passes everything on as it is.
    var isIdle: Bool { secrets.isEmpty }

    /// The next part of the stream, masked. What could be the start of a secret is held back.
    mutating func mask(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        secrets.isEmpty ? Array(bytes) : take(held + bytes, isLast: false)
    }

    /// Whether there is anything that a person may be waiting to see.
    var holdsBack: Bool { !held.isEmpty }

    /// What was held back, at the end of the stream: a short secret may be in it that a longer one starts with.
    mutating func flush() -> [UInt8] { take(held, isLast: true) }

    private mutating func take(_ input: [UInt8], isLast: Bool) -> [UInt8] {
        held = []
        var output: [UInt8] = []
        output.reserveCapacity(input.count)
        var index = 0
        while index < input.count {
            if !starts.contains(input[index]) {
                output.append(input[index])
                index += 1
                continue
            }
            let rest = input[index...]
            // A longer secret that may still come is waited for, whatever shorter one is there already.
            if !isLast, secrets.contains(where: { $0.count > rest.count && $0.starts(with: rest) }) {
                held = Array(rest)
                break
            }
            if let secret = secrets.first(where: { rest.starts(with: $0) }) {
                output += Self.replacement
                index += secret.count
            } else {
                output.append(input[index])
                index += 1
            }
        }
        return output
    }
}

/// What a stream is read into: small at first, since most commands say little, and a page that is touched costs more
/// than what is read into it.
struct ReadBuffer {
    var bytes = [UInt8](repeating: 0, count: 4096)
    private static let largest = 262_144

    /// More room, where a read filled it.
    mutating func grow(after count: Int) {
        guard count == bytes.count, count < Self.largest else { return }
        bytes = [UInt8](repeating: 0, count: min(count * 16, Self.largest))
    }
}

/// One stream out of a jail, on its way to a descriptor of the caller or into a capture.
///
/// Either its source is watched, or, while something is pending, its target. Never both: the kernel reports
/// a closed other end whether it was asked for or not, and a loop would spin on it.
struct OutputStream: ~Copyable {
    private var source: Descriptor?
    /// The caller's descriptor, or nil where the stream is captured.
    private let target: Int32?
    /// The same pipe or terminal, opened anew, so that writing to it never waits.
    private let reopened: Descriptor?
    private(set) var capture: Capture
    private var masker: Masker
    /// Where the target is a terminal.
    private var terminal: TerminalFilter?
    private var pending: ArraySlice<UInt8> = []
    private var buffer = ReadBuffer()
    private var watched = Watched.nothing
    /// Regular files cannot be watched, and need not be: writing to them does not wait.
    private var targetIsWatchable = true
    /// Why the target took no more; not set where its reader merely went away.
    private(set) var failure: Errno?
    /// Bytes seen, masked or not, kept or not.
    private(set) var total: UInt64 = 0

    /// Whether the source is a terminal's master: it goes to the target as it is.
    private let isTerminal: Bool
    /// Whether everybody has closed that terminal, and so may open it again.
    private var isVacant = false
    /// Whether that is the end of it.
    private var endsWhenVacant = false
    /// When what was held back is to be shown, where it could be.
    var flushAt: UInt64? { pending.isEmpty ? heldUntil : nil }
    private var heldUntil: UInt64?

    private enum Watched { case nothing, source, vacantSource, target }

    /// What could be the start of a secret is shown on a terminal after this long, since a person waits for it.
    private static let patience: UInt64 = 10_000_000

    /// A pipe says "writable" when this much fits (pipe(7), PIPE_BUF), so such a write never waits. The caller's
    /// descriptor may be shared with others, so it is not made non-blocking.
    private static let atomicWrite = 4096

    /// - Parameter isTerminal: whether the source is a terminal's master, and the target a terminal that a person attached.
    init(
        source: consuming Descriptor, target: Int32?, limit: UInt64, masked: [String], isTerminal: Bool = false
    ) throws(Errno) {
        self.isTerminal = isTerminal
        try source.setNonBlocking(true)
        self.source = consume source
        let own = target.flatMap { reopenNonBlocking($0, .writeOnly) }
        self.target = own.read { $0.raw } ?? target
        reopened = own
        capture = Capture(limit: limit)
        masker = Masker(masked)
        if !isTerminal, let target, Linux.isTerminal(target) { terminal = TerminalFilter() }
    }

    /// A stream of nothing.
    init() {
        source = nil
        target = nil
        reopened = nil
        isTerminal = false
        capture = Capture(limit: 0)
        masker = Masker([])
    }

    /// Whether the stream has ended and everything was delivered.
    var isDone: Bool { source == nil && pending.isEmpty }

    /// Moves what can be moved without waiting, and watches for what comes next. While output waits for its
    /// reader nothing is read, so the command waits too.
    mutating func advance(
        _ poller: borrowing Poller, sourceToken: UInt64, targetToken: UInt64
    ) throws(LaunchFailure) {
        if pending.isEmpty { fill() } else { drain() }
        while !targetIsWatchable, !pending.isEmpty { drain() }
        try watch(poller, sourceToken, targetToken)
    }

    private mutating func watch(
        _ poller: borrowing Poller, _ sourceToken: UInt64, _ targetToken: UInt64
    ) throws(LaunchFailure) {
        let wanted: Watched =
            pending.isEmpty ? (source == nil ? .nothing : isVacant ? .vacantSource : .source) : .target
        if wanted == watched { return }
        // A descriptor that was closed has left the set by itself.
        switch watched {
        case .source, .vacantSource: if let raw = source.read({ $0.raw }) { try? poller.remove(raw) }
        case .target: if let target { try? poller.remove(target) }
        case .nothing: break
        }
        watched = wanted
        switch wanted {
        case .source, .vacantSource:
            guard let raw = source.read({ $0.raw }) else { return }
            // A terminal that everybody has closed is ready all the time: only what is new there counts.
            let events: Events = isVacant ? [.readable, .onChange] : .readable
            try step("epoll") { () throws(Errno) in try poller.add(raw, events, token: sourceToken) }
        case .target:
            guard let target else { return }
            do throws(Errno) { try poller.add(target, .writable, token: targetToken) } catch {
                // EPERM: a regular file. EEXIST: the other stream goes to the same place and waits for it already.
                targetIsWatchable = false
                watched = .nothing
                while !pending.isEmpty { drain() }
                return try watch(poller, sourceToken, targetToken)
            }
        case .nothing: break
        }
    }

    /// Reads once.
    private mutating func fill() {
        guard let raw = source.read({ $0.raw }) else { return }
        do throws(Errno) {
            let count = try read(raw, into: &buffer.bytes)
            guard count > 0 else { return end() }
            total += UInt64(count)
            isVacant = false
            deliver(masker.mask(buffer.bytes[..<count]))
            buffer.grow(after: count)
            heldUntil = isTerminal && masker.holdsBack ? monotonicNanoseconds() + Self.patience : nil
        } catch {
            isVacant = isTerminal && error == .inputOutput && !endsWhenVacant
            if error != .again, !isVacant { end() }
        }
    }

    /// Nobody is left who could open a terminal again: when everything is read, it has ended.
    mutating func expectEnd() { endsWhenVacant = true }

    /// Shows what was held back too long. While something is pending it has to wait as well.
    mutating func flush(now: UInt64) {
        guard let due = flushAt, now >= due else { return }
        heldUntil = nil
        deliver(masker.flush())
    }

    private mutating func end() {
        heldUntil = nil
        _ = source.take()
        deliver(masker.flush(), isLast: true)
    }

    private mutating func deliver(_ bytes: [UInt8], isLast: Bool = false) {
        guard target != nil else { return capture.append(bytes[...]) }
        var shown = bytes
        if var filter = terminal.take() {
            shown = filter.filter(bytes) + (isLast ? filter.flush() : [])
            terminal = filter
        }
        pending = shown[...]
    }

    /// Writes while the target has room. Where it takes no more, for good, the source is closed, so that the
    /// command meets a broken pipe as it would without a jail.
    private mutating func drain() {
        guard let target, !pending.isEmpty else { return }
        do throws(Errno) {
            repeat {
                let count = try write(target, pending.prefix(Self.atomicWrite))
                pending = pending.dropFirst(count)
            } while !pending.isEmpty && isWritable(target)
        } catch {
            if error == .again { return }
            if error != .brokenPipe { failure = error }
            pending = []
            _ = source.take()
        }
    }
}
