// The command line, strictly: an option that is not known is an error, never ignored.
internal import Linux

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

/// This program's arguments. One that is not UTF-8 is refused: Swift would repair it, and what runs would
/// not be what was asked for.
func programArguments() -> [String] {
    Array(Linux.commandLine().dropFirst())
}

/// Takes options apart: `--name value`, `--name=value`, `--flag`, until `--` or the first other word.
struct OptionReader {
    private var rest: ArraySlice<String>

    init(_ arguments: [String]) { rest = arguments[...] }

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
            let guess = nearest(name, known).map { "did you mean \($0)?" } ?? "see cordon help run"
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

/// The known word that is most like another, if any is alike (optimal string alignment distance).
func nearest(_ word: String, _ known: [String]) -> String? {
    let ranked = known.map { ($0, distance(Array(word.utf8), Array($0.utf8))) }.min { $0.1 < $1.1 }
    guard let (best, far) = ranked, far <= max(2, best.utf8.count / 3) else { return nil }
    return best
}

private func distance(_ first: [UInt8], _ second: [UInt8]) -> Int {
    guard first.count < 64, second.count < 64 else { return .max }
    var rows = [Array(0...second.count)]
    for i in 0..<first.count {
        var row = [i + 1]
        for j in 0..<second.count {
            var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (first[i] == second[j] ? 0 : 1))
            if i > 0, j > 0, first[i] == second[j - 1], first[i - 1] == second[j] {
                best = min(best, rows[i - 1][j - 1] + 1)
            }
            row.append(best)
        }
        rows.append(row)
    }
    return rows[first.count][second.count]
}
