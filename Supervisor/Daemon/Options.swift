// The options of cordon-supervisor.
internal import Broker
internal import Caller
internal import Linux
internal import PolicyModel

/// Why it does not start.
struct DaemonFailure: Error {
    var text: String
    var code: Int32
}

/// What it was asked to be.
struct DaemonOptions {
    enum Mode {
        /// One client, on standard input and output.
        case standard
        /// Clients on a socket.
        case socket(String)
        /// Clients on a socket that is open already; its path, to be removed at the end. It ends when it is not needed.
        case listening(Int32, String)
        /// Clients that the system's service hands over on a socket. It ends when that does, or when it is not needed.
        case gate(Int32)
    }

    /// Whom it becomes before it does anything.
    struct Identity {
        var user: UInt32
        var group: UInt32
        var supplementary: [UInt32]

        /// `USER:GROUP:GROUP,…`, all of them numbers.
        init?(_ text: String) {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 3, let user = UInt32(parts[0]), let group = UInt32(parts[1]), user != 0 else {
                return nil
            }
            let groups = parts[2].split(separator: ",")
            supplementary = groups.compactMap { UInt32($0) }
            guard supplementary.count == groups.count else { return nil }
            self.user = user
            self.group = group
        }
    }

    var mode: Mode
    var settings = BrokerSettings()
    var metrics: MetricsPlace?
    var identity: Identity?

    enum MetricsPlace {
        case socket(String)
        case port(UInt16)
    }

    static let help = """
        cordon-supervisor: serves sessions, commands and approvals to clients

        usage: cordon-supervisor --stdio [OPTION…]
               cordon-supervisor --socket PATH [OPTION…]

          --stdio           one client, on standard input and output; it ends with that client
          --socket PATH     clients of this user, on a unix socket
          --sessions N      sessions at a time (256)
          --max-memory S    what the memory limits of all sessions may come to, such as 8G
          --max-pids N      what the process limits of all sessions may come to
          --idle D          close sessions that nobody uses for so long, such as 30m
          --state DIR       where the journal and the audit log are kept ($XDG_STATE_HOME/cordon, else
                            ~/.local/state/cordon)
          --log LEVEL       what is written to standard error: error, warning (the default), info, debug
          --metrics WHERE   metrics for Prometheus: unix:PATH, or a port of 127.0.0.1 (off)
          --pool-memory S   memory for jails that are ready before they are asked for (32M; 0: none)

        The protocol is in Supervisor/PROTOCOL.md. Most people use it through cordon session.

        """

    init(_ arguments: [String]) throws(DaemonFailure) {
        settings.state = userDirectory("XDG_STATE_HOME", "/.local/state", callerEnvironment()).map { $0 + "/cordon" }
        var mode: Mode?
        var isTwice = false
        var listening: Int32?
        var gate: Int32?
        var rest = arguments[...]
        func usage(_ text: String) -> DaemonFailure {
            DaemonFailure(text: text + " (see cordon-supervisor --help)", code: 2)
        }
        while let word = rest.popFirst() {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            func value() throws(DaemonFailure) -> String {
                if parts.count > 1 { return parts[1] }
                guard let next = rest.popFirst() else { throw usage("\(word) needs a value") }
                return next
            }
            func amount(_ parse: (String) throws(InvalidValue) -> UInt64) throws(DaemonFailure) -> UInt64 {
                let text = try value()
                do throws(InvalidValue) { return try parse(text) } catch { throw usage("\(parts[0]) \(error.message)") }
            }
            func count() throws(DaemonFailure) -> UInt64 {
                let text = try value()
                guard let number = UInt64(text), number > 0 else { throw usage("\(parts[0]) \(text): not a number") }
                return number
            }
            switch parts[0] {
            case "--stdio":
                isTwice = mode != nil
                mode = .standard
            case "--socket":
                isTwice = mode != nil
                mode = .socket(try value())
            // Not for people: it is how cordon session starts one.
            case "--listening": listening = Int32(clamping: try count())
            // Neither are these: cordon-service starts one so for each user.
            case "--gate": gate = Int32(clamping: try count())
            case "--become":
                let text = try value()
                guard let identity = Identity(text) else { throw usage("--become \(text): USER:GROUP:GROUPS") }
                self.identity = identity
            case "--tier": settings.rules.machine.append(try value())
            case "--allow-policy": settings.rules.allowed = (settings.rules.allowed ?? []) + [try value()]
            case "--metrics":
                let text = try value()
                if text.hasPrefix("unix:/") {
                    metrics = .socket(String(text.dropFirst(5)))
                } else if let port = UInt16(text), port > 0 {
                    metrics = .port(port)
                } else {
                    throw usage("--metrics \(text): write unix:/PATH, or the number of a port")
                }
            case "--state": settings.state = try value()
            case "--log":
                let level = try value()
                guard ["error", "warning", "info", "debug"].contains(level) else {
                    throw usage("--log \(level): error, warning, info or debug")
                }
                settings.logLevel = level
            case "--sessions": settings.sessions = Int(clamping: try count())
            case "--max-memory": settings.memory = try amount(parseSize)
            case "--max-pids": settings.pids = try count()
            case "--idle": settings.idle = try amount(parseDuration)
            case "--pool-memory":
                let text = try value()
                if text == "0" {
                    settings.poolMemory = 0
                } else {
                    do throws(InvalidValue) { settings.poolMemory = try parseSize(text) } catch {
                        throw usage("--pool-memory \(error.message)")
                    }
                }
            case "--help", "-h":
                _ = try? write(1, Array(Self.help.utf8)[...])
                exitNow(0)
            default: throw usage("unknown option \(parts[0])")
            }
        }
        if let gate {
            self.mode = .gate(gate)
            settings.provesPaths = true
            settings.copiesAudit = true
            return
        }
        guard let mode, !isTwice else { throw usage("one of --stdio and --socket is needed") }
        if case .socket(let path) = mode, path.isEmpty { throw usage("--socket needs a path") }
        if let listening {
            guard case .socket(let path) = mode else { throw usage("--listening needs --socket") }
            self.mode = .listening(listening, path)
        } else {
            self.mode = mode
        }
    }
}

extension DaemonOptions.Mode {
    /// Why it cannot serve, and what to do.
    func explanation(of error: Errno) -> String {
        switch self {
        case .standard where error == .notPermitted:
            "standard input and output must be pipes or sockets, not files (epoll(7)): start it from a program"
        case .socket(let path) where error == .addressInUse:
            "\(path) is there already: another supervisor serves on it, or one that was killed left it; remove it then"
        case .socket(let path), .listening(_, let path): "\(path): \(error.message)"
        case .standard, .gate: error.message
        }
    }
}
