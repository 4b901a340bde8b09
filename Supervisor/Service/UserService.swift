// One user of the service: the supervisor that runs as that user, and who waits for it.
internal import Linux
internal import Wire

/// A user's supervisor, from its start until nothing of it is left. Who comes while it cannot take anybody waits for the next.
final class UserService {
    /// What `process` is.
    enum State {
        /// The supervisor, which takes connections.
        case running
        /// The supervisor, which was left: it ends what it has, and goes.
        case leaving
        /// It is dead. Whoever removes what it left.
        case clearing
    }

    let account: Account
    let rights: ServiceRules.Rights
    private(set) var state = State.running
    private(set) var process: ProcessHandle
    /// To the supervisor: connections and wishes. Closed when it is to go.
    private var control: Descriptor?
    /// By what that socket is known to the poller.
    var controlToken: UInt64 = 0
    /// Connections that it was given and has not taken, oldest first.
    private var given = DescriptorList()
    private var waiting = DescriptorList()
    /// Whether it has taken a connection.
    private var hasServed = false
    /// Whether it failed before it served anybody, as the next one would.
    private(set) var hasFailed = false
    /// By when it has to be gone (CLOCK_MONOTONIC); nil: it may stay. A user can stop or freeze both.
    private(set) var deadline: UInt64?
    private static let patience: UInt64 = 8_000_000_000
    /// No user makes the service hold more than this.
    private static let mostWaiting = 64

    init(
        _ account: Account, _ rights: ServiceRules.Rights, process: consuming ProcessHandle,
        control: consuming Descriptor
    ) {
        self.account = account
        self.rights = rights
        self.process = process
        self.control = consume control
    }

    /// One of whom nothing is there but what is to be cleared up.
    init(_ account: Account, cleaner: consuming ProcessHandle) {
        self.account = account
        rights = ServiceRules.Rights()
        process = cleaner
        control = nil
        state = .clearing
        deadline = monotonicNanoseconds() + Self.patience
    }

    /// The number of the socket to the supervisor, while it has one.
    var controlNumber: Int32? { control.read { $0.raw } }

    /// Gives it a connection, or keeps that for the next supervisor. One that there is no room for is closed.
    func take(_ client: consuming Descriptor) {
        if state == .running {
            guard given.count < Self.mostWaiting else { return }
            do throws(Errno) {
                // The supervisor gets a descriptor of its own.
                try tell(.connection, [client.raw])
                given.append(client)
                return
            } catch {
                // Who does not read has to do without. One that is dead is heard of in a moment, and the next one serves.
                guard error == .brokenPipe || error == .connectionReset else { return }
            }
        }
        if waiting.count < Self.mostWaiting { waiting.append(client) }
    }

    /// Has it read its policies again.
    func reload() { try? tell(.reload) }

    /// Never waits.
    private func tell(_ word: GateWord, _ descriptors: [Int32] = []) throws(Errno) {
        guard let control = controlNumber else { throw .brokenPipe }
        try send([word.rawValue], descriptors: descriptors, on: control)
    }

    /// What the supervisor says; it is not believed but compared.
    ///
    /// - Returns: whether it may go.
    func hear(_ message: [UInt8]) -> Bool {
        guard message.count == 1, let word = GateWord(rawValue: message[0]) else { return true }
        switch word {
        case .taken:
            hasServed = true
            given.removeFirst()
            return false
        case .idle: return given.isEmpty
        case .connection, .reload: return true
        }
    }

    /// Sends it away: at end-of-file it ends its sessions, and goes.
    func leave() {
        guard state == .running else { return }
        state = .leaving
        control = nil
        deadline = monotonicNanoseconds() + Self.patience
    }

    /// It is dead.
    func ended(_ status: ExitStatus?) { hasFailed = !hasServed && status != .exited(0) }

    /// This one clears up.
    func clear(by cleaner: consuming ProcessHandle) {
        state = .clearing
        control = nil
        process = cleaner
        deadline = monotonicNanoseconds() + Self.patience
    }

    /// Ends what did not end by itself in time.
    func end() {
        deadline = nil
        try? process.signal(Signal.kill)
    }

    /// Those who were not taken, for the next.
    func takeWaiting() -> DescriptorList {
        var all = DescriptorList()
        swap(&all, &given)
        all.append(contentsOf: &waiting)
        return all
    }
}
