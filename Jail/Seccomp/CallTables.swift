/// The lists of system calls, as data. Every call of x86-64 that libseccomp knows is in exactly one group
/// or in `absent`: a new one must be looked at before it is let through (a test compares).
///
/// Sources: the man pages of section 2, arch/x86/entry/syscalls/syscall_64.tbl for the numbers.

/// A group of calls that share a reason and a verdict.
struct CallGroup: Sendable {
    /// Who may make the calls of a group. Who may not gets EPERM.
    enum Admission: Sendable {
        /// Every preset.
        case everyone
        /// The preset `agent`.
        case agent
        /// The preset `agent`, and package managers in any preset.
        case agentOrPackageManager
        /// Everyone, unless `[fs] exec` limits what may be executed.
        case executableMemoryFiles
        /// Nobody.
        case nobody
    }

    let admission: Admission
    /// What the calls have in common, and for refused ones why.
    let title: String
    let names: [String]

    init(_ admission: Admission, _ title: String, _ names: [String]) {
        self.admission = admission
        self.title = title
        self.names = names
    }

    func verdict(for request: FilterRequest) -> CallVerdict {
        let allowed =
            switch admission {
            case .everyone: true
            case .agent: request.preset == .agent
            case .agentOrPackageManager: request.preset == .agent || request.packageManager
            case .executableMemoryFiles: request.allowExecutableMemoryFiles
            case .nobody: false
            }
        return allowed ? .allow : .refuse
    }
}

enum CallTables {
    static let groups: [CallGroup] = allowed + agentOnly + refused

    // MARK: - Everyone

