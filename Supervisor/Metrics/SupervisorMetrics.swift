// What a supervisor measures of itself. The event loop holds one and adds to it; nothing here knows what a session is.

/// All of a supervisor's instruments.
public struct SupervisorMetrics: Sendable {
    /// Sessions that are open.
    public var sessions = Gauge(InstrumentName("cordon_sessions", "Sessions that are open."))
    /// Connections that are open.
    public var connections = Gauge(InstrumentName("cordon_connections", "Clients that are connected."))
    /// Commands that run.
    public var runningCommands = Gauge(InstrumentName("cordon_commands_running", "Commands that run."))
    /// Commands that ended, by the contract's word for why.
    public var commands = Counter(
        InstrumentName("cordon_commands_total", "Commands that ended, by the reason."), labels: ["result"])
    /// Seconds from the start of a command to its end.
    public var commandSeconds = Histogram(
        InstrumentName("cordon_command_seconds", "Seconds from the start of a command to its end."),
        bounds: Histogram.commandSeconds)
    /// Requests that were answered, by method and by what came of them: `ok`, or the name of an error. Methods that are not
    /// known must come as one word, or a client makes a series of each.
    public var requests = Counter(
        InstrumentName("cordon_requests_total", "Requests that were answered."), labels: ["method", "outcome"])
    /// Seconds from a request to its answer.
    public var requestSeconds = Histogram(
        InstrumentName("cordon_request_seconds", "Seconds from a request to its answer."),
        bounds: Histogram.requestSeconds)
    /// Results that came from the cache.
    public var cacheHits = Counter(InstrumentName("cordon_cache_hits_total", "Results that came from the cache."))
    /// Results that the cache did not have.
    public var cacheMisses = Counter(
        InstrumentName("cordon_cache_misses_total", "Results that the cache did not have."))
    /// Results that went into the cache.
    public var cacheStores = Counter(InstrumentName("cordon_cache_stores_total", "Results that went into the cache."))
    /// Results that were removed to make room.
    public var cacheEvictions = Counter(
        InstrumentName("cordon_cache_evictions_total", "Results that were removed to make room."))
    /// Bytes that the cache holds.
    public var cacheBytes = Gauge(InstrumentName("cordon_cache_bytes", "Bytes that the cache holds."))
    /// Bytes that commands wrote to their outputs.
    public var outputBytes = Counter(
        InstrumentName("cordon_output_bytes_total", "Bytes that commands wrote to their outputs."))
    /// Requests that a verdict refused, by the kind of thing that was asked for: `command`, `file`, …
    public var denials = Counter(
        InstrumentName("cordon_denials_total", "Requests that a policy denied."), labels: ["kind"])
    /// Bytes of memory of the supervisor itself.
    public var memory = Gauge(
        InstrumentName("cordon_memory_bytes", "Bytes of memory that the supervisor has resident."))
    /// Records in the audit log.
    public var auditRecords = Counter(
        InstrumentName("cordon_audit_records_total", "Records that were added to the audit log."))

    /// All at 0.
    public init() {}

    /// In Prometheus' text format.
    public var text: String {
        var text = PrometheusText()
        text.add(sessions)
        text.add(connections)
        text.add(runningCommands)
        text.add(commands)
        text.add(commandSeconds)
        text.add(requests)
        text.add(requestSeconds)
        text.add(cacheHits)
        text.add(cacheMisses)
        text.add(cacheStores)
        text.add(cacheEvictions)
        text.add(cacheBytes)
        text.add(outputBytes)
        text.add(denials)
        text.add(memory)
        text.add(auditRecords)
        return text.text
    }
}
