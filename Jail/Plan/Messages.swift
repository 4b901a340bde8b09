// What the supervisor, jail-init and the spawner say to each other. One message a packet.
//
//   supervisor → jail-init   setup (plan, with descriptors), signal, signalForeground
//   jail-init  → supervisor  failed, ready, exited
//   supervisor → spawner     start, standBy
//   spawner    → supervisor  failed, ready, started, notStarted
//   supervisor → standing by start; to the init of a command's pid namespace also signal, signalForeground
//   standing by → supervisor notStarted; from such an init also exited
public import Linux

/// From the supervisor to jail-init or the spawner. What is long travels as a memory file.
public enum Order: Sendable, Hashable {
    /// To jail-init: apply a plan. Descriptors: the plan's bytes, the spawner's socket, the filters, the files
    /// through which the spawner enters its cgroups, the trees.
    case setUp(filters: Int, groups: Int, trees: Int)
    /// To jail-init: send a signal to a command's process group.
    case signal(pid: Int32, number: Int32)
    /// To jail-init: send a signal to the foreground process group of a terminal, whose number only the jail's own pid
    /// namespace can tell safely: meanwhile it may be another's outside. While it has none, to the group of the command
    /// that is to have it. Descriptors: the terminal's master.
    case signalForeground(pid: Int32, number: Int32)
    /// To the spawner: start a command. Descriptors: its stdin, stdout, stderr, a memory file with the command where that is
    /// too long for the message, and files through which it enters cgroups of its own.
    case start(groups: Int, command: CommandRequest?)
    /// To the spawner: have a process stand by for a command, in cgroups of its own already. Descriptors: a socket on which
    /// it takes one `start`, without groups, and says only what fails; and the files through which it enters. Where commands
    /// are nested, it is the init of a pid namespace, starts the command and tells how that ended.
    case standBy(groups: Int)

    /// A command of so many bytes has room in a message.
    public static let mostCommandBytes = 3072

    /// As bytes.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .setUp(let filters, let groups, let trees):
            writer.write(UInt8(1))
            writer.write(UInt64(filters))
            writer.write(UInt64(groups))
            writer.write(UInt64(trees))
        case .signal(let pid, let number):
            writer.write(UInt8(2))
            writer.write(Int64(pid))
            writer.write(Int64(number))
        case .start(let groups, let command):
            writer.write(UInt8(3))
            writer.write(UInt64(groups))
            writer.write(command?.encoded ?? [])
        case .signalForeground(let pid, let number):
            writer.write(UInt8(4))
            writer.write(Int64(pid))
            writer.write(Int64(number))
        case .standBy(let groups):
            writer.write(UInt8(5))
            writer.write(UInt64(groups))
        }
        return writer.bytes
    }

    /// From bytes.
    public init(_ bytes: [UInt8]) throws(Errno) {
        var reader = ByteReader(bytes)
        switch try reader.byte() {
        case 1:
            self = .setUp(
                filters: try reader.number(as: Int.self), groups: try reader.number(as: Int.self),
                trees: try reader.number(as: Int.self))
        case 2: self = .signal(pid: try reader.number(as: Int32.self), number: try reader.number(as: Int32.self))
        case 3:
            let groups = try reader.number(as: Int.self), command = try reader.data()
            self = .start(groups: groups, command: command.isEmpty ? nil : try CommandRequest(command))
        case 4:
            self = .signalForeground(
                pid: try reader.number(as: Int32.self), number: try reader.number(as: Int32.self))
        case 5: self = .standBy(groups: try reader.number(as: Int.self))
        default: throw .badMessage
        }
        guard reader.isAtEnd else { throw .badMessage }
    }
}

/// From jail-init or the spawner to the supervisor.
public enum JailReport: Sendable, Hashable {
    /// A step failed; the jail is of no use.
    case failed(index: Int, object: String, errno: Errno)
    /// All steps are done. Nanoseconds on CLOCK_MONOTONIC after each, with its position in the plan. From jail-init with
    /// one descriptor, where the jail has terminals: the directory of its devpts instance.
    case ready(times: [StepTime])
    /// A command runs, with this pid in the jail.
    case started(pid: Int32)
    /// A command does not run.
    case notStarted(step: String, errno: Errno)
    /// A child of PID 1 is dead: a command, or something it left behind.
    case exited(pid: Int32, status: Int32, cpuMicroseconds: UInt64, peakMemory: UInt64)

