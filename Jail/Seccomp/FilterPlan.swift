/// A filter as plain data, between the tables and libseccomp: it can be printed, hashed and compared
/// without compiling anything.

/// What the kernel answers.
enum CallVerdict: UInt32, Sendable, Hashable, CustomStringConvertible {
    // SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(x), SCMP_ACT_KILL_PROCESS: macros that do not import.
    case allow = 0x7FFF_0000
    /// EPERM, 1.
    case refuse = 0x0005_0001
    /// ENOSYS, 38.
    case absent = 0x0005_0026
    /// EPROTONOSUPPORT, 93.
    case unsupported = 0x0005_005D
    /// The call is not made, and its caller is told that it succeeded.
    case pretend = 0x0005_0000
    case kill = 0x8000_0000

    var description: String {
        switch self {
        case .allow: "allow"
        case .refuse: "EPERM"
        case .absent: "ENOSYS"
        case .unsupported: "EPROTONOSUPPORT"
        case .pretend: "pretend"
        case .kill: "kill"
        }
    }
}

/// One program, before it is compiled.
struct FilterPlan: Sendable {
    let name: String
    /// For a call that no rule names.
    let otherwise: CallVerdict
    let rules: [ArgumentRule]

    var summary: String {
        let allowed = rules.count { $0.verdict == .allow && $0.tests.isEmpty }
        let refused = rules.count { $0.verdict != .allow && $0.tests.isEmpty }
        return "\(allowed) calls allowed, \(refused) refused"
    }

    /// Everything that decides what the program does; reasons do not.
    func hash(into hash: inout Fingerprint) {
        hash.add(otherwise.rawValue)
        hash.add(badArchitecture.rawValue)
        for rule in rules {
            hash.add(rule.call)
            hash.add(rule.verdict.rawValue)
            for test in rule.tests {
                let comparison = test.comparison
                hash.add(comparison.arg)
                hash.add(comparison.op.rawValue)
                hash.add(UInt32(truncatingIfNeeded: comparison.datum_a))
                hash.add(UInt32(truncatingIfNeeded: comparison.datum_a >> 32))
                hash.add(UInt32(truncatingIfNeeded: comparison.datum_b))
                hash.add(UInt32(truncatingIfNeeded: comparison.datum_b >> 32))
            }
        }
        for (name, number) in CallTables.newNumbers.sorted(by: { $0.value < $1.value }) {
            hash.add(name)
            hash.add(UInt32(bitPattern: number))
        }
    }
}

/// For int 0x80 and the x32 numbers, in both programs.
let badArchitecture = CallVerdict.kill

/// The program that refuses by argument.
func argumentPlan(_ request: FilterRequest) -> FilterPlan {
    FilterPlan(name: "arguments", otherwise: .allow, rules: ArgumentRules.rules(for: request))
}

/// The program that allows by number.
func callPlan(_ request: FilterRequest) -> FilterPlan {
    let exact = Set(ArgumentRules.exactRules.map(\.call))
    var rules: [ArgumentRule] = []
    for group in CallTables.groups {
        let verdict = group.verdict(for: request)
        for name in group.names where !exact.contains(name) {
            rules.append(ArgumentRule(name, [], group.title, gives: verdict))
        }
    }
    return FilterPlan(name: "calls", otherwise: .absent, rules: rules + ArgumentRules.exactRules)
}

/// FNV-1a, 64 bits (RFC 9923). The key guards against stale files, not against an attacker: whoever can
/// write the cache could write the programs themselves.
struct Fingerprint {
    private var state: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func add(_ value: UInt32) {
        for shift in stride(from: 0, to: 32, by: 8) { add(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
    }

    /// With an end mark, so that "ab" + "c" and "a" + "bc" differ.
    mutating func add(_ text: String) {
        for byte in text.utf8 { add(byte) }
        add(UInt8(0))
    }

    private mutating func add(_ byte: UInt8) {
        state = (state ^ UInt64(byte)) &* 0x100_0000_01B3
    }

    /// Sixteen hexadecimal digits.
    var text: String {
        let digits = String(state, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
