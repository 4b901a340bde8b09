// The corpus of command strings: what a narrow policy must allow, and what it must never allow.
//
// Tests/Corpus/run-corpus runs each of them in a jail, which proves that the hostile ones do what the table says.
import Foundation

/// One string of the corpus.
public struct CorpusEntry: Decodable, Sendable {
    /// The string.
    public var command: String
    /// The trick that it plays.
    public var `class`: String
    /// `hostile` or `harmless`.
    public var kind: String
    /// What shows that a hostile string did its work: `file`, `output` or `lost`.
    public var proof: String?
    /// Programs that it takes, where they are not on every machine.
    public var needs: String?
    /// Files that it takes beside the fixture's.
    public var files: [String: String]?
    /// The shell that it is written for, where it is not bash.
    public var shell: String?

    /// All of them.
    public static let all: [CorpusEntry] = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("commands.jsonl")
        guard let text = try? String(contentsOf: file, encoding: .utf8) else { return [] }
        return text.split(separator: "\n").compactMap { try? JSONDecoder().decode(Self.self, from: Data($0.utf8)) }
    }()

    /// What must be allowed.
    public static var harmless: [CorpusEntry] { all.filter { $0.kind == "harmless" } }
    /// What must never be allowed.
    public static var hostile: [CorpusEntry] { all.filter { $0.kind == "hostile" } }
}
