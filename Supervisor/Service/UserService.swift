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
    let rule: ServiceRules.Rule
    private(set) var state = State.running
    private(set) var process: ProcessHandle
    /// To the supervisor: connections and wishes. Closed when it is to go.
    private var control: Descriptor?
    /// How many connections it was given.
    private var given: UInt64 = 0
    private var waiting = DescriptorList()
    /// No user makes the service hold more than this.
    private static let mostWaiting = 64

    init(
        _ account: Account, _ rule: ServiceRules.Rule, process: consuming ProcessHandle,
        control: consuming Descriptor
    ) {
        self.account = account
        self.rule = rule
        self.process = process
        self.control = consume control
    }

    /// The number of the socket to the supervisor, while it has one.
    var controlNumber: Int32? { control.read { $0.raw } }

    /// Gives it a connection, or keeps that for the next supervisor. One that it has no room for is closed.
    func take(_ client: consuming Descriptor) {
        guard state == .running else {
            if waiting.count < Self.mostWaiting { waiting.append(client) }
            return
        }
        let number = client.raw
        guard tell(.connection, number) else { return }
        given += 1
        // The supervisor has a descriptor of its own.
        _ = consume client
    }

    /// Has it read its policies again.
    func reload() { _ = tell(.reload) }

    /// Never waits: whoever does not read its messages has to do without them.
    private func tell(_ word: GateWord, _ descriptor: Int32? = nil) -> Bool {
        guard let control = controlNumber else { return false }
        do throws(Errno) {
            try send([word.rawValue], descriptors: descriptor.map { [$0] } ?? [], on: control)
            return true
        } catch {
            return false
        }
    }

    /// What the supervisor says: that it has nobody, after so many connections. It is not believed but compared.
    ///
    /// - Returns: whether it may go; false also for what is no such message.
    func isIdle(_ message: [UInt8]) -> Bool {
        guard message.count == 9, message[0] == GateWord.idle.rawValue else { return false }
        let count = message.dropFirst().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return state == .running && count == given
    }

    /// Sends it away: at end-of-file it ends its sessions, and goes.
    func leave() {
        guard state == .running else { return }
        state = .leaving
        control = nil
    }

    /// It is dead; this one clears up.
    func clear(by cleaner: consuming ProcessHandle) {
        state = .clearing
        control = nil
        process = cleaner
    }

    /// Those who wait, for the next.
    func takeWaiting() -> DescriptorList {
        var taken = DescriptorList()
        swap(&taken, &waiting)
        return taken
    }
}
