/// A promise about a jail, from one closed list.
///
/// A plan either gives a guarantee or the run is refused with its name, unless the policy lists it under
/// `allow_degraded`; then the report names it under `degraded`. The raw value is the name that policies,
/// reports and `cordon doctor --guarantees` use.
public enum Guarantee: String, CaseIterable, Sendable, Hashable {
    case userNamespace = "ns.user"
    case mountNamespace = "ns.mount"
    case pidNamespace = "ns.pid"
    case networkNamespace = "ns.net"
    case ipcNamespace = "ns.ipc"
    case utsNamespace = "ns.uts"
    case cgroupNamespace = "ns.cgroup"
    case timeNamespace = "ns.time"
    case root
    case proc
    case ids
    case workspaceIds = "ids.workspace"
    case groups
    case capabilities = "caps"
    case noNewPrivileges = "no_new_privs"
    case seccomp
    case landlock
    case landlockScope = "landlock.scope"
    case keyring
    case deny = "fs.deny"
    case protect = "fs.protect"
    case denyCreate = "fs.deny.create"
    case exec = "fs.exec"
    case sockets
    case memory
    case swap
    case pids
    case cpuTime = "cpu.time"
    case cpuRate = "cpu.rate"
    case io
    case disk
    case wall
    case output
    case treeKill = "tree.kill"
    case janitor

    /// What the user gets, in one line.
    public var promise: String {
        switch self {
        case .userNamespace: "root inside is nobody outside"
        case .mountNamespace: "mounts inside are invisible outside"
        case .pidNamespace: "no process outside can be seen or signalled"
        case .networkNamespace: "no network but the jail's own loopback"
        case .ipcNamespace: "no System V IPC or POSIX queue is shared"
        case .utsNamespace: "a host name of its own"
        case .cgroupNamespace: "the host's cgroup tree is not visible"
        case .timeNamespace: "boot time starts near zero"
        case .root: "a root of its own: what is not mounted does not exist"
        case .proc: "secret files of /proc are masked, /proc/sys is read-only"
        case .ids: "no id of root or of another user outside; as root, ids shared with no other live jail"
        case .workspaceIds: "files made in the workspace belong to its owner"
        case .groups: "no supplementary group"
        case .capabilities: "all five capability sets are empty"
        case .noNewPrivileges: "no executable can give privileges"
        case .seccomp: "only listed system calls, native architecture only"
        case .landlock: "a second wall around files, independent of mounts"
        case .landlockScope: "no abstract socket or signal leaves the jail"
        case .keyring: "a fresh session keyring"
        case .deny: "denied paths that exist at the start can be neither read nor written"
        case .protect: "protected paths that exist at the start cannot be written"
        case .denyCreate: "no new file can match a denied or protected pattern"
        case .exec: "only listed paths can be executed"
        case .sockets: "no unix socket of the host can be reached"
        case .memory: "a memory limit for the whole tree"
        case .swap: "swap counts against the memory limit"
        case .pids: "a limit on the number of processes of the whole tree"
        case .cpuTime: "a limit on processor time, summed over the whole tree"
        case .cpuRate: "a limit on processors used at a time"
        case .io: "bytes read from and written to disks are counted"
        case .disk: "private file systems are limited in bytes and files"
        case .wall: "a deadline"
        case .output: "captured output is capped"
        case .treeKill: "the whole tree dies at the end, by one kernel operation"
        case .janitor: "nothing is left behind when Cordon itself is killed"
        }
    }

    /// The kernel mechanism that gives it, the primary one first.
    public var mechanism: String {
        switch self {
        case .userNamespace: "user_namespaces(7)"
        case .mountNamespace: "mount_namespaces(7)"
        case .pidNamespace: "pid_namespaces(7)"
        case .networkNamespace: "network_namespaces(7)"
        case .ipcNamespace: "ipc_namespaces(7)"
        case .utsNamespace: "uts_namespaces(7)"
        case .cgroupNamespace: "cgroup_namespaces(7), unshared after attaching"
        case .timeNamespace: "time_namespaces(7), offsets written before the first task enters"
        case .root: "tmpfs and pivot_root(2)"
        case .proc: "a new procfs, masks by mounts; subset=pid in the preset pure"
        case .ids:
            "uid_map and gid_map: 65,536 ids for each live jail, by a lock; "
                + "rootless: the caller's own and subordinate ids"
        case .workspaceIds: "MOUNT_ATTR_IDMAP; rootless: the caller's own id is mapped"
        case .groups: "setgroups(2); rootless: needs newgidmap(1), or a caller without groups"
        case .capabilities: "capset(2), PR_CAPBSET_DROP, PR_CAP_AMBIENT_CLEAR_ALL"
        case .noNewPrivileges: "PR_SET_NO_NEW_PRIVS, nosuid mounts"
        case .seccomp: "two seccomp(2) filters compiled by libseccomp"
        case .landlock: "landlock(7), ABI 2 or later"
        case .landlockScope: "landlock(7), ABI 6 or later; the network and pid namespaces give it without"
        case .keyring: "KEYCTL_JOIN_SESSION_KEYRING"
        case .deny: "mounts over what matches at the start"
        case .protect: "read-only mounts over what matches at the start"
        case .denyCreate: "brokered opens and transactional workspaces; none in a direct workspace"
        case .exec: "Landlock EXECUTE, noexec mounts, memfd_create refused"
        case .sockets:
            "a network namespace for abstract ones, masks for those in workspaces, granted paths, caches and named tool chains"
        case .memory: "cgroup memory controller, v1 or v2"
        case .swap: "memory.memsw.limit_in_bytes or memory.swap.max"
        case .pids: "cgroup pids controller; rootless without cgroups: RLIMIT_NPROC, named so"
        case .cpuTime: "cpuacct.usage or cpu.stat of the tree's cgroup"
        case .cpuRate: "cpu.cfs_quota_us or cpu.max"
        case .io: "blkio.throttle.io_service_bytes_recursive or io.stat"
        case .disk: "tmpfs size and nr_inodes"
        case .wall: "a timer in the supervisor"
        case .output: "pipes read by the supervisor"
        case .treeKill: "the death of the pid namespace's init, and cgroup.kill where there is one"
        case .janitor:
            "end-of-file: seen by jail-init on its socket, and on a pipe by a sleeping process, which becomes the janitor"
        }
    }
}
