// A process that writes an audit log, for tests that kill it, fill its disk, or measure it.
internal import Audit
internal import Glibc
internal import Linux
internal import Wire

@main
struct Fixture {
    static func main() {
        let words = Array(commandLine().dropFirst())
        guard words.count == 4, let fileBytes = UInt64(words[2]), let count = Int(words[3]) else { exit(2) }
        do throws(AuditError) {
            switch words[0] {
            case "append": try append(words[1], fileBytes, count)
            case "full": try fill(words[1], fileBytes)
            case "bench": try measure(words[1], count)
            default: exit(2)
            }
        } catch {
            say("\(error)")
            exit(1)
        }
    }

    private static func say(_ text: String) { _ = try? Linux.write(1, Array((text + "\n").utf8)[...]) }

    private static func event(_ number: Int) -> AuditEvent {
        var event = AuditEvent(.commandRun, who: .init(user: 1000, process: 4242, connection: 7, session: "s-1"))
        event.method = "command.run"
        event.command = .argv(["git", "status", "--porcelain", "x\(number)"])
        event.workspace = "/home/somebody/project"
        event.directory = "/home/somebody/project"
        event.verdict = [
            "decision": .string("allow"), "rewritten": .bool(false),
            "evidence": .array([
                .object([
                    "decision": .string("allow"), "rule": .string("git-status"),
                    "file": .string("preset:unconfined-command"), "line": .number(120), "column": .number(1),
                    "matched": .string("git status --porcelain"), "reason": .string("the rule allows it"),
                    "remedy": .null, "enforced": .string("broker"),
                ])
            ]),
        ]
        event.plan = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        event.result = .init(reason: "exited", exitCode: 0, durationMilliseconds: 12)
        event.peaks = .init(memory: 5_000_000, pids: 3, cpuMilliseconds: 4, output: 100)
        return event
    }

    /// Appends records of many sizes, and says the number of each when it is in the log.
    private static func append(_ directory: String, _ fileBytes: UInt64, _ count: Int) throws(AuditError) {
        let log = try AuditLog(directory, limits: AuditLimits(fileBytes: fileBytes, rotatedFiles: 1000))
        let filler = String(repeating: "x", count: 20_000)
        for number in 0..<count {
            // Short ones, so that most of the time is spent in the writes; and now and then one that is longer than a page, so
            // that a kill may meet the middle of one.
            var event = AuditEvent(.denial)
            if number % 16 == 15 { event.facts.add("filler", .string(filler)) }
            say("\(try log.append(event))")
        }
    }

    /// Appends until a file may grow no more, and then again when it may.
    private static func fill(_ directory: String, _ size: UInt64) throws(AuditError) {
        Signal.ignore(SIGXFSZ)
        let log = try AuditLog(directory)
        var limit = rlimit()
        unsafe getrlimit(__rlimit_resource_t(1), &limit)
        limit.rlim_cur = rlim_t(size)
        unsafe setrlimit(__rlimit_resource_t(1), &limit)
        var refused = 0
        for number in 0..<1000 where refused < 3 {
            do throws(AuditError) { try log.append(event(number)) } catch {
                guard case .full = error else { throw error }
                refused += 1
            }
        }
        let full = log.count
        limit.rlim_cur = limit.rlim_max
        unsafe setrlimit(__rlimit_resource_t(1), &limit)
        say("\(refused) refused after \(full), then \(try log.append(event(0)))")
    }

    private static func measure(_ directory: String, _ count: Int) throws(AuditError) {
        let log = try AuditLog(directory)
        var times: [UInt64] = []
        let event = event(1)
        for masked in [[], ["hunter2hunter2", "another-secret"]] {
            times = []
            for _ in 0..<count {
                let start = monotonicNanoseconds()
                try log.append(event, masked: masked)
                times.append(monotonicNanoseconds() - start)
            }
            times.sort()
            say("masked \(masked.count): p50 \(times[count / 2]) ns, p99 \(times[count * 99 / 100]) ns")
        }
        let start = monotonicNanoseconds()
        let verdict = try verifyAudit(directory)
        say("verify: \(verdict) in \((monotonicNanoseconds() - start) / 1_000_000) ms")
    }
}
