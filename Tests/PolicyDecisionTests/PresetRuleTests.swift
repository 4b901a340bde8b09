// The presets' own examples and tests, and how exposed they leave a machine.
import PolicyDecision
import PolicyModel
import PolicyPresets
import Testing

@Suite struct PresetRuleTests {
    @Test(arguments: presetNames) func examplesHold(_ name: String) throws {
        let policy = try Policy.load("preset:\(name)") { (_) throws(FileReadFailure) in throw .missing }
        let results = try policy.runExamples()
        #expect(!policy.tests.isEmpty)
        #expect(results.compactMap(\.failure) == [])
    }

    /// Pinned: a preset that becomes more exposed is a decision, not an accident.
    @Test(arguments: [
        ("unconfined-command", 13), ("readonly", 13), ("agent", 25), ("build", 25), ("ci", 25), ("pure", 9),
    ]) func exposure(_ name: String, _ tenths: Int) throws {
        let policy = try Policy.load("preset:\(name)") { (_) throws(FileReadFailure) in throw .missing }
        #expect(policy.exposure().tenths == tenths)
    }
}
