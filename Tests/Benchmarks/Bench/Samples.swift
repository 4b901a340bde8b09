// Figures and the table.

/// Durations of one thing, in nanoseconds.
struct Samples {
    private var values: [UInt64] = []

    var count: Int { values.count }
    var isEmpty: Bool { values.isEmpty }

    mutating func append(_ value: UInt64) { values.append(value) }

    /// Microseconds below which a part of the samples lies.
    func microseconds(at quantile: Double) -> Double {
        let sorted = values.sorted()
        if sorted.isEmpty { return 0 }
        return Double(sorted[min(sorted.count - 1, Int(quantile * Double(sorted.count)))]) / 1000
    }

    var minimum: Double { microseconds(at: 0) }
    var median: Double { microseconds(at: 0.5) }
    var high: Double { microseconds(at: 0.9) }

    /// The position of a sample in the middle.
    var middle: Int? {
        let sorted = values.enumerated().sorted { $0.element < $1.element }
        return sorted.isEmpty ? nil : sorted[sorted.count / 2].offset
    }
}

/// A line of the table.
struct Row {
    var what: String
    var value: Double
    var unit = "µs"
    var spread: (minimum: Double, high: Double)?
    /// The figure in relation to its reference.
    var ratio: Double?
    /// The most that the ratio, or without one the value, may be.
    var target: Double?

    var verdict: String {
        guard let target else { return "" }
        return (ratio ?? value) <= target ? "PASS" : "MISS"
    }

    init(_ what: String, _ samples: Samples, reference: Samples? = nil, target: Double? = nil) {
        self.what = what
        value = samples.median
        spread = (samples.minimum, samples.high)
        if let reference, reference.median > 0 { ratio = samples.median / reference.median }
        self.target = target
    }

    init(_ what: String, _ value: Double, _ unit: String, target: Double? = nil) {
        self.what = what
        self.value = value
        self.unit = unit
        self.target = target
    }
}

/// A number with so many digits after the point; the standard library formats none.
func decimal(_ value: Double, _ digits: Int = 0) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = Int64((value * scale).rounded())
    if digits == 0 { return "\(scaled)" }
    let fraction = String(scaled.magnitude % UInt64(scale))
    return (scaled < 0 ? "-" : "") + "\(scaled.magnitude / UInt64(scale))."
        + String(repeating: "0", count: digits - fraction.count) + fraction
}

func padded(_ text: String, _ width: Int, right: Bool = false) -> String {
    let fill = String(repeating: " ", count: max(0, width - text.count))
    return right ? fill + text : text + fill
}

extension [Row] {
    /// What people read; it is Markdown too.
    var table: String {
        var lines = [["what", "median", "min … p90", "ratio", "target", ""]]
        for row in self {
            let digits = row.unit == "MB" ? 2 : 0
            lines.append([
                row.what, decimal(row.value, digits) + " " + row.unit,
                row.spread.map { decimal($0.minimum) + " … " + decimal($0.high) } ?? "",
                row.ratio.map { decimal($0, 2) } ?? "", row.target.map { "≤ " + decimal($0, $0 == 0 ? 0 : 1) } ?? "",
                row.verdict,
            ])
        }
        let widths = (0..<6).map { column in lines.map { $0[column].count }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            "| "
                + cells.enumerated().map { padded($1, widths[$0], right: (1...4).contains($0)) }.joined(
                    separator: " | ")
                + " |"
        }
        let rule = "|" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "|") + "|"
        return ([line(lines[0]), rule] + lines.dropFirst().map(line)).joined(separator: "\n") + "\n"
    }

    /// One object, for programs.
    func json(machine: String, failures: [String]) -> String {
        func quoted(_ text: String) -> String {
            "\"" + text.flatMap { "\"\\".contains($0) ? ["\\", $0] : [$0] } + "\""
        }
        let rows = map { row in
            var fields = [
                "\"what\": \(quoted(row.what))", "\"value\": \(decimal(row.value, 3))", "\"unit\": \(quoted(row.unit))",
            ]
            if let spread = row.spread {
                fields.append("\"min\": \(decimal(spread.minimum, 3)), \"p90\": \(decimal(spread.high, 3))")
            }
            if let ratio = row.ratio { fields.append("\"ratio\": \(decimal(ratio, 4))") }
            if let target = row.target {
                fields.append("\"target\": \(decimal(target, 2)), \"met\": \(row.verdict == "PASS")")
            }
            return "    {" + fields.joined(separator: ", ") + "}"
        }
        return "{\n  \"machine\": \(quoted(machine)),\n  \"rows\": [\n" + rows.joined(separator: ",\n") + "\n  ],\n"
            + "  \"failures\": [" + failures.map(quoted).joined(separator: ", ") + "]\n}\n"
    }
}
