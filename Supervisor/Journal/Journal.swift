// The journal: what was acknowledged survives the death of any process. It never runs anything and never judges.
internal import Linux

/// Sessions, commands and their output in an SQLite database with a write-ahead log. It belongs to one thread; it has a
/// second one of its own for what waits for the disk, so a process opens it when it has its namespaces
/// (unshare(2): CLONE_NEWUSER takes a process with one thread).
///
/// A record that was committed is in the log file, so SIGKILL loses nothing; half a second later it is on the disk.
public final class Journal {
    /// Bounds.
    public struct Options: Sendable {
        /// Bytes kept of each stream of a command: head and tail, as captures do.
        public var outputLimit: UInt64 = 2 << 20
        /// Bytes of database and log together from which on space is given back.
        public var compactionThreshold = 10 << 20
        /// Interrupted sessions that are kept; the oldest go first.
        public var interruptedLimit = 64
        /// Bytes of records that may wait in memory for space on the disk.
        public var heldLimit = 4 << 20

        /// The usual ones.
        public init() {}
    }

    /// What was found when it was opened.
    public struct Opening: Sendable {
        /// Sessions whose supervisor had died; they are recorded as interrupted now.
        public internal(set) var interrupted: [String] = []
        /// Interrupted sessions that were given up, since there were too many.
        public internal(set) var givenUp: [String] = []
        /// Where a damaged database lies now, and what was wrong with it.
        public internal(set) var movedAside: (path: String, reason: JournalError)?
    }

    // In the order in which they have to go: the lock last.
    private let checkpointer: Checkpointer?
    var database: Database
    private let directory: StateDirectory

    /// The database.
    public let path: String
    /// Its bounds.
    public let options: Options
    /// Its number in a shared state directory.
    public let slot: Int?
    /// What was found when it was opened.
    public internal(set) var opening = Opening()
    /// Why new work is refused; nil where all is well.
    public internal(set) var refusal: JournalError?
    var held: [Row] = []
    private var heldWeight = 0
    private var lastRetry: UInt64 = 0
    var coverages: [StreamKey: Coverage] = [:]
    var compaction: Compaction
    private var finishAgainAt = 0
    private var commitsUntilLook = 64

    /// Frames of the log (4 KB each) at which it is copied at once, at which the loop helps where the thread did not
    /// come to an end, at which it waits for the thread, and at which nothing helps and new work is refused.
    private static let log = (soft: 128, finish: 1024, wait: 2048, refuse: 6144)
    /// Nanoseconds between attempts to write again.
    private static let retryInterval: UInt64 = 250_000_000

    /// Opens the journal of a state directory, which is made (mode 0700) if it is missing, and recovers what is in it.
    ///
    /// - Throws: `busy` where another process owns it; `notOurs`, `full`, `readOnly`, `otherVersion`.
    public static func open(_ directory: String, _ options: Options = Options()) throws(JournalError) -> Journal {
        try Journal(try StateDirectory(directory), slot: nil, options)
    }

    /// Opens the journal in the lowest free slot (`0` to `63`) of a state directory that several supervisors share.
    ///
    /// - Throws: as `open`; `busy` where all are taken.
    public static func openSlot(in directory: String, _ options: Options = Options()) throws(JournalError) -> Journal {
        var number = 0
        return try Journal(try StateDirectory.slot(in: directory, &number), slot: number, options)
    }

    private init(_ directory: consuming StateDirectory, slot: Int?, _ options: Options) throws(JournalError) {
        let file = directory.database
        var movedAside: (path: String, reason: JournalError)?
        if directory.hasLogAlone() {
            let reason = JournalError(.corrupt, path: file, "there was a log without its database")
            movedAside = (try directory.moveAside(seconds: wallMilliseconds() / 1000), reason)
        }
        try directory.prepareDatabase()
        do throws(JournalError) { database = try Database.open(file) } catch {
            guard error.kind == .corrupt else { throw error }
            movedAside = (try directory.moveAside(seconds: wallMilliseconds() / 1000), error)
            try directory.prepareDatabase()
            database = try Database.open(file)
        }
        // Without a thread the loop does its work.
        do throws(Errno) { checkpointer = try Checkpointer(path: file) } catch { checkpointer = nil }
        self.directory = directory
        path = file
        self.options = options
        self.slot = slot
        compaction = Compaction(threshold: options.compactionThreshold)
        opening.movedAside = movedAside
        recover()
    }

