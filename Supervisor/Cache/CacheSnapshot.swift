// What the kept namespaces held at one moment, as bytes. It reads no clock and touches no file.

/// A copy of the namespaces that are kept, which later changes do not change.
///
/// Taking one copies almost nothing: memory is shared until either side changes, 128 entries at a time; only the order
/// of use is copied as a whole, at the next use (16 bytes for each entry). As long as a snapshot lives, entries that
/// are changed or removed meanwhile take memory twice, which no bound counts. It can be encoded a piece at a time, also
/// on another thread.
public struct CacheSnapshot: Sendable {
    private struct Part: Sendable {
        let owner: CacheOwner
        let slots: Slots
        let recency: Recency
    }

    /// About how many bytes a piece has: more only by one entry.
    public static let pieceSize = 64 << 10

    private let parts: [Part]
    private let now: UInt64, wall: UInt64
    private var part = -1
    private var slot = Slot.none
    private var entries: UInt64 = 0
    private var checksum = Checksum(SnapshotFormat.checksumKey)
    private var isStarted = false, isDone = false

    init(_ namespaces: [CacheNamespace], now: UInt64, wall: UInt64) {
        parts = namespaces.map { Part(owner: $0.owner, slots: $0.contents.slots, recency: $0.contents.recency) }
        self.now = now
        self.wall = wall
    }

    /// The next piece; nil behind the last.
    public mutating func next() -> [UInt8]? {
        if isDone { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.pieceSize + 4096)
        if !isStarted {
            isStarted = true
            bytes += SnapshotFormat.magic
            bytes.append(number: SnapshotFormat.version)
            bytes.append(number: wall)
        }
        // An entry that has expired gives no bytes, but takes time.
        var steps = 0
        while bytes.count < Self.pieceSize, steps < 4096, !isDone {
            steps += 1
            appendRecord(to: &bytes)
        }
        checksum.add(bytes[...])
        if isDone { bytes.append(number: checksum.value) }
        return bytes
    }

    private mutating func appendRecord(to bytes: inout [UInt8]) {
        if slot != Slot.none {
            appendEntry(parts[part].slots[slot], to: &bytes)
            slot = parts[part].recency.newer(slot)
            return
        }
        part += 1
        guard part < parts.count else {
            bytes.append(SnapshotFormat.end)
            bytes.append(number: entries)
            isDone = true
            return
        }
        slot = parts[part].recency.oldest
        let owner = parts[part].owner
        bytes.append(SnapshotFormat.namespace)
        bytes.append(number: owner.user)
        bytes.append(number: owner.session.map { UInt16($0.count) } ?? SnapshotFormat.noSession)
        bytes += owner.session ?? []
    }

    private mutating func appendEntry(_ slot: Slot, to bytes: inout [UInt8]) {
        guard slot.deadline > now else { return }
        entries += 1
        let key = slot.key.bytes
        bytes.append(SnapshotFormat.entry)
        bytes.append(number: UInt16(key.count))
        bytes.append(number: UInt32(slot.value.count))
        // Never 0, since the deadline is later than now.
        bytes.append(number: slot.deadline == .max ? 0 : saturatingSum(wall, slot.deadline - now))
        bytes += key
        bytes += slot.value
    }
}

func saturatingSum(_ one: UInt64, _ other: UInt64) -> UInt64 {
    let (sum, overflow) = one.addingReportingOverflow(other)
    return overflow ? .max : sum
}
