// Frames arrive in any pieces, and bad ones do no harm to those behind them.
import TestSupport
import Testing
import Wire

@Suite struct FrameTests {
    /// The layout is the protocol's, byte for byte.
    @Test func layout() {
        #expect(Frame(.control, payload: Array("{}".utf8)).encoded == [7, 0, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x7D])
        #expect(Frame(.data, stream: 0x0102_0304, payload: [9]).encoded == [6, 0, 0, 0, 1, 4, 3, 2, 1, 9])
        #expect(Frame.credit(0x8000_0001, stream: 2).encoded == [9, 0, 0, 0, 2, 2, 0, 0, 0, 1, 0, 0, 0x80])
        #expect(Frame(.end, stream: 7).encoded == [5, 0, 0, 0, 3, 7, 0, 0, 0])
        #expect(Frame.credit(77, stream: 2).creditCount == 77 && Frame(.data).creditCount == nil)
        #expect(Frame(.credit, payload: [1, 2, 3]).creditCount == nil)
    }

    @Test func anyPieces() throws {
        var random = seeded()
        for _ in 0..<300 {
            var decoder = FrameDecoder(longest: 4096)
            var bytes: [UInt8] = []
            var expected: [Result<Frame, FrameError>] = []
            for _ in 0..<20 {
                let size = Int.random(in: 0...300, using: &random)
                let payload = (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) }
                let stream = UInt32.random(in: 0...UInt32.max, using: &random)
                switch Int.random(in: 0...9, using: &random) {
                case 0:
                    let bad = UInt8.random(in: 4...255, using: &random)
                    var frame = Frame(.data, stream: stream, payload: payload).encoded
                    frame[4] = bad
                    bytes += frame
                    expected.append(.failure(.unknownKind(bad)))
                case 1:
                    let long = Frame(.data, stream: stream, payload: Array(repeating: 1, count: 4097 + size))
                    bytes += long.encoded
                    expected.append(.failure(.tooLong(UInt32(4097 + size + 5))))
                case 2:
                    let length = UInt8.random(in: 0...4, using: &random)
                    bytes += [length, 0, 0, 0] + [UInt8](repeating: 7, count: Int(length))
                    expected.append(.failure(.tooShort(UInt32(length))))
                default:
                    let kind = Frame.Kind.allCases[Int.random(in: 0...3, using: &random)]
                    let frame = Frame(kind, stream: stream, payload: payload)
                    bytes += frame.encoded
                    expected.append(.success(frame))
                }
            }
            var found: [Result<Frame, FrameError>] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...700, using: &random))
                rest = rest.dropFirst(piece.count)
                decoder.append(piece)
                while true {
                    do throws(FrameError) {
                        guard let frame = try decoder.next() else { break }
                        found.append(.success(frame))
                    } catch { found.append(.failure(error)) }
                }
            }
            #expect(found == expected && decoder.isBetweenFrames)
        }
    }

    /// A frame of 100 MB is refused when it is announced, and passed over piece by piece.
    @Test func hugeFrames() throws {
        var decoder = FrameDecoder()
        decoder.append([0, 0, 0, 6, 1, 0, 0, 0, 0])
        #expect(throws: FrameError.tooLong(100_663_296)) { try decoder.next() }
        var left = 100_663_296 - 5
        let piece = [UInt8](repeating: 1, count: 65536)
        while left > 0 {
            let size = min(left, piece.count)
            decoder.append(piece[..<size])
            left -= size
            #expect(!decoder.isBetweenFrames == (left > 0))
        }
        decoder.append(Frame(.end, stream: 1).encoded[...])
        #expect(try decoder.next() == Frame(.end, stream: 1))
    }

    @Test func anEndInTheMiddle() throws {
        var decoder = FrameDecoder()
        decoder.append(Frame(.data, stream: 1, payload: [1, 2, 3]).encoded.dropLast())
        #expect(try decoder.next() == nil)
        #expect(!decoder.isBetweenFrames)
    }
}
