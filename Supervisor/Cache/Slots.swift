// Where entries lie: dense pages, so that no entry moves when more come, and memory goes back when they go.
//
// Pages are arrays within an array: a snapshot is a copy of the outer one, and what changes afterwards changes in pages
// of its own (copy on write), a page at a time.

/// One entry, in 48 bytes.
struct Slot: Sendable {
    var key: StoredKey
    /// The upper half of the key's hash: what the index sorts by.
    var hash: UInt32
    var value: [UInt8]
    /// When it expires, in milliseconds of the store's clock; `.max` for never.
    var deadline: UInt64
    /// Its place among the deadlines, where it has one.
    var timer: UInt32

    /// What stands for no slot.
    static let none = UInt32.max
}

/// The entries of one namespace, numbered from 0 without gaps.
struct Slots: Sendable {
    static let pageShift: UInt32 = 7
    static let pageSize: UInt32 = 1 << pageShift

    private(set) var count: UInt32 = 0
    private(set) var pages: ContiguousArray<ContiguousArray<Slot>> = []

    subscript(index: UInt32) -> Slot {
        @inline(__always) _read {
            yield pages[Int(index >> Self.pageShift)][Int(index & (Self.pageSize - 1))]
        }
        @inline(__always) _modify {
            yield &pages[Int(index >> Self.pageShift)][Int(index & (Self.pageSize - 1))]
        }
    }

    mutating func append(_ slot: Slot) -> UInt32 {
        let page = Int(count >> Self.pageShift)
        if page == pages.count {
            pages.append([])
            // Only the first page grows bit by bit: most namespaces are small.
            if page > 0 { pages[page].reserveCapacity(Int(Self.pageSize)) }
        }
        pages[page].append(slot)
        count += 1
        return count - 1
    }

    /// Takes the entry with the highest number away.
    mutating func removeLast() -> Slot? {
        guard count > 0 else { return nil }
        count -= 1
        let slot = pages[pages.count - 1].removeLast()
        if count & (Self.pageSize - 1) == 0 { pages.removeLast() }
        return slot
    }

    /// Lets a whole page of entries go; of use only where nothing refers to them any more.
    mutating func removeLastPage() -> ContiguousArray<Slot>? {
        guard let page = pages.popLast() else { return nil }
        count -= UInt32(page.count)
        return page
    }
}
