// Globs that people and agents write for paths: `**`, `{a,b}`, classes. Ignore files have none of the braces.
//
// Source: the rules of ripgrep's `--glob`, which are those of gitignore(5) with alternatives in braces.

/// A compiled glob for paths relative to some directory.
public struct Glob: Sendable {
    private let alternatives: [WildPattern]

    /// Braces may stand for so many alternatives.
    public static let mostAlternatives = 1024
    /// A pattern may have so many bytes, and all its alternatives together sixteen times as many.
    public static let longest = 8192

    /// Compiles a pattern. `*` and `?` stop at a slash, `**` between slashes takes any number of names, `[a-z]`,
    /// `[!a-z]` and `[[:digit:]]` take one byte, a backslash takes the next byte literally, and `{a,b*}` takes either,
    /// also nested and with an empty alternative.
    ///
    /// - Throws: `pattern`, with what is wrong in it.
    public init(_ pattern: [UInt8]) throws(TreeError) {
        guard pattern.count <= Self.longest else { throw .pattern(.tooLarge) }
        var compiled: [WildPattern] = []
        for alternative in try Braces.expand(pattern) {
            let one = WildPattern(alternative[...])
            if let problem = one.problem { throw .pattern(problem) }
            compiled.append(one)
        }
        alternatives = compiled
    }

    /// Whether a path matches as a whole.
    public func matches(_ path: some Collection<UInt8>) -> Bool {
        unsafe Array(path).withUnsafeBufferPointer { unsafe matches($0) }
    }

    @unsafe func matches(_ path: UnsafeBufferPointer<UInt8>) -> Bool {
        for alternative in alternatives where unsafe alternative.matches(path) { return true }
        return false
    }
}

/// What braces stand for.
private enum Braces {
    /// Without recursion: the first innermost pair is replaced by each of its alternatives until none is left.
    static func expand(_ pattern: [UInt8]) throws(TreeError) -> [[UInt8]] {
        var done: [[UInt8]] = []
        var open = [pattern]
        var bytes = 0
        while let next = open.popLast() {
            guard let pair = try innermost(next) else {
                bytes += next.count
                done.append(next)
                guard done.count <= Glob.mostAlternatives, bytes <= 16 * Glob.longest else {
                    throw .pattern(.tooLarge)
                }
                continue
            }
            for part in pair.parts.reversed() {
                open.append(Array(next[..<pair.start]) + next[part] + next[pair.end...])
            }
            guard open.count + done.count <= 2 * Glob.mostAlternatives else { throw .pattern(.tooLarge) }
        }
        return done
    }

    private struct Pair {
        var start: Int
        var end: Int
        var parts: [Range<Int>] = []
    }

    /// The first pair that closes, with what stands between its commas.
    private static func innermost(_ pattern: [UInt8]) throws(TreeError) -> Pair? {
        var start = -1
        var commas: [Int] = []
        var index = 0
        while index < pattern.count {
            switch pattern[index] {
            case UInt8(ascii: "\\"): index += 1
            case UInt8(ascii: "["): index = endOfClass(pattern, from: index)
            case UInt8(ascii: "{"):
                start = index
                commas = []
            case UInt8(ascii: ",") where start >= 0: commas.append(index)
            case UInt8(ascii: "}"):
                guard start >= 0 else { throw .pattern(.badBraces) }
                var pair = Pair(start: start, end: index + 1)
                var from = start + 1
                for comma in commas + [index] {
                    pair.parts.append(from..<comma)
                    from = comma + 1
                }
                return pair
            default: break
            }
            index += 1
        }
        if start >= 0 { throw .pattern(.badBraces) }
        return nil
    }

    /// The index of the `]` that closes a class, or of the `[` where nothing does. Braces in a class are bytes.
    private static func endOfClass(_ pattern: [UInt8], from open: Int) -> Int {
        var reader = pattern[(open + 1)...]
        return ClassParser.parse(&reader) == nil ? open : reader.startIndex - 1
    }
}

/// A list of globs that takes paths in or leaves them out, before any ignore rule: ripgrep's `--glob` options.
public struct PathFilter: Sendable {
    private struct Rule {
        var glob: Glob
        var excludes: Bool
        var isDirectoryOnly: Bool
        var isNameOnly: Bool
    }
    private var rules: [Rule] = []
    private var includesAny = false

    /// Compiles the globs. One that starts with `!` leaves out what it matches, the others take in; the last that
    /// matches decides. Where one takes in, files that none matches are left out. Without a slash in it a glob is held
    /// against the last component, and one that ends with a slash matches directories only.
    public init(_ globs: [[UInt8]]) throws(TreeError) {
        for text in globs {
            var text = text[...]
            let excludes = text.first == UInt8(ascii: "!")
            if excludes { text = text.dropFirst() }
            let isDirectoryOnly = text.count > 1 && text.last == slash
            if isDirectoryOnly { text = text.dropLast() }
            let isNameOnly = !text.contains(slash)
            if text.first == slash { text = text.dropFirst() }
            rules.append(
                Rule(
                    glob: try Glob(Array(text)), excludes: excludes, isDirectoryOnly: isDirectoryOnly,
                    isNameOnly: isNameOnly))
            includesAny = includesAny || !excludes
        }
    }

    /// Whether it has no globs.
    public var isEmpty: Bool { rules.isEmpty }

    enum Answer { case takenIn, leftOut, none }

    @unsafe func decide(_ subject: Subject, base: Int) -> Answer {
        for rule in rules.reversed() {
            if rule.isDirectoryOnly, unsafe !subject.isDirectory { continue }
            var text = unsafe subject.name
            if !rule.isNameOnly { unsafe text = UnsafeBufferPointer(rebasing: subject.path[base...]) }
            if unsafe rule.glob.matches(text) { return rule.excludes ? .leftOut : .takenIn }
        }
        if includesAny, unsafe !subject.isDirectory { return .leftOut }
        return .none
    }
}
