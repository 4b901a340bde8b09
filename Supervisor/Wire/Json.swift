// JSON values (RFC 8259) and their text.

/// A value.
public indirect enum JsonValue: Sendable, Equatable {
    /// `null`
    case null
    /// `true` or `false`
    case bool(Bool)
    /// A whole number.
    case number(Int64)
    /// A whole number that is too large for the other kind, or is never negative.
    case count(UInt64)
    /// Any other number. One that is not finite is written as `null`: JSON has no word for it.
    case real(Double)
    /// A text.
    case string(String)
    /// Values in order.
    case array([JsonValue])
    /// Names and values.
    case object(JsonObject)

    /// Texts are compared by bytes: ids and names that Unicode calls equal are still two.
    public static func == (first: JsonValue, second: JsonValue) -> Bool {
        switch (first, second) {
        case (.null, .null): true
        case (.bool(let mine), .bool(let theirs)): mine == theirs
        case (.number(let mine), .number(let theirs)): mine == theirs
        case (.count(let mine), .count(let theirs)): mine == theirs
        case (.real(let mine), .real(let theirs)): mine == theirs
        case (.string(let mine), .string(let theirs)): mine.utf8.elementsEqual(theirs.utf8)
        case (.array(let mine), .array(let theirs)): mine == theirs
        case (.object(let mine), .object(let theirs)): mine == theirs
        default: false
        }
    }

    /// As text.
    public var serialized: String {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Adds its text, in UTF-8, to bytes: joining strings costs several times as much.
    fileprivate func write(to bytes: inout [UInt8]) {
        switch self {
        case .null: bytes += "null".utf8
        case .bool(let value): bytes += (value ? "true" : "false").utf8
        case .number(let value): bytes += String(value).utf8
        case .count(let value): bytes += String(value).utf8
        case .real(let value): bytes += (value.isFinite ? value.description : "null").utf8
        case .string(let value): Self.quote(value, to: &bytes)
        case .array(let values):
            bytes.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                value.write(to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let object): object.write(to: &bytes)
        }
    }

    /// Quotes what the RFC demands, and also DEL and C1 controls and line separators: a report that is
    /// printed must not command the terminal it is printed on.
    fileprivate static func quote(_ value: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        defer { bytes.append(UInt8(ascii: "\"")) }
        let start = bytes.count
        bytes += value.utf8
        // Most texts have nothing to quote.
        if bytes[start...].allSatisfy({
            (0x20..<0x7F).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
        }) {
            return
        }
        bytes.removeSubrange(start...)
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": bytes += "\\\"".utf8
            case "\\": bytes += "\\\\".utf8
            case "\n": bytes += "\\n".utf8
            case "\t": bytes += "\\t".utf8
            case "\r": bytes += "\\r".utf8
            default:
                if scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
                    || (0x2028...0x2029).contains(scalar.value)
                {
                    let digits = String(scalar.value, radix: 16)
                    bytes += ("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8
                } else {
                    if let encoded = UTF8.encode(scalar) { bytes += encoded }
                }
            }
        }
    }
}

/// An object whose members keep their order.
public struct JsonObject: Sendable, Equatable, ExpressibleByDictionaryLiteral {
    private struct Member: Sendable, Equatable {
        var name: String
        var value: JsonValue

        static func == (first: Member, second: Member) -> Bool {
            first.name.utf8.elementsEqual(second.name.utf8) && first.value == second.value
        }
    }

    private var members: [Member] = []

    /// An object without members.
    public init() {}

    /// An object with these members, in this order. A name may come only once.
    public init(dictionaryLiteral members: (String, JsonValue)...) {
        self.members = members.map { Member(name: $0.0, value: $0.1) }
    }

    /// A member's value. Names are compared by bytes: to Swift's strings `;` and the Greek question mark are one.
    public subscript(name: String) -> JsonValue? {
        members.first { $0.name.utf8.elementsEqual(name.utf8) }?.value
    }

    /// Names in order.
    public var names: [String] { members.map(\.name) }

    /// All of it in order.
    public var pairs: [(name: String, value: JsonValue)] { members.map { (name: $0.name, value: $0.value) } }

    /// Adds a member at the end; its name must be new.
    public mutating func add(_ name: String, _ value: JsonValue) { members.append(Member(name: name, value: value)) }

    /// Puts another value in the place of one, or adds it.
    public mutating func replace(_ name: String, _ value: JsonValue) {
        guard let index = members.firstIndex(where: { $0.name.utf8.elementsEqual(name.utf8) }) else {
            return add(name, value)
        }
        members[index].value = value
    }

    /// As text.
    public var text: String {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Adds it to a text.
    public func write(to text: inout String) { text += self.text }

    /// Adds its text, in UTF-8, to bytes.
    public func write(to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "{"))
        for (index, member) in members.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            JsonValue.quote(member.name, to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            member.value.write(to: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
    }
}
