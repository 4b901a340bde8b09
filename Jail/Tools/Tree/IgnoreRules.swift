// The rules of one ignore file, and which of them decides about a name. It reads no files and knows no other file's rules.
//
// Source: gitignore(5), and for what that leaves open, what git 2.39 does: a line ends at a NUL; a carriage return before
// the newline and unescaped spaces at the end do not count; the last rule that matches decides.
internal import Glibc

/// A name that rules are asked about.
@unsafe struct Subject {
    /// The last component.
    var name: UnsafeBufferPointer<UInt8>
    /// The path from the root, the name included.
    var path: UnsafeBufferPointer<UInt8>
    var isDirectory: Bool
    var nameHash: UInt32
    /// Of the name's last dot and what follows; of nothing where it has none.
    var suffixHash: UInt32

    init(name: UnsafeBufferPointer<UInt8>, path: UnsafeBufferPointer<UInt8>, isDirectory: Bool) {
        unsafe self.name = unsafe name
        unsafe self.path = unsafe path
        unsafe self.isDirectory = isDirectory
        var hash = subjectHashStart, suffix = subjectHashStart
        for index in 0..<name.count {
            let byte = unsafe name[index]
            hash = mix(hash, byte)
            suffix = byte == dot ? mix(subjectHashStart, byte) : mix(suffix, byte)
        }
        unsafe nameHash = hash
        unsafe suffixHash = suffix
    }
}

private let subjectHashStart: UInt32 = 2_166_136_261
/// FNV-1a (Fowler, Noll, Vo).
private func mix(_ hash: UInt32, _ byte: UInt8) -> UInt32 { (hash ^ UInt32(byte)) &* 16_777_619 }
private func subjectHash(_ bytes: some Sequence<UInt8>) -> UInt32 { bytes.reduce(subjectHashStart, mix) }

/// One rule.
struct IgnoreRule: Sendable {
    enum Shape: Sendable {
        /// The bytes themselves.
        case literal
        /// `*` and these bytes, at a name's end.
        case suffix
        /// These bytes, and a pattern for the rest.
        case wild(WildPattern)
    }
    var shape: Shape
    var bytes: [UInt8]
    var isNegated = false
    var isDirectoryOnly = false
    /// There was no slash in it: it is held against the last component, at any depth.
    var isNameOnly = false
    /// Counted from 1.
    var line: Int

    /// Reads one line. Nil for an empty line and a comment.
    init?(line text: ArraySlice<UInt8>, number: Int) {
        var text = text
        if text.isEmpty || text.first == UInt8(ascii: "#") { return nil }
        if text.last == UInt8(ascii: "\r") { text = text.dropLast() }
        text = text.prefix { $0 != 0 }
        text = Self.withoutTrailingSpaces(text)
        line = number
        if text.first == UInt8(ascii: "!") {
            isNegated = true
            text = text.dropFirst()
        }
        if text.last == slash {
            isDirectoryOnly = true
            text = text.dropLast()
        }
        // It can match no name, but git counts it as a line all the same.
        if text.isEmpty { return nil }
        isNameOnly = !text.contains(slash)
        // How far it is plain is measured before the leading slash goes, and where it is not, `**` counts as being at
        // the start of the pattern there: git's `foo**/bar` matches `foobar`.
        if !isNameOnly, text.first == slash { text = text.dropFirst() }
        let plain = text.prefix { !Self.isSpecial($0) }
        if plain.count == text.count {
            shape = .literal
            bytes = Array(text)
        } else if isNameOnly, text.first == UInt8(ascii: "*"), !text.dropFirst().contains(where: Self.isSpecial) {
            shape = .suffix
            bytes = Array(text.dropFirst())
        } else if isNameOnly {
            shape = .wild(WildPattern(text))
            bytes = []
        } else {
            shape = .wild(WildPattern(text[plain.endIndex...]))
            bytes = Array(plain)
        }
    }

    private static func isSpecial(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "*") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "[")
            || byte == UInt8(ascii: "\\")
    }

    private static func withoutTrailingSpaces(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var end = text.startIndex
        var index = text.startIndex
        while index < text.endIndex {
            if text[index] == UInt8(ascii: "\\") {
                // A backslash at the very end keeps the spaces before it, if there are any.
                guard index + 1 < text.endIndex else { return text }
                index += 1
                end = index + 1
            } else if text[index] != UInt8(ascii: " ") {
                end = index + 1
            }
            index += 1
        }
        return text[..<end]
    }

    /// Whether it is about this name, of which `path` is what lies behind the ignore file's directory.
    @unsafe func matches(_ subject: Subject, path: UnsafeBufferPointer<UInt8>) -> Bool {
        if isDirectoryOnly, unsafe !subject.isDirectory { return false }
        let text = unsafe isNameOnly ? subject.name : path
        switch shape {
        case .literal: return unsafe equal(bytes, text)
        case .suffix:
            guard bytes.count <= text.count else { return false }
            return unsafe equal(bytes, UnsafeBufferPointer(rebasing: text[(text.count - bytes.count)...]))
        case .wild(let pattern):
            guard bytes.count <= text.count else { return false }
            if !bytes.isEmpty {
                guard unsafe equal(bytes, UnsafeBufferPointer(rebasing: text[..<bytes.count])) else { return false }
            }
            return unsafe pattern.matches(UnsafeBufferPointer(rebasing: text[bytes.count...]))
        }
    }
}

