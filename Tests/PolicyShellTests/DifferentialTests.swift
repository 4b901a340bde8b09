// Random strings, read here and by real shells: where this module gives words, bash and dash must give the same.
import Foundation
import Testing

@testable import PolicyShell

@Suite struct DifferentialTests {
    /// What quoting is made of, and what ends words.
    private static let pieces = [
        "a", "b", "x y", "'", "\"", "\\", "\\\\", "\\\"", "\\'", "$", "`", "#", "~", "=", "{", "}", ",", "..", "!", "%",
        "*", "?",
        "[", "]", " ", "  ", "\t", "\n", ";", "&", "|", "<", ">", "(", ")", "-", "--", "1", "é", "'a b'", "\"c d\"",
        "''", "\"\"",
        "\\ ", "\\\n", "$$", "$(", "${", "\\$", "a=b", ":", "^", "@", "+", "{a,", "{a,b}", ",b}", "$'", "$'a\\nb'",
        "\\x41",
        "\\t", "\u{a0}",
    ]

    /// One simple command of literal words, all its redirections left out of the game.
    @Test func wordsAreThoseOfRealShells() throws {
        let seed = UInt64.random(in: .min ... .max)
        var generator = Seeded(state: seed)
        var strings: [String] = [], expected: [[String]] = [], needBash: Set<Int> = []
        for _ in 0..<60_000 where strings.count < 4000 {
            let count = Int.random(in: 1...9, using: &generator)
            let text = (0..<count).map { _ in Self.pieces.randomElement(using: &generator) ?? "" }.joined()
            guard let program = try? analyse(Array(("args " + text).utf8)), program.isSimple,
                let command = program.commands.first, command.redirections.isEmpty,
                !command.words.contains(where: \.isPattern)
            else { continue }
            if program.needsBash { needBash.insert(strings.count) }
            strings.append(text)
            expected.append(command.words.dropFirst().map(\.text))
        }
        #expect(strings.count > 1000 && needBash.count > 100, "seed \(seed): too few strings were static")
        // Static strings alone reach a shell: nothing in them runs.
        let script = #"args() { for a; do printf '%s\1' "$a"; done; printf '\2'; }; for s; do eval "args $s"; done"#
        for shell in ["/bin/bash", "/bin/dash"] {
            for start in stride(from: 0, to: strings.count, by: 500) {
                let part = Array(strings[start..<min(start + 500, strings.count)])
                let bytes = try RealShell.output(shell, script, part)
                let lines = bytes.split(separator: 2, omittingEmptySubsequences: false).dropLast()
                guard lines.count == part.count else {
                    Issue.record("seed \(seed): \(shell) answered \(lines.count) of \(part.count)")
                    continue
                }
                for (index, line) in lines.enumerated() where shell == "/bin/bash" || !needBash.contains(start + index)
                {
                    let words = line.split(separator: 1, omittingEmptySubsequences: false).dropLast().map {
                        String(decoding: $0, as: UTF8.self)
                    }
                    #expect(
                        words == expected[start + index],
                        "seed \(seed): \(shell) reads \(part[index].debugDescription) as \(words)")
                }
            }
        }
    }
}
