// The object that `--json` prints, read strictly.
import Foundation

struct Report: Decodable, Sendable {
    struct Failure: Decodable, Sendable {
        var step: String
        var object: String
        var errno: String?
        var remedy: String
    }

    var exitCode: Int?
    var signal: Int?
    var reason: String
    var stdout: String
    var stderr: String
    var stdoutEncoding: String
    var stderrEncoding: String
    var stdoutTruncated: Bool
    var stderrTruncated: Bool
    var durationMs: Int
    var cpuMs: Int
    var maxMemoryBytes: Int
    var maxPids: Int
    var ioReadBytes: Int
    var ioWriteBytes: Int
    var oomKills: Int
    var pidsDenied: Int
    var enforced: [String]
    var degraded: [String]
    var error: Failure?

    static func decode(_ bytes: [UInt8]) throws -> Report {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Report.self, from: Data(bytes))
    }

    var stdoutBytes: [UInt8] {
        stdoutEncoding == "base64" ? Array(Data(base64Encoded: stdout) ?? Data()) : Array(stdout.utf8)
    }
}
