// What Prometheus reads, by a strict reader of the format, and by Prometheus' own client for Python where that is installed.
import Foundation
import Metrics
import TestSupport
import Testing

/// A family of samples.
private struct Family {
    var help = ""
    var type = ""
    var samples: [(name: String, labels: [(String, String)], value: Double)] = []
}

private struct Malformed: Error {
    var line: String
}

/// Text format 0.0.4, and nothing that it does not have.
private struct Reader {
    private var rest: Substring.UnicodeScalarView = Substring("").unicodeScalars

    static func families(_ text: String) throws -> [(String, Family)] {
        guard text.unicodeScalars.last == "\n" else { throw Malformed(line: "no newline at the end") }
        var found: [(String, Family)] = []
        var scanner = Reader()
        for line in text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            scanner.rest = line
            if line.starts(with: "# HELP ".unicodeScalars) {
                scanner.rest.removeFirst(7)
                let name = try scanner.name(colons: true)
                try scanner.take(" ")
                guard !found.contains(where: { $0.0 == name }) else { throw Malformed(line: String(line)) }
                found.append((name, Family(help: try scanner.escaped(until: nil))))
            } else if line.starts(with: "# TYPE ".unicodeScalars) {
                scanner.rest.removeFirst(7)
                let name = try scanner.name(colons: true)
                try scanner.take(" ")
                let type = String(scanner.rest)
                guard ["counter", "gauge", "histogram"].contains(type), found.last?.0 == name else {
                    throw Malformed(line: String(line))
                }
                found[found.count - 1].1.type = type
            } else {
                let sample = try scanner.sample()
                guard let last = found.last, !last.1.type.isEmpty else { throw Malformed(line: String(line)) }
                let ends = last.1.type == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
                guard ends.contains(where: { sample.name == last.0 + $0 }),
                    !last.1.samples.contains(where: {
                        $0.name == sample.name && $0.labels.elementsEqual(sample.labels, by: ==)
                    })
                else { throw Malformed(line: String(line)) }
                found[found.count - 1].1.samples.append(sample)
            }
        }
        return found
    }

    private mutating func take(_ scalar: Unicode.Scalar) throws {
        guard rest.popFirst() == scalar else { throw Malformed(line: "\(scalar) expected before \(String(rest))") }
    }

    private mutating func name(colons: Bool) throws -> String {
        func fits(_ scalar: Unicode.Scalar, first: Bool) -> Bool {
            switch scalar {
            case "a"..."z", "A"..."Z", "_": true
            case "0"..."9": !first
            case ":": colons
            default: false
            }
        }
        var name = String.UnicodeScalarView()
        while let scalar = rest.first, fits(scalar, first: name.isEmpty) {
            name.append(scalar)
            rest.removeFirst()
        }
        guard !name.isEmpty else { throw Malformed(line: "a name expected before \(String(rest))") }
        return String(name)
    }

    private mutating func escaped(until end: Unicode.Scalar?) throws -> String {
        var text = String.UnicodeScalarView()
        while let scalar = rest.first, scalar != end {
            rest.removeFirst()
            guard scalar == "\\" else {
                text.append(scalar)
                continue
            }
            switch rest.popFirst() {
            case "\\": text.append("\\")
            case "n": text.append("\n")
            case "\"" where end != nil: text.append("\"")
            default: throw Malformed(line: "an unknown escape")
            }
        }
        return String(text)
    }

    private mutating func sample() throws -> (name: String, labels: [(String, String)], value: Double) {
        let name = try name(colons: true)
        var labels: [(String, String)] = []
        if rest.first == "{" {
            repeat {
                rest.removeFirst()
                let label = try self.name(colons: false)
                try take("=")
                try take("\"")
                labels.append((label, try escaped(until: "\"")))
                try take("\"")
            } while rest.first == ","
            try take("}")
        }
        try take(" ")
        let text = String(rest)
        if text == "+Inf" { return (name, labels, .infinity) }
        if text == "-Inf" { return (name, labels, -.infinity) }
        if text == "NaN" { return (name, labels, .nan) }
        guard let value = Double(text), text.allSatisfy({ "0123456789+-.e".contains($0) }) else {
            throw Malformed(line: text)
        }
        return (name, labels, value)
    }
}

@Suite struct PrometheusTests {
    private func full() -> SupervisorMetrics {
        var metrics = SupervisorMetrics()
        metrics.sessions.add(3)
        metrics.sessions.add(-1)
        metrics.commands.add(1, "exited")
        metrics.commands.add(2, "timeout")
        metrics.requests.add(1, "command.run", "ok")
        metrics.requests.add(1, "we\"ird\\\n\u{301}", "err;or")
        metrics.outputBytes.add(1 << 62)
        metrics.memory.set(8_680_000)
        for seconds in [0.0001, 0.004, 0.005, 0.0051, 7, 100_000] { metrics.commandSeconds.observe(seconds) }
        metrics.requestSeconds.observe(.nan)
        return metrics
    }

