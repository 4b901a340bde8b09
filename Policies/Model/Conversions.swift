// From a TOML value to what a key means.

package func string(_ node: TomlNode) throws(InvalidValue) -> String {
    guard case .string(let text) = node.kind else { throw wrongType(node, expected: "a string") }
    return text
}

func boolean(_ node: TomlNode) throws(InvalidValue) -> Bool {
    guard case .boolean(let value) = node.kind else { throw wrongType(node, expected: "true or false") }
    return value
}

/// One word of an enumeration.
func choice<Value>(_ node: TomlNode) throws(InvalidValue) -> Value
where Value: CaseIterable & RawRepresentable<String> {
    let word = try string(node)
    guard let value = Value.allCases.first(where: { sameBytes($0.rawValue, word) }) else {
        throw InvalidValue(
            "unknown value \(quoted(word))", remedy: suggestion(for: word, in: Value.allCases.map(\.rawValue)))
    }
    return value
}

func pattern(_ node: TomlNode) throws(InvalidValue) -> PathPattern { try PathPattern(try string(node)) }

/// A glob for names of variables, kept as text.
func variableGlob(_ node: TomlNode) throws(InvalidValue) -> String {
    let glob = try Glob(try string(node))
    guard !glob.tokens.isEmpty else { throw InvalidValue("a pattern is empty") }
    return glob.text
}

/// A duration of more than nothing.
package func duration(_ node: TomlNode) throws(InvalidValue) -> Milliseconds {
    switch node.kind {
    case .integer(let value):
        throw InvalidValue(
            "\(value) has no unit", remedy: "write a duration as a string, such as \"\(max(1, value))s\"")
    case .string(let text): return try positive(try parseDuration(text))
    default: throw wrongType(node, expected: "a duration, such as \"300s\"")
    }
}

/// A size of more than nothing.
package func size(_ node: TomlNode) throws(InvalidValue) -> UInt64 { try positive(try sizeOrZero(node)) }

/// A size as a string with a unit, or as an integer of bytes.
func sizeOrZero(_ node: TomlNode) throws(InvalidValue) -> UInt64 {
    switch node.kind {
    case .integer(let value): return try natural(value)
    case .string(let text): return try parseSize(text)
    default: throw wrongType(node, expected: "a size, such as \"512M\"")
    }
}

/// A size, or a share of the machine's memory such as `"75%"`.
func memorySize(_ node: TomlNode) throws(InvalidValue) -> MemorySize {
    guard case .string(let text) = node.kind, text.utf8.last == UInt8(ascii: "%") else {
        return .bytes(try size(node))
    }
    guard let percent = decimal(text.utf8.dropLast()), (1...100).contains(percent) else {
        throw InvalidValue("\(quoted(text)) is not a share of memory", remedy: "write 1% to 100%, a whole number")
    }
    return .percent(Int(percent))
}

/// An integer of at least 1 and at most `limit`.
func count(upTo limit: UInt64) -> TableReader.Conversion<UInt64> {
    { (node) throws(InvalidValue) in
        guard case .integer(let value) = node.kind else { throw wrongType(node, expected: "an integer") }
        let number = try positive(try natural(value))
        guard number <= limit else { throw InvalidValue("\(value) is more than \(limit)") }
        return number
    }
}

/// A number of processors, from a hundredth (1 ms of each 100 ms, the least that the kernel takes) on.
func processors(_ node: TomlNode) throws(InvalidValue) -> Double {
    let value: Double
    switch node.kind {
    case .integer(let number): value = Double(number)
    case .real(let number): value = number
    default: throw wrongType(node, expected: "a number")
    }
    // Not a number fails this too.
    guard value >= 0.01, value <= 65_536 else {
        throw InvalidValue("\(value) is not a number of processors", remedy: "write a number from 0.01 to 65536")
    }
    return value
}

/// `"uid:gid"` or `"uid"`. Anything that is not exactly that is an error: a malformed user must never mean root.
func userIdentity(_ node: TomlNode) throws(InvalidValue) -> UserIdentity {
    let text = try string(node)
    let parts = text.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
    // 65,536 ids are mapped into a jail.
    let ids = parts.compactMap { part in decimal(part).flatMap { $0 < 65_536 ? UInt32($0) : nil } }
    guard ids.count == parts.count, let uid = ids.first, let gid = ids.last, ids.count <= 2 else {
        throw InvalidValue(
            "\(quoted(text)) is not a user", remedy: "write \"uid\" or \"uid:gid\" in numbers below 65536")
    }
    return UserIdentity(uid: uid, gid: gid)
}

/// A host name of letters, digits and hyphens between dots (RFC 1123, 2.1), as long as sethostname(2) takes.
func hostname(_ node: TomlNode) throws(InvalidValue) -> String {
    let text = try string(node)
    guard isHostName(text), text.utf8.count <= 63 else {
        throw InvalidValue(
            "\(quoted(text)) is not a host name", remedy: "use letters, digits, hyphens and dots, at most 63")
    }
    return text
}

/// Labels of letters, digits and inner hyphens, with dots between them.
func isHostName(_ text: String) -> Bool {
    text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
        let hyphen = UInt8(ascii: "-")
        return !label.isEmpty && label.count <= 63 && label.first != hyphen && label.last != hyphen
            && label.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"), hyphen: true
                default: false
                }
            }
    }
}

/// Digits only, no leading zero, no sign; nil for anything else.
func decimal(_ digits: some Collection<UInt8>) -> UInt64? {
    guard !digits.isEmpty, digits.count == 1 || digits.first != UInt8(ascii: "0") else { return nil }
    guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
    return UInt64(String(decoding: Array(digits), as: UTF8.self))
}

package func wrongType(_ node: TomlNode, expected: String) -> InvalidValue {
    InvalidValue("expected \(expected), found \(node.kindName)")
}

private func natural(_ value: Int64) throws(InvalidValue) -> UInt64 {
    guard let natural = UInt64(exactly: value) else { throw InvalidValue("\(value) is negative") }
    return natural
}

private func positive(_ value: UInt64) throws(InvalidValue) -> UInt64 {
    guard value > 0 else { throw InvalidValue("must be more than zero") }
    return value
}
