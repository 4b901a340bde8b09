// What `[fs]` says about a path, and about the paths that a pattern stands for.
internal import PolicyModel

enum Access: String {
    case read, write
}

/// What a tier says about a path.
struct FileAnswer {
    var decision: Decision
    /// `fs.deny`, or the key of the list that grants it.
    var rule: String
    var pattern: Located<PathPattern>?
    /// The list that lacks a grant.
    var list: SourceLocation?

    /// Where it was written.
    var location: SourceLocation? { pattern?.location ?? list }
}

struct CompiledFileRules: Sendable {
    private let deny: [Located<PathPattern>]
    private let protect: [Located<PathPattern>]
    private let read: [Located<PathPattern>]
    private let write: [Located<PathPattern>]
    /// Whether the policy speaks of files at all.
    private let speaksOfFiles: Bool

    init(_ policy: Policy) {
        let rules = policy.fileSystem
        deny = rules.deny
        protect = rules.protect
        read = rules.read
        write = rules.write
        speaksOfFiles = policy.stated.contains("fs.read") || policy.stated.contains("fs.write")
    }

    /// A path as the patterns see it: its names below each anchor that it lies in.
    struct Place {
        var fromRoot: [[UInt32]]
        var fromWorkspace: [[UInt32]]?
        var fromHome: [[UInt32]]?

        init(_ names: [String], workspace: [String], home: [String]) {
            fromRoot = names.map { $0.unicodeScalars.map(\.value) }
            fromWorkspace = Self.rest(of: names, below: workspace)
            fromHome = Self.rest(of: names, below: home)
        }

        private static func rest(of names: [String], below directory: [String]) -> [[UInt32]]? {
            guard names.count >= directory.count, zip(names, directory).allSatisfy({ sameBytes($0, $1) }) else {
                return nil
            }
            return names.dropFirst(directory.count).map { $0.unicodeScalars.map(\.value) }
        }

        func names(for anchor: PathPattern.Anchor) -> [[UInt32]]? {
            switch anchor {
            case .root: fromRoot
            case .workspace: fromWorkspace
            case .home: fromHome
            }
        }

        func isCovered(by pattern: PathPattern) -> Bool {
            names(for: pattern.anchor).map { pattern.covers(characters: $0) } ?? false
        }
    }

    /// The denial that a path meets, or nil.
    func denial(_ place: Place, _ access: Access) -> FileAnswer? {
        if let pattern = deny.first(where: { place.isCovered(by: $0.value) }) {
            return FileAnswer(decision: .deny, rule: "fs.deny", pattern: pattern)
        }
        if access == .write, let pattern = protect.first(where: { place.isCovered(by: $0.value) }) {
            return FileAnswer(decision: .deny, rule: "fs.protect", pattern: pattern)
        }
        return nil
    }

    /// What grants a path, or that nothing does.
    func grant(_ place: Place, _ access: Access) -> FileAnswer {
        if let pattern = write.first(where: { place.isCovered(by: $0.value) }) {
            return FileAnswer(decision: .allow, rule: "fs.write", pattern: pattern)
        }
        if access == .read {
            if let pattern = read.first(where: { place.isCovered(by: $0.value) }) {
                return FileAnswer(decision: .allow, rule: "fs.read", pattern: pattern)
            }
            // A policy that does not speak of files leaves the workspace readable, and asks about the rest.
            if !speaksOfFiles {
                return FileAnswer(decision: place.fromWorkspace == nil ? .ask : .allow, rule: "fs.read")
            }
            return FileAnswer(decision: .deny, rule: "fs.read", list: (read.first ?? write.first)?.location)
        }
        return FileAnswer(
            decision: speaksOfFiles ? .deny : .ask, rule: "fs.write", list: (write.first ?? read.first)?.location)
    }

    /// The denied pattern that some path could match which a shell's pattern stands for; nil where there is none.
    ///
    /// - Parameters:
    ///   - fromRoot: globs, one for each name from the root on.
    ///   - fromWorkspace: the same below the workspace, where they lie in it.
    func possibleDenial(
        _ fromRoot: [Glob], _ fromWorkspace: [Glob]?, _ access: Access, ignoringCase: Bool = false,
        atAnyDepth: Bool = false
    ) -> Located<PathPattern>? {
        let candidates = access == .write ? deny + protect : deny
        return candidates.first { candidate in
            let globs =
                candidate.value.anchor == .root ? fromRoot : candidate.value.anchor == .workspace ? fromWorkspace : nil
            return globs.map { candidate.value.canMeet($0, ignoringCase: ignoringCase, atAnyDepth: atAnyDepth) }
                ?? false
        }
    }
}
