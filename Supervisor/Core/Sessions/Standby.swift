// What a session has ready for its next command: cgroups, and a process that stands in them already.
internal import JailPlan
internal import Linux

/// A process that waits for the command that it is to become; or where commands are nested, the init of a pid namespace,
/// which starts the command and ends all of it with itself. It is used once.
final class Standby {
    /// Its pid in the jail; nil until that is told.
    private(set) var pid: Int32?
    /// Whether it is such an init.
    let isInit: Bool
    private var socket: Descriptor?
    private var told: JailReport?

    init(pid: Int32?, socket: consuming Descriptor, isInit: Bool) {
        self.pid = pid
        self.socket = consume socket
        self.isInit = isInit
    }

    func began(_ pid: Int32) { self.pid = pid }

    /// Readable when it has something to say; nil once nobody listens any more.
    var descriptor: Int32? { socket.read { $0.raw } }

    /// Has it take a command, at once or as soon as it is ready. Whether it did is told by its end: see `failure`.
    func take(_ command: CommandRequest, descriptors: (Int32, Int32, Int32)) throws(LaunchFailure) {
        guard let raw = descriptor else { throw LaunchFailure(step: "start", errno: .invalid) }
        try sendCommand(command, descriptors: descriptors, groups: [], on: raw)
    }

    /// Sends a signal to the command's process group, which only an init can.
    ///
    /// - Parameter terminal: to the foreground process group of this terminal instead.
    func signal(_ number: Int32, foregroundOf terminal: Int32? = nil) throws(LaunchFailure) {
        guard let raw = descriptor else { return }
        let order = terminal == nil ? Order.signal(pid: 0, number: number) : .signalForeground(pid: 0, number: number)
        do throws(Errno) { try send(order.encoded, descriptors: terminal.map { [$0] } ?? [], on: raw) } catch {
            // It is over, and so is the command.
            if error != .brokenPipe, error != .connectionReset { throw LaunchFailure(step: "signal", errno: error) }
        }
    }

    /// What it has said so far: it speaks once.
    func report() -> JailReport? {
        if told == nil, let raw = descriptor,
            let message = try? receive(on: raw, capacity: 65536, wait: false), !message.bytes.isEmpty
        {
            told = try? JailReport(message.bytes)
        }
        return told
    }

    /// How the command died, where this one's own death does not tell it.
    func death(_ own: SessionJail.Death) -> SessionJail.Death {
        guard isInit, case .exited(_, let status, let cpu, let memory)? = report() else { return own }
        return SessionJail.Death(
            status: status, cpuMicroseconds: max(own.cpuMicroseconds, cpu), peakMemory: max(own.peakMemory, memory))
    }

    /// Why there was no command, once it is dead; nil where there was one.
    func failure() -> LaunchFailure? {
        guard case .notStarted(let step, let errno)? = report() else { return nil }
        return LaunchFailure(step: step, errno: errno)
    }

    /// Listens no more: commands are remembered for a long time, and their sockets need not be. An init ends by that, and with it
    /// all that is left of its command.
    func close() { socket = nil }
}

/// What a command gets.
struct Spare {
    /// Nil on a machine without cgroups, and where the whole jail is the command's.
    var groups: CommandGroupsBox?
    /// Nil where none is ready: the spawner starts the command then.
    var standby: Standby?

    /// Bounds the command more closely than its jail.
    func limit(memory: UInt64?, pids: UInt64?) throws(LaunchFailure) {
        guard memory != nil || pids != nil else { return }
        guard let groups else {
            throw LaunchFailure(
                step: "guarantee", object: memory != nil ? "memory" : "pids",
                remedy:
                    "without cgroups one command has no limit of its own: leave it out; `cordon doctor` names what to "
                    + "delegate")
        }
        try groups.groups.limit(memory: memory, pids: pids)
    }
}
