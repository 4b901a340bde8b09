// Narrowing a search to kinds of files by their names, as ripgrep's `--type` and `--type-not` do.

/// Types that are wanted, and types that are not.
public struct TypeFilter: Sendable {
    private struct Rule {
        var suffix: [UInt8]?
        var glob: Glob
        var excludes: Bool
    }
    private var rules: [Rule] = []
    private var includesAny = false

    /// - Parameters:
    ///   - include: Names of types, of which a file must be one. `all` is any of the known ones.
    ///   - exclude: Names of types that a file must not be of. They count more.
    /// - Throws: `unknownType`.
    public init(include: [String] = [], exclude: [String] = []) throws(TreeError) {
        for (names, excludes) in [(include, false), (exclude, true)] {
            for name in names {
                let globs = Self.globs(of: name)
                if globs.isEmpty { throw .unknownType }
                for text in globs {
                    var suffix: [UInt8]?
                    let rest = text.dropFirst()
                    if text.first == UInt8(ascii: "*"), !rest.contains(where: { "*?[\\{".utf8.contains($0) }) {
                        suffix = Array(rest)
                    }
                    rules.append(Rule(suffix: suffix, glob: try Glob(text), excludes: excludes))
                }
            }
        }
        includesAny = !include.isEmpty
    }

    /// Every type with its globs, in the order of their names.
    public static var all: [(name: String, globs: [[UInt8]])] {
        fileTypeTable.utf8.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let words = line.split(separator: UInt8(ascii: " "))
            guard let name = words.first else { return nil }
            return (String(decoding: name, as: UTF8.self), words.dropFirst().map(Array.init))
        }
    }

    private static func globs(of name: String) -> [[UInt8]] {
        let everything = name.utf8.elementsEqual("all".utf8)
        return all.flatMap { everything || $0.name.utf8.elementsEqual(name.utf8) ? $0.globs : [] }
    }

    @unsafe func decide(_ subject: Subject) -> PathFilter.Answer {
        if unsafe subject.isDirectory { return .none }
        for rule in rules.reversed() {
            if let suffix = rule.suffix {
                let name = unsafe subject.name
                guard name.count >= suffix.count,
                    unsafe equal(suffix, UnsafeBufferPointer(rebasing: name[(name.count - suffix.count)...]))
                else { continue }
            } else if unsafe !rule.glob.matches(subject.name) {
                continue
            }
            return rule.excludes ? .leftOut : .takenIn
        }
        return includesAny ? .leftOut : .none
    }
}
