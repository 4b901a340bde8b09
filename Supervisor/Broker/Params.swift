// The parameters of a request, strictly: what is missing, unknown or of another type is an error, never a default.
internal import Linux
internal import Wire

/// Takes parameters by name; at the end nothing may be left.
struct Params {
    private let object: JsonObject
    private var taken: Set<[UInt8]> = []

    init(_ object: JsonObject) { self.object = object }

    /// Refuses what was not asked for: a word that is misspelt must not be a wish that is passed over.
    func finish() throws(RpcError) {
        for name in object.names where !taken.contains(Array(name.utf8)) {
            throw RpcError(.invalidParams, "unknown parameter \"\(name)\"", ["parameter": .string(name)])
        }
    }

    mutating func text(_ name: String) throws(RpcError) -> String { try required(name, try optionalText(name)) }

    mutating func optionalText(_ name: String, most: Int = 4096) throws(RpcError) -> String? {
        guard let value = value(name) else { return nil }
        guard let text = value.text, !text.utf8.contains(0), text.utf8.count <= most else {
            throw wrong(name, "must be a text without NUL, of at most \(most) bytes")
        }
        return text
    }

    mutating func texts(_ name: String) throws(RpcError) -> [String]? {
        guard let value = value(name) else { return nil }
        guard let texts = value.texts, !texts.contains(where: { $0.utf8.contains(0) }) else {
            throw wrong(name, "must be a list of texts without NUL")
        }
        return texts
    }

    mutating func count(_ name: String, _ range: ClosedRange<UInt64>) throws(RpcError) -> UInt64 {
        try required(name, try optionalCount(name, range))
    }

    mutating func optionalCount(
        _ name: String, _ range: ClosedRange<UInt64> = 0...UInt64(Int64.max)
    ) throws(RpcError) -> UInt64? {
        guard let value = value(name) else { return nil }
        guard let count = value.unsigned, range.contains(count) else {
            throw wrong(name, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return count
    }

    mutating func whole(_ name: String, or standard: Int64) throws(RpcError) -> Int64 {
        guard let value = value(name) else { return standard }
        guard let number = value.whole else { throw wrong(name, "must be a whole number") }
        return number
    }

    mutating func flag(_ name: String) throws(RpcError) -> Bool { try optionalFlag(name) ?? false }

    mutating func optionalFlag(_ name: String) throws(RpcError) -> Bool? {
        guard let value = value(name) else { return nil }
        guard let truth = value.truth else { throw wrong(name, "must be true or false") }
        return truth
    }

    /// Bytes: a text as UTF-8, or Base64 under the name with `_base64` behind it.
    mutating func optionalBytes(_ name: String) throws(RpcError) -> [UInt8]? {
        let plain = value(name), coded = value(name + "_base64")
        if let plain {
            guard coded == nil else { throw wrong(name, "is given twice, as text and as Base64") }
            guard let text = plain.text else { throw wrong(name, "must be a text") }
            return Array(text.utf8)
        }
        guard let coded else { return nil }
        guard let bytes = coded.text.flatMap(base64Decoded) else { throw wrong(name + "_base64", "must be Base64") }
        return bytes
    }

    mutating func bytes(_ name: String) throws(RpcError) -> [UInt8] { try required(name, try optionalBytes(name)) }

    /// Names and texts.
    mutating func variables(_ name: String) throws(RpcError) -> [(name: String, value: String)] {
        // Each is compared with each.
        try optionalVariables(name, most: 1024) ?? []
    }

    mutating func optionalVariables(
        _ name: String, most: Int
    ) throws(RpcError) -> [(name: String, value: String)]? {
        guard let value = value(name) else { return nil }
        guard let pairs = value.members?.pairs else { throw wrong(name, "must be an object of texts") }
        guard pairs.count <= most else { throw wrong(name, "has at most \(most) members") }
        var all: [(name: String, value: String)] = []
        for (key, value) in pairs {
            guard let text = value.text, !text.utf8.contains(0), !key.utf8.contains(0), !key.isEmpty else {
                throw wrong(name, "must be an object of texts without NUL")
            }
            all.append((key, text))
        }
        return all
    }

    /// The variables of whoever asks, as execve(2) gave them: their names have no `=`.
    mutating func callerVariables(_ name: String) throws(RpcError) -> [(name: String, value: String)]? {
        let all = try optionalVariables(name, most: 4096)
        guard all?.contains(where: { $0.name.utf8.contains(UInt8(ascii: "=")) }) != true else {
            throw wrong(name, "has a name with \"=\" in it")
        }
        return all
    }

    /// A value of any kind.
    mutating func any(_ name: String) throws(RpcError) -> JsonValue { try required(name, value(name)) }

    mutating func objects(_ name: String) throws(RpcError) -> [Params]? {
        guard let value = value(name) else { return nil }
        guard let elements = value.elements else { throw wrong(name, "must be a list of objects") }
        var all: [Params] = []
        for element in elements {
            guard let object = element.members else { throw wrong(name, "must be a list of objects") }
            all.append(Params(object))
        }
        return all
    }

    /// A signal, by its name or number; nil where none is given.
    mutating func signal(_ name: String) throws(RpcError) -> Int32? {
        if case .number(let number)? = value(name), (1...64).contains(number) { return Int32(number) }
        guard let text = try optionalText(name) else { return nil }
        guard let number = Signal.number(text) else { throw wrong(name, "must be a signal's name or number") }
        return number
    }

    /// One of some words.
    mutating func choice<Choice: RawRepresentable & CaseIterable>(
        _ name: String, _ type: Choice.Type
    ) throws(RpcError) -> Choice? where Choice.RawValue == String {
        guard let text = try optionalText(name) else { return nil }
        guard let choice = Choice(rawValue: text) else {
            throw wrong(name, "must be one of " + Choice.allCases.map { $0.rawValue }.joined(separator: ", "))
        }
        return choice
    }

    func wrong(_ name: String, _ what: String) -> RpcError {
        RpcError(.invalidParams, "\"\(name)\" \(what)", ["parameter": .string(name)])
    }

    /// Null is as good as nothing.
    private mutating func value(_ name: String) -> JsonValue? {
        taken.insert(Array(name.utf8))
        let value = object[name]
        return value == .null ? nil : value
    }

    private func required<Value>(_ name: String, _ value: Value?) throws(RpcError) -> Value {
        guard let value else { throw wrong(name, "is missing") }
        return value
    }
}
