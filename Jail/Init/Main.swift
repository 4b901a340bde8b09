// jail-init: PID 1 of a jail.
//
// It starts with the namespaces made and every capability in them, descriptor 3 to the supervisor, and
// nothing else. It waits for the plan, applies its steps, forks the spawner on the way, and from then on
// only reaps, passes signals on, and watches for the supervisor's death, which is also its own. It decides
// nothing: a step that fails ends the jail.
internal import JailPlan
internal import Linux

@main
struct JailInit {
    static func main() {
        // Executed by descriptor, it would be called by the descriptor's number in ps.
        nameProcess("jail-init")
        // The modes in the plan are meant as they stand, whatever the caller's mask.
        setFileModeMask(0)
        let control = Descriptor(owning: 3)
        do throws(Errno) {
            if commandLine().count > 1 { try send([0], on: control.raw) }
            // Children are reaped by reading, so the signal is blocked before there are any.
            let signals = try SignalSource([Signal.child])
            var setUp = try SetUp(receivedOn: control.raw)
            let outcome = setUp.run(spawnerBody: runSpawner)
            try send(outcome.encoded, descriptors: setUp.terminals.read { [$0.raw] } ?? [], on: control.raw)
            guard case .ready = outcome else { exitNow(1) }
            do throws(Errno) { try superviseChildren(control: control.raw, signals: signals) } catch {
                // -1: no step of the plan, but its keeping.
                try send(JailReport.failed(index: -1, object: "children", errno: error).encoded, on: control.raw)
                exitNow(1)
            }
        } catch {
            // Where the socket is gone, and with it the supervisor, there is nobody left to tell.
            try? send(JailReport.failed(index: -1, object: "start", errno: error).encoded, on: control.raw)
            exitNow(1)
        }
        exitNow(0)
    }

    /// Reaps and reports until the supervisor's end of the socket is closed. Leaving ends the jail: the
    /// kernel kills what is left in a pid namespace whose init is gone (pid_namespaces(7)).
    private static func superviseChildren(control: Int32, signals: borrowing SignalSource) throws(Errno) {
        let poller = try Poller()
        try poller.add(control, .readable, token: 0)
        try poller.add(signals.descriptor.raw, .readable, token: 1)
        while true {
            for event in try poller.waitLightly() {
                if event.token == 0 {
                    var message = try receive(on: control)
                    if message.bytes.isEmpty { return }
                    switch try Order(message.bytes) {
                    // A command that ended meanwhile is no error; its number is not reused before it is reaped.
                    case .signal(let pid, let number): try? sendSignal(number, to: -pid)
                    case .signalForeground(let pid, let number):
                        signalForeground(of: try message.descriptors.take(0), or: pid, number)
                    case .setUp, .start, .standBy: throw .badMessage
                    }
                } else {
                    while try signals.next() != nil {}
                    while let child = try reapAny() {
                        let report = JailReport.exited(
                            pid: child.pid, status: child.status, cpuMicroseconds: child.cpuMicroseconds,
                            peakMemory: child.peakMemory)
                        try send(report.encoded, on: control)
                    }
                }
            }
        }
    }
}

/// Sends a signal to the foreground process group of a terminal, or while it has none to that of a command. A group that is
/// gone is no error: there is nobody to be told.
func signalForeground(of terminal: consuming Descriptor, or pid: Int32, _ number: Int32) {
    let group = (try? foregroundGroup(of: terminal.raw)) ?? pid
    // To −1 it would go to everybody.
    if group > 1 { try? sendSignal(number, to: -group) }
}

/// A step that failed.
struct StepFailure: Error {
    var index: Int
    var object: String
    var errno: Errno

    var report: JailReport { .failed(index: index, object: object, errno: errno) }
}
