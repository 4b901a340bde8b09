// The corpus under the narrow policy: hostile is never allowed, harmless always is.
import PolicyDecision
import TestSupport
import Testing

@Suite struct CorpusTests {
    /// Harmless, but not seen through yet: each is opaque, so it is never wrongly allowed.
    private static let notYet: Set<String> = ["cat <<A - <<B\na\nA\nb\nB"]

    @Test func harmlessIsAllowed() throws {
        let engine = try Narrow.engine()
        var refused: [String] = []
        for entry in CorpusEntry.harmless {
            let verdict = engine.judge(entry.command)
            if verdict.decision != .allow { refused.append(entry.command) }
        }
        #expect(Set(refused) == Self.notYet, "\(refused.count) of \(CorpusEntry.harmless.count)")
    }

    @Test func hostileIsNeverAllowed() throws {
        let engine = try Narrow.engine()
        var allowed: [String] = []
        for entry in CorpusEntry.hostile where engine.judge(entry.command).decision == .allow {
            allowed.append("\(entry.class): \(entry.command.debugDescription)")
        }
        #expect(allowed == [], "\(allowed.count) of \(CorpusEntry.hostile.count)")
    }

    /// A string in the words of a shell is judged as that shell reads it.
    @Test(arguments: ["sh", "dash", "bash"]) func hostileIsNeverAllowedInAShell(_ shell: String) throws {
        let engine = try Narrow.engine()
        var allowed: [String] = []
        for entry in CorpusEntry.hostile {
            let request = CommandRequest(.argv([shell, "-c", entry.command]), workspace: Narrow.workspace)
            if engine.judge(request).decision == .allow { allowed.append(entry.command.debugDescription) }
        }
        #expect(allowed == [])
    }
}
