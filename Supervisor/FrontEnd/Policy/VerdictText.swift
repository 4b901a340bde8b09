// Verdicts as JSON, as the contract says, and as text for people.
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import Wire

extension Verdict {
    /// `decision`, `rewritten`, `argv` where one simple command is allowed, and `evidence`.
    var json: JsonObject {
        var json = JsonObject()
        json.add("decision", .string(decision.rawValue))
        json.add("rewritten", .bool(isRewritten))
        if let argv { json.add("argv", .array(argv.map { .string($0) })) }
        if let command { json.add("command", .string(command)) }
        if !environmentUnset.isEmpty { json.add("env_unset", .array(environmentUnset.map { .string($0) })) }
        if let opaque { json.add("opaque", .string(opaque)) }
        json.add("evidence", .array(evidence.map { .object($0.json) }))
        return json
    }
}

extension Evidence {
    var json: JsonObject {
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
    var json: JsonObject {
        var json = JsonObject()
        json.add("title", .string(title))
        json.add("decision", .string(decision.rawValue))
        json.add("evidence", .array(evidence.map { .object($0.json) }))
        json.add("steps", .array(steps.map { .object($0.json) }))
        return json
    }
}

/// The verdict and the reasons that made it.
func verdictText(_ verdict: Verdict, _ paint: Paint) -> String {
    var text = paint.decision(verdict.decision) + (verdict.isRewritten ? " (rewritten)" : "") + "\n"
    if verdict.isRewritten {
        if let argv = verdict.argv { text += "  run: " + printable(argv.map(shellWord).joined(separator: " ")) + "\n" }
        if let command = verdict.command { text += "  run: " + printable(command) + "\n" }
        if !verdict.environmentUnset.isEmpty {
            text += "  without the variables " + verdict.environmentUnset.joined(separator: " ") + "\n"
        }
    }
    for item in verdict.evidence where item.decision == verdict.decision {
        text += evidenceText(item, paint, indent: "  ")
    }
    return text
}

/// The tree of all parts.
func explanation(_ verdict: Verdict, _ paint: Paint) -> String {
    var text =
        paint.decision(verdict.decision) + (verdict.opaque.map { ": it cannot be analysed: \(printable($0))" } ?? "")
        + "\n"
    func add(_ step: Step, _ indent: String) {
        text +=
            "\(indent)\(paint.decision(step.decision, padded(step.decision.rawValue, 5)))  \(printable(step.title))\n"
        for item in step.evidence { text += evidenceText(item, paint, indent: indent + "       ") }
        for inner in step.steps { add(inner, indent + "    ") }
    }
    for step in verdict.steps { add(step, "") }
    return text
}

private func evidenceText(_ item: Evidence, _ paint: Paint, indent: String) -> String {
    var text = "\(indent)\(printable(item.rule)): \(printable(item.reason))"
    if !item.matched.isEmpty { text += " — \(printable(item.matched))" }
    text += "\n"
    var notes = [item.location.map(\.description), "enforced: \(item.enforced.rawValue)"].compactMap { $0 }
    if let remedy = item.remedy { notes.append(printable(remedy)) }
    return text + "\(indent)  \(paint.faint(notes.joined(separator: " · ")))\n"
}
