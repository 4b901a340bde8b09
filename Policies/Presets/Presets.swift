// The policies that come with Cordon, compiled in: a preset cannot be missing or be changed on the machine.

/// The names of the presets, for `extends = ["preset:NAME"]` and `--policy preset:NAME`.
public let presetNames = ["agent", "pure", "build", "readonly", "ci", "unconfined-command"]

/// The TOML of a preset, or nil when there is none of that name.
public func presetBytes(named name: String) -> [UInt8]? {
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
