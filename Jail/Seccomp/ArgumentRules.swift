/// Rules about arguments, as data.
///
/// How wide a comparison must be is the whole point of this file. The kernel declares most of these
/// arguments as `int`, so it ignores the upper half of the register: a rule that REFUSES must ignore it
/// too, or one bit up there walks past it (libseccomp's EQ on an ioctl number is bypassed by bit 32). A
/// rule that leaves something ALLOWED must look at all 64 bits.
///
/// Lists of allowed values are written as refusals of everything else, since these rules belong to the
/// program whose default is to allow.

/// What a rule asks of one argument. Arguments count from 0.
enum ArgumentTest: Sendable, Hashable {
    /// The lower 32 bits equal a value.
    case low(Int, UInt32)
    /// The bits under a mask equal a value.
    case bits(Int, mask: UInt64, UInt64)
    /// All 64 bits differ from a value.
    case not(Int, UInt64)
    /// As 64 bits, greater than a value.
    case above(Int, UInt64)
    /// All 64 bits equal a value.
    case exactly(Int, UInt64)
    /// Whatever it is. Only for ``ArgumentRules/exactRules``.
    case anything(Int)

    /// At least these bits are set.
    static func set(_ argument: Int, _ bits: UInt64) -> ArgumentTest { .bits(argument, mask: bits, bits) }
}

/// One rule: when every test holds, the verdict is given.
struct ArgumentRule: Sendable, Hashable, CustomStringConvertible {
    let call: String
    let tests: [ArgumentTest]
    let verdict: CallVerdict
    /// What is refused, and why.
    let reason: String

    init(_ call: String, _ tests: [ArgumentTest], _ reason: String, gives verdict: CallVerdict = .refuse) {
        self.call = call
        self.tests = tests
        self.verdict = verdict
        self.reason = reason
    }

    var description: String { "\(verdict): \(call): \(reason)" }
}

enum ArgumentRules {
    /// The rules of the program `arguments`, without those for calls that are refused as a whole.
    static func rules(for request: FilterRequest) -> [ArgumentRule] {
        let refused = Set(CallTables.groups.filter { $0.verdict(for: request) != .allow }.flatMap(\.names))
        var rules = always
        if !request.allowUnixSockets {
            rules.append(ArgumentRule("socket", [.low(0, Family.unix)], "unix sockets: the host's are in reach"))
        }
        return rules.filter { !refused.contains($0.call) }
    }

    private static let always: [ArgumentRule] =
        terminals + namespaces + sockets + modes + processes

    // MARK: - Terminals

    // ioctl(2) takes `unsigned int` (fs/ioctl.c). Job control keeps its TIOCSCTTY, TIOCSPGRP, TIOCSWINSZ
    // and TCSETS*.
    private static let terminals: [ArgumentRule] = [
        ArgumentRule("ioctl", [.low(1, 0x5412)], "TIOCSTI types into the caller's terminal (CVE-2017-5226)"),
        ArgumentRule("ioctl", [.low(1, 0x541C)], "TIOCLINUX pastes a console's selection into it (CVE-2023-28100)"),
        ArgumentRule("ioctl", [.low(1, 0x541D)], "TIOCCONS takes over the console's output"),
        ArgumentRule("ioctl", [.low(1, 0x5423)], "TIOCSETD loads line disciplines (CVE-2017-2636, CVE-2023-6546)"),
        ArgumentRule("ioctl", [.low(1, 0x541F)], "TIOCSSERIAL sets up a serial port"),
        ArgumentRule("ioctl", [.low(1, 0x5437)], "TIOCVHANGUP hangs a terminal up"),
        ArgumentRule("ioctl", [.low(1, 0x5457)], "TIOCSLCKTRMIOS locks another's terminal settings"),
        ArgumentRule("ioctl", [.bits(1, mask: 0xFFFF_FF00, 0x4B00)], "KD*: keyboard, font and mode of a console"),
        ArgumentRule("ioctl", [.bits(1, mask: 0xFFFF_FF00, 0x5600)], "VT_*: switching consoles"),
    ]

    // MARK: - Namespaces

