// Metrics as Prometheus reads them: text format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/). It only writes; the socket is somebody else's.

/// The media type of the text, for a Content-Type header.
public let prometheusMediaType = "text/plain; version=0.0.4; charset=utf-8"

/// Writes instruments one after the other.
public struct PrometheusText: Sendable {
    /// What was written: each line ends with a newline.
    public private(set) var text = ""

    /// Nothing yet.
    public init() {}

    /// Adds a counter.
    public mutating func add(_ counter: Counter) {
        begin(counter.name, "counter")
        for (values, count) in counter.series.sorted {
            sample(counter.name.name, counter.series.labels, values, String(count))
        }
    }

    /// Adds a gauge.
    public mutating func add(_ gauge: Gauge) {
        begin(gauge.name, "gauge")
        for (values, value) in gauge.series.sorted {
            sample(gauge.name.name, gauge.series.labels, values, Self.number(value))
        }
    }

    /// Adds a histogram: its buckets, each with all that is in those before it, and sum and count.
    public mutating func add(_ histogram: Histogram) {
        let name = histogram.name.name, labels = histogram.series.labels
        begin(histogram.name, "histogram")
        for (values, counts) in histogram.series.sorted {
            var total: UInt64 = 0
            for (bound, count) in zip(histogram.bounds.map(Self.number) + ["+Inf"], counts.buckets) {
                total += count
                sample(name + "_bucket", labels + ["le"], values + [bound], String(total))
            }
            sample(name + "_sum", labels, values, Self.number(counts.sum))
            sample(name + "_count", labels, values, String(total))
        }
    }

    private mutating func begin(_ name: InstrumentName, _ type: String) {
        text += "# HELP \(name.name) \(Self.escaped(name.help, quotes: false))\n# TYPE \(name.name) \(type)\n"
    }

    private mutating func sample(_ name: String, _ labels: [String], _ values: [String], _ value: String) {
        text += name
        if !labels.isEmpty {
            text += "{"
            text += zip(labels, values).map { $0 + "=\"" + Self.escaped($1, quotes: true) + "\"" }.joined(
                separator: ",")
            text += "}"
        }
        text += " " + value + "\n"
    }

    /// Backslashes and line breaks, and, in a label's value, quotes. Scalar by scalar: a quote with a combining mark behind
    /// it is one character to Swift, and still ends the value for the reader.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// As Go's ParseFloat takes it.
    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value), whole.magnitude < 1 << 53 { return String(whole) }
        return value.description
    }
}
