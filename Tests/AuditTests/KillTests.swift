// A writer that is killed at any moment leaves a log that goes on, with every record that it said was written.
import Audit
import Foundation
import TestSupport
import Testing

@Suite struct KillTests {
    @Test func killedAHundredTimes() throws {
        var random = seeded()
        let place = try Place()
        var said: UInt64 = 0, adopted = 0, torn = 0
        for _ in 0..<100 {
            let child = Process(), pipe = Pipe()
            child.executableURL = URL(fileURLWithPath: try fixture())
            child.arguments = ["append", place.log, "200000", "1000000"]
            child.standardOutput = pipe
            child.standardInput = FileHandle.nullDevice
            try child.run()
            let wanted = Int.random(in: 1...60, using: &random)
            var text: [UInt8] = []
            while text.count(where: { $0 == 10 }) < wanted {
                let more = pipe.fileHandleForReading.availableData
                if more.isEmpty { break }
                text += more
            }
            kill(child.processIdentifier, SIGKILL)
            text += pipe.fileHandleForReading.readDataToEndOfFile()
            child.waitUntilExit()
            #expect(child.terminationReason == .uncaughtSignal, "\(String(decoding: text, as: UTF8.self))")
            let numbers = text[..<(text.lastIndex(of: 10) ?? 0)].split(separator: 10)
            let last = UInt64(String(decoding: numbers.last ?? [], as: UTF8.self)) ?? 0
            #expect(last > said)
            said = last
            let summary = try place.summary()
            // What it said was written is there; one more may be.
            #expect(summary.last == said || summary.last == said + 1)
            if summary.isAheadOfHead { adopted += 1 }
            if summary.tornBytes > 0 { torn += 1 }
        }
        let log = try AuditLog(place.log)
        #expect(try place.summary().last == log.count && log.count > said)
        let told = try place.records().filter { $0["event"]?.text == "audit.opened" }
        #expect(told.count == 101)
        #expect(told.count { $0["adopted"] != nil } == adopted)
        #expect(told.count { $0["torn"] != nil } == torn)
        print("adopted \(adopted), torn \(torn), \(log.count) records")
    }
}
