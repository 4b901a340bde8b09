// A plan: everything that will be done to make one jail, in order, as plain data.
//
// It is resolved before any process exists. It can be printed, compared and tested without running
// anything; the parties named by `Step.Actor` interpret their steps in the order given and decide nothing.
public import Linux

/// A jail, step by step.
public struct Plan: Sendable, Hashable {
    /// In the order in which they are applied, each actor's among the others'.
    public var steps: [Step]

    /// Makes a plan.
    public init(_ steps: [Step] = []) { self.steps = steps }

    /// The actions of one actor, with their positions in the plan (for messages and timings).
    public func actions(of actor: Step.Actor) -> [(index: Int, action: Action)] {
        steps.enumerated().filter { $0.element.actor == actor }.map { ($0.offset, $0.element.action) }
    }
}

/// One thing to do, and who does it.
public struct Step: Sendable, Hashable {
    /// The parties to a jail's start.
    public enum Actor: String, Sendable, Hashable, CaseIterable {
        /// The privileged process outside.
        case supervisor
        /// The C code between clone3 and execve.
        case stub
        /// PID 1 of the jail.
        case jailInit = "jail-init"
        /// The process in the limited cgroup that starts commands; they inherit what it did.
        case spawner
        /// The command's own process, before it executes.
        case command
    }

    /// Who.
    public var actor: Actor
    /// What.
    public var action: Action

    /// Makes a step.
    public init(_ actor: Actor, _ action: Action) {
        self.actor = actor
        self.action = action
    }
}

/// A run of ids: `count` ids from `inside` on are those from `outside` on (user_namespaces(7)).
public struct IDRange: Sendable, Hashable {
    /// The first id in the user namespace.
    public var inside: UInt32
    /// The first id outside.
    public var outside: UInt32
    /// How many.
    public var count: UInt32

    /// Makes a range.
    public init(inside: UInt32, outside: UInt32, count: UInt32) {
        self.inside = inside
        self.outside = outside
        self.count = count
    }
}

/// How ids inside relate to ids outside.
public enum IdentityMap: Sendable, Hashable {
    /// 65,536 host ids that no other live jail has, found by the supervisor when the jail starts.
    case ownRange
    /// Written by newuidmap(1) and newgidmap(1): the caller's own ids and its subordinate ones.
    case helpers(users: [IDRange], groups: [IDRange])
    /// One id only: the caller's. setgroups(2) is denied, as the kernel demands.
    case single(inside: UInt32, user: UInt32, group: UInt32)
}

/// Limits of the jail's cgroup. nil: no limit.
public struct CgroupLimits: Sendable, Hashable {
    /// Bytes of memory.
    public var memory: UInt64?
    /// Bytes of swap on top of it.
    public var swap: UInt64?
    /// Tasks.
    public var pids: UInt64?
    /// Thousandths of a processor.
    public var cpuMillis: UInt64?
    /// Bytes a second, for each disk.
    public var readRate: UInt64?, writeRate: UInt64?

    /// No limits.
    public init() {}
}

/// A rule of the second wall.
public struct LandlockRule: Sendable, Hashable {
    /// A path in the jail. A missing one is no error: there is nothing to allow.
    public var path: String
    /// What is allowed beneath it.
    public var access: LandlockAccess

    /// Makes a rule.
    public init(_ path: String, _ access: LandlockAccess) {
        self.path = path
        self.access = access
    }
}

/// One primitive operation.
public enum Action: Sendable, Hashable {
    // Supervisor
    /// Make the jail's cgroups with these limits; the spawner enters them before anything runs.
    case cgroups(CgroupLimits)
    /// Write the user namespace's maps.
    case mapIds(IdentityMap)
    /// Clone a mount tree of the host, detached, for `attachTree`.
    /// The source must still be the file that was judged, and no symbolic link may lead to it.
    case cloneTree(index: Int, source: Source, attributes: MountAttributes, ids: TreeIds)

    // Stub
    /// clone3 with these namespaces; capabilities become ambient so that execve keeps them.
    case clone(Namespaces)

    // jail-init
    /// A fresh session keyring.
    case freshKeyring
    /// A time namespace whose boot time starts at zero.
    case zeroClock
    /// The host name.
    case hostName(String)
    /// The network namespace's own loopback is switched on.
    case loopback
    /// No supplementary groups.
    case dropGroups
    /// All three user and group ids.
    case become(user: UInt32, group: UInt32)
    /// No other process may trace this one.
    case undumpable
    /// Fork the spawner: it enters the cgroups while mounts are made, and waits for the root.
    case forkSpawner
    /// A tmpfs that becomes the root.
    case makeRoot(bytes: UInt64, inodes: UInt64)
    /// A directory in the new root.
    case directory(path: String, mode: UInt32, owner: UInt32)
    /// A symbolic link in the new root.
    case symlink(path: String, target: String)
    /// A file in the new root.
    case file(path: String, contents: String, mode: UInt32)
    /// Attach a tree that the supervisor cloned.
    case attachTree(index: Int, path: String)
    /// Clone a tree of the host and attach it, with the caller's own rights.
    case bind(source: Source, path: String, attributes: MountAttributes)
    /// A new instance of a file system.
    case fileSystem(type: String, path: String, parameters: [Parameter], attributes: MountAttributes)
    /// A writable layer over a directory of the new root, shown at `path` (overlayfs).
    case overlay(lower: String, upper: String, work: String, path: String, attributes: MountAttributes)
    /// Show a directory or file of the new root in a second place, or in its own with other attributes.
    case rebind(source: String, path: String, attributes: MountAttributes)
    /// A directory becomes a mount point of its own, which cannot be renamed or removed.
    case pin(path: String)
    /// Nobody can open this path; a missing one is no error where `optional`.
    case hide(path: String, optional: Bool)
    /// Nobody can change what is beneath this path; a missing one is no error where `optional`.
    case protect(path: String, optional: Bool)
    /// The root itself becomes read-only.
    case sealRoot
    /// The new root takes the place of the old one, which lies over it from then on. The spawner may look around.
    case pivotRoot
    /// The old root, with all of the host, goes. The kernel waits for its processors here, and the spawner meanwhile
    /// confines itself.
    case leaveOldRoot
    /// Only these capabilities stay, permitted and effective; ambient and inheritable sets are emptied.
    case keepCapabilities(UInt64)

