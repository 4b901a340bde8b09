// SIGKILL at any moment: what was acknowledged is there.
import Foundation
import Journal
import TestSupport
import Testing

/// What a killed fixture had acknowledged.
private struct Acknowledged {
    var commands: Set<UInt64> = []
    var reports: [UInt64: String] = [:]
    var ends: [UInt64: [JournalStream: UInt64]] = [:]
    /// A record that was under way, and may be there or not.
    var uncertain: Set<UInt64> = []
    var isOpen = false

    init(_ lines: [String]) {
        for line in lines {
            let words = line.split(separator: " ")
            let number = words.count > 1 ? UInt64(words[1]) ?? 0 : 0
            switch words.first {
            case "open": isOpen = true
            case "start": commands.insert(number)
            case "end": reports[number] = String(words[2])
            case "forgetting": uncertain.insert(number)
            case "forgotten":
                uncertain.remove(number)
                commands.remove(number)
            case "output":
                let stream = JournalStream(rawValue: UInt8(words[2]) ?? 0)
                if let stream { ends[number, default: [:]][stream] = UInt64(words[3]) }
            default: Issue.record("the fixture says: \(line)")
            }
        }
    }
}

@Suite struct KillTests {
    @Test func nothingIsLost() throws {
        var random = seeded()
        for _ in 0..<6 {
            let place = try Place()
            var known: [(session: String, Acknowledged)] = []
            for round in 0..<20 {
                let name = "session-\(round)"
                let fixture = try Fixture(
                    ["append", place.state, name, String(UInt64.random(in: 0 ... .max, using: &random))])
                var lines: [String] = []
                // It goes on while this is read, so what it is at when it dies is anything.
                for _ in 0..<Int.random(in: 0...200, using: &random) { lines += fixture.line().map { [$0] } ?? [] }
                fixture.kill()
                lines += fixture.lines()
                known.append((name, Acknowledged(lines)))
                // The next start is sometimes another killed one, sometimes this.
                if Bool.random(using: &random) || round == 19 { try check(known, place) }
            }
            #expect(try place.integrity() == "ok")
        }
    }

    private func check(_ known: [(session: String, Acknowledged)], _ place: Place) throws {
        let journal = try Journal.open(place.state)
        #expect(journal.opening.movedAside == nil && journal.refusal == nil)
        let sessions = try journal.sessions()
        for (name, expected) in known where expected.isOpen {
            let found = try #require(sessions.first { $0.entry.id == name })
            guard case .interrupted = found.state else {
                Issue.record("\(name) is \(found.state)")
                continue
            }
            let commands = try journal.commands(of: name)
            let numbers = Set(commands.map(\.entry.number))
            // One record may have been committed and not been acknowledged.
            let extra = numbers.subtracting(expected.commands)
            #expect(extra.count <= 1 && expected.commands.subtracting(numbers).isSubset(of: expected.uncertain))
            var unacknowledgedEnds = 0
            for command in commands {
                let number = command.entry.number
                #expect(command.entry.arguments == ["c", "\(number)"])
                switch command.state {
                case .ended(_, let report):
                    if let acknowledged = expected.reports[number] {
                        #expect(report == acknowledged)
                    } else {
                        unacknowledgedEnds += 1
                    }
                case .interrupted: #expect(expected.reports[number] == nil)
                case .running: Issue.record("\(name) \(number) runs")
                }
                for stream in JournalStream.allCases {
                    let parts = try journal.everything(name, number, stream)
                    let end = expected.ends[number]?[stream] ?? 0
                    #expect(parts.count <= 1 && (parts.first?.start ?? 0) == 0)
                    let bytes = parts.first?.bytes ?? []
                    #expect(UInt64(bytes.count) >= end)
                    #expect(bytes == content(number, stream, 0..<UInt64(bytes.count)))
                }
            }
            #expect(unacknowledgedEnds <= 1)
        }
    }

    /// The next start takes the slot of a killed supervisor, not that of a living one.
    @Test func slots() throws {
        let place = try Place()
        let first = try Fixture(["hold", place.state, "a"])
        #expect(first.line() == "slot 0")
        let second = try Fixture(["hold", place.state, "b"])
        #expect(second.line() == "slot 1")
        first.kill()
        let third = try Journal.openSlot(in: place.state)
        #expect(third.slot == 0 && third.opening.interrupted == ["a"])
        let fourth = try Journal.openSlot(in: place.state)
        #expect(fourth.slot == 2 && fourth.opening.interrupted == [])
        second.kill()
        #expect(try Journal.openSlot(in: place.state).opening.interrupted == ["b"])
    }
}
