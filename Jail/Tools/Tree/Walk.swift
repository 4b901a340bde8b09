// The walk: several workers read directories, and entries come out in one order. It holds in memory what was read ahead,
// within bounds, and the directories on the way to where it is.
//
// Whoever asks for entries moves the *front*, which goes through the tree in order. A directory that the front has reached
// and nobody has read is read by whoever found that; one that another worker is reading is waited for, and meanwhile others
// are read ahead: those seen last, which are near the front. So nobody ever waits for something that nobody does.
internal import Linux

/// A walk through the tree beneath a root, under ignore rules, with one order for however many workers.
@safe public final class Walk: @unchecked Sendable {
    let root: Root
    let options: WalkOptions
    let given: GivenRules
    let stopFlag = StopFlag()
    private let opener: DirectoryOpener
    private let monitor = Monitor()

    // All that follows is guarded by the monitor.
    private var front: [Level] = []
    /// The path of the directory that the front is in, with a slash at its end.
    private var path: [UInt8] = []
    /// Directories that were read and have unread ones in them, those read last at the end.
    private var unread: [WalkNode] = []
    private var ahead = 0
    private var waiting = 0
    private var isFinished = false
    private var batches = 0
    private var result = WalkSummary()
    private var kept = OpenDirectories()

    private struct Level {
        var node: WalkNode
        var position = 0
        var directory = 0
        var pathLength: Int
        var isEntered = false
        /// Where the front was when the directory was opened again.
        var reached = -1
        var needsDirectory: Bool { node.open == nil && position < node.listing.items.count && reached != position }
    }

    /// Bytes that may be read ahead of the front; twice as many where they are next to it.
    private static let mostAhead = 16 << 20

    /// Opens the base. Nothing is read before a worker asks.
    ///
    /// - Throws: What keeps the base from being opened as a directory.
    public init(_ root: Root, _ options: WalkOptions = WalkOptions()) throws(TreeError) {
        var options = options
        let lower = max(1, options.depths.lowerBound)
        options.depths = lower...max(lower, min(options.depths.upperBound, WalkOptions.deepest))
        let base = Array(
            options.base.split(separator: slash).filter { !$0.elementsEqual([dot]) }.joined(separator: [slash]))
        if options.base.first == slash { throw .absolute }
        options.base = base
        self.root = root
        self.options = options
        given = GivenRules(options.ignore)
        kept.limit = max(2, options.maxOpenDirectories)
        opener = DirectoryOpener(
            root: root, staysOnFileSystem: options.staysOnFileSystem, steps: min(32, kept.limit / 2))
        let directory = try root.open(base, [.readOnly, .directory])
        let node = WalkNode(parent: nil, name: base, depth: 0, isFollowedLink: false)
        node.listing.frame = try framesAbove(base)
        if options.followsLinks { node.identity = (try? entryStatus(of: directory.raw))?.identity }
        kept.keep(OpenDirectory(directory), for: node)
        path = base.isEmpty ? [] : base + [slash]
        front.append(Level(node: node, pathLength: path.count))
    }

    /// The rules of the directories from the root down to the one above the base.
    private func framesAbove(_ base: [UInt8]) throws(TreeError) -> IgnoreFrame? {
        let reader = IgnoreReader(root: root, settings: options.ignore)
        var frame: IgnoreFrame?
        var end = base.isEmpty ? nil : base.startIndex
        while let here = end {
            let place = try root.open(base[..<here], .path)
            let path = here == 0 ? [] : Array(base[..<here]) + [slash]
            frame = reader.frame(of: place.raw, path: path, has: .all, above: frame, unread: &result.ignoreFilesUnread)
            let from = here == 0 ? 0 : here + 1
            end = base[from...].firstIndex(of: slash)
        }
        return frame
    }

    /// What was shown and left out so far; at the end of the walk, in all of it.
    public var summary: WalkSummary {
        monitor.lock()
        defer { monitor.unlock() }
        return result
    }

    /// Ends the walk: no worker gets another batch.
    public func stop() {
        monitor.lock()
        if !isFinished { result.wasStopped = true }
        finish()
        monitor.unlock()
    }

    /// What one thread uses to take part. Each has one of its own.
    public func worker() -> WalkWorker { WalkWorker(self) }

    private func finish() {
        isFinished = true
        stopFlag.set()
        // One by one from the deepest, since a chain of ten thousand that goes at once would go by recursion.
        var nodes = unread
        unread = []
        while let level = front.popLast() { nodes.append(level.node) }
        while let node = nodes.popLast() {
            nodes += node.children.compactMap { $0 }
            node.children = []
            node.listing = Listing()
            node.open = nil
        }
        kept = OpenDirectories()
        monitor.wakeAll()
    }

    // MARK: - What workers do

