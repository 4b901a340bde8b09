// How the commands of a session, or of all, went.

/// Counts and times. The 99th percentile is of the last commands.
public struct SessionStatistics: Sendable, Hashable {
    /// Commands that have ended.
    public private(set) var ended = 0
    /// Of these, with exit code 0.
    public private(set) var succeeded = 0
    /// Bytes that they wrote to both streams.
    public private(set) var bytes: UInt64 = 0
    /// Milliseconds of all together.
    public private(set) var milliseconds: UInt64 = 0
    /// Milliseconds of the last ones, in no order.
    private var last: [UInt64] = []
    private static let window = 512

    /// Nothing has run yet.
    public init() {}

    /// Counts one.
    public mutating func add(_ outcome: Outcome, bytes: UInt64) {
        if outcome.reason == .exited, outcome.exitCode == 0 { succeeded += 1 }
        self.bytes += bytes
        milliseconds += outcome.durationMilliseconds
        if last.count < Self.window {
            last.append(outcome.durationMilliseconds)
        } else {
            last[ended % Self.window] = outcome.durationMilliseconds
        }
        ended += 1
    }

    /// Milliseconds on average.
    public var meanMilliseconds: Double { ended == 0 ? 0 : Double(milliseconds) / Double(ended) }

    /// Milliseconds that 99 in 100 of the last 512 did not exceed.
    public var p99Milliseconds: UInt64 {
        last.isEmpty ? 0 : last.sorted()[min(last.count - 1, last.count * 99 / 100)]
    }
}
