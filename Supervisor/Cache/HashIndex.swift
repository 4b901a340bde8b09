// From hashes to slots: open addressing with linear probing, half to three quarters full where it is large.

/// A table of (hash, slot) pairs. It never looks at keys.
struct HashIndex: Sendable {
    /// The hash in the upper half; the slot's number and one in the lower, so that zero is an empty place.
    private var places: ContiguousArray<UInt64> = []
    private var count = 0
    /// How far a hash is shifted to be a place. The upper bits count, so that a table twice as large keeps the order,
    /// and growing reads and writes memory from one end to the other.
    private var shift: UInt32 = 32

    static let smallest = 8

    @inline(__always) private var mask: Int { places.count &- 1 }

    @inline(__always) private func home(_ hash: UInt32) -> Int { Int(hash >> shift) }

    /// The first slot with this hash for which `matches` says yes.
    @inline(__always) func find(_ hash: UInt32, _ matches: (UInt32) -> Bool) -> UInt32? {
        if places.isEmpty { return nil }
        var at = home(hash)
        while true {
            let place = places[at]
            if place == 0 { return nil }
            if UInt32(truncatingIfNeeded: place >> 32) == hash {
                let slot = UInt32(truncatingIfNeeded: place) &- 1
                if matches(slot) { return slot }
            }
            at = (at &+ 1) & mask
        }
    }

    mutating func insert(_ hash: UInt32, _ slot: UInt32) {
        if (count + 1) * 4 > places.count * 3 { resize(to: max(Self.smallest, places.count * 2)) }
        put(UInt64(hash) << 32 | UInt64(slot + 1))
        count += 1
    }

    private mutating func put(_ place: UInt64) {
        var at = home(UInt32(truncatingIfNeeded: place >> 32))
        while places[at] != 0 { at = (at &+ 1) & mask }
        places[at] = place
    }

    private mutating func resize(to size: Int) {
        let old = places
        places = ContiguousArray(repeating: 0, count: size)
        shift = 32 - UInt32(size.trailingZeroBitCount)
        for place in old where place != 0 { put(place) }
    }

    /// Where a slot with this hash stands.
    private func position(_ hash: UInt32, _ slot: UInt32) -> Int? {
        let wanted = UInt64(hash) << 32 | UInt64(slot + 1)
        if places.isEmpty { return nil }
        var at = home(hash)
        while places[at] != wanted {
            if places[at] == 0 { return nil }
            at = (at &+ 1) & mask
        }
        return at
    }

    /// Gives a slot another number.
    mutating func renumber(_ hash: UInt32, from slot: UInt32, to other: UInt32) {
        if let at = position(hash, slot) { places[at] = UInt64(hash) << 32 | UInt64(other + 1) }
    }

    mutating func remove(_ hash: UInt32, _ slot: UInt32) {
        guard var hole = position(hash, slot) else { return }
        // What stands behind the hole moves forward into it, unless it would come before its home: no tombstones.
        var at = hole
        while true {
            at = (at &+ 1) & mask
            let place = places[at]
            if place == 0 { break }
            let distance = (at &- home(UInt32(truncatingIfNeeded: place >> 32))) & mask
            if distance >= (at &- hole) & mask {
                places[hole] = place
                hole = at
            }
        }
        places[hole] = 0
        count -= 1
        if places.count > Self.smallest, count * 4 < places.count { resize(to: places.count / 2) }
    }
}
