// Where the binaries are, and directories for tests.
import Foundation
import Testing

enum Built {
    static let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path
    static let directory = package + "/.build/release"

    /// A built release binary. One that is missing is a failure: tests that skip themselves prove nothing.
    static func path(_ name: String) throws -> String {
        let path = directory + "/" + name
        try #require(
            FileManager.default.isExecutableFile(atPath: path), "\(path) is missing: run swift build -c release first")
        return path
    }

    /// Copies of Cordon's programs that every user may execute.
    static let publicDirectory = Result { () throws -> String in
        let directory = try Scratch.base() + "/bin"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        for name in ["cordon", "jail-init", "cordon-janitor", "fault-fixture"] {
            try FileManager.default.copyItem(atPath: try path(name), toPath: directory + "/" + name)
            Calls.changeMode(directory + "/" + name, 0o755)
        }
        Calls.changeMode(directory, 0o755)
        return directory
    }
}

/// A directory that is gone with its owner.
final class Scratch {
    let path: String
    let owner: uid_t

    private static let root = Result { () throws -> String in
        let path = try #require(Calls.temporaryDirectory("/tmp/cordon-conformance"))
        Calls.changeMode(path, 0o755)
        // The closure may not capture, and must not ask for what is being made.
        atexit { Scratch.removeBase() }
        return path
    }

    /// The directory of this test process, removed at its end.
    static func base() throws -> String { try root.get() }

    private static func removeBase() {
        if let path = try? base() { try? FileManager.default.removeItem(atPath: path) }
    }

    init(owner: uid_t = 0) throws {
        self.owner = owner
        path = try Self.base() + "/" + UUID().uuidString.prefix(8).lowercased()
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        Calls.changeMode(path, 0o755)
        Calls.changeOwner(path, owner)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Makes a file, with the directories above it, and returns its path.
    @discardableResult
    func file(_ name: String, _ text: String = "", mode: mode_t = 0o644) throws -> String {
        try file(name, bytes: Array(text.utf8), mode: mode)
    }

    @discardableResult
    func file(_ name: String, bytes: [UInt8], mode: mode_t = 0o644) throws -> String {
        let whole = path + "/" + name
        if let slash = name.lastIndex(of: "/") { try directory(String(name[..<slash])) }
        try Data(bytes).write(to: URL(fileURLWithPath: whole))
        Calls.changeOwner(whole, owner)
        Calls.changeMode(whole, mode)
        return whole
    }

    @discardableResult
    func directory(_ name: String, mode: mode_t = 0o755) throws -> String {
        var whole = path
        for component in name.split(separator: "/") {
            whole += "/" + component
            if Calls.makeDirectory(whole) { Calls.changeOwner(whole, owner) }
        }
        Calls.changeMode(whole, mode)
        return whole
    }

    func symlink(_ name: String, to target: String) throws {
        try FileManager.default.createSymbolicLink(atPath: path + "/" + name, withDestinationPath: target)
        Calls.changeOwner(path + "/" + name, owner)
    }

    func text(_ name: String) -> String? { readFile(path + "/" + name) }
    func exists(_ name: String) -> Bool { Calls.status(path + "/" + name) != nil }

    /// Every name beneath, with its type, mode and contents, to tell whether anything changed.
    func tree() throws -> [String: String] {
        var result: [String: String] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: path) {
            guard let status = Calls.status(path + "/" + name) else { continue }
            let isFile = status.st_mode & S_IFMT == S_IFREG && status.st_size < 65536
            result[name] =
                "\(String(status.st_mode, radix: 8)) \(status.st_uid)" + (isFile ? " " + (text(name) ?? "") : "")
        }
        return result
    }
}
