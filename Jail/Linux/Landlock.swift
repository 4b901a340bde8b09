// Landlock, as landlock(7) describes it.
internal import CLinux

/// Rights on files and directories. The bits are LANDLOCK_ACCESS_FS_*, all that Linux 6.18 knows.
public struct LandlockAccess: OptionSet, Sendable, Hashable {
    /// The bits.
    public let rawValue: UInt64
    /// Makes one from bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Execute a file.
    public static let execute = LandlockAccess(rawValue: 1 << 0)
    /// List directories.
    public static let listing = LandlockAccess(rawValue: 1 << 3)
    static let writeFile = LandlockAccess(rawValue: 1 << 1)
    static let truncate = LandlockAccess(rawValue: 1 << 14)
    static let deviceControl = LandlockAccess(rawValue: 1 << 15)
    /// Read a file, list a directory.
    public static let read: LandlockAccess = [
        LandlockAccess(rawValue: 1 << 2), LandlockAccess(rawValue: 1 << 3),
    ]
    /// Everything that changes a tree: writing, truncating, making and removing of all kinds, renaming.
    /// Device nodes are left out: mknod(2) is refused to everybody.
    public static let change: LandlockAccess = [
        .writeFile, .truncate,
        LandlockAccess(rawValue: 1 << 4), LandlockAccess(rawValue: 1 << 5),  // remove directory, file
        LandlockAccess(rawValue: 1 << 7), LandlockAccess(rawValue: 1 << 8),  // make directory, regular file
        LandlockAccess(rawValue: 1 << 9), LandlockAccess(rawValue: 1 << 10),  // make socket, fifo
        LandlockAccess(rawValue: 1 << 12), LandlockAccess(rawValue: 1 << 13),  // make symlink, refer
    ]
    /// What applies to one device node: read, write, ioctl.
    public static let device: LandlockAccess = [.writeFile, LandlockAccess(rawValue: 1 << 2), .deviceControl]

    /// All rights that an ABI handles: what is handled is denied unless a rule allows it.
    public static func handled(abi: Int) -> LandlockAccess {
        switch abi {
        case ..<2: LandlockAccess(rawValue: (1 << 13) - 1)
        case 2: LandlockAccess(rawValue: (1 << 14) - 1)
        case 3, 4: LandlockAccess(rawValue: (1 << 15) - 1)
        default: LandlockAccess(rawValue: (1 << 16) - 1)
        }
    }

    /// The rights that make sense on a file that is not a directory; the kernel refuses a rule with others.
    public static let onFiles: LandlockAccess = [
        .execute, .writeFile, LandlockAccess(rawValue: 1 << 2), .truncate, .deviceControl,
    ]
}

/// A Landlock ruleset under construction.
public struct LandlockRuleset: ~Copyable {
    private let descriptor: Descriptor
    private let handled: LandlockAccess

    /// The ABI that the running kernel offers, or why there is none (`ENOSYS`, `EOPNOTSUPP`).
    public static func abi() throws(Errno) -> Int { Int(try checkRaw(cordon_landlock_abi())) }

    /// A ruleset that denies every file right that `abi` knows, and with `scoped` (ABI 6) also abstract
    /// sockets and signals to the outside.
    ///
    /// The corresponding system call is `landlock_create_ruleset`.
    public init(abi: Int, scoped: Bool) throws(Errno) {
        handled = .handled(abi: abi)
        let scopes: UInt64 = scoped && abi >= 6 ? 0b11 : 0
        descriptor = Descriptor(
            owning: try checkRaw(cordon_landlock_create(Int32(abi), handled.rawValue, 0, scopes)))
    }

    /// A ruleset that restricts nothing but signals: who is under it can signal only what it started (ABI 6).
    public static func signalScope() throws(Errno) -> LandlockRuleset { try LandlockRuleset(scopes: 0b10) }

    private init(scopes: UInt64) throws(Errno) {
        handled = []
        descriptor = Descriptor(owning: try checkRaw(cordon_landlock_create(6, 0, 0, scopes)))
    }

    /// The number, for a command that takes the rules upon itself (`CommandStart.ruleset`).
    public var raw: Int32 { descriptor.raw }

    /// Allows rights on a file, or beneath a directory.
    ///
    /// The corresponding system call is `landlock_add_rule`.
    public borrowing func allow(_ access: LandlockAccess, beneath file: Int32) throws(Errno) {
        let isDirectory = try status(of: file).isDirectory
        let possible = access.intersection(handled)
        let rights = isDirectory ? possible : possible.intersection(.onFiles)
        if rights.isEmpty { return }
        try checkRaw(cordon_landlock_allow_beneath(descriptor.raw, file, rights.rawValue))
    }

    /// Puts the calling thread, and all it starts, under these rules for good.
    ///
    /// The corresponding system call is `landlock_restrict_self`.
    public borrowing func restrictSelf() throws(Errno) { try checkRaw(cordon_landlock_restrict(descriptor.raw)) }
}
