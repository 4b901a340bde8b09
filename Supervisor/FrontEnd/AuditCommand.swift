// `cordon audit`: whether the audit log is as it was written, and what its last records are. It changes nothing.
internal import Audit
internal import Caller
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import Wire

private let stateOption = CommandOption(name: "--state", value: .directory, says: "Cordon's state directory")

let auditSubcommands = [
    Subcommand(
        name: "verify", says: "check that nothing was removed or changed", options: [stateOption, .json, .help],
        help: verifyHelp, run: verify),
    Subcommand(
        name: "tail", says: "print the last records",
        options: [
            CommandOption(name: "--lines", short: "-n", value: .text, says: "how many"),
            CommandOption(name: "--follow", short: "-f", says: "wait for more"), stateOption, .json, .help,
        ], help: tailHelp, run: tail),
]

private var auditHelp: String {
    """
    cordon audit: what was asked for, what was decided, and what came of it

    usage: cordon audit COMMAND [OPTION…]

    \(subcommandList(auditSubcommands))
    Each supervisor writes a log in a slot of its own, supervisors/N in the state directory: audit.jsonl, older files
    audit-N.jsonl, and apart from them head/audit.head, which tells where the log ends.

    see cordon audit COMMAND --help

    """
}

private let verifyHelp = """
    cordon audit verify: is the audit log as it was written?

    usage: cordon audit verify [OPTION…]

      --state DIR   Cordon's state directory; $XDG_STATE_HOME/cordon, or ~/.local/state/cordon
      --json        print exactly one JSON object

    Every line is held against the one before it, and the last one against the head. The first that does not fit is told,
    by file and line, and in which way: removed, changed, reordered, cut_tail, head_missing, head_changed, head_behind,
    other_log.

    exit codes: 0 all logs are intact; 1 one is not; 2 there is none, it cannot be read, or the call is wrong

    examples:
      cordon audit verify
      cordon audit verify --json | jq '.logs[] | select(.intact | not)'

    """

private let tailHelp = """
    cordon audit tail: the last records of the audit log

    usage: cordon audit tail [OPTION…]

      -n, --lines N     how many; 10
      -f, --follow      wait for more, until interrupted
      --state DIR       Cordon's state directory; $XDG_STATE_HOME/cordon, or ~/.local/state/cordon
      --json            print the lines as they are

    exit codes: 0; 128 + N ended by signal N; 2 there is no log, it cannot be read, or the call is wrong

    examples:
      cordon audit tail -n 100
      cordon audit tail --follow --json | jq 'select(.decision == "deny")'

    """

/// Runs a subcommand and exits.
func auditCommand(_ arguments: [String]) -> Never {
    runSubcommand(of: "audit", auditSubcommands, help: auditHelp, wrong: PolicyExit.wrong, arguments)
}

/// Options that both take.
private struct AuditOptions {
    var json = false
    var follows = false
    var count = 10
    private var chosen: String?

    init(_ arguments: [String], of name: String) throws(SubcommandFailure) {
        let options = auditSubcommands.first { $0.name == name }?.options ?? []
        let known = options.flatMap { [$0.name] + ($0.short.map { [$0] } ?? []) }
        var reader = OptionReader(arguments, help: "cordon audit \(name) --help")
        while let option = try usage({ () throws(UsageError) in try reader.next(known: known) }) {
            switch option.name {
            case "--state": chosen = try usage { () throws(UsageError) in try reader.value(of: option) }
            case "--lines", "-n":
                let text = try usage { () throws(UsageError) in try reader.value(of: option) }
                guard let number = Int(text), (0...100_000).contains(number), text.utf8.first != UInt8(ascii: "+")
                else {
                    throw .usage(
                        UsageError("\(option.name) \(text): not a count", remedy: "write a number up to 100000"))
                }
                count = number
            default:
                try usage { () throws(UsageError) in try reader.requireFlag(option) }
                if option.name == "--json" { json = true } else { follows = true }
            }
        }
        if let word = reader.operands.first {
            throw .usage(
                UsageError("audit \(name) takes no argument \"\(word)\"", remedy: "see cordon audit \(name) --help"))
        }
    }