    /// When a step was done.
    public struct StepTime: Sendable, Hashable {
        /// The step's position in the plan.
        public var index: Int
        /// Nanoseconds on CLOCK_MONOTONIC (of the host; inside a time namespace it is corrected).
        public var nanoseconds: UInt64

        /// Makes one.
        public init(index: Int, nanoseconds: UInt64) {
            self.index = index
            self.nanoseconds = nanoseconds
        }
    }

    /// As bytes.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .failed(let index, let object, let errno):
            writer.write(UInt8(2))
            writer.write(Int64(index))
            writer.write(object)
            writer.write(Int64(errno.rawValue))
        case .ready(let times):
            writer.write(UInt8(3))
            writer.write(times) { writer, time in
                writer.write(Int64(time.index))
                writer.write(time.nanoseconds)
            }
        case .started(let pid):
            writer.write(UInt8(4))
            writer.write(Int64(pid))
        case .notStarted(let step, let errno):
            writer.write(UInt8(5))
            writer.write(step)
            writer.write(Int64(errno.rawValue))
        case .exited(let pid, let status, let cpu, let memory):
            writer.write(UInt8(6))
            writer.write(Int64(pid))
            writer.write(Int64(status))
            writer.write(cpu)
            writer.write(memory)
        }
        return writer.bytes
    }

    /// From bytes, which may be hostile: a jail is never believed.
    public init(_ bytes: [UInt8]) throws(Errno) {
        var reader = ByteReader(bytes)
        switch try reader.byte() {
        case 2:
            self = .failed(
                index: try reader.number(as: Int.self), object: try reader.text(),
                errno: Errno(rawValue: try reader.number(as: Int32.self)))
        case 3:
            self = .ready(
                times: try reader.list { (reader) throws(Errno) in
                    StepTime(index: try reader.number(as: Int.self), nanoseconds: try reader.number())
                })
        case 4: self = .started(pid: try reader.number(as: Int32.self))
        case 5:
            self = .notStarted(
                step: try reader.text(), errno: Errno(rawValue: try reader.number(as: Int32.self)))
        case 6:
            self = .exited(
                pid: try reader.number(as: Int32.self), status: try reader.number(as: Int32.self),
                cpuMicroseconds: try reader.number(), peakMemory: try reader.number())
        default: throw .badMessage
        }
        guard reader.isAtEnd else { throw .badMessage }
    }
}

/// A command for the spawner.
public struct CommandRequest: Sendable, Hashable {
    /// Executables to try in order.
    public var candidates: [String]
    /// The arguments, the name first.
    public var arguments: [String]
    /// `NAME=value` each.
    public var environment: [String]
    /// The working directory in the jail.
    public var directory: String
    /// Whether descriptor 0 becomes its controlling terminal.
    public var controllingTerminal: Bool

    /// Whether the groups that it enters have limits of their own.
    public var hasOwnLimits: Bool

    /// Whether what it leaves running goes on, where it has a pid namespace of its own.
    public var isBackground: Bool

    /// Makes a request.
    public init(
        candidates: [String], arguments: [String], environment: [String], directory: String,
        controllingTerminal: Bool = false, hasOwnLimits: Bool = false, isBackground: Bool = false
    ) {
        self.candidates = candidates
        self.arguments = arguments
        self.environment = environment
        self.directory = directory
        self.controllingTerminal = controllingTerminal
        self.hasOwnLimits = hasOwnLimits
        self.isBackground = isBackground
    }

    /// As bytes.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        for list in [candidates, arguments, environment] { writer.write(list) { $0.write($1) } }
        writer.write(directory)
        writer.write(controllingTerminal)
        writer.write(hasOwnLimits)
        writer.write(isBackground)
        return writer.bytes
    }

    /// From bytes.
    public init(_ bytes: [UInt8]) throws(Errno) {
        var reader = ByteReader(bytes)
        candidates = try reader.list { (reader) throws(Errno) in try reader.text() }
        arguments = try reader.list { (reader) throws(Errno) in try reader.text() }
        environment = try reader.list { (reader) throws(Errno) in try reader.text() }
        directory = try reader.text()
        controllingTerminal = try reader.flag()
        hasOwnLimits = try reader.flag()
        isBackground = try reader.flag()
        guard reader.isAtEnd else { throw .badMessage }
    }
}
