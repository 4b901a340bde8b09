// Base64, in which bytes stand in JSON.

/// Base64 (RFC 4648, section 4).
public func base64(_ bytes: [UInt8]) -> String {
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

/// The bytes that a text of Base64 stands for; nil for what is none: padding is demanded, and bits that mean nothing must be 0
/// (RFC 4648, section 3.5).
public func base64Decoded(_ text: String) -> [UInt8]? {
    let input = Array(text.utf8)
    guard input.count.isMultiple(of: 4) else { return nil }
    var result: [UInt8] = []
    result.reserveCapacity(input.count / 4 * 3)
    for start in stride(from: 0, to: input.count, by: 4) {
        let group = input[start..<start + 4]
        let padding = start + 4 == input.count ? group.reversed().prefix { $0 == UInt8(ascii: "=") }.count : 0
        guard padding <= 2 else { return nil }
        var value: UInt32 = 0
        for digit in group.dropLast(padding) {
            guard let bits = base64Value(digit) else { return nil }
            value = value << 6 | bits
        }
        value <<= 6 * UInt32(padding)
        guard value & (padding == 0 ? 0 : padding == 1 ? 0xFF : 0xFFFF) == 0 else { return nil }
        for shift in [16, 8, 0].prefix(3 - padding) { result.append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
    }
    return result
}

private func base64Value(_ digit: UInt8) -> UInt32? {
    switch digit {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
}
