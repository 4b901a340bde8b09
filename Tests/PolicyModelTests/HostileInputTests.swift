import PolicyModel
import PolicyPresets
import Testing

@Suite struct HostileInputTests {
    private func first(_ bytes: [UInt8]) -> Diagnostic? {
        do throws(PolicyError) {
            _ = try Policy.load("main.toml") { _ in bytes }
            return nil
        } catch {
            return error.diagnostics.first
        }
    }

    /// Broken TOML, where the parser noticed, and what it says; a struct so that a log does not show all of it.
    struct Broken: Sendable, CustomTestStringConvertible {
        let text: String
        let line: Int
        let column: Int
        let says: String

        init(_ text: String, _ line: Int, _ column: Int, _ says: String) {
            (self.text, self.line, self.column, self.says) = (text, line, column, says)
        }

        var testDescription: String { String(text.prefix(40)).debugDescription }
    }

    @Test(arguments: [
        Broken("a = 1\na = 2", 2, 5, "cannot redefine"),
        Broken("[fs]\n[fs]", 2, 1, "cannot redefine"),
        Broken("a = 99999999999999999999", 1, 25, "not representable in 64 bits"),
        Broken("a = 1e99999", 1, 12, "could not be interpreted"),
        Broken("a = \"", 1, 6, "end-of-file"),
        Broken("a = '''", 1, 8, "end-of-file"),
        Broken("a", 1, 2, "end-of-file"),
        Broken("\0", 1, 1, "expected keys"),
        Broken("a = [}", 1, 6, "could not determine value type"),
        Broken("a = [ #\n}", 2, 1, "could not determine value type"),
        Broken("a = \"\\ud800\"", 1, 12, ""),
        Broken("a = \(String(repeating: "[", count: 10_000))", 1, 69, "nested value depth"),
        Broken(
            "a = \(String(repeating: "[", count: 10_000))\(String(repeating: "]", count: 10_000))", 1, 69,
            "nested value"),
        Broken("a = \(String(repeating: "{a=", count: 10_000))", 1, 197, "nested value depth"),
        Broken("a\(String(repeating: ".a", count: 100_000)) = 1", 1, 32, "a key has more than 16 parts"),
        Broken("[a\(String(repeating: " . 'a.b'", count: 100_000))]", 1, 124, "a key has more than 16 parts"),
    ])
    func brokenTOMLIsAnErrorWithItsPlace(_ broken: Broken) {
        let found = first(Array(broken.text.utf8))
        let place = SourceLocation(file: "main.toml", line: broken.line, column: broken.column)
        #expect(found?.location == place, "\(found as Any)")
        #expect(found?.message.contains(broken.says) == true, "\(found as Any)")
    }

    @Test func invalidUTF8IsAnErrorWithItsPlace() {
        #expect(first(Array("version = 1\n# é \"".utf8) + [0xFF])?.location?.line == 2)
        let found = first(Array("a = '".utf8) + [0xC0, 0x80] + Array("'".utf8))
        #expect(found?.description.hasPrefix("main.toml:1:5: invalid TOML: ") == true, "\(found as Any)")
    }

    @Test func sizeIsBounded() {
        let large = Array("version = 1\n".utf8) + Array(repeating: UInt8(ascii: "#"), count: (1 << 20) - 12)
        #expect(first(large) == nil)
        #expect(first(large + [0x23])?.message.contains("larger than 1 MB") == true)
    }

    @Test func muchOfAKindTakesNoQuadraticTime() {
        let names = (0..<120_000).map { "\"\($0)\"" }.joined(separator: ",")
        let bodies = [
            "[fs]\nread = [\(names)]",
            "[env]\nmask = [\(names)]",
            "[env.set]\n" + (0..<90_000).map { "A\($0)=''" }.joined(separator: "\n"),
            (0..<120_000).map { "a\($0)=1" }.joined(separator: "\n"),
            "[fs]\nread = [" + String(repeating: "1,", count: 400_000) + "]",
        ]
        for body in bodies {
            var count = 0
            let time = ContinuousClock().measure { count = diagnostics("version = 1\n" + body).count }
            #expect(time < .seconds(30) && count <= 1000)
        }
    }

    @Test func keysThatAreEqualOnlyToUnicodeAreTwo() {
        let found = diagnostics("version = 1\n\"\u{E9}\" = 1\n\"e\u{301}\" = 1")
        #expect(found.count == 2)
    }

    @Test func dotsInStringsAndCommentsAreNoKeys() {
        let dots = String(repeating: ".", count: 100)
        let text = ##"""
            version = 1 # \##(dots) "
            [env.set]
            A = "\##(dots)\"\##(dots)"
            B = '\##(dots)\'
            C = """
            \##(dots)"" \##(dots) \""" \##(dots)"""""
            D = '''\##(dots)''\##(dots)'''''
            """##
        #expect(diagnostics(text) == [])
    }

    @Test func messagesCannotDriveATerminal() {
        let found = diagnostics(
            ["a\u{1B}[2J.toml": "version = 1\n\"\\u001b]0;x\\u0007\\u202e\" = 1"], from: "a\u{1B}[2J.toml")
        let text = found.map(\.description).joined()
        #expect(!text.isEmpty && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x202E })
    }

    /// Bytes flipped, cut, doubled and spliced: whatever comes out is a policy or an error, never a crash.
    @Test func mutatedPresetsNeverCrash() throws {
        let seed = SeededRandom.freshSeed()
        print("mutated presets: seed \(seed)")
        var random = SeededRandom(seed: seed)
        let corpus = presetNames.compactMap { presetBytes(named: $0) }
        var accepted = 0
        for _ in 0..<3000 {
            var bytes = corpus[Int.random(in: 0..<corpus.count, using: &random)]
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                mutate(&bytes, from: corpus, using: &random)
            }
            do throws(PolicyError) {
                _ = try Policy.load("main.toml") { _ in bytes }
                accepted += 1
            } catch {
                #expect(!error.diagnostics.isEmpty, "seed \(seed)")
            }
        }
        #expect(accepted > 0, "seed \(seed): some mutations fall into comments")
    }

    private func mutate(_ bytes: inout [UInt8], from corpus: [[UInt8]], using random: inout SeededRandom) {
        guard !bytes.isEmpty else { return }
        let at = Int.random(in: 0..<bytes.count, using: &random)
        let end = min(bytes.count, at + Int.random(in: 1...40, using: &random))
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 2: bytes.removeSubrange(at..<end)
        case 3: bytes.insert(contentsOf: bytes[at..<end], at: at)
        case 4:
            let syntax = Array("[]{}=.,\"'#\n\\-+0e".utf8)
            bytes.insert(syntax[Int.random(in: 0..<syntax.count, using: &random)], at: at)
        default:
            let other = corpus[Int.random(in: 0..<corpus.count, using: &random)]
            let from = Int.random(in: 0..<other.count, using: &random)
            bytes.insert(contentsOf: other[from..<min(other.count, from + 60)], at: at)
        }
    }
}
