// What goes wrong around a journal: no space, no right, another owner, damage.
import Foundation
import Journal
import TestSupport
import Testing

@Suite struct FailureTests {
    private func kind(_ body: () throws -> Void) -> JournalError.Kind? {
        do { try body() } catch let error as JournalError { return error.kind } catch { Issue.record(error) }
        return nil
    }

    @Test func fullDisk() throws {
        let place = try Place()
        let lines = try Fixture(["fill", place.state]).lines()
        try #require(lines.count == 8, "\(lines)")
        #expect(lines[0] == "refusal full")
        #expect(lines[1].hasPrefix("refused full \(place.database) make room"))
        #expect(lines[2...5] == ["held", "bound full", "held", "refusal none"] && lines[6] == "committed")
        let end = try #require(UInt64(lines[7].dropFirst(4)))
        let journal = try Journal.open(place.state)
        let commands = try journal.commands(of: "s")
        #expect(commands.map(\.entry.number) == [1, 2, 3, 5])
        #expect(commands[0].state == .ended(at: 2, report: "{}") && commands[1].state == .ended(at: 2, report: "{}"))
        #expect(commands[2].state == .interrupted && commands[3].state == .interrupted)
        // What was held is written, also what came when the disk was full.
        let output = try journal.everything("s", 1, .output)
        #expect(output.count == 1 && output[0].start == 0)
        let length = UInt64(output[0].bytes.count)
        #expect(output[0].bytes == content(1, .output, 0..<length))
        let errors = try journal.everything("s", 2, .errors)
        #expect(errors.count == 1 && errors[0].start == length && errors[0].bytes == content(2, .errors, length..<end))
    }

    @Test func readOnlyDirectory() throws {
        let place = try Place()
        try FileManager.default.createDirectory(atPath: place.state, withIntermediateDirectories: false)
        if geteuid() == 0 { try #require(unsafe chown(place.state, 65534, 65534) == 0) }
        unsafe chmod(place.state, 0o555)
        let lines = try Fixture(["open", place.state]).lines()
        #expect(lines.count == 1 && lines[0].hasPrefix("error readOnly journal \(place.state)/lock: "), "\(lines)")
        #expect(lines[0].contains("EACCES") && lines[0].contains("make the state directory writable"))
        unsafe chmod(place.state, 0o700)
        #expect(try Fixture(["open", place.state]).lines() == ["opened"])
    }

    @Test func somebodyElses() throws {
        let place = try Place()
        // Root's own, seen by nobody, or by whoever runs this.
        let usr = try Fixture(["open", "/usr"]).lines()
        #expect(usr.count == 1 && usr[0].hasPrefix("error notOurs"), "\(usr)")
        try FileManager.default.createDirectory(atPath: place.state, withIntermediateDirectories: false)
        unsafe chmod(place.state, 0o770)
        #expect(kind { _ = try Journal.open(place.state) } == .notOurs)
        unsafe chmod(place.state, 0o700)
        _ = try Journal.open(place.state)
        unsafe chmod(place.database, 0o644)
        #expect(kind { _ = try Journal.open(place.state) } == .notOurs)
        try FileManager.default.removeItem(atPath: place.database)
        unsafe symlink("/etc/passwd", place.database)
        #expect(kind { _ = try Journal.open(place.state) } == .notOurs)
    }

    @Test func modes() throws {
        let place = try Place()
        let before = umask(0)
        defer { umask(before) }
        let journal = try Journal.open(place.state)
        try journal.append(session("s"))
        for (name, mode) in [
            ("", 0o700), ("/journal.db", 0o600), ("/journal.db-wal", 0o600), ("/journal.db-shm", 0o600),
        ] {
            let found = try FileManager.default.attributesOfItem(atPath: place.state + name)[.posixPermissions] as? Int
            #expect(found == mode, "\(name)")
        }
    }

    @Test func twoOwners() throws {
        let place = try Place()
        let journal = try Journal.open(place.state)
        #expect(kind { _ = try Journal.open(place.state) } == .busy)
        try journal.append(session("s"))
    }

    /// The lock goes with its owner.
    @Test func oneAfterTheOther() throws {
        let place = try Place()
        for round in 0..<3 { try Journal.open(place.state).append(session("s\(round)")) }
        #expect(try Journal.open(place.state).sessions().count == 3)
    }

    @Test func otherVersion() throws {
        let place = try Place()
        _ = try Journal.open(place.state)
        _ = try execute(["sqlite3", place.database, "PRAGMA user_version=2"])
        #expect(kind { _ = try Journal.open(place.state) } == .otherVersion)
        // It was not touched.
        #expect(try execute(["sqlite3", place.database, "PRAGMA user_version"]).output == "2\n")
    }

    @Test(arguments: ["header", "page", "cut", "text"]) func damage(_ what: String) throws {
        let place = try Place()
        do {
            let journal = try Journal.open(place.state)
            try journal.append(session("s"))
            for number in 1...500 as ClosedRange<UInt64> { try journal.append(command("s", number)) }
        }
        var bytes = try Data(contentsOf: URL(fileURLWithPath: place.database))
        switch what {
        case "header": bytes.replaceSubrange(0..<16, with: repeatElement(0x41, count: 16))
        case "page": bytes.replaceSubrange(4096 * 12..<4096 * 13, with: repeatElement(0xA5, count: 4096))
        case "cut": bytes = bytes.prefix(4096 * 9 + 100)
        default: bytes = Data(String(repeating: "not a database\n", count: 1000).utf8)
        }
        try bytes.write(to: URL(fileURLWithPath: place.database))
        unsafe chmod(place.database, 0o600)
        let journal = try Journal.open(place.state)
        let moved = try #require(journal.opening.movedAside)
        #expect(moved.path.hasPrefix(place.database + ".corrupt-") && moved.reason.kind == .corrupt)
        #expect(try Data(contentsOf: URL(fileURLWithPath: moved.path)) == bytes)
        #expect(try journal.sessions().isEmpty)
        try journal.append(session("s"))
    }

    /// A log whose database is gone would be thrown away by SQLite.
    @Test func logAlone() throws {
        let place = try Place()
        let fixture = try Fixture(["hold", place.state, "a"])
        #expect(fixture.line() == "slot 0")
        fixture.kill()
        let log = try Data(contentsOf: URL(fileURLWithPath: place.state + "/0/journal.db-wal"))
        try #require(!log.isEmpty)
        try FileManager.default.removeItem(atPath: place.state + "/0/journal.db")
        let journal = try Journal.openSlot(in: place.state)
        let moved = try #require(journal.opening.movedAside)
        #expect(try Data(contentsOf: URL(fileURLWithPath: moved.path + "-wal")) == log)
    }
}
