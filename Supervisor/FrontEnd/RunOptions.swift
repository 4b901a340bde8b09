// The options of `cordon run`.
internal import Linux
internal import PolicyModel

struct RunOptions {
    /// Nil for a trusted project's own, else preset:agent.
    var policy: String?
    var image: String?
    var workspace: String?
    var limits = RequestLimits()
    var json = false
    var terminal = false
    var report: String?
    var printPlan = false
    var timing = false
    var verbose = false
    var command: [String] = []

    private static let known = [
        "--policy", "--image", "--workspace", "--timeout", "--memory", "--pids", "--env", "--json", "--report",
        "--print-plan", "--timing", "--interactive", "-i", "--tty", "-t", "-it", "-ti", "--verbose", "-v", "--help",
        "-h",
    ]

    static let help = """
        cordon run: run a command in a jail of its own

        usage: cordon run [OPTION…] -- COMMAND [ARGUMENT…]

          --policy P        a policy file, or preset:NAME (agent, build, ci, pure, readonly);
                            else a trusted .cordon.toml, else preset:agent
          --workspace DIR   the directory that the command works in; the current directory
          --image DIR       a directory with a root file system; the host's /usr
          --timeout D       a deadline, such as 500ms, 30s, 5m; at most the policy's
          --memory S        a limit for the whole tree, such as 64M, 2G; at most the policy's
          --pids N          a limit on processes; at most the policy's
          --env K=V         set a variable (may be given again); --env K passes the caller's
          -t, --tty         give the command a terminal of the jail's own, in place of this one
          -i, --interactive pass standard input on, which is done in any case: -it is -t
          --json            print exactly one JSON object, with the output captured in it
          --report FILE     write that object to FILE as well
          --print-plan      print what would be done, step by step, and do nothing
          --timing          print when each step of the start was done
          -v, --verbose     print a report for people after the run

        exit codes: the command's own; 124 a time limit; 125 Cordon failed; 126 denied or not executable;
                    127 not found; 137 killed for memory or output; 128+N killed by signal N

        examples:
          cordon run -- make test
          cordon run --memory 256M --timeout 10s -- python3 untrusted.py
          cordon run --policy preset:readonly --json -- rg TODO
          cordon run -it -- bash

        """

    init(_ arguments: [String]) throws(UsageError) {
        var reader = OptionReader(arguments, help: "cordon help run")
        while let option = try reader.next(known: Self.known) {
            switch option.name {
            case "--policy": policy = try reader.value(of: option)
            case "--image": image = try reader.value(of: option)
            case "--workspace": workspace = try reader.value(of: option)
            case "--timeout": limits.wall = try Self.quantity(option.name, try reader.value(of: option), parseDuration)
            case "--memory": limits.memory = try Self.quantity(option.name, try reader.value(of: option), parseSize)
            case "--pids":
                let text = try reader.value(of: option)
                guard let count = UInt64(text), count > 0 else {
                    throw UsageError(
                        "--pids \(text): not a number of processes", remedy: "write a whole number, such as 64")
                }
                limits.pids = count
            case "--env": limits.environment.append(try Self.variable(try reader.value(of: option)))
            case "--report": report = try reader.value(of: option)
            case "--help", "-h": throw UsageError.help
            default:
                try reader.requireFlag(option)
                switch option.name {
                case "--json": json = true
                case "--tty", "-t", "-it", "-ti": terminal = true
                case "--interactive", "-i": break
                case "--print-plan": printPlan = true
                case "--timing": timing = true
                default: verbose = true
                }
            }
        }
        command = reader.operands
        guard let name = command.first else {
            throw UsageError("no command", remedy: "write it after --, as in: cordon run -- make test")
        }
        if name.isEmpty { throw UsageError("the command's name is empty") }
        if terminal { try checkTerminal() }
    }

    private func checkTerminal() throws(UsageError) {
        if json {
            throw UsageError(
                "--json captures what -t shows", remedy: "leave out one of them, or use --report FILE beside -t")
        }
        for (descriptor, name) in [(0, "standard input"), (1, "standard output")] as [(Int32, String)]
        where !printPlan && !isTerminal(descriptor) {
            throw UsageError(
                "-t needs a terminal, and \(name) is none",
                remedy: "leave out -t where input or output is a pipe or a file")
        }
    }

    static func quantity(
        _ option: String, _ text: String, _ parse: (String) throws(InvalidValue) -> UInt64
    ) throws(UsageError) -> UInt64 {
        do throws(InvalidValue) { return try parse(text) } catch {
            throw UsageError("\(option) \(error.message)", remedy: error.remedy ?? "see cordon help run")
        }
    }

    /// A quantity of which nothing is no limit.
    static func positive(
        _ option: String, _ text: String, _ parse: (String) throws(InvalidValue) -> UInt64
    ) throws(UsageError) -> UInt64 {
        let value = try quantity(option, text, parse)
        guard value > 0 else {
            throw UsageError("\(option) \(text): it must be more than 0", remedy: "leave it out for the policy's")
        }
        return value
    }

    static func variable(_ text: String) throws(UsageError) -> (String, String) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let name = parts.first, !name.isEmpty else {
            throw UsageError("--env \(text): no name", remedy: "write NAME=VALUE, or NAME to pass the caller's value")
        }
        if parts.count == 2 { return (name, parts[1]) }
        guard let value = callerEnvironment().first(where: { $0.name == name })?.value else {
            throw UsageError("--env \(name): it is not set here", remedy: "write \(name)=VALUE")
        }
        return (name, value)
    }
}

extension UsageError {
    /// Not an error: the user asked for help.
    static let help = UsageError("")
}

extension RunOptions {
    /// The values that options of several commands take.
    struct LimitReader {
        func duration(_ option: (name: String, attached: String?), _ reader: inout OptionReader)
            throws(SubcommandFailure)
            -> UInt64
        {
            try usage { () throws(UsageError) in
                try RunOptions.positive(option.name, try reader.value(of: option), parseDuration)
            }
        }

        func size(_ option: (name: String, attached: String?), _ reader: inout OptionReader) throws(SubcommandFailure)
            -> UInt64
        {
            try usage { () throws(UsageError) in
                try RunOptions.positive(option.name, try reader.value(of: option), parseSize)
            }
        }

        func count(_ option: (name: String, attached: String?), _ reader: inout OptionReader) throws(SubcommandFailure)
            -> UInt64
        {
            let text = try usage { () throws(UsageError) in try reader.value(of: option) }
            guard let count = UInt64(text), count > 0 else {
                throw .usage(
                    UsageError(
                        "\(option.name) \(text): not a number of processes", remedy: "write a whole number, such as 64")
                )
            }
            return count
        }

        func variable(
            _ option: (name: String, attached: String?), _ reader: inout OptionReader
        ) throws(SubcommandFailure) -> (String, String) {
            try usage { () throws(UsageError) in try RunOptions.variable(try reader.value(of: option)) }
        }
    }
}
