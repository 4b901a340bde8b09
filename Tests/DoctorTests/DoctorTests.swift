// `cordon doctor`, on this machine as it is and with things in the way.
import Foundation
import PolicyModel
import TestSupport
import Testing

private let isRoot = getuid() == 0
private let mayMount = isRoot

@Suite(.serialized) struct DoctorTests {
    @Test func everythingIsTriedAndNothingStays() throws {
        let before = try Traces.take()
        let (report, status) = try DoctorReport.make()
        let after = try Traces.take()
        #expect(after.mounts == before.mounts)
        #expect(after.groups == before.groups)
        #expect(after.temporary == before.temporary)
        #expect(after.namespaces == before.namespaces)

        #expect(report.ok == (status == 0))
        #expect(report.ok == (report.check("jail")?.state == "works"))
        for name in Guarantee.allCases.map(\.rawValue).filter({ $0.hasPrefix("ns.") }) {
            #expect(report.check(name) != nil, "\(name)")
        }
        for name in [
            "newuidmap", "mount.overlay", "mount.idmapped", "mount.proc", "cgroup.memory", "cgroup.pids", "cgroup.cpu",
            "cgroup.io", "cgroup.cpuacct", "cgroup.delegation", "seccomp", "seccomp.notify", "landlock", "keyring",
            "jail-init",
            "cordon-janitor",
        ] { #expect(report.check(name) != nil, "\(name)") }
        #expect(Set(report.checks.map(\.name)).count == report.checks.count)
    }

    @Test func whatDoesNotWorkHasAReasonAndARemedy() throws {
        for prefix in isRoot ? [[], ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]] : [[]] {
            let (report, _) = try DoctorReport.make(behind: prefix)
            for check in report.checks {
                #expect(["works", "blocked", "missing"].contains(check.state))
                #expect(!check.detail.isEmpty, "\(check.name)")
                #expect((check.blocked_by?.isEmpty ?? true) == (check.state == "works"), "\(check.name)")
                #expect((check.remedy?.isEmpty ?? true) == (check.state == "works"), "\(check.name)")
            }
            #expect(report.guarantees.map(\.name) == Guarantee.allCases.map(\.rawValue))
            for given in report.guarantees {
                #expect(["yes", "no", "degraded"].contains(given.given))
                #expect(!given.mechanism.isEmpty && !given.promise.isEmpty, "\(given.name)")
                #expect((given.reason == nil) == (given.given == "yes"), "\(given.name)")
                #expect((given.remedy == nil) == (given.given == "yes"), "\(given.name)")
            }
        }
    }

