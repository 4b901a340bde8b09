// Running the release binary, as a person would.
import Foundation

/// The repository, found from this file.
let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

let cordon = repository + "/.build/release/cordon"

/// What came of a program.
struct Finished {
    var status: Int32
    var output: String
    var errors: String
}

/// Runs a program to its end.
func execute(_ words: [String], environment: [String: String] = [:], directory: String = "/tmp") throws -> Finished {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = words
    process.currentDirectoryURL = URL(fileURLWithPath: directory)
    process.environment = ["PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root", "LANG": "C.UTF-8"]
        .merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    let output = Pipe(), errors = Pipe()
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    // Neither of the two fills a pipe that the other keeps from being read: errors are few.
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let errorText = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return Finished(status: process.terminationStatus, output: text, errors: errorText)
}

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
