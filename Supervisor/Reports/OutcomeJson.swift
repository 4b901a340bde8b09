// What became of a command, as the contract's object.
internal import Linux
internal import PolicyModel
public import SupervisorCore
public import Wire

/// The object that `--json` prints and `--report` writes.
///
/// - Parameter inline: bytes of each stream at most, from its start and its end; nil: all that was kept.
public func reportObject(_ outcome: Outcome, inline: Int? = nil) -> JsonObject {
    var json = JsonObject()
    json.add("exit_code", outcome.exitCode.map { .number(Int64($0)) } ?? .null)
    json.add("signal", outcome.signal.map { .number(Int64($0)) } ?? .null)
    json.add("reason", .string(outcome.reason.rawValue))
    for (name, stream) in [("stdout", outcome.output), ("stderr", outcome.errors)] {
        var bytes = stream.bytes
        let isCut = inline.map { bytes.count > $0 } ?? false
        if isCut, let inline { bytes = Array(bytes.prefix(inline - inline / 2) + bytes.suffix(inline / 2)) }
        addOutput(bytes, as: name, to: &json)
        json.add(name + "_truncated", .bool(stream.isTruncated || isCut))
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

/// Bytes of a stream, as text where they are, and how they are written.
public func addOutput(_ bytes: [UInt8], as name: String, to json: inout JsonObject) {
    // Control characters take six bytes each in JSON; what has many is shorter as Base64.
    // (C1 controls begin with 0xC2 in UTF-8, and those that end lines with 0xE2.)
    let controls = bytes.count {
        $0 < 0x20 && $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\t") || [0x7F, 0xC2, 0xE2].contains($0)
    }
    if controls <= bytes.count / 16 + 16, let text = String(validating: bytes, as: UTF8.self) {
        json.add(name, .string(text))
        json.add(name + "_encoding", .string("utf-8"))
    } else {
        json.add(name, .string(base64(bytes)))
        json.add(name + "_encoding", .string("base64"))
    }
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
