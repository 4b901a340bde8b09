// A directory of a test's own, and the few ways in which tests fill it. It is removed with everything in it.
import Foundation
import Linux
import TestSupport
import ToolTree

final class TemporaryTree {
    let path: String
    let descriptor: Descriptor

    init() throws {
        path = NSTemporaryDirectory() + "tree-\(UUID().uuidString)"
        try makeDirectories(path, mode: 0o755)
        descriptor = try open(path, [.readOnly, .directory])
    }

    deinit { _ = try? execute(["rm", "-rf", "--", path]) }

    func root() throws -> Root { try Root(owning: try open(path, [.readOnly, .directory])) }

    /// Makes a file with everything above it; a name that ends with a slash is a directory.
    func make(_ name: String, _ text: String = "") throws { try make(Array(name.utf8), Array(text.utf8)) }

    func make(_ name: [UInt8], _ text: [UInt8] = []) throws {
        var done: [UInt8] = []
        let parts = name.split(separator: UInt8(ascii: "/"))
        let isDirectory = name.last == UInt8(ascii: "/")
        for (index, part) in parts.enumerated() {
            done += part
            if index < parts.count - 1 || isDirectory {
                do { try makeDirectory(bytes: done, mode: 0o755, in: descriptor.raw) } catch {
                    guard error == .exists else { throw error }
                }
                done.append(UInt8(ascii: "/"))
            }
        }
        if isDirectory { return }
        let file = try open(bytes: done, [.writeOnly, .create, .truncate], mode: 0o644, at: descriptor.raw)
        try file.writeAll(text)
    }

    func link(_ name: String, to target: String) throws {
        try makeSymlink(bytes: Array(name.utf8), to: Array(target.utf8), in: descriptor.raw)
    }

    /// Runs a shell command in it and gives what it printed, as bytes.
    func shell(_ command: String) throws -> [UInt8] {
        let output = path + ".out"
        defer { try? FileManager.default.removeItem(atPath: output) }
        let finished = try execute(
            ["sh", "-c", "\(command) >\(output)"],
            environment: [
                "HOME": path + ".home", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
                "GIT_CEILING_DIRECTORIES": path, "LC_ALL": "C",
            ], directory: path)
        // 1: nothing was found.
        guard finished.status <= 1 else { throw Failed(text: finished.errors) }
        return try readFile(output, limit: 1 << 30)
    }

    struct Failed: Error { var text: String }
}

/// The paths of a walk, in its order.
func paths(_ root: Root, threads: Int = 2, _ change: (inout WalkOptions) throws -> Void = { _ in }) throws -> [String] {
    var options = WalkOptions()
    try change(&options)
    var result: [String] = []
    try Walk(root, options).forEach(threads: threads) { batch in
        for entry in batch.entries { result.append(pathText(Array(batch.path(entry)))) }
        return true
    }
    return result
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
