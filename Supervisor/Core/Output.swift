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
        for byte in rest.dropFirst(grow) {
            tail[tailStart] = byte
            tailStart = tailStart + 1 == tailLimit ? 0 : tailStart + 1
        }
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
        secrets = values.map { Array($0.utf8) }.filter { !$0.isEmpty }.sorted { $0.count > $1.count }
        starts = Set(secrets.compactMap(\.first))
    }

    /// The next part of the stream, masked. What could be the start of a secret is held back.
    mutating func mask(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        if secrets.isEmpty { return Array(bytes) }
        let input = held + bytes
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
            if let secret = secrets.first(where: { rest.starts(with: $0) }) {
                output += Self.replacement
                index += secret.count
            } else if secrets.contains(where: { $0.count > rest.count && $0.starts(with: rest) }) {
                held = Array(rest)
                break
            } else {
                output.append(input[index])
                index += 1
            }
        }
        return output
    }

    /// What was held back, at the end of the stream.
    mutating func flush() -> [UInt8] {
        defer { held = [] }
        return held
    }
}

/// One stream out of a jail, on its way to a descriptor of the caller or into a capture.
struct OutputStream: ~Copyable {
    private var source: Descriptor?
    /// The caller's descriptor, or nil where the stream is captured.
    private let target: Int32?
    private(set) var capture: Capture
    private var masker: Masker
    /// Where the target is a terminal.
    private var terminal: TerminalFilter?
    private var pending: ArraySlice<UInt8> = []
    private var buffer = [UInt8](repeating: 0, count: 65536)
    private var isClosed = false
    private var targetIsWatchable = true
    private var isTargetGone = false
    /// Bytes seen, masked or not, kept or not.
    private(set) var total: UInt64 = 0

    /// A pipe says "writable" when this much fits (pipe(7), PIPE_BUF), so such a write never waits.
    private static let atomicWrite = 4096

    init(source: consuming Descriptor, target: Int32?, limit: UInt64, masked: [String]) {
        self.source = consume source
        self.target = target
        capture = Capture(limit: limit)
        masker = Masker(masked)
        if let target, isTerminal(target) { terminal = TerminalFilter() }
    }

    /// Whether the stream has ended and everything was delivered.
    var isDone: Bool { isClosed && pending.isEmpty }

    /// Starts watching the source.
    mutating func watch(_ poller: borrowing Poller, token: UInt64) throws(LaunchFailure) {
        if let target {
            // Regular files cannot be watched, and need not be: writing to them does not wait.
            do throws(Errno) { try poller.add(target, [], token: token) } catch {
                targetIsWatchable = false
                if error != .notPermitted, error != .exists { isTargetGone = true }
            }
        }
        if let raw = source.read({ $0.raw }) {
            try step("epoll") { () throws(Errno) in try poller.add(raw, .readable, token: token) }
        }
    }

    /// Moves what can be moved without waiting: reads while nothing is pending, writes while there is room.
    mutating func advance(_ poller: borrowing Poller, _ sourceToken: UInt64, _ targetToken: UInt64)
        throws(LaunchFailure)
    {
        if pending.isEmpty { fill() } else { drain() }
        while !targetIsWatchable, !pending.isEmpty { drain() }
        guard targetIsWatchable, let target else { return }
        // While output waits for its reader nothing is read, so the command waits too.
        try step("epoll") { () throws(Errno) in
            try poller.modify(target, pending.isEmpty ? [] : .writable, token: targetToken)
            if let raw = source.read({ $0.raw }) {
                try poller.modify(raw, pending.isEmpty ? .readable : [], token: sourceToken)
            }
        }
    }

    /// Reads once. Call it when the source is readable and nothing is pending.
    private mutating func fill() {
        guard !isClosed, pending.isEmpty else { return }
        let count = source.read { source in (try? source.read(into: &buffer)) ?? 0 } ?? 0
        if count == 0 {
            deliver(masker.flush(), isLast: true)
            isClosed = true
            _ = source.take()
            return
        }
        total += UInt64(count)
        deliver(masker.mask(buffer[..<count]))
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

    /// Writes once to the target. Where it takes no more, for good, the source is closed, so that the command
    /// meets a broken pipe as it would without a jail.
    private mutating func drain() {
        guard let target, !pending.isEmpty else { return }
        do throws(Errno) {
            let count = try write(target, pending.prefix(Self.atomicWrite))
            pending = pending.dropFirst(count)
        } catch {
            if error == .again { return }
            pending = []
            isClosed = true
            _ = source.take()
        }
    }
}
