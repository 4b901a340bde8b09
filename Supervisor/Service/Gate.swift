// The loop of the service: who connects is looked up, and handed to a supervisor that runs as that user.
//
// It runs as root, so it reads nothing that a user sends: credentials come from the kernel, rules from a file of root's, and
// from a supervisor one byte that is compared with what is known. It waits for nobody but in its poller, and for a supervisor's
// execve(2), in groups that are still root's.
internal import Linux
internal import Wire

final class Gate {
    private enum Source {
        case socket, signals
        case control(UInt32)
        case process(UInt32)
    }

    private let poller: Poller
    private let socket: Descriptor
    private let signals: SignalSource
    private let groups: ServiceGroups
    private let program: String
    private let state: String
    private let readRules: () -> ServiceRules?
    private var rules: ServiceRules
    private var users: [UInt32: UserService] = [:]
    private var sources: [UInt64: Source] = [:]
    private var nextToken: UInt64 = 0
    /// Kept for the case that there is no other, so that whoever knocks can be sent away.
    private var spare: Descriptor?
    private var isStopping = false
    private var complainedAt: UInt64 = 0
    /// Called once, when it begins to stop.
    var whenStopping: () -> Void = {}

    /// - Parameters:
    ///   - program: `cordon-supervisor`.
    ///   - state: the directory in which each user's supervisor has one of its own.
    ///   - readRules: reads them again; nil where they are wrong, which it has told.
    init(
        socket: consuming Descriptor, signals: consuming SignalSource, groups: ServiceGroups, program: String,
        state: String, rules: ServiceRules, readRules: @escaping () -> ServiceRules?
    ) throws(Errno) {
        poller = try Poller()
        self.socket = socket
        self.signals = signals
        self.groups = groups
        self.program = program
        self.state = state
        self.rules = rules
        self.readRules = readRules
        spare = try open("/dev/null", .readOnly)
        try watch(self.socket.raw, .socket)
        try watch(self.signals.descriptor.raw, .signals)
        // What a service that was killed left is not this one's users'.
        for user in groups.remaining() { clearLater(Account(numbered: user)) }
    }

    @discardableResult
    private func watch(_ descriptor: Int32, _ source: Source) throws(Errno) -> UInt64 {
        nextToken += 1
        try poller.add(descriptor, .readable, token: nextToken)
        sources[nextToken] = source
        return nextToken
    }

    /// Serves until it is told to stop and every supervisor is gone.
    func run() throws(Errno) {
        while !isStopping || !users.isEmpty {
            for (token, _) in try poller.wait(milliseconds: patience()) {
                switch sources[token] {
                case .socket: acceptOne()
                case .signals: try takeSignals()
                case .control(let user): hear(user, token)
                case .process(let user): ended(user, token)
                // Forgotten by what was done a moment ago.
                case nil: break
                }
            }
            endOverdue()
        }
    }

    /// Until somebody has to be gone; nil: for ever.
    private func patience() -> Int? {
        let now = monotonicNanoseconds()
        return users.values.compactMap(\.deadline).min().map { $0 > now ? Int(($0 - now) / 1_000_000) + 1 : 0 }
    }

    private func endOverdue() {
        let now = monotonicNanoseconds()
        for service in users.values where service.deadline ?? .max <= now {
            put("what user \(service.account.description) has does not end by itself: it is killed")
            service.end()
        }
    }

    // MARK: - Who connects

    private func acceptOne() {
        do throws(Errno) {
            guard let client = try accept(on: socket.raw), let peer = try? peerCredentials(of: client.raw) else {
                return
            }
            serve(client, peer)
        } catch {
            // Once a second: who causes it can cause it for ever.
            let now = monotonicNanoseconds()
            if now > complainedAt + 1_000_000_000 { put("a connection cannot be taken: \(error.message)") }
            complainedAt = now
            // Without this the same one would be reported for ever.
            spare = nil
            _ = try? accept(on: socket.raw)
            spare = try? open("/dev/null", .readOnly)
        }
    }

