// How an `ask` is answered in `cordon run`: by the person at the terminal, for once or for the terminal's session.
internal import Caller
internal import Linux
internal import PolicyDecision
internal import PolicyModel

/// Commands that a person has approved until the session of their terminal ends: a line for each,
/// `SHA-256 SESSION DEADLINE`, the deadline in milliseconds since boot.
struct ApprovalStore {
    private let file: StateFile
    private let session: String

    /// - Returns: nil where there is no session that could be told from another one later.
    init?(_ environment: [(name: String, value: String)]) {
        guard let file = StateFile("approved", environment), let session = terminalSession() else { return nil }
        self.file = file
        self.session = session
    }

    /// Whether these very words were approved, in this place, under these policies.
    func holds(_ key: String) -> Bool {
        file.lines().contains { line in
            guard let known = Self.read(line) else { return false }
            return known.key == key && known.session == session && known.deadline > Self.now
        }
    }

    /// So many are kept: no person gives more in one session.
    private static let most = 1000

    /// Remembers an approval, and forgets those that are over, of other boots too.
    func remember(_ key: String, for expiry: Milliseconds?) throws(Errno) {
        let end = expiry.map { Self.now.addingReportingOverflow($0) }
        let deadline = end.map { $0.overflow ? UInt64.max : $0.partialValue } ?? .max
        let line = "\(key) \(session) \(deadline)"
        let boot = session.prefix { $0 != "/" }
        try file.replace { lines in
            let kept = lines.filter { line in
                guard let known = Self.read(line) else { return false }
                return known.deadline > Self.now && known.session.hasPrefix(boot)
            }
            return kept.suffix(Self.most) + [Array(line.utf8)]
        }
    }

    /// What an approval is about: the words, where and in which circumstances they run, and every policy that had a say.
    static func key(_ command: [String], in place: Workspace, _ circumstances: [String], _ tiers: [Tier]) -> String {
        let lists = [[place.path, place.directory], command, circumstances]
        return digest(
            lists.flatMap { [Array("\($0.count)".utf8)] + $0.map(pathBytes) }
                + tiers.map { Array($0.policy.description.utf8) })
    }

    private static var now: UInt64 { bootNanoseconds() / 1_000_000 }

    private static func read(_ line: [UInt8]) -> (key: String, session: String, deadline: UInt64)? {
        let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard fields.count == 3, let deadline = UInt64(String(decoding: fields[2], as: UTF8.self)) else { return nil }
        return (String(decoding: fields[0], as: UTF8.self), String(decoding: fields[1], as: UTF8.self), deadline)
    }
}

/// Asks the person at the terminal.
///
/// - Returns: for what the answer holds; nil for no, for no answer in time, and where nobody can be asked.
func askAtTerminal(
    _ verdict: Verdict, _ command: [String], _ terms: ApprovalTerms, canRemember: Bool
) -> ApprovalRules.Scope? {
    // The terminal itself, not standard input: that is the command's, and may be what an agent writes.
    guard let terminal = try? open("/dev/tty", .readWrite) else { return nil }
    let remembers = terms.contains(.session) && canRemember
    var text = "cordon: may this be run? \(printable(command.map(shellWord).joined(separator: " ")))\n"
    if let reason = verdict.mainEvidence { text += "  \(printable(reason.rule)): \(printable(reason.reason))\n" }
    let limit = terms.expiry.map { ", for \(formatDuration($0))" } ?? ""
    if terms.contains(.once) { text += "  y: yes, this once\n" }
    if remembers { text += "  s: yes, and exactly this command until the terminal's session ends\(limit)\n" }
    text += terms.expiry.map { "  N: no; so it is without an answer in \(formatDuration($0))\n> " } ?? "  N: no\n> "
    do throws(Errno) {
        try terminal.writeAll(Array(text.utf8))
        let line = try readLine(terminal, within: terms.expiry)
        switch line {
        case "y", "Y", "yes": return terms.contains(.once) ? .once : nil
        case "s", "S", "session": return remembers ? .session : nil
        case nil:
            try terminal.writeAll(Array("\ncordon: not answered in time\n".utf8))
            return nil
        default: return nil
        }
    } catch {
        return nil
    }
}

/// What was typed before the end of the line; nil where the time is up first.
private func readLine(_ terminal: borrowing Descriptor, within limit: Milliseconds?) throws(Errno) -> String? {
    let start = bootNanoseconds() / 1_000_000
    var line: [UInt8] = []
    while line.count < 100 {
        if let limit {
            let passed = bootNanoseconds() / 1_000_000 - start
            guard passed < limit else { return nil }
            // poll(2) counts in 32 bits: 24 days, after which the loop comes here again.
            guard try waitReadable(terminal.raw, milliseconds: Int(clamping: limit - passed)) else { continue }
        }
        var byte: [UInt8] = [0]
        if try terminal.read(into: &byte, upTo: 1) == 0 || byte[0] == UInt8(ascii: "\n") { break }
        line += byte
    }
    return String(decoding: line, as: UTF8.self)
}
