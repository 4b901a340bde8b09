// Where the lines of a text begin and end. A line ends with LF; a text whose last byte is LF has no empty line behind
// it.
internal import Glibc

/// The lines of a text, or of a part of it.
struct LineTable {
    /// Where each line begins, and behind the last one the end.
    private(set) var starts: [Int]
    /// Whether the last line has its LF.
    let isClosed: Bool

    /// The lines of a text.
    init(_ text: [UInt8]) { self.init(text, 0..<text.count) }

    /// The lines of a part that begins at the start of a line.
    init(_ text: [UInt8], _ part: Range<Int>) {
        var starts: [Int] = []
        starts.reserveCapacity(part.count / 32 + 2)
        unsafe text.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            var place = part.lowerBound
            while place < part.upperBound {
                starts.append(place)
                guard let hit = unsafe memchr(base + place, 0x0A, part.upperBound - place) else { break }
                place = unsafe UnsafeRawPointer(hit) - base + 1
            }
        }
        isClosed = !part.isEmpty && text[part.upperBound - 1] == ByteSearch.newline
        starts.append(part.upperBound)
        self.starts = starts
    }

    /// How many lines there are.
    var count: Int { starts.count - 1 }

    /// A line's bytes with its LF.
    @inline(__always)
    func whole(_ line: Int) -> Range<Int> { starts[line]..<starts[line + 1] }

    /// A line's bytes without its LF.
    @inline(__always)
    func content(_ line: Int) -> Range<Int> {
        starts[line]..<(starts[line + 1] - (line + 1 < count || isClosed ? 1 : 0))
    }

    /// The line that a byte lies in: for the end of the text the last one.
    func line(of offset: Int) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if starts[middle] <= offset { low = middle + 1 } else { high = middle }
        }
        return max(0, low - 1)
    }
}

/// Lines as numbers, equal where the lines are, so that a comparison is one of integers.
///
/// The hash is seeded at random, so that a file cannot be made to collide; equality is always of the bytes.
struct LineNumbers {
    private var keys: [UInt8] = []
    private var ends: [Int] = []
    private var hashes: [UInt64] = []
    private var slots: [Int32]
    private let seed: UInt64

    /// Room for about so many different lines.
    init(expecting count: Int) {
        var size = 16
        while size < 2 * count { size *= 2 }
        slots = Array(repeating: -1, count: size)
        seed = UInt64.random(in: .min ... .max)
    }

    /// How many different lines were numbered.
    var count: Int { ends.count }

    /// The number of a line, a new one where it was not met before.
    mutating func number(_ text: [UInt8], _ range: Range<Int>) -> Int32 {
        let hash = self.hash(text, range)
        let (slot, number) = look(text, range, hash)
        if number >= 0 { return number }
        unsafe text.withUnsafeBufferPointer { bytes in
            unsafe keys.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[range]))
        }
        ends.append(keys.count)
        hashes.append(hash)
        slots[slot] = Int32(truncatingIfNeeded: ends.count - 1)
        if 2 * ends.count > slots.count { grow() }
        return Int32(truncatingIfNeeded: ends.count - 1)
    }

    /// The number of a line, -1 where it was not met before.
    func known(_ text: [UInt8], _ range: Range<Int>) -> Int32 { look(text, range, hash(text, range)).number }

    private func look(_ text: [UInt8], _ range: Range<Int>, _ hash: UInt64) -> (slot: Int, number: Int32) {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while true {
            let number = slots[slot]
            guard number >= 0 else { return (slot, -1) }
            let index = Int(number)
            if hashes[index] == hash {
                let key = (index == 0 ? 0 : ends[index - 1])..<ends[index]
                if ByteSearch.equal(keys, key, text, range) { return (slot, number) }
            }
            slot = (slot + 1) & mask
        }
    }

    private mutating func grow() {
        slots = Array(repeating: -1, count: 2 * slots.count)
        let mask = slots.count - 1
        for (index, hash) in hashes.enumerated() {
            var slot = Int(truncatingIfNeeded: hash) & mask
            while slots[slot] >= 0 { slot = (slot + 1) & mask }
            slots[slot] = Int32(truncatingIfNeeded: index)
        }
    }

    /// Eight bytes at a time, folded by a 128-bit product.
    private func hash(_ text: [UInt8], _ range: Range<Int>) -> UInt64 {
        unsafe text.withUnsafeBytes { bytes in
            var state = seed ^ UInt64(truncatingIfNeeded: range.count)
            var index = range.lowerBound
            let end = range.upperBound
            while index + 8 <= end {
                state = Self.fold(state, unsafe bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
                index += 8
            }
            var rest: UInt64 = 0
            while index < end {
                rest = rest << 8 | UInt64(unsafe bytes[index])
                index += 1
            }
            return Self.fold(Self.fold(state, rest), seed)
        }
    }

    @inline(__always)
    private static func fold(_ state: UInt64, _ word: UInt64) -> UInt64 {
        let product = (state ^ word ^ 0x9E37_79B9_7F4A_7C15).multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
        return product.high ^ product.low ^ (state << 29 | state >> 35)
    }
}
