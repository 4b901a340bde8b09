// Which bytes of a stream the journal has: what is acknowledged twice is stored once, and a flood is bounded.

/// The bytes of one stream that were acknowledged. Of a stream longer than the limit the head and the tail are kept,
/// half the limit each, as captures do.
struct Coverage {
    /// Apart from each other, in order.
    private(set) var ranges: [Range<UInt64>] = []
    let headLimit: UInt64, tailLimit: UInt64
    /// What was dropped: from the end of the head to here.
    var droppedUpTo: UInt64

    /// Rows are cut at this length, so that nothing that reads or removes one takes long.
    static let pieceLength: UInt64 = 65536
    /// How much more than the tail is kept before the oldest is dropped: rows go in groups.
    private static let slack: UInt64 = 262_144

    /// Whether somebody reads a byte here and a byte there: each is a row and a range.
    var isScattered: Bool { ranges.count > 1024 }

    init(limit: UInt64) {
        headLimit = limit - limit / 2
        tailLimit = limit / 2
        droppedUpTo = headLimit
    }

    var end: UInt64 { ranges.last?.upperBound ?? 0 }

    /// Adds a range.
    ///
    /// - Returns: what of it is to be stored, in pieces; none of them reaches over the end of the head.
    mutating func add(_ range: Range<UInt64>) -> [Range<UInt64>] {
        if range.isEmpty { return [] }
        let missing = insert(range)
        let keptFrom = max(droppedUpTo, tailStart)
        var pieces: [Range<UInt64>] = []
        for part in missing {
            cut(part.clamped(to: 0..<headLimit), into: &pieces)
            cut(part.clamped(to: keptFrom..<UInt64.max), into: &pieces)
        }
        return pieces
    }

    /// Where the tail starts, if enough lies before it to be worth dropping.
    mutating func drop() -> UInt64? {
        guard tailStart > droppedUpTo, tailStart - droppedUpTo >= Self.slack else { return nil }
        droppedUpTo = tailStart
        return tailStart
    }

    private var tailStart: UInt64 { max(headLimit, end - min(end, tailLimit)) }

    private func cut(_ part: Range<UInt64>, into pieces: inout [Range<UInt64>]) {
        var start = part.lowerBound
        while start < part.upperBound {
            let end = min(part.upperBound, start + min(Self.pieceLength, part.upperBound - start))
            pieces.append(start..<end)
            start = end
        }
    }

    /// Joins a range with those that it touches, and tells what was not covered.
    private mutating func insert(_ range: Range<UInt64>) -> [Range<UInt64>] {
        // The usual case: a stream that is read from its start on.
        if let last = ranges.last, last.upperBound == range.lowerBound {
            ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
            return [range]
        }
        let first = ranges.firstIndex { $0.upperBound >= range.lowerBound } ?? ranges.count
        let behind = ranges[first...].firstIndex { $0.lowerBound > range.upperBound } ?? ranges.count
        var missing: [Range<UInt64>] = []
        var place = range.lowerBound
        for known in ranges[first..<behind] {
            if known.lowerBound > place { missing.append(place..<known.lowerBound) }
            place = max(place, known.upperBound)
        }
        if place < range.upperBound { missing.append(place..<range.upperBound) }
        let touched = ranges[first..<behind]
        let start = min(range.lowerBound, touched.first?.lowerBound ?? .max)
        let end = max(range.upperBound, touched.last?.upperBound ?? 0)
        ranges.replaceSubrange(first..<behind, with: [start..<end])
        return missing
    }
}
