// Giving up capabilities, with libcap (capabilities(7)).
internal import CLibcap
internal import JailPlan
internal import Linux

/// Empties the bounding, ambient and inheritable sets of the calling process, so that nothing executed from
/// here on can ever gain one; permitted and effective keep only `kept`.
func keepOnly(_ kept: UInt64) throws(Errno) {
    // The bounding set first: dropping from it needs CAP_SETPCAP, which is about to go.
    for capability in 0..<cap_max_bits() {
        guard cap_drop_bound(cap_value_t(capability)) == 0 else { throw .notPermitted }
    }
    guard cap_reset_ambient() == 0 else { throw .notPermitted }
    try setCapabilities(permitted: kept, inheritable: 0)
}
