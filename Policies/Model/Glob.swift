/// A pattern for one name: a path component or an environment variable.
///
/// `*` stands for any characters, none included, and also for a leading dot; `?` for one character; `[a-z_]` and
/// `[!a-z_]` for one character of a class; a backslash takes the next character as it is. Names are compared by
/// code points, not by Unicode equivalence, as the kernel does; a byte of a name that is not UTF-8 counts as
/// one character that only `*`, `?` and negated classes match. Matching takes at most the product of both
/// lengths, whatever the pattern.
public struct Glob: Sendable, Hashable, CustomStringConvertible {
    enum Token: Sendable, Hashable {
        case character(UInt32)
        case anyCharacter
        case anySequence
        case set(negated: Bool, ranges: [ClosedRange<UInt32>])
    }

    /// The pattern as it was written.
    public let text: String
    let tokens: [Token]

    /// Reads a pattern.
    ///
    /// - Throws: ``InvalidValue`` for an unclosed or reversed class, a backslash at the end, `**`, and
    ///   alternatives in braces, which would otherwise silently match nothing.
    public init(_ text: String) throws(InvalidValue) {
        self.text = text
        // Most names of a policy are plain, and a policy is read at each start.
        if text.utf8.contains(where: Self.isSpecial) {
            var parser = GlobParser(Array(text.unicodeScalars))
            tokens = try parser.parse()
            literal = Self.name(tokens)
        } else {
            tokens = text.unicodeScalars.map { .character($0.value) }
            literal = text
        }
    }

    /// The name that is the only one to match, or nil when the pattern has a wildcard.
    public let literal: String?

