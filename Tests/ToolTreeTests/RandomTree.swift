// Random trees with random ignore files, in git's whole language or in the part that ripgrep reads in the same way.
import TestSupport

struct RandomTree {
    /// Whether patterns may be what only git understands as git does.
    let isGitOnly: Bool
    var generator: SeededGenerator

    private static let names: [[UInt8]] =
        [
            "a", "b", "c", "ab", "foo", "bar", "foobar", "foo.c", "bar.o", "a.log", ".hid", ".foo.c", "A", "build", "é",
            "b.tar.gz", "-", "a-b", "0", "-x",
        ].map { Array($0.utf8) }
    /// Names whose bytes mean something in patterns, and one that is not UTF-8.
    private static let oddNames: [[UInt8]] =
        ["x y", "x ", "#a", "!b", "a*b", "[a]", "a?b", "{a,b}", "tr\\", "\t", "a\\b"].map { Array($0.utf8) } + [
            [0xff, 0x61]
        ]
    private static let plainPieces = [
        "*", "*.c", "*.o", "f*", "?", "a?", "[ab]", "[!a]*", "*a*", "foo*", "[a-c]?", "*.tar.*", "b*r",
    ]
    private static let pieces = [
        "a", "b", "c", "o", "f", ".", "*", "?", "**", "[ab]", "[!a]", "[^b]", "[a-c]", "[[:alpha:]]", "[[:punct:]]",
        "[]a]", "[a", "\\", "\\a", "\\*", "\\ ", " ", "[a-", "[[:bad:]]", "[\\]]", "[!]]", "{a,b}", "-", "[--0]",
        "[a-]",
        "\\[", "[[a]", "x", "foo", "bar", "[[:space:]]", "#", "!", "[*]", "é", "[z-a]", "[[:x]",
    ]
    private static let endings = ["\\", "//", "\t", "\r", "  ", "\\  ", "\\ ", "/ ", "\0x"]

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &generator) < percent }
    mutating func one<Element>(of list: [Element]) -> Element {
        list[Int.random(in: 0..<list.count, using: &generator)]
    }

    mutating func name() -> [UInt8] {
        one(of: isGitOnly ? Self.names + Self.oddNames : Self.names)
    }

    private mutating func segment() -> [UInt8] {
        if chance(45) { return name() }
        if !isGitOnly { return Array(one(of: Self.plainPieces).utf8) }
        var result: [UInt8] = []
        for _ in 0..<Int.random(in: 1...4, using: &generator) { result += Array(one(of: Self.pieces).utf8) }
        return result
    }

    mutating func pattern() -> [UInt8] {
        var segments: [[UInt8]] = []
        for _ in 0..<one(of: [1, 1, 1, 2, 2, 3]) { segments.append(chance(20) ? Array("**".utf8) : segment()) }
        var result = Array(segments.joined(separator: Array("/".utf8)))
        if chance(15) { result = Array("/".utf8) + result }
        if chance(20) { result += Array("/".utf8) }
        if isGitOnly, chance(5) { result += Array(one(of: Self.endings).utf8) }
        if chance(25) { result = Array("!".utf8) + result }
        if isGitOnly, chance(3) { result = Array(one(of: ["\\!", "\\#"]).utf8) + result }
        return result
    }

    mutating func ignoreFile(_ most: Int = 5) -> [UInt8] {
        var lines: [[UInt8]] = []
        for _ in 0..<Int.random(in: 1...most, using: &generator) {
            lines.append(chance(10) ? Array(one(of: ["", "# c", "#", "   "]).utf8) : pattern())
        }
        let newline = Array((isGitOnly && chance(10) ? "\r\n" : "\n").utf8)
        var text = Array(lines.joined(separator: newline))
        if chance(70) { text += newline }
        return isGitOnly && chance(5) ? [0xef, 0xbb, 0xbf] + text : text
    }

    /// Fills a tree, and gives the paths in it; those of directories end with a slash.
    mutating func fill(_ tree: TemporaryTree, _ directory: [UInt8], depth: Int = 0) throws -> [[UInt8]] {
        let slash = Array("/".utf8)
        try tree.make(directory + slash)
        var result = [directory + slash]
        var taken: Set<[UInt8]> = []
        for _ in 0..<Int.random(in: 1...5, using: &generator) {
            let name = name()
            if !taken.insert(name).inserted { continue }
            let path = directory + slash + name
            if depth < 3, chance(40) {
                result += try fill(tree, path, depth: depth + 1)
            } else {
                try tree.make(path)
                result.append(path)
            }
        }
        var files = [(".gitignore", 35)]
        if !isGitOnly { files += [(".ignore", 15), (".rgignore", 10)] }
        for (name, percent) in files where chance(percent) {
            let path = directory + slash + Array(name.utf8)
            try tree.make(path, ignoreFile())
            result.append(path)
        }
        return result
    }
}
