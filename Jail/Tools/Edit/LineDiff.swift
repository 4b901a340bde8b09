// Which lines differ between two texts: Myers' algorithm in linear space, with a bound on its work.

/// Lines of the old text that lines of the new one replace; one of the two is empty for a pure insertion or removal.
struct LineChange: Equatable {
    /// Lines of the old text, from 0.
    var old: Range<Int>
    /// Lines of the new text, from 0.
    var new: Range<Int>
}

/// The divide and conquer of Myers (1986), without recursion.
///
/// Lines that only one side has are set aside first. A search that costs more than a square root of the input, or 256
/// steps, is cut at the furthest point reached, as GNU diff does it; and when the work in all exceeds its budget, what
/// is left is told as replaced in whole. So hostile texts get a longer diff, never a long wait; it is right always.
struct LineDiff {
    private let a: [Int32]
    private let b: [Int32]
    private var removed: [Bool]
    private var added: [Bool]
    private var forward: [Int]
    private var backward: [Int]
    private let origin: Int
    private var budget: Int
    private let costLimit: Int

    /// The changes from lines `a` to lines `b`, given as numbers.
    ///
    /// Lines in common at the front and at the back are in no change: so there is context behind a last change wherever
    /// the texts go on, as git demands it.
    static func changes(_ a: [Int32], _ b: [Int32], budget: Int = 60_000_000) -> [LineChange] {
        let most = min(a.count, b.count)
        var front = 0
        while front < most, a[front] == b[front] { front += 1 }
        var back = 0
        while back < most - front, a[a.count - 1 - back] == b[b.count - 1 - back] { back += 1 }
        let (a, b) = (a[front..<(a.count - back)], b[front..<(b.count - back)])
        // Lines that the other side does not have are no part of any common sequence.
        var sides = [UInt8](repeating: 0, count: Int(max(a.max() ?? 0, b.max() ?? 0)) + 1)
        for line in a { sides[Int(line)] |= 1 }
        for line in b { sides[Int(line)] |= 2 }
        let keptA = a.indices.filter { sides[Int(a[$0])] == 3 }
        let keptB = b.indices.filter { sides[Int(b[$0])] == 3 }
        var diff = LineDiff(keptA.map { a[$0] }, keptB.map { b[$0] }, budget)
        diff.run()
        var removed = [Bool](repeating: true, count: a.count)
        var added = [Bool](repeating: true, count: b.count)
        for (index, line) in keptA.enumerated() { removed[line - front] = diff.removed[index] }
        for (index, line) in keptB.enumerated() { added[line - front] = diff.added[index] }
        return script(removed, added, front)
    }

    private static func script(_ removed: [Bool], _ added: [Bool], _ front: Int) -> [LineChange] {
        var changes: [LineChange] = []
        var (i, j) = (0, 0)
        while i < removed.count || j < added.count {
            let start = (i, j)
            while i < removed.count, removed[i] { i += 1 }
            while j < added.count, added[j] { j += 1 }
            if start != (i, j) {
                changes.append(
                    LineChange(
                        old: (front + start.0)..<(front + i), new: (front + start.1)..<(front + j)))
            } else {
                i += 1
                j += 1
            }
        }
        return changes
    }

    private init(_ a: [Int32], _ b: [Int32], _ budget: Int) {
        (self.a, self.b, self.budget) = (a, b, budget)
        removed = Array(repeating: false, count: a.count)
        added = Array(repeating: false, count: b.count)
        forward = Array(repeating: 0, count: a.count + b.count + 3)
        backward = forward
        origin = b.count + 1
        var root = 1
        while root * root < a.count + b.count { root *= 2 }
        costLimit = max(256, root)
    }

    private struct Box {
        var a: Range<Int>
        var b: Range<Int>
    }

    private mutating func run() {
        var boxes = [Box(a: a.indices, b: b.indices)]
        while var box = boxes.popLast() {
            var (low, high) = (0, min(box.a.count, box.b.count))
            while low < high, a[box.a.lowerBound + low] == b[box.b.lowerBound + low] { low += 1 }
            box = Box(a: (box.a.lowerBound + low)..<box.a.upperBound, b: (box.b.lowerBound + low)..<box.b.upperBound)
            (low, high) = (0, min(box.a.count, box.b.count))
            while low < high, a[box.a.upperBound - 1 - low] == b[box.b.upperBound - 1 - low] { low += 1 }
            box = Box(a: box.a.lowerBound..<(box.a.upperBound - low), b: box.b.lowerBound..<(box.b.upperBound - low))
            guard !box.a.isEmpty, !box.b.isEmpty, let (x, y) = split(box) else {
                for line in box.a { removed[line] = true }
                for line in box.b { added[line] = true }
                continue
            }
            boxes.append(Box(a: x..<box.a.upperBound, b: y..<box.b.upperBound))
            boxes.append(Box(a: box.a.lowerBound..<x, b: box.b.lowerBound..<y))
        }
    }