    @Test func everythingIsReadBack() throws {
        let families = try Reader.families(full().text)
        let byName = Dictionary(uniqueKeysWithValues: families)
        #expect(families.allSatisfy { !$0.1.help.isEmpty && !$0.1.samples.isEmpty || !$0.1.type.isEmpty })
        for name in [
            "cordon_sessions", "cordon_commands_total", "cordon_command_seconds", "cordon_requests_total",
            "cordon_request_seconds", "cordon_cache_hits_total", "cordon_output_bytes_total", "cordon_denials_total",
            "cordon_memory_bytes",
        ] { #expect(byName[name] != nil, "\(name)") }
        for (name, family) in families { #expect((family.type == "counter") == name.hasSuffix("_total")) }
        #expect(byName["cordon_sessions"]?.samples.map(\.value) == [2])
        let commands = try #require(byName["cordon_commands_total"])
        #expect(commands.samples.map(\.value) == [1, 2] && commands.samples[1].labels[0].1 == "timeout")
        let requests = try #require(byName["cordon_requests_total"])
        let odd = requests.samples[1].labels.map { Array($0.1.unicodeScalars) }
        #expect(odd == [Array("we\"ird\\\n\u{301}".unicodeScalars), Array("err;or".unicodeScalars)])
        #expect(byName["cordon_output_bytes_total"]?.samples.first?.value == Double(1 << 62))
    }

    @Test func histograms() throws {
        let families = Dictionary(uniqueKeysWithValues: try Reader.families(full().text))
        let samples = try #require(families["cordon_command_seconds"]).samples
        let buckets = samples.filter { $0.name.hasSuffix("_bucket") }
        #expect(buckets.map { $0.labels[0].1 }.last == "+Inf")
        #expect(buckets.first?.labels[0].1 == "0.005" && buckets.first?.value == 3)
        #expect(zip(buckets, buckets.dropFirst()).allSatisfy { $0.value <= $1.value })
        #expect(buckets.last?.value == 6 && samples.last?.value == 6)
        #expect(abs(samples[samples.count - 2].value - 100_007.0142) < 1e-6)
        let empty = try #require(families["cordon_request_seconds"]).samples
        #expect(empty.allSatisfy { $0.value == 0 } && empty.count == Histogram.requestSeconds.count + 3)
    }

    /// What a client chooses makes no series without end, and no sum is lost.
    @Test func seriesAreBounded() throws {
        var counter = Counter(InstrumentName("x_total", "x"), labels: ["a", "b"])
        for number in 0..<10_000 { counter.add(1, "\(number)", "y") }
        counter.add(5, "0", "y")
        var text = PrometheusText()
        text.add(counter)
        let samples = try Reader.families(text.text)[0].1.samples
        #expect(samples.count == 257 && samples.reduce(0) { $0 + $1.value } == 10_005)
        #expect(counter.value("0", "y") == 6 && counter.value("other", "other") == 10_000 - 256)
    }

    @Test func labelsAreBytes() {
        var counter = Counter(InstrumentName("x_total", "x"), labels: ["a"])
        counter.add(1, ";")
        counter.add(1, "\u{37E}")
        #expect(counter.value(";") == 1 && counter.value("\u{37E}") == 1)
        counter.add(.max, ";")
        #expect(counter.value(";") == .max)
    }

    private static let hasClient =
        (try? execute(["python3", "-c", "import prometheus_client"]))?.status == 0

    @Test(.enabled(if: hasClient)) func prometheusClientReadsTheSame() throws {
        var random = seeded()
        var metrics = full()
        let words = ["a", "\"", "\\", "\n", "é", " ", "{", "}", ",", "="]
        for _ in 0..<100 {
            let text = (0..<5).map { _ in words[Int.random(in: 0..<words.count, using: &random)] }.joined()
            metrics.requests.add(UInt64.random(in: 1...9, using: &random), text, "ok")
            metrics.requestSeconds.observe(Double.random(in: 0...20, using: &random))
        }
        let script = """
            import sys
            from prometheus_client.parser import text_string_to_metric_families
            for family in text_string_to_metric_families(sys.stdin.buffer.read().decode()):
                for sample in family.samples:
                    labels = [(k + "=" + v).encode().hex() for k, v in sorted(sample.labels.items())]
                    print(sample.name, family.type, float(sample.value).hex(), *labels)
            """
        let run = try execute(["python3", "-c", script], input: metrics.text)
        #expect(run.status == 0, "\(run.errors)")
        var theirs: Set<String> = [], own: Set<String> = []
        for line in run.output.split(separator: "\n") {
            let parts = line.split(separator: " ")
            theirs.insert(
                [String(parts[0]), String(parts[1])].joined(separator: " ") + " " + parts[3...].sorted().joined())
        }
        for (_, family) in try Reader.families(metrics.text) {
            for sample in family.samples {
                let labels = sample.labels.map { label in
                    (label.0 + "=" + label.1).utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                }
                own.insert("\(sample.name) \(family.type) " + labels.sorted().joined())
            }
        }
        #expect(theirs == own)
        #expect(run.output.split(separator: "\n").count == own.count)
    }
}
