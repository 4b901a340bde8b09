// Looking at the end of a log while it grows.
import Audit
import Foundation
import Testing

@Suite struct TailTests {
    private func numbers(_ lines: [[UInt8]]) -> [Int] {
        lines.compactMap { line in
            Int(String(decoding: line.dropFirst(5).prefix { (0x30...0x39).contains($0) }, as: UTF8.self))
        }
    }

    @Test func theLastLinesOfSeveralFiles() throws {
        let place = try makeLog(60, limits: AuditLimits(fileBytes: 2500, rotatedFiles: 100))
        let last = Int(try place.summary().last)
        for count in [0, 1, 5, 17, last, last + 10] {
            var tail = try AuditTail(place.log)
            #expect(numbers(try tail.last(count)) == Array(max(1, last - count + 1)..<(last + 1)))
            #expect(try tail.next().isEmpty)
        }
    }

    @Test func followingOverRotations() throws {
        let place = try Place()
        let log = try AuditLog(place.log, limits: AuditLimits(fileBytes: 2500, rotatedFiles: 100))
        var tail = try AuditTail(place.log)
        var seen = numbers(try tail.last(10))
        for round in [0, 1, 3, 20, 1, 40, 100] {
            for number in 0..<round { try log.append(command("echo \(number)")) }
            while case let lines = try tail.next(), !lines.isEmpty { seen += numbers(lines) }
            #expect(seen == Array(1..<(Int(log.count) + 1)))
        }
    }

    /// From the start, where there was no file yet.
    @Test func followingALogThatIsToCome() throws {
        let place = try Place()
        try FileManager.default.createDirectory(
            atPath: place.log, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        var tail = try AuditTail(place.log)
        #expect(try tail.last(10).isEmpty)
        #expect(try tail.next().isEmpty)
        try AuditLog(place.log).append(command("ls"))
        #expect(numbers(try tail.next()) == [1, 2])
    }

    @Test func slotsInOrder() throws {
        let place = try Place()
        for slot in [10, 2, 0] {
            try FileManager.default.createDirectory(
                atPath: auditDirectory(place.path, slot: UInt64(slot)), withIntermediateDirectories: true)
        }
        try FileManager.default.createDirectory(
            atPath: place.path + "/supervisors/x", withIntermediateDirectories: true)
        #expect(try auditDirectories(place.path) == [0, 2, 10].map { place.path + "/supervisors/\($0)" })
        #expect(throws: AuditError.self) { try auditDirectories(place.path + "/none") }
    }
}
