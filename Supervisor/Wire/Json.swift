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
        var text = ""
        write(to: &text)
        return text
    }

    fileprivate func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .number(let value): text += String(value)
        case .count(let value): text += String(value)
        case .real(let value): text += value.isFinite ? value.description : "null"
        case .string(let value): Self.quote(value, to: &text)
        case .array(let values):
            text += "["
            for (index, value) in values.enumerated() {
                if index > 0 { text += "," }
                value.write(to: &text)
            }
            text += "]"
        case .object(let object): object.write(to: &text)
        }
    }

    /// Quotes what the RFC demands, and also DEL and C1 controls and line separators: a report that is
    /// printed must not command the terminal it is printed on.
    private static func quote(_ value: String, to text: inout String) {
        text += "\""
        if value.utf8.allSatisfy({ (0x20..<0x7F).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
        {
            // Most texts have nothing to quote.
            text += value
            text += "\""
            return
        }
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\t": text += "\\t"
            case "\r": text += "\\r"
            default:
                if scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
                    || (0x2028...0x2029).contains(scalar.value)
                {
                    let digits = String(scalar.value, radix: 16)
                    text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    text.unicodeScalars.append(scalar)
                }
            }
        }
        text += "\""
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
        var text = ""
        write(to: &text)
        return text
    }

    /// Adds it to a text.
    public func write(to text: inout String) {
        text += "{"
        for (index, member) in members.enumerated() {
            if index > 0 { text += "," }
            JsonValue.string(member.name).write(to: &text)
            text += ":"
            member.value.write(to: &text)
        }
        text += "}"
    }
}
