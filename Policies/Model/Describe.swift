// A policy as text: TOML again, merged and complete, the same for the same policy. Loading it gives that policy back,
// but for the places where things were written.

extension Policy: CustomStringConvertible {
    /// The merged policy as TOML, in one fixed form, fit to be shown, compared and hashed.
    public var description: String {
        var text = TomlText()
        text.line("version", "1")
        text.list("allow_degraded", allowDegraded.keys.map(\.rawValue).sorted())
        text.table("fs")
        text.list("read", fileSystem.read.map(\.value.text))
        text.list("write", fileSystem.write.map(\.value.text))
        text.list("deny", fileSystem.deny.map(\.value.text))
        text.list("protect", fileSystem.protect.map(\.value.text))
        if let exec = fileSystem.exec { text.list("exec", exec.map(\.value.text)) }
        switch fileSystem.toolchains.value {
        case .auto: text.string("toolchains", "auto")
        case .none: text.string("toolchains", "none")
        case .paths(let paths): text.list("toolchains", paths)
        }
        text.list("caches", fileSystem.caches.map(\.value.rawValue))
        text.table("network")
        text.string("mode", network.value.rawValue)
        for grant in networkGrants {
            text.array("network.grant")
            text.string("host", grant.value.host)
            text.line("ports", "[" + grant.value.ports.map { "\($0)" }.joined(separator: ", ") + "]")
        }
        environment.describe(in: &text)
        resources.describe(in: &text)
        text.table("seccomp")
        text.string("preset", seccomp.value.rawValue)
        text.table("identity")
        if let user = identity.user { text.string("user", user.description) }
        text.line("root", "\(identity.root.value)")
        text.string("hostname", identity.hostname)
        describeCommands(in: &text)
        return text.text
    }
}

extension Policy {
    fileprivate func describeCommands(in text: inout TomlText) {
        text.table("defaults")
        let answers = [
            ("command", defaults.command), ("opaque", defaults.opaque), ("jailed", defaults.jailed),
            ("headless_ask", defaults.headlessAsk),
        ]
        for case (let key, let answer?) in answers { text.string(key, answer.value.rawValue) }
        if approval != ApprovalRules() {
            text.table("approval")
            if let scopes = approval.scopes { text.list("scopes", scopes.value.map(\.rawValue)) }
            if let expiry = approval.expiry { text.string("expiry", formatDuration(expiry.value)) }
            if let approvers = approval.approvers { text.list("approvers", approvers.value.map(\.rawValue)) }
        }
        for rule in commands.sorted(by: { $0.id.utf8.lexicographicallyPrecedes($1.id.utf8) }) {
            rule.describe(in: &text)
        }
        for test in tests {
            text.array("test")
            text.string("run", test.run.value)
            if let directory = test.directory { text.string("cwd", directory) }
            if test.isJailed { text.line("jailed", "true") }
            if test.input != .none { text.string("input", test.input.rawValue) }
            let expected = [("decision", test.decision?.rawValue), ("rule", test.rule)]
            text.inline("expect", expected.compactMap { key, value in value.map { "\(key) = \(basicString($0))" } })
        }
    }
}

extension CommandRule {
    fileprivate func describe(in text: inout TomlText) {
        text.array("command")
        text.string("id", id)
        text.list("argv", argv.words)
        if let flags { text.inline("flags", ["allow = " + TomlText.array(flags.map(\.glob.text))]) }
        text.string("decision", decision.rawValue)
        var rewritten: [String] = []
        if !rewrite.config.isEmpty { rewritten.append("config = " + TomlText.array(rewrite.config)) }
        if !rewrite.options.isEmpty { rewritten.append("options = " + TomlText.array(rewrite.options)) }
        if !rewrite.flags.isEmpty { rewritten.append("flags = " + TomlText.array(rewrite.flags)) }
        if !rewrite.environmentUnset.isEmpty {
            rewritten.append("env_unset = " + TomlText.array(rewrite.environmentUnset.map(\.text)))
        }
        if !rewrite.environmentSet.isEmpty {
            rewritten.append("env_set = " + TomlText.array(rewrite.environmentSet))
        }
        if !rewritten.isEmpty { text.inline("rewrite", rewritten) }
        if let reason { text.string("reason", reason) }
        if !except.isEmpty {
            text.line("except", "[" + except.map { TomlText.array($0.words) }.joined(separator: ", ") + "]")
        }
        if isLocked { text.line("locked", "true") }
        if isInteractive { text.line("interactive", "true") }
        if !match.isEmpty { text.list("match", match.map(\.value)) }
        if !notMatch.isEmpty { text.list("not_match", notMatch.map(\.value)) }
    }
}

extension EnvironmentRules {
    fileprivate func describe(in text: inout TomlText) {
        text.table("env")
        text.string("inherit", inherit.rawValue)
        text.list("pass", pass)
        text.list("mask", mask)
        text.table("env.set")
        for (name, value) in set.sorted(by: { $0.key < $1.key }) { text.string(name, value) }
    }
}

extension ResourceLimits {
    fileprivate func describe(in text: inout TomlText) {
        text.table("resources")
        if let wall { text.string("wall", formatDuration(wall.value)) }
        if let cpu { text.string("cpu", formatDuration(cpu.value)) }
        if let cpus { text.line("cpus", "\(cpus.value)") }
        if let memory { text.string("memory", memory.description) }
        let sizes: [(String, Located<UInt64>?)] = [
            ("swap", swap), ("output", output), ("disk", disk), ("file_size", fileSize), ("io_read", ioRead),
            ("io_write", ioWrite),
        ]
        for case (let key, let size?) in sizes { text.string(key, formatSize(size.value)) }
        let counts: [(String, Located<UInt64>?)] = [("pids", pids), ("inodes", inodes), ("open_files", openFiles)]
        for case (let key, let count?) in counts { text.line(key, "\(count.value)") }
        text.string("output_action", outputAction.value.rawValue)
    }
}

private struct TomlText {
    private(set) var text = ""

    static func array(_ values: [String]) -> String { "[" + values.map(basicString).joined(separator: ", ") + "]" }

    mutating func array(_ name: String) { text += "\n[[\(name)]]\n" }
    mutating func inline(_ key: String, _ entries: [String]) {
        line(key, "{ " + entries.joined(separator: ", ") + " }")
    }
    mutating func table(_ name: String) { text += "\n[\(name)]\n" }
    mutating func line(_ key: String, _ value: String) { text += "\(key) = \(value)\n" }
    mutating func string(_ key: String, _ value: String) { line(key, basicString(value)) }
    mutating func list(_ key: String, _ values: [String]) {
        line(key, Self.array(values))
    }
}

/// A basic string of TOML 1.0 with everything escaped that must be, or that would act on a terminal.
private func basicString(_ value: String) -> String {
    var result = "\""
    for scalar in value.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        default:
            if printable(String(scalar)) == String(scalar) {
                result.unicodeScalars.append(scalar)
            } else {
                let digits = String(scalar.value, radix: 16)
                result += "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
            }
        }
    }
    return result + "\""
}
