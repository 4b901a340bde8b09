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

    /// Nothing but tests is left out where tests are.
    @Test(arguments: presetNames) func testsAreLast(_ name: String) throws {
        func load(_ tests: Bool) throws -> Policy {
            try Policy.load("preset:\(name)", presetTests: tests) { (_) throws(FileReadFailure) in throw .missing }
        }
        var whole = try load(true)
        let bare = try load(false)
        #expect(!whole.tests.isEmpty && bare.tests.isEmpty)
        whole.tests = []
        #expect(whole == bare)
    }

    /// Pinned: a preset that becomes more exposed is a decision, not an accident.
    @Test(arguments: [
        ("unconfined-command", 7), ("readonly", 14), ("agent", 26), ("build", 26), ("ci", 26), ("pure", 10),
    ]) func exposure(_ name: String, _ tenths: Int) throws {
        let policy = try Policy.load("preset:\(name)") { (_) throws(FileReadFailure) in throw .missing }
        #expect(policy.exposure().tenths == tenths)
    }
}
