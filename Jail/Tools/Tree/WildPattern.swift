// One shell pattern, compiled, and matched in time that no pattern can blow up. It knows nothing of ignore files.
//
// The rules are those of gitignore(5), in its finer points those of git's own matcher: `*` and `?` stop at a slash, `**`
// between slashes (or at either end) does not, and what is malformed matches nothing.

/// A set of byte values.
struct ByteSet: Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    func contains(_ byte: UInt8) -> Bool {
        let bit: UInt64 = 1 << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: return words.0 & bit != 0
        case 1: return words.1 & bit != 0
        case 2: return words.2 & bit != 0
        default: return words.3 & bit != 0
        }
    }

    mutating func insert(_ byte: UInt8) {
        let bit: UInt64 = 1 << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
    }

    mutating func remove(_ byte: UInt8) {
        if contains(byte) {
            var only = ByteSet()
            only.insert(byte)
            words = (
                words.0 & ~only.words.0, words.1 & ~only.words.1, words.2 & ~only.words.2, words.3 & ~only.words.3
            )
        }
    }

    mutating func invert() { words = (~words.0, ~words.1, ~words.2, ~words.3) }
}

/// A compiled pattern.
struct WildPattern: Sendable {
    // A step is a byte that must be there (0...255), one of these, or `firstSet` and the number of a set.
    private static let anyByte: UInt16 = 256
    private static let star: UInt16 = 257
    /// `**` at the end, or before an escaped slash.
    private static let anyDepth: UInt16 = 258
    /// `**` and the slash behind it: nothing, or whole names.
    private static let anyNames: UInt16 = 259
    private static let never: UInt16 = 260
    private static let firstSet: UInt16 = 512

    private var steps: [UInt16] = []
    private var sets: [ByteSet] = []
    /// The byte that every match ends with, or -1.
    private var last: Int16 = -1
    /// What is malformed in it, if anything is; then it matches nothing.
    private(set) var problem: PatternProblem?

    init(_ pattern: ArraySlice<UInt8>) {
        var reader = pattern
        steps.reserveCapacity(pattern.count)
        while let byte = reader.popFirst() {
            switch byte {
            case UInt8(ascii: "\\"):
                guard let escaped = reader.popFirst() else {
                    fail(.danglingEscape)
                    return
                }
                steps.append(UInt16(escaped))
            case UInt8(ascii: "?"): steps.append(Self.anyByte)
            case UInt8(ascii: "*"): appendStars(&reader, of: pattern)
            case UInt8(ascii: "["):
                guard let set = ClassParser.parse(&reader), sets.count < 32_000 else {
                    fail(.badClass)
                    return
                }
                steps.append(Self.firstSet + UInt16(sets.count))
                sets.append(set)
            default: steps.append(UInt16(byte))
            }
        }
        if let step = steps.last, step < 256 { last = Int16(step) }
    }

    private mutating func fail(_ problem: PatternProblem) {
        self.problem = problem
        // It can be passed by no text, so what follows it does not matter.
        steps.append(Self.never)
    }

    private mutating func appendStars(_ reader: inout ArraySlice<UInt8>, of pattern: ArraySlice<UInt8>) {
        let first = reader.startIndex - 1
        let stars = reader.prefix { $0 == UInt8(ascii: "*") }
        reader = reader.dropFirst(stars.count)
        let startsName = first == pattern.startIndex || pattern[first - 1] == slash
        let escapedSlash = reader.starts(with: [UInt8(ascii: "\\"), slash])
        if stars.isEmpty || !startsName || !(reader.isEmpty || reader.first == slash || escapedSlash) {
            steps.append(Self.star)
        } else if reader.first == slash {
            reader = reader.dropFirst()
            steps.append(Self.anyNames)
        } else {
            steps.append(Self.anyDepth)
        }
    }

    /// Whether the whole text matches.
    ///
    /// A star that fails is given one byte more; where it may not have it, the last `**` is given more instead. No star
    /// before those two ever has to be tried again: the later one could take whatever it would give up, and a name
    /// either matches on its own or does not. So it takes at most (text × names × steps) steps, and no memory.
    @unsafe func matches(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        if last >= 0 {
            guard text.count > 0, unsafe Int16(text[text.count - 1]) == last else { return false }
        }
        return unsafe steps.withUnsafeBufferPointer { steps in
            unsafe run(steps, text)
        }
    }

