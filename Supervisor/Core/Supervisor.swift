// The process that starts jails: what all of its jails share.
internal import JailPlan
internal import Linux
public import Machine

/// Starts jails. One for each process is enough; it may be used from several threads.
public final class Supervisor: Sendable {
    /// What the machine can give.
    public let machine: Machine
    let initExecutable: Descriptor
    let null: Descriptor
    /// Started before the first cgroup is made, so that none can outlive it unseen; nil without cgroups.
    private let janitor: JanitorClient?

    /// Opens the programs that jails need and starts the janitor.
    ///
    /// - Parameter programs: the directory with `jail-init` and `cordon-janitor`; nil: this program's own.
    public init(machine: Machine, programs: String? = nil) throws(LaunchFailure) {
        self.machine = machine
        let directory = if let programs { programs } else { try Self.ownDirectory() }
        janitor = try Self.startJanitor(directory + "/cordon-janitor", needed: machine.cgroups.layout != .none)
        null = try step("open", "/dev/null") { () throws(Errno) in try open("/dev/null", .readWrite) }
        initExecutable = try Self.openSealed(directory + "/jail-init", privileged: machine.isPrivileged)
    }

    /// Tells the janitor of a jail before anything runs in it.
    func chargeJanitor(_ id: String, directories: [String], initProcess: Int32) throws(LaunchFailure) {
        try janitor.read { (client) throws(LaunchFailure) in
            try client.add(id, directories: directories, initProcess: initProcess)
        }
    }

    /// Tells the janitor that a jail was cleaned up.
    func dischargeJanitor(_ id: String) { janitor.read { $0.done(id) } }

    private static func startJanitor(_ path: String, needed: Bool) throws(LaunchFailure) -> JanitorClient? {
        needed ? try JanitorClient(executable: path) : nil
    }

    /// Where this program lies, and with it those that it starts.
    public static func ownDirectory() throws(LaunchFailure) -> String {
        try step("open", "/proc/self/exe") { () throws(Errno) in
            let own = try readLink("/proc/self/exe")
            return String(own[..<(own.lastIndex(of: "/") ?? own.endIndex)])
        }
    }

    /// jail-init comes from a read-only mount of its own, which is in no namespace and has no path: whoever
    /// opens /proc/1/exe for writing from inside meets EROFS (CVE-2019-5736). Without the right to mount, the
    /// file of a running program is ETXTBSY, and /proc/1/exe of an undumpable process EACCES.
    private static func openSealed(_ path: String, privileged: Bool) throws(LaunchFailure) -> Descriptor {
        try step("open", path) { () throws(Errno) in
            guard privileged else { return try open(path, .readOnly) }
            let tree = try cloneTree(path, recursive: false)
            try setMountAttributes(of: tree.raw, set: [.readOnly, .noSetUid, .noDevices], recursive: false)
            return tree
        }
    }
}
