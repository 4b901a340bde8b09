// Threads that are waited for. A Task would share a few threads among all, and `run` blocks the one it is on.
internal import Glibc

/// A thread.
final class Thread {
    private var handle = pthread_t()
    private let started: Bool

    init(_ body: @escaping @Sendable () -> Void) {
        let box = unsafe Unmanaged.passRetained(Body(body))
        let result = unsafe pthread_create(
            &handle, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, unsafe box.toOpaque())
        started = result == 0
        if result != 0 { unsafe box.release() }
    }

    func join() { if started { pthread_join(handle, nil) } }

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}

/// Runs `body` in so many threads and waits for all.
func inThreads(_ count: Int, _ body: @escaping @Sendable () -> Void) {
    let threads = (0..<count).map { _ in Thread(body) }
    for thread in threads { thread.join() }
}
