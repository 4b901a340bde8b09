// Opens the directories of a walk, from the nearest one above that is still open. It holds no lock.
internal import Linux

/// What was opened, from above to below; the last is what was asked for.
struct OpenedChain {
    var nodes: [(node: WalkNode, directory: OpenDirectory)] = []
}

struct DirectoryOpener {
    let root: Root
    let staysOnFileSystem: Bool
    /// Of a long way down, so many directories at its end are opened one by one, and stay open: whoever goes up again
    /// through ten thousand levels needs each of them next.
    let steps: Int

    /// Opens a node's directory. `from` is the nearest node above it that is open, with its directory, or nil.
    func open(_ node: WalkNode, from: (node: WalkNode, directory: OpenDirectory)?) throws(TreeError) -> OpenedChain {
        var chain: [WalkNode] = []
        var next: WalkNode? = node
        var passesLink = false
        while let here = next, here !== from?.node {
            chain.append(here)
            passesLink = passesLink || here.isFollowedLink
            next = here.parent
        }
        // A link may lead up, so the kernel has to see its way from the root on.
        if passesLink { return try openByPath(node) }
        var opened = OpenedChain()
        var directory = from?.directory
        let alone = chain.count - min(chain.count, steps)
        if alone > 0 || directory == nil {
            let rest = directory == nil ? max(1, alone) : alone
            let names = chain.suffix(rest).reversed().map(\.name).filter { !$0.isEmpty }
            // The base was named by the caller, whose links are followed.
            let links = directory == nil ? LinkPolicy.followInside : .refuse
            let one = try open(Array(names.joined(separator: [slash])), links, directory)
            opened.nodes.append((chain[chain.count - rest], one))
            directory = one
            chain.removeLast(rest)
        }
        for node in chain.reversed() {
            let one = try open(node.name, .refuse, directory)
            opened.nodes.append((node, one))
            directory = one
        }
        return opened
    }

    private func openByPath(_ node: WalkNode) throws(TreeError) -> OpenedChain {
        let directory = try open(Array(node.path.dropLast()), .followInside, nil)
        return OpenedChain(nodes: [(node, directory)])
    }

    private func open(_ path: [UInt8], _ links: LinkPolicy, _ from: OpenDirectory?) throws(TreeError) -> OpenDirectory {
        OpenDirectory(
            try root.open(
                path, [.readOnly, .directory], links: links, from: from?.descriptor.raw,
                staysOnFileSystem: staysOnFileSystem))
    }
}

/// The directories that stay open. The longest open are closed first: those nearest to the root.
struct OpenDirectories {
    var limit = 1
    private var nodes: [WalkNode] = []
    private(set) var count = 0

    mutating func keep(_ directory: OpenDirectory, for node: WalkNode) {
        if count >= limit {
            nodes.removeAll { $0.open == nil }
            close(nodes.count - limit / 2)
        } else if nodes.count > 4 * limit {
            nodes.removeAll { $0.open == nil }
        }
        if node.open != nil { return }
        node.open = directory
        nodes.append(node)
        count += 1
    }

    mutating func drop(_ node: WalkNode) {
        if node.open == nil { return }
        node.open = nil
        count -= 1
    }

    /// Closes all of them, since the process has no descriptors left.
    mutating func closeAll() { close(nodes.count) }

    private mutating func close(_ surplus: Int) {
        if surplus > 0 {
            for node in nodes.prefix(surplus) { node.open = nil }
            nodes.removeFirst(surplus)
        }
        count = nodes.count { $0.open != nil }
    }
}
