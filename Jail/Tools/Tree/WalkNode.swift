// A directory as the walk knows it between being seen and being done. Only whoever holds the walk's lock changes it.
internal import Linux

/// One directory. What can change is touched only with the walk's lock held.
@safe final class WalkNode: @unchecked Sendable {
    enum State {
        /// Seen, and nobody has begun to read it.
        case seen
        /// A worker reads it.
        case claimed
        /// Read.
        case loaded
        /// It could not be read.
        case failed(TreeError)
    }

    let parent: WalkNode?
    /// The last component; of the walk's base its whole path.
    let name: [UInt8]
    let depth: Int
    let isFollowedLink: Bool
    var state = State.seen
    var listing = Listing()
    /// The directory, while it stays open.
    var open: OpenDirectory?
    /// Known only where links are followed.
    var identity: FileIdentity?
    /// The directories in it that were claimed, in order; let go when the walk has passed them.
    var children: [WalkNode?] = []
    /// What it counts for among what was read ahead.
    var aheadCost = 0

    init(parent: WalkNode?, name: [UInt8], depth: Int, isFollowedLink: Bool) {
        self.parent = parent
        self.name = name
        self.depth = depth
        self.isFollowedLink = isFollowedLink
    }

    /// Whether it has directories that nobody has claimed.
    var hasUnclaimed: Bool { children.count < listing.directories.count }

    /// Makes the node of the next directory in it.
    func claimNext() -> WalkNode {
        let item = listing.items[Int(listing.directories[children.count])]
        let start = Int(item.offset)
        let child = WalkNode(
            parent: self, name: Array(listing.names[start..<(start + Int(item.length))]), depth: depth + 1,
            isFollowedLink: item.isFollowedLink)
        children.append(child)
        return child
    }

    /// The path from the root, with a slash at its end; empty for the root itself.
    var path: [UInt8] {
        var chain: [[UInt8]] = []
        var node: WalkNode? = self
        while let here = node {
            chain.append(here.name)
            node = here.parent
        }
        var result: [UInt8] = []
        result.reserveCapacity(chain.reduce(0) { $0 + $1.count + 1 })
        for name in chain.reversed() where !name.isEmpty {
            result += name
            result.append(slash)
        }
        return result
    }

    /// Whether a directory of this identity is above.
    func isBelow(_ identity: FileIdentity) -> Bool {
        var node = parent
        while let here = node {
            if here.identity == identity { return true }
            node = here.parent
        }
        return false
    }
}