    /// Cordon's state directory.
    func state() throws(SubcommandFailure) -> String {
        if let chosen { return chosen }
        guard let state = userDirectory("XDG_STATE_HOME", "/.local/state", callerEnvironment()) else {
            throw .usage(UsageError("neither XDG_STATE_HOME nor HOME is set", remedy: "write --state DIR"))
        }
        // Who asks about their own records while they use the service may mean those of the service.
        if let service = callerEnvironment().first(where: { $0.name == "CORDON_SOCKET" })?.value, !service.isEmpty {
            let place = "/var/lib/cordon/\(effectiveUser)"
            put(
                "cordon: these are the records of your own supervisors; the system's service, which CORDON_SOCKET names, keeps "
                    + "its own in \(place): write --state \(place), as who may read it\n", to: 2)
        }
        return state + "/cordon"
    }
}

/// Says why, and ends as a call that was wrong.
private func fail(_ error: AuditError) -> Never {
    leave(printing: "cordon: \(error)\n", code: PolicyExit.wrong, to: 2)
}

/// A log's directory as people know it.
private func slot(_ directory: String) -> String { pathComponents(directory).suffix(2).joined(separator: "/") }

// MARK: - verify

@Sendable private func verify(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    let options = try AuditOptions(arguments, of: "verify"), state = try options.state()
    do throws(AuditError) {
        var found: [(directory: String, verdict: AuditVerdict)] = []
        for directory in try auditDirectories(state) {
            do throws(AuditError) { found.append((directory, try verifyAudit(directory))) } catch {
                // A slot whose supervisor has not written yet.
                guard case .missing = error else { throw error }
            }
        }
        guard !found.isEmpty else { throw .missing(path: auditSlots(state)) }
        let isIntact = found.allSatisfy { if case .intact = $0.verdict { true } else { false } }
        let code: Int32 = isIntact ? 0 : PolicyExit.failed
        if options.json {
            let logs = found.map { JsonValue.object(verdictObject($0.directory, $0.verdict)) }
            leave(printing: (["intact": .bool(isIntact), "logs": .array(logs)] as JsonObject).text + "\n", code: code)
        }
        leave(printing: found.map { verdictLine($0.directory, $0.verdict) }.joined(), code: code)
    } catch { fail(error) }
}

private func verdictObject(_ directory: String, _ verdict: AuditVerdict) -> JsonObject {
    var json: JsonObject = ["directory": .string(directory)]
    switch verdict {
    case .intact(let summary):
        json.add("intact", .bool(true))
        json.add("first", .count(summary.first))
        json.add("last", .count(summary.last))
        json.add("files", .number(Int64(summary.files)))
        json.add("ahead_of_head", .bool(summary.isAheadOfHead))
        json.add("torn_bytes", .number(Int64(summary.tornBytes)))
    case .broken(let fault):
        json.add("intact", .bool(false))
        json.add("way", .string(fault.way.rawValue))
        json.add("file", .string(fault.file))
        json.add("line", fault.line.map { .count($0) } ?? .null)
        json.add("text", .string(fault.text))
    }
    return json
}

private func verdictLine(_ directory: String, _ verdict: AuditVerdict) -> String {
    let paint = Paint()
    switch verdict {
    case .intact(let summary):
        var text = "\(slot(directory)): \(paint.decision(.allow, "intact")), "
        text += summary.first > 1 ? "records \(summary.first) to \(summary.last)" : "\(summary.last) records"
        text += " in \(summary.files) \(summary.files == 1 ? "file" : "files")\n"
        if summary.first > 1 { text += "  older files were pruned, as the log itself tells\n" }
        if summary.isAheadOfHead {
            text += "  the head does not know of the last record: its writer was killed, or is writing\n"
        }
        if summary.tornBytes > 0 { text += "  half a line follows: its writer was killed, or is writing\n" }
        return text
    case .broken(let fault):
        return "\(slot(directory)): \(paint.decision(.deny, "broken")) at \(printable(fault.description))\n"
    }
}

// MARK: - tail

/// A log that is followed.
private final class FollowedLog {
    let directory: String
    private var tail: AuditTail

    init(_ directory: String) throws(AuditError) {
        self.directory = directory
        tail = try AuditTail(directory)
    }

    func last(_ count: Int) throws(AuditError) -> [[UInt8]] { try tail.last(count) }
    func next() throws(AuditError) -> [[UInt8]] { try tail.next() }
}

