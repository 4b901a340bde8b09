// Counters, gauges and histograms as plain values, in series by their labels. Nothing is shared and nothing is timed here:
// the event loop holds them and adds to them.

/// The values of an instrument's labels. Compared by bytes: to Swift's strings `;` and the Greek question mark are one.
struct LabelValues: Hashable, Sendable {
    var values: [String]

    static func == (first: LabelValues, second: LabelValues) -> Bool {
        first.values.elementsEqual(second.values) { $0.utf8.elementsEqual($1.utf8) }
    }

    func hash(into hasher: inout Hasher) {
        for value in values {
            for byte in value.utf8 { hasher.combine(byte) }
            hasher.combine(UInt8(0xFF))
        }
    }
}

/// One value for each combination of label values. There are at most 256: whoever chooses label values must not be able to fill
/// the memory, so what would be one more is counted where each label is `other`.
struct Series<Value: Sendable>: Sendable {
    let labels: [String]
    private(set) var values: [LabelValues: Value]
    private let first: Value
    private static var most: Int { 256 }

    init(labels: [String], first: Value) {
        self.labels = labels
        self.first = first
        // What has no labels is there from the start, so that a rate can be taken of it.
        values = labels.isEmpty ? [LabelValues(values: []): first] : [:]
    }

    /// Too few label values are empty ones, too many are left out.
    mutating func update(_ given: [String], _ change: (inout Value) -> Void) {
        var key = LabelValues(values: Array(given.prefix(labels.count)))
        while key.values.count < labels.count { key.values.append("") }
        if values.count >= Self.most, values[key] == nil {
            key = LabelValues(values: labels.map { _ in "other" })
        }
        let empty = first
        change(&values[key, default: empty])
    }

    /// In an order that stays.
    var sorted: [(values: [String], value: Value)] {
        values.map { ($0.key.values, $0.value) }.sorted { first, second in
            first.0.lexicographicallyPrecedes(second.0) { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
    }
}

/// What an instrument is called. Names are `[a-zA-Z_:][a-zA-Z0-9_:]*`, those of labels without the colon.
public struct InstrumentName: Sendable, Hashable {
    /// Its name; of a counter it ends with `_total`.
    public var name: String
    /// A sentence for people.
    public var help: String

    /// A name and a sentence.
    public init(_ name: String, _ help: String) {
        self.name = name
        self.help = help
    }
}

/// A number that only grows.
public struct Counter: Sendable {
    /// What it is called.
    public let name: InstrumentName
    private(set) var series: Series<UInt64>

    /// A counter at 0.
    public init(_ name: InstrumentName, labels: [String] = []) {
        self.name = name
        series = Series(labels: labels, first: 0)
    }

    /// Adds to it; label values come in the order of the labels. It stays at the largest number rather than begin anew.
    public mutating func add(_ count: UInt64 = 1, _ labels: String...) {
        series.update(labels) { value in
            let (sum, isOver) = value.addingReportingOverflow(count)
            value = isOver ? .max : sum
        }
    }

    /// What it has come to.
    public func value(_ labels: String...) -> UInt64 { series.values[LabelValues(values: labels)] ?? 0 }
}

/// A number that goes up and down.
public struct Gauge: Sendable {
    /// What it is called.
    public let name: InstrumentName
    private(set) var series: Series<Double>

    /// A gauge at 0.
    public init(_ name: InstrumentName, labels: [String] = []) {
        self.name = name
        series = Series(labels: labels, first: 0)
    }

    /// Sets it.
    public mutating func set(_ value: Double, _ labels: String...) { series.update(labels) { $0 = value } }

    /// Adds to it, or takes from it.
    public mutating func add(_ change: Double, _ labels: String...) { series.update(labels) { $0 += change } }

    /// What it is.
    public func value(_ labels: String...) -> Double { series.values[LabelValues(values: labels)] ?? 0 }
}

/// How often a measure fell within which bounds.
public struct Histogram: Sendable {
    struct Counts: Sendable {
        /// For each bound those that were at most that, and more than the one before; at the end those above all of them.
        var buckets: [UInt64]
        var sum = 0.0
    }

    /// What it is called.
    public let name: InstrumentName
    /// Upper bounds, in order; the one without a bound is added.
    public let bounds: [Double]
    private(set) var series: Series<Counts>

    /// Bounds for times of requests and short commands, in seconds: 100 µs to 10 s.
    public static let requestSeconds = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 10,
    ]
    /// Bounds for times of commands, in seconds: 5 ms to an hour.
    public static let commandSeconds = [
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600,
    ]

    /// An empty histogram. Bounds that are not numbers, or come twice, are left out.
    public init(_ name: InstrumentName, bounds: [Double], labels: [String] = []) {
        self.name = name
        let bounds = Set(bounds.filter(\.isFinite)).sorted()
        self.bounds = bounds
        series = Series(labels: labels, first: Counts(buckets: Array(repeating: 0, count: bounds.count + 1)))
    }

    /// Adds a measure. What is not a number is left out.
    public mutating func observe(_ measure: Double, _ labels: String...) {
        guard !measure.isNaN else { return }
        let place = bounds.firstIndex { measure <= $0 } ?? bounds.count
        series.update(labels) { counts in
            counts.buckets[place] += 1
            counts.sum += measure
        }
    }
}
