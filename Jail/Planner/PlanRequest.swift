// What a plan is made from, and what comes of it.
public import JailFilters
public import JailPlan
public import Linux
public import PolicyModel

/// What a caller wants to run, besides the policy.
public struct PlanRequest: Sendable {
    /// The workspace: an absolute path without symbolic links.
    public var workspace: String
    /// The working directory: the workspace, or a directory in it.
    public var directory: String
    /// The caller's environment, from which the policy may pass variables.
    public var callerEnvironment: [(name: String, value: String)]
    /// Variables of whoever asked, where that is another than the caller: what the policy passes comes from these. Where tool
    /// chains and caches are is still the caller's word. Nil: the caller's environment.
    public var askerEnvironment: [(name: String, value: String)]?
    /// Variables that the caller sets for the command.
    public var setEnvironment: [(name: String, value: String)]
    /// A directory with a root file system; nil: the host's `/usr`.
    public var image: String?
    /// The directory of Cordon's own programs. A jail that may write above it gets that part read-only: whoever could
    /// change them would be started with the caller's rights the next time.
    public var programs: String?
    /// Whether commands follow one another in the jail, so that each must be told from the others.
    public var isForSession: Bool

    /// Makes a request.
    public init(
        workspace: String, directory: String, callerEnvironment: [(name: String, value: String)],
        setEnvironment: [(name: String, value: String)] = [], image: String? = nil, programs: String? = nil,
        isForSession: Bool = false
    ) {
        self.workspace = workspace
        self.directory = directory
        self.callerEnvironment = callerEnvironment
        self.setEnvironment = setEnvironment
        self.image = image
        self.programs = programs
        self.isForSession = isForSession
    }
}

/// A jail that can be started: the plan and what belongs to it.
public struct PreparedJail: Sendable {
    /// The plan.
    public var plan: Plan
    /// What the plan's `filters` step loads.
    public var filters: FilterRequest
    /// The fingerprint of those programs.
    public var filterName: String
    /// The environment of commands.
    public var environment: [(name: String, value: String)]
    /// Values that are replaced wherever output leaves.
    public var maskedValues: [String]
    /// The working directory.
    public var directory: String
    /// Directories to look for programs in.
    public var searchPath: [String]
    /// What the plan gives, and what it does not give although the policy wants it.
    public var guarantees: GuaranteeSummary
    /// Trees of the host that commands may write. What Cordon itself trusts must not lie there.
    public var writableTrees: [String]
}

/// Which promises hold.
public struct GuaranteeSummary: Sendable, Hashable {
    /// In force.
    public var enforced: [Guarantee]
    /// Missing, and listed under `allow_degraded`.
    public var degraded: [Guarantee]
    /// Sentences for people: a weaker mechanism, a network that is open.
    public var notes: [String]
}

/// Why a plan cannot be made.
public enum PlanFailure: Error, Sendable {
    /// The machine cannot give these, and the policy does not allow to go without.
    case missing([MissingGuarantee])
    /// The policy asks for what cannot be.
    case invalid([Diagnostic])
    /// Something that the plan needs cannot be read.
    case unreadable(path: String, Errno)
}

/// A promise that cannot be kept here.
public struct MissingGuarantee: Sendable, Hashable {
    /// Which.
    public var guarantee: Guarantee
    /// Why not.
    public var reason: String
    /// What opens it.
    public var remedy: String
    /// Whether the run itself asked for it, so that it cannot go without.
    public var isAsked: Bool
}

extension PlanFailure: CustomStringConvertible {
    /// One line for each thing that is wrong.
    public var description: String {
        switch self {
        case .missing(let all):
            all.map {
                "guarantee \($0.guarantee.rawValue) cannot be given: \($0.reason); \($0.remedy), or "
                    + ($0.isAsked
                        ? "leave out the option that asks for it"
                        : "list \"\($0.guarantee.rawValue)\" under allow_degraded")
            }.joined(separator: "\n")
        case .invalid(let diagnostics): diagnostics.map(\.description).joined(separator: "\n")
        case .unreadable(let path, let errno): "\(path): \(errno); check that it exists and that you may read it"
        }
    }
}
