// Verdicts as JSON, as the contract says.
public import PolicyDecision
internal import PolicyModel
public import Wire

extension Verdict {
    /// `decision`, `rewritten`, `argv` where one simple command is allowed, and `evidence`.
    public var json: JsonObject {
        var json = JsonObject()
        json.add("decision", .string(decision.rawValue))
        json.add("rewritten", .bool(isRewritten))
        if let argv { json.add("argv", .array(argv.map { .string($0) })) }
        if let command { json.add("command", .string(command)) }
        if !environmentUnset.isEmpty { json.add("env_unset", .array(environmentUnset.map { .string($0) })) }
        if !environmentSet.isEmpty { json.add("env_set", .array(environmentSet.map { .string($0) })) }
        if let opaque { json.add("opaque", .string(opaque)) }
        json.add("evidence", .array(evidence.map { .object($0.json) }))
        return json
    }
}

extension Evidence {
    /// Each of its parts; what is not there is null.
    public var json: JsonObject {
        var json = JsonObject()
        json.add("decision", .string(decision.rawValue))
        json.add("rule", .string(rule))
        json.add("file", location.map { .string($0.file) } ?? .null)
        json.add("line", location.map { .number(Int64($0.line)) } ?? .null)
        json.add("column", location.map { .number(Int64($0.column)) } ?? .null)
        json.add("matched", .string(matched))
        json.add("reason", .string(reason))
        json.add("remedy", remedy.map { .string($0) } ?? .null)
        json.add("enforced", .string(enforced.rawValue))
        return json
    }
}

extension Step {
    /// `title`, `decision`, `evidence`, and `steps` below it.
    public var json: JsonObject {
        var json = JsonObject()
        json.add("title", .string(title))
        json.add("decision", .string(decision.rawValue))
        json.add("evidence", .array(evidence.map { .object($0.json) }))
        json.add("steps", .array(steps.map { .object($0.json) }))
        return json
    }
}
