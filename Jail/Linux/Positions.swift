// Files by position: reading, rewriting and cutting at an offset, without a position that is shared.
internal import Glibc

/// Reads once at an offset. Zero is end-of-file.
///
/// The corresponding C function is `pread`.
public func read(_ descriptor: Int32, at offset: UInt64, into buffer: inout [UInt8]) throws(Errno) -> Int {
    try retrying {
        unsafe buffer.withUnsafeMutableBytes { unsafe pread(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
    }
}

/// Writes once at an offset; returns how many bytes were taken. Not for descriptors that append: on Linux those write at the
/// end whatever the offset says (pwrite(2), BUGS).
///
/// The corresponding C function is `pwrite`.
public func write(_ descriptor: Int32, at offset: UInt64, _ bytes: [UInt8]) throws(Errno) -> Int {
    try retrying {
        unsafe bytes.withUnsafeBytes { unsafe pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
    }
}

/// Cuts an open file to a length.
///
/// The corresponding C function is `ftruncate`.
public func truncate(_ descriptor: Int32, to length: UInt64) throws(Errno) {
    try retrying { ftruncate(descriptor, off_t(length)) }
}
