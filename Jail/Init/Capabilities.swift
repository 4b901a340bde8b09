// Giving up capabilities, with libcap (capabilities(7)).
internal import CLibcap
internal import JailPlan
internal import Linux

/// PID 1, which executes nothing any more, keeps only `kept`, and no ambient or inheritable capability.
func keepOnly(_ kept: UInt64) throws(Errno) {
    guard cap_reset_ambient() == 0 else { throw .notPermitted }
    try setCapabilities(permitted: kept, inheritable: 0)
}

/// The spawner, whose children execute: the bounding set is cut down too, so that nothing executed from here on can
/// ever gain another capability.
func dropForGood(keeping kept: UInt64, bounding: UInt64) throws(Errno) {
    // The bounding set first: dropping from it needs CAP_SETPCAP, which is about to go.
    // libcap's cap_max_bits() is a guess where it may not ask, so every bit is tried: the kernel refuses those
    // beyond its last, and nobody's refusal below it is taken for that.
    let dropped = (0..<UInt64.bitWidth).filter { bounding >> UInt64($0) & 1 == 0 }
    for capability in dropped where cap_drop_bound(cap_value_t(capability)) != 0 {
        guard capability > Capability.lastOfFloor else { throw .notPermitted }
    }
    for capability in dropped where cap_get_bound(cap_value_t(capability)) == 1 { throw .notPermitted }
    try keepOnly(kept)
}
