// What the service and a user's supervisor tell each other, each in a message of one byte on a socket of their own.

/// The byte of a message.
public enum GateWord: UInt8, Sendable {
    /// To the supervisor: a client, whose connection comes along.
    case connection = 0x63
    /// To the supervisor: the machine's owner wants policies to be read again.
    case reload = 0x72
    /// From the supervisor: it has taken one more connection, in the order in which they were sent. One that it has not taken
    /// when it dies is the next one's.
    case taken = 0x74
    /// From the supervisor: it has neither clients nor sessions. Where every connection is taken it is let go.
    case idle = 0x69
}
