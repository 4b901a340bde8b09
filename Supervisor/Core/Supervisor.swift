// The process that starts jails: what all of its jails share.
internal import JailPlan
internal import Linux
public import Machine
internal import Synchronization

/// Starts jails. One for each process is enough; it may be used from several threads.
public final class Supervisor: Sendable {
    /// What the machine can give.
    public let machine: Machine
    let initExecutable: Descriptor
    let null: Descriptor
    /// By fingerprint.
    private let filterFiles = Mutex<[String: FilterFiles]>([:])
    /// Started before the first cgroup is made, so that none can outlive it unseen; nil without cgroups.
    private let janitor: JanitorClient?
    /// Removes what an earlier supervisor and its janitor, both killed, left; nil where there was nothing.
    private let sweeper: ChildProcess?

    /// Opens the programs that jails need and starts the janitor.
    ///
    /// - Parameter programs: the directory with `jail-init` and `cordon-janitor`; nil: this program's own.
    public init(machine: Machine, programs: String? = nil) throws(LaunchFailure) {
        self.machine = machine
        let directory = if let programs { programs } else { try Self.ownDirectory() }
        null = try step("open", "/dev/null") { () throws(Errno) in try open("/dev/null", .readWrite) }
        try CgroupMaker.leaveBase(machine.cgroups)
        let program = directory + "/cordon-janitor"
        janitor = try Self.startJanitor(program, null: null, needed: machine.cgroups.layout != .none)
        sweeper = Self.hasRemains(machine.cgroups) ? Self.sweep(program, null: null.raw) : nil
        initExecutable = try Self.openSealed(directory + "/jail-init", privileged: machine.isPrivileged)
    }

    deinit { _ = try? sweeper.read { (process) throws(Errno) in try process.wait() } }

    /// Refuses where the janitor was killed: a jail that is made now could outlive this process unseen.
    public func requireJanitor() throws(LaunchFailure) {
        guard janitor.read({ $0.isDead }) ?? false else { return }
        throw LaunchFailure(
            step: "janitor", errno: .noProcess,
            remedy: "it was killed: start the supervisor again, which starts another")
    }

    /// Whether there is a jail that no supervisor holds the lock of.
    private static func hasRemains(_ tree: CgroupTree) -> Bool {
        tree.jailGroups().contains { CgroupTree.lockIfAbandoned($0) != nil }
    }

    /// What is left of others is no reason not to start a jail of one's own, so this may fail.
    private static func sweep(_ program: String, null: Int32) -> ChildProcess? {
        guard let file = try? open(program, .readOnly) else { return nil }
        return try? cloneAndExecute(
            file, arguments: ["cordon-janitor", "sweep"], namespaces: [], cgroup: nil, control: -1, null: null,
            ambientCapabilities: 0)
    }

    private static func startJanitor(
        _ path: String, null: borrowing Descriptor, needed: Bool
    ) throws(LaunchFailure) -> JanitorClient? {
        needed ? try JanitorClient(executable: path, null: null) : nil
    }

    /// The filters of a name as files that every jail may share; `programs` tells them where they are not known yet.
    func filterFiles(
        named name: String, _ programs: () throws(LaunchFailure) -> [[UInt8]]
    ) throws(LaunchFailure) -> FilterFiles {
        if let known = filterFiles.withLock({ $0[name] }) { return known }
        let files = try FilterFiles(try programs())
        filterFiles.withLock { known in
            // A policy has one set, and few policies are in use at a time.
            if known.count >= 16 { known = [:] }
            known[name] = files
        }
        return files
    }

    /// Where this program lies, and with it those that it starts.
    public static func ownDirectory() throws(LaunchFailure) -> String {
        try step("open", "/proc/self/exe") { () throws(Errno) in
            let own = try readLink("/proc/self/exe")
            return parentPath(own) ?? own
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

/// Seccomp programs in sealed files, in load order.
final class FilterFiles: Sendable {
    let files: DescriptorList

    init(_ programs: [[UInt8]]) throws(LaunchFailure) {
        var files = DescriptorList()
        for program in programs {
            files.append(try step("filters") { () throws(Errno) in try makeSealedFile(named: "filter", program) })
        }
        self.files = files
    }
}
