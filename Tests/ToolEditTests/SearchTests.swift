// What the strategies stand on: byte search, line numbers, Levenshtein distance, line ends.
import TestSupport
import Testing

@testable import ToolEdit

@Suite struct SearchTests {
    /// Places as a simple search finds them, on texts that are made to be hard: few letters, long needles.
    @Test func places() {
        var random = seeded()
        for _ in 0..<500 {
            let letters: [UInt8] = Array("ab\n".utf8.prefix(Int.random(in: 1...3, using: &random)))
            func some(_ most: Int) -> [UInt8] {
                (0..<Int.random(in: 1...most, using: &random)).map { _ in letters.randomElement(using: &random) ?? 0 }
            }
            let text = some(200)
            let needle = some(6)
            var expected: [Int] = []
            var place = 0
            while place + needle.count <= text.count {
                if Array(text[place..<(place + needle.count)]) == needle {
                    expected.append(place)
                    place += needle.count
                } else {
                    place += 1
                }
            }
            #expect(ByteSearch.places(of: needle, in: text, atMost: .max) == expected)
        }
    }

    /// The rest of a search that gave up on the quick way is the same.
    @Test func steadySearch() {
        let text =
            [UInt8](repeating: 0x61, count: 20_000) + bytes("ab") + [UInt8](repeating: 0x61, count: 500) + bytes("ab")
        let needle = [UInt8](repeating: 0x61, count: 400) + bytes("b")
        #expect(ByteSearch.places(of: needle, in: text, atMost: .max) == [19_601, 20_103])
    }

    @Test func levenshtein() {
        var random = seeded()
        for _ in 0..<400 {
            func some() -> [UInt8] {
                (0..<Int.random(in: 0...180, using: &random)).map { _ in UInt8.random(in: 0x61...0x63, using: &random) }
            }
            let a = some()
            // Often near to each other, and sometimes longer than a word of the machine.
            var b = Bool.random(using: &random) ? some() : a
            for _ in 0..<Int.random(in: 0...9, using: &random) where !b.isEmpty {
                b[Int.random(in: 0..<b.count, using: &random)] = 0x64
            }
            let expected = distance(a, b)
            var measure = Levenshtein(budget: .max)
            #expect(measure.distance(a, a.indices, b, b.indices, atMost: 200) == expected)
            #expect(measure.distance(a, a.indices, b, b.indices, atMost: expected) == expected)
            if expected > 0 { #expect(measure.distance(a, a.indices, b, b.indices, atMost: expected - 1) == nil) }
        }
    }

    private func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let next = min(row[j] + 1, row[j + 1] + 1, diagonal + (x == y ? 0 : 1))
                (diagonal, row[j + 1]) = (row[j + 1], next)
            }
        }
        return row[b.count]
    }

    /// What a view leaves out can be found again.
    @Test func lineView() {
        var random = seeded()
        for _ in 0..<300 {
            let text = (0..<Int.random(in: 0...60, using: &random)).map { _ in
                bytes("a\r\n").randomElement(using: &random) ?? 0
            }
            let view = LineView(text)
            #expect(string(view.text) == string(text).replacingCRLF)
            for place in view.text.indices {
                let original = view.original(place)
                #expect(text[original] == view.text[place] || (text[original] == 0x0D && view.isCRLF(place)))
            }
            #expect(view.original(view.text.count) == text.count)
        }
    }
}

extension String {
    /// By bytes: to Swift CRLF is one character.
    fileprivate var replacingCRLF: String {
        var result: [UInt8] = []
        for byte in utf8 {
            if byte == 0x0A, result.last == 0x0D { result.removeLast() }
            result.append(byte)
        }
        return String(decoding: result, as: UTF8.self)
    }
}
