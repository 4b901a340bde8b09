// Filters, and the calls that a jail's start is made of.
internal import Linux

private func check(
    _ name: String, in group: String, _ here: Circumstances, since: String, needed: Bool = true,
    _ body: () throws(Obstacle) -> String
) -> Check {
    switch attempt(body) {
    case .worked(let detail): return .works(name, in: group, detail, needed: needed)
    case .failed(let obstacle):
        return .fails(
            name, in: group, obstacle.text, here.blockerOfCall(name, since: since, obstacle), needed: needed)
    }
}

// MARK: - Filters

func checkFilters(_ here: Circumstances) -> [Check] {
    let group = "filters"
    return [
        check("no_new_privs", in: group, here, since: "3.5") { () throws(Obstacle) in
            try doing("prctl(PR_SET_NO_NEW_PRIVS)") { () throws(Errno) in try forbidNewPrivileges() }
            return "set-uid programs lose their effect"
        },
        check("seccomp", in: group, here, since: "3.17", trySeccomp),
        check("seccomp.notify", in: group, here, since: "5.0", needed: false) { () throws(Obstacle) in
            try doing("SECCOMP_GET_ACTION_AVAIL") { () throws(Errno) in try requireSeccompNotification() }
            return "SECCOMP_RET_USER_NOTIF"
        },
    ] + checkLandlock(here)
}

/// One call is refused with a number that the kernel would not choose; setsid(2), since it is at hand.
private func trySeccomp() throws(Obstacle) -> String {
    let marker: UInt32 = 111
    func instruction(_ code: UInt16, _ yes: UInt8, _ no: UInt8, _ operand: UInt32) -> [UInt8] {
        [UInt8(truncatingIfNeeded: code), UInt8(code >> 8), yes, no]
            + [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: operand >> $0) }
    }
    let program =
        instruction(0x20, 0, 0, 0)  // load the call's number
        + instruction(0x15, 0, 1, 112)  // is it SYS_setsid?
        + instruction(0x06, 0, 0, 0x0005_0000 | marker)  // SECCOMP_RET_ERRNO
        + instruction(0x06, 0, 0, 0x7fff_0000)  // SECCOMP_RET_ALLOW
    try doing("prctl(PR_SET_NO_NEW_PRIVS)") { () throws(Errno) in try forbidNewPrivileges() }
    try doing("seccomp(SECCOMP_SET_MODE_FILTER)") { () throws(Errno) in try loadFilter(program) }
    do throws(Errno) { try startSession() } catch {
        guard error.rawValue == Int32(marker) else { throw Obstacle("the filter has no effect: setsid", error) }
        return "a filter was loaded and refused a call"
    }
    throw Obstacle("the filter has no effect: setsid succeeded")
}

private func checkLandlock(_ here: Circumstances) -> [Check] {
    let abi = here.machine.landlockABI
    let group = "filters"
    guard abi > 0 else {
        let error = here.machine.landlockObstacle ?? .noSystemCall
        return [.fails("landlock", in: group, "landlock_create_ruleset: \(error)", here.blockerOfLandlock(error))]
    }
    var checks = [
        check("landlock", in: group, here, since: "5.13") { () throws(Obstacle) in
            try doing("prctl(PR_SET_NO_NEW_PRIVS)") { () throws(Errno) in try forbidNewPrivileges() }
            try doing("landlock") { () throws(Errno) in
                let ruleset = try LandlockRuleset(abi: abi, scoped: true)
                let processes = try open("/proc", [.path, .directory])
                try ruleset.allow(.read, beneath: processes.raw)
                try ruleset.restrictSelf()
            }
            guard (try? open("/proc", [.readOnly, .directory])) != nil else {
                throw Obstacle("what was allowed is refused")
            }
            do throws(Errno) { _ = try open("/", [.readOnly, .directory]) } catch {
                guard error == .accessDenied else { throw Obstacle("open /", error) }
                return "ABI \(abi)"
            }
            throw Obstacle("what was not allowed can be read")
        }
    ]
    let features = [
        ("refer", 2, "moving files between directories", "5.19"), ("truncate", 3, "truncation", "6.2"),
        ("net", 4, "TCP ports", "6.7"), ("ioctl", 5, "ioctl on devices", "6.10"),
        ("scope", 6, "abstract sockets and signals", "6.12"), ("audit", 7, "log of refusals", "6.15"),
    ]
    for (name, needed, what, release) in features {
        checks.append(
            abi >= needed
                ? .works("landlock." + name, in: group, what, needed: false)
                : .fails(
                    "landlock." + name, in: group, "\(what): needs ABI \(needed), this is \(abi)",
                    Blocker(name: "Landlock ABI \(abi)", remedy: "boot Linux \(release) or later", isMissing: true),
                    needed: false))
    }
    return checks
}

