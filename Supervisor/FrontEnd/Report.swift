// Reports: text for people, and the file that the object for programs goes to.
internal import Caller
internal import Linux
internal import PolicyModel
internal import SupervisorCore

/// One line when a run did not end by itself.
func briefNote(_ outcome: Outcome) -> String? {
    let usage = outcome.usage
    switch outcome.reason {
    case .timeout: return "stopped at the time limit after \(formatDuration(outcome.durationMilliseconds))"
    case .cpuTimeout: return "stopped at the limit of processor time, \((usage.cpuMicroseconds ?? 0) / 1000) ms used"
    case .oom: return "killed at the memory limit; the peak was \(formatSize(usage.peakMemory ?? 0))"
    case .outputLimit: return "stopped at the limit of output"
    case .signaled: return outcome.signal.map { "killed by \(Signal.name($0))" }
    case .exited, .denied, .error: return nil
    }
}

/// The report for people.
func textReport(_ outcome: Outcome) -> String {
    let usage = outcome.usage
    var lines: [(String, String)] = []
    var ending = outcome.reason.rawValue
    if let code = outcome.exitCode { ending += " \(code)" }
    if let signal = outcome.signal { ending += " \(Signal.name(signal))" }
    lines.append(("ended", ending))
    lines.append(
        ("time", "\(outcome.durationMilliseconds) ms, \((usage.cpuMicroseconds ?? 0) / 1000) ms of processor time"))
    lines.append(
        ("peaks", "\(formatSize((usage.peakMemory ?? 0) / 1024 * 1024)) of memory, \(usage.peakPids ?? 0) processes"))
    lines.append(("disk", "\(usage.readBytes ?? 0) bytes read, \(usage.writtenBytes ?? 0) written"))
    if let kills = usage.oomKills, kills > 0 { lines.append(("oom", "\(kills) kills")) }
    if let denied = usage.pidsDenied, denied > 0 { lines.append(("forks", "\(denied) denied at the limit")) }
    lines.append(("enforced", outcome.guarantees.enforced.map(\.rawValue).joined(separator: " ")))
    if !outcome.guarantees.degraded.isEmpty {
        lines.append(("degraded", outcome.guarantees.degraded.map(\.rawValue).joined(separator: " ")))
    }
    for note in outcome.guarantees.notes { lines.append(("note", note)) }
    return lines.map { "  " + pad($0.0, 10) + $0.1 + "\n" }.joined()
}

/// Each step of the start: microseconds since the first, and since the one before.
func timingTable(_ times: [Jail.NamedTime]) -> String {
    guard let first = times.first else { return "" }
    var text = "   total     step  µs\n"
    var last = first.nanoseconds
    for time in times {
        let total = String((time.nanoseconds - first.nanoseconds) / 1000)
        let step = String((time.nanoseconds - last) / 1000)
        text += pad(total, -8) + " " + pad(step, -8) + "  " + time.step + "\n"
        last = time.nanoseconds
    }
    return text
}

private func pad(_ text: String, _ width: Int) -> String {
    let space = String(repeating: " ", count: max(0, abs(width) - text.count))
    return width < 0 ? space + text : text + space
}

/// Where the report goes: judged before the run, written after it, when every process of the jail is dead.
///
/// The path may lie in the workspace, so no symbolic link is followed, nothing but a regular file is replaced,
/// and the new file gets its name only when it is complete.
struct ReportFile: ~Copyable {
    private let directory: Descriptor
    private let name: String

    init(_ path: String) throws(Refusal) {
        let slash = path.lastIndex(of: "/")
        let above = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        name = slash.map { String(path[path.index(after: $0)...]) } ?? path
        directory = try Self.openDirectory(above, name: name, path: path)
    }

    private static func openDirectory(_ above: String, name: String, path: String) throws(Refusal) -> Descriptor {
        do throws(Errno) {
            let directory = try open(above, [.readOnly, .directory], beneath: currentDirectory, resolve: [.noSymlinks])
            if name.isEmpty { throw Errno.isDirectory }
            if let present = try? status(at: name, in: directory.raw), !present.isRegular { throw Errno.invalid }
            if !mayWrite(above) { throw Errno.accessDenied }
            return directory
        } catch {
            throw Refusal(
                LaunchFailure(
                    step: "report", object: path, errno: error,
                    remedy: "name a regular file in a directory that you may write, through no symbolic link"))
        }
    }

    /// Writes it whole, or not at all; why not.
    borrowing func write(_ text: String) -> Errno? {
        let temporary = ".cordon-report-\(processID)"
        do throws(Errno) {
            let file = try open(
                temporary, [.writeOnly, .create, .exclusive], mode: 0o644, beneath: directory.raw,
                resolve: [.beneath, .noSymlinks])
            try file.writeAll(Array(text.utf8))
            try rename(temporary, to: name, in: directory.raw)
            return nil
        } catch {
            try? unlink(temporary, in: directory.raw)
            return error
        }
    }
}
