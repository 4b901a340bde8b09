// Terminals: making pairs in a devpts instance, their sizes, and the settings of the caller's own.
//
// A pair's master is opened in a directory that was checked to be devpts, by a constant name, so no path is resolved.
internal import CLinux
internal import Glibc

/// How large a terminal's window is.
public struct TerminalSize: Sendable, Hashable {
    /// Lines and characters in a line, each from 1 to ``most``.
    public let rows: UInt16, columns: UInt16

    /// Programs make room for the whole window, so nobody gets one that no screen has.
    public static let most: UInt16 = 10_000

    /// What a terminal of unknown size is taken for.
    public static let usual = TerminalSize()

    private init() { (rows, columns) = (24, 80) }

    /// A size; nil for one that is no window's.
    public init?<Count: BinaryInteger>(rows: Count, columns: Count) {
        guard let rows = UInt16(exactly: rows), let columns = UInt16(exactly: columns),
            (1...Self.most).contains(rows), (1...Self.most).contains(columns)
        else { return nil }
        (self.rows, self.columns) = (rows, columns)
    }
}

/// A pair of terminal ends (pty(7)): what a command has for its terminal, and what holds it.
public struct TerminalPair: ~Copyable {
    private var master: Descriptor?
    private var slave: Descriptor?

    /// Makes a pair in a devpts instance, whoever gave the descriptor of its directory. The master does not block, both are
    /// close-on-exec, and neither becomes a controlling terminal. `ENOTTY`: the directory is none of devpts.
    ///
    /// The corresponding C functions are `openat2`, and `ioctl` with TIOCSPTLCK and TIOCGPTPEER.
    public init(in directory: Int32, size: TerminalSize) throws(Errno) {
        var system = statfs()
        try check(unsafe fstatfs(directory, &system))
        // The type is the kernel's word, and in this file system the name below is always its multiplexer.
        guard system.f_type == DEVPTS_SUPER_MAGIC else { throw Errno(rawValue: ENOTTY) }
        let master = try open(
            "ptmx", [.readWrite, .nonBlocking, .noFollow], beneath: directory,
            resolve: [.beneath, .noSymlinks, .noMagicLinks, .noCrossDevice])
        slave = Descriptor(owning: try checkRaw(cordon_terminal_peer(master.raw)))
        try setTerminalSize(of: master.raw, to: size)
        self.master = consume master
    }

    /// Gives the terminal to another user; its group stays.
    public borrowing func giveTo(user: UInt32) throws(Errno) {
        guard let raw = slave.read({ $0.raw }) else { throw .invalid }
        try changeOwner("", in: raw, user: user, group: .max)
    }

    /// One more descriptor of the end that holds the terminal.
    public borrowing func duplicateMaster() throws(Errno) -> Descriptor {
        switch master {
        case .some(let end): return try end.duplicate()
        case .none: throw .invalid
        }
    }

    /// Takes the end that holds the terminal. It can be taken once.
    public mutating func takeMaster() throws(Errno) -> Descriptor {
        guard let end = master.take() else { throw .invalid }
        return end
    }

    /// Takes the end that is the terminal. It can be taken once.
    public mutating func takeSlave() throws(Errno) -> Descriptor {
        guard let end = slave.take() else { throw .invalid }
        return end
    }
}

/// Sets the size of a terminal, by either end; where it changes, the foreground process group gets SIGWINCH.
///
/// The corresponding C function is `ioctl` with TIOCSWINSZ.
public func setTerminalSize(of terminal: Int32, to size: TerminalSize) throws(Errno) {
    try checkRaw(cordon_set_window(terminal, size.rows, size.columns))
}

/// The size of a terminal; nil where it does not know, or is none.
///
/// The corresponding C function is `ioctl` with TIOCGWINSZ.
public func terminalSize(of terminal: Int32) -> TerminalSize? {
    var rows: UInt16 = 0, columns: UInt16 = 0
    guard unsafe cordon_get_window(terminal, &rows, &columns) >= 0 else { return nil }
    return TerminalSize(rows: rows, columns: columns)
}

/// The foreground process group of a terminal, as this process's pid namespace numbers it; nil where it has none there.
///
/// The corresponding C function is `ioctl` with TIOCGPGRP.
public func foregroundGroup(of terminal: Int32) throws(Errno) -> Int32? {
    let group = try checkRaw(cordon_foreground_group(terminal))
    return group > 0 ? group : nil
}

/// Whether this process may use its terminal now: whether its group is the foreground one.
public func isInForeground(of terminal: Int32) -> Bool {
    (try? foregroundGroup(of: terminal)) == getpgrp()
}

/// A terminal of the caller's that passes on every key as it is, until this value goes away: then, and where the program
/// crashes meanwhile, it has the settings that it had (termios(3)).
public struct RawTerminal: ~Copyable {
    private let descriptor: Int32
    private var saved: termios
    private var raw: termios

    /// Makes it raw. A process in the background is stopped by that (SIGTTOU) and goes on in the foreground; `EIO` where
    /// nobody could bring it there.
    ///
    /// The corresponding C functions are `tcgetattr`, `cfmakeraw` and `tcsetattr`.
    public static func enter(_ descriptor: Int32) throws(Errno) -> RawTerminal {
        let terminal = RawTerminal(descriptor, saved: try settings(of: descriptor))
        try terminal.set(terminal.raw)
        return terminal
    }

    private init(_ descriptor: Int32, saved: termios) {
        self.descriptor = descriptor
        self.saved = saved
        raw = Self.raw(saved)
        protect()
    }

    /// Gives it the settings that it had; again where it has them.
    public borrowing func restore() { try? set(saved) }

    /// Makes it raw again, after a shell has had it.
    public mutating func resume() throws(Errno) {
        let current = try Self.settings(of: descriptor)
        // Somebody else's settings are what is to be given back from now on.
        if !Self.areSame(current, raw) {
            saved = current
            raw = Self.raw(current)
            protect()
        }
        try set(raw)
    }

    deinit {
        restore()
        cordon_restore_on_crash(-1, nil)
    }

    private borrowing func protect() {
        unsafe withUnsafePointer(to: saved) { unsafe cordon_restore_on_crash(descriptor, $0) }
    }

    private static func settings(of descriptor: Int32) throws(Errno) -> termios {
        var settings = termios()
        try check(unsafe tcgetattr(descriptor, &settings))
        return settings
    }

    private static func raw(_ settings: termios) -> termios {
        var raw = settings
        unsafe cfmakeraw(&raw)
        return raw
    }

    private static func areSame(_ one: termios, _ other: termios) -> Bool {
        one.c_iflag == other.c_iflag && one.c_oflag == other.c_oflag && one.c_cflag == other.c_cflag
            && one.c_lflag == other.c_lflag
    }

    /// At once: waiting until what was written is shown (TCSADRAIN) could wait for ever on a stopped terminal.
    private borrowing func set(_ settings: termios) throws(Errno) {
        try retrying { unsafe withUnsafePointer(to: settings) { unsafe tcsetattr(descriptor, TCSANOW, $0) } }
    }
}

/// Stops this process until somebody lets it go on (SIGCONT).
///
/// The corresponding C function is `raise`.
public func stopUntilContinued() { _ = raise(SIGSTOP) }
