// Taking part in a walk: what one thread needs for itself, and ready-made ways of using one or several threads.
internal import Linux

/// One thread's part in a walk. It must not be shared between threads.
public struct WalkWorker: ~Copyable {
    private let walk: Walk
    private var loader: DirectoryLoader

    init(_ walk: Walk) {
        self.walk = walk
        loader = DirectoryLoader(root: walk.root, options: walk.options, given: walk.given, stop: walk.stopFlag)
    }

    /// Gets the next entries in the walk's order, at most `limit`, and fewer where more are not there yet. Returns false
    /// at the walk's end.
    public mutating func next(_ batch: inout EntryBatch, limit: Int = 256) -> Bool {
        walk.next(&batch, limit: max(1, limit), &loader)
    }

    /// Reads directories ahead of those who call `next`, until the walk ends.
    public mutating func help() { walk.help(&loader) }
}

extension Walk {
    /// Gives all entries to one consumer, in order. Other threads read ahead once there is enough to do.
    ///
    /// - Parameters:
    ///   - threads: How many in all.
    ///   - body: Called on this thread; false stops the walk.
    /// - Returns: The summary.
    @discardableResult
    public func forEach(threads: Int = 2, _ body: (borrowing EntryBatch) -> Bool) -> WalkSummary {
        var worker = worker()
        var batch = EntryBatch()
        var helpers: [Thread] = []
        var handed = 0
        while worker.next(&batch, limit: 1024) {
            guard body(batch) else {
                stop()
                break
            }
            handed += 1
            // A thread costs more than a few directories.
            if handed == 8, threads > 1, hasWorkForOthers {
                for _ in 1..<threads {
                    // Where there can be no more threads, this one does it all.
                    if let helper = try? Thread({
                        var worker = self.worker()
                        worker.help()
                    }) {
                        helpers.append(helper)
                    }
                }
            }
        }
        // It is over, so they return.
        for helper in helpers { helper.join() }
        return summary
    }

    /// Gives each entry to one of several workers: what each makes of its batch is put in order by `EntryBatch.index`.
    ///
    /// - Parameters:
    ///   - threads: How many workers; this thread is one of them.
    ///   - limit: The most entries of one batch.
    ///   - body: Called on all threads at the same time, with the worker's number from 0; false stops the walk.
    /// - Returns: The summary.
    @discardableResult
    public func distribute(
        threads: Int = 2, limit: Int = 64, _ body: @escaping @Sendable (_ worker: Int, borrowing EntryBatch) -> Bool
    ) -> WalkSummary {
        let work: @Sendable (Int) -> Void = { number in
            var worker = self.worker()
            var batch = EntryBatch()
            while worker.next(&batch, limit: limit) { if !body(number, batch) { self.stop() } }
        }
        var others: [Thread] = []
        for number in 1..<max(2, threads) where threads > 1 {
            if let other = try? Thread({ work(number) }) { others.append(other) }
        }
        work(0)
        for other in others { other.join() }
        return summary
    }
}
