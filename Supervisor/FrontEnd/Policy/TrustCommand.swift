// `cordon policy trust`: a project's policy may loosen only after its user has read it.
internal import Caller
internal import Linux
internal import PolicyModel

let trustSubcommand = Subcommand(
    name: "trust", says: "let a project's .cordon.toml stand for --policy",
    options: [
        CommandOption(name: "--revoke", says: "trust it no longer"),
        CommandOption(name: "--show", says: "say whether it is trusted"), .help,
    ], operand: .directory, help: help, run: trust)

private let help = """
    cordon policy trust: let a project's own policy stand for --policy, as it is now

    usage: cordon policy trust [--revoke | --show] [DIR]

      DIR        the project; the current directory
      --revoke   trust it no longer
      --show     say whether it is trusted, and exit 1 where it is not

    Until it is trusted, .cordon.toml can only tighten. Its hash is remembered, with all that it extends: after any change it
    has to be trusted again.

    examples:
      cordon policy trust
      cordon policy trust --revoke ~/work/project

    """

@Sendable private func trust(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    var reader = OptionReader(arguments, help: "cordon policy trust --help")
    var mode = ""
    while let option = try usage({ () throws(UsageError) in try reader.next(known: trustSubcommand.known) }) {
        try usage { () throws(UsageError) in try reader.requireFlag(option) }
        mode = option.name
    }
    guard reader.operands.count <= 1 else { throw .usage(UsageError("more than one project")) }
    let named = reader.operands.first ?? "."
    let project: String
    do throws(Errno) { project = try resolvedPath(named) } catch { throw .file(named, error) }
    let file = project + "/" + PolicyTiers.projectFile
    guard let store = TrustStore(callerEnvironment()) else {
        throw .usage(UsageError("there is no place to remember it", remedy: "set HOME or XDG_STATE_HOME"))
    }
    if mode == "--revoke" {
        do throws(Errno) { try store.revoke(file) } catch { throw .file(file, error) }
        leave(printing: "\(printable(file)) is trusted no longer\n", code: 0)
    }
    let sources: [PolicySource]
    do throws(PolicyError) { sources = try readPolicy(file).sources } catch { throw .policy(error) }
    if mode == "--show" {
        let isTrusted = store.trusts(file, sources)
        leave(
            printing: "\(printable(file)) is \(isTrusted ? "" : "not ")trusted\n",
            code: isTrusted ? 0 : PolicyExit.failed)
    }
    do throws(Errno) { try store.trust(file, sources) } catch { throw .file(file, error) }
    leave(printing: "\(printable(file)) is trusted as it is now\n", code: 0)
}
