// The lines of a text that are most like what was looked for in vain, so that a caller need not read the whole file
// again.

enum Nearest {
    /// How many are told.
    static let count = 3
    /// Less alike than this is no help.
    static let least = 0.5
    static let budget = 250_000

    /// The places where the needle's most telling line fits best, by similarity of trimmed lines.
    static func candidates(_ needle: Needle, _ haystack: inout Haystack) -> [EditCandidate] {
        guard
            let telling = needle.trimmed.indices.max(by: {
                needle.trimmed[$0].count < needle.trimmed[$1].count
            }), !needle.trimmed[telling].isEmpty
        else { return [] }
        let wanted = needle.trimmed[telling]
        let signature = self.signature(needle.text, wanted)
        var measure = Levenshtein(budget: budget)
        var best: [(line: Int, score: Double)] = []
        for line in haystack.trimmed.indices {
            let range = haystack.trimmed[line]
            let floor = best.count < count ? least : max(least, best[count - 1].score + 1e-9)
            guard 2 * range.count >= wanted.count, range.count <= 2 * wanted.count,
                isWorthwhile(signature, self.signature(haystack.text, range), max(range.count, wanted.count), floor)
            else { continue }
            let score = measure.similarity(needle.text, wanted, haystack.text, range, atLeast: floor)
            guard !measure.isExhausted else { break }
            guard score >= floor else { continue }
            best.append((line, score))
            best.sort { $0.score > $1.score }
            if best.count > count { best.removeLast() }
        }
        return best.map { line, score in
            let first = max(0, line - telling)
            let last = min(haystack.lines.count - 1, first + needle.height - 1)
            return EditCandidate(
                line: first + 1, endLine: last + 1, excerpt: excerpt(haystack.text, haystack.lines.starts[line]),
                similarity: score)
        }
    }

    /// Which bytes a line has, one bit for each class.
    private static func signature(_ text: [UInt8], _ range: Range<Int>) -> UInt64 {
        unsafe text.withUnsafeBufferPointer { bytes in
            var bits: UInt64 = 0
            for index in range { bits |= 1 << UInt64(unsafe bytes[index] & 63) }
            return bits
        }
    }

    /// A byte of one line that the other has not costs at least one step: so the bits that differ bound the distance.
    private static func isWorthwhile(_ one: UInt64, _ other: UInt64, _ length: Int, _ floor: Double) -> Bool {
        let missing = max((one & ~other).nonzeroBitCount, (other & ~one).nonzeroBitCount)
        return Double(missing) <= (1 - floor) * Double(length)
    }
}
