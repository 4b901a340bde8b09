// Which projects' policies their user has read and trusts: by the hash of every file that takes part.
internal import CLibsodium
internal import Linux

/// `$XDG_STATE_HOME/cordon/trusted`: a line for each project, `SHA-256 PATH`.
struct TrustStore {
    private let directory: String
    private var file: String { directory + "/trusted" }

    init?(_ environment: [(name: String, value: String)]) {
        guard let state = userDirectory("XDG_STATE_HOME", "/.local/state", environment) else { return nil }
        directory = state + "/cordon"
    }

    /// Whether the file is as it was when it was trusted, with all that it extends.
    func trusts(_ path: String, _ sources: [PolicySource]) -> Bool {
        guard let lines = try? readFile(file, limit: 1 << 20) else { return false }
        return lines.split(separator: UInt8(ascii: "\n")).contains {
            $0.elementsEqual(Self.line(Self.hash(sources), path))
        }
    }

    /// Remembers the file as it is now.
    ///
    /// - Throws: `EINVAL` for a path that no line can hold.
    func trust(_ path: String, _ sources: [PolicySource]) throws(Errno) {
        guard !path.utf8.contains(UInt8(ascii: "\n")) else { throw .invalid }
        try write(path, with: Self.line(Self.hash(sources), path))
    }

    /// Forgets the file.
    func revoke(_ path: String) throws(Errno) { try write(path, with: nil) }

    private func write(_ path: String, with line: [UInt8]?) throws(Errno) {
        var above = ""
        for name in pathComponents(directory) {
            above += "/" + name
            try makeDirectoryIfMissing(above, mode: 0o700)
        }
        let known = (try? readFile(file, limit: 1 << 20)) ?? []
        var lines = known.split(separator: UInt8(ascii: "\n")).map(Array.init)
        lines.removeAll { $0.dropFirst(65).elementsEqual(pathBytes(path)) }
        if let line { lines.append(line) }
        let temporary = "\(file).\(processID)"
        let target = try open(temporary, [.writeOnly, .create, .exclusive], mode: 0o600)
        do throws(Errno) {
            try target.writeAll(lines.flatMap { $0 + [UInt8(ascii: "\n")] })
            try rename(temporary, to: file, in: currentDirectory)
        } catch {
            try? unlink(temporary)
            throw error
        }
    }

    private static func line(_ hash: String, _ path: String) -> [UInt8] { Array("\(hash) ".utf8) + pathBytes(path) }

    /// SHA-256 (FIPS 180-4) of the files' names and contents.
    private static func hash(_ sources: [PolicySource]) -> String {
        var bytes: [UInt8] = []
        for source in sources {
            let name = pathBytes(source.path)
            bytes += Array("\(name.count) \(source.bytes.count) ".utf8) + name + source.bytes
        }
        var digest = [UInt8](repeating: 0, count: 32)
        // It cannot fail, and libsodium's own documentation has no error for it.
        _ = unsafe crypto_hash_sha256(&digest, bytes, UInt64(bytes.count))
        return digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}
