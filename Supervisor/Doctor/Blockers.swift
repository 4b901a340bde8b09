// From what the kernel said to what is in the way, and what opens it.
//
// The kernel says EPERM for a dozen reasons. Those that can be read (a sysctl, a mask over /proc, a missing
// capability) are read; that a seccomp filter is the reason is shown by calls for which the kernel itself has
// no EPERM.
internal import Linux

/// Numbers of capabilities(7).
enum CapabilityNumber {
    static let setGid = 6, setUid = 7, sysAdmin = 21, setFileCapabilities = 31
}

extension Circumstances {
    /// Why a namespace cannot be made. `kind` is a name of `Namespaces.names`.
    func blockerOfNamespace(_ kind: String, _ obstacle: Obstacle) -> Blocker {
        let limit = "user.max_" + (kind == "mount" ? "mnt" : kind) + "_namespaces"
        switch obstacle.errno {
        case .noSpace?, .tooManyUsers?:
            if let value = sysctl(limit), value < 16 {
                return Blocker(name: "\(limit)=\(value)", remedy: "sysctl -w \(limit)=65536")
            }
            return Blocker(
                name: "\(limit), here or in an outer user namespace",
                remedy: "end other namespaces, or, outside, sysctl -w \(limit)=65536")
        case .noSystemCall?, .invalid?:
            return seccompMode == 2
                ? blockerBySeccomp(orElse: "a kernel without \(kind) namespaces", isMissing: true)
                : Blocker(name: "a kernel without \(kind) namespaces", remedy: kernelRemedy(kind), isMissing: true)
        default: return blockerOfRights(obstacle)
        }
    }

    /// Why something is not permitted inside a user namespace, or a user namespace itself.
    func blockerOfRights(_ obstacle: Obstacle) -> Blocker {
        if let blocker = sysctlAgainstUserNamespaces { return blocker }
        if isChrooted {
            return Blocker(
                name: "chroot",
                remedy:
                    "the kernel refuses user namespaces in a chroot(2): use pivot_root, a container, or unshare --root")
        }
        if seccompMode == 2, isFiltered { return blockerBySeccomp() }
        if sysctl("kernel.apparmor_restrict_unprivileged_userns") == 1, machine.user != 0 {
            return Blocker(
                name: "kernel.apparmor_restrict_unprivileged_userns=1",
                remedy: "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
        }
        if let profile = appArmorProfile {
            return Blocker(
                name: "AppArmor profile \(profile)",
                remedy: container == nil ? "aa-complain the profile, or start Cordon outside of it" : containerRemedy)
        }
        if seccompMode == 2 { return blockerBySeccomp() }
        if machine.user == 0, lacks(CapabilityNumber.setFileCapabilities), obstacle.step.hasSuffix("uid_map") {
            return blockerOfCapability("CAP_SETFCAP")
        }
        if let modules = securityModules, modules.contains("selinux") {
            return Blocker(
                name: "SELinux", remedy: "see ausearch -m avc -ts recent; setenforce 0 tells whether it is the reason")
        }
        if obstacle.errno == .notPermitted, obstacle.step.hasSuffix("(user)") {
            return Blocker(
                name: "a chroot(2), or a security module",
                remedy:
                    "leave the chroot (its kind of root rules out user namespaces; pivot_root's does not), or see dmesg"
            )
        }
        return Blocker(
            name: obstacle.errno?.name ?? "the kernel",
            remedy: container == nil ? "see dmesg for what refused it" : containerRemedy)
    }

    private var sysctlAgainstUserNamespaces: Blocker? {
        if sysctl("user.max_user_namespaces") == 0 {
            return Blocker(name: "user.max_user_namespaces=0", remedy: "sysctl -w user.max_user_namespaces=65536")
        }
        if sysctl("kernel.unprivileged_userns_clone") == 0, lacks(CapabilityNumber.sysAdmin) {
            return Blocker(
                name: "kernel.unprivileged_userns_clone=0", remedy: "sysctl -w kernel.unprivileged_userns_clone=1")
        }
        return nil
    }

    /// unshare(0) changes nothing and needs no right.
    private var isFiltered: Bool {
        if isMountFiltered() { return true }
        do throws(Errno) {
            try enterNew([])
            return false
        } catch {
            return true
        }
    }

    /// A filter on this process, put there by whoever started it.
    func blockerBySeccomp(orElse other: String? = nil, isMissing: Bool = false) -> Blocker {
        let owner = container.map { " of \($0)" } ?? ""
        return Blocker(
            name: "the seccomp filter\(owner) that this process is under" + (other.map { ", or \($0)" } ?? ""),
            remedy: container == nil
                ? "start Cordon without that filter; in a systemd unit: RestrictNamespaces=no, SystemCallFilter= empty; "
                    + "in a container: \(containerRemedy)" : containerRemedy, isMissing: isMissing)
    }

    func blockerOfCapability(_ name: String) -> Blocker {
        let remedy =
            switch (machine.user, container) {
            case (0, nil): "start Cordon with \(name): it was dropped from this root's capabilities"
            case (0, _): "docker run --cap-add \(name.dropFirst(4)) …"
            default: "run as root"
            }
        return Blocker(name: name, remedy: remedy)
    }

    /// A container's start with everything off that stands between Cordon and namespaces.
    var containerRemedy: String {
        switch container {
        case "podman"?: "podman run --security-opt seccomp=unconfined --security-opt unmask=ALL …"
        case "kubernetes"?: "in the pod: securityContext: {seccompProfile: {type: Unconfined}, procMount: Unmasked}"
        default:
            "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
                + "--security-opt systempaths=unconfined …"
        }
    }

    private func kernelRemedy(_ kind: String) -> String {
        let option = ["net": "NET", "pid": "PID", "ipc": "IPC", "uts": "UTS", "user": "USER", "time": "TIME"][kind]
        return option.map { "boot a kernel with CONFIG_\($0)_NS" } ?? "boot a kernel of Linux 6.1 or later"
    }

    /// Why a call of the kernel's is not there or not allowed; `since` is the version that brought it.
    func blockerOfCall(_ name: String, since: String, _ obstacle: Obstacle) -> Blocker {
        switch obstacle.errno {
        case .noSystemCall?, .invalid?, .notSupported?:
            return seccompMode == 2
                ? blockerBySeccomp(orElse: "a kernel older than Linux \(since)", isMissing: true)
                : Blocker(name: "a kernel without \(name)", remedy: "boot Linux \(since) or later", isMissing: true)
        default: return blockerOfRights(obstacle)
        }
    }
}
