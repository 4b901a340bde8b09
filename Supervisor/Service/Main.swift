// cordon-service: the one part of Cordon that runs as root for all users of a machine.
internal import JailPlan
internal import Linux
internal import PolicyModel

@main
struct Service {
    static func main() {
        do throws(Errno) { try fillStandardDescriptors() } catch { exitNow(125) }
        Signal.ignore(Signal.pipe)
        let environment = callerEnvironment()
        do throws(ServiceOptions.Wrong) {
            let options = try ServiceOptions(Array(commandLine().dropFirst()), environment: environment)
            if case .check = options.mode {
                guard let rules = readRules(options.file, ownerMatters: false) else { exitNow(2) }
                for remark in rules.remarks { put("\(options.file): \(remark)") }
                exitNow(0)
            }
            try serve(options, environment)
        } catch {
            put("\(error.text) (see cordon-service --help)")
            exitNow(2)
        }
        exitNow(0)
    }

    private static func serve(
        _ options: ServiceOptions, _ environment: [(name: String, value: String)]
    ) throws(ServiceOptions.Wrong) {
        guard effectiveUser == 0 else {
            throw ServiceOptions.Wrong(
                text: "it runs as root, to become other users; your own supervisor needs no service")
        }
        guard let rules = readRules(options.file, ownerMatters: true) else { exitNow(2) }
        func path(_ variable: String, _ usual: String) -> String {
            environment.first { $0.name == variable }?.value ?? usual
        }
        do throws(Errno) {
            setFileModeMask(0o022)
            // What somebody left open, no user's supervisor is to have.
            let isActivated = if case .activated = options.mode { true } else { false }
            try closeDescriptors(from: 3, except: isActivated ? 3 : -1)
            // What is left of root's: to give groups to users, to write where they may, to kill what is theirs. A supervisor
            // that it starts has what it needs to become its user by being executed as root (capabilities(7)).
            try setCapabilities(
                permitted: Capability.set(.changeOwner, .overrideAccess, .kill), inheritable: 0)
            let signals = try SignalSource([Signal.terminate, Signal.interrupt, Signal.hangUp])
            // As systemd names it (StateDirectory=, systemd.exec(5)).
            let state = path("STATE_DIRECTORY", "/var/lib/cordon")
            try makeDirectories(state, mode: 0o711)
            guard let groups = try ServiceGroups() else {
                put("another cordon-service runs here")
                exitNow(125)
            }
            let gate = try Gate(
                socket: try socket(options.mode), signals: signals, groups: groups,
                program: (parentPath(try readLink("/proc/self/exe")) ?? "") + "/cordon-supervisor", state: state,
                rules: rules, readRules: { readRules(options.file, ownerMatters: true) })
            notify(options, "READY=1")
            gate.whenStopping = { notify(options, "STOPPING=1") }
            try gate.run()
            if case .socket(let path) = options.mode { try? unlink(path) }
        } catch {
            put(error.message)
            exitNow(125)
        }
    }

    private static func socket(_ mode: ServiceOptions.Mode) throws(Errno) -> Descriptor {
        guard case .socket(let path) = mode else {
            // The first that systemd passes (sd_listen_fds(3)).
            let passed = Descriptor(owning: 3)
            // One that no supervisor inherits.
            let socket = try passed.duplicate()
            try socket.setNonBlocking(true)
            return socket
        }
        if let parent = parentPath(path) { try makeDirectories(parent, mode: 0o755) }
        // One that nobody listens on is left by a service that was killed.
        if (try? status(at: path))?.isSocket == true, (try? connect(to: path)) == nil { try? unlink(path) }
        return try listen(at: path, mode: 0o666)
    }

    private static func notify(_ options: ServiceOptions, _ state: String) {
        guard let path = options.notified else { return }
        do throws(Errno) { try sendDatagram(Array(state.utf8), to: path) } catch {
            put("systemd cannot be told \(state): \(error.message)")
        }
    }

    /// The rules; nil where they cannot be had, which is told.
    private static func readRules(_ path: String, ownerMatters: Bool) -> ServiceRules? {
        do throws(Errno) {
            let file = try open(path, [.readOnly, .nonBlocking])
            let status = try status(of: file.raw)
            guard status.isRegular else { throw Errno.invalid }
            guard !ownerMatters || status.isOwnAlone else {
                put("\(path): it must be root's, and nobody else may write it")
                return nil
            }
            let bytes = try file.readAll(limit: 1 << 20)
            do throws(PolicyError) { return try ServiceRules(bytes, file: path) } catch {
                for line in error.description.split(separator: "\n") { put(String(line)) }
                return nil
            }
        } catch {
            put("\(path): \(error.message): it says who may use the service; cordon-service --help")
            return nil
        }
    }
}

/// Tells the machine's owner, on standard error.
func put(_ text: String) { _ = try? write(2, Array("cordon-service: \(text)\n".utf8)[...]) }
