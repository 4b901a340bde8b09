// The corpus of command strings: what a narrow policy must allow, and what it must never allow.
//
// Each hostile string was run in a jail-like sandbox to prove that it does what its class says; see the notes in it.
import Foundation

struct CorpusEntry: Decodable, Sendable {
    var command: String
    var `class`: String
    var kind: String
    var shell: String?

    static let all: [CorpusEntry] = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("commands.jsonl")
        guard let text = try? String(contentsOf: file, encoding: .utf8) else { return [] }
        return text.split(separator: "\n").compactMap { try? JSONDecoder().decode(Self.self, from: Data($0.utf8)) }
    }()

    static var harmless: [CorpusEntry] { all.filter { $0.kind == "harmless" } }
    static var hostile: [CorpusEntry] { all.filter { $0.kind == "hostile" } }
}
