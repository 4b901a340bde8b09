// A record of the audit log in one line for people. Its texts come from anybody: each is made printable.
internal import PolicyDecision
internal import PolicyModel
internal import Wire

/// Time, event, who, decision, command, result.
func auditText(_ line: [UInt8], _ paint: Paint) -> String {
    guard case .object(let record)? = try? JsonValue(parsing: line) else {
        return "not a record: " + shortened(printable(String(decoding: line, as: UTF8.self)))
    }
    func text(_ name: String) -> String? { record[name]?.text.map(printable) }
    var words = [paint.faint(text("time") ?? "?"), padded(text("event") ?? "?", 17)]
    if let who = record["who"].flatMap(person) { words.append(who) }
    if let decision = text("decision") {
        words.append(Decision(rawValue: decision).map { paint.decision($0) } ?? decision)
    }
    if let command = record["command"] {
        let shown = command.text ?? command.texts?.map(shellWord).joined(separator: " ") ?? "?"
        words.append(shortened(printable(shown)))
    } else if let method = text("method") {
        words.append(method)
    }
    if let facts = record["facts"]?.members { words += question(facts, paint) }
    if let about = record["about"] { words.append("of record " + printable(about.serialized)) }
    if let result = record["result"].flatMap(outcome) { words.append(paint.faint("→ " + result)) }
    for name in ["file", "last", "adopted", "torn"] {
        if let value = record[name] { words.append("\(name) " + printable(value.text ?? value.serialized)) }
    }
    return words.joined(separator: "  ")
}

private func person(_ value: JsonValue) -> String? {
    guard case .object(let who) = value else { return nil }
    let names = [("user", "user "), ("pid", "pid "), ("session", "")]
    let words = names.compactMap { name, label in
        who[name].map { label + printable($0.text ?? $0.serialized) }
    }
    return words.isEmpty ? nil : words.joined(separator: " ")
}

/// What was asked, or what was answered.
private func question(_ facts: JsonObject, _ paint: Paint) -> [String] {
    func text(_ name: String) -> String? { facts[name]?.text.map(printable) }
    guard let approval = text("approval") else { return [] }
    var words = ["question \(approval)"]
    if let command = facts["command"]?.text ?? facts["argv"]?.texts?.map(shellWord).joined(separator: " ") {
        words.append(shortened(printable(command)))
    }
    if let answer = text("answer") {
        let isYes = answer == "approve"
        words.append(
            paint.decision(isYes ? .allow : .deny, answer) + (isYes ? text("scope").map { " " + $0 } ?? "" : ""))
    }
    return words
}

private func outcome(_ value: JsonValue) -> String? {
    guard case .object(let result) = value, let reason = result["reason"]?.text else { return nil }
    var text = printable(reason)
    for name in ["exit_code", "signal"] {
        if let number = result[name], number != .null { text += " " + printable(number.serialized) }
    }
    if let duration = result["duration_ms"] { text += " in \(printable(duration.serialized)) ms" }
    return text
}

/// At most 300 code points of it.
private func shortened(_ text: String) -> String {
    let head = String(String.UnicodeScalarView(text.unicodeScalars.prefix(300)))
    return head.utf8.count < text.utf8.count ? head + "…" : text
}
