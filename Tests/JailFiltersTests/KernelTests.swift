/// The same verdicts, asked of the kernel: a program loads the filters into itself and tries each call.

import CLinux
import Linux
import Testing

@testable import JailFilters

@Suite struct Kernel {
    @Test func agent() throws { try compare(agentCases, FilterRequest(preset: .agent)) }

    @Test func pure() throws { try compare(pureCases, FilterRequest(preset: .pure)) }

    @Test func randomHighBits() throws {
        var generator = Seeded.fresh()
        let cases = agentCases.filter { !$0.truncated.isEmpty }.flatMap { test in
            (0..<8).map { _ in test.widened(using: &generator) }
        }
        try compare(cases, FilterRequest(preset: .agent), "\(generator)")
    }

    /// Arguments that no call accepts, in case one gets through.
    @Test(arguments: FilterPreset.allCases) func everyRefusedCall(_ preset: FilterPreset) throws {
        let request = FilterRequest(preset: preset)
        let wrong = [UInt64](repeating: .max, count: 6)
        let refused = CallTables.groups.filter { $0.verdict(for: request) != .allow }.flatMap(\.names)
        try compare(
            refused.map { Case(.refuse, $0, wrong) } + CallTables.absent.map { Case(.absent, $0, wrong) }, request)
    }

    /// Threat 15: getpid in the 32-bit table is 20.
    @Test(arguments: FilterPreset.allCases) func otherArchitecturesAreKilled(_ preset: FilterPreset) throws {
        let lines = ["int80 20", "int80 54 0 0x5412", "syscall 0x40000027", "syscall 0x40000202"]
        let answers = try Fixture.ask(lines, FilterRequest(preset: preset))
        #expect(answers == [String](repeating: "signal \(SIGSYS)", count: 4))
    }

    private func compare(_ cases: [Case], _ request: FilterRequest, _ note: String = "") throws {
        let lines = try cases.map { test in
            let words = test.arguments.map { $0 == path ? "@" : "0x" + String($0, radix: 16) }
            return "syscall \(try callNumber(test.call)) \(words.joined(separator: " "))"
        }
        let answers = try Fixture.ask(lines, request)
        try #require(answers.count == cases.count)
        for (test, answer) in zip(cases, answers) {
            switch test.expected {
            case .refuse: #expect(answer == "errno \(EPERM)", "\(test) \(note)")
            case .absent: #expect(answer == "errno \(ENOSYS)", "\(test) \(note)")
            case .unsupported: #expect(answer == "errno \(EPROTONOSUPPORT)", "\(test) \(note)")
            case .pretend: #expect(answer == "returned 0", "\(test) \(note): \(answer)")
            case .kill: #expect(answer == "signal \(SIGSYS)", "\(test) \(note)")
            // What the kernel makes of it is its own business.
            case .allow: #expect(!["errno \(EPERM)", "errno \(ENOSYS)"].contains(answer), "\(test) \(note)")
            }
        }
    }
}

/// Runs Tests/FilterFixture, which SwiftPM puts beside the test's own executable.
enum Fixture {
    struct Failure: Error {
        var step: String
        var number: Int32
    }

    /// One answer for each line.
    static func ask(_ lines: [String], _ request: FilterRequest) throws -> [String] {
        let programs = try compileFilters(request)
        let folder = "/tmp/cordon-filters-\(UInt64.random(in: 0 ... .max))"
        guard unsafe mkdir(folder, 0o700) == 0 else {
            throw Failure(step: "mkdir", number: unsafe __errno_location().pointee)
        }
        let files = [folder + "/arguments", folder + "/calls"]
        defer {
            for file in files { try? unlink(file) }
            try? removeDirectory(folder)
        }
        for (file, program) in zip(files, [programs.arguments, programs.calls]) {
            let descriptor = openFile(file, O_WRONLY | O_CREAT, mode: 0o600)
            let written = unsafe program.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
            close(descriptor)
            guard written == program.count else { throw Failure(step: "write", number: 0) }
        }
        let output = try run(files, input: lines.joined(separator: "\n") + "\n")
        return output.split(separator: "\n").map(String.init)
    }

    private static func beside() throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
        guard length > 0 else { throw Failure(step: "readlink", number: 0) }
        let own = String(decoding: buffer.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
        return own.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/filter-fixture"
    }

    /// One socket is the fixture's descriptors 0, 1 and 2. All input goes in before anything is read:
    /// the questions of one run are far smaller than a socket's buffer.
    private static func run(_ files: [String], input: String) throws -> String {
        let executable = try open(try beside(), .readOnly)
        var pair: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, kind, 0, &pair) == 0 else { throw Failure(step: "socketpair", number: 0) }
        let ends = pair
        defer { close(ends[0]) }
        let child: ChildProcess
        do {
            defer { close(ends[1]) }
            child = try cloneAndExecute(
                executable, arguments: ["filter-fixture"] + files, namespaces: [], cgroup: nil, control: -1,
                null: ends[1], ambientCapabilities: 0)
            try child.confirmExecuted()
        }

        let bytes = Array(input.utf8)
        let sent = unsafe bytes.withUnsafeBytes { unsafe write(ends[0], $0.baseAddress, $0.count) }
        shutdown(ends[0], Int32(SHUT_WR))
        guard sent == bytes.count else { throw Failure(step: "write", number: 0) }
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(ends[0], $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            output += chunk.prefix(count)
        }
        try child.wait()
        return String(decoding: output, as: UTF8.self)
    }
}

/// open(2) is variadic; this is close-on-exec. Returns a descriptor or -errno.
func openFile(_ path: String, _ flags: Int32, mode: UInt64 = 0) -> Int32 {
    unsafe cordon_openat2(AT_FDCWD, path, UInt64(flags | O_CLOEXEC), mode, 0)
}
