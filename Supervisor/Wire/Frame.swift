// Frames: how a stream of bytes is divided into messages and parts of streams.
//
// A frame is five bytes and a payload:
//
//   length   4 bytes, little-endian: of what follows it
//   kind     1 byte
//   stream   4 bytes, little-endian: 0 for control
//   payload  length - 5 bytes

/// One frame.
public struct Frame: Sendable, Hashable {
    /// What a frame is.
    public enum Kind: UInt8, Sendable, CaseIterable {
        /// A JSON-RPC message.
        case control = 0
        /// Bytes of a stream, in order.
        case data = 1
        /// The receiver of a stream takes so many bytes more: four bytes, little-endian.
        case credit = 2
        /// A stream has ended; nothing follows on it in this direction.
        case end = 3
    }

    /// What it is.
    public var kind: Kind
    /// The stream that it belongs to.
    public var stream: UInt32
    /// What it carries.
    public var payload: [UInt8]

    /// A frame.
    public init(_ kind: Kind, stream: UInt32 = 0, payload: [UInt8] = []) {
        self.kind = kind
        self.stream = stream
        self.payload = payload
    }

    /// Bytes in front of the payload.
    public static let headerSize = 9
    /// The longest payload. What is longer is cut into several frames, or given as a stream.
    public static let longestPayload = 1 << 20

    /// As bytes.
    public var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headerSize + payload.count)
        Self.appendHeader(kind, stream: stream, payloadSize: payload.count, to: &bytes)
        bytes += payload
        return bytes
    }

    /// The bytes in front of a payload of this size.
    public static func appendHeader(_ kind: Kind, stream: UInt32, payloadSize: Int, to bytes: inout [UInt8]) {
        appendNumber(UInt32(payloadSize + 5), to: &bytes)
        bytes.append(kind.rawValue)
        appendNumber(stream, to: &bytes)
    }

    /// A credit for a stream.
    public static func credit(_ count: UInt32, stream: UInt32) -> Frame {
        var payload: [UInt8] = []
        appendNumber(count, to: &payload)
        return Frame(.credit, stream: stream, payload: payload)
    }

    /// How many bytes a credit is for; nil for another frame, and for a credit that is none.
    public var creditCount: UInt32? {
        guard kind == .credit, payload.count == 4 else { return nil }
        return Self.number(payload[...])
    }

    private static func appendNumber(_ number: UInt32, to bytes: inout [UInt8]) {
        for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: number >> UInt32(shift))) }
    }

    fileprivate static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// What is wrong with a frame. The stream of frames goes on behind it.
public enum FrameError: Error, Sendable, Hashable {
    /// Its payload is longer than is taken; it is passed over, and no memory is kept for it.
    case tooLong(UInt32)
    /// It is shorter than a header.
    case tooShort(UInt32)
    /// A kind that is not known.
    case unknownKind(UInt8)
}

/// Finds the frames in a stream of bytes that arrive in any pieces. The bytes may be hostile; no more than one frame's are
/// kept.
public struct FrameDecoder: Sendable {
    private var bytes: [UInt8] = []
    /// Where the next frame starts.
    private var start = 0
    /// Bytes of a bad frame that are still to come.
    private var toSkip = 0
    private let longest: Int

    /// - Parameter longest: the longest payload that is taken.
    public init(longest: Int = Frame.longestPayload) { self.longest = longest }

    /// Whether the stream could end here: not in the middle of a frame.
    public var isBetweenFrames: Bool { start == bytes.count && toSkip == 0 }

    /// Adds what was received.
    public mutating func append(_ received: ArraySlice<UInt8>) {
        let skipped = min(toSkip, received.count)
        toSkip -= skipped
        if start > 0 {
            bytes.removeFirst(start)
            start = 0
        }
        bytes += received.dropFirst(skipped)
    }

    /// The next whole frame; nil where more bytes are needed.
    ///
    /// - Throws: ``FrameError``, once for each bad frame, which is left out.
    public mutating func next() throws(FrameError) -> Frame? {
        let available = bytes.count - start
        guard available >= 4 else { return nil }
        let length = Frame.number(bytes[start...])
        guard length >= 5 else {
            // What follows cannot be told from what belongs to it; only its own length is left out.
            skip(4 + Int(length))
            throw .tooShort(length)
        }
        guard Int(length) - 5 <= longest else {
            skip(4 + Int(length))
            throw .tooLong(length)
        }
        guard available >= 4 + Int(length) else { return nil }
        let code = bytes[start + 4]
        guard let kind = Frame.Kind(rawValue: code) else {
            skip(4 + Int(length))
            throw .unknownKind(code)
        }
        let stream = Frame.number(bytes[(start + 5)...])
        let end = start + 4 + Int(length)
        let frame = Frame(kind, stream: stream, payload: Array(bytes[(start + Frame.headerSize)..<end]))
        start = end
        return frame
    }

    private mutating func skip(_ count: Int) {
        let here = min(count, bytes.count - start)
        start += here
        toSkip = count - here
    }
}
