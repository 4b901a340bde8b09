// Verdicts as text for people.
internal import Linux
internal import PolicyDecision
internal import PolicyModel

/// The verdict and the reasons that made it.
func verdictText(_ verdict: Verdict, _ paint: Paint) -> String {
    var text = paint.decision(verdict.decision) + (verdict.isRewritten ? " (rewritten)" : "") + "\n"
    if verdict.isRewritten {
        if let argv = verdict.argv {
            let words = (verdict.environmentSet.isEmpty ? [] : ["env"] + verdict.environmentSet) + argv
            text += "  run: " + printable(words.map(shellWord).joined(separator: " ")) + "\n"
        }
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
