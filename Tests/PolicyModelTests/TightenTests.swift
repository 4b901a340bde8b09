import PolicyModel
import Testing

@Suite struct TightenTests {
    private func policy(_ resources: String) throws -> Policy { try loadBody("[resources]\n" + resources) }

    @Test func lessIsTaken() throws {
        var policy = try policy("wall = \"10s\"\nmemory = \"1G\"\npids = 8")
        try policy.tighten(
            to: RequestLimits(wall: 500, memory: 1 << 20, pids: 8, environment: [("A", "1"), ("A", "2")]))
        #expect(policy.resources.wall == Located(500))
        #expect(policy.resources.memory == Located(.bytes(1 << 20)))
        #expect(policy.resources.pids == Located(8))
        #expect(policy.environment.set == ["A": "2"])
    }

    @Test func whereThereIsNoLimitTheRequestIsIt() throws {
        var policy = try load(["main.toml": "version = 1"])
        try policy.tighten(to: RequestLimits(wall: 1, memory: 2, pids: 3))
        #expect(policy.resources.wall?.value == 1 && policy.resources.memory?.value == .bytes(2))
        #expect(policy.resources.pids?.value == 3)
    }

    @Test func moreNamesEachLineAndChangesNothing() throws {
        var policy = try policy("wall = \"10s\"\nmemory = \"1G\"\npids = 8")
        let before = policy
        let request = RequestLimits(
            wall: 10_001, memory: 1 << 31, pids: 9, environment: [("A=", "1"), ("B", "\0"), ("C", "ok")])
        let error = #expect(throws: PolicyError.self) { try policy.tighten(to: request) }
        #expect(
            error?.diagnostics.compactMap { $0.location?.description } == [
                "main.toml:3:8", "main.toml:5:8", "main.toml:4:10",
            ])
        #expect(error?.diagnostics.count == 5)
        #expect(
            error?.diagnostics.first?.description
                == "main.toml:3:8: the request asks for 10001ms of wall time, but the policy allows 10s "
                + "(ask for at most 10s, or change the policy)")
        #expect(policy == before)
    }

    @Test func aVariableOfThePolicyStays() throws {
        var policy = try loadBody("[env.set]\nA = \"1\"")
        try policy.tighten(to: RequestLimits(environment: [("A", "1"), ("B", "2")]))
        #expect(policy.environment.set == ["A": "1", "B": "2"])
        let error = #expect(throws: PolicyError.self) {
            try policy.tighten(to: RequestLimits(environment: [("A", "2")]))
        }
        #expect(error?.diagnostics.first?.location == SourceLocation(file: "main.toml", line: 3, column: 5))
    }

    @Test func nothingAtAllIsNoLimit() throws {
        var policy = try policy("wall = \"10s\"")
        let error = #expect(throws: PolicyError.self) {
            try policy.tighten(to: RequestLimits(wall: 0, memory: 0, pids: 0))
        }
        #expect(error?.diagnostics.count == 3)
    }

    @Test func aShareOfMemoryIsComparedOnThisMachine() throws {
        var policy = try policy("memory = \"75%\"")
        #expect(throws: PolicyError.self) { try policy.tighten(to: RequestLimits(memory: 1)) }
        #expect(throws: PolicyError.self) {
            try policy.tighten(to: RequestLimits(memory: 751), machineMemory: 1000)
        }
        try policy.tighten(to: RequestLimits(memory: 750), machineMemory: 1000)
        #expect(policy.resources.memory?.value == .bytes(750))
    }
}