    func next(_ batch: inout EntryBatch, limit: Int, _ loader: inout DirectoryLoader) -> Bool {
        batch.clear()
        monitor.lock()
        defer { monitor.unlock() }
        while !isFinished {
            guard let level = front.last else {
                finish()
                break
            }
            switch level.node.state {
            case .loaded:
                if options.keepsDirectories, level.needsDirectory {
                    if !batch.entries.isEmpty { return hand(&batch) }
                    // Where that fails, its files are opened by their paths.
                    let position = level.position
                    front[front.count - 1].reached = position
                    level.node.state = .claimed
                    _ = try? reach(level.node)
                    if isFinished { break }
                    level.node.state = .loaded
                    if waiting > 0 { monitor.wakeAll() }
                    continue
                }
                fill(&batch, limit)
                if batch.entries.count >= limit || batch.bytes.count >= 1 << 18 { return hand(&batch) }
            case .failed(let error):
                leave()
                record(error, level.node)
            case .seen:
                if !batch.entries.isEmpty { return hand(&batch) }
                level.node.state = .claimed
                load(level.node, &loader)
            case .claimed:
                if !batch.entries.isEmpty { return hand(&batch) }
                if let other = claim() { load(other, &loader) } else { wait() }
            }
        }
        return batch.entries.isEmpty ? false : hand(&batch)
    }

    /// Reads ahead until the walk is over.
    func help(_ loader: inout DirectoryLoader) {
        monitor.lock()
        while !isFinished { if let node = claim() { load(node, &loader) } else { wait() } }
        monitor.unlock()
    }

    /// Whether a helper would find something to do.
    var hasWorkForOthers: Bool {
        monitor.lock()
        defer { monitor.unlock() }
        return !isFinished && unread.contains { $0.hasUnclaimed }
    }

    private func wait() {
        waiting += 1
        monitor.wait()
        waiting -= 1
    }

    private func hand(_ batch: inout EntryBatch) -> Bool {
        batch.index = batches
        batches += 1
        batch.firstEntry = result.entries - batch.entries.count
        return true
    }

    private func record(_ error: TreeError, _ node: WalkNode) {
        // Directories have changed on the way: what is gone, or is a file now, has nothing to show.
        if error == .missing && node.parent != nil { return result.vanished += 1 }
        // With `RESOLVE_NO_XDEV` and a single name that is no link, only a mount point leads out.
        if error == .outside, options.staysOnFileSystem { return result.mountPoints += 1 }
        if error == .system(.loop) { return result.loops += 1 }
        result.directoriesUnreadable += 1
        if result.unreadable.count < WalkSummary.mostSamples {
            var path = node.path
            if !path.isEmpty { path.removeLast() }
            result.unreadable.append(WalkSummary.Unreadable(path: path, error: error))
        }
    }

    // MARK: - Reading directories

    /// A directory worth reading ahead, now claimed.
    private func claim() -> WalkNode? {
        // Those that are read ahead are kept open until their files were handed out.
        if options.keepsDirectories, kept.count >= kept.limit / 2 { return nil }
        var node: WalkNode?
        if ahead < Self.mostAhead {
            while let last = unread.last, !last.hasUnclaimed { unread.removeLast() }
            node = unread.last
        } else if ahead < 2 * Self.mostAhead {
            node = front.last { $0.node.hasUnclaimed }?.node
        }
        guard let node else { return nil }
        let child = node.claimNext()
        child.state = .claimed
        return child
    }

    /// Reads a claimed directory, with the lock given back meanwhile.
    private func load(_ node: WalkNode, _ loader: inout DirectoryLoader) {
        let job = LoadJob(
            path: { node.path }, baseLength: options.base.isEmpty ? 0 : options.base.count + 1, depth: node.depth,
            frame: node.parent?.listing.frame ?? node.listing.frame)
        var outcome: Result<Listing, TreeError>
        var identity = node.identity
        do throws(TreeError) {
            let directory = try reach(node)
            monitor.unlock()
            defer { monitor.lock() }
            if options.followsLinks {
                identity = (try? entryStatus(of: directory.descriptor.raw))?.identity
                if let identity, node.isFollowedLink, node.isBelow(identity) { throw .system(.loop) }
            }
            outcome = .success(try loader.load(directory.descriptor.raw, job))
        } catch { outcome = .failure(error) }
        publish(node, outcome, identity)
    }

