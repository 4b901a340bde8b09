// Untrusted output on a person's terminal.
//
// A terminal obeys what is written to it: escape sequences set its title, write its clipboard (OSC 52), answer
// as if typed, or hide text. Only what colours and moves along a line is passed on (SGR, tab, newline, carriage
// return, backspace, bell left out); every other control is made visible. Nothing is ever held back for
// long: a sequence that does not end is shown as soon as it is known not to be SGR.
// Raw bytes reach a terminal only through a PTY that a person attached.

/// Makes a stream safe to show, whatever way it is cut into pieces.
public struct TerminalFilter {
    /// The start of a sequence that may yet be SGR: `ESC`, or `ESC [` and parameters.
    private var sequence: [UInt8] = []
    /// The first byte of a UTF-8 sequence, when its second decides whether it is a C1 control (U+0080…U+009F).
    private var lead: UInt8?
    /// How many bytes of a UTF-8 sequence are still to come. Outside of one, a byte of 0x80…0x9f is a C1 control
    /// to an 8-bit terminal.
    private var continuation = 0
    private static let longestSequence = 32
    private static let escape: UInt8 = 0x1b

    /// A whole text with every control but tab and newline made visible.
    public static func visible(_ text: String) -> [UInt8] {
        var output: [UInt8] = []
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x09, 0x0a: output.append(UInt8(scalar.value))
            case ..<0x20, 0x7f...0x9f: output += Array(("\\x" + String(scalar.value, radix: 16)).utf8)
            default: output += UTF8.encode(scalar).map(Array.init) ?? []
            }
        }
        return output
    }

    /// A filter at the start of a stream.
    public init() {}

    /// What may be shown of the next bytes.
    public mutating func filter(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        for byte in bytes { take(byte, into: &output) }
        return output
    }

    /// What was held back, at the end of the stream.
    public mutating func flush() -> [UInt8] {
        var output: [UInt8] = []
        show(&output)
        if let lead { output.append(lead) }
        lead = nil
        return output
    }

    private mutating func take(_ byte: UInt8, into output: inout [UInt8]) {
        if let first = lead {
            lead = nil
            if (0x80...0x9f).contains(byte) { return visible(byte, &output) }
            output.append(first)
            if (0xa0...0xbf).contains(byte) { return output.append(byte) }
        }
        if !sequence.isEmpty {
            switch (sequence.count, byte) {
            case (1, UInt8(ascii: "[")),
                (2..<Self.longestSequence, UInt8(ascii: "0")...UInt8(ascii: "9")),
                (2..<Self.longestSequence, UInt8(ascii: ";")), (2..<Self.longestSequence, UInt8(ascii: ":")):
                return sequence.append(byte)
            case (2..., UInt8(ascii: "m")):
                output += sequence + [byte]
                sequence = []
                return
            default: show(&output)
            }
        }
        if continuation > 0, (0x80...0xbf).contains(byte) {
            continuation -= 1
            return output.append(byte)
        }
        continuation = 0
        switch byte {
        case 0x80...0x9f: visible(byte, &output)
        case 0xc3...0xdf, 0xe0...0xef, 0xf0...0xf4:
            continuation = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3
            output.append(byte)
        case Self.escape: sequence = [byte]
        case 0x08, 0x09, 0x0a, 0x0d: output.append(byte)
        case ..<0x20, 0x7f: visible(byte, &output)
        case 0xc2: lead = byte
        default: output.append(byte)
        }
    }

    /// A sequence that is not SGR: its escape becomes visible, the rest is text.
    private mutating func show(_ output: inout [UInt8]) {
        for byte in sequence {
            if byte == Self.escape { visible(byte, &output) } else { output.append(byte) }
        }
        sequence = []
    }

    private func visible(_ byte: UInt8, _ output: inout [UInt8]) {
        let digits = String(byte, radix: 16)
        output += Array(("\\x" + (digits.count < 2 ? "0" : "") + digits).utf8)
    }
}
