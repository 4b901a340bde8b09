// The command line of the benchmark.
internal import Linux

struct Options {
    /// Iterations of what is measured one by one.
    var iterations = 200
    /// Jails of the load test, in all and at a time.
    var jails = 2000, atATime = 64
    /// Idle jails at a time.
    var idle = 16
    /// Whether only a supervisor's commands are measured.
    var onlySessions = false
    /// Where the figures go as JSON.
    var json: String?

    static let usage = """
        usage: bench [--quick] [--sessions] [--iterations N] [--json FILE]
          --quick         20 iterations, 200 jails under load, 4 idle ones
          --sessions      only what a supervisor's commands cost
          --iterations N  N iterations
          --json FILE     the figures as JSON too

        """

    init?(_ arguments: [String]) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--quick": (iterations, jails, idle) = (20, 200, 4)
            case "--sessions": onlySessions = true
            case "--iterations":
                guard let count = rest.popFirst().flatMap({ Int($0) }), count > 0 else { return nil }
                iterations = count
            case "--json":
                guard let file = rest.popFirst() else { return nil }
                json = file
            default: return nil
            }
        }
    }
}
