// Bytes that nobody can guess.
internal import Glibc

/// So many of them, 256 at most.
///
/// The corresponding C function is `getentropy`.
public func randomBytes(_ count: Int) throws(Errno) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    // Up to 256 bytes come whole, once the kernel has any (getentropy(3)).
    try check(unsafe getentropy(&bytes, count))
    return bytes
}
