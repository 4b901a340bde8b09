// Words of a policy in messages: quoted so that hostile text cannot drive a terminal, with the nearest known word.

/// Control and format characters (escape sequences, bidirectional overrides) replaced by `\u{…}`.
package func printable(_ text: String) -> String {
    // Nearly all texts are plain; asking Unicode about each of their characters costs more than a verdict.
    if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return text }
    var result = ""
    for scalar in text.unicodeScalars {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned:
            result += "\\u{" + String(scalar.value, radix: 16) + "}"
        default:
            result.unicodeScalars.append(scalar)
        }
    }
    return result
}

/// A word for a message: in backquotes, printable, at most 60 code points of it.
package func quoted(_ word: String) -> String {
    // Scalars, since one character of Swift's can have any number of combining marks.
    let head = String(String.UnicodeScalarView(word.unicodeScalars.prefix(60)))
    return "`" + printable(head) + (head.utf8.count < word.utf8.count ? "…" : "") + "`"
}

/// The candidate that a misspelt word most likely means, or nil when none is near.
public func nearest(to word: String, in candidates: [String]) -> String? {
    guard word.utf8.count <= 64 else { return nil }
    let allowed = max(1, word.unicodeScalars.count / 2)
    var best: (candidate: String, distance: Int)?
    for candidate in candidates {
        let distance = editDistance(word, candidate)
        if distance <= allowed, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.candidate
}

/// "did you mean …? valid are …"
package func suggestion(for word: String, in candidates: [String]) -> String {
    let guess = nearest(to: word, in: candidates).map { "did you mean `\($0)`? " } ?? ""
    return guess + "valid: " + candidates.joined(separator: ", ")
}

/// Insertions, deletions, substitutions and swaps of neighbours between two words: the Damerau-Levenshtein
/// distance in its restricted form (optimal string alignment), letter case ignored.
func editDistance(_ first: String, _ second: String) -> Int {
    let a = Array(first.lowercased().unicodeScalars)
    let b = Array(second.lowercased().unicodeScalars)
    var beforePrevious: [Int] = []
    var previous = Array(0...b.count)
    for i in a.indices {
        var row = [i + 1]
        for j in b.indices {
            var cost = min(previous[j + 1] + 1, row[j] + 1, previous[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforePrevious[j - 1] + 1) }
            row.append(cost)
        }
        beforePrevious = previous
        previous = row
    }
    return previous[b.count]
}

/// Whether two texts are the same bytes. Swift's `==` also takes canonically equivalent texts for equal, but
/// to the kernel those are two names.
package func sameBytes(_ first: String, _ second: String) -> Bool {
    first.utf8.count == second.utf8.count && first.utf8.elementsEqual(second.utf8)
}
