// Commands that have subcommands: how one is found, and how it fails.
internal import Client
internal import Linux
internal import PolicyModel
internal import SupervisorCore

/// A subcommand.
struct Subcommand: Sendable {
    var name: String
    var says: String
    var options: [CommandOption]
    var operand = OptionValue.none
    var help: String
    var run: @Sendable ([String]) throws(SubcommandFailure) -> Never

    /// The names that its options have.
    var known: [String] { options.flatMap { [$0.name] + ($0.short.map { [$0] } ?? []) } }
}

/// Why a subcommand did not do what it should.
enum SubcommandFailure: Error {
    case usage(UsageError)
    case policy(PolicyError)
    /// A file that cannot be read or written.
    case file(String, Errno)
    /// What a supervisor answered, or that it did not.
    case client(ClientError)
    case other(LaunchFailure)

    var text: String {
        switch self {
        case .usage(let error): error.description
        case .policy(let error): error.diagnostics.map(\.description).joined(separator: "\ncordon: ")
        case .file(let path, let error): "\(path): \(error.message)"
        case .client(let error): error.text
        case .other(let failure): failure.description
        }
    }
}

/// Runs one of a command's subcommands and exits.
///
/// - Parameter wrong: the exit code for a call that makes no sense, and for a failure.
func runSubcommand(
    of command: String, _ subcommands: [Subcommand], help: String, wrong: Int32, _ arguments: [String]
) -> Never {
    func fail(_ failure: SubcommandFailure) -> Never {
        leave(printing: "cordon: \(failure.text)\n", code: wrong, to: 2)
    }
    func failUnknown(_ name: String) -> Never {
        let guess = nearest(to: name, in: subcommands.map(\.name)).map { "did you mean \"\($0)\"?" }
        fail(
            .usage(
                UsageError(
                    "unknown command \"\(command) \(printable(name))\"",
                    remedy: guess ?? "see cordon \(command) --help")))
    }
    guard let name = arguments.first, name != "--help", name != "-h", name != "help" else {
        let isAsked = !arguments.isEmpty
        if arguments.first == "help", let wanted = arguments.dropFirst().first, !wanted.hasPrefix("-") {
            guard let found = subcommands.first(where: { $0.name == wanted }) else { failUnknown(wanted) }
            leave(printing: found.help, code: 0)
        }
        leave(printing: help, code: isAsked ? 0 : wrong, to: isAsked ? 1 : 2)
    }
    guard let subcommand = subcommands.first(where: { $0.name == name }) else {
        failUnknown(name)
    }
    let rest = Array(arguments.dropFirst())
    if rest.prefix(while: { $0 != "--" }).contains(where: { $0 == "--help" || $0 == "-h" }) {
        leave(printing: subcommand.help, code: 0)
    }
    do throws(SubcommandFailure) { try subcommand.run(rest) } catch { fail(error) }
}

/// A usage error as a failure.
func usage<Result>(_ body: () throws(UsageError) -> Result) throws(SubcommandFailure) -> Result {
    do throws(UsageError) { return try body() } catch { throw .usage(error) }
}

/// What a supervisor answers, or its failure.
@discardableResult
func asking<Result>(_ body: () throws(ClientError) -> Result) throws(SubcommandFailure) -> Result {
    do throws(ClientError) { return try body() } catch { throw .client(error) }
}

/// A line for each, as help texts have them.
func subcommandList(_ subcommands: [Subcommand]) -> String {
    let width = subcommands.map(\.name.count).max() ?? 0
    return subcommands.map { "  \(padded($0.name, width))  \($0.says)\n" }.joined()
}
