import PolicyModel
import Testing

@Suite struct QuantityTests {
    @Test(arguments: [
        ("0", 0), ("1", 1), ("512", 512), ("1K", 1024), ("512m", 512 << 20), ("2G", 2 << 30), ("1T", 1 << 40),
        ("007K", 7168), ("8388607T", 8_388_607 << 40), ("9223372036854775807", UInt64(Int64.max)),
    ])
    func sizes(_ text: String, bytes: UInt64) throws { #expect(try parseSize(text) == bytes) }

    @Test(arguments: [
        "", "K", "12Q", "1KB", "1 K", " 1", "1 ", "-1", "+1", "1.5M", "0x10", "1_000", "١", "1K\u{301}", "1\u{212A}",
        "8388608T", "9223372036854775808", "18446744073709551616", "99999999999999999999999999T",
    ])
    func notSizes(_ text: String) { #expect(throws: InvalidValue.self) { try parseSize(text) } }

    @Test(arguments: [
        ("500ms", 500), ("0s", 0), ("300s", 300_000), ("5m", 300_000), ("1h", 3_600_000),
        ("9223372036854ms", 9_223_372_036_854),
    ])
    func durations(_ text: String, milliseconds: UInt64) throws { #expect(try parseDuration(text) == milliseconds) }

    @Test(arguments: [
        "", "s", "5", "5 minutes", "5M", "5S", "1d", "1h30m", "-5s", "1.5s", "5s ", "9223372036855ms",
        "99999999999999h",
        "99999999999999999999999s",
    ])
    func notDurations(_ text: String) { #expect(throws: InvalidValue.self) { try parseDuration(text) } }

    @Test func whatIsPrintedCanBeRead() throws {
        var random = SeededRandom(seed: 1)
        for _ in 0..<1000 {
            let bytes =
                UInt64.random(in: 0...UInt64(Int64.max), using: &random) >> UInt64.random(in: 0...63, using: &random)
            #expect(try parseSize(formatSize(bytes)) == bytes)
            let time = bytes % 9_223_372_036_854
            #expect(try parseDuration(formatDuration(time)) == time)
        }
        #expect(formatSize(512 << 20) == "512M" && formatSize(0) == "0" && formatSize(1025) == "1025")
        #expect(formatDuration(300_000) == "300s" && formatDuration(1500) == "1500ms")
    }

    @Test func limitsAreReadAsWritten() throws {
        let limits = try loadBody(
            """
            [resources]
            wall = "500ms"
            cpu = "2h"
            cpus = 2
            memory = 4096
            swap = 0
            pids = 3
            output = "64K"
            output_action = "kill"
            disk = "1G"
            inodes = 1000
            open_files = 64
            file_size = "1M"
            io_read = "10M"
            io_write = 5
            """
        ).resources
        #expect(limits.wall?.value == 500 && limits.cpu?.value == 7_200_000 && limits.cpus?.value == 2.0)
        #expect(limits.memory?.value == .bytes(4096) && limits.swap?.value == 0 && limits.pids?.value == 3)
        #expect(limits.output?.value == 65536 && limits.outputAction.value == .kill && limits.disk?.value == 1 << 30)
        #expect(limits.inodes?.value == 1000 && limits.openFiles?.value == 64 && limits.fileSize?.value == 1 << 20)
        #expect(limits.ioRead?.value == 10 << 20 && limits.ioWrite?.value == 5)
    }

    @Test func aShareOfMemory() {
        #expect(MemorySize.percent(75).bytes(ofMachine: 1000) == 750)
        #expect(MemorySize.percent(100).bytes(ofMachine: .max) <= .max)
        #expect(MemorySize.bytes(5).bytes(ofMachine: 1000) == 5)
        #expect("\(MemorySize.percent(75)) \(MemorySize.bytes(1 << 30))" == "75% 1G")
    }
}
