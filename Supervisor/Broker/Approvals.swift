// Questions: commands that a policy asks about, until somebody who may answers or the time is up.
//
// Who asked never answers. Over a socket both have the same user, so it is told by processes: an answer comes from a process
// with a terminal, in another session than the asker's, that does not descend from it. (Who may start any process as this user
// can make itself a terminal: an agent must not have that.)
internal import Caller
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import SupervisorCore
internal import Wire

/// What is waited for.
final class Question {
    let id: String
    let session: String
    let asker: Connection
    /// The words, for people and for `session` scope.
    let command: JsonObject
    let verdict: Verdict
    let terms: ApprovalTerms
    let askedAt: UInt64
    fileprivate var timer: EventLoop.Timer?
    fileprivate let answered: (Answer) -> Void

    /// What was said.
    enum Answer {
        case approved(ApprovalRules.Scope)
        case denied
        case expired
        /// Nobody wants to know any more.
        case withdrawn
    }

    fileprivate init(
        id: String, session: String, asker: Connection, command: JsonObject, verdict: Verdict, terms: ApprovalTerms,
        answered: @escaping (Answer) -> Void
    ) {
        self.id = id
        self.session = session
        self.asker = asker
        self.command = command
        self.verdict = verdict
        self.terms = terms
        askedAt = monotonicNanoseconds()
        self.answered = answered
    }

    /// For who is to answer.
    var json: JsonObject {
        let passed = (monotonicNanoseconds() - askedAt) / 1_000_000
        var json: JsonObject = ["id": .string(id), "session": .string(session)]
        for name in command.names { if let value = command[name] { json.add(name, value) } }
        json.add("evidence", verdict.json["evidence"] ?? .null)
        json.add(
            "scopes",
            .array(ApprovalRules.Scope.allCases.filter { terms.contains($0) }.map { .string($0.rawValue) }))
        json.add("waited_ms", .count(passed))
        json.add("expires_in_ms", .count(terms.expiry.map { $0 - min($0, passed) } ?? Approvals.longest))
        return json
    }
}

/// All of them.
final class Approvals {
    /// Milliseconds that a question waits where no policy says it.
    fileprivate static let longest: UInt64 = 600_000
    private static let mostWaiting = 256

    private let loop: EventLoop
    private var questions: [String: Question] = [:]

    init(loop: EventLoop) { self.loop = loop }

    /// Those that wait, oldest first.
    var all: [Question] { questions.values.sorted { $0.askedAt < $1.askedAt } }

    /// Asks.
    func ask(
        session: String, by asker: Connection, command: JsonObject, verdict: Verdict, terms: ApprovalTerms,
        answered: @escaping (Question.Answer) -> Void
    ) throws(RpcError) -> Question {
        guard questions.count < Self.mostWaiting else {
            throw RpcError(.limit, "\(Self.mostWaiting) questions wait already: answer some")
        }
        let question = Question(
            id: try randomName(), session: session, asker: asker, command: command, verdict: verdict, terms: terms,
            answered: answered)
        questions[question.id] = question
        let wait = min(terms.expiry ?? Self.longest, 86_400_000 * 365)
        question.timer = loop.after(milliseconds: wait) { [weak self, weak question] in
            if let question { self?.finish(question, .expired) }
        }
        return question
    }

    /// Takes a question back.
    func withdraw(_ question: Question) {
        finish(question, .withdrawn)
    }

    /// Takes back all questions about a session: it is closed.
    func withdraw(session: String) {
        for question in questions.values where question.session == session { finish(question, .withdrawn) }
    }

    /// Answers.
    ///
    /// - Parameter recording: called before the answer has its effect, which it has not where that fails.
    func answer(
        _ id: String, approves: Bool, scope: ApprovalRules.Scope, from connection: Connection,
        recording: (Question) throws(RpcError) -> Void
    ) throws(RpcError) {
        guard let question = questions[id],
            question.asker.peer.user == connection.peer.user || connection.peer.user == 0
        else {
            throw RpcError(.unknownApproval, "no question \(id) waits for an answer", ["approval": .string(id)])
        }
        guard !isSameParty(question.asker, connection) else {
            throw RpcError(
                .notAllowed, "who asked may not answer: run it in another terminal than the one that it was asked from",
                ["approval": .string(id)])
        }
        if approves, !question.terms.contains(scope) {
            throw RpcError(
                .notAllowed, "the policies do not let an answer hold for \"\(scope.rawValue)\": see approval.scopes",
                ["approval": .string(id)])
        }
        try recording(question)
        finish(question, approves ? .approved(scope) : .denied)
    }

    private func finish(_ question: Question, _ answer: Question.Answer) {
        guard questions.removeValue(forKey: question.id) != nil else { return }
        if let timer = question.timer { loop.cancel(timer) }
        question.answered(answer)
    }

    /// Whether two clients are one, or one could have been started by the other.
    private func isSameParty(_ asker: Connection, _ other: Connection) -> Bool {
        if asker === other { return true }
        // Who cannot be told apart is the same.
        guard let asking = asker.peer.pid, let answering = other.peer.pid, asking != answering,
            let mine = ProcessFacts(asking), let theirs = ProcessFacts(answering)
        else { return true }
        // Another user's, such as root's: nobody becomes that by starting a process.
        if other.peer.user != asker.peer.user { return false }
        // A process that left its parents has lost its terminal with its session (setsid(2)), and one that did not is in the
        // session of who started it.
        return theirs.terminal == 0 || theirs.session == mine.session || theirs.ancestors().contains(asking)
    }
}

/// A name that nobody guesses, and nobody had before.
func randomName() throws(RpcError) -> String {
    do throws(Errno) {
        return try randomBytes(6).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    } catch {
        throw RpcError(.refused, "no random bytes: \(error)")
    }
}

/// What the kernel says of a process (proc_pid_stat(5)).
private struct ProcessFacts {
    let parent: Int32
    let session: Int32
    /// The device of its controlling terminal; 0 where it has none.
    let terminal: Int32

    init?(_ pid: Int32) {
        guard let text = try? readText("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
        // After the name, which may hold anything: state, parent, process group, session, terminal.
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 4, let parent = Int32(fields[1]), let session = Int32(fields[3]),
            let terminal = Int32(fields[4])
        else { return nil }
        self.parent = parent
        self.session = session
        self.terminal = terminal
    }

    /// The parents, up to the first process.
    func ancestors() -> [Int32] {
        var all: [Int32] = [], current = parent
        while current > 1, all.count < 256 {
            all.append(current)
            guard let next = ProcessFacts(current) else { return all }
            current = next.parent
        }
        return all
    }
}
