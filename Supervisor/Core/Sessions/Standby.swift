// What a session has ready for its next command: cgroups, and a process that stands in them already.
internal import JailPlan
internal import Linux

/// A process that waits for the command that it is to become. It is used once.
final class Standby {
    /// Its pid in the jail.
    let pid: Int32
    private var socket: Descriptor?

    init(pid: Int32, socket: consuming Descriptor) {
        self.pid = pid
        self.socket = consume socket
    }

    /// Has it become a command. Whether it did is told by its end: see `failure`.
    func become(_ command: CommandRequest, descriptors: (Int32, Int32, Int32)) throws(LaunchFailure) {
        guard let raw = socket.read({ $0.raw }) else { throw LaunchFailure(step: "start", errno: .invalid) }
        try sendCommand(command, descriptors: descriptors, groups: [], on: raw)
    }

    /// Why it did not become the command, once it is dead; nil where it did. It is asked once: commands are remembered for a
    /// long time, and their sockets need not be.
    func failure() -> LaunchFailure? {
        guard let socket = socket.take(), let message = try? receive(on: socket.raw, capacity: 65536, wait: false),
            case .notStarted(let step, let errno)? = try? JailReport(message.bytes)
        else { return nil }
        return LaunchFailure(step: step, errno: errno)
    }
}

/// What a command gets.
struct Spare {
    /// Nil on a machine without cgroups, and where the whole jail is the command's.
    var groups: CommandGroupsBox?
    /// Nil where none is ready: the spawner starts the command then.
    var standby: Standby?
}
