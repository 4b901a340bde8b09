// Threads that are waited for. A Task would share a few threads among all, and `run` blocks the one it is on.
internal import Linux

/// Runs `body` in so many threads and waits for all.
func inThreads(_ count: Int, _ body: @escaping @Sendable () -> Void) throws(Errno) {
    var threads: [Thread] = []
    // Those that began are waited for, whatever becomes of the others.
    defer { for thread in threads { thread.join() } }
    for _ in 0..<count { threads.append(try Thread(body)) }
}
