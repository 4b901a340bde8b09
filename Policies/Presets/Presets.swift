// The policies that come with Cordon, compiled in: a preset cannot be missing or be changed on the machine.

/// The names of the presets, for `extends = ["preset:NAME"]` and `--policy preset:NAME`.
public let presetNames = ["agent", "pure", "build", "readonly", "ci", "unconfined-command"]

/// The TOML of a preset, or nil when there is none of that name.
///
/// - Parameter withTests: whether its tests come along. They are the last of its tables, were run when Cordon was built, and
///   take as long to read as all the rest.
public func presetBytes(named name: String, withTests: Bool = true) -> [UInt8]? {
    guard let bytes = wholePreset(named: name), !withTests else { return wholePreset(named: name) }
    let mark = Array("[[test]]".utf8)
    var line = 0
    while line < bytes.count {
        if bytes[line] == mark[0], bytes[line...].starts(with: mark) { return Array(bytes[..<line]) }
        line = (bytes[line...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count) + 1
    }
    return bytes
}

private func wholePreset(named name: String) -> [UInt8]? {
    switch name {
    case "agent": PackageResources.agent_toml
    case "pure": PackageResources.pure_toml
    case "build": PackageResources.build_toml
    case "readonly": PackageResources.readonly_toml
    case "ci": PackageResources.ci_toml
    case "unconfined-command": PackageResources.unconfined_command_toml
    default: nil
    }
}
