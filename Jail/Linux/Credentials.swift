// The identity and attributes of the calling process.
internal import CLinux
internal import Glibc

/// Sets all three user ids and group ids; groups first, while the right to do so is still there.
///
/// The corresponding C functions are `setresgid` and `setresuid`.
public func become(user: UInt32, group: UInt32) throws(Errno) {
    try check(setresgid(group, group, group))
    try check(setresuid(user, user, user))
}

/// Sets the saved user id alone.
///
/// The corresponding C function is `setresuid`.
public func setSavedUser(_ user: UInt32) throws(Errno) { try check(setresuid(.max, .max, user)) }

/// Replaces all ids, the supplementary groups among them, for good: what root is started as, somebody else goes on as.
/// All capabilities go with it, and no process of that user may trace this one.
///
/// The corresponding C functions are `setgroups`, `setresgid` and `setresuid`, and `prctl` with PR_SET_DUMPABLE.
public func become(user: UInt32, group: UInt32, supplementary groups: [UInt32]) throws(Errno) {
    try check(unsafe setgroups(groups.count, groups))
    try become(user: user, group: group)
    try makeUndumpable()
    // A call that was refused in silence would leave everything to root.
    guard user != 0, callerIdentity == (user, group), effectiveUser == user, setresuid(0, 0, 0) != 0 else {
        throw .notPermitted
    }
}

/// Empties the supplementary groups.
///
/// The corresponding C function is `setgroups`.
public func dropSupplementaryGroups() throws(Errno) { try check(setgroups(0, nil)) }

/// The supplementary groups of this process.
///
/// The corresponding C function is `getgroups`.
public func supplementaryGroups() throws(Errno) -> [UInt32] {
    let count = try check(getgroups(0, nil))
    var groups = [UInt32](repeating: 0, count: Int(count))
    let got = try check(unsafe getgroups(count, &groups))
    return Array(groups.prefix(Int(got)))
}

/// Keeps other processes of the same user from tracing this one or reading its memory; its /proc files
/// then belong to root (proc(5)).
///
/// The corresponding C function is `prctl` with PR_SET_DUMPABLE.
public func makeUndumpable() throws(Errno) { try check(setAttribute(PR_SET_DUMPABLE, 0)) }

/// No execve from here on gives privileges.
///
/// The corresponding C function is `prctl` with PR_SET_NO_NEW_PRIVS.
public func forbidNewPrivileges() throws(Errno) { try check(setAttribute(PR_SET_NO_NEW_PRIVS, 1)) }

private func setAttribute(_ attribute: Int32, _ value: UInt) -> Int32 { cordon_prctl(attribute, value) }

/// A fresh, anonymous session keyring, so that no key of the caller's session can be read.
///
/// The corresponding system call is `keyctl` with KEYCTL_JOIN_SESSION_KEYRING.
public func joinFreshKeyring() throws(Errno) { try checkRaw(cordon_join_session_keyring()) }

/// Names the UTS namespace's host.
///
/// The corresponding C function is `sethostname`.
public func setHostName(_ name: String) throws(Errno) { try check(unsafe sethostname(name, name.utf8.count)) }

/// Puts the calling process under a seccomp filter: an array of `struct sock_filter`.
///
/// The corresponding system call is `seccomp` with SECCOMP_SET_MODE_FILTER.
public func loadFilter(_ program: [UInt8]) throws(Errno) {
    let result = unsafe program.withUnsafeBytes { unsafe cordon_seccomp_load($0.baseAddress, $0.count) }
    try checkRaw(result)
}

/// Sets effective, permitted and inheritable capabilities of the calling thread.
///
/// The corresponding system call is `capset`.
public func setCapabilities(permitted: UInt64, inheritable: UInt64) throws(Errno) {
    try checkRaw(cordon_capset(permitted, inheritable))
}

/// Sets the permission mask for new files and returns the old one.
///
/// The corresponding C function is `umask`.
@discardableResult
public func setFileModeMask(_ mask: UInt32) -> UInt32 { umask(mask) }

/// Names the calling process, as ps(1) shows it; at most 15 bytes.
///
/// The corresponding C function is `prctl` with PR_SET_NAME.
public func nameProcess(_ name: String) { unsafe name.withCString { unsafe cordon_set_name($0) } }

/// Switches on the loopback interface of the network namespace that the caller is in.
///
/// The corresponding C function is `ioctl` with SIOCSIFFLAGS (netdevice(7)).
public func switchOnLoopback() throws(Errno) { try checkRaw(cordon_loopback_up()) }
