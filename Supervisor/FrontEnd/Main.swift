// cordon: the front end. It reads the command line and prints; all that is privileged is in the core.
internal import Linux
internal import PolicyModel
internal import SupervisorCore

@main
struct Cordon {
    static func main() {
        // A reader that goes away is an error to handle, not a reason to die with a jail still running.
        Signal.ignore(Signal.pipe)
        // A file that is opened while one of 0-2 is closed would take its place, and get the command's output.
        try? fillStandardDescriptors()
        let arguments = programArguments()
        switch arguments.first {
        case "run": runCommand(Array(arguments.dropFirst()))
        case "policy": policyCommand(Array(arguments.dropFirst()))
        case "session": sessionCommand(Array(arguments.dropFirst()))
        case "approve": approveCommand(Array(arguments.dropFirst()), approves: true)
        case "deny": approveCommand(Array(arguments.dropFirst()), approves: false)
        case "audit": auditCommand(Array(arguments.dropFirst()))
        case "doctor": doctorCommand(Array(arguments.dropFirst()))
        case "version", "--version", "-V": leave(printing: "cordon \(version)\n", code: 0)
        case "help", "--help", "-h":
            showHelp(of: arguments.dropFirst().first, Array(arguments.dropFirst(2)))
        case "completion": completionCommand(Array(arguments.dropFirst()))
        case nil: leave(printing: help, code: ExitCode.cordonFailed, to: 2)
        case .some(let other): failUnknown(other)
        }
    }

    /// The page of a command, or of one of its subcommands.
    private static func showHelp(of command: String?, _ rest: [String]) -> Never {
        switch command {
        case nil, "help", "version", "--help", "-h": leave(printing: help, code: 0)
        case "run": leave(printing: RunOptions.help, code: 0)
        case "policy": policyCommand(["help"] + rest)
        case "session": sessionCommand(["help"] + rest)
        case "audit": auditCommand(["help"] + rest)
        case "approve", "deny": approveCommand(["--help"], approves: true)
        case "doctor": doctorCommand(["--help"])
        case "completion": completionCommand(["--help"])
        case .some(let other): failUnknown(other)
        }
    }

    private static func failUnknown(_ command: String) -> Never {
        let known = [
            "run", "policy", "session", "approve", "deny", "audit", "doctor", "help", "version", "completion",
        ]
        fail(
            UsageError(
                "unknown command \"\(printable(command))\"",
                remedy: nearest(to: command, in: known).map { "did you mean \"\($0)\"?" } ?? "see cordon --help"))
    }

    private static func fail(_ error: UsageError) -> Never {
        leave(printing: "cordon: \(error)\n", code: ExitCode.cordonFailed, to: 2)
    }

    static let version = "0.1.0"

    static let help = """
        cordon runs what must not be trusted, in a jail of Linux namespaces, seccomp, Landlock and cgroups.

        usage: cordon run [OPTION…] -- COMMAND [ARGUMENT…]
               cordon policy COMMAND [OPTION…]
               cordon session COMMAND [OPTION…]
               cordon approve|deny ID
               cordon audit verify|tail [OPTION…]
               cordon doctor [--json] [--guarantees]
               cordon completion bash|zsh|fish
               cordon help [COMMAND] | version

        examples:
          cordon run -- make test                   the current directory is the workspace, preset:agent the policy
          cordon run --policy preset:pure -- python3 -c 'print(2**64)'
          cordon run --json --timeout 5s -- ./untrusted < input
          cordon run --print-plan -- true           what would be done, step by step
          cordon policy check -- 'git status; id'   allow, ask or deny, and why
          cordon doctor                             what this machine can give, and what to do about the rest

        """
}

/// Exit codes of Cordon's own, as the command-line contract says.
enum ExitCode {
    static let cordonFailed: Int32 = 125
}

/// Writes a text to a descriptor and exits. What cannot be written is lost: there is nobody to tell.
func leave(printing text: String, code: Int32, to descriptor: Int32 = 1) -> Never {
    put(text, to: descriptor)
    exitNow(code)
}

/// Writes a whole text; false when it could not.
@discardableResult
func put(_ text: String, to descriptor: Int32) -> Bool {
    // Messages name files, and jails name files: a terminal is shown controls, never given them.
    // What goes to standard output is our own, colours included, or JSON.
    var rest = (descriptor == 2 && isTerminal(2) ? TerminalFilter.visible(text) : Array(text.utf8))[...]
    while !rest.isEmpty {
        do throws(Errno) { rest = rest.dropFirst(try write(descriptor, rest)) } catch {
            guard error == .again, (try? waitWritable(descriptor)) != nil else { return false }
        }
    }
    return true
}
