// Captures and masks, cut at every place at which a read could cut them.
import Testing

@testable import SupervisorCore

@Suite struct OutputTests {
    private func masked(_ text: String, secrets: [String], cutAt cut: Int) -> String {
        var masker = Masker(secrets)
        let bytes = Array(text.utf8)
        let parts = masker.mask(bytes[..<cut]) + masker.mask(bytes[cut...]) + masker.flush()
        return String(decoding: parts, as: UTF8.self)
    }

    @Test(arguments: [
        ("a secret123 b", ["secret123"], "a [masked] b"),
        ("secret123", ["secret123"], "[masked]"),
        ("secret12", ["secret123"], "secret12"),
        // A short one that a longer one starts with, whichever of them comes.
        ("x secret123456 y", ["secret123", "secret123456"], "x [masked] y"),
        ("x secret123 y", ["secret123", "secret123456"], "x [masked] y"),
        ("secret123", ["secret123", "secret123456"], "[masked]"),
        ("secret12345", ["secret123", "secret123456"], "[masked]45"),
        ("aaaaaaaab", ["aaaaaaab"], "a[masked]"),
        ("nothing", [], "nothing"),
    ])
    func masksAtEveryCut(_ text: String, _ secrets: [String], _ expected: String) {
        for cut in 0...text.utf8.count {
            #expect(masked(text, secrets: secrets, cutAt: cut) == expected, "cut at \(cut)")
        }
    }

    @Test func captureKeepsHeadAndTail() {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
        for (limit, step) in [(10, 1), (10, 7), (11, 1000), (1, 3), (0, 5), (2000, 64)] {
            var capture = Capture(limit: UInt64(limit))
            for start in stride(from: 0, to: bytes.count, by: step) {
                capture.append(bytes[start..<min(start + step, bytes.count)])
            }
            let expected =
                limit >= bytes.count ? bytes : Array(bytes.prefix(limit - limit / 2) + bytes.suffix(limit / 2))
            #expect(capture.bytes == expected, "limit \(limit), \(step) at a time")
            #expect(capture.isTruncated == (limit < bytes.count))
            #expect(capture.total == 1000)
        }
    }
}
