// The strategies that compare line by line: trimmed lines, indentation, and blocks between two anchors.

/// The lines of needle and haystack as numbers, -1 for those of the haystack that the needle does not have.
struct ComparedLines {
    let needle: [Int32]
    let haystack: [Int32]

    init(_ needle: Needle, _ haystack: inout Haystack) {
        var numbers = LineNumbers(expecting: needle.trimmed.count)
        self.needle = needle.trimmed.map { numbers.number(needle.text, $0) }
        let text = haystack.text
        self.haystack = haystack.trimmed.map { numbers.known(text, $0) }
    }
}

enum LineStrategies {
    /// More places than this are not told apart: the edit is ambiguous anyway.
    static let mostPlaces = 1000
    static let similarityThreshold = 0.65
    static let similarityMargin = 0.05
    static let contextThreshold = 0.5
    /// Steps of comparing lines in all, which bounds the time on a text that is made to be slow.
    static let levenshteinBudget = 500_000
    static let comparisonBudget = 4_000_000

    static func lineTrimmed(_ needle: Needle, _ haystack: inout Haystack, _ compared: ComparedLines) -> Finding {
        let found = ByteSearch.places(of: compared.needle, in: compared.haystack, atMost: mostPlaces)
        return finding(found, height: needle.height, &haystack)
    }

    static func indentationFlexible(
        _ needle: Needle, _ haystack: inout Haystack, _ compared: ComparedLines
    ) -> Finding {
        var result: [Int] = []
        let found = ByteSearch.places(of: compared.needle, in: compared.haystack, atMost: mostPlaces)
        let wanted = indentations(needle.text, needle.lines, needle.trimmed, 0..<needle.height)
        for first in found {
            let here = indentations(haystack.text, haystack.lines, haystack.trimmed, first..<(first + needle.height))
            var isSame = true
            for line in 0..<needle.height where !needle.trimmed[line].isEmpty {
                // What stands behind the common indentation and in front of the text must be the same bytes.
                let inner = (needle.lines.starts[line] + wanted)..<needle.trimmed[line].lowerBound
                let other =
                    (haystack.lines.starts[first + line] + here)..<haystack.trimmed[first + line].lowerBound
                let tail = needle.trimmed[line].upperBound..<needle.lines.content(line).upperBound
                let otherTail =
                    haystack.trimmed[first + line].upperBound..<haystack.lines.content(first + line).upperBound
                isSame =
                    ByteSearch.equal(needle.text, inner, haystack.text, other)
                    && ByteSearch.equal(needle.text, tail, haystack.text, otherTail)
                if !isSame { break }
            }
            if isSame { result.append(first) }
        }
        return finding(result, height: needle.height, &haystack)
    }

    /// The least indentation of the lines that are not blank.
    private static func indentations(
        _ text: [UInt8], _ lines: LineTable, _ trimmed: [Range<Int>], _ part: Range<Int>
    ) -> Int {
        part.lazy.filter { !trimmed[$0].isEmpty }.map { trimmed[$0].lowerBound - lines.starts[$0] }.min() ?? 0
    }

    static func blockAnchor(_ needle: Needle, _ haystack: inout Haystack, _ compared: ComparedLines) -> Finding {
        let height = needle.height
        guard height >= 3, let first = needle.trimmed.first, let last = needle.trimmed.last, !first.isEmpty,
            !last.isEmpty
        else { return Finding() }
        let slack = max(1, height / 4)
        let (top, bottom) = (compared.needle[0], compared.needle[height - 1])
        let bottoms = compared.haystack.indices.filter { compared.haystack[$0] == bottom }
        var measure = Levenshtein(budget: levenshteinBudget)
        var blocks: [(place: Place, score: Double)] = []
        var best = 0.0
        var cursor = 0
        for start in compared.haystack.indices where compared.haystack[start] == top {
            let ideal = start + height - 1
            // Of the last lines within reach the one that keeps the height best: one block for each first line.
            while cursor < bottoms.count, bottoms[cursor] < start + 2 { cursor += 1 }
            guard cursor < bottoms.count else { break }
            var index = bottoms.partitioningIndex { $0 >= ideal }
            if index == bottoms.count || (index > cursor && ideal - bottoms[index - 1] < bottoms[index] - ideal) {
                index -= 1
            }
            let end = bottoms[max(index, cursor)]
            guard abs(end - ideal) <= slack else { continue }
            guard blocks.count < mostPlaces else { return Finding(places: blocks.map(\.place), isCut: true) }
            let floor = max(similarityThreshold, best - similarityMargin)
            let score = similarity(needle, &haystack, compared, start..<(end + 1), floor, &measure)
            guard !measure.isExhausted else { return Finding(places: blocks.map(\.place), isCut: true) }
            guard score >= floor else { continue }
            best = max(best, score)
            blocks.append((place(start..<(end + 1), &haystack, score), score))
        }
        return Finding(places: blocks.filter { $0.score > best - similarityMargin }.map(\.place))
    }

