/// Calls and what they must meet, under the preset `agent` unless a test says otherwise.

@testable import JailFilters

struct Case: Sendable, CustomStringConvertible {
    let call: String
    let arguments: [UInt64]
    let expected: CallVerdict
    /// Arguments that the kernel takes as 32 bits or fewer: what stands above them must not matter.
    let truncated: [Int]

    init(_ expected: CallVerdict, _ call: String, _ arguments: [UInt64], truncated: [Int] = []) {
        self.call = call
        self.arguments = arguments
        self.expected = expected
        self.truncated = truncated
    }

    var description: String {
        "\(call)(\(arguments.map { "0x" + String($0, radix: 16) }.joined(separator: ", "))) → \(expected)"
    }
}

/// An empty path in the real kernel (the fixture passes a page of zeroes), any address in the evaluator.
let path: UInt64 = 0x7FFF_1234_5678
private let here: UInt64 = 0xFFFF_FF9C  // AT_FDCWD as `int`
private let high: UInt64 = 1 << 32

let agentCases: [Case] = [
    // Terminals (threat 19).
    Case(.refuse, "ioctl", [0, 0x5412, path], truncated: [1]),
    Case(.refuse, "ioctl", [0, high | 0x5412, path]),
    Case(.refuse, "ioctl", [0, 0x541C, path], truncated: [1]),
    Case(.refuse, "ioctl", [0, 0x541D], truncated: [1]),
    Case(.refuse, "ioctl", [0, 0x5423, path], truncated: [1]),
    Case(.refuse, "ioctl", [0, 0x5437], truncated: [1]),
    Case(.refuse, "ioctl", [0, 0x4B3A, 0], truncated: [1]),  // KDSETMODE
    Case(.refuse, "ioctl", [0, 0x5606, 1], truncated: [1]),  // VT_ACTIVATE
    Case(.allow, "ioctl", [0, 0x540E, 0]),  // TIOCSCTTY
    Case(.allow, "ioctl", [0, 0x5410, path]),  // TIOCSPGRP
    Case(.allow, "ioctl", [0, 0x5413, path]),  // TIOCGWINSZ
    Case(.allow, "ioctl", [0, 0x5414, path]),  // TIOCSWINSZ
    Case(.allow, "ioctl", [0, 0x5401, path]),  // TCGETS
    Case(.allow, "ioctl", [0, 0x5402, path]),  // TCSETS
    Case(.allow, "ioctl", [0, 0x541B, path]),  // FIONREAD

    // Namespaces (threat 12).
    Case(.refuse, "clone", [0x0002_0011], truncated: [0]),
    Case(.refuse, "clone", [0x0200_0011], truncated: [0]),
    Case(.refuse, "clone", [0x0400_0011], truncated: [0]),
    Case(.refuse, "clone", [0x0800_0011], truncated: [0]),
    Case(.refuse, "clone", [0x1000_0011], truncated: [0]),
    Case(.refuse, "clone", [0x2000_0011], truncated: [0]),
    Case(.refuse, "clone", [0x4000_0011], truncated: [0]),
    Case(.refuse, "clone", [0x7E02_0011], truncated: [0]),
    Case(.refuse, "unshare", [0x1000_0000]),
    Case(.refuse, "setns", [3, 0]),
    Case(.absent, "clone3", [path, 88]),
    Case(.absent, "openat2", [here, path, path, 24]),
    Case(.absent, "fchmodat2", [here, path, 0o4755, 0]),
    Case(.refuse, "mount", [path, path, path, 0, 0]),
    Case(.refuse, "mount_setattr", [here, path, 0, path, 32]),

    // Sockets.
    Case(.allow, "socket", [1, 1, 0]),
    Case(.allow, "socket", [1, 0x80801, 0]),
    Case(.allow, "socket", [2, 1, 6]),
    Case(.allow, "socket", [2, 0x80802, 17]),
    Case(.allow, "socket", [10, 2, 0]),
    Case(.allow, "socket", [16, 0x80003, 0]),  // getaddrinfo's
    Case(.allow, "socketpair", [1, 1, 0, path]),
    Case(.refuse, "socketpair", [2, 1, 0, path], truncated: [0]),
    Case(.refuse, "socketpair", [high | 1, 1, 0, path]),
    Case(.refuse, "socket", [high | 1, 1, 0]),
    Case(.refuse, "socket", [2, 3, 1], truncated: [0, 1]),  // raw ICMP
    Case(.refuse, "socket", [10, 0x80003, 58], truncated: [0, 1]),
    Case(.refuse, "socket", [2, 5, 0], truncated: [0, 1]),
    Case(.refuse, "socket", [2, 1, 132], truncated: [0, 2]),  // SCTP
    Case(.refuse, "socket", [2, 1, 262], truncated: [0, 2]),  // MPTCP
    Case(.refuse, "socket", [2, 6, 33], truncated: [0, 1, 2]),  // DCCP
    Case(.refuse, "socket", [15, 3, 2], truncated: [0]),  // AF_KEY
    Case(.refuse, "socket", [17, 3, 0x300], truncated: [0]),  // AF_PACKET
    Case(.refuse, "socket", [17, 10, 0], truncated: [0]),
    Case(.refuse, "socket", [21, 5, 0], truncated: [0]),  // AF_RDS
    Case(.refuse, "socket", [29, 3, 1], truncated: [0]),  // AF_CAN
    Case(.refuse, "socket", [30, 5, 0], truncated: [0]),  // AF_TIPC
    Case(.refuse, "socket", [31, 3, 1], truncated: [0]),  // AF_BLUETOOTH
    Case(.refuse, "socket", [38, 5, 0], truncated: [0]),  // AF_ALG
    Case(.refuse, "socket", [40, 1, 0], truncated: [0]),  // AF_VSOCK
    Case(.refuse, "socket", [44, 3, 0], truncated: [0]),  // AF_XDP
    Case(.pretend, "setrlimit", [4, 0]),  // RLIMIT_CORE
    Case(.pretend, "setrlimit", [1 << 32 | 4, 0]),
    Case(.pretend, "prlimit64", [0, 4, 1, 0]),
    Case(.pretend, "prlimit64", [0, 1 << 40 | 4, 1, 0]),
    Case(.allow, "prlimit64", [0, 4, 0, 0]),  // only asks
    Case(.refuse, "prlimit64", [1, 0, 1, 0]), Case(.allow, "prlimit64", [1, 0, 0, 1]),
    Case(.allow, "prlimit64", [0, 7, 1, 0]),
    Case(.allow, "setrlimit", [7, 0]),
    Case(.unsupported, "socket", [16, 3, 9]),  // NETLINK_AUDIT
    Case(.unsupported, "socket", [16, 3, 12]),  // NETLINK_NETFILTER
    Case(.unsupported, "socket", [16, 3, 15]),  // NETLINK_KOBJECT_UEVENT

    // Modes (threat 42).
    Case(.refuse, "chmod", [path, 0o4755], truncated: [1]),
    Case(.refuse, "chmod", [path, 0o2755], truncated: [1]),
    Case(.refuse, "fchmod", [0, 0o6000], truncated: [1]),
    Case(.refuse, "fchmodat", [here, path, 0o4711], truncated: [2]),
    Case(.allow, "chmod", [path, 0o1777]),
    Case(.allow, "fchmodat", [here, path, 0o755]),
    Case(.refuse, "creat", [path, 0o4755], truncated: [1]),
    Case(.refuse, "open", [path, 0o101, 0o4755], truncated: [1, 2]),
    Case(.refuse, "openat", [here, path, 0o101, 0o4755], truncated: [2, 3]),
    Case(.refuse, "openat", [here, path, 0o102, 0o2755], truncated: [2, 3]),
    Case(.refuse, "openat", [here, path, 0o2020_0002, 0o4755], truncated: [2, 3]),  // O_TMPFILE
    Case(.allow, "openat", [here, path, 0o101, 0o1777]),
    Case(.allow, "openat", [here, path, 0, 0o4755]),  // what the register held
    Case(.allow, "open", [path, 0, 0xFFFF_FFFF]),
    Case(.refuse, "mkdir", [path, 0o2755], truncated: [1]),
    Case(.refuse, "mkdirat", [here, path, 0o4755], truncated: [2]),
    Case(.allow, "mkdirat", [here, path, 0o1777]),
    Case(.refuse, "mknod", [path, 0o104755, 0], truncated: [1]),
    Case(.refuse, "mknod", [path, 0o060600, 0x800], truncated: [1]),
    Case(.refuse, "mknod", [path, 0o020600, 0x101], truncated: [1]),
    Case(.refuse, "mknodat", [here, path, 0o060600, 0x800], truncated: [2]),
    Case(.refuse, "mknodat", [here, path, 0o020600, 0], truncated: [2]),
    Case(.allow, "mknodat", [here, path, 0o010644, 0]),  // mkfifo
    Case(.allow, "mknod", [path, 0o100644, 0]),
    Case(.allow, "mknod", [path, 0o140644, 0]),

    Case(.refuse, "renameat2", [here, path, here, path, 4], truncated: [4]),
    Case(.refuse, "renameat2", [here, path, here, path, 5], truncated: [4]),
    Case(.allow, "renameat2", [here, path, here, path, 1]),  // RENAME_NOREPLACE
    Case(.allow, "renameat2", [here, path, here, path, 2]),  // RENAME_EXCHANGE

    // Processes.
    Case(.allow, "personality", [0xFFFF_FFFF]),
    Case(.allow, "personality", [0]),
    Case(.allow, "personality", [0x0004_0000]),
    Case(.refuse, "personality", [8], truncated: [0]),  // PER_LINUX32
    Case(.refuse, "personality", [0x0040_0000], truncated: [0]),  // READ_IMPLIES_EXEC
    Case(.refuse, "personality", [0x0014_0000], truncated: [0]),
    Case(.refuse, "personality", [0x0002_0000], truncated: [0]),
    Case(.refuse, "personality", [high]),
    Case(.refuse, "personality", [high | 0x0004_0000]),
    Case(.refuse, "personality", [UInt64.max]),
    Case(.refuse, "prctl", [35, 1, 0, 0, 0], truncated: [0]),
    Case(.refuse, "prctl", [57, 1, 0, 0, 0], truncated: [0]),
    Case(.refuse, "prctl", [62, 0, 0, 0, 0], truncated: [0]),
    Case(.refuse, "prctl", [67, 1, 0, 0, 0], truncated: [0]),
    Case(.allow, "prctl", [38, 1, 0, 0, 0]),  // PR_SET_NO_NEW_PRIVS
    Case(.allow, "prctl", [4, 1, 0, 0, 0]),  // PR_SET_DUMPABLE
    Case(.allow, "prctl", [15, path]),  // PR_SET_NAME
    Case(.refuse, "seccomp", [1, 8, path], truncated: [0, 1]),
    Case(.refuse, "seccomp", [1, 0xB, path], truncated: [0, 1]),
    Case(.allow, "seccomp", [1, 0, path]),
    Case(.allow, "ptrace", [0, 0, 0, 0]),
    Case(.refuse, "pidfd_getfd", [3, 0, 0]),
    Case(.allow, "memfd_create", [path, 1]),
    Case(.allow, "getpid", []),

    // Threat 17.
    Case(.refuse, "io_uring_setup", [1, path]),
    Case(.refuse, "bpf", [0, path, 0]),
    Case(.refuse, "perf_event_open", [path, 0, 0xFFFF_FFFF, 0xFFFF_FFFF, 0]),
    Case(.refuse, "userfaultfd", [0]),
    Case(.refuse, "keyctl", [0, 0]),
    Case(.refuse, "kexec_load", [0, 0, 0, 0]),
    Case(.refuse, "init_module", [path, 0, path]),
]

