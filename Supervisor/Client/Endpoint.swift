// Where a user's supervisors can be reached, and how one is started that stays.
public import Linux

/// The directory of one user's sockets, which nobody else can enter.
public struct Endpoints: Sendable {
    /// The directory.
    public let directory: String
    /// For people: why it is not where `XDG_RUNTIME_DIR` says.
    public let note: String?

    /// `$XDG_RUNTIME_DIR/cordon`, else `$XDG_STATE_HOME/cordon/run`. A runtime directory that is not there, is somebody else's
    /// or can be written by others is passed over: nothing is made in it, nor in its stead.
    ///
    /// - Returns: nil for a user with neither of them, nor a home.
    public init?(_ environment: [(name: String, value: String)]) {
        func absolute(_ name: String) -> String? {
            environment.first { $0.name == name }.map(\.value).flatMap { $0.utf8.first == UInt8(ascii: "/") ? $0 : nil }
        }
        let runtime = absolute("XDG_RUNTIME_DIR"), fault = runtime.flatMap(Self.fault)
        if let runtime, fault == nil {
            note = nil
            directory = runtime + "/cordon"
            return
        }
        note = runtime.flatMap { path in
            fault.map { "XDG_RUNTIME_DIR \(path) \($0): the state directory is used instead" }
        }
        if let state = absolute("XDG_STATE_HOME") {
            directory = state + "/cordon/run"
        } else if let home = absolute("HOME") {
            directory = home + "/.local/state/cordon/run"
        } else {
            return nil
        }
    }

    /// What is wrong with a runtime directory (XDG Base Directory Specification: the user's own, and nobody else's).
    private static func fault(_ path: String) -> String? {
        guard let place = try? status(at: path) else { return "is not there" }
        guard place.isDirectory else { return "is no directory" }
        guard place.user == effectiveUser else { return "is not your own" }
        return place.mode & 0o022 == 0 ? nil : "can be written by others"
    }

    /// The socket of the supervisor that keeps sessions between calls.
    public var shared: String { directory + "/sessions.sock" }

    /// The socket of a supervisor that serves one client, for those who answer its questions.
    public func own(pid: Int32) -> String { directory + "/\(pid).sock" }

    /// Makes the directory, and refuses one that others can enter or that is somebody else's.
    public func prepare() throws(Errno) {
        try makeDirectories(directory, mode: 0o700)
        let place = try status(at: directory)
        guard place.isDirectory, place.user == effectiveUser else { throw .notPermitted }
        guard place.mode & 0o077 == 0 else { throw .accessDenied }
    }

    /// Every socket that is there, the shared one first.
    public func sockets() -> [String] {
        guard let handle = try? open(directory, [.readOnly, .directory]), let all = try? entries(of: handle.raw) else {
            return []
        }
        let names = all.map(\.text).filter { $0.hasSuffix(".sock") && directory + "/" + $0 != shared }
        return [shared] + names.sorted().map { directory + "/" + $0 }
    }

    /// Connects to the supervisor that keeps sessions, and starts it where there is none.
    ///
    /// - Parameter program: `cordon-supervisor`.
    public func connectOrStart(
        program: String, environment: [(name: String, value: String)]
    ) throws(Errno) -> Client {
        if let client = try connectIfThere() { return client }
        try prepare()
        // One starts it, whoever comes meanwhile waits for that one.
        let lock = try open(directory + "/lock", [.writeOnly, .create], mode: 0o600)
        try waitForLock(lock.raw)
        if let client = try connectIfThere() { return client }
        // A socket that nobody listens on is left by one that was killed.
        do throws(Errno) { try unlink(shared) } catch { if error != .noEntry { throw error } }
        let socket = try listen(at: shared, mode: 0o600)
        try startDetached(
            program, arguments: ["cordon-supervisor", "--listening", "3", "--socket", shared],
            environment: environment.map { $0.name + "=" + $0.value }, descriptor: socket.raw)
        return try Client(path: shared)
    }

    private func connectIfThere() throws(Errno) -> Client? {
        do throws(Errno) { return try Client(path: shared) } catch {
            guard error == .noEntry || error == .connectionRefused else { throw error }
            return nil
        }
    }
}
