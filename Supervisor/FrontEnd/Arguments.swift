// The command line, strictly: an option that is not known is an error, never ignored.
internal import Linux
internal import PolicyModel

/// A call that makes no sense, and what to do about it.
struct UsageError: Error, CustomStringConvertible {
    var message: String
    var remedy: String

    init(_ message: String, remedy: String = "see cordon --help") {
        self.message = message
        self.remedy = remedy
    }

    var description: String { "\(message) (\(remedy))" }
}

/// This program's arguments, of any bytes (`pathText`).
func programArguments() -> [String] {
    Array(Linux.commandLine().dropFirst())
}

/// Takes options apart: `--name value`, `--name=value`, `--flag`, until `--` or the first other word.
struct OptionReader {
    private var rest: ArraySlice<String>

    private let help: String

    /// - Parameter help: what to look at where an option is not known.
    init(_ arguments: [String], help: String) {
        rest = arguments[...]
        self.help = help
    }

    /// The next option's name; nil when the operands begin.
    mutating func next(known: [String]) throws(UsageError) -> (name: String, attached: String?)? {
        guard let word = rest.first else { return nil }
        if word == "--" {
            rest.removeFirst()
            return nil
        }
        guard word.hasPrefix("-"), word != "-" else { return nil }
        rest.removeFirst()
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        guard known.contains(name) else {
            let guess = nearest(to: name, in: known).map { "did you mean \($0)?" } ?? "see \(help)"
            throw UsageError("unknown option \(name)", remedy: guess)
        }
        return (name, parts.count > 1 ? String(parts[1]) : nil)
    }

    /// The value of an option that takes one.
    mutating func value(of option: (name: String, attached: String?)) throws(UsageError) -> String {
        if let attached = option.attached { return attached }
        guard let word = rest.popFirst() else { throw UsageError("\(option.name) needs a value") }
        return word
    }

    /// Refuses `--flag=value`.
    func requireFlag(_ option: (name: String, attached: String?)) throws(UsageError) {
        if option.attached != nil { throw UsageError("\(option.name) takes no value") }
    }

    /// What follows the options.
    var operands: [String] { Array(rest) }
}