    private func serve(_ client: consuming Descriptor, _ peer: PeerCredentials) {
        if isStopping { return refuse(client, "the service is stopping") }
        if let service = users[peer.user] { return service.take(client) }
        let account: Account
        do throws(Errno) { account = try Account(user: peer.user, group: peer.group) } catch {
            put("/etc/passwd and /etc/group cannot be read: \(error.message)")
            return refuse(client, "the service cannot tell who you are: \(error.message)")
        }
        guard let rights = rules.rights(of: account) else {
            return refuse(
                client,
                peer.user == 0
                    ? "root is not served: run cordon without CORDON_SOCKET"
                    : "user \(account.description) may not use this service: no [[allow]] names it")
        }
        // Nobody enters what may be its user's already.
        if groups.exist(for: account.user), let service = clearLater(account) { return service.take(client) }
        start(account, rights, client)
    }

    private func start(_ account: Account, _ rights: ServiceRules.Rights, _ client: consuming Descriptor) {
        do throws(Errno) {
            let entrances = try groups.make(for: account.user, rights)
            try prepareState(of: account)
            var pair = try makeSocketPair()
            let ours = try pair.takeReading(), theirs = try pair.takeWriting()
            try ours.setNonBlocking(true)
            let process = try startChild(
                program, arguments: arguments(account, rights), environment: environment(account),
                descriptor: theirs.raw, entrances: entrances)
            do throws(Errno) {
                // Not before it has executed: till then this process waits for it. It waits for its first client in turn.
                try groups.give(to: account.user)
            } catch {
                try? process.signal(Signal.kill)
                _ = process.reap()
                throw error
            }
            let number = process.endDescriptor, control = ours.raw
            let service = UserService(account, rights, process: process, control: ours)
            users[account.user] = service
            try watch(number, .process(account.user))
            service.controlToken = try watch(control, .control(account.user))
            service.take(client)
        } catch {
            // One of whose end nobody would hear would be there for ever.
            if let service = users.removeValue(forKey: account.user) {
                service.end()
                _ = service.process.reap()
            }
            let why = error == .notSupported ? "its limits cannot be held by the cgroups here" : error.message
            put("the supervisor of user \(account.description) cannot be started: \(why)")
            refuse(client, "your supervisor cannot be started: \(why)")
        }
    }

    /// Tells why, as an answer to no request, and closes.
    private func refuse(_ client: consuming Descriptor, _ why: String) {
        let message = RpcMessage.response(id: nil, .failure(RpcError(.notAllowed, why)))
        _ = try? write(client.raw, Frame(.control, stream: 0, payload: message.encoded).encoded[...])
        _ = consume client
    }

    private func prepareState(of account: Account) throws(Errno) {
        let directory = stateDirectory(account)
        do throws(Errno) { try makeDirectory(directory, mode: 0o700) } catch {
            // Its parent is root's, so nobody can have put another one there.
            guard error == .exists else { throw error }
            // It is its user's, unless the service ended between the two calls.
            if try status(at: directory).user != 0 { return }
        }
        try changeOwner(directory, in: currentDirectory, user: account.user, group: account.groups[0].number)
    }

    private func stateDirectory(_ account: Account) -> String { state + "/\(account.user)" }

    /// What the supervisor is to become, before it reads anything, and what its user may.
    private func arguments(_ account: Account, _ rights: ServiceRules.Rights) -> [String] {
        let groups = account.groups.map { "\($0.number)" }
        var words = [
            "cordon-supervisor", "--gate", "3", "--become",
            // The primary one beside itself would be one to drop for a jail, which takes newgidmap(1).
            "\(account.user):\(groups[0]):" + groups.dropFirst().joined(separator: ","), "--state",
            stateDirectory(account),
        ]
        for policy in rights.policies ?? [] { words += ["--allow-policy", policy] }
        if let tier = rights.tier { words += ["--tier", tier] }
        if let sessions = rights.sessions { words += ["--sessions", "\(sessions)"] }
        if let idle = rights.idle { words += ["--idle", "\(idle)ms"] }
        return words
    }

    private func environment(_ account: Account) -> [String] {
        var variables = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        if let name = account.name { variables += ["USER=" + name, "LOGNAME=" + name] }
        if let home = account.home { variables.append("HOME=" + home) }
        return variables
    }

