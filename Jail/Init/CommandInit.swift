// The init of one command's pid namespace, where no cgroup can be made: with its death the kernel ends all that the command
// left running (pid_namespaces(7)).
//
// It mounts the namespace's own /proc, confines itself as a spawner does, starts the command, reaps, passes signals on, and
// tells how the command ended. It decides nothing, and a command can neither trace nor kill it.
internal import JailPlan
internal import Linux

/// The whole life of such an init. On its socket it takes one `start`, then signals; with the socket it ends.
func runCommandInit(_ socket: Int32, _ steps: CommandSteps) -> Never {
    nameProcess("cordon-init")
    do throws(StandByFailure) {
        try failing("session") { () throws(Errno) in try startSession() }
        // The spawner's socket must end with the spawner.
        try failing("start") { () throws(Errno) in try closeDescriptors(from: 3, except: socket) }
        // Children are reaped by reading, so the signal is blocked before there are any.
        let signals = try failing("signals") { () throws(Errno) in try SignalSource([Signal.child]) }
        let poller = try failing("epoll") { () throws(Errno) in try watching(socket, signals) }
        try confine(steps)
        var message = try failing("start") { () throws(Errno) in
            try waitLightly(for: socket)
            return try receive(on: socket)
        }
        // It is not needed any more.
        if message.bytes.isEmpty { exitNow(0) }
        let order = try failing("start") { () throws(Errno) in try Order(message.bytes) }
        guard case .start(groups: 0, let command) = order else {
            throw StandByFailure(step: "start", errno: .badMessage)
        }
        let (pid, isBackground) = try start(command, message.takeDescriptors(), steps)
        do throws(Errno) {
            try keep(pid, isBackground: isBackground, socket, poller, signals)
        } catch {
            throw StandByFailure(step: "children", errno: error)
        }
    } catch {
        try? send(JailReport.notStarted(step: error.step, errno: error.errno).encoded, on: socket)
        exitNow(127)
    }
    exitNow(0)
}

private func watching(_ socket: Int32, _ signals: borrowing SignalSource) throws(Errno) -> Poller {
    let poller = try Poller()
    try poller.add(socket, .readable, token: 0)
    try poller.add(signals.descriptor.raw, .readable, token: 1)
    return poller
}

/// The spawner's steps from `nestCommands` on.
private func confine(_ steps: CommandSteps) throws(StandByFailure) {
    let initial = steps.initial ?? []
    var own = try failing("file-system") { () throws(Errno) in try OwnProc(initial) }
    for action in initial {
        try failing(action.name) { () throws(Errno) in
            if try !own.apply(action) { try giveUp(action, filters: steps.filters) }
        }
    }
}

/// Starts the command. Its streams are its own then: an init that held them would keep pipes open.
private func start(
    _ command: CommandRequest?, _ descriptors: consuming DescriptorList, _ steps: CommandSteps
) throws(StandByFailure) -> (pid: Int32, isBackground: Bool) {
    var scope: LandlockRuleset?
    let order = try failing("start") { () throws(Errno) in try CommandOrder(command, groups: 0, descriptors) }
    let start = try failing("start") { () throws(Errno) in
        try commandStart(order.command, steps, &scope, groups: [])
    }
    do throws(SpawnFailure) {
        let pid = try startCommand(start, descriptors: order.streams)
        _ = scope.read { $0.raw }
        _ = descriptors.count
        return (pid, order.command.isBackground)
    } catch {
        throw StandByFailure(step: error.step, errno: error.errno)
    }
}

/// Reaps until the command is dead, or where it may leave something running, until all are. Leaving ends the namespace.
private func keep(
    _ command: Int32, isBackground: Bool, _ socket: Int32, _ poller: borrowing Poller, _ signals: borrowing SignalSource
) throws(Errno) {
    while true {
        for event in try poller.waitLightly() {
            if event.token == 0 {
                var message = try receive(on: socket)
                if message.bytes.isEmpty { return }
                switch try Order(message.bytes) {
                // A group that is gone is no error.
                case .signal(_, let number): try? sendSignal(number, to: -command)
                case .signalForeground(_, let number):
                    signalForeground(of: try message.descriptors.take(0), or: command, number)
                case .setUp, .start, .standBy: throw .badMessage
                }
                continue
            }
            while try signals.next() != nil {}
            while let child = try reapAny() {
                guard child.pid == command else { continue }
                let report = JailReport.exited(
                    pid: command, status: child.status, cpuMicroseconds: child.cpuMicroseconds,
                    peakMemory: child.peakMemory)
                try send(report.encoded, on: socket)
                if !isBackground { return }
            }
            if !hasChildren { return }
        }
    }
}
