// Jails that are ready before they are asked for. Each is used once: nothing of one run is ever seen by another.
internal import JailPlanner
internal import Linux
internal import SupervisorCore

/// Ready jails by the hash of their plans, within a budget of memory.
///
/// A plan says all that a jail is made of, the masks over files that were there included, and is made anew for each request:
/// only a jail that is exactly what would be made now is given away.
final class WarmPool {
    private struct Ready {
        let jail: JailHandle
        let memory: UInt64
    }

    private let budget: UInt64
    private let supervisor: Supervisor
    private let filters: FilterStore
    private let workers: Workers
    private let loop: EventLoop
    /// Oldest first.
    private var ready: [(planHash: String, jail: Ready)] = []
    private var toCome: Set<String> = []
    private var isClosed = false
    /// What a jail is taken to cost where no counter tells it: PID 1, the spawner and their part of the kernel's memory.
    private static let usualMemory: UInt64 = 2 << 20

    init(memory: UInt64, supervisor: Supervisor, filters: FilterStore, workers: Workers, loop: EventLoop) {
        budget = memory
        self.supervisor = supervisor
        self.filters = filters
        self.workers = workers
        self.loop = loop
    }

    /// How many there are.
    var count: Int { ready.count }

    private var memory: UInt64 { ready.reduce(0) { $0 + $1.jail.memory } }

    /// Takes one out; nil where none is ready.
    func take(_ planHash: String) -> JailHandle? {
        while let index = ready.firstIndex(where: { $0.planHash == planHash }) {
            let jail = ready.remove(at: index).jail.jail
            if !jail.isDead { return jail }
            // Somebody killed it, or memory was short.
            end(jail)
        }
        return nil
    }

    /// Has one made for the next request of the kind.
    func refill(_ planHash: String, _ prepared: PreparedJail) {
        guard !isClosed, budget >= Self.usualMemory, !toCome.contains(planHash),
            !ready.contains(where: { $0.planHash == planHash })
        else { return }
        toCome.insert(planHash)
        let filters = filters, supervisor = supervisor
        workers.perform(
            { () -> JailHandle? in
                // What fails now fails again when it is asked for, and is told then.
                try? JailHandle.start(prepared, filters: filters, supervisor: supervisor)
            },
            then: { [weak self] jail in
                guard let self else { return }
                toCome.remove(planHash)
                guard let jail else { return }
                guard !isClosed else { return end(jail) }
                ready.append((planHash, Ready(jail: jail, memory: max(jail.memory ?? 0, Self.usualMemory))))
                while memory > budget { end(ready.removeFirst().jail.jail) }
            })
    }

    /// Ends all of them.
    func close() {
        isClosed = true
        for (_, jail) in ready { end(jail.jail) }
        ready = []
    }

    private func end(_ jail: JailHandle) { workers.perform { jail.end() } }
}
