// What became of a command. Plain data: the front end turns it into text or JSON.
internal import Linux
public import PolicyDecision
public import PolicyModel

/// Why a run ended.
public enum EndReason: String, Sendable, Hashable {
    case exited, signaled, timeout
    case cpuTimeout = "cpu_timeout"
    case oom
    case outputLimit = "output_limit"
    case denied, error
}

/// A captured stream.
public struct CapturedStream: Sendable, Hashable {
    /// Head and tail.
    public var bytes: [UInt8] = []
    /// Whether anything between them is missing.
    public var isTruncated = false
    /// An empty stream.
    public init() {}
}

/// The result of a run.
public struct Outcome: Sendable {
    /// Why it ended.
    public var reason: EndReason
    /// The process's own status, if it had one.
    public var exitCode: Int32?
    /// The signal that ended it.
    public var signal: Int32?
    /// Captured output; empty where it was streamed.
    public var output = CapturedStream()
    /// Captured errors; empty where they were streamed.
    public var errors = CapturedStream()
    /// Milliseconds from the start of the command to its end.
    public var durationMilliseconds: UInt64 = 0
    /// What the tree used.
    public var usage = CgroupUsage()
    /// What was promised and kept.
    public var guarantees: GuaranteeNames
    /// Verdicts that kept something from being started.
    public var denials: [Verdict] = []
    /// Where Cordon, or the start of the command, failed.
    public var failure: LaunchFailure?
    /// When each step of the start was done.
    public var times: [Jail.NamedTime] = []

    /// An outcome with nothing but its reason.
    public init(reason: EndReason, guarantees: GuaranteeNames) {
        self.reason = reason
        self.guarantees = guarantees
    }

    /// Notes how the process ended, as wait(2) tells it.
    mutating func end(waitStatus: Int32) {
        switch ExitStatus(waitStatus: waitStatus) {
        case .exited(let code):
            reason = .exited
            exitCode = code
        case .signaled(let number):
            reason = .signaled
            signal = number
        case nil: reason = .error
        }
    }

    /// As above, where Cordon may have ended it; `usage` must be known.
    mutating func end(waitStatus: Int32, killedFor reason: EndReason?) {
        end(waitStatus: waitStatus)
        if let reason { self.reason = reason }
        considerMemoryKills()
    }

    /// A kill for the memory limit is the reason where the command failed, whatever it made of it.
    mutating func considerMemoryKills() {
        if usage.oomKills ?? 0 > 0, reason == .signaled || (exitCode ?? 0) != 0 { reason = .oom }
    }

    /// What `cordon run` exits with, as the command-line contract says.
    public var processExitCode: Int32 {
        switch reason {
        case .exited: exitCode ?? 125
        case .signaled: 128 + (signal ?? 0)
        case .timeout, .cpuTimeout: 124
        case .oom, .outputLimit: 137
        case .denied: 126
        case .error: exitCodeOfFailure
        }
    }

    private var exitCodeOfFailure: Int32 {
        guard let failure, failure.step == "execve" else { return 125 }
        return failure.errno == .noEntry || failure.errno == .notDirectory ? 127 : 126
    }
}

/// Names of guarantees for a report.
public struct GuaranteeNames: Sendable, Hashable {
    /// In force.
    public var enforced: [Guarantee]
    /// Allowed to be missing, and missing.
    public var degraded: [Guarantee]
    /// Sentences for people.
    public var notes: [String]

    /// Names.
    public init(enforced: [Guarantee], degraded: [Guarantee], notes: [String]) {
        self.enforced = enforced
        self.degraded = degraded
        self.notes = notes
    }
}
