// Threads for what takes long: making and ending jails, walking trees, removing cgroups. The loop never waits for them.
public import Linux
internal import Synchronization

/// Threads that do one job after the other, in the order in which they were given, and tell the loop when each is done.
public final class Workers {
    private struct Job: Sendable {
        let number: UInt64?
        let body: @Sendable () -> Void
    }

    /// What the threads share with the loop.
    private final class Queue: Sendable {
        private struct State {
            var jobs: [Job] = []
            var next = 0
            var finished: [UInt64] = []
        }

        private let state = Mutex(State())
        private let waiting: EventCounter
        let finished: EventCounter

        init() throws(Errno) {
            waiting = try EventCounter(isSemaphore: true)
            finished = try EventCounter(isSemaphore: false)
        }

        func put(_ job: Job) {
            state.withLock { $0.jobs.append(job) }
            waiting.add()
        }

        /// Wakes a thread that is to go.
        func wake() { waiting.add() }

        /// Waits for a job; nil where there is none although somebody woke it: the thread is to go.
        func take() -> Job? {
            waiting.take()
            return state.withLock { state in
                guard state.next < state.jobs.count else { return nil }
                let job = state.jobs[state.next]
                state.next += 1
                if state.next == state.jobs.count { (state.jobs, state.next) = ([], 0) }
                return job
            }
        }

        func finish(_ number: UInt64) {
            state.withLock { $0.finished.append(number) }
            finished.add()
        }

        func takeFinished() -> [UInt64] {
            finished.take()
            return state.withLock { state in
                defer { state.finished = [] }
                return state.finished
            }
        }
    }

    private let queue: Queue
    private let loop: EventLoop
    private var watch: EventLoop.Watch?
    private var threads: [Thread] = []
    private var actions: [UInt64: () -> Void] = [:]
    private var nextNumber: UInt64 = 0

    /// Starts so many threads.
    public init(count: Int, loop: EventLoop) throws(Errno) {
        let queue = try Queue()
        self.queue = queue
        self.loop = loop
        watch = try loop.watch(queue.finished.descriptor.raw, .readable) { [weak self] _ in self?.collect() }
        for _ in 0..<count {
            threads.append(
                try Thread {
                    while let job = queue.take() {
                        job.body()
                        if let number = job.number { queue.finish(number) }
                    }
                })
        }
    }

    /// Waits until everything that was begun or waits is done: what ends a jail must not be left out.
    deinit {
        if let watch { loop.unwatch(watch) }
        for _ in threads { queue.wake() }
        for thread in threads { thread.join() }
    }

    /// Does something in a thread, and nothing when it is done.
    public func perform(_ work: @escaping @Sendable () -> Void) { queue.put(Job(number: nil, body: work)) }

    /// Does something in a thread, and calls back on the loop.
    public func perform<Result: Sendable>(
        _ work: @escaping @Sendable () -> Result, then: @escaping (Result) -> Void
    ) {
        let result = Handover<Result>()
        nextNumber += 1
        actions[nextNumber] = { if let result = result.take() { then(result) } }
        queue.put(Job(number: nextNumber) { result.put(work()) })
    }

    private func collect() {
        for number in queue.takeFinished() { actions.removeValue(forKey: number)?() }
    }
}

/// A value on its way from one thread to another. It can be taken once.
final class Handover<Value: Sendable>: Sendable {
    private let value: Mutex<Value?>

    init() { value = Mutex(nil) }

    /// Keeps no other hold of it.
    init(_ value: consuming Value) { self.value = Mutex(consume value) }

    func put(_ value: Value) { self.value.withLock { $0 = value } }

    func take() -> Value? {
        value.withLock { value in
            defer { value = nil }
            return value
        }
    }
}
