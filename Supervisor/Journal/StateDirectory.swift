// The directory that a journal lives in: whose it is, who owns it now, and which of several is free.
internal import Linux

/// A directory that is ours alone, locked for as long as this value lives.
struct StateDirectory: ~Copyable {
    /// Without symbolic links in it.
    let path: String
    private let lock: Descriptor

    var database: String { path + "/journal.db" }

    /// Makes the directory if it is missing (its parent has to be there), and locks it.
    init(_ given: String) throws(JournalError) {
        let path = try Self.checked(given)
        let lock = try Self.locked(path)
        self.path = path
        self.lock = lock
    }

    /// The lowest directory `0` to `63` below a shared one that nobody has locked: after a supervisor was killed, the
    /// next one takes its place, and finds what it left.
    static func slot(in shared: String, _ number: inout Int) throws(JournalError) -> StateDirectory {
        let shared = try checked(shared)
        for candidate in 0..<64 {
            number = candidate
            do throws(JournalError) { return try StateDirectory("\(shared)/\(candidate)") } catch {
                if error.kind != .busy { throw error }
            }
        }
        throw JournalError(
            .busy, path: shared, "64 supervisors use it already", remedy: "end one of them, or name another directory")
    }

    private static func checked(_ given: String) throws(JournalError) -> String {
        let path: String
        let found: FileStatus
        do throws(Errno) {
            try makeDirectoryIfMissing(given, mode: 0o700)
            path = try resolvedPath(given)
            let directory = try open(path, [.readOnly, .directory, .noFollow])
            found = try status(of: directory.raw)
        } catch { throw failure(error, given) }
        guard found.user == effectiveUser else {
            throw JournalError(.notOurs, path: path, "it belongs to user \(found.user), not \(effectiveUser)")
        }
        // Whoever can write to it could put another journal in its place, or read commands and output.
        guard found.mode & 0o022 == 0 else { throw JournalError(.notOurs, path: path, "others can write to it") }
        return path
    }

    private static func locked(_ directory: String) throws(JournalError) -> Descriptor {
        let path = directory + "/lock"
        do throws(Errno) {
            let lock = try open(path, [.readWrite, .create, .noFollow], mode: 0o600)
            if try tryLock(lock.raw) { return lock }
        } catch { throw failure(error, path) }
        throw JournalError(.busy, path: directory, "another supervisor owns it")
    }

    /// Makes the file if it is missing, so that it never has another mode than 0600, and sees that it is a plain one.
    borrowing func prepareDatabase() throws(JournalError) {
        let found: FileStatus
        do throws(Errno) {
            if !exists(database) { _ = try open(database, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600) }
            found = try status(at: database)
        } catch { throw Self.failure(error, database) }
        guard found.isRegular, found.user == effectiveUser, found.links == 1, found.mode & 0o077 == 0 else {
            throw JournalError(
                .notOurs, path: database, "it is not a file that only the supervisor's user can read",
                remedy: "move it away")
        }
    }

    /// A log without its database: what is in it would be thrown away.
    borrowing func hasLogAlone() -> Bool {
        let size = try? status(at: database).size
        guard (size ?? 0) == 0, let log = try? status(at: database + "-wal") else { return false }
        return log.size > 0
    }

    /// Moves a damaged database and its log aside, together, so that SQLite can still look at them.
    ///
    /// - Returns: the new path.
    borrowing func moveAside(seconds: UInt64) throws(JournalError) -> String {
        var target = "\(database).corrupt-\(seconds)"
        var count = 1
        while exists(target) || exists(target + "-wal") {
            count += 1
            target = "\(database).corrupt-\(seconds)-\(count)"
        }
        do throws(Errno) {
            // The log last: after a crash between the two it stands alone, which is noticed; a database alone is not.
            if exists(database) { try rename(database, to: target, in: currentDirectory) }
            if exists(database + "-wal") { try rename(database + "-wal", to: target + "-wal", in: currentDirectory) }
            if exists(database + "-shm") { try unlink(database + "-shm") }
        } catch { throw Self.failure(error, database) }
        return target
    }

    private borrowing func exists(_ path: String) -> Bool { (try? status(at: path)) != nil }

    private static func failure(_ error: Errno, _ path: String) -> JournalError {
        let kind: JournalError.Kind =
            switch error {
            case .noSpace, .quota, .fileTooBig: .full
            case .readOnly, .accessDenied, .notPermitted: .readOnly
            case .loop, .notDirectory: .notOurs
            default: .inputOutput
            }
        return JournalError(kind, path: path, error.description)
    }
}
