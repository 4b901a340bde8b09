// What a verdict costs: in process, in a batch, and as a process of its own. Every string is another one, and nothing is kept
// between them.
internal import CLinux
internal import Glibc
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import TestSupport

struct VerdictCosts {
    var check = Samples()
    /// Microseconds of a command in a batch, reading and printing included.
    var batch = 0.0
    var process = Samples()
    /// Megabytes at the most.
    var memory = 0.0
    var failures: [String] = []

    /// - Parameters:
    ///   - cordon: the executable.
    ///   - floor: the C floor, a parent small enough to measure memory from.
    init(cordon: String, floor: String, workspace: String, iterations: Int) throws {
        let rounds = max(1, iterations / 20)
        let strings = (0..<rounds).flatMap { round in CorpusEntry.all.map { "\($0.command) # \(round)" } }
        let policy = try Policy.load("preset:agent") { (_) throws(FileReadFailure) in throw .missing }
        let engine = try Engine([Tier(.session, policy)])
        for string in strings {
            let request = CommandRequest(.string(Array(string.utf8)), workspace: workspace)
            let begin = monotonicNanoseconds()
            let verdict = engine.judge(request)
            check.append(monotonicNanoseconds() - begin)
            if verdict.evidence.isEmpty { failures.append("a verdict without evidence: \(string)") }
        }

        let file = workspace + "/batch.jsonl"
        let lines = strings.map { "{\"command\":\"\(Self.escaped($0))\"}\n" }.joined()
        try open(file, [.writeOnly, .create, .truncate], mode: 0o644).writeAll(Array(lines.utf8))
        defer { try? unlink(file) }
        let common = ["policy", "check", "--policy", "preset:agent", "--workspace", workspace]
        let begin = monotonicNanoseconds()
        let status = try Self.status(of: cordon, common + ["--batch", file])
        batch = Double(monotonicNanoseconds() - begin) / 1000 / Double(strings.count)
        if status != 11 { failures.append("the batch exits with \(status)") }

        for _ in 0..<iterations {
            let begin = monotonicNanoseconds()
            let status = try Self.status(of: cordon, common + ["--", "ls"])
            process.append(monotonicNanoseconds() - begin)
            if status != 0 { failures.append("policy check -- ls exits with \(status)") }
        }

        var pipe = try makePipe()
        let reading = try pipe.takeReading(), writing = try pipe.takeWriting()
        _ = try Program(floor, ["peak", cordon] + common + ["--", "ls"], output: writing.raw).wait()
        var answer = [UInt8](repeating: 0, count: 64)
        let count = try reading.read(into: &answer)
        let text = String(decoding: answer.prefix(count), as: UTF8.self)
        memory = (Double(text.filter(\.isNumber)) ?? .infinity) / 1024
    }

    /// What a program exits with.
    private static func status(of path: String, _ arguments: [String]) throws(Errno) -> Int32 {
        let nowhere = try open("/dev/null", .writeOnly)
        return (try Program(path, arguments, output: nowhere.raw).wait() >> 8) & 0xff
    }

    /// A text within a JSON string.
    private static func escaped(_ text: String) -> String {
        text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"", "\\": "\\\(scalar)"
            case _ where scalar.value < 0x20:
                "\\u" + String(repeating: "0", count: scalar.value < 16 ? 3 : 2) + String(scalar.value, radix: 16)
            default: "\(scalar)"
            }
        }.joined()
    }
}