    /// The flags of clone(2) that make a namespace. CLONE_NEWTIME, 0x80, is not among them: in clone(2)
    /// that bit belongs to the signal number, and only clone3 and unshare take it.
    private static let namespaceFlags: [(name: String, bit: UInt64)] = [
        ("CLONE_NEWNS", 0x0002_0000), ("CLONE_NEWCGROUP", 0x0200_0000), ("CLONE_NEWUTS", 0x0400_0000),
        ("CLONE_NEWIPC", 0x0800_0000), ("CLONE_NEWUSER", 0x1000_0000), ("CLONE_NEWPID", 0x2000_0000),
        ("CLONE_NEWNET", 0x4000_0000),
    ]

    private static let namespaces: [ArgumentRule] = namespaceFlags.map { flag in
        ArgumentRule("clone", [.set(0, flag.bit)], "\(flag.name): capabilities over a namespace open the kernel")
    }

    // MARK: - Sockets

    private enum Family {
        static let unix: UInt32 = 1
        static let inet: UInt32 = 2
        static let inet6: UInt32 = 10
        static let netlink: UInt32 = 16
    }

    /// Family, type and protocol are `int` (net/socket.c). Allowed are AF_UNIX 1, AF_INET 2, AF_INET6 10,
    /// AF_NETLINK 16, written as the refusal of 0, 3, 4-7, 8-9, 11, 12-15 and everything above 16.
    private static let sockets: [ArgumentRule] = {
        let family = "a family other than AF_UNIX, AF_INET, AF_INET6, AF_NETLINK"
        var rules = [
            ArgumentRule("socket", [.low(0, 0)], family),
            ArgumentRule("socket", [.low(0, 3)], family),
            ArgumentRule("socket", [.bits(0, mask: 0xFFFF_FFFC, 4)], family),
            ArgumentRule("socket", [.bits(0, mask: 0xFFFF_FFFE, 8)], family),
            ArgumentRule("socket", [.low(0, 11)], family),
            ArgumentRule("socket", [.bits(0, mask: 0xFFFF_FFFC, 12)], family),
            ArgumentRule("socket", [.above(0, 16)], family),
            // EPROTONOSUPPORT is what a kernel without the protocol says, and what libaudit takes for "no
            // auditing here"; at EPERM useradd(8) gives up.
            ArgumentRule(
                "socket", [.low(0, Family.netlink), .not(2, 0)], "a netlink protocol other than ROUTE",
                gives: .unsupported),
            ArgumentRule("socketpair", [.not(0, 1)], "a family other than AF_UNIX"),
            // The type's low four bits (SOCK_TYPE_MASK); the others are SOCK_NONBLOCK and SOCK_CLOEXEC.
            ArgumentRule("socket", [.bits(1, mask: 0xF, 4)], "SOCK_RDM"),
            ArgumentRule("socket", [.bits(1, mask: 0xE, 6)], "SOCK_DCCP"),
            ArgumentRule("socket", [.bits(1, mask: 0x8, 8)], "SOCK_PACKET"),
            ArgumentRule("socket", [.above(2, 255)], "IPPROTO_SMC, IPPROTO_MPTCP"),
        ]
        for (number, name) in [(33, "DCCP"), (115, "L2TP"), (132, "SCTP"), (136, "UDPLITE")] as [(UInt32, String)] {
            rules.append(ArgumentRule("socket", [.low(2, number)], "IPPROTO_\(name): seldom used, often broken"))
        }
        // Netlink itself is asked for as SOCK_RAW, by glibc's getaddrinfo too.
        for inet in [Family.inet, Family.inet6] {
            rules.append(ArgumentRule("socket", [.low(0, inet), .bits(1, mask: 0xF, 3)], "SOCK_RAW"))
            rules.append(ArgumentRule("socket", [.low(0, inet), .bits(1, mask: 0xF, 5)], "SOCK_SEQPACKET is SCTP"))
        }
        return rules
    }()

    // MARK: - Modes

