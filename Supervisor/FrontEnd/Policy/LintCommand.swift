// `cordon policy lint`: likely mistakes, as text, JSON or SARIF, against a baseline where there is one.
internal import Caller
internal import Linux
internal import PolicyDecision
internal import PolicyModel
internal import Wire
internal import Reports

let lintSubcommand = Subcommand(
    name: "lint", says: "find likely mistakes",
    options: [
        .json, CommandOption(name: "--sarif", says: "print SARIF"),
        CommandOption(name: "--baseline", value: .file, says: "leave out what it lists"),
        CommandOption(name: "--write-baseline", value: .file, says: "write what is found now"), .help,
    ], operand: .policy, help: help, run: lint)

private let help = """
    cordon policy lint: find what is likely to be a mistake in a policy

    usage: cordon policy lint [OPTION…] [POLICY…]

      POLICY                  policy files, or preset:NAME; .cordon.toml
      --json                  print the findings as JSON
      --sarif                 print them as SARIF 2.1.0
      --baseline FILE         leave out what FILE lists
      --write-baseline FILE   write what is found now, and exit 0

    A comment ignores a finding on its own line or the next one, and says why:
      # cordon-lint: ignore CODE reason

    codes:
    \(LintCode.allCases.map { "  \(padded($0.rawValue, 22)) \($0.says)\n" }.joined())
    exit codes: 0 nothing is found, 1 something is, 2 the policy or the call is wrong

    examples:
      cordon policy lint my-policy.toml
      cordon policy lint --sarif my-policy.toml > lint.sarif
      cordon policy lint --write-baseline lint.baseline my-policy.toml

    """

@Sendable private func lint(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    var reader = OptionReader(arguments, help: "cordon policy lint --help")
    var format = "text"
    var baseline: String?, newBaseline: String?
    while let option = try usage({ () throws(UsageError) in try reader.next(known: lintSubcommand.known) }) {
        switch option.name {
        case "--baseline": baseline = try usage { () throws(UsageError) in try reader.value(of: option) }
        case "--write-baseline": newBaseline = try usage { () throws(UsageError) in try reader.value(of: option) }
        default:
            try usage { () throws(UsageError) in try reader.requireFlag(option) }
            format = String(option.name.dropFirst(2))
        }
    }
    let files = reader.operands.isEmpty ? [PolicyTiers.projectFile] : reader.operands
    var findings: [LintFinding] = []
    for file in files {
        do throws(PolicyError) {
            let read = try readPolicy(file)
            findings += IgnoreComments(read.sources).apply(to: try read.policy.lint())
        } catch {
            throw .policy(error)
        }
    }
    if let newBaseline {
        try writeText(findings.map { $0.fingerprint + "\n" }.joined(), to: newBaseline)
        leave(printing: "\(findings.count) findings written to \(printable(newBaseline))\n", code: 0)
    }
    if let baseline {
        let known = Set(
            String(decoding: try inputBytes(baseline), as: UTF8.self).split(separator: "\n").map(String.init))
        findings.removeAll { known.contains($0.fingerprint) }
    }
    let code = findings.isEmpty ? 0 : PolicyExit.failed
    switch format {
    case "sarif": leave(printing: sarif(findings).text + "\n", code: code)
    case "json": leave(printing: JsonValue.array(findings.map { .object($0.json) }).serialized + "\n", code: code)
    default:
        let paint = Paint()
        var text = ""
        for finding in findings {
            let place = finding.location.map { "\($0): " } ?? ""
            text += "\(place)\(paint.decision(finding.level == .warning ? .ask : .allow, finding.code.rawValue)): "
            text += "\(printable(finding.message))\n  \(paint.faint(printable(finding.remedy)))\n"
        }
        text += findings.isEmpty ? "nothing found\n" : "\(findings.count) found\n"
        leave(printing: text, code: code)
    }
}

extension LintFinding {
    /// What stays the same when lines move.
    fileprivate var fingerprint: String { printable("\(code.rawValue) \(location?.file ?? "-"): \(message)") }

