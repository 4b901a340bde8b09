// What the writer writes: that it can be read by others, and holds nothing that it should not.
import Audit
import Foundation
import TestSupport
import Testing
import Wire

/// The definition of the chain, in another language, from the doc comment of `AuditLine` alone.
private let verifier = """
    import hashlib, json, sys
    previous, number = "0" * 64, 0
    for path in sys.argv[1:]:
        for line in open(path, "rb"):
            assert line.endswith(b'"}\\n')
            body = line[:-76] + b"}"
            record = json.loads(line)
            assert list(record)[:3] == ["n", "time", "event"] and list(record)[-2:] == ["prev", "hash"]
            number += 1
            assert record["n"] == number and record["prev"] == previous
            assert hashlib.sha256(previous.encode() + body).hexdigest() == record["hash"]
            assert {k: v for k, v in record.items() if k != "hash"} == json.loads(body)
            previous = record["hash"]
    print(number, previous)
    """

@Suite struct LogTests {
    @Test func anybodyCanVerifyIt() throws {
        let place = try makeLog(40, limits: AuditLimits(fileBytes: 4000))
        let files = (1...9).map { place.log + "/audit-\($0).jsonl" }.filter {
            FileManager.default.fileExists(atPath: $0)
        }
        #expect(files.count > 2)
        let run = try execute(["python3", "-c", verifier] + files + [place.current])
        #expect(run.status == 0, "\(run.errors)")
        let head = String(decoding: try place.bytes(place.head), as: UTF8.self).split(separator: " ")
        #expect(run.output == "\(Int(head[3]) ?? 0) \(head[6])\n")
        #expect(try place.bytes(place.head).count == 188)
    }

