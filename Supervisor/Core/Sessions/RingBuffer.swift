// The newest bytes of a stream, found by their place in it: readers keep a cursor of their own and are told of what they
// missed. It never holds more than it was made for, and no more memory than what it held at its fullest.

/// The last bytes of a stream. Places are counted from the stream's first byte on and never come again.
public struct RingBuffer: Sendable {
    /// What a read found.
    public struct Chunk: Sendable, Hashable {
        /// The bytes.
        public var bytes: [UInt8]
        /// Where they start: later than asked for where what was there is gone.
        public var start: UInt64
        /// How many bytes are missing between what was asked for and `start`.
        public var missed: UInt64
        /// Where to go on.
        public var next: UInt64 { start + UInt64(bytes.count) }
    }

    /// What a terminal keeps unless it is told otherwise.
    public static let usualCapacity = 2 << 20

    /// The most bytes that are kept.
    public let capacity: Int
    private var storage: [UInt8] = []
    /// The index of the oldest byte.
    private var head = 0
    /// How many bytes are kept.
    public private(set) var count = 0
    /// The place behind the newest byte: how many bytes there ever were.
    public private(set) var end: UInt64 = 0

    private static let smallest = 4096

    /// An empty one.
    ///
    /// - Parameter capacity: bytes, at least 1.
    public init(capacity: Int = usualCapacity) { self.capacity = max(1, capacity) }

    /// The place of the oldest byte that is kept.
    public var begin: UInt64 { end - UInt64(count) }

    /// Adds bytes; the oldest make room for them.
    public mutating func append(_ bytes: ArraySlice<UInt8>) {
        end += UInt64(bytes.count)
        let new = bytes.suffix(capacity)
        makeRoom(for: new.count)
        let surplus = max(0, count + new.count - storage.count)
        head = wrapped(head + surplus)
        count -= surplus
        let tail = wrapped(head + count)
        let first = new.prefix(storage.count - tail)
        copy(first, to: tail)
        copy(new.dropFirst(first.count), to: 0)
        count += new.count
    }

    /// At most `limit` bytes from a place on, or from the oldest on where that one is gone. A place that is still to come
    /// has no bytes, and is told as the present end.
    public func read(from place: UInt64, limit: Int) -> Chunk {
        let start = min(max(place, begin), end)
        let wanted = min(max(0, limit), Int(end - start))
        let missed = start > place ? start - place : 0
        guard wanted > 0 else { return Chunk(bytes: [], start: start, missed: missed) }
        let from = wrapped(head + Int(start - begin))
        let first = min(wanted, storage.count - from)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(wanted)
        bytes += storage[from..<from + first]
        bytes += storage[..<(wanted - first)]
        return Chunk(bytes: bytes, start: start, missed: missed)
    }

    /// The oldest bytes, which are not kept any longer: whoever has not read them has missed them.
    public mutating func drain(limit: Int = .max) -> Chunk {
        let chunk = read(from: begin, limit: limit)
        count -= chunk.bytes.count
        if count == 0 { forget() } else { head = wrapped(head + chunk.bytes.count) }
        return chunk
    }

    /// Keeps nothing of what there was so far.
    public mutating func clear() {
        count = 0
        forget()
    }

    private mutating func forget() {
        head = 0
        storage = []
    }

    /// An index that went round at most once.
    private func wrapped(_ index: Int) -> Int { index >= storage.count ? index - storage.count : index }

    /// Memory doubles until it is as large as promised.
    private mutating func makeRoom(for more: Int) {
        let wanted = min(capacity, count + more)
        guard wanted > storage.count else { return }
        var size = max(Self.smallest, storage.count)
        while size < wanted { size *= 2 }
        size = min(size, capacity)
        var larger: [UInt8] = []
        larger.reserveCapacity(size)
        larger += read(from: begin, limit: count).bytes
        larger += repeatElement(0, count: size - count)
        storage = larger
        head = 0
    }

    private mutating func copy(_ bytes: ArraySlice<UInt8>, to index: Int) {
        guard !bytes.isEmpty else { return }
        unsafe storage.withUnsafeMutableBytes { target in
            unsafe bytes.withUnsafeBytes { source in
                // `append` cuts what it copies to what fits behind the index.
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[index...]).copyMemory(from: source)
            }
        }
    }
}
