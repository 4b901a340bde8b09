// `cordon doctor`: what this machine can give, what is in the way, and the command that opens it.
internal import Doctor
internal import Linux

/// Examines the machine and exits: 0 where a jail with preset:agent runs here, 1 otherwise.
func doctorCommand(_ arguments: [String]) -> Never {
    let options: DoctorOptions
    do throws(UsageError) { options = try DoctorOptions(arguments) } catch {
        if error.message.isEmpty { leave(printing: DoctorOptions.help, code: 0) }
        leave(printing: "cordon: \(error)\n", code: ExitCode.cordonFailed, to: 2)
    }
    do throws(Errno) {
        var examination = try Examination.perform()
        examination.add(tryJail(on: examination.machine))
        let isFit = examination.check("jail")?.state == .works
        let text =
            options.json
            ? doctorObject(examination, isFit: isFit).text + "\n"
            : DoctorText(hasColor: wantsColor()).render(examination, guaranteesOnly: options.guarantees, isFit: isFit)
        leave(printing: text, code: isFit ? 0 : 1)
    } catch {
        leave(printing: "cordon: the machine cannot be examined: \(error)\n", code: ExitCode.cordonFailed, to: 2)
    }
}

private func wantsColor() -> Bool {
    let environment = callerEnvironment()
    // https://no-color.org: present and not empty.
    if environment.contains(where: { $0.name == "NO_COLOR" && !$0.value.isEmpty }) { return false }
    return isTerminal(1) && !environment.contains { $0.name == "TERM" && $0.value == "dumb" }
}

/// The options of `cordon doctor`.
struct DoctorOptions {
    var json = false
    var guarantees = false

    static let known = ["--json", "--guarantees", "--help", "-h"]

    static let help = """
        cordon doctor: try each primitive that jails are made of, and say what is in the way

        usage: cordon doctor [--json] [--guarantees]

          --json            print exactly one JSON object: machine, checks, guarantees, ok
          --guarantees      print the closed list of guarantees, and how each is given here

        Each trial runs in a process of its own and leaves nothing behind. The last one is a jail with preset:agent.

        exit codes: 0 a jail with preset:agent runs here; 1 it does not; 125 the call was wrong

        examples:
          cordon doctor
          cordon doctor --json | jq '.checks[] | select(.state != "works")'
          systemd-run --user --scope -p Delegate=yes -- cordon doctor

        """

    init(_ arguments: [String]) throws(UsageError) {
        var reader = OptionReader(arguments, help: "cordon doctor --help")
        while let option = try reader.next(known: Self.known) {
            try reader.requireFlag(option)
            switch option.name {
            case "--json": json = true
            case "--guarantees": guarantees = true
            default: throw UsageError.help
            }
        }
        if let word = reader.operands.first {
            throw UsageError("doctor takes no argument \"\(word)\"", remedy: "see cordon doctor --help")
        }
    }
}