    fileprivate var json: JsonObject {
        var json = JsonObject()
        json.add("code", .string(code.rawValue))
        json.add("level", .string(level.rawValue))
        json.add("file", location.map { .string($0.file) } ?? .null)
        json.add("line", location.map { .number(Int64($0.line)) } ?? .null)
        json.add("column", location.map { .number(Int64($0.column)) } ?? .null)
        json.add("message", .string(message))
        json.add("remedy", .string(remedy))
        return json
    }
}

/// `# cordon-lint: ignore CODE reason`, by file and line.
private struct IgnoreComments {
    private static let marker = "# cordon-lint: ignore "
    private var codes: [SourceLocation: (code: String, hasReason: Bool)] = [:]

    init(_ sources: [PolicySource]) {
        for source in sources {
            let lines = source.bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            for (index, line) in lines.enumerated() {
                let text = String(decoding: line, as: UTF8.self)
                guard let range = text.firstRange(of: Self.marker) else { continue }
                let words = text[range.upperBound...].split(separator: " ")
                let place = SourceLocation(file: source.path, line: index + 1, column: 1)
                codes[place] = (words.first.map(String.init) ?? "", words.count > 1)
            }
        }
    }

    func apply(to findings: [LintFinding]) -> [LintFinding] {
        var used: Set<SourceLocation> = []
        var left = findings.filter { finding in
            guard let location = finding.location else { return true }
            for line in [location.line, location.line - 1] {
                let place = SourceLocation(file: location.file, line: line, column: 1)
                guard let comment = codes[place], comment.code == finding.code.rawValue else { continue }
                used.insert(place)
                // Without a reason the finding stays hidden, and the comment is one itself.
                return false
            }
            return true
        }
        for (place, comment) in codes.sorted(by: { ($0.key.file, $0.key.line) < ($1.key.file, $1.key.line) }) {
            if used.contains(place), comment.hasReason { continue }
            left.append(
                LintFinding(
                    code: .missingReason, location: place,
                    message: used.contains(place) ? "the comment gives no reason" : "the comment ignores nothing",
                    remedy: used.contains(place) ? "write the reason behind the code" : "remove it, or check its code"))
        }
        return left
    }
}

/// Static Analysis Results Interchange Format 2.1.0 (OASIS), as code-scanning services read it.
private func sarif(_ findings: [LintFinding]) -> JsonObject {
    func object(_ members: [(String, JsonValue)]) -> JsonValue {
        var object = JsonObject()
        for (name, value) in members { object.add(name, value) }
        return .object(object)
    }
    func message(_ text: String) -> JsonValue { object([("text", .string(text))]) }
    let rules = LintCode.allCases.map { code in
        object([("id", .string(code.rawValue)), ("shortDescription", message(code.says))])
    }
    let results = findings.map { finding -> JsonValue in
        var members: [(String, JsonValue)] = [
            ("ruleId", .string(finding.code.rawValue)), ("level", .string(finding.level.rawValue)),
            ("message", message("\(finding.message): \(finding.remedy)")),
            ("partialFingerprints", object([("cordon/v1", .string(finding.fingerprint))])),
        ]
        if let location = finding.location, !location.file.hasPrefix("preset:") {
            let region = object([
                ("startLine", .number(Int64(location.line))), ("startColumn", .number(Int64(location.column))),
            ])
            let physical = object([
                ("artifactLocation", object([("uri", .string(uri(location.file)))])), ("region", region),
            ])
            members.append(("locations", .array([object([("physicalLocation", physical)])])))
        }
        return object(members)
    }
    let driver = object([
        ("name", .string("cordon")), ("version", .string(Cordon.version)), ("rules", .array(rules)),
    ])
    var log = JsonObject()
    log.add("$schema", .string("https://json.schemastore.org/sarif-2.1.0.json"))
    log.add("version", .string("2.1.0"))
    log.add("runs", .array([object([("tool", object([("driver", driver)])), ("results", .array(results))])]))
    return log
}

/// A path as a relative reference (RFC 3986, 3.3).
private func uri(_ path: String) -> String {
    pathBytes(path).map { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"), UInt8(ascii: "/"):
            String(Unicode.Scalar(byte))
        default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
    }.joined()
}