    /// A point on a shortest path through a box, or on a good one; nil when the budget is used up.
    private mutating func split(_ box: Box) -> (Int, Int)? {
        let (left, right) = (box.a.lowerBound, box.a.upperBound)
        let (top, bottom) = (box.b.lowerBound, box.b.upperBound)
        let (least, most) = (left - bottom, right - top)
        let (start, end) = (left - top, right - bottom)
        let isOdd = (start - end) & 1 != 0
        var (fLow, fHigh, bLow, bHigh) = (start, start, end, end)
        forward[origin + start] = left
        backward[origin + end] = right
        var cost = 1
        while true {
            if fLow > least { fLow -= 1; forward[origin + fLow - 1] = -1 } else { fLow += 1 }
            if fHigh < most { fHigh += 1; forward[origin + fHigh + 1] = -1 } else { fHigh -= 1 }
            for diagonal in stride(from: fHigh, through: fLow, by: -2) {
                let (below, above) = (forward[origin + diagonal - 1], forward[origin + diagonal + 1])
                var x = below < above ? above : below + 1
                let first = x
                while x < right, x - diagonal < bottom, a[x] == b[x - diagonal] { x += 1 }
                budget -= x - first + 1
                forward[origin + diagonal] = x
                if isOdd, bLow <= diagonal, diagonal <= bHigh, backward[origin + diagonal] <= x {
                    return (x, x - diagonal)
                }
            }
            if bLow > least { bLow -= 1; backward[origin + bLow - 1] = .max } else { bLow += 1 }
            if bHigh < most { bHigh += 1; backward[origin + bHigh + 1] = .max } else { bHigh -= 1 }
            for diagonal in stride(from: bHigh, through: bLow, by: -2) {
                let (below, above) = (backward[origin + diagonal - 1], backward[origin + diagonal + 1])
                var x = below < above ? below : above - 1
                let first = x
                while x > left, x - diagonal > top, a[x - 1] == b[x - 1 - diagonal] { x -= 1 }
                budget -= first - x + 1
                backward[origin + diagonal] = x
                if !isOdd, fLow <= diagonal, diagonal <= fHigh, x <= forward[origin + diagonal] {
                    return (x, x - diagonal)
                }
            }
            guard budget > 0 else { return nil }
            if cost >= costLimit {
                return furthest(box, (fLow, fHigh), (bLow, bHigh))
            }
            cost += 1
        }
    }

    /// The point that is furthest from its corner, of both searches.
    private func furthest(_ box: Box, _ ahead: (Int, Int), _ back: (Int, Int)) -> (Int, Int) {
        var (bestX, bestY, bestGain) = (box.a.lowerBound, box.b.lowerBound, -1)
        for diagonal in stride(from: ahead.1, through: ahead.0, by: -2) {
            var x = min(forward[origin + diagonal], box.a.upperBound)
            var y = x - diagonal
            if y > box.b.upperBound { (x, y) = (box.b.upperBound + diagonal, box.b.upperBound) }
            let gain = x + y - box.a.lowerBound - box.b.lowerBound
            if x >= box.a.lowerBound, y >= box.b.lowerBound, gain > bestGain { (bestX, bestY, bestGain) = (x, y, gain) }
        }
        for diagonal in stride(from: back.1, through: back.0, by: -2) {
            var x = max(backward[origin + diagonal], box.a.lowerBound)
            var y = x - diagonal
            if y < box.b.lowerBound { (x, y) = (box.b.lowerBound + diagonal, box.b.lowerBound) }
            let gain = box.a.upperBound + box.b.upperBound - x - y
            if x <= box.a.upperBound, y <= box.b.upperBound, gain > bestGain { (bestX, bestY, bestGain) = (x, y, gain) }
        }
        return (bestX, bestY)
    }
}
