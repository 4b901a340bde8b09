// Which projects' policies their user has read and trusts: by the hash of every file that takes part.
public import Linux

/// A line for each project, `SHA-256 PATH`.
public struct TrustStore: Sendable {
    private let file: StateFile

    /// - Returns: nil for a user without a home.
    public init?(_ environment: [(name: String, value: String)]) {
        guard let file = StateFile("trusted", environment) else { return nil }
        self.file = file
    }

    /// Whether the file is as it was when it was trusted, with all that it extends.
    public func trusts(_ path: String, _ sources: [PolicySource]) -> Bool {
        file.lines().contains { $0.elementsEqual(Self.line(Self.hash(sources), path)) }
    }

    /// Remembers the file as it is now.
    ///
    /// - Throws: `EINVAL` for a path that no line can hold.
    public func trust(_ path: String, _ sources: [PolicySource]) throws(Errno) {
        guard !path.utf8.contains(UInt8(ascii: "\n")) else { throw .invalid }
        try file.replace { Self.others($0, path) + [Self.line(Self.hash(sources), path)] }
    }

    /// Forgets the file.
    public func revoke(_ path: String) throws(Errno) { try file.replace { Self.others($0, path) } }

    private static func others(_ lines: [[UInt8]], _ path: String) -> [[UInt8]] {
        lines.filter { !$0.dropFirst(65).elementsEqual(pathBytes(path)) }
    }

    private static func line(_ hash: String, _ path: String) -> [UInt8] { Array("\(hash) ".utf8) + pathBytes(path) }

    private static func hash(_ sources: [PolicySource]) -> String {
        digest(sources.flatMap { [pathBytes($0.path), $0.bytes] })
    }
}
