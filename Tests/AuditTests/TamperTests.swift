// Whoever changes a log is found.
import Audit
import Foundation
import TestSupport
import Testing

@Suite struct TamperTests {
    private static let limits = AuditLimits(fileBytes: 2500, rotatedFiles: 3)

    /// It is found, at this line if given, in one of these ways.
    private func expect(
        _ place: Place, _ ways: [AuditFault.Way], file: String? = nil, line: UInt64? = nil,
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        switch try verifyAudit(place.log) {
        case .intact(let summary): Issue.record("taken for intact: \(summary)", sourceLocation: location)
        case .broken(let fault):
            #expect(ways.contains(fault.way), "\(fault)", sourceLocation: location)
            if let file { #expect(fault.file == file, "\(fault)", sourceLocation: location) }
            if let line { #expect(fault.line == line, "\(fault)", sourceLocation: location) }
        }
    }

    /// Opening it begins no new chain behind the damage.
    private func expectRefusal(_ place: Place, _ location: SourceLocation = #_sourceLocation) {
        #expect(sourceLocation: location) { _ = try AuditLog(place.log) } throws: { error in
            if case AuditError.tampered = error { true } else { false }
        }
    }

    @Test func eachLineRemoved() throws {
        let place = try makeLog(8)
        let lines = try place.lines(place.current)
        for index in lines.indices {
            let other = try place.copy()
            var rest = lines
            rest.remove(at: index)
            try other.write(rest, other.current)
            let isLast = index == lines.count - 1
            try expect(other, isLast ? [.cutTail] : [.removed], line: isLast ? 7 : UInt64(index + 1))
            expectRefusal(other)
        }
    }

    /// Each bit of each byte, of the log and of its head.
    @Test func eachByteChanged() throws {
        let place = try makeLog(4)
        for path in ["/log/audit.jsonl", "/log/head/audit.head"] {
            let bytes = try place.bytes(place.path + path)
            for index in bytes.indices {
                for bit in [UInt8(1), 0x20, 0x80] {
                    var other = bytes
                    other[index] ^= bit
                    try place.write(other, place.path + path)
                    let way = try place.way()
                    #expect(way != nil, "\(path): byte \(index), bit \(bit)")
                    if path.hasSuffix("head") { #expect(way == .headChanged) }
                }
            }
            try place.write(bytes, place.path + path)
        }
        #expect(try place.way() == nil)
    }

    @Test func linesSwappedOrRepeated() throws {
        let place = try makeLog(7)
        let lines = try place.lines(place.current)
        for first in 0..<6 {
            for second in (first + 1)..<7 {
                var other = lines
                other.swapAt(first, second)
                try place.write(other, place.current)
                // What stands first says whose file it is.
                try expect(place, first == 0 ? [.removed, .reordered] : [.reordered], line: UInt64(first + 1))
            }
        }
        for index in 1..<7 {
            try place.write(Array(lines[...index]) + lines[index...], place.current)
            try expect(place, [.reordered], line: UInt64(index + 2))
        }
    }

    @Test func eachCutTail() throws {
        let place = try makeLog(4)
        let bytes = try place.bytes(place.current)
        for length in 0..<bytes.count {
            try place.write(Array(bytes[..<length]), place.current)
            try expect(place, [.cutTail])
            if length % 50 == 0 { expectRefusal(place) }
        }
        try FileManager.default.removeItem(atPath: place.current)
        try expect(place, [.removed])
        expectRefusal(place)
    }

    @Test func forgedLines() throws {
        let place = try makeLog(4)
        let lines = try place.lines(place.current), other = try makeLog(9)
        // A line of another log, the last one again, and one that somebody wrote.
        for line in [
            try other.lines(other.current)[4], lines[3], Array(#"{"n":5,"command":"ls","decision":"allow"}"#.utf8),
        ] {
            try place.write(lines + [line], place.current)
            try expect(place, [.changed, .reordered], line: 5)
            expectRefusal(place)
        }
        // A forger who knows how it is done, and goes on from the last line, is seen by the head.
        let forged = try place.copy()
        try forged.write(lines, forged.current)
        let log = try AuditLog(forged.log)
        for _ in 0..<2 { try log.append(command("rm -rf evidence")) }
        try forged.write(try place.bytes(place.head), forged.head)
        try expect(forged, [.headBehind])
    }

    /// All lines from one on made anew, with a chain that holds: the head tells.
    @Test func aRewrittenEnd() throws {
        let place = try makeLog(3)
        let other = try place.copy()
        let log = try AuditLog(place.log), forged = try AuditLog(other.log)
        try log.append(command("evidence"))
        try forged.append(command("innocent"))
        try other.write(try place.bytes(place.head), other.head)
        try expect(other, [.changed], line: 5)
    }

    @Test func headsOfOtherTimesAndLogs() throws {
        let place = try Place()
        let log = try AuditLog(place.log)
        var heads = [try place.bytes(place.head)]
        for number in 0..<8 {
            try log.append(command("echo \(number)"))
            heads.append(try place.bytes(place.head))
        }
        for (index, head) in heads.enumerated() {
            try place.write(head, place.head)
            switch index {
            case 8: #expect(try place.way() == nil)
            // A process that was killed leaves this too.
            case 7: #expect(try place.summary().isAheadOfHead)
            default: try expect(place, [.headBehind])
            }
        }
        let stranger = try makeLog(9)
        try place.write(try stranger.bytes(stranger.head), place.head)
        try expect(place, [.otherLog])
        try FileManager.default.removeItem(atPath: place.head)
        try expect(place, [.headMissing])
        expectRefusal(place)
        #expect(!FileManager.default.fileExists(atPath: place.head))
    }

    // MARK: - Files

    @Test func eachFileRemovedOrExchanged() throws {
        let place = try makeLog(120, limits: Self.limits)
        let names = try place.names().filter { $0.hasSuffix(".jsonl") }
        #expect(names.count == 4)
        #expect(try place.way() == nil)
        for name in names {
            let other = try place.copy()
            try FileManager.default.removeItem(atPath: other.log + "/" + name)
            try expect(other, [.removed])
        }
        for (first, second) in zip(names, names.dropFirst()) {
            let other = try place.copy()
            let one = try other.bytes(other.log + "/" + first), two = try other.bytes(other.log + "/" + second)
            try other.write(two, other.log + "/" + first)
            try other.write(one, other.log + "/" + second)
            try expect(other, [.removed, .reordered])
        }
    }

    @Test func linesRemovedFromOlderFiles() throws {
        let place = try makeLog(120, limits: Self.limits)
        for name in try place.names().filter({ $0.hasPrefix("audit-") }) {
            let lines = try place.lines(place.log + "/" + name)
            for index in lines.indices {
                let other = try place.copy()
                var rest = lines
                rest.remove(at: index)
                try other.write(rest, other.log + "/" + name)
                try expect(other, [.removed])
            }
        }
    }

    /// A file that begins later, as if those before had been pruned.
    @Test func aStartThatNobodyPruned() throws {
        let place = try makeLog(60, limits: AuditLimits(fileBytes: 2500, rotatedFiles: 100))
        #expect(try place.summary().first == 1)
        try FileManager.default.removeItem(atPath: place.log + "/audit-1.jsonl")
        try expect(place, [.removed], file: "audit-1.jsonl")
    }

    @Test func nothingThere() throws {
        let place = try Place()
        #expect(throws: AuditError.missing(path: place.log)) { try verifyAudit(place.log) }
        try FileManager.default.createDirectory(atPath: place.log, withIntermediateDirectories: true)
        #expect(throws: AuditError.missing(path: place.log)) { try verifyAudit(place.log) }
        // A line without end takes no memory.
        let endless = try makeLog(2)
        try endless.write(Array(repeating: UInt8(ascii: "x"), count: 3 << 20), endless.current)
        try expect(endless, [.changed], line: 1)
    }
}
