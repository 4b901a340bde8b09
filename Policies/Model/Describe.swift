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
        environment.describe(in: &text)
        resources.describe(in: &text)
        text.table("seccomp")
        text.string("preset", seccomp.value.rawValue)
        text.table("identity")
        if let user = identity.user { text.string("user", user.description) }
        text.line("root", "\(identity.root.value)")
        text.string("hostname", identity.hostname)
        return text.text
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

    mutating func table(_ name: String) { text += "\n[\(name)]\n" }
    mutating func line(_ key: String, _ value: String) { text += "\(key) = \(value)\n" }
    mutating func string(_ key: String, _ value: String) { line(key, basicString(value)) }
    mutating func list(_ key: String, _ values: [String]) {
        line(key, "[" + values.map(basicString).joined(separator: ", ") + "]")
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
