// A line of a log: how it is chained to the one before it, and how that is found in bytes that may be forged.
internal import CLibsodium
internal import Wire

/// The form of a log.
///
/// A line is one JSON object (RFC 8259) in UTF-8 without a line break in it, and a newline:
///
///     {"n":2,"time":"2026-11-28T12:00:00.123Z","event":"command.run",…,"prev":"HEX","hash":"HEX"}
///
/// `n` counts from 1 on. `prev` is the `hash` of the line before, in whatever file that is, and 64 zeros in the first one.
/// `hash` is SHA-256 (FIPS 180-4), in 64 lower-case hexadecimal digits, of the 64 digits of `prev` as they stand there,
/// followed by the line's bytes without the newline and without `,"hash":"HEX"`, which are 74 bytes in front of the closing
/// brace. In Python:
///
///     body = line[:-76] + b"}"                       # `line` with its newline
///     record = json.loads(line)
///     assert hashlib.sha256(record["prev"].encode() + body).hexdigest() == record["hash"]
///
/// The first line of each file is one of the log's own, `audit.opened` or `audit.rotated`, and has the log's id and the
/// file's number: a head, and a file, of another log is told by them.
public enum AuditLine {
    /// The longest line, its newline included.
    public static let longest = 1 << 20

    /// What stands before the first line.
    static let origin = [UInt8](repeating: UInt8(ascii: "0"), count: hashSize)
    /// Hexadecimal digits of a hash.
    static let hashSize = 64

    private static let afterNumber = Array(",\"time\":\"".utf8), afterTime = Array("\",\"event\":\"".utf8)
    private static let beforePrevious = Array(",\"prev\":\"".utf8), beforeHash = Array("\",\"hash\":\"".utf8)
    private static let end = Array("\"}".utf8), start = Array("{\"n\":".utf8)
    /// Bytes of a time.
    private static let timeSize = 24
    /// From the comma before `prev` to the end of the line.
    private static let tailSize = beforePrevious.count + hashSize + beforeHash.count + hashSize + end.count

    /// A line with its newline, and its hash.
    ///
    /// - Parameter members: begins with a comma, or is empty.
    static func make(
        number: UInt64, time: String, event: String, members: [UInt8], previous: [UInt8]
    ) -> (bytes: [UInt8], hash: [UInt8]) {
        var line: [UInt8] = []
        line.reserveCapacity(members.count + 320)
        line += start
        line += String(number).utf8
        line += afterNumber
        line += time.utf8
        line += afterTime
        line += event.utf8
        line.append(UInt8(ascii: "\""))
        line += members
        line += beforePrevious
        line += previous
        line += end
        let hash = sha256(previous[...], line[...], [])
        line.removeLast(end.count)
        line += beforeHash
        line += hash
        line += end
        line.append(UInt8(ascii: "\n"))
        return (line, hash)
    }

    /// What a line says of itself.
    struct Reading {
        var number: UInt64
        /// The name of the event.
        var event: ArraySlice<UInt8>
        var previous: ArraySlice<UInt8>
        var hash: ArraySlice<UInt8>

        /// Whether the log wrote it about itself.
        var isOwn: Bool { event.starts(with: Array("audit.".utf8)) }
    }

    /// Reads a line, without its newline; nil where it has not the form of one, or not its own hash.
    static func read(_ line: ArraySlice<UInt8>) -> Reading? {
        var rest = line
        func take(_ expected: [UInt8]) -> Bool {
            guard rest.starts(with: expected) else { return false }
            rest = rest.dropFirst(expected.count)
            return true
        }
        guard line.count > tailSize, take(start) else { return nil }
        let digits = rest.prefix { (0x30...0x39).contains($0) }
        rest = rest.dropFirst(digits.count)
        guard let number = decimal(digits), take(afterNumber) else { return nil }
        rest = rest.dropFirst(timeSize)
        guard take(afterTime) else { return nil }
        let event = rest.prefix { $0 != UInt8(ascii: "\"") }
        rest = line.suffix(tailSize)
        guard event.endIndex < rest.startIndex, take(beforePrevious) else { return nil }
        let previous = rest.prefix(hashSize)
        rest = rest.dropFirst(hashSize)
        guard take(beforeHash) else { return nil }
        let hash = rest.prefix(hashSize)
        rest = rest.dropFirst(hashSize)
        guard rest.elementsEqual(end) else { return nil }
        // The comma and the quote before `hash` are no part of what was hashed, and the end of it is.
        let body = line.dropLast(beforeHash.count + hashSize + end.count)
        guard sha256(previous, body, end).elementsEqual(hash) else { return nil }
        return Reading(number: number, event: event, previous: previous, hash: hash)
    }

    /// The members of a line that the log wrote about itself.
    static func object(_ line: ArraySlice<UInt8>) -> JsonObject? {
        guard case .object(let object)? = try? JsonValue(parsing: line) else { return nil }
        return object
    }
}

/// SHA-256 of three parts one after the other, in lower-case hexadecimal digits.
func sha256(_ first: ArraySlice<UInt8>, _ second: ArraySlice<UInt8>, _ third: [UInt8]) -> [UInt8] {
    var state = crypto_hash_sha256_state()
    var digest = [UInt8](repeating: 0, count: 32)
    // None of these can fail; libsodium's own documentation has no error for them.
    unsafe crypto_hash_sha256_init(&state)
    for part in [first, second, third[...]] where !part.isEmpty {
        unsafe part.withUnsafeBufferPointer { bytes in
            _ = unsafe crypto_hash_sha256_update(&state, bytes.baseAddress.unsafelyUnwrapped, UInt64(bytes.count))
        }
    }
    unsafe crypto_hash_sha256_final(&state, &digest)
    var text: [UInt8] = []
    text.reserveCapacity(64)
    for byte in digest {
        text.append(hexadecimal(byte >> 4))
        text.append(hexadecimal(byte & 15))
    }
    return text
}

private func hexadecimal(_ digit: UInt8) -> UInt8 {
    digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
}
