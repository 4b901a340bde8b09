// The completion scripts, sourced by the shells themselves.
import Foundation
import TestSupport
import Testing

@Suite struct CompletionTests {
    private static func isInstalled(_ shell: String) -> Bool {
        ["/bin/", "/usr/bin/"].contains { FileManager.default.isExecutableFile(atPath: $0 + shell) }
    }

    /// What bash offers for a line with the cursor at its end.
    private func bash(_ line: String, breaks: String = " \t\n\"'><=;|&(:") throws -> [String] {
        let script = """
            source <("$0" completion bash) || exit 1
            COMP_WORDBREAKS=$2 COMP_LINE=$1 COMP_POINT=${#1}
            _cordon
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        let run = try execute(["bash", "--norc", "-c", script, cordon, line, breaks], directory: repository)
        #expect(run.status == 0 && run.errors.isEmpty, "\(run.errors)")
        return run.output.split(separator: "\n").map(String.init)
    }

    @Test(arguments: [
        (
            "cordon ",
            ["run", "policy", "session", "approve", "deny", "audit", "doctor", "completion", "help", "version"]
        ), ("cordon do", ["doctor"]),
        ("cordon run --pol", ["--policy"]), ("cordon run --policy preset:r", ["readonly"]),
        ("cordon run --policy=preset:r", ["readonly"]), ("cordon run --workspace Superv", ["Supervisor"]),
        ("cordon run --workspace=Superv", ["Supervisor"]), ("cordon run --workspace Packag", []),
        ("cordon run --env HOM", ["HOME"]), ("cordon run --timeout ", []),
        ("cordon run -- cat Packag", ["Package.swift"]),
        ("cordon run cat --po", []), ("cordon doctor --g", ["--guarantees"]),
        ("cordon completion ", ["bash", "zsh", "fish"]),
        ("cordon completion bash ", []),
        ("cordon help ", ["run", "policy", "session", "audit", "approve", "deny", "doctor", "completion"]),
        ("cordon session ", ["new", "exec", "attach", "ls", "inspect", "ps", "logs", "wait", "kill", "reopen", "rm"]),
        ("cordon session new --pol", ["--policy"]), ("cordon session exec --ba", ["--background"]),
        ("cordon audit ", ["verify", "tail"]),
        ("cordon audit verify --st", ["--state"]), ("cordon audit tail --state Superv", ["Supervisor"]),
        ("cordon audit tail -n 5 --fo", ["--follow"]),
        ("cordon policy sc", ["score", "schema"]),
        ("cordon policy check --as", ["--as-is"]), ("cordon policy check --policy preset:r", ["readonly"]),
        ("cordon policy simulate --log Packag", ["Package.swift"]), ("cordon policy score preset:r", ["readonly"]),
        ("cordon policy check -- l Packag", ["Package.swift"]),
    ]) func bash(_ line: String, _ expected: [String]) throws {
        #expect(try bash(line) == expected)
    }

    @Test func bashWithoutColonsAsBreaks() throws {
        #expect(try bash("cordon run --policy preset:r", breaks: " \t\n\"'><=;|&(") == ["preset:readonly"])
        #expect(try bash("cordon run --policy=preset:r", breaks: " \t\n") == ["--policy=preset:readonly"])
    }

    /// The table of options is the one of the help texts.
    @Test(arguments: [
        ["help", "run"], ["doctor", "--help"], ["policy", "check", "--help"], ["policy", "explain", "--help"],
        ["policy", "test", "--help"], ["policy", "lint", "--help"], ["policy", "diff", "--help"],
        ["policy", "simulate", "--help"], ["policy", "score", "--help"], ["policy", "fmt", "--help"],
        ["policy", "schema", "--help"], ["policy", "trust", "--help"], ["audit", "verify", "--help"],
        ["audit", "tail", "--help"], ["session", "new", "--help"], ["session", "exec", "--help"],
        ["session", "attach", "--help"], ["session", "ls", "--help"], ["session", "rm", "--help"],
        ["session", "ps", "--help"], ["session", "logs", "--help"], ["session", "wait", "--help"],
        ["session", "kill", "--help"], ["session", "reopen", "--help"],
    ]) func optionsAreThoseOfTheHelp(_ help: [String]) throws {
        let text = try execute([cordon] + help).output
        let told = text.split(separator: "\n").flatMap { line -> [Substring] in
            guard line.hasPrefix("  -") else { return [] }
            let head = line.dropFirst(2).prefix { $0.isLetter || "-, ".contains($0) }
            return head.split(whereSeparator: { $0 == " " || $0 == "," }).filter { $0.hasPrefix("-") }
        }
        let command = help.first == "help" ? "run" : help.dropLast().joined(separator: " ")
        let offered = Set(try bash("cordon \(command) -") + (command == "run" ? bash("cordon run ") : [])).subtracting([
            "--", "--help", "-h",
        ])
        #expect(Set(told.map(String.init)) == offered)
    }

    @Test(.enabled(if: isInstalled("zsh"))) func zsh() throws {
        let run = try execute([
            "zsh", "-f", "-c", "autoload -U compinit && compinit -D; source <($0 completion zsh); echo $_comps[cordon]",
            cordon,
        ])
        #expect(run.output == "_cordon\n" && run.errors.isEmpty)
    }

    @Test(.enabled(if: isInstalled("fish"))) func fish() throws {
        let run = try execute([
            "fish", "--no-config", "-c",
            "$argv[1] completion fish | source; complete -C 'cordon run --policy preset:r'", cordon,
        ])
        #expect(run.output.hasPrefix("preset:readonly"))
    }

    @Test func wrongCalls() throws {
        for words in [[], ["ksh"], ["bash", "zsh"]] {
            let run = try execute([cordon, "completion"] + words)
            #expect(run.status == 125 && run.output.isEmpty && run.errors.hasPrefix("cordon: "))
        }
    }
}
