// The entries of one namespace: found by hash, ordered by use, and by deadline where they have one.
// It keeps no bounds and knows no other namespace.

struct Table: Sendable {
    private let seed: SipKey
    private(set) var slots = Slots()
    private var index = HashIndex()
    private var deadlines = Deadlines()
    private(set) var recency = Recency()
    /// The sum of ``EntryCost``.
    private(set) var bytes = 0

    init(seed: SipKey) { self.seed = seed }

    var count: Int { Int(slots.count) }

    var usage: Usage { Usage(entries: count, bytes: bytes) }

    /// The earliest deadline, and whose it is.
    var firstDeadline: (deadline: UInt64, slot: UInt32)? { deadlines.first }

    /// The entry that was not used for longest; nil where there is none.
    var oldest: UInt32? { recency.oldest == Slot.none ? nil : recency.oldest }

    @inline(__always) func hash(_ key: StoredKey) -> UInt32 { UInt32(truncatingIfNeeded: key.hash(seed) >> 32) }

    /// The slot of a key, whether it has expired or not.
    @inline(__always) func find(_ key: StoredKey, _ hash: UInt32) -> UInt32? {
        index.find(hash) { slots[$0].key == key }
    }

    /// The slot of a key that has not expired.
    @inline(__always) func find(_ key: [UInt8], now: UInt64) -> UInt32? {
        let key = StoredKey(key)
        guard let slot = find(key, hash(key)), slots[slot].deadline > now else { return nil }
        return slot
    }

    /// Makes an entry the one that was used last.
    @inline(__always) mutating func touch(_ slot: UInt32, use: UInt64) { recency.touch(slot, use: use) }

    /// Sets a key, whatever it was before.
    mutating func set(_ key: StoredKey, _ value: [UInt8], deadline: UInt64, use: UInt64) {
        let hash = hash(key)
        if let slot = find(key, hash) {
            bytes -= cost(slot)
            slots[slot].value = value
            setDeadline(slot, deadline)
            bytes += cost(slot)
            touch(slot, use: use)
            return
        }
        let slot = slots.append(Slot(key: key, hash: hash, value: value, deadline: .max, timer: Slot.none))
        index.insert(hash, slot)
        recency.append(use: use)
        setDeadline(slot, deadline)
        bytes += cost(slot)
    }

    /// Gives an entry another deadline; `.max` for none.
    mutating func expire(_ slot: UInt32, at deadline: UInt64) {
        bytes -= cost(slot)
        setDeadline(slot, deadline)
        bytes += cost(slot)
    }

    private mutating func setDeadline(_ slot: UInt32, _ deadline: UInt64) {
        if slots[slot].deadline == deadline { return }
        if slots[slot].timer != Slot.none { deadlines.remove(at: slots[slot].timer, &slots) }
        slots[slot].deadline = deadline
        if deadline != .max { deadlines.insert(deadline, slot, &slots) }
    }

    private func cost(_ slot: UInt32) -> Int { slots[slot].cost }

    /// Removes an entry. The one with the highest number takes its number, so that there are no gaps.
    mutating func remove(_ slot: UInt32) {
        bytes -= cost(slot)
        setDeadline(slot, .max)
        recency.remove(slot)
        index.remove(slots[slot].hash, slot)
        guard let last = slots.removeLast(), slot != slots.count else { return }
        slots[slot] = last
        index.renumber(last.hash, from: slots.count, to: slot)
        if last.timer != Slot.none { deadlines.renumber(at: last.timer, to: slot) }
    }
}

extension Slot {
    var cost: Int { EntryCost.of(key: key.count, value: value.count, expires: deadline != .max) }
}

/// What something holds.
struct Usage: Sendable, Equatable {
    var entries = 0, bytes = 0

    static func += (one: inout Usage, other: Usage) {
        one.entries += other.entries
        one.bytes += other.bytes
    }

    static func -= (one: inout Usage, other: Usage) {
        one.entries -= other.entries
        one.bytes -= other.bytes
    }
}
