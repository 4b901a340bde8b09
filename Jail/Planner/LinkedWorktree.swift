// A linked worktree of git (git-worktree(1)): its repository lies elsewhere, and follows the workspace into the jail.
internal import Linux

/// The repository that a workspace is a linked worktree of.
///
/// The workspace's `.git` is a file that names a directory, and a jail could have written it. So that directory is
/// believed only if it names this workspace in turn, which whoever can write only the workspace cannot bring about.
struct LinkedWorktree {
    /// The repository's own `.git`, shared by all its worktrees.
    let commonDirectory: String
    /// What is in it for this worktree alone.
    private let ownDirectory: String

    init?(of workspace: String) {
        guard let link = Self.line(of: workspace + "/.git"), link.hasPrefix("gitdir: "),
            let own = Self.resolve(String(link.dropFirst("gitdir: ".count)), in: workspace),
            let list = parentPath(own), pathComponents(list).last == "worktrees", let common = parentPath(list),
            let shared = Self.line(of: own + "/commondir"), Self.resolve(shared, in: own) == common,
            let back = Self.line(of: own + "/gitdir"), let parent = parentPath(back),
            Self.resolve(parent, in: own) == workspace, pathComponents(back).last == ".git",
            let there = try? status(at: common), let here = try? status(at: workspace), there.isDirectory,
            there.user == here.user, !isInside(workspace, common), !isInside(common, workspace)
        else { return nil }
        commonDirectory = common
        ownDirectory = own
    }

    /// What git believes and runs: never written from inside.
    var protectedPaths: [String] {
        ["config", "config.worktree", "hooks", "info/attributes"].map { commonDirectory + "/" + $0 }
            + ["config.worktree", "gitdir", "commondir"].map { ownDirectory + "/" + $0 }
    }

    /// The one line of a small file, reached through no symbolic link.
    private static func line(of path: String) -> String? {
        guard
            let file = try? open(
                bytes: pathBytes(path), [.readOnly, .nonBlocking], beneath: currentDirectory, resolve: .noSymlinks),
            (try? status(of: file.raw))?.isRegular == true, let bytes = try? file.readAll(limit: 8192)
        else { return nil }
        let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
        return line.count + 1 >= bytes.count && !line.contains(0) ? pathText(Array(line)) : nil
    }

    private static func resolve(_ path: String, in directory: String) -> String? {
        try? resolvedPath(path.utf8.first == UInt8(ascii: "/") ? path : directory + "/" + path)
    }
}
