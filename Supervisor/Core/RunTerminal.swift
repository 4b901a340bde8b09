// The two terminals of `cordon run -t`: the caller's, raw as long as this value lives, and the jail's, which the command has.
//
// Keys and what is shown pass between them as they are. What Ctrl-C and Ctrl-Z mean is the jail's line discipline's affair.
internal import JailPlan
internal import Linux

/// A run's terminals. When the value goes away, the caller's has the settings that it had.
struct RunTerminal: ~Copyable {
    private var caller: RawTerminal
    private var master: Descriptor?

    /// The caller's terminal.
    private static let own: Int32 = 0
    /// What a run with a terminal listens to, besides what every run does.
    static let signals = [Signal.windowChange, Signal.stop, Signal.continue]

    /// Makes the caller's terminal raw. In the background that stops this process until it is brought to the foreground.
    init() throws(LaunchFailure) {
        do throws(Errno) { caller = try .enter(Self.own) } catch {
            throw LaunchFailure(
                step: "terminal", object: "standard input", errno: error,
                remedy: "start it in the foreground of a terminal, or leave out -t")
        }
    }

    /// Makes the jail's terminal, of the caller's size. The jail must be ready.
    ///
    /// - Returns: its ends, of which this value keeps a descriptor too.
    mutating func begin(in jail: borrowing Jail) throws(LaunchFailure) -> TerminalPair {
        let pair = try jail.makeTerminal(Self.size)
        master = try step("terminal") { () throws(Errno) in try pair.duplicateMaster() }
        return pair
    }

    private static var size: TerminalSize { terminalSize(of: own) ?? .usual }

    /// Follows the caller's window.
    func resize() throws(LaunchFailure) {
        guard let raw = master.read({ $0.raw }) else { return }
        try step("terminal", "size") { () throws(Errno) in try setTerminalSize(of: raw, to: Self.size) }
    }

    /// Serves one of its own signals; false for any other.
    mutating func serve(_ number: Int32) throws(LaunchFailure) -> Bool {
        switch number {
        case Signal.windowChange: try resize()
        case Signal.stop:
            // The jail goes on until what it shows has nowhere to go, as it would behind any terminal.
            caller.restore()
            stopUntilContinued()
        case Signal.continue:
            // In the background the terminal is another's.
            guard isInForeground(of: Self.own) else { break }
            try step("terminal", "standard input") { () throws(Errno) in try caller.resume() }
            try resize()
        default: return false
        }
        return true
    }

    /// Passes on a signal that asks to end.
    func forward(_ number: Int32, to pid: Int32, in jail: borrowing Jail) throws(Errno) {
        guard let raw = master.read({ $0.raw }) else { return }
        switch number {
        case Signal.interrupt, Signal.quit: try jail.signalForeground(number, of: raw, or: pid)
        default:
            try jail.signal(number, to: pid)
            // A shell that people use ignores SIGTERM, but not that its terminal is gone (bash(1), SIGNALS).
            if number != Signal.hangUp { try jail.signal(Signal.hangUp, to: pid) }
            try jail.signalForeground(Signal.hangUp, of: raw, or: pid)
        }
    }
}
