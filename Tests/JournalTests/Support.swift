// What the journal's tests share: directories of their own, and a process that can be killed.
import Foundation
import Journal
import TestSupport

/// A directory that goes with the test. Its journal is in `state`.
final class Place {
    let path: String
    var state: String { path + "/state" }
    var database: String { state + "/journal.db" }

    init() throws {
        // Not in TMPDIR, which others may not pass through.
        path = "/tmp/cordon-journal-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func size(_ name: String = "journal.db") -> Int {
        let found = try? FileManager.default.attributesOfItem(atPath: state + "/" + name)
        return (found?[.size] as? Int) ?? 0
    }

    /// What SQLite's own program says of the database, when nobody has it open.
    func integrity() throws -> String {
        try execute(["sqlite3", database, "PRAGMA integrity_check"]).output.trimmingCharacters(in: .newlines)
    }
}

/// The program beside the tests' own executable.
func fixture() throws -> String {
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let beside = URL(fileURLWithPath: own).deletingLastPathComponent().path + "/journal-fixture"
    return FileManager.default.isExecutableFile(atPath: beside)
        ? beside : repository + "/.build/debug/journal-fixture"
}

/// The fixture, running.
final class Fixture {
    private let process = Process()
    private let output = Pipe(), input = Pipe()
    private var rest = Data()

    init(_ words: [String]) throws {
        process.executableURL = URL(fileURLWithPath: try fixture())
        process.arguments = words
        process.standardOutput = output
        process.standardInput = input
        try process.run()
    }

    /// The next line; nil at the end.
    func line() -> String? {
        while true {
            if let end = rest.firstIndex(of: 10) {
                defer { rest = rest[(end + 1)...] }
                return String(decoding: rest[..<end], as: UTF8.self)
            }
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { return nil }
            rest += more
        }
    }

    func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// What it says until its end.
    func lines() -> [String] {
        var all: [String] = []
        while let line = line() { all.append(line) }
        process.waitUntilExit()
        return all
    }
}

/// As the fixture makes it.
func content(_ command: UInt64, _ stream: JournalStream, _ range: Range<UInt64>) -> [UInt8] {
    range.map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8 &+ command &* 7 &+ UInt64(stream.rawValue)) }
}

func session(_ id: String, created: UInt64 = 1) -> JournalRecord {
    .sessionOpened(
        SessionEntry(
            id: id, name: "name of \(id)", user: 1000, workspace: "/w", policy: "preset:agent", image: "i",
            limits: "{}", created: created))
}

func command(_ session: String, _ number: UInt64, _ arguments: [String] = ["true"]) -> JournalRecord {
    .commandStarted(
        session: session,
        CommandEntry(
            number: number, arguments: arguments, directory: "/w", isBackground: number % 2 == 0, started: number))
}

extension Journal {
    /// All that is there of a stream from a place on, over gaps.
    func everything(
        _ session: String, _ command: UInt64, _ stream: JournalStream, limit: Int = 50_000
    ) throws -> [(start: UInt64, bytes: [UInt8])] {
        var parts: [(start: UInt64, bytes: [UInt8])] = []
        var place: UInt64 = 0
        while true {
            let part = try output(session: session, command: command, stream: stream, from: place, limit: limit)
            if part.bytes.isEmpty { return parts }
            if let last = parts.last, last.start + UInt64(last.bytes.count) == part.start {
                parts[parts.count - 1].bytes += part.bytes
            } else {
                parts.append((part.start, part.bytes))
            }
            place = part.next
        }
    }

    func maintainFully() {
        while let wait = maintain() { if wait > 0 { usleep(UInt32(wait / 1000)) } }
    }
}
