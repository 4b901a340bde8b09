// SipHash (Aumasson and Bernstein, 2012): a keyed hash that whoever chooses the input cannot steer without the key.
// Swift's own hasher is not taken: an environment variable takes its seed away, and it costs twice as much here.

/// SipHash-c-d over 64-bit words. Bytes are cut into words by the caller, who also adds their count.
struct SipHash: Sendable {
    private var v0: UInt64, v1: UInt64, v2: UInt64, v3: UInt64

    init(_ key: SipKey) {
        v0 = key.first ^ 0x736f_6d65_7073_6575
        v1 = key.second ^ 0x646f_7261_6e64_6f6d
        v2 = key.first ^ 0x6c79_6765_6e65_7261
        v3 = key.second ^ 0x7465_6462_7974_6573
    }

    @inline(__always) private mutating func round() {
        v0 &+= v1
        v1 = v1 &<< 13 | v1 &>> 51
        v1 ^= v0
        v0 = v0 &<< 32 | v0 &>> 32
        v2 &+= v3
        v3 = v3 &<< 16 | v3 &>> 48
        v3 ^= v2
        v0 &+= v3
        v3 = v3 &<< 21 | v3 &>> 43
        v3 ^= v0
        v2 &+= v1
        v1 = v1 &<< 17 | v1 &>> 47
        v1 ^= v2
        v2 = v2 &<< 32 | v2 &>> 32
    }

    /// Takes a word with one round: the 1 of SipHash-1-3, which is what hash tables use.
    @inline(__always) mutating func addFast(_ word: UInt64) {
        v3 ^= word
        round()
        v0 ^= word
    }

    /// Takes a word with two rounds: the 2 of SipHash-2-4.
    @inline(__always) mutating func add(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    /// The hash after three more rounds (SipHash-1-3).
    @inline(__always) consuming func finishFast() -> UInt64 {
        v2 ^= 0xff
        round()
        round()
        round()
        return v0 ^ v1 ^ v2 ^ v3
    }

    /// The hash after four more rounds (SipHash-2-4).
    @inline(__always) consuming func finish() -> UInt64 {
        v2 ^= 0xff
        for _ in 0..<4 { round() }
        return v0 ^ v1 ^ v2 ^ v3
    }
}

/// The 128 bits that a hash depends on.
struct SipKey: Sendable {
    var first: UInt64, second: UInt64

    /// From the kernel's random numbers, so that nobody can prepare keys that fall on one place of a table.
    static func random() -> SipKey {
        var generator = SystemRandomNumberGenerator()
        return SipKey(first: generator.next(), second: generator.next())
    }
}

/// SipHash-2-4 of bytes that come in pieces.
struct Checksum: Sendable {
    private var state: SipHash
    private var pending: UInt64 = 0
    private var count: UInt64 = 0

    init(_ key: SipKey) { state = SipHash(key) }

    mutating func add(_ bytes: ArraySlice<UInt8>) {
        var at = bytes.startIndex
        while count & 7 != 0, at < bytes.endIndex {
            addByte(bytes[at])
            at += 1
        }
        let whole = (bytes.endIndex - at) / 8
        let start = at - bytes.startIndex
        unsafe bytes.withUnsafeBytes { buffer in
            for word in 0..<whole {
                let value = unsafe buffer.loadUnaligned(fromByteOffset: start + word * 8, as: UInt64.self)
                state.add(UInt64(littleEndian: value))
            }
        }
        count &+= UInt64(whole * 8)
        at += whole * 8
        while at < bytes.endIndex {
            addByte(bytes[at])
            at += 1
        }
    }

    private mutating func addByte(_ byte: UInt8) {
        pending |= UInt64(byte) &<< ((count & 7) * 8)
        count &+= 1
        if count & 7 == 0 {
            state.add(pending)
            pending = 0
        }
    }

    /// The hash of everything so far; more may be added afterwards.
    var value: UInt64 {
        var last = state
        last.add(pending | count << 56)
        return last.finish()
    }
}
