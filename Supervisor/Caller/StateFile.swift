// What Cordon remembers between calls for one user: small files of lines, each rewritten as a whole.
internal import CLibsodium
public import Linux

/// A file of lines in `$XDG_STATE_HOME/cordon`, readable by its user alone.
public struct StateFile: Sendable {
    private let directory: String
    private let path: String

    /// - Returns: nil for a user without a home.
    public init?(_ name: String, _ environment: [(name: String, value: String)]) {
        guard let state = userDirectory("XDG_STATE_HOME", "/.local/state", environment) else { return nil }
        directory = state + "/cordon"
        path = directory + "/" + name
    }

    /// What it holds now: nothing where it cannot be read, so that whoever cannot be remembered is not known.
    public func lines() -> [[UInt8]] {
        guard let text = try? readFile(path, limit: 1 << 20) else { return [] }
        return text.split(separator: UInt8(ascii: "\n")).map(Array.init)
    }

    /// Puts other lines in their place. A reader sees the old ones or the new ones; of two writers one is forgotten.
    public func replace(_ change: ([[UInt8]]) -> [[UInt8]]) throws(Errno) {
        try makeDirectories(directory, mode: 0o700)
        let temporary = "\(path).\(processID)"
        let target = try open(temporary, [.writeOnly, .create, .exclusive], mode: 0o600)
        do throws(Errno) {
            try target.writeAll(change(lines()).flatMap { $0 + [UInt8(ascii: "\n")] })
            try rename(temporary, to: path, in: currentDirectory)
        } catch {
            try? unlink(temporary)
            throw error
        }
    }
}

/// SHA-256 (FIPS 180-4) of some texts, each with its length before it, so that no two lists have one; in hexadecimal.
public func digest(_ parts: [[UInt8]]) -> String {
    let bytes = parts.flatMap { Array("\($0.count) ".utf8) + $0 }
    var digest = [UInt8](repeating: 0, count: 32)
    // It cannot fail, and libsodium's own documentation has no error for it.
    _ = unsafe crypto_hash_sha256(&digest, bytes, UInt64(bytes.count))
    return digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
}
