// `cordon policy test`: the examples and tests of a policy, for people and for CI.
internal import Caller
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import Wire
internal import Reports

let testSubcommand = Subcommand(
    name: "test", says: "run a policy's examples and tests",
    options: [CommandOption(name: "--junit", value: .file, says: "write JUnit XML"), .json, .help], operand: .policy,
    help: help, run: test)

private let help = """
    cordon policy test: run a policy's examples (match, not_match) and its tests ([[test]])

    usage: cordon policy test [OPTION…] [POLICY [TESTS…]]

      POLICY            a policy file, or preset:NAME; .cordon.toml
      TESTS             files of [[test]] tables, run by POLICY
      --junit FILE      write the results as JUnit XML; - for standard output
      --json            print the results as JSON

    exit codes: 0 all are as expected, 1 some are not, 2 the policy or the call is wrong

    examples:
      cordon policy test my-policy.toml
      cordon policy test --junit results.xml preset:agent tests.toml

    """

@Sendable private func test(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    var reader = OptionReader(arguments, help: "cordon policy test --help")
    var junit: String?
    var json = false
    while let option = try usage({ () throws(UsageError) in try reader.next(known: testSubcommand.known) }) {
        if option.name == "--junit" {
            junit = try usage { () throws(UsageError) in try reader.value(of: option) }
        } else {
            try usage { () throws(UsageError) in try reader.requireFlag(option) }
            json = true
        }
    }
    let reference = reader.operands.first ?? PolicyTiers.projectFile
    var policy = try policyFile(reference)
    for file in reader.operands.dropFirst() { policy.tests += try policyFile(file).tests }
    let results: [ExampleResult]
    do throws(PolicyError) { results = try policy.runExamples() } catch { throw .policy(error) }

    let failed = results.filter { $0.failure != nil }
    let exercised = Set(results.flatMap(\.rules))
    let idle = policy.commands.filter { $0.location.file == reference && !exercised.contains($0.id) }.map(\.id)
    if let junit {
        let text = junitText(results, reference)
        if junit == "-" { leave(printing: text, code: failed.isEmpty ? 0 : PolicyExit.failed) }
        try writeText(text, to: junit)
    }
    if json {
        var object = JsonObject()
        object.add("tests", .number(Int64(results.count)))
        object.add("failures", .array(failed.map { .object($0.json) }))
        object.add("untested_rules", .array(idle.map { .string($0) }))
        leave(printing: object.text + "\n", code: failed.isEmpty ? 0 : PolicyExit.failed)
    }
    let paint = Paint()
    var text = ""
    for result in failed {
        text +=
            paint.decision(.deny, "failed")
            + "  \(result.location.map { "\($0): " } ?? "")\(printable(result.failure ?? ""))\n"
    }
    if !idle.isEmpty { text += "no test exercises: " + idle.map(printable).joined(separator: ", ") + "\n" }
    text += "\(results.count) examples and tests, \(failed.count) failed\n"
    leave(printing: text, code: failed.isEmpty ? 0 : PolicyExit.failed)
}

extension ExampleResult {
    fileprivate var json: JsonObject {
        var json = JsonObject()
        json.add("command", .string(command))
        json.add("file", location.map { .string($0.file) } ?? .null)
        json.add("line", location.map { .number(Int64($0.line)) } ?? .null)
        json.add("failure", failure.map { .string($0) } ?? .null)
        return json
    }
}

/// The form of JUnit that CI systems read: one suite, a case for each example.
private func junitText(_ results: [ExampleResult], _ policy: String) -> String {
    let failures = results.filter { $0.failure != nil }.count
    var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    text += "<testsuite name=\"\(xml(policy))\" tests=\"\(results.count)\" failures=\"\(failures)\" errors=\"0\">\n"
    for result in results {
        let place = result.location.map { " file=\"\(xml($0.file))\" line=\"\($0.line)\"" } ?? ""
        text += "  <testcase classname=\"\(xml(policy))\" name=\"\(xml(result.command))\"\(place)"
        if let failure = result.failure {
            text += ">\n    <failure message=\"\(xml(failure))\"/>\n  </testcase>\n"
        } else {
            text += "/>\n"
        }
    }
    return text + "</testsuite>\n"
}

/// Text within XML 1.0, which has no place for most controls.
private func xml(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\"": result += "&quot;"
        default:
            if scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || (0xFFFE...0xFFFF).contains(scalar.value) {
                result += "\\u{" + String(scalar.value, radix: 16) + "}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
    }
    return result
}

/// Replaces a file with a text, whole or not at all.
func writeText(_ text: String, to path: String) throws(SubcommandFailure) {
    let temporary = "\(path).\(processID)"
    do throws(Errno) {
        let file = try open(temporary, [.writeOnly, .create, .exclusive], mode: 0o644)
        do throws(Errno) {
            try file.writeAll(Array(text.utf8))
            try rename(temporary, to: path, in: currentDirectory)
        } catch {
            try? unlink(temporary)
            throw error
        }
    } catch {
        throw .file(path, error)
    }
}
