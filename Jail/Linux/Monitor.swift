// A lock with a condition, for state that several threads change and wait for. It never holds the state itself.
internal import Glibc

/// A lock, and a place to wait until somebody has changed what it guards.
@safe public final class Monitor: @unchecked Sendable {
    // Addresses that do not move, since pthread knows its objects by them.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    /// Makes one that nobody holds.
    ///
    /// The corresponding C functions are `pthread_mutex_init` and `pthread_cond_init`.
    public init() {
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe condition.initialize(to: pthread_cond_t())
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(condition, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// Waits until nobody else holds it, and takes it.
    ///
    /// The corresponding C function is `pthread_mutex_lock`.
    public func lock() { unsafe pthread_mutex_lock(mutex) }

    /// Gives it back.
    ///
    /// The corresponding C function is `pthread_mutex_unlock`.
    public func unlock() { unsafe pthread_mutex_unlock(mutex) }

    /// Gives it back, waits for `wakeOne` or `wakeAll`, and takes it again. It may also return for no reason: ask again.
    ///
    /// The corresponding C function is `pthread_cond_wait`.
    public func wait() { unsafe pthread_cond_wait(condition, mutex) }

    /// Wakes one that waits.
    ///
    /// The corresponding C function is `pthread_cond_signal`.
    public func wakeOne() { unsafe pthread_cond_signal(condition) }

    /// Wakes all that wait.
    ///
    /// The corresponding C function is `pthread_cond_broadcast`.
    public func wakeAll() { unsafe pthread_cond_broadcast(condition) }
}
