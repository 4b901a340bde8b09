// What is written is read back: records, output, states; and the journal does not grow without bound.
import Foundation
import Journal
import TestSupport
import Testing

@Suite struct JournalTests {
    @Test func roundTrip() throws {
        let place = try Place()
        do {
            let journal = try Journal.open(place.state)
            #expect(journal.opening.interrupted.isEmpty && journal.opening.movedAside == nil)
            // Two ids that Unicode calls one.
            for id in ["\u{e9}", "e\u{301}"] { #expect(try journal.append(session(id)) == .committed) }
            try journal.append(command("\u{e9}", 1, ["a", "", "b c", "\u{fc}\n"]))
            try journal.append(command("\u{e9}", 2, []))
            try journal.append(.commandEnded(session: "\u{e9}", number: 1, at: 9, report: "{\"x\":\"\\u0000\"}"))
            try journal.append(.note(session: "\u{e9}", at: 5, text: "nota"))
            try journal.acknowledge(session: "\u{e9}", command: 1, stream: .output, from: 0, [0, 255, 10])
            let open = try journal.sessions()
            #expect(open.map { Array($0.entry.id.utf8) } == [Array("\u{e9}".utf8), Array("e\u{301}".utf8)])
            #expect(open.allSatisfy { $0.state == .open })
            #expect(
                try journal.commands(of: "\u{e9}").map(\.state) == [
                    .ended(at: 9, report: "{\"x\":\"\\u0000\"}"), .running,
                ])
        }
        let journal = try Journal.open(place.state)
        #expect(journal.opening.interrupted.count == 2)
        let found = try #require(try journal.sessions().first)
        guard case .interrupted(let at) = found.state else { throw CancellationError() }
        #expect(at > 1_700_000_000_000)
        #expect(found.events == [.note(at: 5, "nota"), .interrupted(at: at)])
        let entry = found.entry
        #expect(entry.name == "name of \u{e9}" && entry.user == 1000 && entry.workspace == "/w" && entry.image == "i")
        #expect(entry.policy == "preset:agent" && entry.limits == "{}" && entry.created == 1)
        let commands = try journal.commands(of: "\u{e9}")
        #expect(commands.map(\.entry.arguments) == [["a", "", "b c", "\u{fc}\n"], []])
        #expect(commands.map(\.entry.isBackground) == [false, true] && commands.map(\.entry.started) == [1, 2])
        #expect(commands.map(\.state) == [.ended(at: 9, report: "{\"x\":\"\\u0000\"}"), .interrupted])
        #expect(commands[0].output.kept == 3 && commands[0].output.end == 3 && commands[0].output.dropped == nil)
        let output = try journal.output(session: "\u{e9}", command: 1, stream: .output, from: 1, limit: 9)
        #expect(output.bytes == [255, 10] && output.start == 1 && output.next == 3)
    }

