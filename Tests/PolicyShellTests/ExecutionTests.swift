// Random programs, run by real shells: each command that runs must be one that the analysis has listed.
import Testing

@testable import PolicyShell

/// Writes random programs of functions that say that they were run, then spoils some.
private struct Author {
    var random: Seeded
    private static let pieces = [
        "a", "p ", " ", "$x", "\"$x\"", "${y}", "$(", "$(p ", ")", "\"", "'", "\\", "\n", ";", "&& ", "|", "for a in ",
        "; do ", "; done", "case a in ", "a) ", ";; ", " esac", "{a,b}", "{", "}", ",", "$'", "$'a\\tb'", "time ",
        "-p ", "! ", "(", "{ ", "; }", "if ", "; then ", "else ", "; fi", "<<E", "\nE\n", "<<'E'\n", "\"$@\"", "$1",
        "$#", "$?", "~", "#", "\\\n", "<<< ", "0<", "*", "$", "in ", "do ", "`", "((", "$((", "[", "=", "E",
    ]

    mutating func pick(_ choices: [String]) -> String { choices.randomElement(using: &random) ?? "" }

    mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &random) == 0 }

    mutating func word(_ depth: Int) -> String {
        switch Int.random(in: 0..<(depth > 3 ? 9 : 13), using: &random) {
        case 0...3: pick(["a", "b", "E", "in", "do", "esac", "-p", "''", "'a b'", "\\$", "a\\\nb"])
        case 4, 5:
            pick(["$x", "\"$x\"", "${y}", "\"a${x}b\"", "$1", "\"$@\"", "$*", "\"$*\"", "$#", "$?", "$@", "$x$y"])
        case 6: pick(["{a,b}", "x{a,'b'}y", "{a,b}c", "{a,}", "{a,{b,c}}", "{}", "{a}"])
        case 7: pick(["$'a\\tb'", "$'\\''", "$'\\x41'", "~", "~/a", "~b", "*", "[1", "\"$\"", "$"])
        case 8: pick(["\"", "'", "`", "#", "$'"]) + pick(["a", " "]) + pick(["\"", "'", "`", ")", "#"])
        case 9, 10: "$(" + list(depth + 1) + pick(["", "\n", " "]) + ")"
        default: "\"" + pick(["", "a "]) + "$(" + list(depth + 1) + ")" + pick(["", "b"]) + "\""
        }
    }

    mutating func simple(_ depth: Int) -> String {
        var text = pick(["p", "q", "r", "p", "q", "r", "time p", "time -p q", "! p", "\\p", "'q'", "$x", "p\\\n"])
        for _ in 0..<Int.random(in: 0...3, using: &random) { text += " " + word(depth) }
        if chance(8) { text += pick([" <<< ", " 0<<<"]) + word(depth) }
        if chance(8) {
            let body = pick([
                "a", "$x", "$(p a)", "\\$(p)", "$(p\n)", "a \"$(q \"b\")\"", "E)\nq\n(", "Ea )\nq", "`p`", "$",
            ])
            text +=
                pick([" <<E", " <<'E'", " <<-E", " <<E", " <<\"E\"", " <<E'F'"]) + pick(["", " a", "; p", " | q"])
                + "\n"
            text += body + "\n" + pick(["E", "\tE", "EF", "E"]) + "\n"
        }
        return text
    }

    mutating func command(_ depth: Int) -> String {
        guard depth < 4, chance(3) else { return simple(depth) }
        switch Int.random(in: 0..<6, using: &random) {
        case 0:
            return "for a in " + word(depth) + " " + word(depth) + pick(["; do ", "\ndo "]) + list(depth + 1) + "; done"
        case 1:
            return "case " + word(depth) + " in " + pick(["", "\n", "("]) + pick(["a", "*", "a|b", "'a b'", "$x", "A"])
                + ") "
                + list(depth + 1) + pick([";; ", " ;;\n", "\n", ";& "]) + pick(["", "*) " + list(depth + 1) + ";; "])
                + "esac"
        case 2: return "(" + list(depth + 1) + ")"
        case 3: return "{ " + list(depth + 1) + "; }"
        case 4: return "if " + list(depth + 1) + "; then " + list(depth + 1) + pick(["", "; else q"]) + "; fi"
        default: return simple(depth) + pick([" | ", " && ", " || "]) + simple(depth)
        }
    }

    mutating func list(_ depth: Int) -> String {
        var text = command(depth)
        while chance(3), text.utf8.count < 200 { text += pick(["; ", "\n", " && ", " | "]) + command(depth) }
        return text
    }

    mutating func program() -> String {
        var text = list(0)
        guard chance(2) else { return text }
        for _ in 0...Int.random(in: 0...2, using: &random) {
            let at = text.index(text.startIndex, offsetBy: Int.random(in: 0...text.count, using: &random))
            if chance(3), at < text.endIndex {
                text.remove(at: at)
            } else {
                text.insert(contentsOf: pick(Self.pieces), at: at)
            }
        }
        return text
    }
}

