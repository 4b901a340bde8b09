// One `cordon run`, as root or not, its result, and the check that it left the host as it was.
import Foundation
import Testing

/// All suites, one after the other: they compare the state of the host.
@Suite(.serialized) struct Conformance {}

/// Who runs Cordon.
enum Mode: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case root
    /// An unprivileged user with one id.
    case rootless
    /// An unprivileged user with subordinate ids.
    case subordinate

    /// A user that this machine does not have.
    static let user: uid_t = 12345

    var owner: uid_t { self == .root ? 0 : Self.user }
    var testDescription: String { rawValue }

    /// What this machine cannot give an unprivileged user without delegated cgroups.
    var degraded: [String] {
        self == .root
            ? ["fs.deny.create"] : ["fs.deny.create", "memory", "swap", "cpu.time", "cpu.rate", "pids", "io", "janitor"]
    }
}

/// A run to be made.
struct CordonRun {
    var mode = Mode.root
    /// What goes before the command, besides what is below.
    var options: [String] = []
    /// A policy's text, after `version`; nil: `policy`.
    var policyText: String?
    var policy: String?
    var json = true
    var command: [String]
    var environment: [String: String] = [:]
    var directory: String?
    var inherited: [Int32] = []
    var input: [UInt8]? = []
    /// What the front end is started by, such as a fixture.
    var prefix: [String] = []
    /// Temporary and home directories, and the workspace where no other is given.
    let place: Scratch
    var workspace: String { place.path + "/work" }

    init(_ mode: Mode = .root, _ command: [String], options: [String] = [], policy: String? = nil) throws {
        self.mode = mode
        self.command = command
        self.options = options
        policyText = policy
        place = try Scratch(owner: mode.owner)
        for name in ["work", "home", "tmp"] { try place.directory(name) }
    }

    init(_ mode: Mode = .root, shell script: String, options: [String] = [], policy: String? = nil) throws {
        try self.init(mode, ["/bin/sh", "-c", script], options: options, policy: policy)
    }

    /// Adds a file to the workspace.
    func file(_ name: String, _ text: String = "", mode: mode_t = 0o644) throws {
        try place.file("work/" + name, text, mode: mode)
    }

    /// The words that start it.
    func words() throws -> [String] {
        let programs = mode == .root ? Built.directory : try Built.publicDirectory.get()
        _ = try Built.path("cordon")
        var words = prefix + [programs + "/cordon", "run"] + (json ? ["--json"] : [])
        if let policyText {
            words += ["--policy", try place.file("policy.toml", policyText)]
        } else if let policy {
            words += ["--policy", policy]
        } else if mode != .root {
            words += ["--policy", try place.file("policy.toml", Self.policy(mode))]
        }
        words += options + ["--"] + command
        return try mode.wrapped(words, place: place)
    }

    /// preset:agent, with what the mode lacks allowed to be missing, and more lines.
    static func policy(_ mode: Mode, _ more: String = "") -> String {
        let names = mode.degraded.map { "\"\($0)\"" }.joined(separator: ", ")
        return "version = 1\nextends = [\"preset:agent\"]\nallow_degraded = [\(names)]\n" + more
    }

    var variables: [String: String] {
        [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
            "HOME": place.path + "/home", "TMPDIR": place.path + "/tmp", "XDG_CACHE_HOME": place.path + "/home/.cache",
            "SWIFT_BACKTRACE": "enable=no",
        ].merging(environment) { $1 }
    }

    func start() throws -> RunningProcess {
        try RunningProcess(
            try words(), environment: variables, directory: directory ?? workspace, inherited: inherited, input: input)
    }

    /// Runs it to its end and checks that nothing is left of it.
    func run(within seconds: Double = 30, sourceLocation: SourceLocation = #_sourceLocation) throws -> RunResult {
        try leavingHostUnchanged(directories: [place.path + "/tmp"], sourceLocation: sourceLocation) {
            try result(of: start().finish(within: seconds), sourceLocation: sourceLocation)
        }
    }

    func result(of finished: Finished, sourceLocation: SourceLocation = #_sourceLocation) throws -> RunResult {
        #expect(finished.ending != .overdue, "it hung", sourceLocation: sourceLocation)
        var report: Report?
        if json {
            do { report = try Report.decode(finished.output) } catch {
                Issue.record(
                    "no report: \(error) in \(finished.outputText.prefix(2000)), stderr: \(finished.errorText.prefix(2000))",
                    sourceLocation: sourceLocation)
            }
        }
        return RunResult(process: finished, report: report)
    }
}

struct RunResult {
    var process: Finished
    /// nil without --json.
    var report: Report?

    /// The exit code of cordon itself.
    var code: Int32? { if case .exited(let code) = process.ending { code } else { nil } }
    var output: String { report?.stdout ?? process.outputText }
    /// Everything that a person would be told.
    var message: String {
        process.errorText + (report?.error.map { "\($0.step) \($0.object) \($0.errno ?? "") \($0.remedy)" } ?? "")
    }
    /// For a failed expectation.
    var summary: Comment {
        "exit \(process.ending), reason \(report?.reason ?? "-"): \(message.prefix(1500)) \(report?.stderr.prefix(500) ?? "")"
    }
}

extension Mode {
    /// The words, run as this mode's user.
    fileprivate func wrapped(_ words: [String], place: Scratch) throws -> [String] {
        let change = ["setpriv", "--reuid=\(Self.user)", "--regid=\(Self.user)", "--clear-groups", "--inh-caps=-all"]
        switch self {
        case .root: return words
        case .rootless: return change + words
        case .subordinate:
            // Accounts and ranges of its own, seen by nobody else.
            var mounts = ""
            for (name, line) in [
                ("passwd", "cordontest:x:\(Self.user):\(Self.user):test:\(place.path)/home:/bin/sh\n"),
                ("group", "cordontest:x:\(Self.user):\n"), ("subuid", "cordontest:1900000000:65536\n"),
                ("subgid", "cordontest:1900000000:65536\n"),
            ] {
                let old = name.hasPrefix("sub") ? "" : readFile("/etc/" + name) ?? ""
                let file = try place.file("etc/" + name, old + line)
                Calls.changeOwner(file, 0)
                mounts += "mount --bind \(file) /etc/\(name) && "
            }
            return ["unshare", "-m", "--propagation", "private", "sh", "-c", mounts + "exec \"$@\"", "sh"] + change + words
        }
    }
}
