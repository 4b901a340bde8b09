// A supervisor without jails, to be killed: it appends to a journal, and says on standard output what was acknowledged.
internal import Glibc
internal import Journal
internal import Linux

/// One line for one acknowledgement; the pipe keeps it when this process is dead.
func say(_ words: String) { _ = try? Linux.write(1, Array((words + "\n").utf8)[...]) }

/// The same bytes wherever they are made.
func content(_ command: UInt64, _ stream: JournalStream, _ range: Range<UInt64>) -> [UInt8] {
    range.map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8 &+ command &* 7 &+ UInt64(stream.rawValue)) }
}

/// SplitMix64.
struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

/// Appends until it is killed.
func append(_ directory: String, session: String, seed: UInt64) throws(JournalError) {
    var options = Journal.Options()
    options.compactionThreshold = 100_000
    let journal = try Journal.open(directory, options)
    var random = Generator(state: seed)
    try journal.append(
        .sessionOpened(SessionEntry(id: session, name: "n", user: 7, workspace: "/w", policy: "p", created: seed)))
    say("open \(session)")
    var ends: [UInt64: [JournalStream: UInt64]] = [:]
    var running: [UInt64] = []
    var ended: [UInt64] = []
    var next: UInt64 = 1
    while true {
        switch Int.random(in: 0...9, using: &random) {
        case 0, 1:
            try journal.append(
                .commandStarted(
                    session: session,
                    CommandEntry(number: next, arguments: ["c", "\(next)"], directory: "/w", started: 1)))
            say("start \(next)")
            running.append(next)
            next += 1
        case 2:
            guard let number = running.first else { continue }
            let report = String(repeating: "r\(number)", count: Int.random(in: 1...2000, using: &random))
            try journal.append(.commandEnded(session: session, number: number, at: 2, report: report))
            say("end \(number) \(report)")
            ended.append(running.removeFirst())
        case 3:
            guard ended.count > 4 else { continue }
            // Not known to be there and not known to be gone while this is under way.
            say("forgetting \(ended[0])")
            try journal.append(.commandForgotten(session: session, number: ended[0]))
            say("forgotten \(ended.removeFirst())")
        case 4: journal.maintain()
        default:
            guard let number = running.randomElement(using: &random) else { continue }
            let stream: JournalStream = Bool.random(using: &random) ? .output : .errors
            let end = ends[number]?[stream] ?? 0
            let start = end - min(end, UInt64.random(in: 0...100, using: &random))
            let range = start..<end + UInt64.random(in: 1...5_000, using: &random)
            try journal.acknowledge(
                session: session, command: number, stream: stream, from: start, content(number, stream, range))
            say("output \(number) \(stream.rawValue) \(range.upperBound)")
            ends[number, default: [:]][stream] = range.upperBound
        }
    }
}

func limitFiles(_ bytes: UInt64) {
    var limit = rlimit()
    unsafe getrlimit(__rlimit_resource_t(1), &limit)
    limit.rlim_cur = min(rlim_t(bytes), limit.rlim_max)
    unsafe setrlimit(__rlimit_resource_t(1), &limit)
}

/// Meets a full disk, and then finds room again.
func fill(_ directory: String) throws(JournalError) {
    Signal.ignore(SIGXFSZ)
    var options = Journal.Options()
    options.heldLimit = 200_000
    let journal = try Journal.open(directory, options)
    try journal.append(
        .sessionOpened(SessionEntry(id: "s", name: "n", user: 7, workspace: "/w", policy: "p", created: 1)))
    for number in 1...3 as ClosedRange<UInt64> {
        try journal.append(
            .commandStarted(session: "s", CommandEntry(number: number, arguments: ["c"], directory: "/w", started: 1)))
    }
    let log = (try? status(at: directory + "/journal.db-wal").size) ?? 0
    limitFiles(UInt64(log) + 40_000)
    var end: UInt64 = 0
    var became: Durability
    repeat {
        let range = end..<end + 10_000
        became = try journal.acknowledge(
            session: "s", command: 1, stream: .output, from: end, content(1, .output, range))
        end = range.upperBound
    } while became == .committed
    say("refusal \(journal.refusal?.kind.rawValue ?? "none")")
    do throws(JournalError) {
        try journal.append(
            .commandStarted(session: "s", CommandEntry(number: 4, arguments: ["c"], directory: "/w", started: 1)))
        say("started")
    } catch { say("refused \(error.kind.rawValue) \(error.path) \(error.remedy)") }
    say("\(try journal.append(.commandEnded(session: "s", number: 1, at: 2, report: "{}")))")
    // More than may be held; ends of commands still are.
    do throws(JournalError) {
        while true {
            let range = end..<end + 10_000
            try journal.acknowledge(session: "s", command: 2, stream: .errors, from: end, content(2, .errors, range))
            end += 10_000
        }
    } catch { say("bound \(error.kind.rawValue)") }
    say("\(try journal.append(.commandEnded(session: "s", number: 2, at: 2, report: "{}")))")
    limitFiles(.max)
    while journal.maintain() != nil {}
    say("refusal \(journal.refusal?.kind.rawValue ?? "none")")
    let last = CommandEntry(number: 5, arguments: ["c"], directory: "/w", started: 1)
    say("\(try journal.append(.commandStarted(session: "s", last)))")
    say("end \(end)")
    // As SIGKILL would end it.
    exitNow(0)
}

func main() throws(JournalError) {
    let words = CommandLine.arguments
    switch words[1] {
    case "append": try append(words[2], session: words[3], seed: UInt64(words[4]) ?? 0)
    case "fill": try fill(words[2])
    case "open":
        // As somebody who may not do everything.
        if effectiveUser == 0 { try? become(user: 65534, group: 65534) }
        _ = try Journal.open(words[2])
        say("opened")
    case "hold":
        let journal = try Journal.openSlot(in: words[2])
        try journal.append(
            .sessionOpened(SessionEntry(id: words[3], name: "", user: 7, workspace: "/w", policy: "", created: 1)))
        say("slot \(journal.slot ?? -1)")
        var buffer = [UInt8](repeating: 0, count: 1)
        _ = try? Linux.read(0, into: &buffer)
        extendLifetime(journal)
    default: say("usage: append DIR SESSION SEED | fill DIR | open DIR | hold DIR SESSION")
    }
}

do throws(JournalError) { try main() } catch {
    say("error \(error.kind.rawValue) \(error)")
    exitNow(1)
}
