// What an entry costs in memory, as glibc's malloc and Swift's arrays have it: the bounds are on this, not on payloads.

enum EntryCost {
    /// A slot (48 bytes, and its share of the page's header); a link (16 bytes, of which at most three are there for
    /// each entry while the array grows) and a place of the index (8 bytes, at most four), which do not grow at once.
    static let fixed = 116
    /// A timer: 16 bytes, of which at most three are there for each deadline.
    static let timer = 48
    /// A namespace: its objects, and the part of its last page that is not used.
    static let namespace = 10 << 10

    static func of(key: Int, value: Int, expires: Bool) -> Int {
        fixed + (key > StoredKey.shortest ? array(key) : 0) + array(value) + (expires ? timer : 0)
    }

    /// An array of so many bytes: 32 bytes of header, 8 of malloc's own, in steps of 16, and whole pages where malloc
    /// calls mmap.
    static func array(_ count: Int) -> Int {
        if count == 0 { return 0 }
        let size = (count + 32 + 8 + 15) & ~15
        return size < 128 << 10 ? size : (size + 4096 + 4095) & ~4095
    }

    /// The same bytes without the room for more that an array may have behind them: it would be memory that nobody
    /// counts.
    static func exact(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.capacity - bytes.count > 24 else { return bytes }
        return unsafe bytes.withUnsafeBytes { source in
            unsafe [UInt8](unsafeUninitializedCapacity: source.count) { target, count in
                unsafe UnsafeMutableRawBufferPointer(target).copyMemory(from: source)
                count = source.count
            }
        }
    }
}
