/// A pattern for paths, as `[fs]` uses them.
///
/// It starts at an anchor: `/`, `${workspace}` or `${home}`; a pattern without one, such as `**/.env`, starts at the
/// workspace. Between slashes stand globs (see ``Glob``), or `**` for any number of directories, none included:
/// `**/.ssh/**` matches `.ssh` itself, at any depth, and all that is in it. Matching takes at most the product of
/// the lengths, whatever the pattern.
public struct PathPattern: Sendable, Hashable, CustomStringConvertible {
    /// Where a pattern starts.
    public enum Anchor: String, Sendable, Hashable {
        /// The root directory.
        case root = "/"
        /// The workspace.
        case workspace = "${workspace}"
        /// The private home directory in the jail.
        case home = "${home}"
    }

    /// What stands between two slashes.
    public enum Component: Sendable, Hashable {
        /// `**`: any number of components.
        case anyDepth
        /// One component.
        case name(Glob)
    }

    /// The pattern as it was written.
    public let text: String
    /// Where it starts.
    public let anchor: Anchor
    /// What follows the anchor; empty when the pattern is the anchor itself.
    public let components: [Component]

    /// Reads a pattern.
    ///
    /// - Throws: ``InvalidValue``, also for what other tools know but this language does not, since a rule that
    ///   silently matches nothing would protect nothing: `~`, a leading `!`, braces, `.` and `..`.
    public init(_ text: String) throws(InvalidValue) {
        self.text = text
        (anchor, components) = try PathPatternParser(text).parse()
    }

    /// Whether there is no wildcard: the pattern is one path.
    public var isLiteral: Bool { literalPrefix.count == components.count }

    /// The names that every match starts with, below the anchor.
    public var literalPrefix: [String] {
        var names: [String] = []
        for component in components {
            guard case .name(let glob) = component, let name = glob.literal else { break }
            names.append(name)
        }
        return names
    }

    /// Whether the path with these components, relative to the anchor, matches.
    public func matches<Path: Collection>(relativePath path: Path) -> Bool where Path.Element: StringProtocol {
        matches(names: path.map { $0.unicodeScalars.map(\.value) }, andBelow: false)
    }

    /// Whether the path with these components, relative to the anchor, or a directory that it is in, matches.
    ///
    /// This is what rules mean: `read = ["/usr"]` is about all that is in `/usr`.
    public func covers<Path: Collection>(relativePath path: Path) -> Bool where Path.Element: StringProtocol {
        matches(names: path.map { $0.unicodeScalars.map(\.value) }, andBelow: true)
    }

    /// As ``matches(relativePath:)``, for names as the kernel gave them, which need not be UTF-8.
    public func matches(relativePathBytes path: [[UInt8]]) -> Bool {
        matches(names: path.map(characters(ofName:)), andBelow: false)
    }

    /// As ``covers(relativePath:)``, for names as the kernel gave them, which need not be UTF-8.
    public func covers(relativePathBytes path: [[UInt8]]) -> Bool {
        matches(names: path.map(characters(ofName:)), andBelow: true)
    }

    /// The components of a path, as the kernel divides it. `String.split` takes a slash with a combining mark after it
    /// for another character, and would see one component where the kernel sees two.
    public static func components(of path: String) -> [Substring] {
        path.utf8.split(separator: UInt8(ascii: "/")).map { Substring($0) }
    }

    private func matches(names: [[UInt32]], andBelow: Bool) -> Bool {
        var component = 0
        var at = 0
        // As in a glob, only the last `**` is ever retried.
        var retry: (component: Int, at: Int)?
        while at < names.count {
            if component == components.count, andBelow { return true }
            if component < components.count, components[component] == .anyDepth {
                retry = (component + 1, at)
                component += 1
            } else if component < components.count, case .name(let glob) = components[component],
                glob.matches(characters: names[at])
            {
                component += 1
                at += 1
            } else if let last = retry {
                retry = (last.component, last.at + 1)
                component = last.component
                at = last.at + 1
            } else {
                return false
            }
        }
        return components[component...].allSatisfy { $0 == .anyDepth }
    }

    /// The pattern as it was written.
    public var description: String { text }

    /// Patterns are equal when they mean the same, however they are written.
    public static func == (first: PathPattern, second: PathPattern) -> Bool {
        first.anchor == second.anchor && first.components == second.components
    }

    /// Hashes what `==` compares.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(anchor)
        hasher.combine(components)
    }
}

