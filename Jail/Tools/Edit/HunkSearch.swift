// Where the hunks of a unified diff lie in a file, by the rules of GNU patch: header line, offset, then fuzz.

/// Finds hunks one after the other. Lines are numbers, equal where the lines are.
struct HunkSearch {
    let file: [Int32]
    private let options: PatchOptions
    /// Lines that an earlier hunk changed, and all in front of them: a later one begins behind.
    private(set) var frozen = 0
    /// How much lower than their headers say the hunks lie so far.
    private(set) var offset = 0
    /// Comparisons that may still be made: a file of equal lines and a long hunk would take their product.
    private(set) var budget = 200_000_000

    init(_ file: [Int32], _ options: PatchOptions) { (self.file, self.options) = (file, options) }

    struct Hit {
        /// The file's line, from 0, against which the hunk's first line lies.
        var line: Int
        var fuzz: Int
    }

    /// What of a hunk has to be in the file.
    struct Pattern {
        var lines: [Int32]
        /// Lines of context in front of the first change, and behind the last.
        var prefix: Int
        var suffix: Int
    }

    /// Looks for a hunk whose header says line `start`, from 1. With an empty pattern `start` is the line in front.
    mutating func find(_ pattern: Pattern, start: Int) -> Hit? {
        let guess = start + offset - (pattern.lines.isEmpty ? 0 : 1)
        if pattern.lines.isEmpty {
            // Nothing tells where it belongs but the number: a wrong one would go unseen.
            guard guess >= frozen, guess <= file.count else { return nil }
            return Hit(line: guess, fuzz: 0)
        }
        let context = max(pattern.prefix, pattern.suffix)
        for fuzz in 0...min(max(0, options.fuzz), context) {
            guard let line = find(pattern, start, guess, fuzz, context) else { continue }
            offset += line - guess
            return Hit(line: line, fuzz: fuzz)
        }
        // git's rule: a hunk with context at both ends may lie anywhere, if all of its lines are there. GNU patch takes
        // less context at the back for the end of the file, even where the file has grown since.
        if pattern.suffix > 0, start > 1, let line = nearest(pattern, guess, file.count - pattern.lines.count, 0, 0) {
            offset += line - guess
            return Hit(line: line, fuzz: 0)
        }
        return nil
    }

    /// The places where a pattern without line numbers lies, at most two.
    func places(_ pattern: Pattern) -> [Int] { ByteSearch.places(of: pattern.lines, in: file, from: frozen, atMost: 2) }

    mutating func freeze(_ line: Int) { frozen = line }

    private mutating func find(_ pattern: Pattern, _ start: Int, _ guess: Int, _ fuzz: Int, _ context: Int) -> Int? {
        // Less context at one end than at the other means that the file began or ended there, and fuzz takes the longer
        // end's lines first.
        var front = fuzz + pattern.prefix - context
        let back = fuzz + pattern.suffix - context
        let last = file.count - (pattern.lines.count - max(back, 0))
        if front < 0 && start <= 1 {
            if back < 0 && pattern.lines.count != file.count { return nil }
            return frozen == 0 && within(0, guess) && last >= 0 && fits(pattern, 0, 0, max(back, 0)) ? 0 : nil
        }
        front = max(front, 0)
        if back < 0 {
            let line = file.count - pattern.lines.count
            return line >= frozen && within(line, guess) && fits(pattern, line, front, 0) ? line : nil
        }
        return nearest(pattern, guess, last, front, back)
    }

    /// The first place that fits, by distance from the guess, behind it before in front of it.
    private mutating func nearest(_ pattern: Pattern, _ guess: Int, _ last: Int, _ front: Int, _ back: Int) -> Int? {
        let farthest = max(last - guess, guess - frozen)
        guard farthest >= 0 else { return nil }
        for distance in 0...min(farthest, options.offset ?? .max) {
            if guess + distance >= frozen, guess + distance <= last, fits(pattern, guess + distance, front, back) {
                return guess + distance
            }
            if distance > 0, guess - distance >= frozen, guess - distance <= last,
                fits(pattern, guess - distance, front, back)
            {
                return guess - distance
            }
            if budget <= 0 { return nil }
        }
        return nil
    }

    private func within(_ line: Int, _ guess: Int) -> Bool { abs(line - guess) <= options.offset ?? .max }

    private mutating func fits(_ pattern: Pattern, _ line: Int, _ front: Int, _ back: Int) -> Bool {
        guard line >= 0, line + pattern.lines.count - back <= file.count else { return false }
        var index = front
        let end = pattern.lines.count - back
        while index < end, pattern.lines[index] == file[line + index] { index += 1 }
        budget -= index - front + 1
        return index >= end
    }

    /// The places where most of a pattern's lines lie, with the first line that differs, the best first.
    func nearest(_ pattern: [Int32], around guess: Int) -> [(line: Int, equal: Int)] {
        guard !pattern.isEmpty, !file.isEmpty else { return [] }
        let reach = max(50, 4_000_000 / pattern.count)
        let from = max(0, guess - reach)
        let to = min(file.count - 1, guess + reach)
        guard from <= to else { return [] }
        var best: [(line: Int, equal: Int)] = []
        for line in from...to {
            var equal = 0
            for index in 0..<min(pattern.count, file.count - line) where pattern[index] == file[line + index] {
                equal += 1
            }
            guard equal > 0, best.count < 3 || equal > best[2].equal else { continue }
            best.append((line, equal))
            best.sort { ($0.equal, -abs($0.line - guess)) > ($1.equal, -abs($1.line - guess)) }
            if best.count > 3 { best.removeLast() }
        }
        return best
    }
}