    private static func isSpecial(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["), UInt8(ascii: "\\"), UInt8(ascii: "{"),
            UInt8(ascii: "}"):
            true
        default: false
        }
    }

    private static func name(_ tokens: [Token]) -> String? {
        var name = ""
        for token in tokens {
            guard case .character(let value) = token, let scalar = Unicode.Scalar(value) else { return nil }
            name.unicodeScalars.append(scalar)
        }
        return name
    }

    /// Whether the whole name matches.
    public func matches(_ name: some StringProtocol) -> Bool { matches(characters: name.unicodeScalars.map(\.value)) }

    /// Whether the whole name matches, given as the bytes that the kernel gave.
    public func matches(bytes: [UInt8]) -> Bool { matches(characters: characters(ofName: bytes)) }

    func matches(characters name: [UInt32]) -> Bool {
        var token = 0
        var at = 0
        // Only the last `*` is ever retried: what stands between two of them has one length, so its earliest
        // place is as good as any other. That keeps hostile patterns from being exponential.
        var retry: (token: Int, at: Int)?
        while at < name.count {
            if token < tokens.count, tokens[token] == .anySequence {
                retry = (token + 1, at)
                token += 1
            } else if token < tokens.count, tokens[token].matches(name[at]) {
                token += 1
                at += 1
            } else if let last = retry {
                retry = (last.token, last.at + 1)
                token = last.token
                at = last.at + 1
            } else {
                return false
            }
        }
        return tokens[token...].allSatisfy { $0 == .anySequence }
    }

    /// The pattern as it was written.
    public var description: String { text }

    /// Patterns are equal when they mean the same, however they are escaped.
    public static func == (first: Glob, second: Glob) -> Bool { first.tokens == second.tokens }

    /// Hashes what `==` compares.
    public func hash(into hasher: inout Hasher) {
        // A name's bytes at once: most patterns are names, and tokens are hashed one by one.
        if let literal {
            var bytes = literal
            bytes.withUTF8 { unsafe hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        } else {
            hasher.combine(tokens)
        }
    }
}

extension Glob.Token {
    func matches(_ character: UInt32) -> Bool {
        switch self {
        case .character(let value): value == character
        case .anyCharacter: true
        case .anySequence: false
        case .set(let negated, let ranges): ranges.contains { $0.contains(character) } != negated
        }
    }
}

/// Decodes a name; a byte that is not part of valid UTF-8 becomes a character of its own above all of Unicode.
func characters(ofName bytes: [UInt8]) -> [UInt32] {
    var result: [UInt32] = []
    result.reserveCapacity(bytes.count)
    var rest = bytes[...]
    while let first = rest.first {
        let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        if let text = String(validating: rest.prefix(length), as: UTF8.self), let scalar = text.unicodeScalars.first {
            result.append(scalar.value)
            rest = rest.dropFirst(length)
        } else {
            result.append(0x110000 + UInt32(first))
            rest = rest.dropFirst()
        }
    }
    return result
}

private struct GlobParser {
    private let scalars: [Unicode.Scalar]
    private var at = 0

    init(_ scalars: [Unicode.Scalar]) { self.scalars = scalars }

    mutating func parse() throws(InvalidValue) -> [Glob.Token] {
        var tokens: [Glob.Token] = []
        while let scalar = next() {
            switch scalar {
            case "*":
                if tokens.last == .anySequence {
                    throw InvalidValue(
                        "`**` stands for whole directories and must be alone between slashes",
                        remedy: "write `*` within a name")
                }
                tokens.append(.anySequence)
            case "?": tokens.append(.anyCharacter)
            case "[": tokens.append(try characterClass())
            case "\\": tokens.append(.character(try escaped().value))
            case "{", "}":
                throw InvalidValue(
                    "alternatives in braces are not supported", remedy: "write one pattern for each alternative")
            default: tokens.append(.character(scalar.value))
            }
        }
        return tokens
    }

    private mutating func next() -> Unicode.Scalar? {
        guard at < scalars.count else { return nil }
        defer { at += 1 }
        return scalars[at]
    }

    private mutating func escaped() throws(InvalidValue) -> Unicode.Scalar {
        guard let scalar = next() else {
            throw InvalidValue("a backslash stands at the end of a name", remedy: "write `\\\\` for a backslash")
        }
        return scalar
    }

    /// After `[`: an optional `!` or `^`, then characters and ranges; a `]` that comes first is one of them.
    private mutating func characterClass() throws(InvalidValue) -> Glob.Token {
        var negated = false
        if at < scalars.count, scalars[at] == "!" || scalars[at] == "^" {
            negated = true
            at += 1
        }
        var ranges: [ClosedRange<UInt32>] = []
        while let scalar = next() {
            if scalar == "]", !ranges.isEmpty { return .set(negated: negated, ranges: ranges) }
            let low = scalar == "\\" ? try escaped() : scalar
            guard at + 1 < scalars.count, scalars[at] == "-", scalars[at + 1] != "]" else {
                ranges.append(low.value...low.value)
                continue
            }
            at += 1
            guard let end = next() else { break }
            let high = end == "\\" ? try escaped() : end
            guard low <= high else {
                throw InvalidValue("the range \(quoted("\(low)-\(high)")) of a class is reversed")
            }
            ranges.append(low.value...high.value)
        }
        throw InvalidValue("a class `[` is not closed", remedy: "close it with `]`, or write `\\[` for a bracket")
    }
}

extension Glob {
    /// A pattern that matches one name and nothing else.
    package init(escaping name: String) throws(InvalidValue) {
        try self.init(name.unicodeScalars.map { "*?[]\\{}".unicodeScalars.contains($0) ? "\\\($0)" : "\($0)" }.joined())
    }

    /// A shell's pattern for one name, in which braces and repeated stars mean nothing more.
    package init(shell pattern: String) throws(InvalidValue) {
        var text = ""
        var previous: Unicode.Scalar?
        for scalar in pattern.unicodeScalars {
            if scalar == "*", previous == "*" { continue }
            if scalar == "{" || scalar == "}" { text += "\\" }
            text.unicodeScalars.append(scalar)
            previous = scalar
        }
        // A POSIX class such as [[:alpha:]] is not known here.
        if ["[:", "[.", "[="].contains(where: pattern.contains) {
            throw InvalidValue("a class of characters is not known")
        }
        try self.init(text)
    }
}
