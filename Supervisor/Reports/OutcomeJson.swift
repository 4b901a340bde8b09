// What became of a command, as the contract's object.
internal import Linux
internal import PolicyModel
public import SupervisorCore
public import Wire

/// The object that `--json` prints and `--report` writes.
public func reportObject(_ outcome: Outcome) -> JsonObject {
    var json = JsonObject()
    json.add("exit_code", outcome.exitCode.map { .number(Int64($0)) } ?? .null)
    json.add("signal", outcome.signal.map { .number(Int64($0)) } ?? .null)
    json.add("reason", .string(outcome.reason.rawValue))
    for (name, stream) in [("stdout", outcome.output), ("stderr", outcome.errors)] {
        if let text = String(validating: stream.bytes, as: UTF8.self) {
            json.add(name, .string(text))
            json.add(name + "_encoding", .string("utf-8"))
        } else {
            json.add(name, .string(base64(stream.bytes)))
            json.add(name + "_encoding", .string("base64"))
        }
        json.add(name + "_truncated", .bool(stream.isTruncated))
    }
    let usage = outcome.usage
    json.add("duration_ms", .count(outcome.durationMilliseconds))
    json.add("cpu_ms", .count((usage.cpuMicroseconds ?? 0) / 1000))
    json.add("max_memory_bytes", .count(usage.peakMemory ?? 0))
    json.add("max_pids", .count(usage.peakPids ?? 0))
    json.add("io_read_bytes", .count(usage.readBytes ?? 0))
    json.add("io_write_bytes", .count(usage.writtenBytes ?? 0))
    json.add("oom_kills", .count(usage.oomKills ?? 0))
    json.add("pids_denied", .count(usage.pidsDenied ?? 0))
    json.add("enforced", .array(outcome.guarantees.enforced.map { .string($0.rawValue) }))
    json.add("degraded", .array(outcome.guarantees.degraded.map { .string($0.rawValue) }))
    json.add("denials", .array(outcome.denials.map { .object($0.json) }))
    json.add("error", outcome.failure.map { .object($0.json) } ?? .null)
    return json
}

extension LaunchFailure {
    /// `step`, `object`, `errno` by name, and `remedy`.
    public var json: JsonObject {
        [
            "step": .string(step), "object": .string(object), "errno": errno.map { .string($0.name) } ?? .null,
            "remedy": .string(remedy),
        ]
    }
}
