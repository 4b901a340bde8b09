// The probe in a jail, and its lines.
import Foundation
import Testing

/// A line of the probe: `VERB: OUTCOME detail`.
struct ProbeLine: Sendable, CustomStringConvertible {
    enum Outcome: Sendable, Equatable {
        case refused(String)
        case killed(String)
        case succeeded
        case observed
    }
    var outcome: Outcome
    var detail: String
    var description: String { "\(outcome) \(detail)" }

    init?(_ line: Substring) {
        let words = line.split(separator: " ", maxSplits: 1)
        guard words.count == 2, words[0].hasSuffix(":") else { return nil }
        let rest = words[1].split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        let more = rest.count > 1 ? rest[1].split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false) : []
        switch rest[0] {
        case "SUCCEEDED":
            outcome = .succeeded
            detail = rest.count > 1 ? String(rest[1]) : ""
        case "observed":
            outcome = .observed
            detail = rest.count > 1 ? String(rest[1]) : ""
        case "refused", "killed":
            outcome = rest[0] == "refused" ? .refused(String(more.first ?? "")) : .killed(String(more.first ?? ""))
            detail = more.count > 1 ? String(more[1]) : ""
        default: return nil
        }
    }
}

struct ProbeResult {
    var run: RunResult
    var lines: [ProbeLine]

    var succeeded: [ProbeLine] { lines.filter { $0.outcome == .succeeded } }
    /// The value of an `observed KEY=VALUE` line.
    subscript(key: String) -> String? {
        lines.first { $0.outcome == .observed && $0.detail.hasPrefix(key + "=") }.map {
            String($0.detail.dropFirst(key.count + 1))
        }
    }
    /// Every value of a key.
    func all(_ key: String) -> [String] {
        lines.filter { $0.outcome == .observed && $0.detail.hasPrefix(key + "=") }.map {
            String($0.detail.dropFirst(key.count + 1))
        }
    }
    /// What became of an attempt.
    func outcome(_ label: String) -> ProbeLine.Outcome? {
        lines.first { $0.detail == label || $0.detail.hasPrefix(label + " ") }?.outcome
    }

    /// Nothing got out, and what has to work does.
    ///
    /// - Parameter pretended: calls that are told to have succeeded and are not made; the caller checks their effect.
    func expectSafe(pretended: String? = nil, sourceLocation: SourceLocation = #_sourceLocation) {
        let escapes = succeeded.filter { $0.detail != pretended }
        #expect(escapes.map(\.description) == [], sourceLocation: sourceLocation)
        let failed = lines.filter {
            $0.outcome == .observed && ($0.detail.contains("=failed ") || $0.detail.contains("=hung"))
        }
        #expect(failed.map(\.description) == [], sourceLocation: sourceLocation)
        let expected = escapes.isEmpty && !succeeded.isEmpty ? 1 : 0
        #expect(run.report?.exitCode == expected, run.summary, sourceLocation: sourceLocation)
        #expect(!lines.isEmpty, run.summary, sourceLocation: sourceLocation)
    }
}

extension CordonRun {
    /// A run of the probe, which is copied into the workspace.
    static func probe(_ mode: Mode = .root, _ words: [String], policy more: String = "", options: [String] = []) throws
        -> CordonRun
    {
        let text = mode == .root && more.isEmpty ? nil : policy(mode, more)
        let run = try CordonRun(mode, ["./probe"] + words, options: options, policy: text)
        try run.bring("probe")
        return run
    }

    /// Copies a built program into the workspace.
    func bring(_ name: String) throws {
        let copy = workspace + "/" + name
        try FileManager.default.copyItem(atPath: try Built.path(name), toPath: copy)
        Calls.changeMode(copy, 0o755)
        Calls.changeOwner(copy, place.owner)
    }

    func probed(within seconds: Double = 30, sourceLocation: SourceLocation = #_sourceLocation) throws -> ProbeResult {
        let result = try run(within: seconds, sourceLocation: sourceLocation)
        let text = result.output + (result.report?.stderr ?? "")
        return ProbeResult(run: result, lines: text.split(separator: "\n").compactMap { ProbeLine($0) })
    }
}
