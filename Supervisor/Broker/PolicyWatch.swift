// Which files of policies are watched, and every directory and link on the way to them. It reads no policy.
internal import Linux
internal import PolicyModel

/// Notices when a path leads to another file, or the file at its end changes: also where a directory on the way is renamed,
/// removed or made, or a link is given another target.
final class PolicyWatch {
    /// One step on the way to a file: a name in a directory.
    private enum Step {
        /// A directory is behind it: that it goes is told by itself. The names in it that are of no account tell nothing.
        case through(String)
        /// A file, a link, or nothing yet.
        case name([UInt8], in: String)
    }

    private var watch: DirectoryWatch
    /// Names that are of account, by the directories that are watched.
    private var names: [Int32: Set<[UInt8]>] = [:]

    init() throws(Errno) { watch = try DirectoryWatch() }

    var descriptor: Int32 { watch.descriptor.raw }

    /// Watches some files more.
    ///
    /// - Returns: whether anything is watched now that was not before.
    func add(_ files: [String]) -> Bool {
        var isNew = false
        for (directory, watched) in place(files) {
            let known = names[directory]
            if known == nil || !watched.isSubset(of: known ?? []) { isNew = true }
            names[directory, default: []].formUnion(watched)
        }
        return isNew
    }

    /// Watches these files and no others.
    ///
    /// - Returns: whether anything is watched now that was not before.
    func follow(_ files: [String]) -> Bool {
        let wanted = place(files)
        let isNew = wanted.contains { directory, watched in
            names[directory].map { !watched.isSubset(of: $0) } ?? true
        }
        for directory in names.keys where wanted[directory] == nil { watch.stop(directory) }
        names = wanted
        return isNew
    }

    /// Whether something has happened that is of account.
    func hasChanged() -> Bool {
        // What cannot be read could be anything.
        guard let changes = try? watch.changes() else { return true }
        return changes.contains { change in
            // Lost events could be any; those of a directory that is watched no more are none.
            guard change.directory >= 0 else { return true }
            guard let watched = names[change.directory] else { return false }
            return change.name.map { watched.contains($0) } ?? true
        }
    }

    private func place(_ files: [String]) -> [Int32: Set<[UInt8]>] {
        var wanted: [Int32: Set<[UInt8]>] = [:]
        for file in Set(files.map(pathBytes)) {
            for step in Self.steps(to: pathText(file)) {
                switch step {
                case .through(let directory):
                    // Where it cannot be watched SIGHUP and `reload` are left; so below.
                    guard let number = try? watch.watch(directory, for: .itself) else { continue }
                    wanted[number, default: []].formUnion([])
                case .name(let name, let directory):
                    guard let number = try? watch.watch(directory, for: .files) else { continue }
                    wanted[number, default: []].insert(name)
                }
            }
        }
        return wanted
    }

    /// What open(2) would look up on the way to a file, as far as there is something.
    private static func steps(to path: String) -> [Step] {
        var steps: [Step] = [], place = "", links = 0
        var path = path
        if path.utf8.first != UInt8(ascii: "/") {
            guard let current = try? workingDirectory() else { return [] }
            path = current + "/" + path
        }
        var rest = pathComponents(path)[...]
        while let name = rest.popFirst() {
            if sameBytes(name, ".") { continue }
            if sameBytes(name, "..") {
                place = parentPath(place) ?? ""
                continue
            }
            let next = place + "/" + name
            guard let found = try? status(at: next), found.isDirectory else {
                steps.append(.name(pathBytes(name), in: place.isEmpty ? "/" : place))
                guard let target = try? readLink(next), links < 40 else { return steps }
                links += 1
                if target.utf8.first == UInt8(ascii: "/") { place = "" }
                rest = pathComponents(target)[...] + rest
                continue
            }
            steps.append(.through(next))
            place = next
        }
        return steps
    }
}
