// A thread beside the event loop, for what waits for a disk. It never gets a signal that is meant for the process.
internal import Glibc
internal import Linux

/// Waited for when its owner goes away: whoever owns it has to tell it to end before.
@safe struct BackgroundThread: ~Copyable, @unchecked Sendable {
    private let thread: pthread_t

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts it, with a small stack: SQLite needs less than 32 KB of it.
    ///
    /// The corresponding C function is `pthread_create`.
    init(stack: Int = 262_144, _ body: @escaping @Sendable () -> Void) throws(Errno) {
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        unsafe pthread_attr_setstacksize(&attributes, stack)
        // A thread starts with its maker's mask. All are blocked: the loop reads signals from a descriptor.
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
        var made = pthread_t()
        let work = unsafe Unmanaged.passRetained(Work(body))
        let error = unsafe pthread_create(
            &made, &attributes,
            { context in
                guard let context = unsafe context else { return nil }
                unsafe Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        guard error == 0 else {
            unsafe work.release()
            throw Errno(rawValue: error)
        }
        thread = made
    }

    deinit { _ = pthread_join(thread, nil) }
}
