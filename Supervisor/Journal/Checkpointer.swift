// Brings what is in the log to the disk and into the database, on a thread of its own: fsync waits for the disk, and
// the event loop must not. It never writes a record.
internal import Linux
internal import Synchronization

/// A thread with a connection of its own. It sleeps until it is told that something was written; half a second later at
/// the latest that is on the disk, whether or not anybody calls again: that is what a power loss may cost.
///
/// A checkpoint that nobody disturbs lets the next writer begin the log anew. One that the writer overtakes does not,
/// and under constant load every one is overtaken: then the writer itself copies the few frames that are left
/// (`Journal.boundLog`). So the log is bounded, and the loop waits only for one small checkpoint in several megabytes.
struct Checkpointer: ~Copyable {
    private let work: CheckpointWork
    private let thread: BackgroundThread

    /// - Parameter delay: milliseconds from the first record to the checkpoint.
    init(path: String, delay: Int = 500) throws(Errno) {
        let work = try CheckpointWork(path: path, delay: delay)
        let thread = try BackgroundThread { work.run() }
        self.work = work
        self.thread = thread
    }

    /// The thread ends after the checkpoint that it is at.
    deinit { work.end() }

    /// Says that something was written. With `urgent` the checkpoint begins at once.
    borrowing func announce(urgent: Bool) { work.announce(urgent: urgent) }

    /// Whether a checkpoint is under way.
    var isRunning: Bool { work.state.withLock { $0.isRunning } }

    /// Why the last checkpoint failed, or the thread has no connection.
    var failure: SqliteError? { work.state.withLock { $0.failure } }

    /// Waits until no checkpoint is under way, at most so long.
    borrowing func waitUntilIdle(milliseconds: Int) {
        let end = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
        while isRunning {
            let now = monotonicNanoseconds()
            guard now < end else { return }
            work.done.wait(milliseconds: Int((end - now) / 1_000_000) + 1)
        }
    }
}

/// What the loop's thread and the other one share.
private final class CheckpointWork: Sendable {
    struct State {
        /// Something was written since the last checkpoint began.
        var isDirty = false
        var isUrgent = false
        var isRunning = false
        var isOver = false
        /// Of the last checkpoint.
        var failure: SqliteError?
    }

    let state = Mutex(State())
    let wake: Bell, done: Bell
    private let path: String
    private let delay: Int

    init(path: String, delay: Int) throws(Errno) {
        let wake = try Bell()
        let done = try Bell()
        self.wake = wake
        self.done = done
        self.path = path
        self.delay = delay
    }

    func announce(urgent: Bool) {
        let isNew = state.withLock { state in
            let isNew = !state.isDirty || (urgent && !state.isUrgent)
            state.isDirty = true
            if urgent { state.isUrgent = true }
            return isNew
        }
        if isNew { wake.ring() }
    }

    func end() {
        state.withLock { $0.isOver = true }
        wake.ring()
    }

    func run() {
        nameProcess("journal")
        do throws(SqliteError) {
            let connection = try SqliteConnection(path: path)
            try connection.execute(Schema.settings + "PRAGMA cache_size=-64")
            _ = try connection.integer("PRAGMA user_version")
            while waitForWork() {
                do throws(SqliteError) {
                    let (frames, copied) = try connection.checkpoint()
                    // The first write after a complete checkpoint begins the log anew, for which SQLite waits for the
                    // disk (sqlite3WalFrames: the header has to be there before frames are overwritten). So it is made
                    // here: else the start of every command after a pause would wait. If the loop writes now, it was
                    // not idle.
                    if frames == copied, frames > 1 { try connection.execute("PRAGMA user_version=\(Schema.version)") }
                    finish(nil)
                } catch { finish(error) }
            }
        } catch { finish(error) }
    }

    /// - Returns: false when it is time to end.
    private func waitForWork() -> Bool {
        while true {
            let now = state.withLock { $0 }
            if now.isOver { return false }
            if now.isUrgent { break }
            if now.isDirty {
                if !wake.wait(milliseconds: delay) { break }
            } else {
                wake.wait(milliseconds: nil)
            }
        }
        return state.withLock { state in
            state.isDirty = false
            state.isUrgent = false
            state.isRunning = !state.isOver
            return !state.isOver
        }
    }

    private func finish(_ failure: SqliteError?) {
        state.withLock { state in
            state.isRunning = false
            // The loop was at a checkpoint itself: no failure, but perhaps not all of it.
            state.failure = failure?.kind == .busy ? nil : failure
            if failure != nil { state.isDirty = true }
        }
        done.ring()
    }
}

/// One thread waits, another rings; ringing never waits.
private struct Bell: ~Copyable, Sendable {
    private let hearing: Descriptor, ringing: Descriptor

    init() throws(Errno) {
        var pipe = try makePipe()
        let hearing = try pipe.takeReading()
        let ringing = try pipe.takeWriting()
        try hearing.setNonBlocking(true)
        try ringing.setNonBlocking(true)
        self.hearing = hearing
        self.ringing = ringing
    }

    /// A pipe that is full has rung.
    borrowing func ring() { _ = try? write(ringing.raw, [1]) }

    /// - Returns: false when the time is up.
    @discardableResult
    borrowing func wait(milliseconds: Int?) -> Bool {
        guard (try? waitReadable(hearing.raw, milliseconds: milliseconds)) ?? false else { return false }
        var buffer = [UInt8](repeating: 0, count: 64)
        _ = try? hearing.read(into: &buffer)
        return true
    }
}
