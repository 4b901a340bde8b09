// Writing JSON (RFC 8259).

/// A value.
indirect enum JsonValue {
    case null
    case bool(Bool)
    case number(Int64)
    case count(UInt64)
    case string(String)
    case array([JsonValue])
    case object(JsonObject)

    /// As text.
    var serialized: String {
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
struct JsonObject {
    private var members: [(String, JsonValue)] = []

    /// A member's value.
    subscript(name: String) -> JsonValue? { members.first { $0.0 == name }?.1 }

    /// Names in order.
    var names: [String] { members.map(\.0) }

    mutating func add(_ name: String, _ value: JsonValue) { members.append((name, value)) }

    var text: String {
        var text = ""
        write(to: &text)
        return text
    }

    func write(to text: inout String) {
        text += "{"
        for (index, member) in members.enumerated() {
            if index > 0 { text += "," }
            JsonValue.string(member.0).write(to: &text)
            text += ":"
            member.1.write(to: &text)
        }
        text += "}"
    }
}

/// RFC 4648, section 4.
func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var result: [UInt8] = []
    result.reserveCapacity((bytes.count + 2) / 3 * 4)
    var index = 0
    while index < bytes.count {
        let group = bytes[index..<min(index + 3, bytes.count)]
        let value = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
        for position in 0..<4 {
            let digit = alphabet[Int(value >> (18 - 6 * UInt32(position)) & 63)]
            result.append(position <= group.count ? digit : UInt8(ascii: "="))
        }
        index += 3
    }
    return String(decoding: result, as: UTF8.self)
}