    /// S_ISUID and S_ISGID. Modes are `umode_t`, 16 bits, so these bits are what the kernel sees whatever
    /// stands above them. A file of the jail's may belong to root outside: a trial left a set-uid-root
    /// program in a shared directory of the host.
    private static let modes: [ArgumentRule] = {
        var rules: [ArgumentRule] = []
        for (name, bit) in [("set-uid", 0o4000), ("set-gid", 0o2000)] as [(String, UInt64)] {
            for (call, mode) in [
                ("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("creat", 1), ("mkdir", 1), ("mkdirat", 2), ("mknod", 1),
                ("mknodat", 2),
            ] {
                rules.append(ArgumentRule(call, [.set(mode, bit)], "a \(name) file"))
            }
            // The mode counts only with O_CREAT or __O_TMPFILE; otherwise the register holds anything.
            for (call, flags) in [("open", 1), ("openat", 2)] {
                for (flag, creating) in [("O_CREAT", 0o100), ("O_TMPFILE", 0o2000_0000)] as [(String, UInt64)] {
                    let tests: [ArgumentTest] = [.set(flags, creating), .set(flags + 1, bit)]
                    rules.append(ArgumentRule(call, tests, "a \(name) file, with \(flag)"))
                }
            }
        }
        for (call, mode) in [("mknod", 1), ("mknodat", 2)] {
            rules.append(ArgumentRule(call, [.bits(mode, mask: 0o170000, 0o020000)], "a character device"))
            rules.append(ArgumentRule(call, [.bits(mode, mask: 0o170000, 0o060000)], "a block device"))
        }
        rules.append(ArgumentRule("renameat2", [.set(4, 1 << 2)], "RENAME_WHITEOUT leaves a character device behind"))
        return rules
    }()

    // MARK: - Processes

    /// prctl(2) takes `int option`, seccomp(2) `unsigned int flags`. PR_SET_SECCOMP stays: without flags
    /// it cannot make a listener, and a filter only takes away.
    private static let processes: [ArgumentRule] = [
        ArgumentRule("prctl", [.low(0, 33)], "PR_MCE_KILL"),
        ArgumentRule("prctl", [.low(0, 35)], "PR_SET_MM changes what /proc says about a process"),
        ArgumentRule("prctl", [.low(0, 57)], "PR_SET_IO_FLUSHER takes reserves of memory"),
        ArgumentRule("prctl", [.low(0, 62)], "PR_SCHED_CORE keeps others off a core"),
        ArgumentRule("prctl", [.low(0, 67)], "PR_SET_MEMORY_MERGE: merged pages tell what others hold"),
        // RLIMIT_CORE is 4. The jail's limit of 1 byte is the only one that keeps the kernel from starting a
        // piped core handler on the host, as its root (core(5)): 0 would not. Scripts that ask for 0 are told
        // that they have it, since what they want is what they get.
        ArgumentRule("setrlimit", [.low(0, 4)], "RLIMIT_CORE stays what keeps core handlers away", gives: .pretend),
        ArgumentRule(
            "prlimit64", [.low(1, 4), .not(2, 0)], "RLIMIT_CORE stays what keeps core handlers away", gives: .pretend),
        // With the keeper's user (one id, or root inside) a limit of processor time would end PID 1 unseen.
        ArgumentRule("prlimit64", [.not(0, 0), .not(2, 0)], "limits of another process"),
        ArgumentRule(
            "seccomp", [.set(1, 1 << 3)],
            "SECCOMP_FILTER_FLAG_NEW_LISTENER: a chain has one listener, and it would answer CONTINUE"),
    ]

    // MARK: - Exact lists in the other program

    /// Rules of the program `calls`, which can name allowed values exactly. libseccomp puts a test for
    /// equality before one for order, so the last rule gets what the others left; should another version
    /// turn them round, all is refused.
    ///
    /// personality(2): 0; 0xffffffff asks; ADDR_NO_RANDOMIZE is gdb's. PER_LINUX32, READ_IMPLIES_EXEC and
    /// MMAP_PAGE_ZERO weaken the address space of what is executed next.
    static let exactRules: [ArgumentRule] = [
        ArgumentRule("personality", [.exactly(0, 0)], "PER_LINUX", gives: .allow),
        ArgumentRule("personality", [.exactly(0, 0x0004_0000)], "ADDR_NO_RANDOMIZE, for debuggers", gives: .allow),
        ArgumentRule("personality", [.exactly(0, 0xFFFF_FFFF)], "asks for the present one", gives: .allow),
        ArgumentRule("personality", [.anything(0)], "any other personality"),
    ]
}
