// Where the texts of one request lead: by their names, through links, and through the names that the kernel makes up.
//
// What cannot be told is nil, never the text as it looks: a link that is passed over is a way around every rule on paths.
internal import PolicyModel

/// Looks for the places of one request. It remembers what it found, and looks only so often: a hostile command names the
/// same thousand files a thousand times.
final class PlaceFinder {
    private let engine: Engine
    /// By the text's and the directory's bytes, since Swift's strings are equal where files are not.
    private var resolved: [[UInt8]: [String]?] = [:]
    private var expanded: [[UInt8]: [String]?] = [:]
    private var budget = 50_000

    private static let mostExpansions = 64
    private static let slash = UInt8(ascii: "/")

    init(engine: Engine) { self.engine = engine }

    /// Whether so many more files may be looked at.
    func spend(_ count: Int) -> Bool {
        budget -= count
        return budget >= 0
    }

    /// Where a text leads, lexically and through links; nil where that is not known.
    func places(_ text: String, from directory: [String]) -> [[String]]? {
        guard let lexical = Self.walk(text, from: directory) else { return nil }
        // There a name leads to what the asking process has open, which is another thing for each process.
        if lexical.first == "proc" || lexical.first == "dev" { return [lexical] }
        // The kernel takes no longer text (PATH_MAX), so that it opens nothing.
        guard let resolve = engine.resolve, text.utf8.count < 4096 else { return [lexical] }
        // Asked of the path as it is written: `link/..` is not what it looks like.
        let names = PathPattern.components(of: text).map(String.init).filter { $0 != "." }
        let isAbsolute = text.utf8.first == Self.slash
        let written = "/" + ((isAbsolute ? [] : directory) + names).joined(separator: "/")
        let key = Array(written.utf8)
        let real: [String]?
        if let known = resolved[key] {
            real = known
        } else {
            guard spend(1) else { return nil }
            real = resolve(written).map { normalized(PathPattern.components(of: $0).map(String.init)) }
            resolved[key] = .some(real)
        }
        guard let real else { return nil }
        return sameNames(real, lexical) ? [lexical] : [lexical, real]
    }

    /// The files below a directory that match patterns; nil where they are too many.
    func expansion(_ directory: [String], _ patterns: [String]) -> [String]? {
        guard let expand = engine.expand else { return nil }
        let key = (directory + ["\0"] + patterns).flatMap { Array($0.utf8) + [Self.slash] }
        if let known = expanded[key] { return known }
        guard expanded.count < Self.mostExpansions else { return nil }
        let found = expand("/" + directory.joined(separator: "/"), patterns)
        expanded[key] = .some(found)
        return found
    }

    /// The names of a path without `.` and `..`, and without the links that the kernel makes up (proc(5)): a process's
    /// working directory and root. Nil for those of other processes, and for what lies behind an open file.
    private static func walk(_ text: String, from directory: [String]) -> [String]? {
        var place = text.utf8.first == slash ? [] : directory
        for name in PathPattern.components(of: text).map(String.init) {
            switch name {
            case ".": continue
            case "..": _ = place.popLast()
            default: place.append(name)
            }
            if place == ["dev", "fd"] { place = ["proc", "self", "fd"] }
            guard place.first == "proc", place.count > 2 else { continue }
            var inner = place.dropFirst(2)
            // Threads have the same.
            if inner.first == "task", inner.count > 2 { inner = inner.dropFirst(2) }
            let isOwn = place[1] == "self" || place[1] == "thread-self"
            switch inner.first {
            case "cwd", "root":
                guard isOwn else { return nil }
                place = inner.first == "cwd" ? directory : []
            case "fd", "map_files", "exe": if inner.count > 2 || inner.count > 1 && inner.first == "exe" { return nil }
            default: break
            }
        }
        return place
    }
}
