// The bounds over all namespaces: who holds how much, and whose entry goes when it is too much.
//
// Room is shared by users, not by namespaces, so that nobody gets more by opening more sessions. The share of each is
// the bound divided by the users there are. Where the bound is passed, at least one user holds more than the share;
// among those users' entries the one that was not used for longest goes. So whoever stays within the share loses
// nothing to others, and what some users leave free serves the rest (max-min fairness).

/// One user's part.
final class Account {
    let user: UInt32
    var usage = Usage()
    var namespaces = 0

    init(user: UInt32) { self.user = user }
}

/// What all namespaces of a store share.
final class Ledger {
    private struct Member {
        let namespace: CacheNamespace
        /// Its oldest entry was last used at this count or later: the oldest use of a namespace never goes back.
        var oldestUse: UInt64
    }

    let limits: CacheLimits
    /// Counts uses, and so orders them.
    var use: UInt64 = 0
    /// No deadline is earlier.
    var earliest: UInt64 = .max
    private(set) var total = Usage()
    private(set) var departed = CacheStatistics()
    private var members: [Member] = []
    private var accounts: [UInt32: Account] = [:]
    private var graveyard = Graveyard()
    /// Where the last collection stopped, so that a namespace full of deadlines cannot keep the others waiting.
    private var collector = 0

    init(limits: CacheLimits) { self.limits = limits }

    // MARK: - Who there is

    func account(of user: UInt32) -> Account { accounts[user] ?? Account(user: user) }

    func mayOpen(for account: Account) -> Bool {
        members.count < limits.namespaces && account.namespaces < limits.namespacesOfUser
            // Namespaces alone must not fill the memory.
            && (members.count + 1) * EntryCost.namespace <= limits.bytes / 2
    }

    func add(_ namespace: CacheNamespace) {
        members.append(Member(namespace: namespace, oldestUse: 0))
        namespace.account.namespaces += 1
        accounts[namespace.account.user] = namespace.account
    }

    func remove(_ namespace: CacheNamespace) {
        guard let index = members.firstIndex(where: { $0.namespace === namespace }) else { return }
        members.remove(at: index)
        namespace.account.namespaces -= 1
        if namespace.account.namespaces == 0 { accounts[namespace.account.user] = nil }
        var done = namespace.statistics
        (done.entries, done.bytes) = (0, 0)
        departed += done
    }

    func removeAll() {
        for member in members { member.namespace.leave() }
        members = []
        accounts = [:]
    }

    var namespaces: [CacheNamespace] { members.map(\.namespace) }

    // MARK: - How much there is

    func charge(_ account: Account, from old: Usage, to new: Usage) {
        account.usage -= old
        account.usage += new
        total -= old
        total += new
    }

    /// Everything that is accounted for.
    var bytes: Int { total.bytes + members.count * EntryCost.namespace + graveyard.bytes }

    private var isOverBytes: Bool { bytes > limits.bytes }
    private var isOverEntries: Bool { total.entries > limits.entries }

    /// Lets entries go until the bounds hold.
    func makeRoom(now: UInt64) {
        while isOverBytes || isOverEntries {
            if isOverBytes, graveyard.release() > 0 { continue }
            if earliest <= now, collect(now: now, limit: 64) > 0 { continue }
            guard let victim = victim() else { return }
            victim.evict()
        }
    }

    /// The namespace that holds the entry that is to go.
    private func victim() -> CacheNamespace? {
        let byBytes = isOverBytes
        let room = byBytes ? limits.bytes - members.count * EntryCost.namespace : limits.entries
        let share = room / max(accounts.count, 1)
        while true {
            var best: Int?
            for index in members.indices where best.map({ members[index].oldestUse < members[$0].oldestUse }) ?? true {
                let usage = members[index].namespace.account.usage
                if (byBytes ? usage.bytes : usage.entries) > share { best = index }
            }
            guard let best else { return nil }
            // Whatever an empty namespace gets later is newer than everything until now, and it is passed over until
            // then.
            let actual = members[best].namespace.oldestUse ?? use + 1
            if members[best].oldestUse == actual { return actual > use ? nil : members[best].namespace }
            members[best].oldestUse = actual
        }
    }

    // MARK: - What has expired

    var nextExpiry: UInt64? { !graveyard.isEmpty ? 0 : earliest == .max ? nil : earliest }

    func bury(_ slots: Slots, bytes: Int) { graveyard.add(slots, bytes: bytes) }

    /// Frees what was dropped and what has expired.
    func collect(now: UInt64, limit: Int) -> Int {
        var work = 0
        while work < limit {
            let freed = graveyard.release()
            if freed == 0 { break }
            work += freed
        }
        guard earliest <= now, !members.isEmpty else { return work }
        var next = UInt64.max
        for step in 0..<members.count {
            let index = (collector + step) % members.count
            work += members[index].namespace.collect(now: now, limit: max(limit - work, 0))
            next = min(next, members[index].namespace.firstDeadline)
        }
        collector = (collector + 1) % members.count
        earliest = next
        return work
    }
}

/// Entries that nobody can reach any more and whose memory is not given back yet, since that takes time.
struct Graveyard {
    private var graves: [Slots] = []
    private(set) var bytes = 0

    var isEmpty: Bool { graves.isEmpty }

    mutating func add(_ slots: Slots, bytes: Int) {
        guard slots.count > 0 else { return }
        graves.append(slots)
        self.bytes += bytes
    }

    /// Frees one page; returns of how many entries.
    mutating func release() -> Int {
        guard !graves.isEmpty else { return 0 }
        guard let page = graves[graves.count - 1].removeLastPage() else {
            graves.removeLast()
            if graves.isEmpty { bytes = 0 }
            return release()
        }
        for slot in page { bytes -= slot.cost }
        if graves[graves.count - 1].count == 0 { graves.removeLast() }
        return page.count
    }
}
