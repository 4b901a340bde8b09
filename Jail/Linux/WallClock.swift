// The time of day. It may jump, so nothing is ever measured with it.
internal import Glibc

/// A moment, as POSIX counts it: days of 86,400 seconds since 1970 in UTC.
public struct WallTime: Sendable, Hashable, Comparable {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    public var milliseconds: Int64

    /// A moment.
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// This moment.
    ///
    /// The corresponding C function is `clock_gettime` with CLOCK_REALTIME.
    public static func now() -> WallTime {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    /// Earlier first.
    public static func < (first: WallTime, second: WallTime) -> Bool { first.milliseconds < second.milliseconds }

    /// `2026-11-28T12:00:00.123Z` (RFC 3339), for the years 0 to 9999; others are held to these.
    public var text: String {
        let earliest: Int64 = -62_167_219_200_000, latest: Int64 = 253_402_300_799_999
        let bounded = min(max(milliseconds, earliest), latest)
        let day: Int64 = 86_400_000
        let days = bounded.floored(by: day), rest = bounded - days * day
        let date = Self.date(days)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(24)
        func add(_ number: Int64, _ width: Int, _ end: Unicode.Scalar) {
            var divisor: Int64 = 1
            for _ in 1..<width { divisor *= 10 }
            while divisor > 0 {
                bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / divisor % 10))
                divisor /= 10
            }
            bytes.append(UInt8(ascii: end))
        }
        add(date.year, 4, "-")
        add(date.month, 2, "-")
        add(date.day, 2, "T")
        add(rest / 3_600_000, 2, ":")
        add(rest / 60_000 % 60, 2, ":")
        add(rest / 1000 % 60, 2, ".")
        add(rest % 1000, 3, "Z")
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The day of the Gregorian calendar, after Hinnant's "chrono-Compatible Low-Level Date Algorithms": in years that begin in
    /// March the leap day is the last; 400 years have 146,097 days, and any five months from March or August on 153.
    /// Not gmtime_r, which opens the file that TZ names, with this process's rights.
    private static func date(_ daysSince1970: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let days = daysSince1970 + 719_468  // since 0000-03-01
        let era = days.floored(by: 146_097), inEra = days - era * 146_097
        let year = (inEra - inEra / 1460 + inEra / 36_524 - inEra / 146_096) / 365
        let inYear = inEra - (365 * year + year / 4 - year / 100)
        let month = (5 * inYear + 2) / 153
        let day = inYear - (153 * month + 2) / 5 + 1
        let isNextYear = month >= 10
        return (era * 400 + year + (isNextYear ? 1 : 0), isNextYear ? month - 9 : month + 3, day)
    }
}

extension Int64 {
    /// Divided, and rounded down.
    fileprivate func floored(by divisor: Int64) -> Int64 { self / divisor - (self % divisor < 0 ? 1 : 0) }
}