    // MARK: - Supervisors

    private func hear(_ user: UInt32, _ token: UInt64) {
        guard let service = users[user], let control = service.controlNumber else { return forget(token) }
        do throws(Errno) {
            let message = try receive(on: control, capacity: 16, wait: false)
            if service.hear(message.bytes) { leave(service) }
        } catch {
            if error != .again { leave(service) }
        }
    }

    private func leave(_ service: UserService) {
        unwatch(service)
        service.leave()
    }

    /// Hears no more of a supervisor than its end.
    private func unwatch(_ service: UserService) {
        guard let control = service.controlNumber else { return }
        try? poller.remove(control)
        forget(service.controlToken)
    }

    private func forget(_ token: UInt64) { sources[token] = nil }

    /// The supervisor is dead, or who cleared up after it has done so.
    private func ended(_ user: UInt32, _ token: UInt64) {
        forget(token)
        guard let service = users[user] else { return }
        try? poller.remove(service.process.endDescriptor)
        let status = service.process.reap()
        if service.state == .clearing { return cleared(service) }
        if let status, status != .exited(0) {
            put("the supervisor of user \(service.account.description) ended: \(status)")
        }
        service.ended(status)
        unwatch(service)
        do throws(Errno) {
            service.clear(by: try startCleaner(user))
            try watch(service.process.endDescriptor, .process(user))
        } catch {
            put("what user \(service.account.description) left cannot be removed now: \(error.message)")
            cleared(service)
        }
    }

    /// Has done what nobody else can do while the service runs.
    private func startCleaner(_ user: UInt32) throws(Errno) -> ProcessHandle {
        let groups = groups
        let child = try forkProcess()
        if child == 0 {
            // Whoever clears up takes long where its user wants that: what others notice the service's end by is not for it.
            try? closeDescriptors(from: 3, except: -1)
            groups.remove(for: user)
            exitNow(0)
        }
        return try ProcessHandle(pid: child)
    }

    /// Removes what is left of somebody who has no supervisor; who comes meanwhile waits.
    @discardableResult
    private func clearLater(_ account: Account) -> UserService? {
        do throws(Errno) {
            let service = UserService(account, cleaner: try startCleaner(account.user))
            users[account.user] = service
            try watch(service.process.endDescriptor, .process(account.user))
            return service
        } catch {
            put("what user \(account.description) left cannot be removed now: \(error.message)")
            users[account.user] = nil
            return nil
        }
    }

    private func cleared(_ service: UserService) {
        users[service.account.user] = nil
        let isStuck = groups.exist(for: service.account.user)
        if isStuck { put("what user \(service.account.description) left in cgroups cannot be removed") }
        var waiting = service.takeWaiting()
        for index in 0..<waiting.count {
            guard let client = try? waiting.take(index), let peer = try? peerCredentials(of: client.raw) else {
                continue
            }
            // Without this whoever breaks their own state would have root start supervisors for ever.
            if service.hasFailed {
                refuse(client, "your supervisor ended before it served anybody; the service's journal says why")
            } else if isStuck {
                refuse(client, "what an earlier supervisor of yours left in its cgroups cannot be removed")
            } else {
                serve(client, peer)
            }
        }
    }

    // MARK: - What the machine's owner wants

    private func takeSignals() throws(Errno) {
        while let number = try signals.next() {
            if number == Signal.hangUp { reload() } else { stop() }
        }
    }

    private func reload() {
        // All of it or nothing: with a file that is wrong, what held goes on to hold.
        guard let new = readRules() else { return }
        rules = new
        for service in users.values where service.state == .running {
            let account = service.account
            if let now = try? Account(user: account.user, group: account.groups[0].number),
                rules.rights(of: now) == service.rights, now.groups == account.groups
            {
                service.reload()
            } else {
                put("user \(account.description) has other rights now: its sessions are ended")
                leave(service)
            }
        }
    }

    private func stop() {
        if !isStopping { whenStopping() }
        for service in users.values {
            // Who asks twice does not want to wait, but wants nothing to be left.
            if isStopping, service.state != .clearing { service.end() }
            leave(service)
        }
        isStopping = true
    }
}
