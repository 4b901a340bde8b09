// When a run has used up its time.
internal import Linux

/// The two clocks of a run.
struct RunClock {
    private(set) var wallDeadline: UInt64?
    private let wallLimit: UInt64?
    private let cpuLimitMicroseconds: UInt64?
    /// Asked once: the C library opens a file for it.
    private static let processors = UInt64(max(1, processorCount()))

    init(wall: UInt64?, cpu: UInt64?) {
        let now = monotonicNanoseconds()
        wallLimit = wall
        wallDeadline = wall.map { Self.deadline(now, $0) }
        cpuLimitMicroseconds = cpu.map { $0.multipliedReportingOverflow(by: 1000) }.map {
            $0.overflow ? .max : $0.partialValue
        }
    }

    /// The command's time starts with the command; until then the same limit holds for the set-up.
    mutating func start(now: UInt64) { wallDeadline = wallLimit.map { Self.deadline(now, $0) } }

    private static func deadline(_ now: UInt64, _ milliseconds: UInt64) -> UInt64 {
        // Ten years are as good as for ever, and their nanoseconds fit.
        now + min(milliseconds, 315_360_000_000) * 1_000_000
    }

    func wallIsOver(now: UInt64) -> Bool { wallDeadline.map { now >= $0 } ?? false }

    func cpuIsOver(_ used: UInt64) -> Bool {
        guard let limit = cpuLimitMicroseconds else { return false }
        return used >= limit
    }

    /// When the limit of processor time could be reached at the earliest: with every processor busy, what is
    /// left lasts this long. The kernel has no notification for it, so this is when to look again.
    func nextCpuCheck(now: UInt64, used: UInt64) -> UInt64? {
        guard let limit = cpuLimitMicroseconds else { return nil }
        // At least once a day.
        let left = min(limit - min(limit, used), 86_400_000_000)
        return now + max(left * 1000 / Self.processors, 1_000_000)
    }
}
