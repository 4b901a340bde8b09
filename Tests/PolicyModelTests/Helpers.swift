import PolicyModel
import Testing

/// Loads `main.toml` from files given as texts.
func load(_ files: [String: String], from reference: String = "main.toml") throws(PolicyError) -> Policy {
    try Policy.load(reference) { (path) throws(FileReadFailure) in
        guard let text = files[path] else { throw .missing }
        return Array(text.utf8)
    }
}

/// Loads a policy of one file that starts with `version = 1` on its first line.
func loadBody(_ body: String) throws(PolicyError) -> Policy { try load(["main.toml": "version = 1\n" + body]) }

/// What is wrong with a policy of one file; empty when nothing is.
func diagnostics(_ text: String) -> [Diagnostic] { diagnostics(["main.toml": text]) }

func diagnostics(_ files: [String: String], from reference: String = "main.toml") -> [Diagnostic] {
    do throws(PolicyError) {
        _ = try load(files, from: reference)
        return []
    } catch {
        return error.diagnostics
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): a run is repeated by its seed.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// A new seed each time, printed by the test that uses it.
    static func freshSeed() -> UInt64 { .random(in: .min ... .max) }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
