// The ring of what a terminal showed, against a model that keeps everything.
import TestSupport
import Testing

@testable import SupervisorCore

@Suite struct RingBufferTests {
    @Test func empty() {
        var ring = RingBuffer()
        #expect(ring.capacity == 2 << 20)
        #expect(ring.read(from: 0, limit: 10) == RingBuffer.Chunk(bytes: [], start: 0, missed: 0))
        // A place that is still to come is no gap.
        #expect(ring.read(from: 99, limit: 10) == RingBuffer.Chunk(bytes: [], start: 0, missed: 0))
        #expect(ring.drain().bytes.isEmpty && ring.begin == 0 && ring.end == 0)
    }

    @Test func overwrittenIsToldAsAGap() {
        var ring = RingBuffer(capacity: 8)
        ring.append([1, 2, 3, 4, 5])
        ring.append([6, 7, 8, 9, 10])
        #expect(ring.read(from: 0, limit: 3) == RingBuffer.Chunk(bytes: [3, 4, 5], start: 2, missed: 2))
        #expect(ring.read(from: 5, limit: 99) == RingBuffer.Chunk(bytes: [6, 7, 8, 9, 10], start: 5, missed: 0))
        // More at once than there is room for.
        ring.append(Array(11...40)[...])
        #expect(ring.read(from: 10, limit: 99) == RingBuffer.Chunk(bytes: Array(33...40), start: 32, missed: 22))
        #expect(ring.read(from: 40, limit: -1).bytes.isEmpty)
    }

    @Test func drainedAndClearedAreGone() {
        var ring = RingBuffer(capacity: 8)
        ring.append([1, 2, 3, 4, 5])
        #expect(ring.drain(limit: 2) == RingBuffer.Chunk(bytes: [1, 2], start: 0, missed: 0))
        #expect(ring.read(from: 0, limit: 9) == RingBuffer.Chunk(bytes: [3, 4, 5], start: 2, missed: 2))
        ring.clear()
        #expect(ring.begin == 5 && ring.end == 5 && ring.count == 0)
        ring.append([6])
        #expect(ring.read(from: 0, limit: 9) == RingBuffer.Chunk(bytes: [6], start: 5, missed: 5))
        #expect(ring.drain() == RingBuffer.Chunk(bytes: [6], start: 5, missed: 0) && ring.count == 0)
    }

    /// A few thousand operations of each of many rings, small ones, so that they go round often.
    @Test(arguments: [UInt64.random(in: 0 ... .max), 1, 2, 3])
    func asAModel(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<40 {
            let capacity = Int.random(in: 1...(Bool.random(using: &random) ? 40 : 9000), using: &random)
            var ring = RingBuffer(capacity: capacity)
            var all: [UInt8] = []
            var begin = 0
            for _ in 0..<500 {
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<5:
                    let count = Int.random(
                        in: 0...max(2, capacity / (Bool.random(using: &random) ? 8 : 1) + 2), using: &random)
                    let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
                    ring.append(bytes[...])
                    all += bytes
                    begin = max(begin, all.count - capacity)
                case 5..<8:
                    let place = Int.random(in: 0...all.count + 3, using: &random)
                    let limit = Int.random(in: 0...capacity + 3, using: &random)
                    let start = min(max(place, begin), all.count)
                    let expected = RingBuffer.Chunk(
                        bytes: Array(all[start...].prefix(limit)), start: UInt64(start),
                        missed: UInt64(max(0, start - place)))
                    #expect(ring.read(from: UInt64(place), limit: limit) == expected, "seed \(seed)")
                case 8:
                    let limit = Int.random(in: 0...capacity, using: &random)
                    let bytes = Array(all[begin...].prefix(limit))
                    #expect(ring.drain(limit: limit).bytes == bytes, "seed \(seed)")
                    begin += bytes.count
                default:
                    if Int.random(in: 0..<10, using: &random) == 0 {
                        ring.clear()
                        begin = all.count
                    }
                }
                #expect(
                    ring.begin == UInt64(begin) && ring.end == UInt64(all.count) && ring.count <= capacity,
                    "seed \(seed)")
            }
        }
    }
}
