// What cgroups count, read from their files.
internal import Linux
internal import Machine

/// What a jail used.
public struct CgroupUsage: Sendable, Hashable {
    /// Microseconds of processor time of all processes together; nil without a counter.
    public var cpuMicroseconds: UInt64?
    /// The highest number of bytes in use at any time.
    public var peakMemory: UInt64?
    /// The highest number of tasks at any time.
    public var peakPids: UInt64?
    /// Bytes moved from and to disks.
    public var readBytes: UInt64?, writtenBytes: UInt64?
    /// How often the kernel killed a process for the memory limit.
    public var oomKills: UInt64?
    /// How often a fork met the limit on tasks.
    public var pidsDenied: UInt64?
}

/// The directories that count for one jail or command.
struct CgroupCounters: Sendable {
    /// The directory to read each controller's counters from.
    var directories: [CgroupController: String] = [:]

    subscript(controller: CgroupController) -> String? {
        get { directories[controller] }
        set { directories[controller] = newValue }
    }

    /// Microseconds of processor time so far.
    func cpuMicroseconds() -> UInt64? {
        guard let directory = directories[.cpuacct] else { return nil }
        if let text = try? readText(directory + "/cpu.stat"), let value = field("usage_usec", of: text) { return value }
        return (try? readText(directory + "/cpuacct.usage")).flatMap { UInt64($0) }.map { $0 / 1000 }
    }

    /// Bytes of memory in use now.
    func memory() -> UInt64? {
        guard let directory = directories[.memory] else { return nil }
        return number(directory + "/memory.usage_in_bytes") ?? number(directory + "/memory.current")
    }

    /// All counters but processor time, at the end.
    func usage() -> CgroupUsage {
        var usage = CgroupUsage()
        if let directory = directories[.memory] {
            usage.peakMemory = number(directory + "/memory.max_usage_in_bytes") ?? number(directory + "/memory.peak")
            usage.oomKills =
                keyed(directory + "/memory.oom_control", "oom_kill") ?? keyed(directory + "/memory.events", "oom_kill")
        }
        if let directory = directories[.pids] {
            usage.peakPids = number(directory + "/pids.peak")
            usage.pidsDenied = keyed(directory + "/pids.events", "max")
        }
        if let directory = directories[.io] {
            (usage.readBytes, usage.writtenBytes) = inputOutput(directory)
        }
        return usage
    }

    private func number(_ file: String) -> UInt64? { (try? readText(file)).flatMap { UInt64($0) } }

    private func keyed(_ file: String, _ key: String) -> UInt64? {
        (try? readText(file)).flatMap { field(key, of: $0) }
    }

    private func field(_ key: String, of text: String) -> UInt64? {
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ")
            if parts.count == 2, parts[0] == key { return UInt64(parts[1]) }
        }
        return nil
    }

    /// Version 1: "8:0 Read 4096"; version 2: "8:0 rbytes=4096 wbytes=0 …".
    private func inputOutput(_ directory: String) -> (UInt64?, UInt64?) {
        var read: UInt64 = 0
        var written: UInt64 = 0
        if let text = try? readText(directory + "/io.stat") {
            for part in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
                if part.hasPrefix("rbytes=") { read += UInt64(part.dropFirst(7)) ?? 0 }
                if part.hasPrefix("wbytes=") { written += UInt64(part.dropFirst(7)) ?? 0 }
            }
            return (read, written)
        }
        guard let text = try? readText(directory + "/blkio.throttle.io_service_bytes_recursive") else {
            return (nil, nil)
        }
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ")
            guard parts.count == 3, let bytes = UInt64(parts[2]) else { continue }
            if parts[1] == "Read" { read += bytes }
            if parts[1] == "Write" { written += bytes }
        }
        return (read, written)
    }
}
