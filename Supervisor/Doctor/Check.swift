// One thing that was tried, and what came of it.
internal import Linux

/// The result of trying one primitive.
public struct Check: Sendable, Hashable {
    /// What came of it.
    public enum State: String, Sendable, Hashable {
        /// It was tried, and it worked.
        case works
        /// The machine has it, and something keeps this caller from it.
        case blocked
        /// The kernel or the system lacks it.
        case missing
    }

    /// Unique, such as `ns.user`.
    public var name: String
    /// The heading that it stands under.
    public var group: String
    /// What came of it.
    public var state: State
    /// What was seen: a version, a place, the kernel's words.
    public var detail: String
    /// What is in the way; nil where it works.
    public var blockedBy: String?
    /// The command that opens it, or what else to do; nil where it works.
    public var remedy: String?
    /// Whether a jail with preset:agent rests on it, for this caller.
    public var isNeeded: Bool

    static func works(_ name: String, in group: String, _ detail: String, needed: Bool = true) -> Check {
        Check(name: name, group: group, state: .works, detail: detail, isNeeded: needed)
    }

    static func fails(_ name: String, in group: String, _ detail: String, _ blocker: Blocker, needed: Bool = true)
        -> Check
    {
        Check(
            name: name, group: group, state: blocker.isMissing ? .missing : .blocked, detail: detail,
            blockedBy: blocker.name, remedy: blocker.remedy, isNeeded: needed)
    }
}

/// What is in the way of a primitive.
struct Blocker {
    /// A short name: a sysctl with its value, a capability, a package.
    var name: String
    /// What to do: a command to copy where there is one.
    var remedy: String
    /// Whether the primitive does not exist here at all.
    var isMissing = false
}

/// A step of a trial that failed.
struct Obstacle: Error {
    /// What was done, such as `unshare(net)`.
    var step: String
    /// What the kernel said; nil where it was the wrong thing that succeeded.
    var errno: Errno?

    init(_ step: String, _ errno: Errno? = nil) {
        self.step = step
        self.errno = errno
    }

    var text: String { errno.map { "\(step): \($0)" } ?? step }
}

/// Gives a call its name.
func doing<Result: ~Copyable>(_ step: String, _ body: () throws(Errno) -> Result) throws(Obstacle) -> Result {
    do throws(Errno) { return try body() } catch { throw Obstacle(step, error) }
}

/// What a trial came to.
enum Attempt {
    case worked(String)
    case failed(Obstacle)

    func result() throws(Obstacle) -> String {
        switch self {
        case .worked(let detail): return detail
        case .failed(let obstacle): throw obstacle
        }
    }
}

/// Tries something in a process of its own. Trials may be nested, which is how a new pid namespace is entered.
func attempt(_ body: () throws(Obstacle) -> String) -> Attempt {
    do throws(Errno) {
        let answer = try answerFromChild(within: 3000) {
            do throws(Obstacle) { return Array("+\(try body())".utf8) } catch {
                return Array("-\(error.errno?.rawValue ?? 0) \(error.step)".utf8)
            }
        }
        guard let answer else { return .failed(Obstacle("the trial was killed or took longer than 3 s")) }
        let text = String(decoding: answer.dropFirst(), as: UTF8.self)
        if answer.first == UInt8(ascii: "+") { return .worked(text) }
        let parts = text.split(separator: " ", maxSplits: 1)
        let number = parts.first.flatMap { Int32($0) } ?? 0
        return .failed(Obstacle(parts.count > 1 ? String(parts[1]) : "", number == 0 ? nil : Errno(rawValue: number)))
    } catch {
        return .failed(Obstacle("fork", error))
    }
}
