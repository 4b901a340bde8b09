// A command's output on a descriptor of this process. A terminal is shown what would command it, never given it.
internal import Linux
internal import SupervisorCore

/// What goes to one descriptor.
struct ShownOutput {
    private let descriptor: Int32
    private var filter: TerminalFilter?

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        filter = isTerminal(descriptor) ? TerminalFilter() : nil
    }

    /// Writes all of it, and waits where there is no room.
    mutating func write(_ bytes: [UInt8]) throws(Errno) { try pass(filter?.filter(bytes) ?? bytes) }

    /// Writes what was held back.
    mutating func flush() throws(Errno) { try pass(filter?.flush() ?? []) }

    private func pass(_ bytes: [UInt8]) throws(Errno) {
        var rest = bytes[...]
        while !rest.isEmpty {
            do throws(Errno) { rest = rest.dropFirst(try Linux.write(descriptor, rest)) } catch {
                guard error == .again else { throw error }
                _ = try waitWritable(descriptor)
            }
        }
    }

    /// As `cordon run` says it.
    static func failure(_ error: Errno, of descriptor: Int32) -> LaunchFailure {
        LaunchFailure(
            step: "write", object: descriptor == 1 ? "standard output" : "standard error", errno: error,
            remedy: "make room, or send it elsewhere")
    }
}
