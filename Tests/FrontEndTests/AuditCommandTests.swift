// `cordon audit`, as a person calls it, on logs that the real writer made.
import Audit
import Foundation
import TestSupport
import Testing
import Wire

/// A state directory with logs in slots.
private final class State {
    let path = NSTemporaryDirectory() + "cordon-state-" + UUID().uuidString

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func log(_ slot: UInt64, limits: AuditLimits = AuditLimits()) throws -> AuditLog {
        try AuditLog(auditDirectory(path, slot: slot), limits: limits)
    }

    func current(_ slot: UInt64) -> String { auditDirectory(path, slot: slot) + "/audit.jsonl" }
}

private func event(_ command: AuditEvent.Command, _ decision: String = "allow") -> AuditEvent {
    var event = AuditEvent(.commandRun, who: .init(user: 1000))
    event.command = command
    event.verdict = ["decision": .string(decision)]
    event.result = .init(reason: "exited", exitCode: 0, durationMilliseconds: 5)
    return event
}

/// A program that runs beside the test, and the lines that it prints.
private final class Running {
    let process = Process()
    private let output = Pipe()
    private var held: [UInt8] = []

    init(_ words: [String]) throws {
        process.executableURL = URL(fileURLWithPath: words[0])
        process.arguments = Array(words.dropFirst())
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        try process.run()
    }

    /// Waits for a line; nil at the end.
    func line() -> String? {
        while true {
            if let end = held.firstIndex(of: 10) {
                defer { held.removeFirst(end + 1) }
                return String(decoding: held[..<end], as: UTF8.self)
            }
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { return nil }
            held += more
        }
    }

    func stopReading() throws { try output.fileHandleForReading.close() }

    /// How it ended: the status, whatever it was.
    func end() -> Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }
}

