// What a walk is asked for, and what it says at its end. Plain data.
internal import Linux

/// Kinds of files.
public struct FileKinds: OptionSet, Sendable {
    /// One bit for each kind.
    public let rawValue: UInt8
    /// Makes a set from its bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Regular files.
    public static let regular = FileKinds(rawValue: 1)
    /// Directories.
    public static let directories = FileKinds(rawValue: 2)
    /// Symbolic links that are not followed.
    public static let symlinks = FileKinds(rawValue: 4)
    /// Pipes, sockets and devices.
    public static let special = FileKinds(rawValue: 8)
    /// All of them.
    public static let all: FileKinds = [.regular, .directories, .symlinks, .special]

    func holds(_ kind: FileKind) -> Bool {
        switch kind {
        case .regular: contains(.regular)
        case .directory: contains(.directories)
        case .symlink: contains(.symlinks)
        case .fifo, .socket, .device, .unknown: contains(.special)
        }
    }
}

/// What a walk shows, in which order, and where it stops. The defaults are those of `rg --files --sort path`.
public struct WalkOptions: Sendable {
    /// The order of names in a directory. Either way a directory's contents follow it, and one tree has one order.
    public enum Order: Sendable {
        /// By the bytes of the names.
        case name
        /// As the file system gives them, which spares sorting: stable as long as the tree is left alone.
        case directory
    }

    /// The directory to start at, relative to the root. It is shown whatever the rules say about itself.
    public var base: [UInt8] = []
    /// Which ignore files count.
    public var ignore = IgnoreSettings()
    /// Whether names that start with a dot are shown without a rule that takes them in.
    public var includesHidden = false
    /// Whether `.git` is left out, and not entered, also where hidden files are shown. git never shows it, ripgrep does.
    public var skipsGitDirectory = false
    /// Globs, relative to the base. What they take in is shown against all other rules, as long as no directory above it
    /// is left out.
    public var filter: PathFilter?
    /// Types of files by name.
    public var types: TypeFilter?
    /// What is shown.
    public var kinds: FileKinds = .regular
    /// Sizes of files that are shown. It needs a system call for each.
    public var sizes: ClosedRange<Int64>?
    /// Whether each entry comes with its status. It needs a system call for each.
    public var wantsStatus = false
    /// Whether symbolic links are followed, inside the root. A directory that is its own ancestor is not entered again.
    public var followsLinks = false
    /// Whether mount points are not entered.
    public var staysOnFileSystem = false
    /// What lies directly in the base has depth 1.
    public var depths: ClosedRange<Int> = 1...WalkOptions.deepest
    /// The order.
    public var order = Order.name
    /// More entries are not shown.
    public var maxEntries = Int.max
    /// Whether, after `maxEntries`, the walk goes on to count what it does not show.
    public var countsLeftOut = false
    /// More directories are not read: links that are followed can make a few of them look like any number.
    public var maxDirectories = 4_000_000
    /// Of one directory not more names are read.
    public var maxDirectoryEntries = 4_000_000
    /// The byte behind each path of a batch.
    public var separator: UInt8 = 0
    /// Whether batches keep the directories of their files open, so that a file is opened by its name alone.
    public var keepsDirectories = false
    /// So many directories stay open; beyond that, those nearest to the root are opened again when they are needed.
    public var maxOpenDirectories = 128

    /// No walk goes deeper.
    public static let deepest = 10_000

    /// The defaults.
    public init() {}
}

/// What a walk showed, and what it left out for other reasons than its rules.
public struct WalkSummary: Sendable {
    /// Entries that were shown.
    public var entries = 0
    /// Directories that were read.
    public var directories = 0
    /// Entries beyond `maxEntries`; at least so many, unless they were to be counted.
    public var entriesLeftOut = 0
    /// Directories that were not entered, because of the depth.
    public var directoriesTooDeep = 0
    /// Directories beyond `maxDirectories`, of which the first ends the walk.
    public var directoriesLeftOut = 0
    /// Directories of which only the first `maxDirectoryEntries` names were read.
    public var directoriesCut = 0
    /// Directories that could not be opened or read.
    public var directoriesUnreadable = 0
    /// Mount points that were not entered.
    public var mountPoints = 0
    /// Followed links that lead nowhere, or out of the root.
    public var linksUnresolved = 0
    /// Followed links to a directory above them.
    public var loops = 0
    /// Files that went away before their status was read.
    public var vanished = 0
    /// Ignore files that were too large or could not be read.
    public var ignoreFilesUnread = 0
    /// The first unreadable directories.
    public var unreadable: [Unreadable] = []
    /// Whether somebody stopped it.
    public var wasStopped = false

    /// A directory that could not be read.
    public struct Unreadable: Sendable {
        /// Its path from the root.
        public var path: [UInt8]
        /// Why.
        public var error: TreeError
    }

    /// Whether everything that the rules let through was shown.
    public var isComplete: Bool {
        entriesLeftOut == 0 && directoriesLeftOut == 0 && directoriesTooDeep == 0 && directoriesCut == 0
            && directoriesUnreadable == 0
            && ignoreFilesUnread == 0 && !wasStopped
    }

    static let mostSamples = 16

    mutating func add(_ counts: Counts) {
        directories += 1
        directoriesTooDeep += counts.tooDeep
        directoriesCut += counts.cut
        linksUnresolved += counts.linksUnresolved
        vanished += counts.vanished
        ignoreFilesUnread += counts.ignoreFilesUnread
    }

    /// What one directory adds.
    struct Counts {
        var tooDeep = 0
        var cut = 0
        var linksUnresolved = 0
        var vanished = 0
        var ignoreFilesUnread = 0
    }
}
