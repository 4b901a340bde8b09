// What the broker keeps of a session that is open, or promised. It starts and ends nothing.
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import SupervisorCore
internal import Wire

/// A session and what belongs to it.
final class OpenSession {
    let id: String
    let name: String?
    let user: UInt32
    let prepared: PreparedSession
    let session: Session
    /// Milliseconds without use after which it is closed; nil: never.
    let idle: UInt64?
    /// Seconds since 1970.
    let createdAt: UInt64
    /// Whether it goes with its client.
    let isBound: Bool
    weak var connection: Connection?
    var idleTimer: EventLoop.Timer?
    private(set) var usedAt = monotonicNanoseconds()
    /// Questions that were approved for as long as it lasts, until a time on the monotonic clock.
    var approved: [String: UInt64] = [:]
    /// What its tiers say now, where their files have changed since; both are asked.
    var current: PresentPolicies?
    /// The files of its policies, as they were last looked for.
    var policyFiles: [String]

    init(
        id: String, name: String?, user: UInt32, prepared: PreparedSession, session: Session, idle: UInt64?,
        isBound: Bool, connection: Connection
    ) {
        self.id = id
        self.name = name
        self.user = user
        self.prepared = prepared
        policyFiles = prepared.policyFiles
        self.session = session
        self.idle = idle
        self.isBound = isBound
        self.connection = connection
        createdAt = wallMilliseconds() / 1000
    }

    func touch() { usedAt = monotonicNanoseconds() }

    var summary: JsonObject {
        var json: JsonObject = [
            "id": .string(id), "name": name.map { .string($0) } ?? .null,
            "state": .string(session.isOpen ? "open" : "failed"), "policy": .string(prepared.tiers.session.name),
            "workspace": .string(prepared.workspace.path), "created_at": .count(createdAt),
            "idle_ms": .count((monotonicNanoseconds() - usedAt) / 1_000_000),
            "commands": .number(Int64(session.activeCount)), "plan": .string(prepared.planHash),
        ]
        if let image = prepared.specification.image { json.add("image", .string(image)) }
        return json
    }
}

/// Room that was promised to a session that is being made.
struct Reservation {
    let user: UInt32
    let policy: Policy
}
