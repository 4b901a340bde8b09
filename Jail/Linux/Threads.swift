// Threads that live as long as their owner, and the counter by which one tells another that there is something to do.
internal import CLinux
internal import Glibc

/// A thread.
public final class Thread {
    private var handle = pthread_t()

    /// Starts it.
    ///
    /// The corresponding C function is `pthread_create`.
    public init(_ body: @escaping @Sendable () -> Void) throws(Errno) {
        let box = unsafe Unmanaged.passRetained(Body(body))
        let error = unsafe pthread_create(
            &handle, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, unsafe box.toOpaque())
        if error != 0 {
            unsafe box.release()
            throw Errno(rawValue: error)
        }
    }

    /// Waits until it has returned. To be called once.
    ///
    /// The corresponding C function is `pthread_join`.
    public func join() { pthread_join(handle, nil) }

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}

/// A counter that can be waited for and watched.
public struct EventCounter: ~Copyable, Sendable {
    /// Readable while the count is not zero.
    public let descriptor: Descriptor

    /// - Parameter isSemaphore: whether a `take` waits for one and takes one; otherwise it takes all that there are, and does
    ///   not wait.
    ///
    /// The corresponding C function is `eventfd`.
    public init(isSemaphore: Bool) throws(Errno) {
        let flags = isSemaphore ? EFD_SEMAPHORE : EFD_NONBLOCK
        descriptor = Descriptor(owning: try check(eventfd(0, Int32(flags | EFD_CLOEXEC))))
    }

    /// Adds one.
    public borrowing func add() {
        // It fails only at 2^64, which is also readable.
        try? descriptor.writeAll([1, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Takes from it.
    public borrowing func take() {
        var buffer = [UInt8](repeating: 0, count: 8)
        _ = try? descriptor.read(into: &buffer)
    }
}
