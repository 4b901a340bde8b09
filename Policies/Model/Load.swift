internal import PolicyPresets

/// Why a file of a policy cannot be read.
public struct FileReadFailure: Error, Sendable, Hashable {
    /// As in "cannot be read: …".
    public var reason: String

    /// A failure with its reason.
    public init(reason: String) { self.reason = reason }

    /// There is no such file.
    public static var missing: FileReadFailure { FileReadFailure(reason: "no such file") }
}

extension Policy {
    /// Reads a policy and all that it extends.
    ///
    /// What is extended is laid down first, and each file over it: scalars, `exec`, `caches` and `toolchains`
    /// override, `read`, `write`, `pass`, `deny`, `protect`, `mask` and `allow_degraded` add up. A file that is
    /// extended twice counts once, at its first place.
    ///
    /// - Parameters:
    ///   - reference: `preset:NAME` or a path.
    ///   - presetTests: whether the tests of a preset are read, where the reference names one.
    ///   - reader: gives the bytes of a file; this module opens nothing itself.
    /// - Throws: ``PolicyError`` with everything that is wrong in all of the files.
    public static func load(
        _ reference: String, presetTests: Bool = true, reader: (String) throws(FileReadFailure) -> [UInt8]
    ) throws(PolicyError) -> Policy {
        var loader = PolicyLoader(policy: Policy(name: reference), readsPresetTests: presetTests)
        loader.load(reference, from: nil, reader: reader)
        return try loader.finish()
    }
}

private let presetPrefix = "preset:"

private struct PolicyLoader {
    /// More files than any sensible policy; bounds recursion where two names lead to one file.
    private static let maximumFiles = 32

    var policy: Policy
    private let findings = Findings()
    /// Files being read, each extended by the one before it.
    private var chain: [String] = []
    private var visited: [String] = []

    private let readsPresetTests: Bool

    init(policy: Policy, readsPresetTests: Bool) {
        self.policy = policy
        self.readsPresetTests = readsPresetTests
    }

    /// Reads what a reference names, extended files first.
    ///
    /// - Parameter origin: where the reference was written; nil for the policy itself.
    mutating func load(
        _ reference: String, from origin: SourceLocation?, reader: (String) throws(FileReadFailure) -> [UInt8]
    ) {
        if chain.contains(where: { sameBytes($0, reference) }) {
            let cycle = (chain.drop { !sameBytes($0, reference) } + [reference]).map(printable)
            return findings.report("`extends` goes in a circle: " + cycle.joined(separator: " → "), at: origin)
        }
        guard !visited.contains(where: { sameBytes($0, reference) }) else { return }
        guard visited.count < Self.maximumFiles else {
            return findings.report("a policy cannot extend more than \(Self.maximumFiles) files", at: origin)
        }
        visited.append(reference)
        guard let bytes = bytes(of: reference, from: origin, reader: reader) else { return }

        let document: TomlDocument
        do throws(PolicyError) {
            document = try TomlDocument(bytes, file: reference)
        } catch {
            return findings.report(error)
        }
        chain.append(reference)
        let root = TableReader(document.root, of: document, path: "", keys: nil, findings: findings)
        for entry in root.list("extends", string) ?? [] {
            if let parent = resolve(entry, extendedBy: reference) {
                load(parent, from: entry.location, reader: reader)
            }
        }
        chain.removeLast()
        policy.sources.append(reference)
        policy.apply(document, findings: findings)
    }

    /// The policy with its defaults, if nothing was wrong.
    func finish() throws(PolicyError) -> Policy {
        var policy = policy
        policy.identity.complete(findings: findings)
        guard findings.diagnostics.isEmpty else {
            let placed = findings.diagnostics.enumerated().map { offset, diagnostic in
                (diagnostic: diagnostic, place: diagnostic.place(among: visited, or: offset))
            }
            throw PolicyError(diagnostics: placed.sorted { $0.place < $1.place }.map(\.diagnostic))
        }
        return policy
    }

    private func bytes(
        of reference: String, from origin: SourceLocation?, reader: (String) throws(FileReadFailure) -> [UInt8]
    ) -> [UInt8]? {
        if reference.hasPrefix(presetPrefix) {
            let name = String(reference.dropFirst(presetPrefix.count))
            // A file's tests are its own, so those of what it extends are not looked at.
            if let bytes = presetBytes(named: name, withTests: origin == nil && readsPresetTests) { return bytes }
            findings.report(
                "unknown preset \(quoted(name))", at: origin, remedy: suggestion(for: name, in: presetNames))
            return nil
        }
        do throws(FileReadFailure) {
            return try reader(reference)
        } catch {
            let preset = nearest(to: reference, in: presetNames)
            findings.report(
                "\(quoted(reference)) cannot be read: \(printable(error.reason))", at: origin,
                remedy: preset.map { "did you mean `\(presetPrefix)\($0)`?" })
            return nil
        }
    }

    /// What an entry of `extends` names: a preset, or a file relative to the one that extends it.
    private func resolve(_ entry: Located<String>, extendedBy file: String) -> String? {
        let text = entry.value
        if text.hasPrefix(presetPrefix) { return text }
        if file.hasPrefix(presetPrefix) {
            findings.report("a preset can only extend presets", at: entry.location)
            return nil
        }
        let hasControls = text.utf8.contains { $0 < 0x20 || $0 == 0x7F }
        guard !text.isEmpty, !hasControls, text.utf8.first != UInt8(ascii: "/") else {
            findings.report(
                "`extends`: \(quoted(text)) is neither a preset nor a relative path", at: entry.location,
                remedy: "write \"preset:NAME\" or a path relative to this file")
            return nil
        }
        guard let slash = file.utf8.lastIndex(of: UInt8(ascii: "/")) else { return text }
        return String(file[...slash]) + text
    }
}

extension IdentityRules {
    /// Fills in the default user, and checks user and root against each other.
    fileprivate mutating func complete(findings: Findings) {
        guard let user else {
            self.user = Located(root.value ? UserIdentity(uid: 0, gid: 0) : UserIdentity(uid: 1000, gid: 1000))
            return
        }
        if !root.value, user.value.uid == 0 || user.value.gid == 0 {
            findings.report(
                "`identity.user`: \(user.value) is root", at: user.location,
                remedy: "write another id, or `root = true` if a package manager needs it")
        }
        if root.value, user.value.uid != 0 {
            findings.report(
                "`identity.root` is true, but `identity.user` is \(user.value)", at: user.location,
                remedy: "leave one of them out")
        }
    }
}

extension Diagnostic {
    /// Sorts by file in the order of reading, then by place in the text, then as reported.
    fileprivate func place(among files: [String], or offset: Int) -> (Int, Int, Int, Int) {
        guard let location else { return (-1, 0, 0, offset) }
        return (files.firstIndex(of: location.file) ?? files.count, location.line, location.column, offset)
    }
}
