// Waiting: epoll, poll, and signals as descriptors, so that nothing is ever asked for again and again.
internal import CLinux
internal import Glibc

/// What happened to a watched descriptor.
public struct Events: OptionSet, Sendable {
    /// The EPOLL bits.
    public let rawValue: UInt32
    /// Makes one from EPOLL bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// There is something to read, or end-of-file.
    public static let readable = Events(rawValue: 0x001)
    /// An exceptional condition: cgroup files say so when their contents change.
    public static let priority = Events(rawValue: 0x002)
    /// There is room to write.
    public static let writable = Events(rawValue: 0x004)
    /// An error, always reported.
    public static let error = Events(rawValue: 0x008)
    /// The other side is gone, always reported.
    public static let hangUp = Events(rawValue: 0x010)
    /// Told only when something new happens, not as long as it is so (EPOLLET, epoll(7)).
    public static let onChange = Events(rawValue: 1 << 31)
}

/// A set of watched descriptors.
public struct Poller: ~Copyable {
    private let descriptor: Descriptor

    /// An empty set.
    ///
    /// The corresponding C function is `epoll_create1`.
    public init() throws(Errno) {
        descriptor = Descriptor(owning: try check(epoll_create1(Int32(bitPattern: 0o2000000))))
    }

    /// Watches a descriptor; `token` comes back with its events. `EPERM` for regular files, which are
    /// always ready.
    ///
    /// The corresponding C function is `epoll_ctl`.
    public borrowing func add(_ watched: Int32, _ events: Events, token: UInt64) throws(Errno) {
        var event = unsafe epoll_event(events: events.rawValue, data: epoll_data_t(u64: token))
        try check(unsafe epoll_ctl(descriptor.raw, Int32(EPOLL_CTL_ADD), watched, &event))
    }

    /// Stops watching.
    public borrowing func remove(_ watched: Int32) throws(Errno) {
        try check(epoll_ctl(descriptor.raw, Int32(EPOLL_CTL_DEL), watched, nil))
    }

    /// As `wait`, and as the function of this name lets go of memory meanwhile.
    public borrowing func waitLightly(
        grace: Int = 50, milliseconds: Int? = nil
    ) throws(Errno) -> [(token: UInt64, events: Events)] {
        guard (milliseconds ?? .max) > grace else { return try wait(milliseconds: milliseconds) }
        // Whoever was stopped and goes on has to look around (signal(7)).
        guard let events = try waitUnlessInterrupted(milliseconds: grace) else { return [] }
        guard events.isEmpty else { return events }
        cordon_drop_text()
        return try wait(milliseconds: milliseconds.map { $0 - grace })
    }

    /// Waits for events, at most `milliseconds` (nil: for ever).
    ///
    /// The corresponding C function is `epoll_wait`.
    public borrowing func wait(milliseconds: Int? = nil) throws(Errno) -> [(token: UInt64, events: Events)] {
        try waitUnlessInterrupted(milliseconds: milliseconds) ?? []
    }

    private borrowing func waitUnlessInterrupted(
        milliseconds: Int?
    ) throws(Errno) -> [(token: UInt64, events: Events)]? {
        var buffer = unsafe [epoll_event](repeating: epoll_event(), count: 16)
        let timeout = Int32(clamping: milliseconds ?? -1)
        let count = unsafe epoll_wait(descriptor.raw, &buffer, Int32(buffer.count), timeout)
        if count < 0 {
            let error = Errno.current
            if error == .interrupted { return nil }
            throw error
        }
        return unsafe buffer.prefix(Int(count)).map { event in
            unsafe (token: unsafe event.data.u64, events: Events(rawValue: event.events))
        }
    }
}

/// Signals that are read instead of interrupting.
public struct SignalSource: ~Copyable {
    /// Readable when a signal is pending.
    public let descriptor: Descriptor

    /// Blocks these signals for the calling thread and makes them readable.
    ///
    /// The corresponding C functions are `pthread_sigmask` and `signalfd`.
    public init(_ numbers: [Int32]) throws(Errno) {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for number in numbers { unsafe sigaddset(&set, number) }
        let error = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        guard error == 0 else { throw Errno(rawValue: error) }
        descriptor = Descriptor(owning: try check(unsafe signalfd(-1, &set, 0o2000000 | 0o4000)))
    }

