// What the release binary prints, as this test reads it.
import Foundation
import TestSupport

/// The report of `cordon doctor --json`, behind the words of another command.
struct DoctorReport: Decodable {
    struct Machine: Decodable {
        var kernel: String
        var uid: Int
        var mode: String
        var landlock_abi: Int
        var cgroups: String
    }

    struct Check: Decodable {
        var name: String
        var group: String
        var state: String
        var detail: String
        var blocked_by: String?
        var remedy: String?
        var needed: Bool
    }

    struct Given: Decodable {
        var name: String
        var given: String
        var promise: String
        var mechanism: String
        var reason: String?
        var remedy: String?
    }

    var machine: Machine
    var checks: [Check]
    var guarantees: [Given]
    var ok: Bool

    func check(_ name: String) -> Check? { checks.first { $0.name == name } }

    static func make(behind prefix: [String] = []) throws -> (report: DoctorReport, status: Int32) {
        let run = try execute(prefix + [cordon, "doctor", "--json"])
        return (try JSONDecoder().decode(DoctorReport.self, from: Data(run.output.utf8)), run.status)
    }
}

/// What a program might leave behind on the host.
struct Traces: Equatable {
    var mounts: [String]
    var groups: [String]
    var temporary: [String]
    var namespaces: String

    static func take() throws -> Traces {
        let groups = try execute([
            "find", "/sys/fs/cgroup", "-type", "d", "-name", "*cordon-doctor*", "-o", "-name", "jail-*",
        ])
        let temporary = try ["/tmp", "/var/tmp"].flatMap { try FileManager.default.contentsOfDirectory(atPath: $0) }
        return Traces(
            mounts: try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8).split(separator: "\n").map(
                String.init),
            groups: groups.output.split(separator: "\n").map(String.init).sorted(),
            temporary: temporary.filter { $0.hasPrefix("cordon-doctor") },
            namespaces: try execute(["lsns", "--noheadings", "--output", "NS,TYPE"]).output)
    }
}
