// Who may use the service, and for what: /etc/cordon/service.toml, which is root's own.
internal import Linux
internal import PolicyModel

/// What the file says.
struct ServiceRules {
    /// In the order of the file: the first that names a user holds for that user.
    let rules: [Rule]

    /// One `[[allow]]`.
    struct Rule {
        var users: [Selector] = []
        var groups: [Selector] = []
        var rights = Rights()
    }

    /// What somebody may.
    struct Rights: Hashable {
        /// What a session's policy may be, the first where none is named; nil: anything.
        var policies: [String]?
        /// A policy that holds for all that these users do, beside the machine's own.
        var tier: String?
        /// Sessions of one user.
        var sessions: UInt64?
        /// Bytes that all processes of one user's supervisor and jails may have together.
        var memory: UInt64?
        /// How many of them there may be.
        var pids: UInt64?
        /// Milliseconds after which a session that nobody uses is closed.
        var idle: UInt64?
    }

    /// Accounts that are meant.
    enum Selector: Hashable {
        case name(String)
        case number(UInt32)
        /// Everybody who has an account, but root.
        case everybody
    }

    /// - Throws: `PolicyError` with everything that is wrong in it.
    init(_ bytes: [UInt8], file: String) throws(PolicyError) {
        let document = try TomlDocument(bytes, file: file)
        let findings = Findings()
        let root = TableReader(document.root, of: document, path: "", keys: ["version", "allow"], findings: findings)
        if let version = root.entry("version") {
            if version.kind != .integer(1) { findings.report("`version` must be 1", at: version.location) }
        } else {
            findings.report("`version` is missing", at: document.root.location, remedy: "write `version = 1`")
        }
        var rules: [Rule] = []
        if let entry = root.entry("allow") {
            if entry.kind == .array {
                rules = document.children(of: entry).compactMap { Self.rule($0, document, findings) }
            } else {
                findings.report("`allow` must be a list of tables", at: entry.location, remedy: "write `[[allow]]`")
            }
        }
        guard findings.diagnostics.isEmpty else { throw PolicyError(diagnostics: findings.diagnostics) }
        self.rules = rules
    }

    private static let keys = ["users", "groups", "policies", "tier", "sessions", "memory", "pids", "idle"]

    private static func rule(_ node: TomlNode, _ document: TomlDocument, _ findings: Findings) -> Rule? {
        guard node.kind == .table else {
            findings.report("`allow` must be a list of tables", at: node.location, remedy: "write `[[allow]]`")
            return nil
        }
        let table = TableReader(node, of: document, path: "allow", keys: keys, findings: findings)
        var rule = Rule()
        rule.users = (table.list("users", selector) ?? []).map(\.value)
        rule.groups = (table.list("groups", group) ?? []).map(\.value)
        if rule.users.isEmpty, rule.groups.isEmpty {
            findings.report(
                "`[[allow]]` names nobody", at: node.location, remedy: "write `users` or `groups`; \"*\" is everybody")
        }
        if let policies = table.list("policies", policy) {
            rule.rights.policies = policies.map(\.value)
            if policies.isEmpty {
                findings.report(
                    "`allow.policies` is empty", at: table.entry("policies")?.location,
                    remedy: "leave it out for any policy, or the whole `[[allow]]` for none")
            }
        }
        rule.rights.tier = table.read("tier", absolutePath)?.value
        rule.rights.sessions = table.read("sessions", count)?.value
        rule.rights.memory = table.read("memory", size)?.value
        rule.rights.pids = table.read("pids", processes)?.value
        rule.rights.idle = table.read("idle", duration)?.value
        return rule
    }

    /// What is well formed, and still may not be what was meant, as the machine is now.
    var remarks: [String] {
        let accounts = Account.names(in: "/etc/passwd"), groups = Account.names(in: "/etc/group")
        var remarks: [String] = []
        for rule in rules {
            for (selectors, known, kind) in [(rule.users, accounts, "user"), (rule.groups, groups, "group")] {
                for case .name(let name) in selectors where !known.contains(where: { sameBytes($0, name) }) {
                    remarks.append("there is no \(kind) \(printable(name))")
                }
            }
            if rule.users.contains(where: { $0.means(0, "root") && $0 != .everybody }) {
                remarks.append("root is never served")
            }
            for path in (rule.rights.policies ?? []) + [rule.rights.tier].compactMap({ $0 })
            where path.utf8.first == UInt8(ascii: "/") && (try? status(at: path)) == nil {
                remarks.append("there is no file \(printable(path))")
            }
        }
        return remarks
    }

    private static func group(_ node: TomlNode) throws(InvalidValue) -> Selector {
        let selector = try selector(node)
        guard selector != .everybody else {
            throw InvalidValue("no group is everybody", remedy: "write `users = [\"*\"]`")
        }
        return selector
    }

    private static func selector(_ node: TomlNode) throws(InvalidValue) -> Selector {
        if case .integer(let number) = node.kind {
            // The last number means "no change" to the kernel (setresuid(2)).
            guard let id = UInt32(exactly: number), id != .max else { throw InvalidValue("\(number) is no account") }
            return .number(id)
        }
        let text = try string(node)
        if sameBytes(text, "*") { return .everybody }
        guard !text.isEmpty, !text.utf8.contains(where: { $0 == UInt8(ascii: ":") || $0 <= 0x20 }) else {
            throw InvalidValue("\"\(printable(text))\" is no name of an account")
        }
        return .name(text)
    }

    private static func policy(_ node: TomlNode) throws(InvalidValue) -> String {
        let text = try string(node)
        return text.hasPrefix("preset:") ? text : try absolutePath(node)
    }

    private static func absolutePath(_ node: TomlNode) throws(InvalidValue) -> String {
        let text = try string(node)
        guard text.utf8.first == UInt8(ascii: "/"), !text.utf8.contains(0) else {
            throw InvalidValue("\"\(printable(text))\" is no absolute path")
        }
        return text
    }

    /// As many as the kernel can number (PID_MAX_LIMIT).
    private static func processes(_ node: TomlNode) throws(InvalidValue) -> UInt64 {
        let number = try count(node)
        guard number <= 4_194_304 else { throw InvalidValue("\(number) is above 4194304") }
        return number
    }

    private static func count(_ node: TomlNode) throws(InvalidValue) -> UInt64 {
        guard case .integer(let number) = node.kind, number > 0 else {
            throw wrongType(node, expected: "a number above zero")
        }
        return UInt64(number)
    }

    /// What an account may; nil: it may not use the service. A number without a line in passwd(5) is served only where a rule names
    /// it: subordinate ids (subuid(5)) are such, and whoever has them would be as many users, each with these limits. Root never does: its own supervisor has all rights already,
    /// and this one is here so that none has more than its user.
    func rights(of account: Account) -> Rights? {
        guard account.user != 0 else { return nil }
        return rules.first { rule in
            rule.users.contains { $0.means(account.user, account.name) }
                || account.name != nil
                    && rule.groups.contains { selector in
                        account.groups.contains { selector.means($0.number, $0.name) }
                    }
        }?.rights
    }
}

extension ServiceRules.Selector {
    fileprivate func means(_ number: UInt32, _ name: String?) -> Bool {
        switch self {
        case .everybody: name != nil
        case .number(let wanted): wanted == number
        case .name(let wanted): name.map { sameBytes($0, wanted) } ?? false
        }
    }
}
