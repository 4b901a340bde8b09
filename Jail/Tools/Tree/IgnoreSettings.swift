// Which ignore files count, and what the caller brings of its own. Plain data.

/// Which ignore rules a walk or a question obeys.
public struct IgnoreSettings: Sendable {
    /// `.gitignore` files, of each directory from the repository's top on.
    public var gitignore = true
    /// The repository's `.git/info/exclude`.
    public var gitExclude = true
    /// `.ignore` files. They count more than `.gitignore`.
    public var dotIgnore = true
    /// `.rgignore` files. They count more than `.ignore`.
    public var rgIgnore = true
    /// Whether git's rules count only in a repository, that is at or below a directory with a `.git`.
    public var requiresRepository = true
    /// The text of the file that git's `core.excludesFile` names, which lies where the jail does not see it. It counts
    /// less than everything before, and its anchored rules start at the repository's top.
    public var globalExcludes: [UInt8] = []
    /// Texts of further files, of which the last counts most; all of them less than everything before. Their anchored
    /// rules start at the root.
    public var extra: [[UInt8]] = []
    /// Larger ignore files are not read, and reported.
    public var largestFile = 4 << 20
    /// Nor are those with which the rules that hold in one directory would take about more memory, in bytes.
    public var mostMemory = 64 << 20

    /// What git and ripgrep obey by default.
    public init() {}

    /// What git obeys: no `.ignore`, no `.rgignore`.
    public static var git: IgnoreSettings {
        var settings = IgnoreSettings()
        settings.dotIgnore = false
        settings.rgIgnore = false
        return settings
    }

    /// No rules at all.
    public static var none: IgnoreSettings {
        var settings = IgnoreSettings.git
        settings.gitignore = false
        settings.gitExclude = false
        return settings
    }
}

/// What decides about a name.
public struct IgnoreVerdict: Sendable, Equatable {
    /// Whether it is left out; a rule that starts with `!` takes it in.
    public var isIgnored: Bool
    /// The ignore file, as a path from the root; empty for one that the caller gave.
    public var source: [UInt8]
    /// The rule's line in it, from 1.
    public var line: Int

    /// Makes one.
    public init(isIgnored: Bool, source: [UInt8], line: Int) {
        self.isIgnored = isIgnored
        self.source = source
        self.line = line
    }
}
