// Making sure that what was written is there after the machine has lost its power.
internal import Glibc

/// Waits until a file, or the names in a directory, are on the disk.
///
/// The corresponding C function is `fsync`.
public func synchronize(_ descriptor: Int32) throws(Errno) { try retrying { fsync(descriptor) } }