    private static let allowed: [CallGroup] = [
        CallGroup(
            .everyone, "open descriptors",
            [
                "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2",
                "lseek", "close", "close_range", "dup", "dup2", "dup3", "fcntl", "flock", "ioctl",
                "fsync", "fdatasync", "sync_file_range", "ftruncate", "fallocate", "fadvise64", "readahead",
                "cachestat",
                "sendfile", "copy_file_range", "splice", "tee",
            ]),
        // Mounts and Landlock say which paths; the bits of modes are in ArgumentRules.
        CallGroup(
            .everyone, "paths",
            [
                "open", "openat", "creat", "access", "faccessat", "faccessat2",
                "stat", "fstat", "lstat", "newfstatat", "statx", "statfs", "fstatfs",
                "readlink", "readlinkat", "getdents", "getdents64", "getcwd", "chdir", "fchdir",
                "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2",
                "link", "linkat", "symlink", "symlinkat", "truncate", "chmod", "fchmod", "fchmodat", "umask",
                "utime", "utimes", "utimensat", "futimesat",
                "getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr", "getxattrat",
                "listxattrat",
            ]),
        CallGroup(
            .everyone, "pipes and events",
            [
                "pipe", "pipe2", "poll", "ppoll", "select", "pselect6",
                "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
                "eventfd", "eventfd2", "signalfd", "signalfd4", "timerfd_create", "timerfd_settime", "timerfd_gettime",
            ]),
        CallGroup(
            .everyone, "memory",
            [
                "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "msync", "mincore",
                "mlock", "mlock2", "munlock", "mlockall", "munlockall",
                "pkey_alloc", "pkey_free", "pkey_mprotect", "membarrier", "mseal", "map_shadow_stack",
            ]),
        // glibc makes threads and posix_spawn with clone where clone3 is ENOSYS.
        CallGroup(
            .everyone, "processes and threads",
            [
                "clone", "fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid",
                "getpid", "getppid", "gettid", "set_tid_address", "set_robust_list", "get_robust_list", "rseq",
                "getpgid", "getpgrp", "setpgid", "getsid", "setsid", "prctl", "arch_prctl", "personality",
                "pidfd_open", "pidfd_send_signal",
                "uname", "sysinfo", "times", "getrusage", "getrlimit", "setrlimit", "prlimit64", "getcpu", "getrandom",
                "futex", "futex_waitv", "futex_wake", "futex_wait", "futex_requeue",
                // A return probe that the host has put on a library makes this call from its trampoline.
                "uretprobe", "uprobe",
            ]),
        // The jail has a pid namespace of its own, so kill(-1) meets only its own processes.
        CallGroup(
            .everyone, "signals",
            [
                "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend",
                "rt_sigqueueinfo", "rt_tgsigqueueinfo", "sigaltstack", "kill", "tkill", "tgkill", "pause",
                "restart_syscall",
            ]),
        CallGroup(
            .everyone, "time",
            [
                "time", "gettimeofday", "clock_gettime", "clock_getres", "nanosleep", "clock_nanosleep",
                "alarm", "getitimer", "setitimer",
                "timer_create", "timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete",
            ]),
        CallGroup(
            .everyone, "scheduling",
            [
                "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_setparam",
                "sched_getscheduler", "sched_setscheduler", "sched_get_priority_max", "sched_get_priority_min",
                "sched_rr_get_interval", "sched_getattr", "sched_setattr", "getpriority", "setpriority",
            ]),
        // Without capabilities they only drop; the spawner needs them after the filter is in place.
        CallGroup(
            .everyone, "identity",
            [
                "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups",
                "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid",
                "setfsgid",
                "capget", "capset",
            ]),
        // A ruleset only ever takes rights away from its caller.
        CallGroup(
            .everyone, "Landlock", ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"]),
        // The spawner and the judge talk over a socket that they were given; `pure` cannot make one.
        CallGroup(
            .everyone, "messages on a socket that exists",
            [
                "sendto", "recvfrom", "sendmsg", "recvmsg", "shutdown",
                "getsockname", "getpeername", "getsockopt",
            ]),
        CallGroup(.executableMemoryFiles, "files that no mount option reaches", ["memfd_create"]),
    ]

    // MARK: - The preset agent

    private static let agentOnly: [CallGroup] = [
        CallGroup(
            .agent, "sockets",
            [
                "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "setsockopt",
                "sendmmsg", "recvmmsg",
            ]),
        CallGroup(.agentOrPackageManager, "owners of files", ["chown", "fchown", "lchown", "fchownat"]),
        CallGroup(
            .agent, "special files and attributes",
            [
                "mknod", "mknodat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat",
                "removexattr", "lremovexattr", "fremovexattr", "removexattrat",
            ]),
        CallGroup(.agent, "flushing whole file systems", ["sync", "syncfs"]),
        CallGroup(
            .agent, "watching files", ["inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch"]),
        CallGroup(
            .agent, "System V and POSIX IPC (in an ipc namespace of the jail's own)",
            [
                "shmget", "shmat", "shmdt", "shmctl", "semget", "semop", "semtimedop", "semctl",
                "msgget", "msgsnd", "msgrcv", "msgctl",
                "mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive", "mq_notify", "mq_getsetattr",
            ]),
        // The kernel's own checks (ptrace(2), "access mode checking") keep jail-init and the worker out of
        // reach. A tracer cannot undo a filter: since Linux 4.8 seccomp runs after the tracer's stop.
        CallGroup(.agent, "debugging the jail's own processes", ["ptrace", "process_vm_readv", "process_vm_writev"]),
        CallGroup(.agent, "filters of its own", ["seccomp"]),
        CallGroup(
            .agent, "NUMA placement of its own memory",
            ["mbind", "get_mempolicy", "set_mempolicy", "set_mempolicy_home_node"]),
        CallGroup(
            .agent, "asynchronous files",
            ["io_setup", "io_destroy", "io_getevents", "io_submit", "io_cancel", "io_pgetevents"]),
        CallGroup(
            .agent, "seldom used", ["ioprio_set", "ioprio_get", "vmsplice", "remap_file_pages"]),
    ]

    // MARK: - Nobody

    private static let refused: [CallGroup] = [
        CallGroup(
            .nobody, "mounts and roots",
            [
                "mount", "umount2", "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount", "fspick",
                "open_tree", "open_tree_attr", "move_mount", "mount_setattr",
            ]),
        CallGroup(.nobody, "namespaces (clone's flags are in the argument rules)", ["unshare", "setns"]),
        // Each has a long record of local privilege escalation, and none is needed to build or test.
        CallGroup(
            .nobody, "kernel machinery with a wide attack surface",
            [
                "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
                "memfd_secret",
            ]),
        // Keyrings are not namespaced by anything but the user namespace.
        CallGroup(.nobody, "keys", ["add_key", "request_key", "keyctl"]),
        CallGroup(
            .nobody, "loading code into the kernel",
            [
                "init_module", "finit_module", "delete_module", "create_module", "query_module", "get_kernel_syms",
                "kexec_load", "kexec_file_load",
            ]),
        CallGroup(
            .nobody, "the machine",
            [
                "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "syslog", "sethostname",
                "setdomainname", "vhangup", "iopl", "ioperm", "modify_ldt", "lookup_dcookie", "nfsservctl",
            ]),
        CallGroup(
            .nobody, "setting clocks", ["settimeofday", "clock_settime", "adjtimex", "clock_adjtime"]),
        // Handles open files beneath a whole file system, whatever is mounted (the "shocker" escape).
        CallGroup(.nobody, "files by handle", ["name_to_handle_at", "open_by_handle_at"]),
        CallGroup(.nobody, "watching file systems", ["fanotify_init", "fanotify_mark"]),
        CallGroup(
            .nobody, "other processes",
            ["pidfd_getfd", "kcmp", "process_madvise", "process_mrelease", "migrate_pages", "move_pages"]),
        CallGroup(.nobody, "security modules", ["lsm_set_self_attr"]),
    ]

    // MARK: - Absent

    /// Calls that answer ENOSYS on purpose. Nothing compiles from this list, ENOSYS being the default; it
    /// is here so that "not looked at yet" and "must not exist" can be told apart.
    static let absent: [String] = [
        // Flags behind a pointer, so no filter can judge them. Their callers fall back to clone, openat.
        "clone3", "openat2",
        // Would set mode bits past the rules on chmod; glibc and musl fall back to fchmodat.
        "fchmodat2",
        // New ways to ask or change what older calls show; their callers fall back.
        "statmount", "listmount", "listns", "lsm_get_self_attr", "lsm_list_modules", "file_getattr", "file_setattr",
        // What the kernel itself answers with ENOSYS on x86-64, or has long been useless.
        "uselib", "ustat", "sysfs", "_sysctl", "getpmsg", "putpmsg", "afs_syscall", "tuxcall", "security", "vserver",
        "epoll_ctl_old", "epoll_wait_old", "set_thread_area", "get_thread_area",
    ]

    /// Numbers of calls that are newer than libseccomp 2.5.4. libseccomp is asked first.
    static let newNumbers: [String: Int32] = [
        "uretprobe": 335, "uprobe": 336,
        "cachestat": 451, "fchmodat2": 452, "map_shadow_stack": 453,
        "futex_wake": 454, "futex_wait": 455, "futex_requeue": 456,
        "statmount": 457, "listmount": 458,
        "lsm_get_self_attr": 459, "lsm_set_self_attr": 460, "lsm_list_modules": 461, "mseal": 462,
        "setxattrat": 463, "getxattrat": 464, "listxattrat": 465, "removexattrat": 466,
        "open_tree_attr": 467, "file_getattr": 468, "file_setattr": 469, "listns": 470,
    ]
}
