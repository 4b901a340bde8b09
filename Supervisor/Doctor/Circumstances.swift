// What surrounds this process and may stand in its way. Reading only.
public import Machine
internal import Linux

/// The facts that blockers are named from.
public struct Circumstances: Sendable {
    /// `uname -r`.
    public let kernel: String
    /// The engine of the container that this process is in, if it can be told: `docker`, `podman`, ….
    public let container: String?
    /// Whether the root directory is not that of the mount namespace. User namespaces are then refused.
    public let isChrooted: Bool
    /// Effective capabilities, a bit for each.
    public let capabilities: UInt64
    /// 0: none, 1: strict, 2: filters (proc_pid_status(5)).
    public let seccompMode: Int
    /// Whether set-uid programs such as newuidmap have lost their effect.
    public let noNewPrivileges: Bool
    /// The security modules in force, where /sys/kernel/security can be read.
    public let securityModules: [String]?
    /// This process's AppArmor profile, unless it is unconfined.
    public let appArmorProfile: String?
    /// Parts of /proc with something mounted over them.
    public let masksOfProc: [String]
    /// The caller's name.
    public let userName: String?
    let machine: Machine
    let mounts: MountTable

    /// Looks around.
    public init(machine: Machine) {
        self.machine = machine
        mounts = MountTable()
        masksOfProc = mounts.masksOfProc
        kernel = (try? readText("/proc/sys/kernel/osrelease")) ?? "unknown"
        isChrooted = !mounts.entries.isEmpty && !mounts.entries.contains { $0.point == "/" }
        let status = (try? readText("/proc/self/status")) ?? ""
        capabilities = Self.field("CapEff", of: status).flatMap { UInt64($0, radix: 16) } ?? 0
        seccompMode = Self.field("Seccomp", of: status).flatMap { Int($0) } ?? 0
        noNewPrivileges = Self.field("NoNewPrivs", of: status) == "1"
        securityModules = (try? readText("/sys/kernel/security/lsm"))?.split(separator: ",").map(String.init)
        let profile = (try? readText("/proc/self/attr/apparmor/current")) ?? "unconfined"
        appArmorProfile = profile.hasPrefix("unconfined") || profile.isEmpty ? nil : profile
        container = Self.findContainer()
        userName = Self.name(of: machine.user)
    }

    /// A value below /proc/sys; nil where there is no such file.
    func sysctl(_ name: String) -> Int? {
        (try? readText("/proc/sys/" + String(name.map { $0 == "." ? "/" : $0 }))).flatMap { Int($0) }
    }

    func lacks(_ capability: Int) -> Bool { capabilities >> UInt64(capability) & 1 == 0 }

    /// Whether systemd runs this machine, so that `systemd-run` can delegate.
    var hasSystemd: Bool { (try? status(at: "/run/systemd/system")) != nil }

    private static func field(_ name: String, of status: String) -> Substring? {
        for line in status.split(separator: "\n") where line.hasPrefix(name + ":") {
            return line.dropFirst(name.utf8.count + 1).split(whereSeparator: { $0 == " " || $0 == "\t" }).first
        }
        return nil
    }

    private static func findContainer() -> String? {
        if (try? status(at: "/run/.containerenv")) != nil { return "podman" }
        if callerEnvironment().contains(where: { $0.name == "KUBERNETES_SERVICE_HOST" }) { return "kubernetes" }
        if (try? status(at: "/.dockerenv")) != nil { return "docker" }
        if let name = try? readText("/run/systemd/container"), !name.isEmpty { return name }
        let environment = callerEnvironment().first { $0.name == "container" }?.value
        return environment.flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func name(of user: UInt32) -> String? {
        for line in ((try? readText("/etc/passwd")) ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count >= 3, fields[2] == "\(user)" { return String(fields[0]) }
        }
        return nil
    }
}