    /// The mean similarity of the lines between the anchors. Where the heights differ, the lines are laid against each
    /// other from the front and from the back, and the better one counts.
    private static func similarity(
        _ needle: Needle, _ haystack: inout Haystack, _ compared: ComparedLines, _ block: Range<Int>, _ floor: Double,
        _ measure: inout Levenshtein
    ) -> Double {
        let count = max(needle.height, block.count) - 2
        let both = min(needle.height, block.count) - 2
        guard count > 0 else { return 1 }
        var best = 0.0
        for fromBack in needle.height == block.count ? [false] : [false, true] {
            var sum = 0.0
            for index in 0..<both {
                let wanted = fromBack ? needle.height - 2 - index : 1 + index
                let line = fromBack ? block.upperBound - 2 - index : block.lowerBound + 1 + index
                if compared.needle[wanted] == compared.haystack[line] {
                    sum += 1
                } else {
                    // What this line must have at least, if all that follow are equal.
                    let least = floor * Double(count) - sum - Double(both - index - 1)
                    guard least <= 1 else { break }
                    sum += measure.similarity(
                        needle.text, needle.trimmed[wanted], haystack.text, haystack.trimmed[line],
                        atLeast: max(0, least))
                }
            }
            best = max(best, sum / Double(count))
        }
        return best
    }

    static func contextAware(_ needle: Needle, _ haystack: inout Haystack, _ compared: ComparedLines) -> Finding {
        let height = needle.height
        guard height >= 3, compared.haystack.count >= height, let first = needle.trimmed.first,
            let last = needle.trimmed.last, !first.isEmpty, !last.isEmpty
        else { return Finding() }
        var places: [Place] = []
        var work = 0
        for start in 0...(compared.haystack.count - height)
        where compared.haystack[start] == compared.needle[0]
            && compared.haystack[start + height - 1] == compared.needle[height - 1]
        {
            work += height
            guard work <= comparisonBudget, places.count < mostPlaces else {
                return Finding(places: places, isCut: true)
            }
            var equal = 0
            var all = 0
            for line in 1..<(height - 1) {
                let isEqual = compared.needle[line] == compared.haystack[start + line]
                if isEqual && needle.trimmed[line].isEmpty { continue }
                all += 1
                if isEqual { equal += 1 }
            }
            let score = all == 0 ? 1 : Double(equal) / Double(all)
            if score >= contextThreshold { places.append(place(start..<(start + height), &haystack, score)) }
        }
        let best = places.lazy.map(\.score).max() ?? 0
        return Finding(places: places.filter { $0.score == best })
    }

    private static func finding(_ starts: [Int], height: Int, _ haystack: inout Haystack) -> Finding {
        var places: [Place] = []
        for start in starts { places.append(place(start..<(start + height), &haystack, 1)) }
        return Finding(places: places, isCut: starts.count >= mostPlaces)
    }

    private static func place(_ lines: Range<Int>, _ haystack: inout Haystack, _ score: Double) -> Place {
        let end = haystack.lines.content(lines.upperBound - 1).upperBound
        return Place(range: haystack.lines.starts[lines.lowerBound]..<end, isLines: true, score: score)
    }
}

extension Array {
    /// The first index whose element answers yes, in an array of no and then yes.
    func partitioningIndex(_ isBehind: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