    /// The next pending signal, or nil.
    public borrowing func next() throws(Errno) -> Int32? {
        var information = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        let count = unsafe Glibc.read(descriptor.raw, &information, size)
        if count == size { return Int32(information.ssi_signo) }
        let error = Errno.current
        if count < 0, error != .again, error != .interrupted { throw error }
        return nil
    }
}

/// Numbers of signals that Cordon handles or sends.
public enum Signal {
    /// Terminal gone.
    public static let hangUp = SIGHUP
    /// Ctrl-C.
    public static let interrupt = SIGINT
    /// Ctrl-\.
    public static let quit = SIGQUIT
    /// Cannot be caught.
    public static let kill = SIGKILL
    /// User-defined.
    public static let user1 = SIGUSR1
    /// User-defined.
    public static let user2 = SIGUSR2
    /// Write to a pipe without readers.
    public static let pipe = SIGPIPE
    /// A file would be longer than may be.
    public static let fileSize = SIGXFSZ
    /// The polite request to end.
    public static let terminate = SIGTERM
    /// The window has another size.
    public static let windowChange = SIGWINCH
    /// Ctrl-Z.
    public static let stop = SIGTSTP
    /// Goes on after a stop.
    public static let `continue` = SIGCONT
    /// A child changed state.
    public static let child = SIGCHLD
    /// Urgent data on a socket.
    public static let urgent = SIGURG

    /// `SIGKILL` for 9.
    public static func name(_ number: Int32) -> String {
        guard let text = unsafe cordon_signal_name(number) else { return "signal \(number)" }
        return unsafe "SIG" + String(cString: text)
    }

    /// 9 for `KILL`, `SIGKILL` and `9`; nil for what is no signal.
    public static func number(_ text: String) -> Int32? {
        if let number = Int32(text) { return (1...64).contains(number) ? number : nil }
        let name = text.hasPrefix("SIG") ? text : "SIG" + text
        return (1...31).first { self.name($0) == name }
    }

    /// Leaves a signal without effect, for the whole process.
    public static func ignore(_ number: Int32) { cordon_ignore_signal(number) }
}

/// Nanoseconds on a clock that never jumps (CLOCK_MONOTONIC).
public func monotonicNanoseconds() -> UInt64 { nanoseconds(CLOCK_MONOTONIC) }

/// Nanoseconds since boot, suspension included (CLOCK_BOOTTIME).
public func bootNanoseconds() -> UInt64 { nanoseconds(CLOCK_BOOTTIME) }

/// Milliseconds since 1970 (CLOCK_REALTIME), for people and for what outlives the machine's start.
public func wallMilliseconds() -> UInt64 { nanoseconds(CLOCK_REALTIME) / 1_000_000 }

private func nanoseconds(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Waits until a descriptor is readable or its other side is gone; false when the time is up first.
///
/// The corresponding C function is `poll`.
public func waitReadable(_ descriptor: Int32, milliseconds: Int? = nil) throws(Errno) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    let timeout = Int32(clamping: milliseconds ?? -1)
    return try retrying { unsafe poll(&entry, 1, timeout) } > 0
}

/// Lets the processor go for a moment, where the kernel has no event to wait for.
///
/// The corresponding C function is `usleep`.
public func pause(microseconds: UInt32) { usleep(microseconds) }

/// Whether a descriptor takes at least a little at this moment, or has failed.
///
/// The corresponding C function is `poll`.
public func isWritable(_ descriptor: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return unsafe poll(&entry, 1, 0) > 0
}

/// Waits until a descriptor is readable, and lets go of the program's own pages meanwhile: a process that idles
/// in every jail should cost next to nothing. What is needed again comes from the page cache. Waits of less than
/// `grace` milliseconds keep their pages.
///
/// The corresponding C functions are `poll` and `madvise` with MADV_DONTNEED.
public func waitLightly(for descriptor: Int32, grace: Int = 50, milliseconds: Int? = nil) throws(Errno) {
    try checkRaw(cordon_wait_lightly(descriptor, Int32(clamping: grace), Int32(clamping: milliseconds ?? -1)))
}

/// Waits until a descriptor takes something, or has failed.
///
/// The corresponding C function is `poll`.
public func waitWritable(_ descriptor: Int32) throws(Errno) {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    try retrying { unsafe poll(&entry, 1, -1) }
}
