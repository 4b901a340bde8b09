// The doctor's findings: one JSON object, or text for people.
internal import Doctor
internal import Linux
internal import Machine
internal import PolicyModel
internal import Wire

/// The object that `--json` prints.
func doctorObject(_ examination: Examination, isFit: Bool) -> JsonObject {
    var json = JsonObject()
    json.add("machine", .object(machineObject(examination)))
    json.add("checks", .array(examination.checks.map { .object(checkObject($0)) }))
    json.add("guarantees", .array(examination.assessments.map { .object(guaranteeObject($0)) }))
    json.add("ok", .bool(isFit))
    return json
}

private func optional(_ text: String?) -> JsonValue { text.map { .string($0) } ?? .null }

private func machineObject(_ examination: Examination) -> JsonObject {
    let here = examination.circumstances, machine = examination.machine
    var json = JsonObject()
    json.add("kernel", .string(here.kernel))
    json.add("uid", .count(UInt64(machine.user)))
    json.add("gid", .count(UInt64(machine.group)))
    json.add("groups", .array(machine.supplementaryGroups.map { .count(UInt64($0)) }))
    json.add("user", optional(here.userName))
    json.add("mode", .string(machine.isPrivileged ? "root" : "rootless"))
    json.add("container", optional(here.container))
    json.add("chroot", .bool(here.isChrooted))
    json.add("capabilities", .string(String(here.capabilities, radix: 16)))
    json.add("seccomp", .count(UInt64(max(0, here.seccompMode))))
    json.add("no_new_privs", .bool(here.noNewPrivileges))
    json.add("lsm", here.securityModules.map { .array($0.map { .string($0) }) } ?? .null)
    json.add("apparmor", optional(here.appArmorProfile))
    json.add("masked_proc", .array(here.masksOfProc.map { .string($0) }))
    json.add("cgroups", .string(machine.cgroups.layout.rawValue))
    json.add("landlock_abi", .count(UInt64(max(0, machine.landlockABI))))
    json.add("memory_bytes", .count(machine.memory))
    json.add("swap", .bool(machine.hasSwap))
    return json
}

private func checkObject(_ check: Check) -> JsonObject {
    var json = JsonObject()
    json.add("name", .string(check.name))
    json.add("group", .string(check.group))
    json.add("state", .string(check.state.rawValue))
    json.add("detail", .string(check.detail))
    json.add("blocked_by", optional(check.blockedBy))
    json.add("remedy", optional(check.remedy))
    json.add("needed", .bool(check.isNeeded))
    return json
}

private func guaranteeObject(_ assessment: Assessment) -> JsonObject {
    var json = JsonObject()
    json.add("name", .string(assessment.guarantee.rawValue))
    json.add("given", .string(assessment.given.rawValue))
    json.add("promise", .string(assessment.guarantee.promise))
    json.add("mechanism", .string(assessment.mechanism))
    json.add("reason", optional(assessment.reason))
    json.add("remedy", optional(assessment.remedy))
    return json
}

/// Text for people.
struct DoctorText {
    var hasColor: Bool

    private enum Color: String {
        case green = "32", red = "31", yellow = "33", bold = "1", dim = "2"
    }

    func render(_ examination: Examination, guaranteesOnly: Bool, isFit: Bool) -> String {
        header(examination)
            + (guaranteesOnly ? guaranteeTable(examination.assessments) : checkTable(examination.checks))
            + summary(examination, guaranteesOnly: guaranteesOnly, isFit: isFit)
    }

    private func header(_ examination: Examination) -> String {
        let here = examination.circumstances, machine = examination.machine
        var facts = ["Linux \(here.kernel)", "\(here.userName ?? "uid") (\(machine.user))"]
        facts.append(machine.isPrivileged ? "as root" : "rootless")
        facts.append("cgroups \(machine.cgroups.layout.rawValue)")
        if let container = here.container { facts.append("in \(container)") }
        return printable(facts.joined(separator: ", ")) + "\n"
    }

    private func checkTable(_ checks: [Check]) -> String {
        let width = checks.map(\.name.count).max() ?? 0
        var text = ""
        var group = ""
        // One thing in the way is often in the way of many: what opens it is said once.
        var opened: [String: String] = [:]
        for check in checks {
            if check.group != group {
                group = check.group
                text += "\n" + paint(group, .bold) + "\n"
            }
            let color: Color =
                switch (check.state, check.isNeeded) {
                case (.works, _): .green
                case (_, true): .red
                case (_, false): .yellow
                }
            let optional = check.state != .works && !check.isNeeded ? " (not needed by preset:agent)" : ""
            text += "  " + fill(check.name, width) + "  " + paint(fill(check.state.rawValue, 7), color) + "  "
            text += printable(check.detail) + optional + "\n"
            let indent = String(repeating: " ", count: width + 4)
            if let blocker = check.blockedBy { text += indent + paint("by       ", .dim) + printable(blocker) + "\n" }
            if let remedy = check.remedy {
                let words = opened[remedy].map { "as for \($0)" } ?? printable(remedy)
                text += indent + paint("open it  ", .dim) + words + "\n"
                opened[remedy] = opened[remedy] ?? check.name
            }
        }
        return text
    }

    private func guaranteeTable(_ assessments: [Assessment]) -> String {
        let width = assessments.map(\.guarantee.rawValue.count).max() ?? 0
        let indent = String(repeating: " ", count: width + 4)
        var text = "\n"
        var opened: [String: String] = [:]
        for assessment in assessments {
            let color: Color =
                switch assessment.given {
                case .yes: .green
                case .no: .red
                case .degraded: .yellow
                }
            text +=
                "  " + fill(assessment.guarantee.rawValue, width) + "  "
                + paint(fill(assessment.given.rawValue, 8), color)
            text += "  " + assessment.guarantee.promise + "\n"
            text += indent + paint("by        ", .dim) + printable(assessment.mechanism) + "\n"
            if let reason = assessment.reason { text += indent + paint("because   ", .dim) + printable(reason) + "\n" }
            if let remedy = assessment.remedy {
                let words = opened[remedy].map { "as for \($0)" } ?? printable(remedy)
                text += indent + paint("open it   ", .dim) + words + "\n"
                opened[remedy] = opened[remedy] ?? assessment.guarantee.rawValue
            }
        }
        return text
    }

    private func summary(_ examination: Examination, guaranteesOnly: Bool, isFit: Bool) -> String {
        let parts: [String]
        if guaranteesOnly {
            let all = examination.assessments
            func count(_ given: Assessment.Given) -> Int { all.count { $0.given == given } }
            parts = ["\(count(.yes)) given", "\(count(.degraded)) degraded", "\(count(.no)) not given"]
        } else {
            func count(_ state: Check.State) -> Int { examination.checks.count { $0.state == state } }
            parts = ["\(count(.works)) work", "\(count(.blocked)) blocked", "\(count(.missing)) missing"]
        }
        let verdict =
            isFit
            ? paint("A jail with preset:agent runs here.", .green)
            : paint("A jail with preset:agent cannot run here", .red) + ": "
                + printable(examination.check("jail")?.detail ?? "")
        return "\n" + parts.joined(separator: ", ") + ". " + verdict + "\n"
    }

    private func paint(_ text: String, _ color: Color) -> String {
        hasColor ? "\u{1b}[\(color.rawValue)m\(text)\u{1b}[0m" : text
    }

    private func fill(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// Names of files and profiles come from elsewhere, and must not command the terminal.
    private func printable(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.value < 0x20 || (0x7f...0x9f).contains($0.value) ? "\u{fffd}" : $0 }))
    }
}
