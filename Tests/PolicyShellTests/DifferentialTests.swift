// Random strings, read here and by real shells: where this module gives words, bash and dash must give the same.
import Foundation
import Testing

@testable import PolicyShell

@Suite struct DifferentialTests {
    private struct Seeded: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            // SplitMix64 (Steele, Lea, Flood 2014).
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
            return value ^ value >> 31
        }
    }

    /// What quoting is made of, and what ends words.
    private static let pieces = [
        "a", "b", "x y", "'", "\"", "\\", "\\\\", "\\\"", "\\'", "$", "`", "#", "~", "=", "{", "}", ",", "..", "!", "%",
        "*", "?",
        "[", "]", " ", "  ", "\t", "\n", ";", "&", "|", "<", ">", "(", ")", "-", "--", "1", "é", "'a b'", "\"c d\"",
        "''", "\"\"",
        "\\ ", "\\\n", "$$", "$(", "${", "\\$", "a=b", ":", "^", "@", "+",
    ]

    private func output(_ shell: String, _ script: String, _ arguments: [String]) throws -> [UInt8] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: shell)
        process.arguments = ["-c", script, "sh"] + arguments
        process.environment = ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"]
        process.currentDirectoryURL = URL(fileURLWithPath: "/proc/self/fdinfo")
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Array(data)
    }

    /// One simple command of literal words, all its redirections left out of the game.
    @Test func wordsAreThoseOfRealShells() throws {
        let seed = UInt64.random(in: .min ... .max)
        var generator = Seeded(state: seed)
        var strings: [String] = [], expected: [[String]] = []
        for _ in 0..<60_000 where strings.count < 4000 {
            let count = Int.random(in: 1...9, using: &generator)
            let text = (0..<count).map { _ in Self.pieces.randomElement(using: &generator) ?? "" }.joined()
            guard let program = try? analyse(Array(("args " + text).utf8)), program.isSimple,
                let command = program.commands.first, command.redirections.isEmpty,
                !command.words.contains(where: \.isPattern)
            else { continue }
            strings.append(text)
            expected.append(command.words.dropFirst().map(\.text))
        }
        #expect(strings.count > 1000, "seed \(seed): too few strings were static")
        // Static strings alone reach a shell: nothing in them runs.
        let script = #"args() { for a; do printf '%s\1' "$a"; done; printf '\2'; }; for s; do eval "args $s"; done"#
        for shell in ["/bin/bash", "/bin/dash"] {
            for start in stride(from: 0, to: strings.count, by: 500) {
                let part = Array(strings[start..<min(start + 500, strings.count)])
                let bytes = try output(shell, script, part)
                let lines = bytes.split(separator: 2, omittingEmptySubsequences: false).dropLast()
                guard lines.count == part.count else {
                    Issue.record("seed \(seed): \(shell) answered \(lines.count) of \(part.count)")
                    continue
                }
                for (index, line) in lines.enumerated() {
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