extension Circumstances {
    fileprivate func blockerOfLandlock(_ error: Errno) -> Blocker {
        // EOPNOTSUPP: built in, and not among the modules that were chosen at boot (landlock(7)).
        let list = securityModules.map { $0.joined(separator: ",") } ?? "lockdown,yama,integrity,apparmor"
        let boot = "boot with lsm=landlock,\(list)"
        if error == .notSupported { return Blocker(name: "lsm= without landlock", remedy: boot, isMissing: true) }
        if let modules = securityModules, modules.contains("landlock") { return blockerBySeccomp() }
        if seccompMode == 2 {
            return blockerBySeccomp(orElse: "a kernel without Landlock", isMissing: error == .noSystemCall)
        }
        return Blocker(
            name: "a kernel without Landlock", remedy: "boot Linux 5.13 or later with CONFIG_SECURITY_LANDLOCK",
            isMissing: true)
    }
}

// MARK: - Calls

func checkCalls(_ here: Circumstances) -> [Check] {
    let group = "calls"
    return [
        check("clone3", in: group, here, since: "5.3") { () throws(Obstacle) in
            _ = try doing("clone3") { () throws(Errno) in try NamespaceHolder([]) }
            return "CLONE_CLEAR_SIGHAND"
        },
        check("pidfd", in: group, here, since: "5.4") { () throws(Obstacle) in
            let status = try runProgram("/proc/self/exe", ["version"])
            return status == nil ? "CLONE_PIDFD" : "CLONE_PIDFD, pidfd_send_signal"
        },
        checkMemoryFile(here),
        check("openat2", in: group, here, since: "5.6") { () throws(Obstacle) in
            let root = try doing("openat2") { () throws(Errno) in try open("/", [.path, .directory]) }
            do throws(Errno) {
                _ = try open("/", [.path, .directory], beneath: root.raw, resolve: .beneath)
            } catch {
                guard error == .crossDevice else { throw Obstacle("openat2(RESOLVE_BENEATH)", error) }
                return "RESOLVE_BENEATH"
            }
            throw Obstacle("RESOLVE_BENEATH has no effect")
        },
        check("close_range", in: group, here, since: "5.11") { () throws(Obstacle) in
            try doing("close_range") { () throws(Errno) in try closeDescriptors(from: 1 << 20) }
            return "descriptors are closed whatever their number"
        },
        check("keyring", in: group, here, since: "2.6.12") { () throws(Obstacle) in
            try doing("keyctl(KEYCTL_JOIN_SESSION_KEYRING)") { () throws(Errno) in try joinFreshKeyring() }
            return "a fresh session keyring"
        },
    ]
}

/// A program that has no name anywhere.
func makeProgram() throws(Errno) -> Descriptor {
    let file = try makeMemoryFile(named: "doctor")
    try file.writeAll(smallestProgram)
    return file
}

private func checkMemoryFile(_ here: Circumstances) -> Check {
    let name = "memfd", group = "calls"
    let outcome = attempt { () throws(Obstacle) in
        let file = try doing("memfd_create") { () throws(Errno) in try makeProgram() }
        guard let status = try execute(file, ["doctor"], cgroup: nil) else { return "executed" }
        guard status == .exited(42) else { throw Obstacle("the program did not run") }
        return "made and executed"
    }
    switch outcome {
    case .worked(let detail): return .works(name, in: group, detail)
    case .failed(let obstacle):
        if let value = here.sysctl("vm.memfd_noexec"), value > 0, obstacle.errno == .accessDenied {
            let blocker = Blocker(name: "vm.memfd_noexec=\(value)", remedy: "sysctl -w vm.memfd_noexec=0")
            return .fails(name, in: group, obstacle.text, blocker, needed: value > 1)
        }
        return .fails(name, in: group, obstacle.text, here.blockerOfCall("memfd_create", since: "3.17", obstacle))
    }
}
