/// Seccomp filters: which system calls a jailed process may make, and with which arguments.
///
/// Two classic BPF programs are stacked, because libseccomp cannot say "allow this call unless an
/// argument equals X" inside one allow-list. The kernel runs both for every call and takes the strictest
/// verdict (seccomp(2), "the highest precedence value").
///
/// - `arguments` allows by default and refuses calls by what their arguments say (ArgumentRules.swift).
/// - `calls` answers ENOSYS by default, allows a list of calls, and refuses others with EPERM
///   (CallTables.swift). ENOSYS is the answer of an older kernel, for which libraries have a way round;
///   EPERM says that the call exists and that one may not make it.
///
/// Both kill the process that enters the kernel through another architecture or the x32 numbers, so no
/// rule has to be written twice. Neither looks behind a pointer, since another thread could change the
/// memory after the verdict: calls that hide what must be judged there (clone3, openat2) do not exist.
///
/// This module never loads a filter and never opens a file; it makes bytes from tables.

/// The named sets of system calls that a policy's `[seccomp] preset` chooses from.
public enum FilterPreset: String, Sendable, CaseIterable {
    /// Everyday development work: compilers, interpreters, package tools, debuggers, local servers.
    case agent
    /// Computation only: files, memory, threads and processes; no sockets, tracing or shared IPC.
    case pure
}

/// What the filters depend on. Equal requests give equal programs.
public struct FilterRequest: Sendable, Hashable {
    /// The set of calls.
    public var preset: FilterPreset
    /// False when `[fs] exec` limits what may be executed: then memfd_create(2) is EPERM, because no
    /// mount option or Landlock rule reaches a memfd.
    public var allowExecutableMemoryFiles: Bool
    /// False where nothing else keeps the host's unix sockets away (`network = host` without Landlock
    /// scopes): then `socket(AF_UNIX)` is EPERM. socketpair(2) stays, since it reaches nobody else.
    public var allowUnixSockets: Bool
    /// `[identity] root = true`. The preset `agent` lets everyone call chown and setuid, which are
    /// harmless without capabilities; in `pure`, chown exists only for a package manager.
    public var packageManager: Bool

    /// The request of an ordinary jail, unless told otherwise.
    public init(
        preset: FilterPreset, allowExecutableMemoryFiles: Bool = true, allowUnixSockets: Bool = true,
        packageManager: Bool = false
    ) {
        self.preset = preset
        self.allowExecutableMemoryFiles = allowExecutableMemoryFiles
        self.allowUnixSockets = allowUnixSockets
        self.packageManager = packageManager
    }
}

/// The two programs, as arrays of `struct sock_filter` (8 bytes each, native byte order), in load order:
/// `arguments` first, since nothing in it forbids loading the other, while `calls` of the preset `pure`
/// refuses seccomp(2) itself.
///
/// no_new_privs must be set before loading (seccomp(2)).
public struct FilterPrograms: Sendable, Equatable {
    /// Refuses calls by argument.
    public var arguments: [UInt8]
    /// Allows and refuses calls by number.
    public var calls: [UInt8]

    /// Programs from elsewhere, such as a cache keyed by ``filterFingerprint(_:)``.
    public init(arguments: [UInt8], calls: [UInt8]) {
        self.arguments = arguments
        self.calls = calls
    }
}

/// A step of compiling a filter that failed.
public struct FilterError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was being done.
    public enum Step: String, Sendable {
        /// A name in the tables that neither libseccomp nor ``CallTables`` has a number for.
        case resolve = "resolve system call"
        /// seccomp_init(3).
        case create = "seccomp_init"
        /// seccomp_attr_set(3).
        case attribute = "seccomp_attr_set"
        /// seccomp_rule_add(3).
        case rule = "seccomp_rule_add"
        /// memfd_create(2), for the exported program.
        case file = "memfd_create"
        /// seccomp_export_bpf(3).
        case export = "seccomp_export_bpf"
        /// read(2) of the exported program.
        case read = "read exported program"
        /// The program is longer than the kernel's BPF_MAXINSNS, or not whole instructions.
        case size = "program size"
    }

    /// What was being done.
    public var step: Step
    /// The system call, attribute or program that it was done to.
    public var object: String
    /// The errno value, or 0 where there is none.
    public var errno: Int32

    /// The step, the object and the errno.
    public var description: String {
        "seccomp filter: \(step.rawValue) (\(object)) failed" + (errno == 0 ? "" : ": errno \(errno)")
    }
}

/// Compiles both programs. Takes about 1.5 ms: keep the result under ``filterFingerprint(_:)``.
///
/// - Throws: ``FilterError`` when the tables name a call that does not exist, or libseccomp fails.
public func compileFilters(_ request: FilterRequest) throws(FilterError) -> FilterPrograms {
    FilterPrograms(
        arguments: try compile(argumentPlan(request)),
        calls: try compile(callPlan(request)))
}

/// A key for compiled programs: it changes whenever a rule, the request or libseccomp's version does.
/// It is safe as a file name.
public func filterFingerprint(_ request: FilterRequest) -> String {
    let switches = [
        request.allowExecutableMemoryFiles ? "memfd" : nil,
        request.allowUnixSockets ? "unix" : nil,
        request.packageManager ? "packages" : nil,
    ]
    var hash = Fingerprint()
    argumentPlan(request).hash(into: &hash)
    callPlan(request).hash(into: &hash)
    let name = ([request.preset.rawValue] + switches.compactMap(\.self)).joined(separator: "+")
    return "\(name)-x86_64-libseccomp\(libraryVersion())-\(hash.text)"
}

/// What a request's filters do, for a person: each group of calls with its verdict, and each argument
/// rule with its reason. One line each, without a final newline.
public func describeFilters(_ request: FilterRequest) -> String {
    let plan = callPlan(request)
    var lines = ["preset \(request.preset.rawValue): \(plan.summary); any other call: ENOSYS"]
    for group in CallTables.groups {
        lines.append("\(group.verdict(for: request)): \(group.title): \(group.names.joined(separator: " "))")
    }
    let absent = CallTables.absent.joined(separator: " ")
    lines.append("ENOSYS: absent on purpose, so that libraries fall back: \(absent)")
    for rule in ArgumentRules.rules(for: request) + ArgumentRules.exactRules {
        lines.append("\(rule)")
    }
    return lines.joined(separator: "\n")
}