    /// Records something. When it returns `committed`, the record survives SIGKILL.
    ///
    /// While the journal cannot write, new work is refused, and records of work that runs are held in memory.
    ///
    /// - Throws: `invalid` for what cannot be true; else why nothing can be written.
    @discardableResult
    public func append(_ record: JournalRecord) throws(JournalError) -> Durability {
        switch record {
        case .sessionOpened(let entry): return try open(entry)
        case .sessionReopened(let id, let at): return try reopen(id, at)
        case .sessionClosed(let id, let at):
            let state = try known(id)
            let result = try commit([.closed(session: state.serial, at: at)], isNew: false)
            database.sessions[Array(id.utf8)] = nil
            coverages = coverages.filter { $0.key.session != state.serial }
            compaction.hasVictims = true
            return result
        case .commandStarted(let id, let entry): return try start(entry, in: id)
        case .commandEnded(let id, let number, let at, let report):
            let state = try known(id)
            guard state.running.contains(number) else { throw invalid("command \(number) of \(id) is not running") }
            let row = Row.ending(session: state.serial, number: number, at: at, report: report)
            let result = try commit([row], isNew: false)
            database.sessions[Array(id.utf8)]?.running.remove(number)
            return result
        case .commandForgotten(let id, let number):
            let state = try known(id)
            guard !state.running.contains(number) else { throw invalid("command \(number) of \(id) is running") }
            let result = try commit([.forgotten(session: state.serial, number: number)], isNew: false)
            for stream in JournalStream.allCases {
                coverages[StreamKey(session: state.serial, number: number, stream: stream)] = nil
            }
            compaction.hasVictims = true
            return result
        case .note(let id, let at, let text):
            return try event(.note, of: id, at, text, isNew: false)
        }
    }

    private func open(_ entry: SessionEntry) throws(JournalError) -> Durability {
        let key = Array(entry.id.utf8)
        guard database.sessions[key] == nil else { throw invalid("there is a session \(entry.id)") }
        let serial = database.lastSerial + 1
        let result = try commit([.session(serial: serial, entry)], isNew: true)
        database.lastSerial = serial
        database.sessions[key] = SessionState(serial: serial)
        return result
    }

    private func reopen(_ id: String, _ at: UInt64) throws(JournalError) -> Durability {
        guard try !known(id).isOpen else { throw invalid("session \(id) is open") }
        let result = try event(.reopened, of: id, at, "", isNew: true)
        database.sessions[Array(id.utf8)]?.interruptedAt = nil
        database.sessions[Array(id.utf8)]?.life += 1
        return result
    }

    private func start(_ entry: CommandEntry, in id: String) throws(JournalError) -> Durability {
        let state = try known(id)
        guard state.isOpen else { throw invalid("session \(id) is interrupted") }
        guard entry.number <= UInt64(Int64.max) else { throw invalid("command \(entry.number)") }
        guard !entry.arguments.contains(where: { $0.utf8.contains(0) }) else { throw invalid("an argument with NUL") }
        let result = try commit([.command(session: state.serial, life: state.life, entry)], isNew: true)
        database.sessions[Array(id.utf8)]?.running.insert(entry.number)
        for stream in JournalStream.allCases {
            let key = StreamKey(session: state.serial, number: entry.number, stream: stream)
            coverages[key] = Coverage(limit: options.outputLimit)
        }
        return result
    }

    func event(
        _ kind: EventKind, of id: String, _ at: UInt64, _ text: String, isNew: Bool
    ) throws(JournalError) -> Durability {
        let state = try known(id)
        let row = Row.event(session: state.serial, ordinal: state.nextOrdinal, kind: kind, at: at, text: text)
        let result = try commit([row], isNew: isNew)
        database.sessions[Array(id.utf8)]?.nextOrdinal += 1
        return result
    }

    func known(_ id: String) throws(JournalError) -> SessionState {
        guard let state = database.sessions[Array(id.utf8)] else { throw invalid("there is no session \(id)") }
        return state
    }

    func invalid(_ detail: String) -> JournalError { JournalError(.invalid, path: path, detail) }

    // MARK: - Writing

    func commit(_ rows: [Row], isNew: Bool) throws(JournalError) -> Durability {
        if rows.isEmpty { return .committed }
        if refusal != nil, monotonicNanoseconds() - lastRetry >= Self.retryInterval { retry() }
        if let refusal {
            if isNew { throw refusal }
            return try hold(rows, refusal)
        }
        do throws(SqliteError) { try patiently { () throws(SqliteError) in try database.write(rows) } } catch {
            let failure = JournalError(error, path: path)
            if failure.kind == .invalid { throw failure }
            refuse(failure)
            if isNew { throw failure }
            return try hold(rows, failure)
        }
        afterCommit()
        return .committed
    }

