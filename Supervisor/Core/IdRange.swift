// Host ids for live jails.
//
// Each jail has 65,536 user and group ids that no other live jail has, so that a process which escapes its
// namespaces still owns nothing: not the host's files, not another jail's. A range is taken by locking one
// byte of a file; the kernel gives it back when the last holder dies, however that happens.
internal import JailPlan
internal import Linux
internal import Machine

/// A range of host ids, this jail's own while the value lives.
struct IdRange: ~Copyable {
    /// The first host id.
    let first: UInt32
    private let lock: Descriptor

    private static let base = Machine.jailIds.lowerBound
    private static let slots = UInt32(Machine.jailIds.count) / IDs.rangeSize
    private static let directory = "/run/cordon", file = "/run/cordon/ids.lock"

    /// Takes the first free range from an arbitrary start on, so that neighbours rarely collide.
    static func take() throws(LaunchFailure) -> IdRange {
        let lock = try step("map-ids", file) { () throws(Errno) in
            do throws(Errno) { return try open(file, [.readWrite, .noFollow]) } catch {
                guard error == .noEntry else { throw error }
            }
            try makeDirectoryIfMissing(directory, mode: 0o700)
            return try open(file, [.readWrite, .create, .noFollow], mode: 0o600)
        }
        let start = UInt32.random(in: 0..<slots)
        for offset in 0..<slots {
            let slot = (start + offset) % slots
            let taken = try step("map-ids", file) { () throws(Errno) in try tryLockByte(Int64(slot), of: lock.raw) }
            if taken { return IdRange(first: base + slot * IDs.rangeSize, lock: lock) }
        }
        throw LaunchFailure(
            step: "map-ids", object: file, remedy: "all \(slots) id ranges are in use by live jails: end some")
    }
}
