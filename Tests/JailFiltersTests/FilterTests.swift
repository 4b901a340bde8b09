/// The verdicts of compiled programs, asked of the evaluator: every request, every call, wide arguments.

import CLibseccomp
import CLinux
import Testing

@testable import JailFilters

let requests: [FilterRequest] = FilterPreset.allCases.flatMap { preset in
    (0..<8).map { bits in
        FilterRequest(
            preset: preset, allowExecutableMemoryFiles: bits & 1 != 0, allowUnixSockets: bits & 2 != 0,
            packageManager: bits & 4 != 0)
    }
}

@Suite struct Tables {
    @Test func everyNameResolvesAndStandsOnce() throws {
        var seen: Set<String> = []
        let names = CallTables.groups.flatMap(\.names) + CallTables.absent
        for name in names {
            #expect(seen.insert(name).inserted, "\(name) is in the tables twice")
            _ = try callNumber(name)
        }
        #expect(Set(try names.map(callNumber)).count == names.count)
        for rule in ArgumentRules.rules(for: FilterRequest(preset: .agent, allowUnixSockets: false)) {
            #expect(seen.contains(rule.call))
        }
    }

    /// A call that a newer libseccomp knows must be looked at, not slip in under the default.
    @Test func everyKnownCallIsClassified() throws {
        let known = Set(CallTables.groups.flatMap(\.names) + CallTables.absent)
        for number in Int32(0)..<600 {
            guard let name = unsafe seccomp_syscall_resolve_num_arch(seccomp_arch_native(), number) else { continue }
            // As free(3) on Linux, which CLinux does not carry.
            defer { unsafe name.deallocate() }
            let text = unsafe String(cString: name)
            #expect(known.contains(text), "\(text) (\(number)) is in no table")
        }
    }

    @Test func newNumbersAgreeWithLibseccomp() {
        #expect(Set(CallTables.newNumbers.values).count == CallTables.newNumbers.count)
        for (name, number) in CallTables.newNumbers {
            let known = unsafe seccomp_syscall_resolve_name(name)
            #expect(known < 0 || known == number, "\(name) is \(known)")
        }
    }
}

@Suite struct Verdicts {
    @Test(arguments: requests) func everyCallOfARequest(_ request: FilterRequest) throws {
        let programs = try compileFilters(request)
        #expect(try compileFilters(request) == programs)
        let stack = Stack(programs)
        var named: [UInt32: CallVerdict] = [:]
        for group in CallTables.groups {
            for name in group.names {
                named[UInt32(try callNumber(name))] = group.verdict(for: request)
            }
        }
        for number in UInt32(0)..<1024 {
            var expected = named[number] ?? .absent
            // With all arguments zero: domain 0 is refused, and so are the unix pairs' neighbours.
            if expected == .allow, number == 41 || number == 53 { expected = .refuse }
            #expect(stack.verdict(CallData(number: number)) == expected.rawValue, "call \(number)")
        }
    }

    /// Threat 15. Each program must kill by itself, whichever is asked.
    @Test(arguments: requests) func otherArchitecturesAreKilled(_ request: FilterRequest) throws {
        let stack = Stack(try compileFilters(request))
        let kill = CallVerdict.kill.rawValue
        for number in UInt32(0)..<1024 {
            let legacy = CallData(number: number, architecture: CallData.i386)
            let x32 = CallData(number: number | 0x4000_0000)
            for data in [legacy, x32] {
                #expect(stack.arguments.run(data)?.verdict == kill)
                #expect(stack.calls.run(data)?.verdict == kill)
            }
        }
        for architecture in [0xC000_00B7, 0x4000_0028, 0, 0xFFFF_FFFF] as [UInt32] {
            #expect(stack.verdict(CallData(number: 0, architecture: architecture)) == kill)
        }
        // What a tracer sets to skip a call is no call: never allowed by `calls`.
        #expect(stack.verdict(CallData(number: 0xFFFF_FFFF)) == CallVerdict.absent.rawValue)
    }

    @Test(arguments: agentCases) func agent(_ test: Case) throws {
        try check(test, .agent)
    }

    @Test(arguments: pureCases) func pure(_ test: Case) throws {
        try check(test, .pure)
    }

    private func check(_ test: Case, _ preset: FilterPreset) throws {
        let number = UInt32(try callNumber(test.call))
        let data = CallData(number: number, arguments: test.arguments)
        #expect(stacks[preset]?.verdict(data) == test.expected.rawValue)
    }

