// What holds for every policy and every command, tried on random ones. The seed is printed with each failure.
import PolicyDecision
import PolicyModel
import TestSupport
import Testing

@Suite struct PropertyTests {
    private static let commands = CorpusEntry.all.map(\.command)

    /// A rule in one more tier, or one more rule in a lower tier, never loosens a verdict.
    @Test(arguments: [11 as UInt64, 12, 13]) func aLowerTierOnlyTightens(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let system = try Narrow.policy()
        let alone = try Engine([Tier(.system, system)])
        for _ in 0..<60 {
            let rules = (0..<Int.random(in: 0...6, using: &random)).map { _ in Self.rule(&random) }.joined()
            let defaults =
                ["", "[defaults]\ncommand = \"allow\"\nopaque = \"allow\"\n", "[defaults]\ncommand = \"deny\"\n"]
                .randomElement(using: &random) ?? ""
            let lower = try Narrow.policy("version = 1\n" + defaults + rules)
            let both = try Engine([Tier(.system, system), Tier(.project, lower)])
            for _ in 0..<40 {
                guard let command = Self.commands.randomElement(using: &random) else { continue }
                #expect(
                    both.judge(command).decision >= alone.judge(command).decision,
                    "seed \(seed): \(command.debugDescription) with \(defaults + rules)")
            }
        }
    }

    private static func rule(_ random: inout SeededGenerator) -> String {
        let programs = ["ls", "cat", "git", "touch", "rm", "sh", "find", "sed", "rg", "grep"]
        let program = programs.randomElement(using: &random) ?? "ls"
        let rest =
            ["", ", \"...\"", ", \"<any>...\"", ", \"-v\"", ", \"status\", \"...\""].randomElement(using: &random) ?? ""
        let decision = Decision.allCases.randomElement(using: &random) ?? .ask
        return "[[command]]\nargv = [\"\(program)\"\(rest)]\ndecision = \"\(decision.rawValue)\"\n"
    }

    /// Other quotes and other spaces never weaken a verdict; where two parsers do not agree about them, it gets stricter.
    @Test(arguments: [21 as UInt64, 22]) func quotingAndSpacingNeverWeaken(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let engine = try Narrow.engine()
        for _ in 0..<1500 {
            let words =
                ["ls", "cat", "find", "git", "sed", "touch"].shuffled(using: &random).prefix(1) + Self.words(&random)
            let plain = engine.judge(words.map(Self.singleQuoted).joined(separator: " ")).decision
            let other = words.map { Self.requoted($0, &random) }.joined(
                separator: ["  ", "\t", " "].randomElement(using: &random) ?? " ")
            #expect(engine.judge(other).decision >= plain, "seed \(seed): \(other.debugDescription)")
            let argv = engine.judge(CommandRequest(.argv(Array(words)), workspace: Narrow.workspace)).decision
            #expect(argv == plain, "seed \(seed): \(words)")
        }
    }

    /// judge(`A && B`) is the strictest of both, whatever joins them.
    @Test(arguments: [31 as UInt64, 32]) func aListIsItsStrictestPart(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let engine = try Narrow.engine()
        for _ in 0..<1500 {
            let first = Self.words(&random).map(Self.singleQuoted).joined(separator: " ")
            let second = Self.words(&random).map(Self.singleQuoted).joined(separator: " ")
            let joint = [" && ", "; ", " | ", "\n", " || ", " & ", " |& "].randomElement(using: &random) ?? ";"
            let expected = max(engine.judge(first).decision, engine.judge(second).decision)
            #expect(
                engine.judge(first + joint + second).decision == expected, "seed \(seed): \(first + joint + second)")
            #expect(engine.judge("( \(first) )").decision == engine.judge(first).decision)
        }
    }

    /// Whatever the bytes, there is a verdict, and garbage is never allowed to name a program that is not.
    @Test(arguments: [41 as UInt64, 42]) func anyBytesGetAVerdict(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let engine = try Narrow.engine()
        for _ in 0..<3000 {
            var bytes = Array((Self.commands.randomElement(using: &random) ?? "").utf8)
            for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0...3, using: &random) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 1:
                    bytes.insert(Array("'\"\\$`(){}<>|&;*?[]~# \n-".utf8).randomElement(using: &random) ?? 0, at: at)
                case 2: bytes.remove(at: at)
                default: bytes.swapAt(at, Int.random(in: 0..<bytes.count, using: &random))
                }
            }
            let verdict = engine.judge(CommandRequest(.string(bytes), workspace: Narrow.workspace))
            #expect(!verdict.evidence.isEmpty)
            if verdict.decision == .allow, let name = verdict.argv?.first {
                let last = name.split(separator: "/").last.map(String.init) ?? name
                #expect(["git", "ls", "cat", "grep", "find", "sed", "rg"].contains(last), "seed \(seed): \(bytes)")
            }
        }
    }

    private static func words(_ random: inout SeededGenerator) -> [String] {
        let all = [
            "ls", "cat", "git", "status", "grep", "find", "sed", "rg", "touch", "rm", "sh", "-c", "-n", "-e", "--pre",
            "x", "src/main.c",
            "secret", "dir/.env", ".", "..", "-exec", ";", "{}", "1,5p", "w x", "-i", "--", "-", "a b", "*", "$x",
            "it's", "timeout",
            "5", "env", "nice", "--color=auto", "-la", "",
        ]
        return (0..<Int.random(in: 1...6, using: &random)).map { _ in all.randomElement(using: &random) ?? "ls" }
    }

    private static func singleQuoted(_ word: String) -> String {
        "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }

    /// A word in pieces, each quoted in its own way.
    private static func requoted(_ word: String, _ random: inout SeededGenerator) -> String {
        if word.isEmpty { return ["''", "\"\""].randomElement(using: &random) ?? "''" }
        var result = ""
        var rest = Substring(word)
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 1...3, using: &random))
            rest = rest.dropFirst(piece.count)
            switch Int.random(in: 0...2, using: &random) {
            case 0: result += singleQuoted(String(piece))
            case 1: result += "\"" + piece.map { "$`\"\\".contains($0) ? "\\\($0)" : "\($0)" }.joined() + "\""
            default: result += piece.map { "\\\($0)" }.joined()
            }
        }
        return result
    }
}
