/// A policy: one file merged with what it extends, complete and checked.
///
/// A value made by ``init(name:)`` confines completely: nothing is readable, nothing is passed, there is no network.
public struct Policy: Sendable, Equatable {
    /// `preset:NAME`, or the path as it was given.
    public var name: String
    /// Every file that took part, what is extended before what extends it.
    public var sources: [String] = []
    /// What can be read, written and executed.
    public var fileSystem = FileSystemRules()
    /// Who can be talked to.
    public var network = Located(NetworkMode.deny)
    /// Which variables enter.
    public var environment = EnvironmentRules()
    /// How much can be used.
    public var resources = ResourceLimits()
    /// Which system calls exist.
    public var seccomp = Located(SeccompPreset.agent)
    /// Who the command is.
    public var identity = IdentityRules()
    /// Guarantees that a run may go without, and where the policy says so.
    public var allowDegraded: [Guarantee: SourceLocation] = [:]
    /// What is said about commands that no rule matches.
    public var defaults = CommandDefaults()
    /// Which commands may be started. Their order means nothing.
    public var commands: [CommandRule] = []
    /// How an `ask` can be answered.
    public var approval = ApprovalRules()
    /// Tests of this very file.
    public var tests: [PolicyTest] = []
    /// Who can be talked to by name. A run refuses them until they can be enforced.
    public var networkGrants: [Located<NetworkGrant>] = []
    /// The keys that some file states, as in `fs.read`.
    public var stated: Set<String> = []

    /// A policy of defaults.
    public init(name: String) { self.name = name }
}

/// `[network] mode`.
public enum NetworkMode: String, CaseIterable, Sendable, Hashable {
    /// A network of its own with nothing but loopback.
    case deny
    /// The host's network, unrestricted.
    case host
}

/// `[seccomp] preset`: a named set of system calls.
public enum SeccompPreset: String, CaseIterable, Sendable, Hashable {
    /// What shells, compilers, interpreters and package managers use.
    case agent
    /// What pure computation uses.
    case pure
}

/// `[fs]`.
///
/// A rule is about what its pattern matches and all that is below (``PathPattern/covers(relativePath:)``). Deny is
/// stronger than protect, protect stronger than write, and what can be written can be read.
public struct FileSystemRules: Sendable, Equatable {
    /// Can be read.
    public var read: [Located<PathPattern>] = []
    /// Can be read and written.
    public var write: [Located<PathPattern>] = []
    /// Can be neither read nor written, whatever else says so.
    public var deny: [Located<PathPattern>] = []
    /// Can be read, never written.
    public var protect: [Located<PathPattern>] = []
    /// Can be executed; nil when everything that can be read can be executed.
    public var exec: [Located<PathPattern>]?
    /// Directories of the PATH outside of `/usr`.
    public var toolchains = Located(Toolchains.none)
    /// Private caches that last from run to run.
    public var caches: [Located<CacheKind>] = []

    /// Rules that allow nothing.
    public init() {}
}

/// `[fs] toolchains`: tools outside of `/usr` (cargo, nvm, pyenv, `/opt`) to mount read-only.
public enum Toolchains: Sendable, Hashable {
    /// The roots of what PATH names.
    case auto
    /// None.
    case none
    /// These absolute paths.
    case paths([String])
}

/// `[fs] caches`: a package manager with a private cache for each project.
public enum CacheKind: String, CaseIterable, Sendable, Hashable {
    /// `CARGO_HOME`.
    case cargo
    /// `npm_config_cache`.
    case npm
    /// `PIP_CACHE_DIR`.
    case pip
    /// `GOMODCACHE` and `GOCACHE`.
    case go
}

/// `[identity]`.
public struct IdentityRules: Sendable, Equatable {
    /// The command's ids in the jail. A loaded policy always has one: 1000:1000 by default, 0:0 with `root`.
    public var user: Located<UserIdentity>?
    /// Whether the command is root in its user namespace, with the capabilities of a package manager.
    public var root = Located(false)
    /// The host name in the jail.
    public var hostname = "cordon"

    /// Nobody in particular.
    public init() {}
}

/// A numeric user and group in the jail.
public struct UserIdentity: Sendable, Hashable, CustomStringConvertible {
    /// The user id.
    public var uid: UInt32
    /// The group id.
    public var gid: UInt32

    /// An identity from its ids.
    public init(uid: UInt32, gid: UInt32) {
        self.uid = uid
        self.gid = gid
    }

    /// `uid:gid`.
    public var description: String { "\(uid):\(gid)" }
}