    @Test func switchesOfARequest() throws {
        func verdict(_ request: FilterRequest, _ call: String, _ arguments: [UInt64]) throws -> UInt32? {
            Stack(try compileFilters(request))
                .verdict(CallData(number: UInt32(try callNumber(call)), arguments: arguments))
        }
        let refuse = CallVerdict.refuse.rawValue
        let allow = CallVerdict.allow.rawValue
        let closed = FilterRequest(preset: .agent, allowExecutableMemoryFiles: false, allowUnixSockets: false)
        #expect(try verdict(closed, "memfd_create", [path, 0]) == refuse)
        #expect(try verdict(closed, "socket", [1, 1, 0]) == refuse)
        #expect(try verdict(closed, "socket", [1 << 40 | 1, 1, 0]) == refuse)
        #expect(try verdict(closed, "socket", [2, 1, 0]) == allow)
        #expect(try verdict(closed, "socketpair", [1, 1, 0, path]) == allow)
        for packages in [false, true] {
            let pure = FilterRequest(preset: .pure, packageManager: packages)
            #expect(try verdict(pure, "fchownat", [0, path, 0, 0, 0]) == (packages ? allow : refuse))
            #expect(try verdict(pure, "setresuid", [0, 0, 0]) == allow)
            #expect(try verdict(pure, "socket", [1, 1, 0]) == refuse)
            let agent = FilterRequest(preset: .agent, packageManager: packages)
            #expect(try verdict(agent, "fchownat", [0, path, 0, 0, 0]) == allow)
            #expect(try verdict(agent, "chmod", [path, 0o4755]) == refuse)
        }
    }
}

/// Rules against an independent statement of what they mean, over more values than a table can hold.
@Suite struct Models {
    @Test(arguments: [true, false]) func sockets(unix: Bool) throws {
        let stack = Stack(try compileFilters(FilterRequest(preset: .agent, allowUnixSockets: unix)))
        let protocols: [UInt64] = [0, 1, 6, 17, 33, 58, 115, 132, 136, 255, 256, 262, 1 << 31, 1 << 32, 1 << 32 | 132]
        let domains = Array(0..<50) + [1 << 32, 1 << 32 | 1, 1 << 32 | 16, 1 << 63 | 2, 1 << 31 | 2] as [UInt64]
        for domain in domains {
            for type in UInt64(0)..<16 {
                for flags in [0, 0x80000, 1 << 32] as [UInt64] {
                    for number in protocols {
                        let data = CallData(number: 41, arguments: [domain, type | flags, number])
                        let allowed = allows(domain: domain, type: type, number: number, unix: unix)
                        let got = stack.verdict(data)
                        #expect(
                            (got == CallVerdict.allow.rawValue) == allowed,
                            "socket(\(domain), \(type | flags), \(number)): \(String(got ?? 0, radix: 16))")
                    }
                }
            }
        }
    }

    /// Type 0 and, for unix and netlink, combinations that the kernel itself rejects count as allowed.
    private func allows(domain: UInt64, type: UInt64, number: UInt64, unix: Bool) -> Bool {
        guard type <= 3 || type == 5, number <= 255 else { return false }
        guard ![33, 115, 132, 136].contains(number) else { return false }
        return switch domain {
        case 1: unix
        case 2, 10: type <= 2
        case 16: number == 0
        default: false
        }
    }

    @Test func personalities() throws {
        var generator = Seeded.fresh()
        let allowed: Set<UInt64> = [0, 0x0004_0000, 0xFFFF_FFFF]
        var values = (0..<64).map { UInt64(1) << $0 } + (0..<64).map { ~(UInt64(1) << $0) }
        values += (0..<64).map { 0xFFFF_FFFF ^ (UInt64(1) << $0) } + (0..<64).map { 0x0004_0000 ^ (UInt64(1) << $0) }
        values += (0..<2000).map { _ in UInt64.random(in: 0...0xFFFF_FFFF, using: &generator) }
        values += Array(0..<300) + allowed
        for preset in FilterPreset.allCases {
            for value in values {
                let expected = allowed.contains(value) ? CallVerdict.allow : .refuse
                let got = stacks[preset]?.verdict(CallData(number: 135, arguments: [value]))
                #expect(got == expected.rawValue, "personality(0x\(String(value, radix: 16))), \(generator)")
            }
        }
    }

    @Test func terminalRequests() throws {
        let refused: Set<UInt64> = [0x5412, 0x541C, 0x541D, 0x541F, 0x5423, 0x5437, 0x5457]
        for request in UInt64(0x4A00)..<0x5800 {
            let bad = refused.contains(request) || request >> 8 == 0x4B || request >> 8 == 0x56
            for above in [0, 1 << 32, 0xFFFF_FFFF_0000_0000] as [UInt64] {
                let got = stacks[.agent]?.verdict(CallData(number: 16, arguments: [0, request | above]))
                #expect(got == (bad ? CallVerdict.refuse : .allow).rawValue, "ioctl 0x\(String(request, radix: 16))")
            }
        }
        // Encoded requests that share their low half with a refused one are others' business.
        for request in [0x8004_5412, 0x4004_5600, 0xC008_4B3A] as [UInt64] {
            #expect(stacks[.agent]?.verdict(CallData(number: 16, arguments: [0, request])) == 0x7FFF_0000)
        }
    }

    @Test func modesOfNewFiles() throws {
        for mode in stride(from: UInt64(0), through: 0o7777, by: 0o100) {
            for flags in [0, 1, 2, 0o100, 0o101, 0o1100, 0o2020_0000, 0o20_0000, 1 << 32 | 0o100] as [UInt64] {
                let creates = flags & 0o100 != 0 || flags & 0o2000_0000 != 0
                let expected = creates && mode & 0o6000 != 0 ? CallVerdict.refuse : .allow
                for above in [0, 1 << 16, 1 << 40] as [UInt64] {
                    let openat = CallData(number: 257, arguments: [0, path, flags, mode | above])
                    let open = CallData(number: 2, arguments: [path, flags, mode | above])
                    #expect(stacks[.agent]?.verdict(openat) == expected.rawValue)
                    #expect(stacks[.agent]?.verdict(open) == expected.rawValue)
                }
            }
        }
    }

    /// Threat 16: whatever stands in bits that the kernel drops, a refused call stays refused.
    @Test(arguments: agentCases.filter { !$0.truncated.isEmpty }) func randomHighBits(_ test: Case) throws {
        var generator = Seeded.fresh()
        let number = UInt32(try callNumber(test.call))
        for _ in 0..<200 {
            let wide = test.widened(using: &generator)
            let got = stacks[.agent]?.verdict(CallData(number: number, arguments: wide.arguments))
            #expect(got == test.expected.rawValue, "\(wide), \(generator)")
        }
    }
}

