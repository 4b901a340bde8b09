// The program's own log: levels, rates, and that it never waits.
import Audit
import Foundation
import Linux
import Testing
import Wire

@Suite struct ProgramLogTests {
    /// A log on a pipe, and what came out of it.
    private func written(
        threshold: Log.Level = .debug, form: Log.Form? = nil, rate: Log.Rate = Log.Rate(),
        clock: @escaping () -> UInt64 = { 0 }, _ body: (Log) -> Void
    ) throws -> [String] {
        let pipe = Foundation.Pipe()
        body(Log(pipe.fileHandleForWriting.fileDescriptor, threshold: threshold, form: form, rate: rate, clock: clock))
        try pipe.fileHandleForWriting.close()
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        return text.split(separator: "\n").map(String.init)
    }

    private func object(_ line: String) throws -> JsonObject {
        guard case .object(let object) = try JsonValue(parsing: Array(line.utf8)) else { throw Wrong.noObject }
        return object
    }

    @Test func levels() throws {
        for (threshold, expected) in [
            (Log.Level.error, ["error"]), (.warning, ["error", "warning"]), (.info, ["error", "warning", "info"]),
            (.debug, ["error", "warning", "info", "debug"]),
        ] {
            let lines = try written(threshold: threshold) { log in
                log.error("a")
                log.warning("b")
                log.info("c")
                log.debug("d")
            }
            #expect(try lines.map { try object($0)["level"]?.text ?? "" } == expected)
        }
    }

    @Test func members() throws {
        let lines = try written { log in
            log.info(
                "it began", ["session": .string("s\n\u{1B}[1m"), "level": .number(3), "token": .string("xhunter2x")],
                masked: ["hunter2"])
        }
        let line = try object(lines[0])
        #expect(line.names == ["time", "level", "message", "session", "_level", "token"])
        #expect(line["session"]?.text == "s\n\u{1B}[1m" && line["token"]?.text == "x[masked]x")
        #expect(!lines[0].contains("\u{1B}"))
    }

    @Test func textForPeople() throws {
        let lines = try written(form: .text) { log in
            log.warning("odd", ["path": .string("/a b\u{202E}\u{1B}"), "count": .number(3)])
        }
        #expect(lines[0].hasSuffix(#"Z warning odd path="/a b\u{202e}\u001b" count=3"#), "\(lines[0])")
    }

    @Test func aFloodIsHeld() throws {
        var now: UInt64 = 0
        let lines = try written(rate: Log.Rate(lines: 3, window: 100), clock: { now }) { log in
            for _ in 0..<1000 { log.warning("flood") }
            log.warning("other")
            now = 99
            log.warning("flood")
            now = 100
            log.warning("flood")
            log.warning("flood")
        }
        let messages = try lines.map { try object($0)["message"]?.text ?? "" }
        #expect(messages == ["flood", "flood", "flood", "other", "flood", "flood"])
        #expect(try object(lines[4])["suppressed"] == .number(998))
        #expect(try object(lines[5])["suppressed"] == nil)
    }

    /// Nobody reads: the log goes on, and tells later what it dropped.
    @Test func itNeverWaits() throws {
        var pipe = try makePipe()
        let reading = try pipe.takeReading(), writing = try pipe.takeWriting()
        let log = Log(writing.raw, rate: Log.Rate(lines: .max))
        for _ in 0..<2000 { log.info("x", ["filler": .string(String(repeating: "y", count: 500))]) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        let count = try reading.read(into: &buffer)
        let kept = buffer[..<count].split(separator: 10).count
        log.info("after")
        let size = try reading.read(into: &buffer)
        let line = try object(String(decoding: buffer[..<(size - 1)], as: UTF8.self))
        #expect(line["dropped"] == .number(Int64(2000 - kept)))
    }

    @Test func linesAreBounded() throws {
        let lines = try written { log in
            log.info("long", ["a": .string(String(repeating: "\u{1}", count: 100_000))])
            log.info(
                "many", ["a": .array(Array(repeating: .array(Array(repeating: .string("abc"), count: 99)), count: 99))])
            var wide = JsonObject()
            for number in 0..<1000 { wide.add("member\(number)", .number(1)) }
            log.info("wide", wide)
        }
        #expect(lines.count == 3 && lines.allSatisfy { $0.utf8.count < 4096 })
        #expect(try object(lines[2])["cut"] == .bool(true))
    }
}