let pureCases: [Case] = [
    Case(.refuse, "socket", [1, 1, 0]),
    Case(.refuse, "socket", [17, 3, 0]),
    Case(.refuse, "socketpair", [1, 1, 0, path]),
    Case(.refuse, "connect", [0, path, 16]),
    Case(.refuse, "ptrace", [0, 0, 0, 0]),
    Case(.refuse, "process_vm_readv", [1, path, 1, path, 1, 0]),
    Case(.refuse, "inotify_init1", [0]),
    Case(.refuse, "seccomp", [1, 0, path]),
    Case(.refuse, "shmget", [0, 4096, 0o1000]),
    Case(.refuse, "chown", [path, 0, 0]),
    Case(.refuse, "clone", [0x1000_0011], truncated: [0]),
    Case(.refuse, "ioctl", [0, 0x5412, path], truncated: [1]),
    Case(.refuse, "chmod", [path, 0o4755], truncated: [1]),
    Case(.absent, "clone3", [path, 88]),
    Case(.allow, "getpid", []),
    Case(.allow, "openat", [here, path, 0, 0]),
    Case(.allow, "personality", [0xFFFF_FFFF]),
    Case(.allow, "sendmsg", [0, path, 0]),
    Case(.allow, "futex", [path, 1, 1]),
]