/// The rules of one file.
final class IgnoreRules: Sendable {
    let rules: [IgnoreRule]
    /// Where it was read, as a path from the root; empty for what a caller gave.
    let source: [UInt8]
    /// Whether there were more rules than are read.
    let isCut: Bool
    /// About how many bytes of memory it takes.
    let cost: Int
    /// Whether any rule looks at more than the last component.
    let needsPath: Bool
    // Numbers of rules, by the hash of what a name must be, or must end with; each is followed by older ones.
    private let literals: HashTable
    private let suffixes: HashTable
    /// The others, newest first.
    private let general: [Int32]

    /// More rules than these are not read from one file.
    static let mostRules = 100_000

    /// Reads a file's text. Nil where it holds no rule.
    init?(_ text: [UInt8], source: [UInt8] = []) {
        var rest = text[...]
        if rest.starts(with: [0xef, 0xbb, 0xbf]) { rest = rest.dropFirst(3) }
        var rules: [IgnoreRule] = []
        var number = 0
        while !rest.isEmpty, rules.count < Self.mostRules {
            let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
            number += 1
            if let rule = IgnoreRule(line: rest[..<end], number: number) { rules.append(rule) }
            rest = rest[end...].dropFirst()
        }
        if rules.isEmpty { return nil }
        isCut = !rest.isEmpty
        cost = rules.count * 256 + text.count * 4
        var literals: [(hash: UInt32, rule: Int)] = [], suffixes: [(hash: UInt32, rule: Int)] = []
        var general: [Int32] = []
        for (index, rule) in rules.enumerated() {
            if case .literal = rule.shape {
                let name = rule.bytes.lastIndex(of: slash).map { rule.bytes[($0 + 1)...] } ?? rule.bytes[...]
                literals.append((subjectHash(name), index))
            } else if case .suffix = rule.shape, rule.bytes.first == dot, !rule.bytes.dropFirst().contains(dot) {
                suffixes.append((subjectHash(rule.bytes), index))
            } else {
                general.append(Int32(index))
            }
        }
        self.rules = rules
        self.source = source
        self.general = general.reversed()
        self.literals = HashTable(literals, rules: rules.count)
        self.suffixes = HashTable(suffixes, rules: rules.count)
        needsPath = rules.contains { !$0.isNameOnly }
    }

    /// The number of the rule that decides, or -1. `base` is the length of the file's directory, its slash included.
    @unsafe func decide(_ subject: Subject, base: Int) -> Int {
        var path = unsafe subject.name
        if needsPath { unsafe path = UnsafeBufferPointer(rebasing: subject.path[base...]) }
        var best = -1
        literals.each(unsafe subject.nameHash) { candidate in
            if unsafe rules[candidate].matches(subject, path: path) { best = candidate }
            return best >= 0
        }
        suffixes.each(unsafe subject.suffixHash) { candidate in
            if candidate < best { return true }
            if unsafe rules[candidate].matches(subject, path: path) {
                best = candidate
                return true
            }
            return false
        }
        for candidate in general {
            if candidate < best { break }
            if unsafe rules[Int(candidate)].matches(subject, path: path) { return Int(candidate) }
        }
        return best
    }
}

/// Rule numbers by hash, the newest of each hash first.
private struct HashTable: Sendable {
    private var heads: [Int32] = []
    private var older: [Int32] = []
    private var mask: UInt32 = 0

    init(_ pairs: [(hash: UInt32, rule: Int)], rules: Int) {
        if pairs.isEmpty { return }
        var size: UInt32 = 4
        while size < 2 * pairs.count { size *= 2 }
        mask = size - 1
        heads = Array(repeating: -1, count: Int(size))
        older = Array(repeating: -1, count: rules)
        for (hash, rule) in pairs {
            let slot = Int(Self.spread(hash) & mask)
            older[rule] = heads[slot]
            heads[slot] = Int32(rule)
        }
    }

    private static func spread(_ hash: UInt32) -> UInt32 { hash ^ (hash >> 15) }

    /// Gives each rule of this slot, others than those of the hash among them, until `body` says that it is enough.
    func each(_ hash: UInt32, _ body: (Int) -> Bool) {
        if heads.isEmpty { return }
        var rule = heads[Int(Self.spread(hash) & mask)]
        while rule >= 0 {
            if body(Int(rule)) { return }
            rule = older[Int(rule)]
        }
    }
}

func equal(_ bytes: [UInt8], _ text: UnsafeBufferPointer<UInt8>) -> Bool {
    guard bytes.count == text.count else { return false }
    guard let other = text.baseAddress, !bytes.isEmpty else { return bytes.isEmpty }
    return unsafe memcmp(bytes, other, bytes.count) == 0
}