@Suite struct AuditCommandTests {
    @Test func verify() throws {
        let state = State()
        for slot: UInt64 in [0, 1] {
            let log = try state.log(slot)
            for number in 0..<5 { try log.append(event(.string("echo \(number)"))) }
        }
        let good = try execute([cordon, "audit", "verify", "--state", state.path])
        #expect(good.status == 0, "\(good.errors)")
        #expect(
            good.output
                == "supervisors/0: intact, 6 records in 1 file\nsupervisors/1: intact, 6 records in 1 file\n")
        let text = try String(contentsOfFile: state.current(1), encoding: .utf8)
        try text.replacing("echo 3", with: "echo 9").write(toFile: state.current(1), atomically: true, encoding: .utf8)
        let bad = try execute([cordon, "audit", "verify", "--state", state.path])
        #expect(bad.status == 1)
        #expect(bad.output.hasSuffix("supervisors/1: broken at audit.jsonl:5: changed: it is not what was written\n"))
        let json = try execute([cordon, "audit", "verify", "--json", "--state", state.path])
        #expect(json.status == 1)
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
        let logs = try #require(object["logs"] as? [[String: Any]])
        #expect(object["intact"] as? Bool == false && logs.count == 2)
        #expect(logs[0]["intact"] as? Bool == true && logs[0]["last"] as? Int == 6)
        #expect(logs[1]["way"] as? String == "changed" && logs[1]["line"] as? Int == 5)
    }

    @Test func theStateDirectoryOfTheUser() throws {
        let state = State()
        try AuditLog(auditDirectory(state.path + "/.local/state/cordon", slot: 0)).append(event(.string("a")))
        try AuditLog(auditDirectory(state.path + "/x/cordon", slot: 0)).append(event(.string("b")))
        let home = try execute([cordon, "audit", "tail", "-n", "1"], environment: ["HOME": state.path])
        #expect(home.output.contains("allow  a "))
        let chosen = try execute(
            [cordon, "audit", "tail", "-n", "1"],
            environment: ["HOME": state.path, "XDG_STATE_HOME": state.path + "/x"])
        #expect(chosen.output.contains("allow  b "))
    }

    @Test(arguments: [
        ["verify", "--state", "/nonexistent"], ["tail", "--state", "/nonexistent"],
        ["tail", "--follow", "--state", "/nonexistent"], ["tail", "-n", "x"], ["tail", "-n", "-1"], ["tail", "-n"],
        ["verify", "x"], ["verify", "--jsn"], ["verify", "--json=x"], ["verfy"], [],
    ]) func wrongCalls(_ words: [String]) throws {
        let run = try execute([cordon, "audit"] + words)
        #expect(run.status == 2 && run.output.isEmpty && !run.errors.isEmpty)
    }

    @Test func tail() throws {
        let state = State(), first = try state.log(0), second = try state.log(7)
        try first.append(event(.argv(["printf", "a b\u{1B}]52;c;x\u{7}\u{202E}"]), "deny"))
        try second.append(event(.string("ls\nrm x"), "ask"))
        let run = try execute([cordon, "audit", "tail", "--state", state.path])
        let lines = run.output.split(separator: "\n")
        #expect(lines.count == 4)
        #expect(run.output.unicodeScalars.allSatisfy { $0 == "\n" || !("\0"..." ").contains($0) || $0 == " " })
        #expect(!run.output.contains("\u{202E}"))
        // Within a millisecond their order is that of the logs.
        let denied = try #require(lines.first { $0.contains("user 1000  deny  printf ") })
        let asked = try #require(lines.first { $0.contains("ask  ls\\u{a}rm x  → exited 0 in 5 ms") })
        #expect(denied.hasPrefix("supervisors/0  ") && asked.hasPrefix("supervisors/7  "))
        let raw = try execute([cordon, "audit", "tail", "--json", "-n", "1", "--state", state.path])
        let last = try String(contentsOfFile: state.current(7), encoding: .utf8).split(separator: "\n").last
        #expect(raw.output == (last ?? "") + "\n")
        #expect(try execute([cordon, "audit", "tail", "-n", "0", "--state", state.path]).output.isEmpty)
    }

    /// New records, new files and new logs come by themselves; an interrupt ends it.
    @Test func follow() throws {
        let state = State(), log = try state.log(0, limits: AuditLimits(fileBytes: 3000, rotatedFiles: 1000))
        let running = try Running([cordon, "audit", "tail", "-f", "-n", "1", "--state", state.path])
        #expect(running.line()?.contains("audit.opened") == true)
        for number in 0..<100 {
            try log.append(event(.string("echo \(number)")))
            if number % 10 == 5 || number > 95 { continue }
            // In between it sleeps, and has to be woken.
            while let line = running.line(), !line.contains("echo \(number) ") {}
        }
        while let line = running.line(), !line.contains("echo 99 ") {}
        let other = try state.log(1)
        #expect(running.line()?.contains("supervisors/1  ") == true)
        try other.append(event(.string("new")))
        #expect(running.line()?.contains("allow  new") == true)
        kill(running.process.processIdentifier, SIGINT)
        #expect(running.line() == nil)
        #expect(running.end() == 130)
    }

    /// Who reads goes away while nothing is written.
    @Test func followWithoutAReader() throws {
        let state = State()
        try state.log(0).append(event(.string("ls")))
        let running = try Running([cordon, "audit", "tail", "--follow", "--state", state.path])
        #expect(running.line() != nil)
        try running.stopReading()
        #expect(running.end() == 0)
    }

    @Test func simulateReadsIt() throws {
        let state = State(), log = try state.log(0)
        var told = event(.argv(["cat", "notes; ls"]))
        told.workspace = "/w"
        told.directory = "/w/sub"
        told.isJailed = true
        try log.append(AuditEvent(.sessionOpened))
        try log.append(told)
        try log.append(event(.string("cat .env")))
        try log.append(event(.argv(["cat", ".env"]), "deny"))
        let run = try execute([
            cordon, "policy", "simulate", "--policy", "preset:agent", "--workspace", "/usr/share", "--log",
            state.current(0),
        ])
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.output.hasPrefix("allow → deny  cat .env\n"))
        #expect(run.output.hasSuffix("1 allow, 0 ask, 2 deny, 1 changed\n"), "\(run.output)")
    }
}
