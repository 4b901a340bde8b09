// What a session's policies say now, where their files have changed since it was made. Both hold, whichever is stricter.
internal import PolicyDecision
internal import PolicyModel

/// Policies that were read again.
struct PresentPolicies: Sendable {
    /// What judges commands, beside the engine that the session was made with.
    let engine: Engine
    /// What limits them: of what was and what is now, the lesser.
    let policy: Policy
}

extension OpenSession {
    /// What limits its commands. What confines the jail itself stays as it was made.
    var policy: Policy { current?.policy ?? prepared.policy }

    /// The memory, in bytes, and the processes that one command may have: what its request wishes, else what the policies say
    /// now where that is less than what its jail was made with; nil: as much as the jail.
    func ownLimits(
        memory wishedMemory: UInt64?, pids wishedPids: UInt64?, machineMemory: UInt64
    ) -> (memory: UInt64?, pids: UInt64?) {
        func bytes(_ policy: Policy) -> UInt64? {
            policy.resources.memory?.value.bytes(ofMachine: machineMemory)
        }
        func lower(_ now: UInt64?, _ then: UInt64?) -> UInt64? {
            guard let now, now < then ?? .max else { return nil }
            return now
        }
        return (
            wishedMemory ?? lower(bytes(policy), bytes(prepared.policy)),
            wishedPids ?? lower(policy.resources.pids?.value, prepared.policy.resources.pids?.value)
        )
    }
}