    /// The doctor and the planner agree on what the machine gives.
    @Test(.enabled(if: isRoot)) func theReportOfARunAgrees() throws {
        struct Run: Decodable { var enforced: [String] }
        let workspace = "/tmp/cordon-doctor-test-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: workspace, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: workspace) }
        let run = try execute([cordon, "run", "--workspace", workspace, "--json", "--", "true"], directory: workspace)
        let enforced = try JSONDecoder().decode(Run.self, from: Data(run.output.utf8)).enforced
        let given = try DoctorReport.make().report.guarantees
        for name in enforced { #expect(given.first { $0.name == name }?.given == "yes", "\(name)") }
    }

    @Test func userNamespacesForbiddenByASysctl() throws {
        let forbidden = "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\""
        let (report, status) = try DoctorReport.make(behind: ["unshare", "-Ur", "sh", "-c", forbidden, "sh"])
        #expect(status == 1 && !report.ok)
        for name in ["ns.user", "ns.net", "mount.tmpfs"] {
            let check = report.check(name)
            #expect(check?.state == "blocked")
            #expect(check?.blocked_by == "user.max_user_namespaces=0")
            #expect(check?.remedy?.hasPrefix("sysctl -w user.max_user_namespaces=") == true)
        }
        #expect(report.guarantees.first { $0.name == "ns.user" }?.given == "no")
    }

    @Test func oneKindForbiddenByASysctl() throws {
        let forbidden = "echo 0 > /proc/sys/user/max_net_namespaces; exec \"$@\""
        let (report, status) = try DoctorReport.make(behind: ["unshare", "-Ur", "sh", "-c", forbidden, "sh"])
        #expect(status == 1)
        #expect(report.check("ns.user")?.state == "works")
        #expect(report.check("ns.net")?.blocked_by == "user.max_net_namespaces=0")
        #expect(report.check("ns.ipc")?.state == "works")
    }

    @Test(arguments: ["EPERM", "ENOSYS"]) func userNamespacesForbiddenByAFilter(_ errno: String) throws {
        let (report, status) = try DoctorReport.make(behind: try denying("*+user:*", errno))
        #expect(status == 1)
        let check = try #require(report.check("ns.user"))
        #expect(check.state == (errno == "EPERM" ? "blocked" : "missing"))
        #expect(check.blocked_by?.contains("seccomp filter") == true)
        #expect(check.remedy?.contains("seccomp=unconfined") == true)
        #expect(report.check("jail")?.state != "works")
    }

    @Test func landlockForbiddenByAFilter() throws {
        let (report, status) = try DoctorReport.make(behind: try denying("*:landlock_create_ruleset:*", "ENOSYS"))
        #expect(status == 1)
        #expect(report.check("landlock")?.state == "missing")
        #expect(report.check("jail")?.blocked_by?.contains("landlock") == true)
        #expect(report.guarantees.first { $0.name == "landlock" }?.given == "no")
    }

    @Test(.enabled(if: mayMount)) func maskedProcFileSystem() throws {
        let masked = "mount --bind -o ro /proc/bus /proc/bus; exec \"$@\""
        let (report, status) = try DoctorReport.make(behind: ["unshare", "-m", "sh", "-c", masked, "sh"])
        #expect(status == 1)
        #expect(report.check("mount.proc")?.state == "blocked")
        #expect(report.check("mount.proc")?.blocked_by == "masked /proc (/proc/bus)")
        #expect(report.guarantees.first { $0.name == "proc" }?.given == "no")
    }

    @Test(.enabled(if: mayMount)) func readOnlyCgroups() throws {
        let readOnly =
            "for m in $(awk '$3 ~ /^cgroup/ {print $2}' /proc/mounts); do mount -o remount,bind,ro $m; done; exec \"$@\""
        let (report, status) = try DoctorReport.make(behind: ["unshare", "-m", "sh", "-c", readOnly, "sh"])
        #expect(status == 1)
        #expect(report.check("cgroup.memory")?.blocked_by?.contains("read-only") == true)
        #expect(report.guarantees.first { $0.name == "memory" }?.given == "no")
    }

    @Test(.enabled(if: isRoot)) func aRootWithoutCapabilities() throws {
        let (report, status) = try DoctorReport.make(behind: ["setpriv", "--bounding-set", "-sys_admin,-setuid"])
        #expect(status == 1)
        #expect(report.check("ids.range")?.blocked_by == "CAP_SETUID")
        #expect(report.check("mount.idmapped")?.blocked_by == "CAP_SYS_ADMIN")
    }

    /// A caller that ignores SIGCHLD reaps nobody, but its children inherit that.
    @Test func ignoredChildren() throws {
        let (report, _) = try DoctorReport.make(behind: [try fixture(), "ignore-sigchld"])
        #expect(report.check("ns.user")?.state == "works")
        #expect(report.check("memfd")?.state == "works")
    }

    @Test func textForPeople() throws {
        let run = try execute([cordon, "doctor"])
        #expect(run.errors.isEmpty)
        #expect(run.output.contains("\nnamespaces\n  ns.user "))
        #expect(!run.output.contains("\u{1b}"))
        #expect(run.output.split(separator: "\n").last?.contains("A jail with preset:agent") == true)

        let guarantees = try execute([cordon, "doctor", "--guarantees"])
        for guarantee in Guarantee.allCases {
            #expect(guarantees.output.contains("\n  \(guarantee.rawValue) "), "\(guarantee)")
            #expect(guarantees.output.contains(guarantee.promise), "\(guarantee)")
        }
        #expect(guarantees.status == run.status)
    }

    @Test func colorOnATerminalOnly() throws {
        let terminal = ["script", "-qec", "\(cordon) doctor", "/dev/null"]
        #expect(try execute(terminal, environment: ["TERM": "xterm"]).output.contains("\u{1b}[32m"))
        #expect(try !execute(terminal, environment: ["TERM": "xterm", "NO_COLOR": "1"]).output.contains("\u{1b}"))
    }

    @Test func wrongCalls() throws {
        #expect(try execute([cordon, "doctor", "--help"]).status == 0)
        for words in [["--jsn"], ["--json=1"], ["now"]] {
            let run = try execute([cordon, "doctor"] + words)
            #expect(run.status == 125 && run.output.isEmpty && run.errors.hasPrefix("cordon: "), "\(words)")
        }
        #expect(try execute([cordon, "doctor", "--jsn"]).errors.contains("did you mean --json?"))
    }
}

/// A command's calls that match are refused by a seccomp filter.
private func denying(_ pattern: String, _ errno: String) throws -> [String] {
    [try fixture(), "intercept", "/dev/null", "\(pattern)=\(errno)", "--"]
}

/// SwiftPM puts it beside the tests' own executable.
private func fixture() throws -> String {
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let beside = URL(fileURLWithPath: own).deletingLastPathComponent().path + "/fault-fixture"
    return FileManager.default.isExecutableFile(atPath: beside) ? beside : repository + "/.build/debug/fault-fixture"
}
