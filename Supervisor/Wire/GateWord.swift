// What the service and a user's supervisor tell each other, each as the first byte of a message on a socket of their own.

/// The first byte of a message.
public enum GateWord: UInt8, Sendable {
    /// To the supervisor: a client, whose connection comes along.
    case connection = 0x63
    /// To the supervisor: the machine's owner wants policies to be read again.
    case reload = 0x72
    /// From the supervisor: it has neither clients nor sessions, after as many connections as the eight bytes behind say
    /// (most significant first). Where no more were sent meanwhile it is let go.
    case idle = 0x69
}
