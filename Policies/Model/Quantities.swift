// Sizes and durations as people write them, and back.

/// Thousandths of a second.
public typealias Milliseconds = UInt64

/// Bytes of a size such as `"512M"`: a whole number, alone or with K, M, G or T (powers of 1024, either case).
///
/// - Throws: ``InvalidValue`` for anything else, and for what does not fit into 63 bits (`off_t`).
public func parseSize(_ text: String) throws(InvalidValue) -> UInt64 {
    let remedy = "write a whole number of bytes, or one with K, M, G or T, such as \"512M\""
    let (digits, unit) = splitNumber(text)
    let shift: UInt64
    switch unit {
    case "": shift = 0
    case "K", "k": shift = 10
    case "M", "m": shift = 20
    case "G", "g": shift = 30
    case "T", "t": shift = 40
    default: throw InvalidValue("\(quoted(text)) is not a size", remedy: remedy)
    }
    guard !digits.isEmpty else { throw InvalidValue("\(quoted(text)) is not a size", remedy: remedy) }
    guard let value = scaled(digits, by: 1 << shift, limit: UInt64(Int64.max)) else {
        throw InvalidValue("\(quoted(text)) is too large a size", remedy: remedy)
    }
    return value
}

/// Milliseconds of a duration such as `"300s"`: a whole number with ms, s, m or h.
///
/// - Throws: ``InvalidValue`` for anything else, and for more than 292 years (so that it fits in nanoseconds).
public func parseDuration(_ text: String) throws(InvalidValue) -> Milliseconds {
    let remedy = "write a whole number with ms, s, m or h, such as \"300s\""
    let (digits, unit) = splitNumber(text)
    let factor: UInt64? =
        switch unit {
        case "ms": 1
        case "s": 1000
        case "m": 60_000
        case "h": 3_600_000
        default: nil
        }
    guard !digits.isEmpty, let factor else {
        let reason = !digits.isEmpty && unit.isEmpty ? "has no unit" : "is not a duration"
        throw InvalidValue("\(quoted(text)) \(reason)", remedy: remedy)
    }
    guard let value = scaled(digits, by: factor, limit: UInt64(Int64.max) / 1_000_000) else {
        throw InvalidValue("\(quoted(text)) is too long a duration", remedy: remedy)
    }
    return value
}

/// A size as ``parseSize(_:)`` reads it, with the largest unit that divides it.
public func formatSize(_ bytes: UInt64) -> String {
    for (unit, shift) in [("T", 40), ("G", 30), ("M", 20), ("K", 10)] as [(String, UInt64)] {
        let factor: UInt64 = 1 << shift
        if bytes >= factor, bytes % factor == 0 { return "\(bytes / factor)\(unit)" }
    }
    return "\(bytes)"
}

/// A duration as ``parseDuration(_:)`` reads it, in seconds where that is exact.
public func formatDuration(_ milliseconds: Milliseconds) -> String {
    milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
}

private func splitNumber(_ text: String) -> (digits: Substring.UTF8View, unit: String) {
    let digits = text.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    let unit = text.utf8[digits.endIndex...]
    // To Swift the Kelvin sign equals K, so what is not ASCII is kept from any comparison.
    return (digits, unit.allSatisfy { $0 < 0x80 } ? String(text[digits.endIndex...]) : "?")
}

private func scaled(_ digits: Substring.UTF8View, by factor: UInt64, limit: UInt64) -> UInt64? {
    var value: UInt64 = 0
    for digit in digits {
        let (tens, carried) = value.multipliedReportingOverflow(by: 10)
        let (sum, overflowed) = tens.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
        if carried || overflowed { return nil }
        value = sum
    }
    let (product, overflowed) = value.multipliedReportingOverflow(by: factor)
    return overflowed || product > limit ? nil : product
}
