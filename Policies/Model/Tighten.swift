/// What one request asks for: options of `cordon run`. Where one is nil, the policy's limit stays.
public struct RequestLimits: Sendable {
    /// The deadline, in milliseconds.
    public var wall: Milliseconds?
    /// Memory, in bytes.
    public var memory: UInt64?
    /// Processes and threads.
    public var pids: UInt64?
    /// Variables to set. The last of a name wins; one that the policy sets cannot be set to another value.
    public var environment: [(String, String)]

    /// A request for these limits.
    public init(
        wall: Milliseconds? = nil, memory: UInt64? = nil, pids: UInt64? = nil, environment: [(String, String)] = []
    ) {
        self.wall = wall
        self.memory = memory
        self.pids = pids
        self.environment = environment
    }
}

extension Policy {
    /// Applies a request, which can only tighten.
    ///
    /// - Parameter machineMemory: bytes of memory of this machine, needed where the policy's limit is a percentage;
    ///   without it, such a limit cannot be compared and the request is refused.
    /// - Throws: ``PolicyError`` when the request asks for more than a limit, naming the limit's line; the policy is
    ///   then unchanged.
    public mutating func tighten(
        to request: RequestLimits, machineMemory: UInt64? = nil
    ) throws(PolicyError) {
        let findings = Findings()
        var tightened = self
        if let wall = request.wall {
            tightened.resources.wall = tighter(
                wall, than: resources.wall, what: "wall time", format: formatDuration, findings)
        }
        if let pids = request.pids {
            tightened.resources.pids = tighter(
                pids, than: resources.pids, what: "processes", format: { "\($0)" }, findings)
        }
        if let memory = request.memory {
            tightened.resources.memory = tighterMemory(memory, machineMemory: machineMemory, findings)
        }
        for (name, value) in request.environment {
            do throws(InvalidValue) {
                try checkVariableName(name)
                try checkVariableValue(value, of: name)
                if let own = environment.set[name], !sameBytes(own, value) {
                    findings.report(
                        "the request sets \(quoted(name)), but the policy sets it to another value",
                        at: environment.setLocations[name], remedy: "leave it out, or change the policy")
                }
                tightened.environment.set[name] = value
            } catch {
                findings.report(error, at: nil)
            }
        }
        guard findings.diagnostics.isEmpty else { throw PolicyError(diagnostics: findings.diagnostics) }
        self = tightened
    }

    private func tighterMemory(
        _ wanted: UInt64, machineMemory: UInt64?, _ findings: Findings
    ) -> Located<MemorySize>? {
        var limit: Located<UInt64>?
        switch resources.memory?.value {
        case nil: break
        case .bytes(let bytes): limit = Located(bytes, at: resources.memory?.location)
        case .percent(let percent):
            guard let machineMemory else {
                findings.report(
                    "the policy limits memory to \(percent)% of the machine's, which is not known here",
                    at: resources.memory?.location, remedy: "leave the request out, or write the limit in bytes")
                return nil
            }
            limit = Located(MemorySize.percent(percent).bytes(ofMachine: machineMemory), at: resources.memory?.location)
        }
        let result = tighter(wanted, than: limit, what: "memory", format: formatSize, findings)
        return result.map { Located(.bytes($0.value), at: $0.location) }
    }

    private func tighter(
        _ wanted: UInt64, than limit: Located<UInt64>?, what: String, format: (UInt64) -> String, _ findings: Findings
    ) -> Located<UInt64>? {
        guard wanted > 0 else {
            findings.report("the request asks for no \(what) at all", at: nil, remedy: "ask for more than zero")
            return limit
        }
        guard let limit, wanted > limit.value else { return Located(wanted) }
        findings.report(
            "the request asks for \(format(wanted)) of \(what), but the policy allows \(format(limit.value))",
            at: limit.location, remedy: "ask for at most \(format(limit.value)), or change the policy")
        return limit
    }
}
