// Giving up capabilities, with libcap (capabilities(7)).
internal import CLibcap
internal import JailPlan
internal import Linux

/// Keeps only `kept` permitted, and no ambient or inheritable capability.
func keepOnly(_ kept: UInt64) throws(Errno) {
    guard cap_reset_ambient() == 0 else { throw .notPermitted }
    try setCapabilities(permitted: kept, inheritable: 0)
}

/// The spawner's children execute: nothing executed from here on can ever gain a capability that is not in `bounding`.
/// It needs CAP_SETPCAP, so it comes before capabilities go.
func cutBoundingSet(to bounding: UInt64) throws(Errno) {
    // libcap's cap_max_bits() is a guess where it may not ask, so every bit is tried, until the kernel does not know
    // it: cap_get_bound(3) is then an error. A refusal to drop one that it knows is never taken for that.
    for capability in 0..<UInt64.bitWidth {
        if bounding >> UInt64(capability) & 1 == 0, cap_drop_bound(cap_value_t(capability)) != 0 {
            guard capability > Capability.lastOfFloor, cap_get_bound(cap_value_t(capability)) < 0 else {
                throw .notPermitted
            }
            return
        }
    }
}
