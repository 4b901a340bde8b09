// Brace expansion (bash(1)): one plain list per word, `a{b,c}d`. dash takes it for a word.

/// The unquoted braces, commas and dots of a word.
struct Braces {
    private var opening: [Int] = [], closing: [Int] = [], commas: [Int] = []
    private var hasDots = false, hasTilde = false, lastDot: Int?
    /// Whether something is between the braces that is expanded in its turn, or taken for a part of a list or not.
    var isUnclear = false

    /// Whether what follows is between braces.
    var isOpen: Bool { !opening.isEmpty && closing.isEmpty }

    /// Notes an unquoted byte, and where it is in the word's value.
    mutating func note(_ byte: UInt8, at index: Int) {
        switch byte {
        case UInt8(ascii: "{"): opening.append(index)
        case UInt8(ascii: "}") where !opening.isEmpty: closing.append(index)
        case UInt8(ascii: "}"): isUnclear = true
        case UInt8(ascii: ",") where !opening.isEmpty: commas.append(index)
        case UInt8(ascii: ".") where !opening.isEmpty:
            hasDots = hasDots || lastDot == index - 1
            lastDot = index
        // It is expanded after the braces, which may move it to the front.
        case UInt8(ascii: "~"): hasTilde = true
        default: break
        }
    }

    /// Whether the word is one that bash may expand.
    var isExpansion: Bool { !commas.isEmpty || hasDots }

    /// The one list of the word: where its braces are, and its commas.
    var list: (braces: Range<Int>, commas: [Int])? {
        guard let start = opening.first, let end = closing.first, opening.count == 1, closing.count == 1, start < end,
            !isUnclear, !hasDots, !hasTilde, let last = commas.last, last < end
        else { return nil }
        return (start..<end, commas)
    }
}

extension ShellScanner {
    /// Makes several words of one, where it has a list in braces.
    mutating func expandBraces(_ word: inout PartialWord) throws(OpaqueCommand) {
        guard word.braces.isExpansion else { return }
        let unclear = OpaqueCommand("a brace expansion", at: word.token.range)
        guard let list = word.braces.list, !word.token.isComputed, !word.token.isAssignment else { throw unclear }
        expanded += (list.commas.count + 1) * word.value.count
        guard expanded <= Self.longest else { throw unclear }
        var from = list.braces.lowerBound + 1
        for end in list.commas + [list.braces.upperBound] {
            // An empty piece may leave no word at all.
            guard from < end else { throw unclear }
            let bytes =
                word.value[..<list.braces.lowerBound] + word.value[from..<end]
                + word.value[(list.braces.upperBound + 1)...]
            word.token.expansions.append(String(decoding: bytes, as: UTF8.self))
            from = end + 1
        }
        word.token.needsBash = true
    }
}
