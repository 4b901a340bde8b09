// Messages: what is taken for one, and what is said of what is none.
import TestSupport
import Testing
import Wire

@Suite struct RpcTests {
    private func parse(_ text: String) -> Result<RpcMessage, RpcFailure> { RpcMessage.parse(Array(text.utf8)) }

    private func failure(_ text: String) -> RpcFailure? {
        if case .failure(let failure) = parse(text) { failure } else { nil }
    }

    @Test func requests() throws {
        guard
            case .success(.request(let id, let method, let params)) = parse(
                #"{"jsonrpc":"2.0","id":7,"method":"a.b","params":{"x":[1]}}"#)
        else { throw Unexpected() }
        #expect(id == .number(7) && method == "a.b" && params.text == #"{"x":[1]}"#)
        guard case .success(.request(id: nil, "n", let none)) = parse(#"{"jsonrpc":"2.0","method":"n"}"#) else {
            throw Unexpected()
        }
        #expect(none.names.isEmpty)
    }

    private struct Unexpected: Error {}

    @Test(arguments: [
        ("", RpcErrorCode.parse), ("{", .parse), (#"{"a":1,"a":2}"#, .parse), ("[]", .invalidRequest),
        ("7", .invalidRequest), ("{}", .invalidRequest), (#"{"jsonrpc":"1.0","method":"a"}"#, .invalidRequest),
        (#"{"jsonrpc":"2.0","method":7}"#, .invalidRequest),
        (#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#, .invalidRequest),
        (#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, .invalidRequest),
        (#"{"jsonrpc":"2.0","id":[],"method":"a"}"#, .invalidRequest),
        (#"{"jsonrpc":"2.0","id":1,"method":"a","more":1}"#, .invalidRequest),
        (#"{"jsonrpc":"2.0","id":1,"method":"a","params":[]}"#, .invalidParams),
        (#"{"jsonrpc":"2.0","id":1}"#, .invalidRequest),
    ]) func none(_ text: String, _ code: RpcErrorCode) {
        #expect(failure(text)?.error.code == code, "\(text)")
    }

    /// Whoever asked is told, as far as it can be known who that was.
    @Test func idOfWhatIsNone() {
        #expect(failure(#"{"jsonrpc":"2.0","id":"x","method":"a","params":7}"#)?.id == .text(Array("x".utf8)))
        #expect(failure(#"{"id":3}"#)?.id == .number(3))
        #expect(failure("nonsense")?.id == nil)
    }

    @Test func responses() throws {
        let error = RpcError(.limit, "too much", ["limit": .string("frame")])
        let bytes = RpcMessage.response(id: .text(Array("k".utf8)), .failure(error)).encoded
        guard case .success(.response(let id, .failure(let read))) = RpcMessage.parse(bytes) else { throw Unexpected() }
        #expect(id == .text(Array("k".utf8)) && read.code == .limit && read.message == "too much")
        #expect(read.data["limit"]?.text == "frame" && read.data["kind"]?.text == "limit")
        // Passed on, it is the same.
        guard
            case .success(.response(_, .failure(let again))) = RpcMessage.parse(
                RpcMessage.response(id: id, .failure(read)).encoded)
        else { throw Unexpected() }
        #expect(again == read)
    }

    /// Numbers and words are told apart by clients: none comes twice.
    @Test func codesAreUnique() {
        #expect(Set(RpcErrorCode.allCases.map(\.name)).count == RpcErrorCode.allCases.count)
    }

    @Test func base64IsStrict() {
        for text in ["A", "AA", "AAA", "A===", "AA=A", "====", "AB==", "AAB=", "AA\n=", "A A="] {
            #expect(base64Decoded(text) == nil, "\(text)")
        }
        #expect(base64Decoded("") == [] && base64Decoded("AA==") == [0] && base64Decoded("/+8=") == [0xFF, 0xEF])
        var generator = SeededGenerator(seed: 7)
        for count in 0..<200 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(base64Decoded(base64(bytes)) == bytes)
        }
    }
}