    @Test func reopening() throws {
        let place = try Place()
        do {
            let journal = try Journal.open(place.state)
            try journal.append(session("s"))
            try journal.append(command("s", 1))
        }
        do {
            let journal = try Journal.open(place.state)
            #expect(throws: JournalError.self) { try journal.append(command("s", 2)) }
            #expect(throws: JournalError.self) {
                try journal.acknowledge(session: "s", command: 1, stream: .output, from: 0, [1])
            }
            try journal.append(.sessionReopened(session: "s", at: 77))
            #expect(throws: JournalError.self) { try journal.append(.sessionReopened(session: "s", at: 78)) }
            try journal.append(command("s", 2))
            // The old one is dead, whatever became of its session.
            #expect(throws: JournalError.self) {
                try journal.append(.commandEnded(session: "s", number: 1, at: 1, report: ""))
            }
            #expect(try journal.commands(of: "s").map(\.state) == [.interrupted, .running])
        }
        let journal = try Journal.open(place.state)
        let events = try #require(try journal.sessions().first).events
        #expect(events.count == 3 && events[1] == .reopened(at: 77))
        try journal.append(.sessionClosed(session: "s", at: 80))
        #expect(try journal.sessions().isEmpty)
        // The id is free again.
        try journal.append(session("s"))
        #expect(try journal.commands(of: "s").isEmpty)
    }

    @Test func mistakes() throws {
        let place = try Place()
        let journal = try Journal.open(place.state)
        try journal.append(session("s"))
        try journal.append(command("s", 1))
        let wrong: [JournalRecord] = [
            session("s"), command("t", 1), command("s", 1), command("s", .max), command("s", 2, ["a\0b"]),
            .sessionClosed(session: "t", at: 1), .commandEnded(session: "s", number: 2, at: 1, report: ""),
            .commandForgotten(session: "s", number: 1), .sessionReopened(session: "s", at: 1),
            .note(session: "t", at: 1, text: ""),
        ]
        for record in wrong {
            do {
                try journal.append(record)
                Issue.record("\(record)")
            } catch { #expect(error.kind == .invalid) }
        }
        for (command, place) in [(2, 0), (1, UInt64.max), (1, UInt64(Int64.max))] as [(UInt64, UInt64)] {
            #expect(throws: JournalError.self) {
                try journal.acknowledge(session: "s", command: command, stream: .output, from: place, [1])
            }
        }
        #expect(journal.refusal == nil)
        #expect(throws: JournalError.self) {
            try journal.output(session: "s", command: 3, stream: .output, from: 0, limit: 1)
        }
        try journal.append(.commandEnded(session: "s", number: 1, at: 1, report: ""))
        try journal.append(.commandForgotten(session: "s", number: 1))
        #expect(try journal.commands(of: "s").isEmpty)
        #expect(throws: JournalError.self) {
            try journal.output(session: "s", command: 1, stream: .output, from: 0, limit: 1)
        }
    }

    /// The same bytes again cost nothing.
    @Test func acknowledgedOnce() throws {
        let place = try Place()
        let journal = try Journal.open(place.state)
        try journal.append(session("s"))
        try journal.append(command("s", 1))
        for (start, end) in [(10, 20), (0, 5), (3, 12), (0, 20), (0, 20), (19, 30)] as [(UInt64, UInt64)] {
            try journal.acknowledge(
                session: "s", command: 1, stream: .errors, from: start, content(1, .errors, start..<end))
        }
        let errors = try #require(try journal.commands(of: "s").first).errors
        #expect(errors.kept == 30 && errors.end == 30)
        let parts = try journal.everything("s", 1, .errors, limit: 7)
        #expect(parts.count == 1 && parts[0].bytes == content(1, .errors, 0..<30))
        #expect(try journal.everything("s", 1, .output).isEmpty)
    }

    /// A flood leaves its head and its tail.
    @Test func headAndTail() throws {
        let place = try Place()
        var options = Journal.Options()
        options.outputLimit = 1 << 20
        do {
            let journal = try Journal.open(place.state, options)
            try journal.append(session("s"))
            try journal.append(command("s", 1))
            var end: UInt64 = 0
            for _ in 0..<200 {
                let range = end..<end + 50_001
                try journal.acknowledge(
                    session: "s", command: 1, stream: .output, from: end, content(1, .output, range))
                end = range.upperBound
            }
        }
        let journal = try Journal.open(place.state, options)
        let output = try #require(try journal.commands(of: "s").first).output
        let total: UInt64 = 200 * 50_001
        #expect(output.end == total && output.kept >= 1 << 20 && output.kept < 3 << 19)
        let parts = try journal.everything("s", 1, .output)
        try #require(parts.count == 2)
        #expect(parts[0].start == 0 && parts[0].bytes == content(1, .output, 0..<1 << 19))
        #expect(parts[1].start <= total - 1 << 19 && parts[1].bytes == content(1, .output, parts[1].start..<total))
        #expect(output.dropped == 1 << 19..<parts[1].start)
    }

    @Test func interruptedOnesAreBounded() throws {
        let place = try Place()
        do {
            let journal = try Journal.open(place.state)
            for number in 0..<70 { try journal.append(session("s\(number)")) }
        }
        let journal = try Journal.open(place.state)
        #expect(journal.opening.interrupted.count == 70 && journal.opening.givenUp == (0..<6).map { "s\($0)" })
        #expect(try journal.sessions().map(\.entry.id) == (6..<70).map { "s\($0)" })
    }

    /// What is over goes, what lives stays, and the files get small again; the log is bounded also where nobody lets it
    /// rest.
    @Test func compaction() throws {
        let place = try Place()
        var options = Journal.Options()
        options.compactionThreshold = 2 << 20
        var longestLog = 0
        var largest = 0
        do {
            let journal = try Journal.open(place.state, options)
            try journal.append(session("live"))
            try journal.append(command("live", 1))
            for round in 0..<30 as Range<UInt64> {
                try journal.append(session("s\(round)"))
                try journal.append(command("s\(round)", 1))
                for piece in 0..<16 as Range<UInt64> {
                    let range = piece * 65536..<(piece + 1) * 65536
                    try journal.acknowledge(
                        session: "s\(round)", command: 1, stream: .output, from: range.lowerBound,
                        [UInt8](repeating: UInt8(piece), count: range.count))
                    longestLog = max(longestLog, place.size("journal.db-wal"))
                }
                try journal.acknowledge(
                    session: "live", command: 1, stream: .output, from: round * 1000,
                    content(1, .output, round * 1000..<(round + 1) * 1000))
                try journal.append(.sessionClosed(session: "s\(round)", at: 1))
                if round % 4 == 0 { journal.maintainFully() } else { journal.maintain() }
                largest = max(largest, place.size())
            }
            journal.maintainFully()
        }
        // 30 MB went through.
        #expect(longestLog < 10 << 20 && largest < 12 << 20)
        #expect(place.size() <= 2 << 20)
        let parts = try Journal.open(place.state).everything("live", 1, .output)
        #expect(parts.count == 1 && parts[0].bytes == content(1, .output, 0..<30_000))
        #expect(try place.integrity() == "ok")
    }

    /// Bytes here and there do not become rows without bound.
    @Test func scattered() throws {
        let place = try Place()
        let journal = try Journal.open(place.state)
        try journal.append(session("s"))
        try journal.append(command("s", 1))
        var count: UInt64 = 0
        #expect(throws: JournalError.self) {
            while count < 5000 {
                try journal.acknowledge(session: "s", command: 1, stream: .output, from: count * 2, [1])
                count += 1
            }
        }
        #expect(count == 1025 && journal.refusal == nil)
        #expect(try journal.output(session: "s", command: 1, stream: .output, from: 1, limit: 9).start == 2)
    }

    /// A threshold below what lives is raised, and nothing is gone through again and again.
    @Test func liveDataIsNotCompacted() throws {
        let place = try Place()
        var options = Journal.Options()
        options.compactionThreshold = 100_000
        let journal = try Journal.open(place.state, options)
        try journal.append(session("s"))
        try journal.append(command("s", 1))
        let range = 0..<500_000 as Range<UInt64>
        try journal.acknowledge(session: "s", command: 1, stream: .output, from: 0, content(1, .output, range))
        journal.maintainFully()
        for _ in 0..<100 { #expect(journal.maintain() == nil) }
        try journal.append(.sessionClosed(session: "s", at: 1))
        try journal.append(session("t"))
        for number in 1...2000 as ClosedRange<UInt64> { try journal.append(command("t", number)) }
        journal.maintainFully()
        #expect(try journal.commands(of: "t").count == 2000)
    }

    /// Everything at random, with starts in between, against a model.
    @Test func model() throws {
        var random = seeded()
        for _ in 0..<10 {
            let place = try Place()
            var options = Journal.Options()
            options.compactionThreshold = 200_000
            var model = Model()
            for _ in 0..<8 {
                let journal = try Journal.open(place.state, options)
                model.interrupt()
                try model.check(journal)
                for _ in 0..<150 { try model.step(journal, &random) }
                try model.check(journal)
            }
            #expect(try place.integrity() == "ok")
        }
    }
}