@Sendable private func tail(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    let options = try AuditOptions(arguments, of: "tail"), state = try options.state()
    do throws(AuditError) {
        var printer = RecordPrinter(json: options.json)
        if options.follows { try follow(state, options.count, &printer) }
        let logs = try openLogs(state)
        printer.printLast(
            options.count, of: try logs.map { log throws(AuditError) in (log, try log.last(options.count)) })
        exitNow(0)
    } catch { fail(error) }
}

private func openLogs(_ state: String) throws(AuditError) -> [FollowedLog] {
    try auditDirectories(state).map { directory throws(AuditError) in try FollowedLog(directory) }
}

/// Prints what there is and what comes, until a signal ends it or nobody reads any more.
private func follow(_ state: String, _ count: Int, _ printer: inout RecordPrinter) throws(AuditError) -> Never {
    do throws(Errno) {
        let signals = try SignalSource([Signal.interrupt, Signal.terminate, Signal.hangUp])
        var watch = try DirectoryWatch()
        let poller = try Poller()
        try poller.add(signals.descriptor.raw, .readable, token: 0)
        try poller.add(watch.descriptor.raw, .readable, token: 1)
        // A pipe or a terminal tells when its other side is gone; a file has none (EPERM).
        try? poller.add(1, [], token: 2)
        // Watched before they are read: what comes in between is then noticed, and read twice by nobody.
        try watchPlaces(state, watch)
        var logs: [FollowedLog] = []
        do throws(AuditError) {
            logs = try openLogs(state)
            printer.printLast(count, of: try logs.map { log throws(AuditError) in (log, try log.last(count)) })
            while true {
                for event in try waiting(poller) {
                    if event.token == 0, let number = try? signals.next() { exitNow(128 + number) }
                    if event.token == 2 { exitNow(0) }
                }
                try? watch.drain()
                let directories = try auditDirectories(state)
                for directory in directories where !logs.contains(where: { $0.directory == directory }) {
                    try? watch.add(directory)
                    logs.append(try FollowedLog(directory))
                }
                for log in logs {
                    while case let lines = try log.next(), !lines.isEmpty { printer.print(log, lines, of: logs.count) }
                }
            }
        } catch { fail(error) }
    } catch {
        guard error != .noEntry else { throw .missing(path: auditSlots(state)) }
        throw .failed(step: "follow", path: auditSlots(state), error)
    }
}

private func watchPlaces(_ state: String, _ watch: borrowing DirectoryWatch) throws(Errno) {
    try watch.add(auditSlots(state))
    for directory in (try? auditDirectories(state)) ?? [] { try watch.add(directory) }
}

private func waiting(_ poller: borrowing Poller) throws(AuditError) -> [(token: UInt64, events: Events)] {
    do throws(Errno) { return try poller.wait() } catch { throw .failed(step: "epoll", path: "", error) }
}

/// Prints lines of logs, as they are or for people. Ends the program where nobody takes them.
private struct RecordPrinter {
    let json: Bool
    private let paint = Paint()
    private let isShown = isTerminal(1)

    init(json: Bool) { self.json = json }

    /// Of several logs the last lines of all, in the order of their times.
    func printLast(_ count: Int, of logs: [(log: FollowedLog, lines: [[UInt8]])]) {
        var all: [(time: String, log: FollowedLog, line: [UInt8])] = []
        for (log, lines) in logs {
            for line in lines { all.append((logs.count > 1 ? time(line) : "", log, line)) }
        }
        // In order of their times, and those of one time as they stand.
        let order = all.indices.sorted { (all[$0].time, $0) < (all[$1].time, $1) }
        for index in order.suffix(count) { print(all[index].log, [all[index].line], of: logs.count) }
    }

    private func time(_ line: [UInt8]) -> String {
        guard case .object(let record)? = try? JsonValue(parsing: line) else { return "" }
        return record["time"]?.text ?? ""
    }

    func print(_ log: FollowedLog, _ lines: [[UInt8]], of count: Int) {
        var text = ""
        for line in lines {
            if json {
                let raw = String(decoding: line, as: UTF8.self)
                // What a forger put into the file must not command the terminal.
                text += (isShown ? printable(raw) : raw) + "\n"
            } else {
                text += (count > 1 ? paint.faint(slot(log.directory)) + "  " : "") + auditText(line, paint) + "\n"
            }
        }
        if !put(text, to: 1) { exitNow(0) }
    }
}
