// What outlives the supervisor, and what is seen from outside: the journal, the audit log, the metrics, the program's own log.
internal import Audit
internal import Journal
internal import Linux
internal import Metrics
internal import PolicyDecision
internal import Reports
internal import SupervisorCore
internal import Wire

/// Where a supervisor keeps what must not be lost.
///
/// What cannot be recorded is not begun: whoever begins something asks first, and takes an error for an answer. What runs
/// already goes on; its end is recorded when that is possible again.
final class Records {
    private var journal: Journal?
    private var audit: AuditLog?
    private let loop: EventLoop
    var metrics = SupervisorMetrics()
    let log: Log
    /// Why nothing can be recorded; nil while it can.
    private var missing: String?
    /// The directory that is this supervisor's alone; nil where there is none.
    private(set) var directory: String?

    /// - Parameters:
    ///   - state: the directory that supervisors of one user share; nil where there is no place for one.
    ///   - copiesAudit: whether standard error gets every record of the audit log.
    init(state: String?, copiesAudit: Bool, log: Log, loop: EventLoop) {
        self.log = log
        self.loop = loop
        guard let state else {
            missing = "there is no place for it: set XDG_STATE_HOME or HOME, or give --state"
            return
        }
        open(
            state,
            copy: copiesAudit
                ? { [copied] line in
                    do throws(Errno) { try Self.writeAll(line) } catch { copied.failure = error }
                } : nil)
    }

    /// What became of the copies of audit records.
    private final class Copies {
        /// Why one was lost; nil while all are there.
        var failure: Errno?
    }

    private let copied = Copies()

    private static func writeAll(_ line: [UInt8]) throws(Errno) {
        var rest = line[...]
        while !rest.isEmpty { rest = rest.dropFirst(try write(2, rest)) }
    }

    private func open(_ state: String, copy: (([UInt8]) -> Void)?) {
        do throws(Errno) { try makeDirectories(state, mode: 0o700) } catch {
            missing = "\(state): \(error.message): make it writable, or give --state"
            return log.error("the state directory cannot be made", ["why": .string(missing ?? "")])
        }
        do throws(JournalError) {
            let journal = try Journal.openSlot(in: state + "/supervisors")
            let directory = state + "/supervisors/\(journal.slot ?? 0)"
            if let aside = journal.opening.movedAside {
                log.error(
                    "the journal was damaged",
                    ["moved_to": .string(aside.path), "why": .string(aside.reason.description)])
            }
            self.journal = journal
            self.directory = directory
            do throws(AuditError) { audit = try AuditLog(directory, copy: copy) } catch {
                missing = error.description
                log.error("the audit log cannot be opened", ["why": .string(error.description)])
            }
            maintain()
        } catch {
            missing = error.description
            log.error("the journal cannot be opened", ["why": .string(error.description)])
        }
    }

    /// Why nothing new may be begun; nil while it may.
    var refusal: String? { missing ?? journal?.refusal?.description }

    /// Throws unless new work can be recorded.
    func requireRoom() throws(RpcError) {
        if let missing { throw RpcError(.storage, "nothing new is begun: \(missing)", ["reason": .string(missing)]) }
    }

    /// Called once a second, and when there is nothing to do.
    var whenQuiet: () -> Void = {}

    private func maintain() {
        whenQuiet()
        // Once a second in any case: what is held is written when there is room again.
        let again = journal?.maintain() ?? 1_000_000_000
        _ = loop.after(max(again, 1_000_000)) { [weak self] in self?.maintain() }
    }

    // MARK: - The audit log

    /// Records what happened. Before something begins, an error means that it must not.
    @discardableResult
    func tell(_ event: AuditEvent, masked: [String] = []) throws(RpcError) -> UInt64 {
        guard let audit else { throw RpcError(.storage, "nothing new is begun: \(missing ?? "there is no audit log")") }
        if let lost = copied.failure {
            throw RpcError(
                .storage, "nothing new is begun: the service's log takes no audit records: \(lost.message)",
                ["reason": .string(lost.message)])
        }
        do throws(AuditError) { return try audit.append(event, masked: masked) } catch {
            log.error("the audit log takes nothing", ["why": .string(error.description)])
            throw RpcError(
                .storage, "nothing new is begun: \(error.description)", ["reason": .string(error.description)])
        }
    }

    // MARK: - The journal

    /// Records something before it begins.
    func begin(_ record: JournalRecord) throws(RpcError) {
        guard let journal else {
            throw RpcError(.storage, "nothing new is begun: \(missing ?? "there is no journal")")
        }
        do throws(JournalError) {
            try journal.append(record)
        } catch {
            throw RpcError(.storage, "nothing new is begun: \(error)", ["reason": .string(error.description)])
        }
    }

    /// Records what has happened already.
    func note(_ record: JournalRecord) {
        do throws(JournalError) { try journal?.append(record) } catch {
            log.error("the journal takes nothing", ["why": .string(error.description)])
        }
    }

    /// Records output that a client is about to be told.
    func acknowledge(
        session: String, command: UInt64, errors: Bool, from offset: UInt64, _ bytes: [UInt8]
    ) throws(RpcError) {
        guard !bytes.isEmpty, let journal else { return }
        do throws(JournalError) {
            try journal.acknowledge(
                session: session, command: command, stream: errors ? .errors : .output, from: offset, bytes)
        } catch {
            throw RpcError(.storage, "the output cannot be recorded: \(error)", ["reason": .string(error.description)])
        }
    }

    /// Sessions whose supervisor died.
    func interrupted() -> [JournalSession] {
        let all = (try? journal?.sessions()) ?? nil ?? []
        return all.filter { if case .interrupted = $0.state { true } else { false } }
    }

    /// The commands of such a one.
    func commands(of session: String) throws(RpcError) -> [JournalCommand] {
        guard let journal else { return [] }
        do throws(JournalError) { return try journal.commands(of: session) } catch { throw unreadable(error) }
    }

    /// What was acknowledged of a stream of such a one.
    func output(
        session: String, command: UInt64, errors: Bool, from offset: UInt64, limit: Int
    ) throws(RpcError) -> JournalOutput? {
        do throws(JournalError) {
            return try journal?.output(
                session: session, command: command, stream: errors ? .errors : .output, from: offset, limit: limit)
        } catch {
            throw unreadable(error)
        }
    }

    private func unreadable(_ error: JournalError) -> RpcError {
        RpcError(.storage, "the journal cannot be read: \(error)", ["reason": .string(error.description)])
    }
}

extension AuditEvent.Who {
    /// A client, and the session that it is about.
    init(_ connection: Connection, session: String? = nil) {
        self.init(
            user: connection.peer.user, process: connection.peer.pid, connection: connection.number, session: session)
    }
}

extension AuditEvent {
    /// What a command that has ended came to.
    init(ended outcome: Outcome, output: UInt64, about: UInt64, who: Who) {
        self.init(.commandEnded, who: who)
        self.about = about
        result = Result(
            reason: outcome.reason.rawValue, exitCode: outcome.exitCode, signal: outcome.signal,
            durationMilliseconds: outcome.durationMilliseconds)
        peaks = Peaks(
            memory: outcome.usage.peakMemory, pids: outcome.usage.peakPids,
            cpuMilliseconds: outcome.usage.cpuMicroseconds.map { $0 / 1000 },
            output: output)
        if let failure = outcome.failure { facts.add("error", .object(failure.json)) }
    }
}