/// What a journal should hold.
private struct Model {
    struct Command {
        var report: String?
        var isRunning = true
        var bytes: [JournalStream: Set<UInt64>] = [:]
    }

    struct Session {
        var isOpen = true
        var commands: [UInt64: Command] = [:]
        var next: UInt64 = 1
    }

    var sessions: [String: Session] = [:]
    var nextSession = 1

    mutating func interrupt() {
        for id in sessions.keys {
            sessions[id]?.isOpen = false
            for number in sessions[id]?.commands.keys.sorted() ?? [] {
                sessions[id]?.commands[number]?.isRunning = false
            }
        }
    }

    mutating func step(_ journal: Journal, _ random: inout some RandomNumberGenerator) throws {
        let choice = Int.random(in: 0...20, using: &random)
        if choice == 0 || sessions.isEmpty {
            try journal.append(session("s\(nextSession)"))
            sessions["s\(nextSession)"] = Session()
            nextSession += 1
            return
        }
        guard let id = sessions.keys.sorted().randomElement(using: &random), var state = sessions[id] else { return }
        let number = state.commands.keys.sorted().randomElement(using: &random)
        switch choice {
        case 1:
            guard Int.random(in: 0...2, using: &random) == 0 else { return }
            try journal.append(.sessionClosed(session: id, at: 1))
            sessions[id] = nil
            return
        case 2:
            guard !state.isOpen else { return }
            try journal.append(.sessionReopened(session: id, at: 1))
            state.isOpen = true
        case 3...6:
            guard state.isOpen else { return }
            try journal.append(command(id, state.next))
            state.commands[state.next] = Command()
            state.next += 1
        case 7...9:
            guard let number, state.commands[number]?.isRunning == true else { return }
            let report = String(repeating: "x", count: Int.random(in: 0...9000, using: &random))
            try journal.append(.commandEnded(session: id, number: number, at: 1, report: report))
            state.commands[number]?.report = report
            state.commands[number]?.isRunning = false
        case 10:
            guard let number, state.commands[number]?.isRunning == false else { return }
            try journal.append(.commandForgotten(session: id, number: number))
            state.commands[number] = nil
        case 11: journal.maintain()
        default:
            guard let number, state.isOpen else { return }
            let start = UInt64.random(in: 0...3000, using: &random)
            let range = start..<start + UInt64.random(in: 0...3000, using: &random)
            let stream: JournalStream = Bool.random(using: &random) ? .output : .errors
            try journal.acknowledge(
                session: id, command: number, stream: stream, from: start, content(number, stream, range))
            state.commands[number]?.bytes[stream, default: []].formUnion(range)
        }
        sessions[id] = state
    }