    private func run(_ steps: UnsafeBufferPointer<UInt16>, _ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var step = 0, at = 0
        var starStep = -1, starAt = 0
        var deepStep = -1, deepAt = 0, deepTakesNames = false
        while true {
            if step == steps.count {
                if at == text.count { return true }
            } else {
                let kind = unsafe steps[step]
                switch kind {
                case Self.star:
                    step += 1
                    (starStep, starAt) = (step, at)
                    continue
                case Self.anyDepth, Self.anyNames:
                    step += 1
                    (deepStep, deepAt, deepTakesNames) = (step, at, kind == Self.anyNames)
                    starStep = -1
                    continue
                case Self.never: return false
                default:
                    if at < text.count, unsafe accepts(kind, text[at]) {
                        step += 1
                        at += 1
                        continue
                    }
                }
            }
            if starStep >= 0, starAt < text.count, unsafe text[starAt] != slash {
                starAt += 1
                (step, at) = (starStep, starAt)
            } else if deepStep >= 0 {
                if deepTakesNames {
                    while deepAt < text.count, unsafe text[deepAt] != slash { deepAt += 1 }
                }
                guard deepAt < text.count else { return false }
                deepAt += 1
                (step, at) = (deepStep, deepAt)
                starStep = -1
            } else {
                return false
            }
        }
    }

    private func accepts(_ kind: UInt16, _ byte: UInt8) -> Bool {
        if kind < 256 { return kind == UInt16(byte) }
        if kind == Self.anyByte { return byte != slash }
        return sets[Int(kind - Self.firstSet)].contains(byte)
    }
}

/// A bracket expression, as git reads it.
enum ClassParser {
    /// Reads what follows `[`, through `]`. Nil where it is malformed.
    static func parse(_ reader: inout ArraySlice<UInt8>) -> ByteSet? {
        var set = ByteSet()
        var negated = false
        if let first = reader.first, first == UInt8(ascii: "!") || first == UInt8(ascii: "^") {
            negated = true
            reader = reader.dropFirst()
        }
        // Only what stood alone before can begin a range.
        var previous: UInt8 = 0
        var isFirst = true
        while true {
            guard let byte = reader.popFirst() else { return nil }
            // `]` at the front is one of the set.
            if byte == UInt8(ascii: "]") && !isFirst { break }
            isFirst = false
            if byte == UInt8(ascii: "\\") {
                guard let escaped = reader.popFirst() else { return nil }
                set.insert(escaped)
                previous = escaped
            } else if byte == UInt8(ascii: "-"), previous != 0, let next = reader.first, next != UInt8(ascii: "]") {
                reader = reader.dropFirst()
                var end = next
                if end == UInt8(ascii: "\\") {
                    guard let escaped = reader.popFirst() else { return nil }
                    end = escaped
                }
                if previous <= end { for value in previous...end { set.insert(value) } }
                previous = 0
            } else if byte == UInt8(ascii: "["), reader.first == UInt8(ascii: ":") {
                let body = reader.dropFirst()
                guard let close = body.firstIndex(of: UInt8(ascii: "]")) else { return nil }
                if close > body.startIndex, body[close - 1] == UInt8(ascii: ":") {
                    guard let named = Self.named(body[..<(close - 1)]) else { return nil }
                    for value in UInt8.min...UInt8.max where named(value) { set.insert(value) }
                    reader = body[(close + 1)...]
                    previous = 0
                } else {
                    set.insert(byte)
                    previous = byte
                }
            } else {
                set.insert(byte)
                previous = byte
            }
        }
        if negated { set.invert() }
        set.remove(slash)
        return set
    }

    /// The classes of POSIX in ASCII; white space is what git takes for it, without vertical tab and form feed.
    private static func named(_ name: ArraySlice<UInt8>) -> ((UInt8) -> Bool)? {
        let isDigit: (UInt8) -> Bool = { (0x30...0x39).contains($0) }
        let isUpper: (UInt8) -> Bool = { (0x41...0x5a).contains($0) }
        let isLower: (UInt8) -> Bool = { (0x61...0x7a).contains($0) }
        let isAlpha: (UInt8) -> Bool = { isUpper($0) || isLower($0) }
        let isGraph: (UInt8) -> Bool = { (0x21...0x7e).contains($0) }
        let classes: [(String, (UInt8) -> Bool)] = [
            ("alnum", { isAlpha($0) || isDigit($0) }), ("alpha", isAlpha), ("blank", { $0 == 0x20 || $0 == 0x09 }),
            ("cntrl", { $0 < 0x20 || $0 == 0x7f }), ("digit", isDigit), ("graph", isGraph), ("lower", isLower),
            ("print", { (0x20...0x7e).contains($0) }), ("punct", { isGraph($0) && !isAlpha($0) && !isDigit($0) }),
            ("space", { $0 == 0x20 || $0 == 0x09 || $0 == 0x0a || $0 == 0x0d }), ("upper", isUpper),
            ("xdigit", { isDigit($0) || (0x41...0x46).contains($0) || (0x61...0x66).contains($0) }),
        ]
        return classes.first { name.elementsEqual($0.0.utf8) }?.1
    }
}
