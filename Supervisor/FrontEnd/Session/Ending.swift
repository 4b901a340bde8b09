// What is said of a command of a session that has ended or was refused, and with which exit code: as `cordon run` does.
internal import Client
internal import Linux
internal import PolicyModel
internal import Reports
internal import SupervisorCore
internal import Wire

/// Says what became of a command and exits.
///
/// - Parameters:
///   - program: its name, where a report does not tell it.
///   - json: the report for programs, in place of that for people.
func finish(_ result: Result<JsonObject, ClientError>, of program: String?, json: Bool) -> Never {
    switch result {
    case .success(let report):
        if json { printReport(report) } else { put(endingText(report, of: program), to: 2) }
        exitNow(exitCode(report))
    case .failure(let error):
        guard json, case .answered(let answer) = error else { fail(error) }
        let isDenied = answer.code.isDenial
        var outcome = Outcome(
            reason: isDenied ? .denied : .error, guarantees: GuaranteeNames(enforced: [], degraded: [], notes: []))
        if !isDenied {
            outcome.failure = LaunchFailure(
                step: answer.data["step"]?.text ?? answer.code.name, object: answer.data["object"]?.text ?? "",
                remedy: answer.data["remedy"]?.text ?? answer.message)
        }
        var report = reportObject(outcome)
        if isDenied { report.replace("denials", .array([.object(answer.data)])) }
        printReport(report)
        exitNow(refusalCode(error))
    }
}

/// Says why a command was not run and exits.
func fail(_ error: ClientError) -> Never { leave(printing: refusalText(error), code: refusalCode(error), to: 2) }

private func printReport(_ report: JsonObject) {
    guard put(report.text + "\n", to: 1) else {
        leave(
            printing: "cordon: the report could not be written to standard output\n", code: ExitCode.cordonFailed, to: 2
        )
    }
}

/// Why it did not end by itself; nothing where it did.
func endingText(_ report: JsonObject, of program: String?) -> String {
    if let failure = report["error"]?.members, let step = failure["step"]?.text {
        var object = failure["object"]?.text ?? ""
        if object.isEmpty, step == "execve", let program { object = program }
        let errno = failure["errno"]?.text.map(errnoText)
        let remedy = failure["remedy"]?.text ?? ""
        return "cordon: " + printable(step) + (object.isEmpty ? "" : " " + printable(object))
            + (errno.map { ": " + printable($0) } ?? "") + (remedy.isEmpty ? "" : "; " + printableLines(remedy)) + "\n"
    }
    let denials = (report["denials"]?.elements ?? []).compactMap(\.members)
    return denials.map(denialText).joined() + (note(report).map { "cordon: \($0)\n" } ?? "")
}

/// `ENOENT (No such file or directory)`, from its name.
private func errnoText(_ name: String) -> String {
    (1...133).lazy.map(Errno.init(rawValue:)).first { $0.name == name }?.description ?? name
}

/// One line where a command did not end by itself.
private func note(_ report: JsonObject) -> String? {
    switch report["reason"]?.text {
    case "timeout": "stopped at the time limit after \(formatDuration(report["duration_ms"]?.unsigned ?? 0))"
    case "cpu_timeout": "stopped at the limit of processor time, \(report["cpu_ms"]?.unsigned ?? 0) ms used"
    case "oom": "killed at the memory limit; the peak was \(formatSize(report["max_memory_bytes"]?.unsigned ?? 0))"
    case "output_limit": "stopped at the limit of output"
    case "signaled": "killed by \(Signal.name(Int32(clamping: report["signal"]?.whole ?? 0)))"
    case "interrupted": "its supervisor died before it had ended"
    default: nil
    }
}

/// As the command-line contract says.
func exitCode(_ report: JsonObject) -> Int32 {
    func number(_ name: String) -> Int32? { report[name]?.whole.map { Int32(clamping: $0) } }
    switch report["reason"]?.text {
    case "exited": return number("exit_code") ?? ExitCode.cordonFailed
    case "signaled": return 128 + (number("signal") ?? 0)
    case "timeout", "cpu_timeout": return 124
    case "oom", "output_limit": return 137
    case "denied": return 126
    default:
        guard let failure = report["error"]?.members, failure["step"]?.text == "execve" else {
            return ExitCode.cordonFailed
        }
        return ["ENOENT", "ENOTDIR"].contains(failure["errno"]?.text) ? 127 : 126
    }
}

/// Why a request was not carried out, on lines of their own.
private func refusalText(_ error: ClientError) -> String {
    guard case .answered(let answer) = error, answer.code.isDenial else { return "cordon: \(error.text)\n" }
    // What the policy itself denies needs nobody's word; where it asks, the answer says what became of the question.
    guard answer.data["decision"]?.text == "ask" else {
        let text = denialText(answer.data)
        return text.isEmpty ? "cordon: denied: \(error.text)\n" : text
    }
    return "cordon: not approved: \(error.text)\n" + remedies(answer.data)
}

private func refusalCode(_ error: ClientError) -> Int32 {
    guard case .answered(let answer) = error, answer.code.isDenial else { return ExitCode.cordonFailed }
    return 126
}

extension RpcErrorCode {
    fileprivate var isDenial: Bool { self == .denied || self == .notApproved }
}

// MARK: - Denials

/// Why a command was not started: of a verdict's evidence what denies or asks, with its rule's place and what to do.
func denialText(_ verdict: JsonObject) -> String {
    obstacles(verdict).map { item in
        func text(_ name: String) -> String { printable(item[name]?.text ?? "") }
        return
            "cordon: \(item["decision"]?.text == "ask" ? "not approved" : "denied"): \(text("rule")): \(text("reason"))"
            + " — \(text("matched"))\n" + remedy(item)
    }.joined()
}

private func remedies(_ verdict: JsonObject) -> String { obstacles(verdict).map(remedy).joined() }

private func obstacles(_ verdict: JsonObject) -> [JsonObject] {
    (verdict["evidence"]?.elements ?? []).compactMap(\.members).filter { $0["decision"]?.text != "allow" }
}

private func remedy(_ item: JsonObject) -> String {
    guard let remedy = item["remedy"]?.text else { return "" }
    var place = ""
    if let file = item["file"]?.text, let line = item["line"]?.whole, let column = item["column"]?.whole {
        place = SourceLocation(file: file, line: Int(line), column: Int(column)).description + ": "
    }
    return "cordon:   \(place)\(printable(remedy))\n"
}

// MARK: - Messages

/// A message of several lines: each of them is made printable, and stays one.
func printableLines(_ text: String) -> String {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: true)
    return lines.map { printable(String($0)) }.joined(separator: "\ncordon: ")
}

/// What the parameters of requests are called on the command line.
private let optionNames = [
    "name": "--name", "policy": "--policy", "workspace": "--workspace", "image": "--image", "timeout_ms": "--timeout",
    "memory": "--memory", "pids": "--pids", "env": "--env", "idle_ms": "--idle", "cwd": "--cwd", "signal": "--signal",
    "terminal": "--terminal", "term": "TERM", "session": "SESSION", "argv": "COMMAND", "approval": "ID",
    "caller_env": "the environment",
]

extension ClientError {
    /// For people at a command line, who know options and not parameters; printable.
    var text: String {
        guard case .answered(let error) = self, error.code == .invalidParams,
            let name = error.data["parameter"]?.text, let option = optionNames[name], message.hasPrefix("\"\(name)\" ")
        else { return printableLines(message) }
        let unit = name.hasSuffix("_ms") ? " (milliseconds)" : ""
        return printableLines(option + message.dropFirst(name.count + 2) + unit)
    }
}
