// The edit distance of two lines, with a bound and a budget: it gives up as soon as the bound is out of reach.

/// Levenshtein distance in bytes, by bit-parallel columns (Myers 1999 in the form of Hyyrö 2003): 64 cells a step.
///
/// It keeps its tables from call to call, so that nothing is allocated for a line.
struct Levenshtein {
    /// The longest line that is compared, without what both have in common at their ends: a longer one counts as
    /// different altogether.
    static let longest = 4096

    /// Steps of 64 cells that may still be taken.
    private(set) var budget: Int
    private var masks: [UInt64] = Array(repeating: 0, count: 256)
    private var table: [UInt64] = []
    private var positive: [UInt64] = []
    private var negative: [UInt64] = []

    /// With a budget of steps; one takes some five nanoseconds.
    init(budget: Int) { self.budget = budget }

    /// Whether the budget was used up: distances are then not to be believed.
    var isExhausted: Bool { budget < 0 }

    /// 1 for equal lines, 0 for lines that have nothing in common; 0 too where it would be less than `least`.
    mutating func similarity(
        _ one: [UInt8], _ first: Range<Int>, _ other: [UInt8], _ second: Range<Int>, atLeast least: Double
    ) -> Double {
        let longer = max(first.count, second.count)
        guard longer > 0 else { return 1 }
        let most = Int((1 - least) * Double(longer) + 1e-9)
        guard abs(first.count - second.count) <= most else { return 0 }
        guard let distance = distance(one, first, other, second, atMost: most) else { return 0 }
        return 1 - Double(distance) / Double(longer)
    }

    /// The distance, or nil where it is more than `most`.
    mutating func distance(
        _ one: [UInt8], _ first: Range<Int>, _ other: [UInt8], _ second: Range<Int>, atMost most: Int
    ) -> Int? {
        var (a, b) = (first, second)
        while !a.isEmpty, !b.isEmpty, one[a.lowerBound] == other[b.lowerBound] {
            a = (a.lowerBound + 1)..<a.upperBound
            b = (b.lowerBound + 1)..<b.upperBound
        }
        while !a.isEmpty, !b.isEmpty, one[a.upperBound - 1] == other[b.upperBound - 1] {
            a = a.lowerBound..<(a.upperBound - 1)
            b = b.lowerBound..<(b.upperBound - 1)
        }
        budget -= 1
        guard abs(a.count - b.count) <= most else { return nil }
        if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
        guard max(a.count, b.count) <= Self.longest else { return nil }
        return a.count <= 64 ? narrow(one, a, other, b, most) : wide(one, a, other, b, most)
    }

    private mutating func narrow(
        _ one: [UInt8], _ a: Range<Int>, _ other: [UInt8], _ b: Range<Int>, _ most: Int
    ) -> Int? {
        for (bit, index) in a.enumerated() { masks[Int(one[index])] |= 1 << UInt64(bit) }
        defer { for index in a { masks[Int(one[index])] = 0 } }
        var up = UInt64.max
        var down: UInt64 = 0
        var score = a.count
        let last: UInt64 = 1 << UInt64(a.count - 1)
        var left = b.count
        for index in b {
            budget -= 1
            let equal = masks[Int(other[index])]
            let diagonal = (((equal & up) &+ up) ^ up) | equal | down
            var right = down | ~(diagonal | up)
            var back = up & diagonal
            if right & last != 0 { score += 1 }
            if back & last != 0 { score -= 1 }
            right = right << 1 | 1
            back <<= 1
            up = back | ~(diagonal | right)
            down = right & diagonal
            left -= 1
            if score - left > most { return nil }
        }
        return score <= most ? score : nil
    }

    private mutating func wide(
        _ one: [UInt8], _ a: Range<Int>, _ other: [UInt8], _ b: Range<Int>, _ most: Int
    ) -> Int? {
        let blocks = (a.count + 63) / 64
        if table.count < 256 * blocks { table = Array(repeating: 0, count: 256 * blocks) }
        for (bit, index) in a.enumerated() { table[Int(one[index]) * blocks + bit / 64] |= 1 << UInt64(bit % 64) }
        defer { for (bit, index) in a.enumerated() { table[Int(one[index]) * blocks + bit / 64] = 0 } }
        budget -= blocks * 64
        if positive.count < blocks {
            positive = Array(repeating: 0, count: blocks)
            negative = positive
        }
        for block in 0..<blocks { (positive[block], negative[block]) = (.max, 0) }
        var score = a.count
        let last: UInt64 = 1 << UInt64((a.count - 1) % 64)
        var left = b.count
        for index in b {
            budget -= blocks
            guard budget >= 0 else { return nil }
            let row = Int(other[index]) * blocks
            // What the block above hands down: +1, -1 or 0 in its last row. The first one has +1: row 0 counts columns.
            var (plus, minus): (UInt64, UInt64) = (1, 0)
            for block in 0..<blocks {
                let up = positive[block]
                let down = negative[block]
                let equal = table[row + block]
                let vertical = equal | down
                let reached = equal | minus
                let diagonal = (((reached & up) &+ up) ^ up) | reached
                var right = down | ~(diagonal | up)
                var back = up & diagonal
                if block == blocks - 1 {
                    if right & last != 0 { score += 1 }
                    if back & last != 0 { score -= 1 }
                }
                let (nextPlus, nextMinus) = (right >> 63, back >> 63)
                right = right << 1 | plus
                back = back << 1 | minus
                positive[block] = back | ~(vertical | right)
                negative[block] = right & vertical
                (plus, minus) = (nextPlus, nextMinus)
            }
            left -= 1
            if score - left > most { return nil }
        }
        return score <= most ? score : nil
    }
}