@Suite struct Keys {
    @Test func fingerprintsDifferByRequest() {
        let keys = requests.map(filterFingerprint)
        #expect(Set(keys).count == requests.count)
        #expect(keys == requests.map(filterFingerprint))
        for key in keys {
            #expect(key.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }, "\(key) as a file name")
            #expect(key.contains("libseccomp"))
        }
    }

    @Test func descriptionNamesEveryRule() {
        for request in requests {
            let text = describeFilters(request)
            for group in CallTables.groups { #expect(text.contains("\(group.verdict(for: request)): \(group.title)")) }
            for rule in ArgumentRules.rules(for: request) { #expect(text.contains(rule.reason)) }
        }
    }

    @Test func errorsSayWhere() {
        #expect(throws: FilterError(step: .resolve, object: "frobnicate", errno: ENOSYS)) {
            _ = try callNumber("frobnicate")
        }
        // A pseudo-number of libseccomp: a call that x86-64 does not have.
        #expect(throws: FilterError.self) { _ = try callNumber("socketcall") }
        let plan = FilterPlan(
            name: "broken", otherwise: .allow, rules: [ArgumentRule("getpid", [], "same as default", gives: .allow)])
        #expect(throws: FilterError(step: .rule, object: "getpid", errno: EACCES)) { _ = try compile(plan) }
    }
}

/// Compiled once for all the tests that only ask.
let stacks: [FilterPreset: Stack] = {
    var result: [FilterPreset: Stack] = [:]
    for preset in FilterPreset.allCases {
        if let programs = try? compileFilters(FilterRequest(preset: preset)) { result[preset] = Stack(programs) }
    }
    return result
}()

extension Case {
    /// The same call with random bits where the kernel does not look.
    func widened(using generator: inout Seeded) -> Case {
        var arguments = arguments
        for index in truncated { arguments[index] |= UInt64(UInt32.random(in: 0 ... .max, using: &generator)) << 32 }
        return Case(expected, call, arguments, truncated: truncated)
    }
}

/// SplitMix64. Its description is in the message of a failed check, and FILTER_SEED repeats it.
struct Seeded: RandomNumberGenerator, CustomStringConvertible {
    let seed: UInt64
    private var state: UInt64

    static func fresh() -> Seeded {
        Seeded(seed: given ?? UInt64.random(in: 0 ... .max))
    }

    /// getenv(3) is not among CLinux's headers.
    private static var given: UInt64? {
        let descriptor = openFile("/proc/self/environ", O_RDONLY)
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        return bytes.prefix(max(count, 0)).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            .first { $0.hasPrefix("FILTER_SEED=") }.flatMap { UInt64($0.dropFirst(12)) }
    }

    private init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    var description: String { "FILTER_SEED=\(seed)" }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
