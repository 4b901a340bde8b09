// Decimal numbers as increment reads them: only what such a number prints as, so that reading and writing agree.

/// The number, or nil for anything else: signs of plus, zeros in front, spaces, `-0`, more than 64 bits.
func decimal(_ bytes: [UInt8]) -> Int64? {
    guard bytes.count <= 20 else { return nil }
    let isNegative = bytes.first == UInt8(ascii: "-")
    let digits = bytes.dropFirst(isNegative ? 1 : 0)
    guard let first = digits.first, first != UInt8(ascii: "0") || bytes.count == 1 else { return nil }
    var value: Int64 = 0
    for digit in digits {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
        // Below zero from the start, since that side reaches one further.
        let (tens, tooLong) = value.multipliedReportingOverflow(by: 10)
        let (sum, tooLarge) = tens.subtractingReportingOverflow(Int64(digit - UInt8(ascii: "0")))
        if tooLong || tooLarge { return nil }
        value = sum
    }
    if isNegative { return value }
    return value == .min ? nil : -value
}
