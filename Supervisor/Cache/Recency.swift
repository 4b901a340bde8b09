// The order in which entries were used: a list through an array, so that a use costs a few writes and no allocation. It
// is kept apart from the entries: what is read all the time changes nothing in their pages, and a snapshot shares them.

/// A doubly linked list of slots, from the one used last to the one not used for longest.
struct Recency: Sendable {
    private struct Link {
        var newer: UInt32, older: UInt32
        /// When the entry was last used, in the store's count of uses.
        var used: UInt64
    }

    private var links: ContiguousArray<Link> = []
    private var newest = Slot.none
    /// The slot that was not used for longest, or ``Slot/none``.
    private(set) var oldest = Slot.none

    func used(_ slot: UInt32) -> UInt64 { links[Int(slot)].used }

    /// The slot that was used next after this one, or ``Slot/none``.
    func newer(_ slot: UInt32) -> UInt32 { links[Int(slot)].newer }

    /// Adds the slot with the next number as the one used last.
    mutating func append(use: UInt64) {
        let slot = UInt32(links.count)
        links.append(Link(newer: Slot.none, older: Slot.none, used: use))
        link(slot)
    }

    /// Makes a slot the one used last.
    @inline(__always) mutating func touch(_ slot: UInt32, use: UInt64) {
        links[Int(slot)].used = use
        if slot == newest { return }
        unlink(slot)
        link(slot)
    }

    @inline(__always) private mutating func unlink(_ slot: UInt32) {
        let link = links[Int(slot)]
        if link.newer == Slot.none { newest = link.older } else { links[Int(link.newer)].older = link.older }
        if link.older == Slot.none { oldest = link.newer } else { links[Int(link.older)].newer = link.newer }
    }

    @inline(__always) private mutating func link(_ slot: UInt32) {
        links[Int(slot)].newer = Slot.none
        links[Int(slot)].older = newest
        if newest == Slot.none { oldest = slot } else { links[Int(newest)].newer = slot }
        newest = slot
    }

    /// Takes a slot out; the one with the highest number takes its number.
    mutating func remove(_ slot: UInt32) {
        unlink(slot)
        let last = links.removeLast()
        if slot < links.count {
            links[Int(slot)] = last
            if last.newer == Slot.none { newest = slot } else { links[Int(last.newer)].older = slot }
            if last.older == Slot.none { oldest = slot } else { links[Int(last.older)].newer = slot }
        }
        links.shrink()
    }
}

extension ContiguousArray {
    /// Gives memory back where less than a third of it is used: arrays keep what they once needed.
    mutating func shrink() {
        guard capacity > 64, count * 3 < capacity else { return }
        var smaller: ContiguousArray = []
        smaller.reserveCapacity(count * 2)
        smaller.append(contentsOf: self)
        self = smaller
    }
}
