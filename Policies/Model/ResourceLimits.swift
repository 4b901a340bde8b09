/// `[resources]`: limits for the whole tree of processes. Where one is nil, there is no limit.
public struct ResourceLimits: Sendable, Equatable {
    /// The deadline.
    public var wall: Located<Milliseconds>?
    /// Processor time, summed over all processes.
    public var cpu: Located<Milliseconds>?
    /// Processors used at a time.
    public var cpus: Located<Double>?
    /// Memory.
    public var memory: Located<MemorySize>?
    /// Swap, in bytes; 0 for none.
    public var swap: Located<UInt64>?
    /// Processes and threads.
    public var pids: Located<UInt64>?
    /// Captured output, in bytes, for each stream. A loaded policy always has one: 2M by default.
    public var output: Located<UInt64>?
    /// What happens at the limit of output.
    public var outputAction = Located(OutputAction.truncate)
    /// Private file systems and upper layers, in bytes.
    public var disk: Located<UInt64>?
    /// Files in them.
    public var inodes: Located<UInt64>?
    /// Descriptors of one process.
    public var openFiles: Located<UInt64>?
    /// The size of one file, in bytes.
    public var fileSize: Located<UInt64>?
    /// Bytes read from disks in a second.
    public var ioRead: Located<UInt64>?
    /// Bytes written to disks in a second.
    public var ioWrite: Located<UInt64>?

    /// No limit but that of output.
    public init() { output = Located(2 << 20) }
}

/// `[resources] memory`.
public enum MemorySize: Sendable, Hashable, CustomStringConvertible {
    /// So many bytes.
    case bytes(UInt64)
    /// So many hundredths of the machine's memory, 1 to 100.
    case percent(Int)

    /// The size in bytes on a machine with so much memory.
    public func bytes(ofMachine machineMemory: UInt64) -> UInt64 {
        switch self {
        case .bytes(let bytes): bytes
        // Divided first: a limit may be 99 bytes too small, but never overflows.
        case .percent(let percent): machineMemory / 100 * UInt64(max(0, percent))
        }
    }

    /// As a policy writes it.
    public var description: String {
        switch self {
        case .bytes(let bytes): formatSize(bytes)
        case .percent(let percent): "\(percent)%"
        }
    }
}

/// `[resources] output_action`: what happens when captured output reaches its limit.
public enum OutputAction: String, CaseIterable, Sendable, Hashable {
    /// Head and tail are kept.
    case truncate
    /// The command is killed.
    case kill
}
