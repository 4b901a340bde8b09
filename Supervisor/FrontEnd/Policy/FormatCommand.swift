// `cordon policy fmt`: one form for all policy files. Comments and the order of things stay.
internal import Linux
internal import PolicyModel

let formatSubcommand = Subcommand(
    name: "fmt", says: "format policy files",
    options: [CommandOption(name: "--check", says: "change nothing"), .help], operand: .file, help: help, run: format)

private let help = """
    cordon policy fmt: format policy files in place

    usage: cordon policy fmt [--check] FILE…

      FILE      policy files; - for standard input, printed to standard output
      --check   change nothing, and exit 1 where a file is not formatted

    One space around `=`, one blank line before a table, four spaces in arrays of several lines, no space at the end of a
    line. Nothing is changed in a file whose meaning would change.

    examples:
      cordon policy fmt .cordon.toml
      cordon policy fmt --check policies/*.toml

    """

@Sendable private func format(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    var reader = OptionReader(arguments, help: "cordon policy fmt --help")
    var checks = false
    while let option = try usage({ () throws(UsageError) in try reader.next(known: formatSubcommand.known) }) {
        try usage { () throws(UsageError) in try reader.requireFlag(option) }
        checks = true
    }
    guard !reader.operands.isEmpty else { throw .usage(UsageError("no file", remedy: "name the files to format")) }
    var unformatted = ""
    for file in reader.operands {
        let bytes = try inputBytes(file)
        let text: String
        do throws(PolicyError) { text = try formattedToml(bytes, file: file) } catch { throw .policy(error) }
        if file == "-", !checks {
            put(text, to: 1)
        } else if Array(text.utf8) != bytes {
            if checks { unformatted += "\(printable(file)) is not formatted\n" } else { try writeText(text, to: file) }
        }
    }
    leave(printing: unformatted, code: unformatted.isEmpty ? 0 : PolicyExit.failed)
}
