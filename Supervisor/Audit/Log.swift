// A program's own log: lines with a level, for the people who run it. It never waits, keeps nothing, and a flood of one
// message does not fill a disk.
public import Linux
public import Wire

/// A structured log on a descriptor. It is a value that is passed to whoever logs; all of its holders share its bounds.
///
/// A line is a JSON object, `{"time":…,"level":…,"message":…,…}`, or, on a terminal, a text. It is at most 4096 bytes long and
/// written in one go where the descriptor takes that without waiting (pipe(7), PIPE_BUF), else dropped: who reads the log of a
/// supervisor must not be able to stop it. What was dropped or suppressed is counted, and the next line says so.
///
/// Not for more than one thread.
public final class Log {
    /// How bad it is.
    public enum Level: String, Sendable, Hashable, CaseIterable, Comparable {
        /// Something was not done that should have been.
        case error
        /// Something is odd, and was handled.
        case warning
        /// What an operator wants to see of a day.
        case info
        /// What a developer wants to see of a minute.
        case debug

        private var rank: Int {
            switch self {
            case .error: 3
            case .warning: 2
            case .info: 1
            case .debug: 0
            }
        }

        /// Less bad first.
        public static func < (first: Level, second: Level) -> Bool { first.rank < second.rank }
    }

    /// How a line is written.
    public enum Form: Sendable, Hashable {
        /// One JSON object.
        case json
        /// For people.
        case text
    }

    /// How many lines of one message are written in how long; the rest is counted.
    public struct Rate: Sendable, Hashable {
        /// Lines.
        public var lines: UInt64
        /// Nanoseconds.
        public var window: UInt64

        /// 20 lines in 10 s.
        public init(lines: UInt64 = 20, window: UInt64 = 10_000_000_000) {
            self.lines = lines
            self.window = window
        }
    }

    private struct Counts {
        var start: UInt64
        var written: UInt64 = 0
        var suppressed: UInt64 = 0
    }

    /// What is less bad is not written.
    public var threshold: Level
    private let descriptor: Int32
    private let form: Form
    private let rate: Rate
    private let clock: () -> UInt64
    /// By the message's text: those are the program's own, so there are only so many.
    private var counts: [String: Counts] = [:]
    /// Lines that the descriptor did not take.
    private var dropped: UInt64 = 0

    private static let longest = 4096

    /// - Parameters:
    ///   - descriptor: stays its owner's.
    ///   - form: nil for text on a terminal, and JSON elsewhere.
    ///   - clock: nanoseconds that never jump, for the rate.
    public init(
        _ descriptor: Int32 = 2, threshold: Level = .info, form: Form? = nil, rate: Rate = Rate(),
        clock: @escaping () -> UInt64 = monotonicNanoseconds
    ) {
        self.descriptor = descriptor
        self.threshold = threshold
        self.form = form ?? (isTerminal(descriptor) ? .text : .json)
        self.rate = rate
        self.clock = clock
    }

    /// Something was not done that should have been.
    public func error(_ message: StaticString, _ members: JsonObject = [:], masked: [String] = []) {
        write(.error, message, members, masked)
    }

    /// Something is odd, and was handled.
    public func warning(_ message: StaticString, _ members: JsonObject = [:], masked: [String] = []) {
        write(.warning, message, members, masked)
    }

    /// What an operator wants to see of a day.
    public func info(_ message: StaticString, _ members: JsonObject = [:], masked: [String] = []) {
        write(.info, message, members, masked)
    }

    /// What a developer wants to see of a minute. The members are not made where nobody wants them.
    public func debug(
        _ message: StaticString, _ members: @autoclosure () -> JsonObject = [:], masked: [String] = []
    ) {
        guard .debug >= threshold else { return }
        write(.debug, message, members(), masked)
    }

    /// Writes a line, within the rate.
    ///
    /// - Parameters:
    ///   - message: one of the program's own sentences; what comes from outside goes into the members.
    ///   - masked: values that must not be in the log.
    public func write(
        _ level: Level, _ message: StaticString, _ members: JsonObject = [:], _ masked: [String] = []
    ) {
        guard level >= threshold else { return }
        let key = message.description
        let now = clock()
        var count = counts[key] ?? Counts(start: now)
        if now &- count.start >= rate.window { count = Counts(start: now, suppressed: count.suppressed) }
        defer { counts[key] = count }
        guard count.written < rate.lines else {
            count.suppressed += 1
            return
        }
        count.written += 1
        var all = masked.isEmpty ? members : members.map { $0.masked(secretBytes(masked)) }
        if count.suppressed > 0 { all.add("suppressed", .count(count.suppressed)) }
        if dropped > 0 { all.add("dropped", .count(dropped)) }
        guard put(line(level, key, all)) else {
            dropped += 1
            return
        }
        count.suppressed = 0
        dropped = 0
    }

    private func put(_ bytes: [UInt8]) -> Bool {
        guard isWritable(descriptor) else { return false }
        return (try? Linux.write(descriptor, bytes[...])) == bytes.count
    }

    // MARK: - Lines

    private func line(_ level: Level, _ message: String, _ members: JsonObject) -> [UInt8] {
        let time = WallTime.now().text
        for limit in [Int.max, 256, 16] {
            let fitting = limit == .max ? members : members.map { $0.shortened(bytes: limit, elements: limit / 16) }
            let text = text(time, level, message, fitting)
            if text.utf8.count < Self.longest { return Array(text.utf8) + [UInt8(ascii: "\n")] }
        }
        return Array(text(time, level, message.shortened(1024), ["cut": .bool(true)]).utf8) + [UInt8(ascii: "\n")]
    }

    private func text(_ time: String, _ level: Level, _ message: String, _ members: JsonObject) -> String {
        switch form {
        case .json:
            var json: JsonObject = [
                "time": .string(time), "level": .string(level.rawValue), "message": .string(message),
            ]
            // A reader that knows JSON takes no name twice.
            for name in members.names {
                if let value = members[name] { json.add(json[name] == nil ? name : "_" + name, value) }
            }
            return json.text
        case .text:
            var text =
                time + " " + level.rawValue + String(repeating: " ", count: 8 - level.rawValue.utf8.count) + message
            for name in members.names {
                if let value = members[name] { text += " " + name + "=" + value.serialized.withVisibleFormats }
            }
            return text
        }
    }
}

extension String {
    /// With what hides or turns text on a terminal made visible. JSON's own escapes have seen to the controls.
    fileprivate var withVisibleFormats: String {
        if utf8.allSatisfy({ $0 < 0x80 }) { return self }
        var result = ""
        for scalar in unicodeScalars {
            if scalar.properties.generalCategory == .format {
                result += "\\u{" + String(scalar.value, radix: 16) + "}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
