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
        /// Tells of its death: somebody killed it, or memory was short.
        let watch: EventLoop.Watch?
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
    /// Nanoseconds between a request and the making of a jail for the next one of its kind.
    static let patience: UInt64 = 5_000_000

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
            let jail = remove(at: index)
            if !jail.isDead { return jail }
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
                add(jail, planHash)
            })
    }

    /// Ends all of them.
    func close() {
        isClosed = true
        while !ready.isEmpty { end(remove(at: 0)) }
    }

    private func add(_ jail: JailHandle, _ planHash: String) {
        let watch = try? loop.watch(jail.endDescriptor, .readable) { [weak self] _ in
            guard let self, let index = ready.firstIndex(where: { $0.jail.jail === jail }) else { return }
            end(remove(at: index))
        }
        ready.append((planHash, Ready(jail: jail, memory: max(jail.memory ?? 0, Self.usualMemory), watch: watch)))
        while memory > budget { end(remove(at: 0)) }
    }

    private func remove(at index: Int) -> JailHandle {
        let removed = ready.remove(at: index).jail
        if let watch = removed.watch { loop.unwatch(watch) }
        return removed.jail
    }

    private func end(_ jail: JailHandle) { workers.perform { jail.end() } }
}
