// What the analysis must see, and what it must refuse to see through.
import TestSupport
import Testing

@testable import PolicyShell

@Suite struct AnalysisTests {
    /// The programs of the narrow policy.
    private static let narrow: Set<String> = ["git", "ls", "cat", "grep", "find", "sed", "rg"]

    private func analysed(_ command: String) throws(OpaqueCommand) -> ShellProgram { try analyse(Array(command.utf8)) }

    @Test func theCorpusIsThere() {
        #expect(CorpusEntry.hostile.count > 1500)
        #expect(CorpusEntry.harmless.count > 300)
    }

    /// Harmless, but not seen through yet: each is opaque, so it is asked about, never wrongly allowed.
    private static let notYet: Set<String> = ["cat <<A - <<B\na\nA\nb\nB"]

    /// An engine that always asks fails: each harmless string is seen through, to programs of the narrow policy alone.
    @Test func harmlessStringsAreSeenThrough() {
        var opaque: [String] = []
        for entry in CorpusEntry.harmless {
            do throws(OpaqueCommand) {
                let program = try analysed(entry.command)
                for command in program.commands {
                    let name = command.words.first?.text ?? ""
                    #expect(Self.narrow.contains(name) || name.isEmpty, "\(entry.command): \(name)")
                }
            } catch {
                opaque.append(entry.command)
            }
        }
        #expect(Set(opaque) == Self.notYet, "\(opaque.count) of \(CorpusEntry.harmless.count)")
    }

    /// What is not an allowed program's own doing must be opaque, name another program, or redirect to a file.
    @Test func hostileStringsAreNotTakenForHarmless() {
        // These use allowed programs: their words are judged with the table of programs.
        let byWords: Set<String> = ["own-escape", "denied-path"]
        var mistaken: [String] = []
        for entry in CorpusEntry.hostile where !byWords.contains(entry.class) {
            guard let program = try? analysed(entry.command) else { continue }
            let redirections = program.commands.flatMap(\.redirections) + program.groupRedirections
            let touchesFiles = redirections.contains {
                switch $0.target {
                case .read, .write, .readAndWrite: true
                case .duplicate, .text: false
                }
            }
            let others = program.commands.contains { !Self.narrow.contains($0.words.first?.text ?? "") }
            let isComputed = program.commands.contains { $0.words.contains(where: \.isComputed) }
            if !touchesFiles, !others, !isComputed {
                mistaken.append("\(entry.class): \(entry.command.debugDescription)")
            }
        }
        #expect(mistaken == [])
    }

    @Test(arguments: [
        ("ls -la", ["ls", "-la"]), ("grep -n 'a;b' \"c d\" e\\ f", ["grep", "-n", "a;b", "c d", "e f"]),
        ("find . -name '*.sh'", ["find", ".", "-name", "*.sh"]), ("cat \"a\\$b\\\\c\\d\"", ["cat", "a$b\\c\\d"]),
        ("grep foo$ f", ["grep", "foo$", "f"]), ("grep '' f", ["grep", "", "f"]), ("ls # all", ["ls"]),
        ("find . -exec ls {} ;", ["find", ".", "-exec", "ls", "{}"]), ("ls a#b", ["ls", "a#b"]), ("ls;", ["ls"]),
    ])
    func words(_ command: String, _ expected: [String]) throws {
        let program = try analysed(command)
        #expect(program.commands.first?.words.map(\.text) == expected)
    }

    @Test(arguments: [
        "ls `id`", "ls <(id)", "x=1 ls", "ls ~root/x", "f() { ls; }", "[[ -e a ]]", "((1))", "ls $\"a\"", "ls 'a",
        "ls \"a", "ls (", "ls )", "; ls", "ls &&", "| ls", "ls > *", "cat <<E\nx", "ls\u{a0}#; id", "ls\r",
        "\u{200b}ls", "ls \u{202e}x", "$x", "*", "ls {fd}>x", "{ ls }", "if ls; then fi", "! ", "time", "coproc ls",
        "function f { ls; }", "a[0]=1", "a+=1 ls", "ls \\", "ls |& ", "ls 1>&x",
    ])
    func opaque(_ command: String) {
        #expect(throws: OpaqueCommand.self) { try analyse(Array(command.utf8)) }
    }

    /// Deep, long and hostile input ends soon, whatever comes out.
    @Test(arguments: [
        String(repeating: "(", count: 10_000) + "ls" + String(repeating: ")", count: 10_000),
        String(repeating: "( ", count: 10_000) + "ls" + String(repeating: " )", count: 10_000),
        String(repeating: "{ ", count: 10_000) + "ls" + String(repeating: "; }", count: 10_000),
        String(repeating: "if ls; then ", count: 5000) + "ls" + String(repeating: "; fi", count: 5000),
        String(repeating: "ls;", count: 300_000), String(repeating: "a", count: 1 << 20),
        String(repeating: "! ", count: 100_000) + "ls", String(repeating: "<<E ", count: 10_000),
        String(repeating: "'", count: 99_999), String(repeating: "ls | ", count: 50_000) + "ls",
        String(repeating: "ls && ", count: 100_000), String(repeating: "\\", count: 1 << 19),
        "ls " + String(repeating: "$(ls ", count: 10_000) + String(repeating: ")", count: 10_000),
        "ls " + String(repeating: "$(ls ", count: 99) + String(repeating: ")", count: 99),
        "ls " + String(repeating: "\"$(ls ", count: 90) + String(repeating: ")\"", count: 90),
        "ls " + String(repeating: "$x", count: 1 << 19), "ls " + String(repeating: "$(ls) ", count: 100_000),
        "ls " + String(repeating: "$(", count: 1 << 19), "ls {" + String(repeating: "a,", count: 1 << 18) + "b}",
        "ls " + String(repeating: "{a,b}", count: 100_000), "ls " + String(repeating: "{a,b} ", count: 100_000),
        String(repeating: "case x in x) ", count: 10_000) + "ls" + String(repeating: ";; esac", count: 10_000),
        String(repeating: "for a in b; do ", count: 10_000) + "ls" + String(repeating: "; done", count: 10_000),
        "if ls; then ls; " + String(repeating: "elif ls; then ls; ", count: 50_000) + "fi",
        "case x in " + String(repeating: "x) ls;; ", count: 50_000) + "esac",
        "cat <<E\n" + String(repeating: "$(ls) $x\n", count: 50_000) + "E",
        "ls " + String(repeating: "$'\\n'", count: 100_000), "l" + String(repeating: "\\\n", count: 300_000) + "s",
        // The fuzzer found these two forms: the other parser doubles its work with each pipe.
        "t <> t" + String(repeating: " | cat", count: 60) + " >&- t\"e\"",
        "t|t|t\n{t" + String(repeating: "|t", count: 60) + "|cs |a]",
    ])
    func boundedTime(_ command: String) {
        let clock = ContinuousClock()
        let took = clock.measure { _ = try? analyse(Array(command.utf8)) }
        // A debug build is some ten times slower than what is promised.
        #expect(took < .seconds(20))
    }

    @Test(arguments: ["", " ", "# a comment", "\n\n"]) func nothingAtAll(_ command: String) throws {
        let program = try analysed(command)
        #expect(program.commands.isEmpty && !program.isSimple)
    }

    @Test func bytesThatAreNotText() {
        for bytes: [UInt8] in [[0x6C, 0x73, 0xFF], [0xC3], [0x6C, 0x73, 0], [0xED, 0xA0, 0x80]] {
            #expect(throws: OpaqueCommand.self) { try analyse(bytes) }
        }
    }
}
