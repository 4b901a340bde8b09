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
    func cpuMicroseconds() -> UInt64? { CounterFiles(self, [.cpuacct]).cpuMicroseconds() }

    /// Bytes of memory in use now.
    func memory() -> UInt64? {
        guard let directory = directories[.memory] else { return nil }
        func number(_ file: String) -> UInt64? { (try? readText(directory + file)).flatMap { UInt64($0) } }
        return number("/memory.usage_in_bytes") ?? number("/memory.current")
    }

    /// All counters but processor time, at the end.
    func usage() -> CgroupUsage { CounterFiles(self, [.memory, .pids, .io]).usage() }
}

/// The files of counters, open: reading them is one call each.
struct CounterFiles: ~Copyable, Sendable {
    private enum Kind: Sendable { case cpu, memoryPeak, memoryEvents, pidsPeak, pidsEvents, io }

    private let files: DescriptorList
    /// The number of each that there is, valid as long as the list is.
    private let numbers: [Kind: Int32]

    /// Opens those that there are.
    init(_ counters: CgroupCounters, _ controllers: Set<CgroupController> = Set(CgroupController.allCases)) {
        var files = DescriptorList()
        var numbers: [Kind: Int32] = [:]
        for (kind, controller, names) in Self.places where controllers.contains(controller) {
            guard let directory = counters[controller] else { continue }
            for name in names {
                guard let file = try? open(directory + "/" + name, .readOnly) else { continue }
                numbers[kind] = file.raw
                files.append(file)
                break
            }
        }
        self.files = files
        self.numbers = numbers
    }

    private static let places: [(Kind, CgroupController, [String])] = [
        (.cpu, .cpuacct, ["cpu.stat", "cpuacct.usage"]),
        (.memoryPeak, .memory, ["memory.max_usage_in_bytes", "memory.peak"]),
        (.memoryEvents, .memory, ["memory.oom_control", "memory.events"]),
        (.pidsPeak, .pids, ["pids.peak"]), (.pidsEvents, .pids, ["pids.events"]),
        (.io, .io, ["blkio.throttle.io_service_bytes_recursive", "io.stat"]),
    ]

    /// Microseconds of processor time so far.
    func cpuMicroseconds() -> UInt64? {
        guard let text = text(.cpu) else { return nil }
        // Version 1 has a file with nothing but nanoseconds.
        return field("usage_usec", of: text) ?? number(text).map { $0 / 1000 }
    }

    /// All counters but processor time.
    func usage() -> CgroupUsage {
        var usage = CgroupUsage()
        usage.peakMemory = text(.memoryPeak).flatMap(number)
        usage.oomKills = text(.memoryEvents).flatMap { field("oom_kill", of: $0) }
        usage.peakPids = text(.pidsPeak).flatMap(number)
        usage.pidsDenied = text(.pidsEvents).flatMap { field("max", of: $0) }
        if let text = text(.io) { (usage.readBytes, usage.writtenBytes) = inputOutput(text) }
        return usage
    }

    private func text(_ kind: Kind) -> String? {
        guard let file = numbers[kind] else { return nil }
        var buffer = [UInt8](repeating: 0, count: 4096)
        guard var count = try? Linux.read(file, at: 0, into: &buffer) else { return nil }
        while count == buffer.count {
            buffer += [UInt8](repeating: 0, count: buffer.count)
            guard let whole = try? Linux.read(file, at: 0, into: &buffer), whole > count else { break }
            count = whole
        }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }
}

private func number(_ text: String) -> UInt64? { UInt64(text.prefix { $0 != "\n" }) }

private func field(_ key: String, of text: String) -> UInt64? {
    for line in text.split(separator: "\n") {
        let parts = line.split(separator: " ")
        if parts.count == 2, parts[0] == key { return UInt64(parts[1]) }
    }
    return nil
}

/// Version 1: "8:0 Read 4096"; version 2: "8:0 rbytes=4096 wbytes=0 …".
private func inputOutput(_ text: String) -> (UInt64, UInt64) {
    var read: UInt64 = 0
    var written: UInt64 = 0
    for line in text.split(separator: "\n") {
        let parts = line.split(separator: " ")
        for part in parts {
            if part.hasPrefix("rbytes=") { read += UInt64(part.dropFirst(7)) ?? 0 }
            if part.hasPrefix("wbytes=") { written += UInt64(part.dropFirst(7)) ?? 0 }
        }
        guard parts.count == 3, let bytes = UInt64(parts[2]) else { continue }
        if parts[1] == "Read" { read += bytes }
        if parts[1] == "Write" { written += bytes }
    }
    return (read, written)
}
