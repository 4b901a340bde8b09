// JSON as RFC 8259 has it: what is read, what is refused, and that what is written is read again.
import Foundation
import TestSupport
import Testing
import Wire

@Suite struct JsonTests {
    private func read(_ text: String) throws(JsonError) -> JsonValue { try JsonValue(parsing: text.utf8) }

    @Test(arguments: [
        ("null", JsonValue.null), (" true ", .bool(true)), ("\t[]\r\n", .array([])), ("{}", .object(JsonObject())),
        ("0", .number(0)), ("-1", .number(-1)), ("9223372036854775807", .number(.max)),
        ("-9223372036854775808", .number(.min)), ("18446744073709551615", .count(.max)),
        ("18446744073709551616", .real(18446744073709551616)), ("1.5", .real(1.5)), ("1e2", .real(100)),
        ("1E-2", .real(0.01)),
        ("-0", .real(-0.0)), ("0.1e+1", .real(1)), ("5e-324", .real(Double.leastNonzeroMagnitude)),
        ("1e-400", .real(0)),
        ("\"\"", .string("")), ("\"a\\n\\u0041\\/\"", .string("a\nA/")), ("\"\\ud83d\\ude00\"", .string("😀")),
        ("\"\\u0000\"", .string("\0")), ("\"é\"", .string("é")),
        (
            "[1,[2],{\"a\":[]}]",
            .array([.number(1), .array([.number(2)]), .object(["a": .array([])])])
        ),
        ("{\"a\":1,\"b\":{\"a\":2}}", .object(["a": .number(1), "b": .object(["a": .number(2)])])),
        // Two names that Unicode calls one.
        ("{\"\\u00e9\":1,\"e\\u0301\":2}", .object(["\u{e9}": .number(1), "e\u{301}": .number(2)])),
    ]) func isRead(_ text: String, _ value: JsonValue) throws {
        #expect(try read(text) == value)
    }

    @Test(arguments: [
        "", " ", "nul", "nullx", "True", "'a'", "[", "[1", "[1,", "[1,]", "[,1]", "{", "{a:1}", "{\"a\"}", "{\"a\":}",
        "{\"a\":1,}",
        "{1:2}", "01", "-", "+1", ".5", "1.", "1.e1", "1e", "1e+", "0x1", "Infinity", "NaN", "1e400", "-1e400", "1 2",
        "[] []",
        "\"", "\"a", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u+123\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"",
        "\"\\ud800\\ud800\"", "\"a\nb\"", "\"\u{1}\"", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "\u{feff}1",
        "1\u{a0}",
        "[1;2]", "/* */ 1", "\u{37e}",
        String(repeating: "[", count: 100_000), String(repeating: "[", count: 70) + String(repeating: "]", count: 70),
        String(repeating: "{\"a\":", count: 100_000),
    ]) func isRefused(_ text: String) {
        #expect(throws: JsonError.self) { try read(text) }
    }

    @Test func bytesThatAreNotText() {
        for bytes: [UInt8] in [
            [0x22, 0xFF, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0xFE, 0xFF],
        ] {
            #expect(throws: JsonError.self) { try JsonValue(parsing: bytes) }
        }
    }

    @Test func depth() throws {
        let deepest = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        _ = try read(deepest)
        #expect(throws: JsonError.self) { try read("[" + deepest + "]") }
    }

    /// What is written is read again as the same, and Foundation's reader agrees.
    @Test func roundTrip() throws {
        var random = seeded()
        for _ in 0..<2000 {
            let value = Self.value(&random, depth: 0)
            let text = value.serialized
            #expect(try read(text) == value, "\(text)")
            #expect(!text.utf8.contains { $0 < 0x20 || $0 == 0x7F }, "a control character is written")
            let theirs = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
            #expect(Self.isSame(theirs, value), "\(text)")
        }
    }

    /// Damaged texts are refused or read, never a crash; and what is read is written, and read again as the same.
    @Test func damage() {
        var random = seeded()
        for _ in 0..<5000 {
            var bytes = Array(Self.value(&random, depth: 0).serialized.utf8)
            for _ in 0...Int.random(in: 0...2, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0: bytes.remove(at: place)
                case 1: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
                default:
                    bytes[place] =
                        [0x22, 0x5B, 0x5D, 0x2C, 0x7B, 0x7D, 0x5C, 0x30][Int.random(in: 0..<8, using: &random)]
                }
            }
            if let value = try? JsonValue(parsing: bytes) {
                #expect((try? JsonValue(parsing: value.serialized.utf8)) == value)
            }
        }
    }

    private static func value(_ random: inout SeededGenerator, depth: Int) -> JsonValue {
        switch Int.random(in: 0...(depth > 4 ? 5 : 7), using: &random) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &random))
        case 2: return .number(Int64.random(in: .min ... .max, using: &random))
        case 3: return .real(Double.random(in: -1e300...1e300, using: &random))
        case 4:
            return .real(Double(sign: .plus, exponent: Int.random(in: -900...900, using: &random), significand: 1.1))
        case 5: return .string(text(&random))
        case 6: return .array((0..<Int.random(in: 0...4, using: &random)).map { _ in value(&random, depth: depth + 1) })
        default:
            var object = JsonObject()
            for number in 0..<Int.random(in: 0...4, using: &random) {
                object.add("\(number)" + text(&random), value(&random, depth: depth + 1))
            }
            return .object(object)
        }
    }

    private static func text(_ random: inout SeededGenerator) -> String {
        var text = ""
        for _ in 0..<Int.random(in: 0...12, using: &random) {
            let value =
                Bool.random(using: &random)
                ? UInt32.random(in: 0...0x7F, using: &random)
                : UInt32.random(in: 0...0x10FFFF, using: &random)
            if let scalar = Unicode.Scalar(value) { text.unicodeScalars.append(scalar) }
        }
        return text
    }

    private static func isSame(_ theirs: Any, _ value: JsonValue) -> Bool {
        switch value {
        case .null: theirs is NSNull
        case .bool(let bool): (theirs as? NSNumber)?.boolValue == bool
        case .number(let number): (theirs as? NSNumber)?.int64Value == number
        case .count(let number): (theirs as? NSNumber)?.uint64Value == number
        // By way of a decimal number, the last digit of which may differ.
        case .real(let number):
            (theirs as? NSNumber).map { abs($0.doubleValue - number) <= abs(number) * 1e-15 } ?? false
        case .string(let text): (theirs as? String)?.utf8.elementsEqual(text.utf8) ?? false
        case .array(let values):
            (theirs as? [Any]).map { $0.count == values.count && zip($0, values).allSatisfy(isSame) } ?? false
        case .object(let object):
            (theirs as? [String: Any]).map { members in
                members.count == object.names.count
                    && object.names.allSatisfy { name in
                        members[name].map { isSame($0, object[name] ?? .null) } ?? false
                    }
            } ?? false
        }
    }
}