    // Spawner
    /// Enter the limited groups, through descriptors that the supervisor opened. On version 1 a thread that
    /// moves itself spares the kernel a wait for all processors, which moving another process costs.
    case enterCgroups
    /// Wait until jail-init has made the root.
    case awaitRoot
    /// Wait until jail-init has done all its steps: no command starts before.
    case awaitJail
    /// A cgroup namespace, now that it stands in the jail's groups.
    case cgroupNamespace
    /// Nothing that is executed can ever have another capability than these.
    case boundingSet(UInt64)
    /// No executable can give privileges.
    case noNewPrivileges
    /// The second wall.
    case landlock(abi: Int, scoped: Bool, rules: [LandlockRule])
    /// Each command gets a pid and a mount namespace of its own, whose first process, Cordon's, does the spawner's steps from
    /// here on. Where no cgroup can be made, its death is what ends all that a command left running (pid_namespaces(7)).
    case nestCommands
    /// Load the filters, in order. `fingerprint` names them; the programs travel as descriptors.
    case filters(fingerprint: String, count: Int)

    // Command
    /// A command can signal only what it started: where it has the spawner's own user, it could kill the spawner.
    case signalScope
    /// The user and group of commands, and the capabilities that they keep.
    case identity(user: UInt32, group: UInt32, capabilities: UInt64)
    /// Limits that hold for each process: of the spawner, which commands inherit, or of the command alone.
    case limits([ResourceLimit])
}

/// A file or directory of the host. What was judged under a name must be what is mounted under it: a jail that
/// can write the directory above may have put a link there meanwhile.
public struct Source: Sendable, Hashable {
    /// Its path. Where `identity` is known it is resolved through no symbolic link.
    public var path: String
    /// Which file it was when the plan was made; nil for the host's own surroundings, which no jail can write.
    public var identity: FileIdentity?

    /// Makes a source.
    public init(_ path: String, identity: FileIdentity? = nil) {
        self.path = path
        self.identity = identity
    }
}

/// Whose the files of a tree are inside.
public enum TreeIds: Sendable, Hashable {
    /// As on the host, whose ids nobody inside has.
    case host
    /// This owner's are the command's.
    case owner(Owner)
    /// Each id of the host is the same id inside: root's files are the jail's root's.
    case jail
}

/// An owner of files.
public struct Owner: Sendable, Hashable {
    /// The user id.
    public var user: UInt32
    /// The group id.
    public var group: UInt32

    /// Makes an owner.
    public init(user: UInt32, group: UInt32) {
        self.user = user
        self.group = group
    }
}

/// A mount parameter, as fsconfig(2) takes it.
public struct Parameter: Sendable, Hashable {
    /// Its name.
    public var key: String
    /// Its value.
    public var value: String

    /// Makes a parameter.
    public init(_ key: String, _ value: String) {
        self.key = key
        self.value = value
    }
}

/// Ids inside every jail that has more than one.
public enum IDs {
    /// jail-init and the spawner.
    public static let keeper: UInt32 = 0
    /// Commands, unless the policy says otherwise.
    public static let command: UInt32 = 1000
    /// How many ids a jail has of its own.
    public static let rangeSize: UInt32 = 65536
}

/// Numbers of capabilities that the plan names (capabilities(7)).
public enum Capability: UInt64, Sendable, CaseIterable {
    case changeOwner = 0
    case overrideAccess = 1
    case searchAccess = 2
    case fileOwner = 3
    case fileSetId = 4
    case kill = 5
    case setGid = 6
    case setUid = 7
    case setCapabilities = 8
    case administration = 21

    /// The set of these capabilities, a bit each.
    public static func set(_ capabilities: Capability...) -> UInt64 {
        capabilities.reduce(0) { $0 | 1 << $1.rawValue }
    }

    /// CAP_CHECKPOINT_RESTORE, which Linux 6.1, the floor, has as its last.
    public static let lastOfFloor = 40

    /// What a package manager needs of root's rights, inside its user namespace.
    public static let packageManager = set(.changeOwner, .overrideAccess, .fileOwner, .fileSetId, .setGid, .setUid)

    /// All that Linux 6.1 to 6.18 know.
    public static let all: UInt64 = (1 << UInt64(lastOfFloor + 1)) - 1
}
