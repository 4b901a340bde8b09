// Logs to try things on: made with the real writer, in directories of their own.
import Audit
import Foundation
import TestSupport
import Testing
import Wire

/// A directory that goes when the test does.
final class Place {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "cordon-audit-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The log's directory; the log makes it.
    var log: String { path + "/log" }
    var current: String { log + "/audit.jsonl" }
    var head: String { log + "/head/audit.head" }

    func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: log).sorted() }

    func bytes(_ path: String) throws -> [UInt8] { try [UInt8](Data(contentsOf: URL(fileURLWithPath: path))) }

    func write(_ bytes: [UInt8], _ path: String) throws { try Data(bytes).write(to: URL(fileURLWithPath: path)) }

    func lines(_ path: String) throws -> [[UInt8]] { try bytes(path).split(separator: 10).map(Array.init) }

    func write(_ lines: [[UInt8]], _ path: String) throws { try write(lines.flatMap { $0 + [10] }, path) }

    /// Another place with the same files.
    func copy() throws -> Place {
        let other = try Place()
        try FileManager.default.copyItem(atPath: log, toPath: other.log)
        return other
    }

    /// The records of all files, in order.
    func records() throws -> [JsonObject] {
        let rotated = try names().compactMap { name in
            name.hasPrefix("audit-") ? Int(name.dropFirst(6).dropLast(6)) : nil
        }.sorted()
        let files = rotated.map { log + "/audit-\($0).jsonl" } + [current]
        return try files.flatMap { try lines($0) }.map { line in
            guard case .object(let object) = try JsonValue(parsing: line) else { throw Wrong.noObject }
            return object
        }
    }

    /// The way in which it is broken; nil where it is intact.
    func way() throws -> AuditFault.Way? {
        switch try verifyAudit(log) {
        case .intact: nil
        case .broken(let fault): fault.way
        }
    }

    func summary() throws -> AuditVerdict.Summary {
        switch try verifyAudit(log) {
        case .intact(let summary): return summary
        case .broken(let fault): throw fault
        }
    }
}

enum Wrong: Error { case noObject, notBuilt }

/// A command that was run.
func command(_ text: String, _ decision: String = "allow") -> AuditEvent {
    var event = AuditEvent(.commandRun, who: .init(user: 1000, process: 77, session: "s-1"))
    event.command = .string(text)
    event.verdict = ["decision": .string(decision), "evidence": .array([])]
    event.result = .init(reason: "exited", exitCode: 0, durationMilliseconds: 3)
    return event
}

/// A log with so many records, that of its opening counted.
func makeLog(_ count: Int, limits: AuditLimits = AuditLimits()) throws -> Place {
    let place = try Place()
    let log = try AuditLog(place.log, limits: limits)
    for number in 1..<count { try log.append(command("echo \(number)")) }
    return place
}

/// The fixture's process, which is built beside the tests.
func fixture() throws -> String {
    let own = ProcessInfo.processInfo.arguments[0]
    let places = [
        URL(fileURLWithPath: own).deletingLastPathComponent().path, repository + "/.build/debug",
        URL(fileURLWithPath: own).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path,
    ]
    for place in places where FileManager.default.isExecutableFile(atPath: place + "/audit-fixture") {
        return place + "/audit-fixture"
    }
    throw Wrong.notBuilt
}