@Suite struct ExecutionTests {
    /// Whether a command that ran is one that was listed: what is computed or a pattern may be any number of words.
    private func fits(_ ran: ArraySlice<String>, _ listed: ArraySlice<ShellWord>) -> Bool {
        guard let word = listed.first else { return ran.isEmpty }
        let rest = listed.dropFirst()
        if word.isPattern || word.isSplit {
            return (0...ran.count).contains { fits(ran.dropFirst($0), rest) }
        }
        guard let first = ran.first, word.isComputed || first == word.text else { return false }
        return fits(ran.dropFirst(), rest)
    }

    /// Commands in a pipeline report at once, each by one write: bash writes line by line, so it gets no line's end.
    private static let script = #"""
        end=$(printf '\2'); x='p q' y= HOME=/nowhere PATH=/nowhere
        log() { printf '%s\1' "$end" "$@" >&3; }
        [ -z "$BASH_VERSION" ] || eval 'log() { printf "%s\1" "$end" "${@//$'"'\n'/\$'\4'"'}" >&3; }'
        p() { log p "$@"; }; q() { log q "$@"; }; r() { log r "$@"; return 1; }; command_not_found_handle() { log "$@"; }
        for s; do ( set -- A 'B C'; eval "$s" ) 3>&1 >/dev/null 2>&1; printf '\3'; done
        """#

    @Test func whatRunsWasListed() throws {
        let seed = UInt64.random(in: .min ... .max)
        var author = Author(random: Seeded(state: seed))
        var strings: [String] = [], programs: [ShellProgram] = []
        for _ in 0..<40_000 where strings.count < 4000 {
            let text = author.program()
            // What runs in the background would be heard of later.
            guard !text.contains("\\&"), !text.replacing("&&", with: "").contains("&"),
                let program = try? analyse(Array(text.utf8))
            else { continue }
            strings.append(text)
            programs.append(program)
        }
        #expect(strings.count > 2000, "seed \(seed): too few strings were seen through")
        #expect(programs.count { $0.commands.contains { $0.words.contains(where: \.isComputed) } } > 500)
        for shell in ["/bin/bash", "/bin/dash"] {
            var ran = 0
            for start in stride(from: 0, to: strings.count, by: 500) {
                let part = Array(strings[start..<min(start + 500, strings.count)])
                let bytes = try RealShell.output(shell, Self.script, part)
                let answers = bytes.split(separator: 3, omittingEmptySubsequences: false).dropLast()
                guard answers.count == part.count else {
                    Issue.record("seed \(seed): \(shell) answered \(answers.count) of \(part.count)")
                    continue
                }
                for (index, answer) in answers.enumerated() {
                    let program = programs[start + index]
                    if shell == "/bin/dash", program.needsBash { continue }
                    for record in answer.split(separator: 2) {
                        let words = record.dropFirst().split(separator: 1, omittingEmptySubsequences: false).dropLast()
                            .map { String(decoding: $0.map { $0 == 4 ? 10 : $0 }, as: UTF8.self) }
                        ran += 1
                        #expect(
                            program.commands.contains { fits(words[...], $0.words[...]) },
                            "seed \(seed): \(shell) runs \(words) of \(part[index].debugDescription)")
                    }
                }
            }
            #expect(ran > 2000, "seed \(seed): \(shell) ran too few commands")
        }
    }
}