private struct PathPatternParser {
    private let text: String
    // Bytes and not characters: to Swift a slash with a combining mark after it is no slash. What is looked for is
    // ASCII, which is never part of another code point in UTF-8.
    private var rest: ArraySlice<UInt8>

    init(_ text: String) {
        self.text = text
        rest = Array(text.utf8)[...]
    }

    func parse() throws(InvalidValue) -> (PathPattern.Anchor, [PathPattern.Component]) {
        var parser = self
        try parser.refuseForeignForms()
        let anchor = try parser.takeAnchor()
        return (anchor, try parser.components())
    }

    private func refuseForeignForms() throws(InvalidValue) {
        guard let first = rest.first else { throw InvalidValue("a pattern is empty") }
        // PATH_MAX: no path that the kernel takes is longer.
        guard rest.count < 4096 else { throw InvalidValue("a pattern is longer than 4095 bytes") }
        if rest.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            throw InvalidValue("the pattern \(quoted(text)) contains a control character")
        }
        if first == UInt8(ascii: "!") {
            throw InvalidValue(
                "the pattern \(quoted(text)) starts with `!`, but nothing can be taken out of a list",
                remedy: "write `\\!` for a name that starts so")
        }
        if first == UInt8(ascii: "~") {
            throw InvalidValue(
                "`~` is not expanded in \(quoted(text))", remedy: "write `${home}`, or `\\~` for a name that starts so")
        }
    }

    private mutating func takeAnchor() throws(InvalidValue) -> PathPattern.Anchor {
        let slash = UInt8(ascii: "/")
        if rest.first == slash {
            rest = rest.dropFirst()
            return .root
        }
        guard rest.starts(with: "${".utf8) else { return .workspace }
        guard let close = rest.firstIndex(of: UInt8(ascii: "}")) else {
            throw InvalidValue("`${` is not closed in \(quoted(text))", remedy: "write `${workspace}` or `${home}`")
        }
        let variable = String(decoding: rest[...close], as: UTF8.self)
        guard let anchor = PathPattern.Anchor(rawValue: variable) else {
            throw InvalidValue(
                "unknown variable \(quoted(variable))",
                remedy: suggestion(for: variable, in: ["${workspace}", "${home}"]))
        }
        rest = rest[(close + 1)...]
        guard let next = rest.first else { return anchor }
        guard next == slash else {
            throw InvalidValue("`\(variable)` must be followed by a slash in \(quoted(text))")
        }
        rest = rest.dropFirst()
        guard !rest.isEmpty else {
            throw InvalidValue("\(quoted(text)) ends with a slash", remedy: "leave the last slash out")
        }
        return anchor
    }

    private func components() throws(InvalidValue) -> [PathPattern.Component] {
        guard !rest.isEmpty else { return [] }
        var result: [PathPattern.Component] = []
        var start = rest.startIndex
        while start <= rest.endIndex {
            var end = start
            while end < rest.endIndex, rest[end] != UInt8(ascii: "/") { end += 1 }
            try add(String(decoding: rest[start..<end], as: UTF8.self), to: &result)
            start = end + 1
        }
        return result
    }

    private func add(_ name: String, to result: inout [PathPattern.Component]) throws(InvalidValue) {
        switch name {
        case "":
            throw rest.last == UInt8(ascii: "/")
                ? InvalidValue("\(quoted(text)) ends with a slash", remedy: "leave the last slash out")
                : InvalidValue("\(quoted(text)) has two slashes in a row", remedy: "write one")
        case ".", "..":
            throw InvalidValue(
                "\(quoted(text)) contains `\(name)`, which a rule cannot follow", remedy: "write the path without it")
        case "**":
            // Twice in a row says no more than once.
            if result.last != .anyDepth { result.append(.anyDepth) }
        default:
            let glob = try glob(name)
            // `\..` is another way to write it.
            guard glob.literal != ".", glob.literal != ".." else {
                throw InvalidValue("\(quoted(text)) contains \(quoted(name)), which a rule cannot follow")
            }
            result.append(.name(glob))
        }
    }

    private func glob(_ name: String) throws(InvalidValue) -> Glob {
        do {
            return try Glob(name)
        } catch {
            throw InvalidValue("\(error.message) in \(quoted(text))", remedy: error.remedy)
        }
    }
}

extension PathPattern {
    /// As ``covers(relativePath:)``, for names as code points.
    package func covers(characters names: [[UInt32]]) -> Bool { matches(names: names, andBelow: true) }

