// Asking systemd's user manager for a cgroup, where an ordinary user has none.
//
// A login session's cgroup belongs to root. The user's own manager can make a scope and delegate it (systemd-run(1),
// Delegate=yes in systemd.resource-control(5)); it does so for processes that exist, so Cordon starts anew inside.
internal import JailPlanner
internal import Linux
internal import Machine
internal import PolicyModel
internal import SupervisorCore

struct UserManager {
    private let program: String
    private let environment: [(name: String, value: String)]
    /// Set for the second start, which is the last.
    private static let mark = "CORDON_DELEGATED_SCOPE"
    private static let options = ["--user", "--scope", "--quiet", "--collect", "-p", "Delegate=yes", "--"]
    /// How the manager is reached.
    private static let addresses = ["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"]

    /// What cgroups give, and nothing else can.
    private static let guarantees: Set<Guarantee> = [.memory, .swap, .cpuRate, .cpuTime, .io]

    /// The caller's manager; nil for root, without one, or where it was asked already.
    init?(machine: Machine, environment: [(name: String, value: String)]) {
        func variable(_ name: String) -> String? { environment.first { $0.name == name }?.value }
        guard machine.user != 0, variable(Self.mark) == nil, let runtime = variable("XDG_RUNTIME_DIR"),
            (try? status(at: runtime + "/systemd/private"))?.isSocket == true,
            let program = ["/usr/bin/systemd-run", "/bin/systemd-run"].first(where: mayExecute)
        else { return nil }
        self.program = program
        self.environment = environment
    }

    /// Whether a cgroup would help against this refusal.
    static func couldGive(_ failure: PlanFailure) -> Bool {
        guard case .missing(let all) = failure else { return false }
        return all.allSatisfy { guarantees.contains($0.guarantee) }
    }

    /// Starts this program anew in a scope that was delegated to the caller. Returns only where that cannot be had.
    func startAnewInScope() {
        // A scope for nothing, first: once this program is replaced, a refusal would look like the command's own.
        guard let own = try? readLink("/proc/self/exe"), succeeds(["/usr/bin/true"]) else { return }
        let variables = environment.map { $0.name + "=" + $0.value } + [Self.mark + "=1"]
        replaceProcess(
            program, arguments: [program] + Self.options + [own] + commandLine().dropFirst(), environment: variables)
    }

    private func succeeds(_ command: [String]) -> Bool {
        let addresses = environment.filter { Self.addresses.contains($0.name) }.map { $0.name + "=" + $0.value }
        guard let env = try? open("/usr/bin/env", .readOnly), let null = try? open("/dev/null", .readWrite),
            let child = try? cloneAndExecute(
                env, arguments: ["env"] + addresses + [program] + Self.options + command, namespaces: [], cgroup: nil,
                control: -1, null: null.raw, ambientCapabilities: 0)
        else { return false }
        // nil: a caller that ignores SIGCHLD had it reaped. The second start finds out.
        guard let status = try? child.wait() else { return true }
        return ExitStatus(waitStatus: status) == .exited(0)
    }
}
