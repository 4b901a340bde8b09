// Asking about single paths, as `git check-ignore` does: for watches, and for what is not found by a walk.
internal import Linux

/// The ignore rules beneath a root, read as they are needed and kept. Not for several threads.
public final class IgnoreTree {
    private let root: Root
    private let reader: IgnoreReader
    private let given: GivenRules
    private var directories: [[UInt8]: Known] = [:]

    /// What is known of a directory.
    private struct Known {
        var frame: IgnoreFrame?
        /// What leaves it out, and with it everything in it.
        var leftOutBy: IgnoreVerdict?
    }

    /// Directories that are kept; with more, all are forgotten.
    static let mostDirectories = 65_536

    /// Nothing is read before the first question.
    public init(_ root: Root, _ settings: IgnoreSettings = IgnoreSettings()) {
        self.root = root
        reader = IgnoreReader(root: root, settings: settings)
        given = GivenRules(settings)
    }

    /// Forgets what was read, since ignore files have changed.
    public func forget() { directories = [:] }

    /// What decides about a path beneath the root, which need not exist: a rule about a directory above it that leaves
    /// that out, else the rule about itself. Nil where no rule says anything. Hidden files are not its business.
    ///
    /// - Throws: `absolute`, `outside` for a path with `..`, `nul`.
    public func verdict(_ path: some Collection<UInt8>, isDirectory: Bool) throws(TreeError) -> IgnoreVerdict? {
        if path.first == slash { throw .absolute }
        if path.contains(0) { throw .nul }
        let names = Array(path).split(separator: slash).map { Array($0) }.filter { $0 != [dot] }
        if names.contains([dot, dot]) { throw .outside }
        if directories.count > Self.mostDirectories { forget() }
        var here: [UInt8] = []
        var known = directory(here, above: nil, leftOutBy: nil)
        for (index, name) in names.enumerated() {
            // git never looks at what is in there.
            if name == Array(".git".utf8) { return nil }
            if let verdict = known.leftOutBy { return verdict }
            let isLast = index == names.count - 1
            let decision = verdict(of: here + name, nameLength: name.count, isLast ? isDirectory : true, known.frame)
            if isLast { return decision }
            here += name
            here.append(slash)
            known = directory(here, above: known.frame, leftOutBy: decision.flatMap { $0.isIgnored ? $0 : nil })
        }
        return nil
    }

    private func verdict(of path: [UInt8], nameLength: Int, _ isDirectory: Bool, _ frame: IgnoreFrame?)
        -> IgnoreVerdict?
    {
        if given.isEmpty(frame) { return nil }
        return unsafe path.withUnsafeBufferPointer { path in
            let name = unsafe UnsafeBufferPointer(rebasing: path[(path.count - nameLength)...])
            return unsafe given.decide(Subject(name: name, path: path, isDirectory: isDirectory), in: frame)?.verdict
        }
    }

    private func directory(_ path: [UInt8], above: IgnoreFrame?, leftOutBy: IgnoreVerdict?) -> Known {
        if let known = directories[path] { return known }
        var known = Known(frame: above, leftOutBy: leftOutBy)
        // What lies in a directory that is left out has no say. One that is not there has no rules.
        if leftOutBy == nil, let place = try? root.open(path.dropLast(), [.path, .directory]) {
            var unread = 0
            known.frame = reader.frame(of: place.raw, path: path, has: .all, above: above, unread: &unread)
        }
        directories[path] = known
        return known
    }
}