    /// Whether some path exists that the pattern is about and that a shell's pattern of these names stands for.
    ///
    /// A shell's `*` and `?` do not match a leading dot (bash(1), Pathname Expansion).
    ///
    /// - Parameter atAnyDepth: whether the last name may stand in any directory, as with `--include`.
    package func canMeet(_ names: [Glob], ignoringCase: Bool = false, atAnyDepth: Bool = false) -> Bool {
        // Whether two places cannot meet, where that was found: `**` leads to each in many ways.
        var failed = [Bool](repeating: false, count: (components.count + 1) * (names.count + 1))
        func meets(_ component: Int, _ name: Int) -> Bool {
            let key = component * (names.count + 1) + name
            if failed[key] { return false }
            let result = meetsAnew(component, name)
            if !result { failed[key] = true }
            return result
        }
        func meetsAnew(_ component: Int, _ name: Int) -> Bool {
            // All of the pattern is used up: it is about this path and all below.
            if component == components.count { return true }
            if atAnyDepth {
                return components.contains { part in
                    if case .name(let glob) = part {
                        return glob.canMeet(names[0], ignoringCase: ignoringCase, hidesDots: false)
                    }
                    return false
                }
            }
            // The shell's path is used up: what is denied lies below it, and is the kernel's to keep.
            if name == names.count { return components[component...].allSatisfy { $0 == .anyDepth } }
            switch components[component] {
            case .anyDepth: return meets(component + 1, name) || meets(component, name + 1)
            case .name(let glob):
                return glob.canMeet(names[name], ignoringCase: ignoringCase, hidesDots: true)
                    && meets(component + 1, name + 1)
            }
        }
        // Paths of a command have few names; a hostile one must not cost more than the product.
        guard names.count * components.count <= 4096, components.filter({ $0 == .anyDepth }).count <= 3 else {
            return true
        }
        return meets(0, 0)
    }
}

extension Glob {
    /// Whether some name matches both.
    ///
    /// - Parameter hidesDots: whether the other, if it starts with a wildcard, matches no name with a leading dot.
    func canMeet(_ other: Glob, ignoringCase: Bool, hidesDots: Bool) -> Bool {
        // The states reached in the other pattern after each token of this one: the product of both automata.
        let mine = tokens, theirs = other.tokens
        guard mine.count * theirs.count <= 1 << 16 else { return true }
        let hides = hidesDots && theirs.first.map { if case .character = $0 { false } else { true } } ?? false
        var seen = [Bool](repeating: false, count: (mine.count + 1) * (theirs.count + 1) * 2)
        var pending = [(0, 0, true)]
        while let (i, j, isFirst) = pending.popLast() {
            let key = ((i * (theirs.count + 1)) + j) * 2 + (isFirst ? 1 : 0)
            if seen[key] { continue }
            seen[key] = true
            if i == mine.count, j == theirs.count { return true }
            if i < mine.count, mine[i] == .anySequence { pending.append((i + 1, j, isFirst)) }
            if j < theirs.count, theirs[j] == .anySequence { pending.append((i, j + 1, isFirst)) }
            guard i < mine.count, j < theirs.count else { continue }
            let canDot = !(isFirst && hides)
            guard mine[i].sharesCharacter(with: theirs[j], ignoringCase: ignoringCase, dots: canDot) else { continue }
            let nextI = mine[i] == .anySequence ? i : i + 1
            let nextJ = theirs[j] == .anySequence ? j : j + 1
            pending.append((nextI, nextJ, false))
        }
        return false
    }
}

extension Glob.Token {
    /// Whether one character fits both; a dot counts only where `dots` says so.
    fileprivate func sharesCharacter(with other: Glob.Token, ignoringCase: Bool, dots: Bool) -> Bool {
        let dot = UInt32(0x2E)
        func fits(_ token: Glob.Token, _ character: UInt32) -> Bool {
            guard dots || character != dot else { return false }
            if token == .anySequence || token.matches(character) { return true }
            guard ignoringCase, let scalar = Unicode.Scalar(character) else { return false }
            let cases = [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping]
            return cases.contains { text in text.unicodeScalars.first.map { token.matches($0.value) } ?? false }
        }
        switch (self, other) {
        case (.character(let a), _): return fits(self, a) && fits(other, a)
        case (_, .character(let b)): return fits(self, b) && fits(other, b)
        // Two sets or wildcards: taken to meet, which can only make a verdict stricter.
        default: return true
        }
    }
}
