// Reading JSON (RFC 8259), strictly: what is not JSON is an error, and so are a name that comes twice and what is nested
// too deeply. The bytes may be hostile.

/// Why a text is not JSON.
public struct JsonError: Error, Sendable, Hashable {
    /// For people.
    public var message: String
    /// The byte at which that was seen.
    public var offset: Int
}

extension JsonValue {
    /// Reads one value and nothing else.
    ///
    /// - Throws: ``JsonError`` for whatever RFC 8259 does not allow, a name that comes twice in an object, numbers beyond the
    ///   range of a double, and more than 64 arrays and objects inside of one another.
    public init(parsing bytes: some Collection<UInt8>) throws(JsonError) {
        var reader = JsonReader(bytes: Array(bytes))
        self = try reader.document()
    }

    /// The text of a string.
    public var text: String? {
        if case .string(let text) = self { return text }
        return nil
    }

    /// The truth of a boolean.
    public var truth: Bool? {
        if case .bool(let truth) = self { return truth }
        return nil
    }

    /// A whole number that fits.
    public var whole: Int64? {
        switch self {
        case .number(let value): value
        case .count(let value): Int64(exactly: value)
        default: nil
        }
    }

    /// A whole number that is not negative.
    public var unsigned: UInt64? {
        switch self {
        case .number(let value): UInt64(exactly: value)
        case .count(let value): value
        default: nil
        }
    }

    /// The members of an object.
    public var members: JsonObject? {
        if case .object(let object) = self { return object }
        return nil
    }

    /// The elements of an array.
    public var elements: [JsonValue]? {
        if case .array(let values) = self { return values }
        return nil
    }

    /// The elements of an array of strings.
    public var texts: [String]? {
        guard case .array(let values) = self else { return nil }
        let texts = values.compactMap(\.text)
        return texts.count == values.count ? texts : nil
    }
}

private struct JsonReader {
    private static let deepest = 64

    let bytes: [UInt8]
    private var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(JsonError) -> JsonValue {
        let value = try value(depth: 0)
        skipSpace()
        guard at == bytes.count else { throw failure("something follows the value") }
        return value
    }

    private func failure(_ message: String) -> JsonError { JsonError(message: message, offset: at) }

    private var current: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { at += 1 }
    }

    private mutating func take(_ text: StaticString) -> Bool {
        let wanted = text.withUTF8Buffer { unsafe Array($0) }
        guard bytes[at...].starts(with: wanted) else { return false }
        at += wanted.count
        return true
    }

    private mutating func value(depth: Int) throws(JsonError) -> JsonValue {
        skipSpace()
        if depth == Self.deepest, current == UInt8(ascii: "{") || current == UInt8(ascii: "[") {
            throw failure("it is nested too deeply")
        }
        switch current {
        case UInt8(ascii: "{"): return .object(try object(depth: depth))
        case UInt8(ascii: "["): return .array(try array(depth: depth))
        case UInt8(ascii: "\""): return .string(try string())
        default:
            if take("true") { return .bool(true) }
            if take("false") { return .bool(false) }
            if take("null") { return .null }
            return try number()
        }
    }

    private mutating func object(depth: Int) throws(JsonError) -> JsonObject {
        at += 1
        var object = JsonObject()
        var names: Set<[UInt8]> = []
        skipSpace()
        if take("}") { return object }
        while true {
            skipSpace()
            guard current == UInt8(ascii: "\"") else { throw failure("a name is expected") }
            let name = try string()
            guard names.insert(Array(name.utf8)).inserted else { throw failure("a name comes twice") }
            skipSpace()
            guard take(":") else { throw failure("a colon is expected") }
            object.add(name, try value(depth: depth + 1))
            skipSpace()
            if take("}") { return object }
            guard take(",") else { throw failure("a comma or a brace is expected") }
        }
    }

    private mutating func array(depth: Int) throws(JsonError) -> [JsonValue] {
        at += 1
        var values: [JsonValue] = []
        skipSpace()
        if take("]") { return values }
        while true {
            values.append(try value(depth: depth + 1))
            skipSpace()
            if take("]") { return values }
            guard take(",") else { throw failure("a comma or a bracket is expected") }
        }
    }

    private mutating func number() throws(JsonError) -> JsonValue {
        let start = at
        if current == UInt8(ascii: "-") { at += 1 }
        let whole = at
        guard skipDigits(), at == whole + 1 || bytes[whole] != UInt8(ascii: "0") else {
            throw failure("a value is expected")
        }
        var isWhole = true
        if current == UInt8(ascii: ".") {
            isWhole = false
            at += 1
            guard skipDigits() else { throw failure("a digit is expected") }
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            isWhole = false
            at += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { at += 1 }
            guard skipDigits() else { throw failure("a digit is expected") }
        }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        if isWhole, let value = Int64(text), value != 0 || start == whole { return .number(value) }
        if isWhole, start == whole, let value = UInt64(text) { return .count(value) }
        guard let value = Double(text), value.isFinite else { throw failure("a number is too large") }
        return .real(value)
    }

    /// False where there is none.
    private mutating func skipDigits() -> Bool {
        let start = at
        while let byte = current, (0x30...0x39).contains(byte) { at += 1 }
        return at > start
    }

    private mutating func string() throws(JsonError) -> String {
        at += 1
        let start = at
        // Most strings have no escapes.
        while let byte = current, byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { at += 1 }
        if current == UInt8(ascii: "\"") { return try text(bytes[start..<at]) }
        var value = Array(bytes[start..<at])
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""): return try text(value[...])
            case UInt8(ascii: "\\"):
                at += 1
                value += try escape()
            case 0..<0x20: throw failure("a control character in a string")
            default:
                value.append(byte)
                at += 1
            }
        }
        throw failure("a string without an end")
    }

    private mutating func text(_ value: ArraySlice<UInt8>) throws(JsonError) -> String {
        guard let text = String(validating: value, as: UTF8.self) else { throw failure("a string is not UTF-8") }
        at += 1
        return text
    }

    private mutating func escape() throws(JsonError) -> [UInt8] {
        guard let letter = current else { throw failure("a string without an end") }
        at += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [letter]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"):
            var code = try unit()
            if (0xD800..<0xDC00).contains(code) {
                guard take("\\u") else { throw failure("half of a surrogate pair") }
                let low = try unit()
                guard (0xDC00..<0xE000).contains(low) else { throw failure("half of a surrogate pair") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw failure("half of a surrogate pair") }
            return UTF8.encode(scalar).map(Array.init) ?? []
        default: throw failure("an unknown escape")
        }
    }

    private mutating func unit() throws(JsonError) -> UInt32 {
        let digits = bytes[at...].prefix(4)
        // Digits alone: Swift's own reader takes a sign too.
        guard digits.count == 4, digits.allSatisfy({ "0123456789abcdefABCDEF".utf8.contains($0) }),
            let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw failure("an escape needs four digits") }
        at += 4
        return value
    }
}
