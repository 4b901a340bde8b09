// Starting a command: what the spawner does between clone and execve.
internal import CLinux
internal import Glibc

/// A limit on a process, as in setrlimit(2).
public struct ResourceLimit: Sendable, Hashable {
    /// The RLIMIT_ number.
    public let resource: Int32
    /// Soft and hard value.
    public let value: UInt64

    /// Limits one resource.
    public init(_ resource: Resource, _ value: UInt64) {
        self.resource = resource.rawValue
        self.value = value
    }

    /// Makes one from the RLIMIT_ number.
    public init(number: Int32, value: UInt64) {
        resource = number
        self.value = value
    }

    /// What can be limited, with the numbers of x86-64.
    public enum Resource: Int32, Sendable, CaseIterable {
        case fileSize = 1, core = 4, processes = 6, openFiles = 7, messageQueues = 12
    }
}

/// Limits a resource of the calling process, for good.
///
/// The corresponding C function is `setrlimit`.
public func setLimit(_ limit: ResourceLimit) throws(Errno) {
    try checkRaw(cordon_setrlimit(limit.resource, limit.value))
}

/// What a command is started with. Everything is the command's own: the spawner keeps its identity.
public struct CommandStart: Sendable {
    /// Executables to try in order, as execvp(3) does.
    public var candidates: [String]
    /// The arguments, the name first.
    public var arguments: [String]
    /// `NAME=value` each.
    public var environment: [String]
    /// The working directory, entered with the command's own rights.
    public var directory: String
    /// The user and group, or nil where it keeps the spawner's.
    public var identity: (user: UInt32, group: UInt32)?
    /// A bit for each capability that it keeps.
    public var capabilities: UInt64
    /// Limits that are for each process.
    public var limits: [ResourceLimit]
    /// Whether descriptor 0 becomes its controlling terminal.
    public var controllingTerminal: Bool
    /// A Landlock ruleset that it alone is under, or nil.
    public var ruleset: Int32?
    /// Files of cgroups that it enters by writing to them.
    public var groups: [Int32]

    /// Whether those have limits of their own.
    public var hasOwnLimits: Bool
    /// Whether the caller reaps it; else the caller's parent does.
    public var isChild: Bool

    /// Makes a start.
    public init(
        candidates: [String], arguments: [String], environment: [String], directory: String,
        identity: (user: UInt32, group: UInt32)?, capabilities: UInt64, limits: [ResourceLimit],
        controllingTerminal: Bool, ruleset: Int32? = nil, groups: [Int32] = [],
        hasOwnLimits: Bool = false, isChild: Bool = false
    ) {
        self.candidates = candidates
        self.arguments = arguments
        self.environment = environment
        self.directory = directory
        self.identity = identity
        self.capabilities = capabilities
        self.limits = limits
        self.controllingTerminal = controllingTerminal
        self.ruleset = ruleset
        self.groups = groups
        self.hasOwnLimits = hasOwnLimits
        self.isChild = isChild
    }
}

/// Starts a command, as a sibling unless `isChild` says otherwise. Returns its pid.
///
/// The corresponding system calls are `clone` with CLONE_PARENT and `execve`.
public func startCommand(_ start: CommandStart, descriptors: (Int32, Int32, Int32)) throws(SpawnFailure) -> Int32 {
    var failed: Int32 = 0
    let pid = unsafe withCommand(start, descriptors) { unsafe cordon_spawn_command($0, &failed) }
    guard pid > 0 else { throw failure(failed, pid) }
    return pid
}

/// Gives every signal its default action, and blocks none, for a process that is to become a command.
///
/// The corresponding C functions are `sigaction` and `sigprocmask`.
public func resetSignals() { cordon_reset_signals() }

/// Makes the calling process the command, after `resetSignals`. Returns only with why it could not.
///
/// The corresponding system call is `execve`.
public func becomeCommand(_ start: CommandStart, descriptors: (Int32, Int32, Int32)) -> SpawnFailure {
    var failed: Int32 = 0
    let result = unsafe withCommand(start, descriptors) { unsafe cordon_become_command($0, &failed) }
    return failure(failed, result)
}

/// Prepares what `becomeCommand` hands to the kernel, and does nothing with it.
public func rehearseCommand(_ start: CommandStart) { _ = unsafe withCommand(start, (0, 1, 2)) { _ in 0 } }

/// Forks a sibling, into these namespaces: the caller's parent reaps it. Zero in it. Only for single-threaded programs.
///
/// The corresponding system call is `clone` with CLONE_PARENT.
public func forkSibling(into namespaces: Namespaces = []) throws(Errno) -> Int32 {
    try checkRaw(cordon_fork_sibling(namespaces.rawValue))
}

private func failure(_ step: Int32, _ result: Int32) -> SpawnFailure {
    let steps = [
        "start", "start", "session", "descriptors", "limits", "identity", "capabilities", "directory", "landlock",
        "execve", "cgroups",
    ]
    return SpawnFailure(step: steps[Int(step)], errno: Errno(rawValue: -result))
}

private func withCommand(
    _ start: CommandStart, _ descriptors: (Int32, Int32, Int32), _ body: (UnsafePointer<cordon_command>) -> Int32
) -> Int32 {
    let limits = start.limits.map { cordon_rlimit(resource: $0.resource, soft: $0.value, hard: $0.value) }
    return unsafe withCStrings(start.candidates) { paths in
        unsafe withCStrings(start.arguments) { arguments in
            unsafe withCStrings(start.environment) { environment in
                unsafe withCStrings([start.directory]) { directory in
                    unsafe limits.withUnsafeBufferPointer { limits in
                        unsafe start.groups.withUnsafeBufferPointer { groups in
                            var command = unsafe cordon_command(
                                paths: paths, arguments: arguments, environment: environment,
                                directory: directory.pointee, descriptors: descriptors,
                                user: start.identity?.user ?? UInt32.max, group: start.identity?.group ?? UInt32.max,
                                capabilities: start.capabilities, limits: limits.baseAddress, limit_count: limits.count,
                                controlling_terminal: start.controllingTerminal ? 1 : 0, ruleset: start.ruleset ?? -1,
                                has_own_limits: start.hasOwnLimits ? 1 : 0, as_child: start.isChild ? 1 : 0,
                                groups: groups.baseAddress,
                                group_count: groups.count)
                            return unsafe body(&command)
                        }
                    }
                }
            }
        }
    }
}
