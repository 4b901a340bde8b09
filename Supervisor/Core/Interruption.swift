// Somebody asked a run to end: by a signal, which the command gets as well, and has a while to follow.
internal import Linux

/// The first signal of a run that asks to end, and how long it has.
struct Interruption {
    let signal: Int32
    /// When the command is ended; nil where the person at the terminal decides that.
    let deadline: UInt64?
    /// Until when a second signal ends it at once.
    let repeatableUntil: UInt64

    /// Signals that ask to end.
    static let signals = [Signal.hangUp, Signal.interrupt, Signal.quit, Signal.terminate]
    /// After one of them, a command has this long to end.
    private static let farewell: UInt64 = 5_000_000_000
    /// At a terminal, two of them within this time mean it.
    private static let repetition: UInt64 = 2_000_000_000

    /// - Parameter isByHand: whether it is the Ctrl-C that is part of how many programs are used.
    init(_ signal: Int32, isByHand: Bool) {
        let now = monotonicNanoseconds()
        self.signal = signal
        deadline = isByHand ? nil : now + Self.farewell
        repeatableUntil = isByHand ? now + Self.repetition : .max
    }
}
