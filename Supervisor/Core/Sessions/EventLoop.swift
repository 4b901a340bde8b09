// The one thread that serves everybody: descriptors, timers, and what is left for a quiet moment.
//
// Nothing that it calls may wait. Whoever has to wait for something watches for it, and is called when it is there.
public import Linux

/// A loop over epoll. It belongs to the thread that runs it.
public final class EventLoop {
    /// What is called for a descriptor that is ready.
    public typealias Handler = (Events) -> Void

    /// A descriptor that is watched.
    public struct Watch: Hashable {
        fileprivate let token: UInt64
        fileprivate let descriptor: Int32
    }

    /// A time that is waited for.
    public struct Timer: Hashable {
        fileprivate let deadline: UInt64
        fileprivate let number: UInt64
    }

    private let poller: Poller
    private var handlers: [UInt64: Handler] = [:]
    /// In order of their deadlines.
    private var timers: [(timer: Timer, action: () -> Void)] = []
    private var deferred: [() -> Void] = []
    private var nextNumber: UInt64 = 0
    private var isStopped = false

    /// A loop that watches nothing yet.
    public init() throws(Errno) { poller = try Poller() }

    /// Watches a descriptor, which must stay open until `unwatch`.
    public func watch(_ descriptor: Int32, _ events: Events, _ handler: @escaping Handler) throws(Errno) -> Watch {
        nextNumber += 1
        let watch = Watch(token: nextNumber, descriptor: descriptor)
        try poller.add(descriptor, events, token: watch.token)
        handlers[watch.token] = handler
        return watch
    }

    /// Stops watching.
    public func unwatch(_ watch: Watch) {
        guard handlers.removeValue(forKey: watch.token) != nil else { return }
        try? poller.remove(watch.descriptor)
    }

    /// Calls something once so many nanoseconds have passed.
    public func after(_ nanoseconds: UInt64, _ action: @escaping () -> Void) -> Timer {
        nextNumber += 1
        let end = monotonicNanoseconds().addingReportingOverflow(nanoseconds)
        let timer = Timer(deadline: end.overflow ? .max : end.partialValue, number: nextNumber)
        // Few are set at a time, and most are set for later than those that are there.
        let place = timers.lastIndex { $0.timer.deadline <= timer.deadline }.map { $0 + 1 } ?? 0
        timers.insert((timer, action), at: place)
        return timer
    }

    /// Calls something once so many milliseconds have passed, however many: what no clock can say is never.
    public func after(milliseconds: UInt64, _ action: @escaping () -> Void) -> Timer {
        after(nanoseconds(milliseconds: milliseconds), action)
    }

    /// Forgets a timer; one that is over is none any more.
    public func cancel(_ timer: Timer) { timers.removeAll { $0.timer == timer } }

    /// Calls something when everything that is ready has been served: nobody is to wait for it.
    public func later(_ action: @escaping () -> Void) { deferred.append(action) }

    /// Ends `run` after what it is doing now.
    public func stop() { isStopped = true }

    /// Serves until `stop`.
    public func run() throws(Errno) {
        // A stop that came before counts too, once.
        defer { isStopped = false }
        while !isStopped {
            let ready = try poller.waitLightly(grace: 50, milliseconds: timeout())
            for (token, events) in ready {
                // A handler may have ended another one that was ready too.
                handlers[token]?(events)
            }
            runTimers()
            guard ready.isEmpty, !deferred.isEmpty else { continue }
            let actions = deferred
            deferred = []
            for action in actions { action() }
        }
    }

    private func timeout() -> Int? {
        if !deferred.isEmpty { return 0 }
        guard let first = timers.first?.timer.deadline else { return nil }
        let now = monotonicNanoseconds()
        return first <= now ? 0 : Int(clamping: (first - now + 999_999) / 1_000_000)
    }

    private func runTimers() {
        let now = monotonicNanoseconds()
        while let first = timers.first, first.timer.deadline <= now {
            timers.removeFirst()
            first.action()
        }
    }
}

/// Milliseconds in nanoseconds; the most that there can be where they are too many.
public func nanoseconds(milliseconds: UInt64) -> UInt64 {
    let product = milliseconds.multipliedReportingOverflow(by: 1_000_000)
    return product.overflow ? .max : product.partialValue
}