    @Test func membersOfARecord() throws {
        let place = try Place()
        let log = try AuditLog(place.log)
        var event = AuditEvent(.commandStarted, who: .init(user: 5, process: 6, connection: 7, session: "s"))
        event.method = "command.start"
        event.command = .argv(["ls", "-l"])
        event.directory = "/w/x"
        event.workspace = "/w"
        event.isJailed = true
        event.facts = ["terminal": .bool(true)]
        event.verdict = ["decision": .string("ask"), "evidence": .array([.object(["rule": .string("r")])])]
        event.plan = "abc"
        let started = try log.append(event)
        var end = AuditEvent(.commandEnded)
        end.about = started
        end.result = .init(reason: "signaled", signal: 9, durationMilliseconds: 12)
        end.peaks = .init(memory: 1, pids: 2, cpuMilliseconds: 3, output: 4)
        #expect(try log.append(end) == started + 1)
        let records = try place.records()
        let text = records.map(\.text)
        #expect(started == 2 && records[1]["event"]?.text == "command.started")
        #expect(
            text[1].contains(
                #""who":{"user":5,"pid":6,"connection":7,"session":"s"},"method":"command.start","command":["ls","-l"],"cwd":"/w/x","workspace":"/w","jailed":true,"facts":{"terminal":true},"decision":"ask","verdict":{"decision":"ask","evidence":[{"rule":"r"}]},"plan":"abc","prev":"#
            ), "\(text[1])")
        #expect(
            text[2].contains(
                #""about":2,"result":{"reason":"signaled","exit_code":null,"signal":9,"duration_ms":12},"peaks":{"memory_bytes":1,"pids":2,"cpu_ms":3,"output_bytes":4},"prev":"#
            ), "\(text[2])")
        let attributes = try FileManager.default.attributesOfItem(atPath: place.current)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(try FileManager.default.attributesOfItem(atPath: place.head)[.posixPermissions] as? Int == 0o600)
        for folder in [place.log, place.log + "/head"] {
            #expect(try FileManager.default.attributesOfItem(atPath: folder)[.posixPermissions] as? Int == 0o700)
        }
    }

    /// Texts of anybody's, by Python's eyes.
    @Test func randomRecordsRoundTrip() throws {
        var random = seeded()
        let place = try Place()
        let log = try AuditLog(place.log, limits: AuditLimits(fileBytes: 100_000, rotatedFiles: 1000))
        var texts: [String] = []
        let scalars: [ClosedRange<UInt32>] = [0...0x1F, 0x20...0x7E, 0x7F...0x9F, 0xA0...0x2FFF, 0x1F300...0x1F6FF]
        for _ in 0..<300 {
            var text = ""
            for _ in 0..<Int.random(in: 0...200, using: &random) {
                let range = scalars[Int.random(in: 0..<scalars.count, using: &random)]
                if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &random)) {
                    text.unicodeScalars.append(scalar)
                }
            }
            texts.append(text)
            var event = command(text)
            event.facts = ["argv": .array([.string(text), .number(.min), .count(.max), .real(0.5), .null])]
            try log.append(event)
        }
        let files = try place.names().filter { $0.hasPrefix("audit-") }.count
        let script = """
            import json, sys
            paths = [f"{sys.argv[1]}/audit-{n}.jsonl" for n in range(1, \(files + 1))] + [sys.argv[1] + "/audit.jsonl"]
            lines = [line for path in paths for line in open(path, "rb").read().decode().split("\\n") if line]
            for line in lines:
                assert all(" " <= c and not "\\x7f" <= c <= "\\x9f" for c in line)
                record = json.loads(line)
                if record["event"] == "command.run":
                    assert record["facts"]["argv"] == [record["command"], -2**63, 2**64 - 1, 0.5, None]
                    print(record["command"].encode().hex())
            """
        let run = try execute(["python3", "-c", script, place.log])
        #expect(run.status == 0, "\(run.errors)")
        let expected = texts.map { $0.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + "\n" }
            .joined()
        #expect(run.output == expected)
        #expect(try place.summary().last == log.count)
    }

    @Test func secretsAreNowhere() throws {
        let place = try Place()
        let log = try AuditLog(place.log)
        var event = AuditEvent(.commandRun)
        event.command = .argv(["curl", "-H", "X: hunter2-and-more", "hunter2"])
        event.facts = ["deep": .array([.object(["a": .string("say hunter2!hunter2")])])]
        event.verdict = ["decision": .string("allow"), "matched": .string("curl hunter2-and-more")]
        try log.append(event, masked: ["hunter2", "hunter2-and-more", ""])
        let text = String(decoding: try place.bytes(place.current), as: UTF8.self)
        #expect(!text.contains("hunter2"))
        #expect(text.contains(#""command":["curl","-H","X: [masked]","[masked]"]"#), "\(text)")
        #expect(text.contains(#""say [masked]![masked]""#) && text.contains(#""curl [masked]""#))
        #expect(try place.way() == nil)
    }

    /// Bytes that are no UTF-8 stand in texts as private characters (`pathText`).
    @Test func secretsOfAnyBytes() throws {
        let place = try Place()
        let log = try AuditLog(place.log)
        let byte = "\u{10FFC3}"
        try log.append(command("a\(byte)secret b \(byte)"), masked: ["\(byte)secret"])
        let records = try place.records()
        #expect(records[1]["command"]?.text == "a[masked] b \(byte)")
    }

    @Test func whatIsTooLongIsCut() throws {
        let place = try Place()
        let log = try AuditLog(place.log)
        try log.append(command(String(repeating: "\u{1}", count: 200_000), "deny"))
        var words = AuditEvent(.commandRun)
        words.command = .argv(Array(repeating: String(repeating: "é", count: 300), count: 3000))
        try log.append(words)
        var nested = command("x", "ask")
        var value = JsonValue.string(String(repeating: "x", count: 40))
        for _ in 0..<3 { value = .array(Array(repeating: value, count: 32)) }
        nested.facts = ["a": value]
        try log.append(nested)
        let records = try place.records()
        #expect(records[1]["command"]?.text == String(repeating: "\u{1}", count: 4096) + "…")
        #expect(records[1]["decision"]?.text == "deny")
        guard case .number(let size)? = records[1]["cut"] else { throw Wrong.noObject }
        #expect((1_200_000..<1_201_000).contains(size))
        #expect(records[2]["command"]?.texts?.count == 256)
        #expect(records[3]["decision"]?.text == "ask" && records[3]["facts"] == nil && records[3]["cut"] != nil)
        #expect(try place.lines(place.current).allSatisfy { $0.count < 1 << 20 })
        #expect(try place.summary().last == 4)
    }

    @Test func oneWriterAtATime() throws {
        let place = try Place()
        let log = try AuditLog(place.log)
        #expect { _ = try AuditLog(place.log) } throws: { error in
            if case AuditError.inUse = error { true } else { false }
        }
        try log.append(command("ls"))
    }

    @Test func foreignDirectoriesAreRefused() throws {
        let place = try Place()
        try FileManager.default.createDirectory(atPath: place.log, withIntermediateDirectories: true)
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: place.log)
        #expect(throws: AuditError.unsafe(path: place.log)) { _ = try AuditLog(place.log) }
    }

    @Test func linksAreNotFollowed() throws {
        let place = try Place()
        for (link, name) in [("/log/audit.jsonl", "target"), ("/log/head/audit.head", "other")] {
            let folder = try Place()
            try FileManager.default.createDirectory(atPath: folder.log + "/head", withIntermediateDirectories: true)
            for path in [folder.log, folder.log + "/head"] {
                try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
            }
            try FileManager.default.createSymbolicLink(
                atPath: folder.path + link, withDestinationPath: place.path + "/" + name)
            #expect(throws: AuditError.self) { _ = try AuditLog(folder.log) }
            #expect(!FileManager.default.fileExists(atPath: place.path + "/" + name))
        }
    }

    @Test func headsElsewhere() throws {
        let place = try Place()
        let heads = place.path + "/heads"
        try AuditLog(place.log, heads: heads).append(command("ls"))
        #expect(try place.names() == ["audit.jsonl"])
        guard case .intact(let summary) = try verifyAudit(place.log, heads: heads) else { throw Wrong.noObject }
        #expect(summary.last == 2)
        #expect(try place.way() == .headMissing)
    }

    // MARK: - Rotation

    @Test func rotation() throws {
        let limits = AuditLimits(fileBytes: 3000, rotatedFiles: 4)
        let place = try makeLog(200, limits: limits)
        let rotated = try place.names().filter { $0.hasPrefix("audit-") }
        #expect(rotated.count == 4)
        let summary = try place.summary()
        #expect(summary.first > 1 && summary.files == 5 && !summary.isAheadOfHead)
        let records = try place.records()
        #expect(records.first?["event"]?.text == "audit.rotated")
        #expect(records.contains { $0["event"]?.text == "audit.pruned" })
        for name in rotated + ["audit.jsonl"] { #expect(try place.bytes(place.log + "/" + name).count <= 3000) }
        // It goes on where it was.
        let log = try AuditLog(place.log, limits: limits)
        #expect(log.count == summary.last + 1)
        for number in 0..<50 { try log.append(command("again \(number)")) }
        #expect(try place.summary().last == log.count)
    }

    // MARK: - Death

    @Test func aLineAheadOfTheHeadIsAdopted() throws {
        let place = try makeLog(3)
        let head = try place.bytes(place.head)
        try AuditLog(place.log).append(command("last"))
        let ahead = try place.copy()
        try ahead.write(head, ahead.head)
        // Two lines: the head was never so far behind.
        #expect(try ahead.way() == .headBehind)
        #expect(throws: AuditError.self) { _ = try AuditLog(ahead.log) }
        try ahead.write(Array(ahead.lines(ahead.current).dropLast()), ahead.current)
        #expect(try ahead.summary().isAheadOfHead)
        let log = try AuditLog(ahead.log)
        let opened = try #require(try ahead.records().last)
        #expect(opened["event"]?.text == "audit.opened" && opened["adopted"] == .number(4) && log.count == 5)
        #expect(try !ahead.summary().isAheadOfHead)
    }

    @Test func aTornLineIsKeptAndCutOff() throws {
        let place = try makeLog(3)
        let whole = try place.bytes(place.current)
        let half = Array(#"{"n":4,"time":"20"#.utf8)
        try place.write(whole + half, place.current)
        #expect(try place.summary().tornBytes == half.count)
        _ = try AuditLog(place.log)
        let opened = try #require(try place.records().last), name = try #require(opened["torn"]?.text)
        #expect(name.hasPrefix("audit.torn-2"))
        #expect(try place.bytes(place.log + "/" + name) == half)
        #expect(try place.bytes(place.current).starts(with: whole))
        #expect(try place.summary().last == 4)
    }

    /// Each place where a process can die while it begins another file.
    @Test func deathWhileRotating() throws {
        let limits = AuditLimits(fileBytes: 3000)
        let place = try makeLog(3, limits: limits)
        try FileManager.default.moveItem(atPath: place.current, toPath: place.log + "/audit-1.jsonl")
        for content in [nil, [], Array(#"{"n":"#.utf8)] as [[UInt8]?] {
            let other = try place.copy()
            if let content { try other.write(content, other.current) }
            #expect(try other.way() == nil)
            let log = try AuditLog(other.log, limits: limits)
            #expect(log.count == 5)
            #expect(try other.records()[3]["event"]?.text == "audit.rotated")
            #expect(try other.summary().files == 2)
        }
        // With the first record of the new file, and a head that does not know of it.
        let other = try place.copy(), head = try place.bytes(place.head)
        _ = try AuditLog(other.log, limits: limits)
        try other.write(Array(other.lines(other.current).prefix(1)), other.current)
        try other.write(head, other.head)
        #expect(try other.summary().isAheadOfHead)
        _ = try AuditLog(other.log, limits: limits)
        #expect(try other.records().last?["adopted"] == .number(4))
        #expect(try other.way() == nil)
    }

    /// A process that dies between making the head and writing it, or before the first record, leaves nothing to refuse.
    @Test func deathWhileBeginning() throws {
        for (head, log) in [(0, nil), (0, 0), (188, nil), (188, 0)] as [(Int, Int?)] {
            let place = try makeLog(1), fresh = try Place()
            _ = try AuditLog(fresh.log)
            let text = String(decoding: try place.bytes(place.head), as: UTF8.self)
            let start = try freshHead(text)
            try place.write(head == 0 ? [] : start, place.head)
            try FileManager.default.removeItem(atPath: place.current)
            if log != nil { try place.write([UInt8](), place.current) }
            #expect(try AuditLog(place.log).count == 1)
            #expect(try place.summary().last == 1)
        }
    }

    /// The head of a log before its first record, with a check that is right.
    private func freshHead(_ text: String) throws -> [UInt8] {
        let log = text.split(separator: " ")[2]
        let start =
            "cordon-audit-head 1 \(log) " + String(repeating: "0", count: 20) + " 0000000001 "
            + String(repeating: "0", count: 20) + " " + String(repeating: "0", count: 64)
        let check = try execute([
            "python3", "-c", "import hashlib, sys; print(hashlib.sha256(sys.argv[1].encode()).hexdigest()[:16])", start,
        ])
        return Array((start + " " + check.output).utf8)
    }

    @Test func aFullDisk() throws {
        let place = try Place()
        let run = try execute([try fixture(), "full", place.log, "5000", "0"])
        #expect(run.status == 0, "\(run.output)\(run.errors)")
        let words = run.output.split(separator: " ")
        let before = try #require(Int(words[3].dropLast()))
        #expect(run.output == "3 refused after \(before), then \(before + 1)\n" && before > 2)
        #expect(try place.summary().last == UInt64(before + 1))
        #expect(try place.records().count == before + 1)
    }
}