    func check(_ journal: Journal) throws {
        let found = try journal.sessions()
        #expect(Set(found.map(\.entry.id)) == Set(sessions.keys))
        for session in found {
            let id = session.entry.id
            guard let expected = sessions[id] else { continue }
            #expect((session.state == .open) == expected.isOpen)
            let commands = try journal.commands(of: id)
            #expect(commands.map(\.entry.number) == expected.commands.keys.sorted())
            for command in commands {
                let number = command.entry.number
                guard let wanted = expected.commands[number] else { continue }
                let state: JournalCommand.State =
                    wanted.report.map { .ended(at: 1, report: $0) } ?? (wanted.isRunning ? .running : .interrupted)
                #expect(command.state == state)
                for stream in JournalStream.allCases {
                    let bytes = wanted.bytes[stream] ?? []
                    var read: Set<UInt64> = []
                    for part in try journal.everything(id, number, stream) {
                        let range = part.start..<part.start + UInt64(part.bytes.count)
                        #expect(part.bytes == content(number, stream, range))
                        read.formUnion(range)
                    }
                    #expect(read == bytes)
                    let extent = stream == .output ? command.output : command.errors
                    #expect(extent.kept == UInt64(bytes.count) && extent.end == (bytes.max().map { $0 + 1 } ?? 0))
                }
            }
        }
    }
}
