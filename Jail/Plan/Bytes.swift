// The form in which plans and messages cross from the supervisor into a jail: fixed-width little-endian
// numbers and length-prefixed bytes. Both ends are ours and of one build, so there is no versioning; the
// reader still checks every length, since a parser that trusts its input is a habit not worth having.
public import Linux

/// Builds a message.
public struct ByteWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8] = []

    /// An empty message.
    public init() {}

    /// Appends a number.
    public mutating func write(_ value: UInt64) {
        var little = value.littleEndian
        unsafe withUnsafeBytes(of: &little) { unsafe bytes.append(contentsOf: $0) }
    }

    /// Appends a signed number.
    public mutating func write(_ value: Int64) { write(UInt64(bitPattern: value)) }

    /// Appends one byte.
    public mutating func write(_ value: UInt8) { bytes.append(value) }

    /// Appends a truth value.
    public mutating func write(_ value: Bool) { bytes.append(value ? 1 : 0) }

    /// Appends bytes, with their number in front.
    public mutating func write(_ value: [UInt8]) {
        write(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    /// Appends a text, with its number of bytes in front.
    public mutating func write(_ value: String) { write(Array(value.utf8)) }

    /// Appends a list, with its count in front.
    public mutating func write<Element>(_ values: [Element], _ body: (inout ByteWriter, Element) -> Void) {
        write(UInt64(values.count))
        for value in values { body(&self, value) }
    }
}

/// Takes a message apart. Anything that does not fit is `EBADMSG`.
public struct ByteReader: Sendable {
    private let bytes: [UInt8]
    private var offset = 0

    /// Reads from the start.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Whether everything was read.
    public var isAtEnd: Bool { offset == bytes.count }

    /// Reads a number.
    public mutating func number() throws(Errno) -> UInt64 {
        guard bytes.count - offset >= 8 else { throw .badMessage }
        var value: UInt64 = 0
        for index in (0..<8).reversed() { value = value << 8 | UInt64(bytes[offset + index]) }
        offset += 8
        return value
    }

    /// Reads a signed number.
    public mutating func signed() throws(Errno) -> Int64 { Int64(bitPattern: try number()) }

    /// Reads a number that must fit its type.
    public mutating func number<Value: FixedWidthInteger>(as type: Value.Type) throws(Errno) -> Value {
        guard let value = Value(exactly: try signed()) else { throw .badMessage }
        return value
    }

    /// Reads one byte.
    public mutating func byte() throws(Errno) -> UInt8 {
        guard offset < bytes.count else { throw .badMessage }
        defer { offset += 1 }
        return bytes[offset]
    }

    /// Reads a truth value.
    public mutating func flag() throws(Errno) -> Bool {
        switch try byte() {
        case 0: return false
        case 1: return true
        default: throw .badMessage
        }
    }

    /// Reads length-prefixed bytes.
    public mutating func data() throws(Errno) -> [UInt8] {
        let count = try number()
        guard count <= UInt64(bytes.count - offset) else { throw .badMessage }
        defer { offset += Int(count) }
        return Array(bytes[offset..<(offset + Int(count))])
    }

    /// Reads a text. A NUL in it would end a C string early, so there may be none.
    public mutating func text() throws(Errno) -> String {
        let data = try data()
        guard !data.contains(0), let text = String(validating: data, as: UTF8.self) else { throw .badMessage }
        return text
    }

    /// Reads a list.
    public mutating func list<Element>(_ body: (inout ByteReader) throws(Errno) -> Element) throws(Errno) -> [Element] {
        let count = try number()
        guard count <= UInt64(bytes.count) else { throw .badMessage }
        var result: [Element] = []
        result.reserveCapacity(Int(count))
        for _ in 0..<count { result.append(try body(&self)) }
        return result
    }
}
