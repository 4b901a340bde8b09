// The environment of commands, and the values in it that must not leave.
internal import JailPlan
internal import Linux
public import PolicyModel

struct EnvironmentPlan {
    var variables: [(name: String, value: String)] = []
    var maskedValues: [String] = []

    private static let standardPath = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    /// bash reads the first two as programs before the command starts; the third is Cordon's own.
    private static let neverInherited = ["BASH_ENV", "ENV", "CORDON_DELEGATED_SCOPE"]
    init(
        rules: EnvironmentRules, request: PlanRequest, toolchainPath: [String], more: [(name: String, value: String)],
        userName: String
    ) {
        var names: [String] = []
        var values: [String: String] = [:]
        func set(_ name: String, _ value: String) {
            if values.updateValue(value, forKey: name) == nil { names.append(name) }
        }
        let matcher = rules.matcher()
        let passed = request.askerEnvironment ?? request.callerEnvironment
        let caller = Dictionary(passed.map { ($0.name, $0.value) }) { first, _ in first }
        set("PATH", (toolchainPath + Self.standardPath).joined(separator: ":"))
        set("HOME", Surroundings.home)
        set("USER", userName)
        set("LOGNAME", userName)
        set("SHELL", "/bin/bash")
        set("LANG", "C.UTF-8")
        set("TERM", caller["TERM"] ?? "dumb")
        if let zone = caller["TZ"] { set("TZ", zone) }
        for (name, value) in more { set(name, value) }
        for (name, value) in passed
        where matcher.passes(name) && !Self.neverInherited.contains(name)
            && !(rules.inherit == .all && values[name] != nil)
        {
            set(name, value)
        }
        for (name, value) in rules.set.sorted(by: { $0.key < $1.key }) { set(name, value) }
        for (name, value) in request.setEnvironment { set(name, value) }
        variables = names.map { (name: $0, value: values[$0] ?? "") }
        maskedValues = secretValues(of: variables, by: rules)
    }

    var searchPath: [String] {
        (variables.first { $0.name == "PATH" }?.value ?? "").split(separator: ":").map(String.init)
    }
}

/// The values that must not leave, of variables whose names a policy masks. Those of less than 8 bytes would blot out ordinary
/// text.
public func secretValues(of variables: [(name: String, value: String)], by rules: EnvironmentRules) -> [String] {
    let matcher = rules.matcher()
    return variables.filter { matcher.masks($0.name) && $0.value.utf8.count >= 8 }.map(\.value)
}
