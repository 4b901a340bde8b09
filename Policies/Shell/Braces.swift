// Brace expansion (bash(1)): lists in a word, `a{b,c}d`. dash takes it for a word.

/// The unquoted braces, commas and dots of a word.
struct Braces {
    private var opening: [Int] = [], closing: [Int] = [], commas: [Int] = []
    private var hasDots = false, hasTilde = false, lastDot: Int?
    /// Whether a comma or dots came behind a closing brace, which to bash closes nothing where nothing in front of it is a
    /// list and another one follows.
    private var hasLooseComma = false, hasLooseBrace = false
    /// Whether something is between the braces that is expanded in its turn, or taken for a part of a list or not.
    var isUnclear = false

    private static let mostLists = 16

    /// A list of a word: where its braces are, and its commas.
    struct List {
        var braces: Range<Int>
        var commas: [Int]
    }

    /// Whether what follows is between braces.
    var isOpen: Bool { opening.count > closing.count }

    /// Notes an unquoted byte, and where it is in the word's value.
    mutating func note(_ byte: UInt8, at index: Int) {
        switch byte {
        case UInt8(ascii: "{"): opening.append(index)
        case UInt8(ascii: "}") where isOpen: closing.append(index)
        case UInt8(ascii: "}"):
            isUnclear = true
            hasLooseBrace = !opening.isEmpty
        case UInt8(ascii: ",") where isOpen: commas.append(index)
        case UInt8(ascii: ".") where isOpen:
            hasDots = hasDots || lastDot == index - 1
            lastDot = index
        case UInt8(ascii: ","), UInt8(ascii: "."): hasLooseComma = hasLooseComma || !opening.isEmpty
        // It is expanded after the braces, which may move it to the front.
        case UInt8(ascii: "~"): hasTilde = true
        default: break
        }
    }

    /// Whether the word is one that bash may expand.
    var isExpansion: Bool { !commas.isEmpty || hasDots || hasLooseComma && hasLooseBrace }

    /// The lists of the word, one behind the other; nil where they are not that simple.
    var lists: [List]? {
        guard opening.count == closing.count, opening.count <= Self.mostLists, !isUnclear, !hasDots, !hasTilde else {
            return nil
        }
        var lists: [List] = []
        var last = -1
        for (start, end) in zip(opening, closing) {
            let inside = commas.filter { start < $0 && $0 < end }
            // `{a}` is no list, and beside one what it is taken for is another question.
            guard last < start, start < end, !inside.isEmpty else { return nil }
            lists.append(List(braces: start..<end, commas: inside))
            last = end
        }
        return lists
    }
}

extension ShellScanner {
    /// Makes several words of one, where it has lists in braces.
    mutating func expandBraces(_ word: inout PartialWord) throws(OpaqueCommand) {
        guard word.braces.isExpansion else { return }
        let unclear = OpaqueCommand("a brace expansion", at: word.token.range)
        guard let lists = word.braces.lists, !word.token.isComputed, !word.token.isAssignment else { throw unclear }
        var count = 1
        for list in lists {
            count *= list.commas.count + 1
            guard expanded + count * word.value.count <= Self.longest else { throw unclear }
        }
        expanded += count * word.value.count
        // What is in front of each list, then each of its pieces: the last list's vary first.
        var words: [[UInt8]] = [[]]
        var from = 0
        for list in lists {
            let front = word.value[from..<list.braces.lowerBound]
            var pieces: [ArraySlice<UInt8>] = []
            var start = list.braces.lowerBound + 1
            for end in list.commas + [list.braces.upperBound] {
                pieces.append(word.value[start..<end])
                start = end + 1
            }
            words = words.flatMap { head in pieces.map { head + front + $0 } }
            from = list.braces.upperBound + 1
        }
        for bytes in words {
            let whole = bytes + word.value[from...]
            // Of nothing no word is left.
            guard !whole.isEmpty else { throw unclear }
            word.token.expansions.append(String(decoding: whole, as: UTF8.self))
        }
        word.token.needsBash = true
    }
}