    /// Tries again where the thread is just beginning the log anew. A transaction that met SQLITE_BUSY has changed
    /// nothing.
    func patiently(_ body: () throws(SqliteError) -> Void) throws(SqliteError) {
        for _ in 0..<20 {
            do throws(SqliteError) { return try body() } catch {
                guard error.kind == .busy, checkpointer != nil else { throw error }
                checkpointer.read { $0.waitUntilIdle(milliseconds: 100) }
            }
        }
        try body()
    }

    func refuse(_ failure: JournalError) {
        refusal = failure
        lastRetry = monotonicNanoseconds()
    }

    /// Output gives up its place before the ends of commands do.
    private func hold(_ rows: [Row], _ reason: JournalError) throws(JournalError) -> Durability {
        let weight = rows.reduce(0) { $0 + $1.weight }
        let isOutput = rows.contains { if case .output = $0 { true } else { false } }
        guard heldWeight + weight <= (isOutput ? options.heldLimit : options.heldLimit * 2) else { throw reason }
        held += rows
        heldWeight += weight
        return .held
    }

    /// Tries to write some of what is held; once all of it is written, new work is taken again. A write to the first
    /// page goes along, so that there is something to try where nothing is held.
    private func retry() {
        var count = 0
        var weight = 0
        while count < held.count, weight < 262_144 {
            weight += held[count].weight
            count += 1
        }
        do throws(SqliteError) {
            try patiently { () throws(SqliteError) in
                try database.transaction { () throws(SqliteError) in
                    for row in held[..<count] { try database.writer.write(row) }
                    try database.connection.execute("PRAGMA user_version=\(Schema.version)")
                }
            }
        } catch { return refuse(JournalError(error, path: path)) }
        held.removeFirst(count)
        heldWeight -= weight
        if held.isEmpty { refusal = nil } else { lastRetry = 0 }
        afterCommit()
    }

    /// To be called when there is nothing else to do, and once a second in any case: writes what is held, and gives
    /// space back in slices of about a millisecond.
    ///
    /// - Returns: where there is more to do, the nanoseconds after which it wants to be called again: 0 for the next
    ///   quiet moment.
    @discardableResult
    public func maintain() -> UInt64? {
        if refusal != nil { retry() }
        guard refusal == nil else { return lastRetry == 0 ? 0 : nil }
        // The thread is behind: what a slice would write would make an append wait for it.
        if isLogBehind { return 5_000_000 }
        return compact() ? 0 : nil
    }

    private var isLogBehind: Bool {
        guard database.connection.logFrames >= Self.log.finish else { return false }
        return checkpointer.read { $0.isRunning } ?? false
    }

    private func afterCommit() {
        boundLog()
        commitsUntilLook -= 1
        guard commitsUntilLook <= 0 else { return }
        commitsUntilLook = 64
        // A caller that has no quiet moment must not let it grow for ever.
        if compaction.isOverdue(database), !isLogBehind { _ = compact() }
    }

    /// Lets the thread know, and helps where it cannot get to an end because the log grows all the time.
    func boundLog() {
        let frames = database.connection.logFrames
        let isThere: Bool
        let isBusy: Bool
        switch checkpointer {
        case .some(let checkpointer):
            checkpointer.announce(urgent: frames >= Self.log.soft)
            isThere = checkpointer.failure == nil
            isBusy = checkpointer.isRunning
        case .none: (isThere, isBusy) = (false, false)
        }
        let limit = isThere ? Self.log.finish : Self.log.soft
        guard frames >= limit else {
            finishAgainAt = 0
            return
        }
        guard frames >= finishAgainAt else { return }
        if isBusy {
            guard frames >= Self.log.wait else { return }
            checkpointer.read { $0.waitUntilIdle(milliseconds: 1000) }
        }
        do throws(SqliteError) {
            let (all, copied) = try database.connection.checkpoint()
            // Somebody else reads it: it cannot begin anew.
            finishAgainAt = all == copied ? 0 : frames + 16
        } catch {
            finishAgainAt = frames + 16
            if frames >= Self.log.refuse { refuse(JournalError(error, path: path)) }
        }
    }
}
