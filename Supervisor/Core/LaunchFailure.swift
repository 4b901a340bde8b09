// Why a jail did not start. One error for every step that can fail.
internal import JailPlan
public import Linux
public import PolicyModel

/// A step that failed, on what, why, and what to do about it.
public struct LaunchFailure: Error, Sendable, Hashable {
    /// The step's name, as in a printed plan.
    public var step: String
    /// What it acted on; may be empty.
    public var object: String
    /// What the kernel said, where it was asked.
    public var errno: Errno?
    /// What the user can do.
    public var remedy: String

    /// Makes a failure; without a remedy, the usual one for the step and the error is looked up.
    public init(step: String, object: String = "", errno: Errno? = nil, remedy: String? = nil) {
        self.step = step
        self.object = object
        self.errno = errno
        self.remedy = ""
        let usual = remedy ?? Self.usualRemedy(step: step, errno: errno)
        // A step fails where its guarantee cannot be given: its name is what `allow_degraded` and the doctor use.
        self.remedy =
            (errno == nil ? nil : guarantee).map { "guarantee \($0.rawValue) cannot be given: " + usual } ?? usual
    }

    private static func usualRemedy(step: String, errno: Errno?) -> String {
        switch (step, errno) {
        case ("clone", .notPermitted?), ("clone", .accessDenied?):
            "user namespaces are blocked here (a sysctl, AppArmor, or a container's seccomp filter); "
                + "`cordon doctor` names what blocks them and how to open it"
        case ("open", .notPermitted?):
            "this root may not mount (CAP_SYS_ADMIN is missing): run as an ordinary user, or give the container the right"
        case ("clone", .noSpace?):
            "a limit on namespaces is reached: raise user.max_user_namespaces, or end other jails"
        case ("clone", .again?): "a limit on processes is reached: end some, or raise RLIMIT_NPROC or pids.max"
        case ("file-system", .notPermitted?):
            "a container that masks parts of /proc keeps new ones from being mounted; run Cordon outside of it, "
                + "or start the container with an unmasked /proc"
        case ("clone-tree", .invalid?), ("clone-tree", .notPermitted?):
            "this file system cannot be id-mapped; move the workspace to ext4, xfs, btrfs or (Linux 6.3) tmpfs"
        case ("map-ids", _): "the host ids for jails are not available; `cordon doctor` tells why"
        case ("make-root", .noSpace?), ("file", .noSpace?), ("directory", .noSpace?):
            "the jail's own root is full; this is a defect, please report it with --print-plan"
        case ("cgroups", .accessDenied?), ("cgroups", .readOnly?), ("cgroups", .notPermitted?):
            "the cgroup file system is not writable here; `cordon doctor` names what to delegate"
        case ("terminal", .noSpace?), ("terminal", .inputOutput?):
            "too many terminals are open, in the jail (256) or on the machine (kernel.pty.max): close some"
        case (_, .noEntry?): "check that it exists and that you may read it"
        case (_, .accessDenied?): "check its permissions, and those of the directories above it"
        default: "`cordon doctor` tries each primitive and says what is missing"
        }
    }
}

extension LaunchFailure {
    /// A command that the spawner did not start.
    init(start step: String, _ errno: Errno, of command: CommandRequest) {
        let remedy: String? =
            switch (step, errno) {
            case ("execve", .noEntry): "no such program in the jail: check the name, PATH, and the policy's [fs] read"
            case ("execve", .accessDenied): "it is not executable there: check its mode and the policy's [fs] exec"
            case ("execve", .tooBig): "the arguments and the environment are longer than the kernel allows"
            case ("execve", .notExecutable): "it is neither a program of this machine nor a script with a #! line"
            case ("start", .again): "the limit on processes is reached before the command: allow at least 2"
            case ("directory", _): "the working directory cannot be entered in the jail: check the policy's [fs] read"
            default: nil
            }
        self.init(
            step: step, object: step == "directory" ? command.directory : command.arguments.first ?? "", errno: errno,
            remedy: remedy)
    }

    /// A consequence of another party's failure, not a cause.
    var isSecondary: Bool { errno == .brokenPipe || errno == .connectionReset }

    /// The guarantee that a step gives, to be named when the step fails.
    public var guarantee: Guarantee? {
        switch step {
        case "clone": .userNamespace
        case "fresh-keyring": .keyring
        case "zero-clock": .timeNamespace
        case "host-name": .utsNamespace
        case "loopback": .networkNamespace
        case "drop-groups": .groups
        case "map-ids", "become": .ids
        case "clone-tree": .workspaceIds
        case "make-root", "pivot-root", "seal-root", "attach-tree", "bind", "directory", "file", "symlink", "rebind",
            "overlay":
            .root
        case "file-system": object == "/proc" ? .proc : .root
        case "hide": object.hasPrefix("/proc/") ? .proc : .deny
        case "protect": object.hasPrefix("/proc/") ? .proc : .protect
        case "pin": .protect
        case "signal-scope": .landlockScope
        case "cgroup-namespace": .cgroupNamespace
        case "keep-capabilities", "bounding-set", "capabilities": .capabilities
        case "no-new-privileges": .noNewPrivileges
        case "landlock": .landlock
        case "filters": .seccomp
        case "cgroups", "enter-cgroups": cgroupGuarantee
        case "janitor": .janitor
        default: nil
        }
    }

    private var cgroupGuarantee: Guarantee {
        let file = object.split(separator: "/").last ?? ""
        if file.hasPrefix("memory.memsw") || file.hasPrefix("memory.swap") { return .swap }
        if file.hasPrefix("pids") { return .pids }
        if file.hasPrefix("cpu") { return .cpuRate }
        if file.hasPrefix("blkio") || file.hasPrefix("io") { return .io }
        return .memory
    }
}

extension LaunchFailure: CustomStringConvertible {
    /// `step object: ERRNO (…); guarantee NAME cannot be given; remedy`.
    public var description: String {
        step + (object.isEmpty ? "" : " \(object)") + (errno.map { ": \($0)" } ?? "")
            + (remedy.isEmpty ? "" : "; \(remedy)")
    }
}

/// Gives a call of the supervisor's own its step and object.
func step<Result: ~Copyable>(
    _ name: String, _ object: String = "", _ body: () throws(Errno) -> Result
) throws(LaunchFailure) -> Result {
    do throws(Errno) { return try body() } catch { throw LaunchFailure(step: name, object: object, errno: error) }
}

/// Gives the start of a program its object, and where it is part of a step of its own, that step's name.
func launching<Result: ~Copyable>(
    _ object: String, as step: String? = nil, _ body: () throws(SpawnFailure) -> Result
) throws(LaunchFailure) -> Result {
    do throws(SpawnFailure) { return try body() } catch {
        let own = error.step == "clone3" ? "clone" : error.step
        throw LaunchFailure(step: step ?? own, object: object, errno: error.errno)
    }
}
