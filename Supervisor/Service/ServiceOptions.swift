// The options of cordon-service.
internal import Linux

/// What it was asked to be.
struct ServiceOptions {
    /// What it does.
    enum Mode {
        /// Serves on a socket that a service manager opened (sd_listen_fds(3)).
        case activated
        /// Serves on a socket of its own.
        case socket(String)
        /// Reads its file, and says what is wrong in it.
        case check
    }

    private(set) var mode = Mode.activated
    /// The file with its rules.
    private(set) var file = "/etc/cordon/service.toml"
    /// Who is told that it is ready (sd_notify(3)).
    let notified: String?

    static let help = """
        cordon-service: gives each user of a machine a supervisor of their own, under that user's identity

        usage: cordon-service [--config FILE]                 on the socket that systemd opened
               cordon-service [--config FILE] --socket PATH   on a socket of its own
               cordon-service [--config FILE] --check         say what is wrong in its file

          --config FILE   who may use it, and for what (/etc/cordon/service.toml)
          --socket PATH   open this socket, for everybody; who is served, the file says
          --check         read the file, and exit: 0 it is right, 2 it is wrong

        SIGHUP reads the file again, and the policies of all sessions. It runs as root, and reads nothing that
        a user sends: who connects is told by the kernel, and passed on to that user's supervisor.

        examples:
          cordon-service --check --config ./service.toml
          CORDON_SOCKET=/run/cordon/cordon.sock cordon session new

        """

    /// What is wrong in how it was called.
    struct Wrong: Error {
        let text: String
    }

    init(_ arguments: [String], environment: [(name: String, value: String)]) throws(Wrong) {
        func variable(_ name: String) -> String? { environment.first { $0.name == name }?.value }
        notified = variable("NOTIFY_SOCKET")
        var rest = arguments[...]
        while let word = rest.popFirst() {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            func value() throws(Wrong) -> String {
                if parts.count > 1 { return parts[1] }
                guard let next = rest.popFirst() else { throw Wrong(text: "\(word) needs a value") }
                return next
            }
            switch parts[0] {
            case "--config": file = try value()
            case "--socket": mode = .socket(try value())
            case "--check": mode = .check
            case "--help", "-h":
                _ = try? write(1, Array(Self.help.utf8)[...])
                exitNow(0)
            default: throw Wrong(text: "unknown option \(word)")
            }
        }
        guard case .activated = mode else { return }
        // The variables may be somebody else's, inherited (sd_listen_fds(3)).
        guard variable("LISTEN_PID") == "\(processID)", variable("LISTEN_FDS") == "1" else {
            throw Wrong(text: "systemd gave it no socket: start cordon.socket, or give --socket PATH")
        }
    }
}