    /// A node's directory, opened where it is not open, with the lock given back meanwhile. It and those on the way to
    /// it stay open.
    private func reach(_ node: WalkNode) throws(TreeError) -> OpenDirectory {
        if let open = node.open { return open }
        var chain = OpenedChain()
        for attempt in 0... {
            var above = node.parent
            while let here = above, here.open == nil { above = here.parent }
            var from: (WalkNode, OpenDirectory)?
            if let above, let open = above.open { from = (above, open) }
            do throws(TreeError) {
                monitor.unlock()
                defer { monitor.lock() }
                chain = try opener.open(node, from: from)
                break
            } catch {
                guard attempt == 0, error == .system(.tooManyFiles) else { throw error }
                kept.closeAll()
            }
        }
        guard let last = chain.nodes.last?.directory else { throw .missing }
        if !isFinished { for (node, directory) in chain.nodes { kept.keep(directory, for: node) } }
        return last
    }

    private func publish(_ node: WalkNode, _ outcome: Result<Listing, TreeError>, _ identity: FileIdentity?) {
        if isFinished { return }
        switch outcome {
        case .failure(let error):
            node.state = .failed(error)
            kept.drop(node)
        case .success(let listing):
            node.listing = listing
            node.identity = identity
            node.state = .loaded
            if !listing.directories.isEmpty { unread.append(node) }
            if listing.directories.isEmpty && !(options.keepsDirectories && !listing.items.isEmpty) { kept.drop(node) }
            if front.last?.node !== node {
                node.aheadCost = listing.cost
                ahead += node.aheadCost
            }
        }
        if waiting > 0 { monitor.wakeAll() }
    }

    // MARK: - The front

    /// Takes entries from the directory at the front until the batch is full or the directory leads elsewhere.
    private func fill(_ batch: inout EntryBatch, _ limit: Int) {
        guard var level = front.last else { return }
        let node = level.node
        if !level.isEntered {
            level.isEntered = true
            front[front.count - 1].isEntered = true
            if result.directories >= options.maxDirectories {
                result.directoriesLeftOut = 1
                return finish()
            }
            result.add(node.listing.counts)
            ahead -= node.aheadCost
            if waiting > 0, node.aheadCost > 0 { monitor.wakeAll() }
            node.aheadCost = 0
        }
        let depth = node.depth + 1
        let isDeepEnough = depth >= options.depths.lowerBound
        var directory: Int32 = -1
        while level.position < node.listing.items.count {
            if batch.entries.count >= limit || batch.bytes.count >= 1 << 18 {
                front[front.count - 1] = level
                return
            }
            let item = node.listing.items[level.position]
            if isDeepEnough, item.kind != .directory || options.kinds.contains(.directories) {
                if result.entries >= options.maxEntries {
                    result.entriesLeftOut += 1
                    if !options.countsLeftOut { return finish() }
                } else {
                    if directory < 0, options.keepsDirectories, let open = node.open {
                        directory = Int32(batch.directories.count)
                        batch.directories.append(open)
                    }
                    append(item, level.position, node, depth, directory, to: &batch)
                    result.entries += 1
                }
            }
            level.position += 1
            if item.kind == .directory, level.directory < node.listing.directories.count {
                enter(&level)
                return
            }
        }
        leave()
    }

    private func append(
        _ item: Item, _ position: Int, _ node: WalkNode, _ depth: Int, _ directory: Int32, to batch: inout EntryBatch
    ) {
        let start = batch.bytes.count, nameStart = Int(item.offset), length = Int(item.length)
        unsafe path.withUnsafeBufferPointer { unsafe batch.bytes.append(contentsOf: $0) }
        unsafe node.listing.names.withUnsafeBufferPointer { names in
            unsafe batch.bytes.append(
                contentsOf: UnsafeBufferPointer(rebasing: names[nameStart..<(nameStart + length)]))
        }
        batch.bytes.append(options.separator)
        batch.entries.append(
            Entry(
                kind: item.kind, isFollowedLink: item.isFollowedLink, offset: UInt32(truncatingIfNeeded: start),
                pathLength: UInt32(truncatingIfNeeded: path.count + length),
                nameOffset: UInt32(truncatingIfNeeded: path.count), level: UInt32(truncatingIfNeeded: depth),
                directory: directory))
        if options.wantsStatus { batch.statuses.append(node.listing.statuses[position]) }
    }

    /// Goes down into the next directory of the one at the front.
    private func enter(_ level: inout Level) {
        let node = level.node
        if level.directory == node.children.count { _ = node.claimNext() }
        let child = node.children[level.directory]
        node.children[level.directory] = nil
        level.directory += 1
        front[front.count - 1] = level
        guard let child else { return }
        path += child.name
        path.append(slash)
        front.append(Level(node: child, pathLength: path.count))
    }

    /// Goes up from the directory at the front, which is done with.
    private func leave() {
        guard let level = front.popLast() else { return }
        kept.drop(level.node)
        level.node.listing = Listing()
        level.node.children = []
        if unread.last === level.node { unread.removeLast() }
        path.removeSubrange((front.last?.pathLength ?? 0)...)
    }
}
