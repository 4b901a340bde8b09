// From `[defaults]`, `[[command]]`, `[approval]` and `[[test]]` to what they mean.

/// Tables of command rules.
let commandRuleKeys = ["defaults", "command", "test", "approval"]

extension CommandDefaults {
    mutating func read(from root: TableReader) {
        guard let table = root.table("defaults", keys: ["command", "opaque", "jailed", "headless_ask"]) else { return }
        table.read("command", into: &command, choice)
        table.read("opaque", into: &opaque, choice)
        table.read("jailed", into: &jailed, choice)
        guard let answer = table.read("headless_ask", choice as TableReader.Conversion<Decision>) else { return }
        if answer.value == .ask {
            table.findings.report(
                "`defaults.headless_ask`: there is nobody to ask", at: answer.location,
                remedy: "write \"deny\" or \"allow\"")
        } else {
            headlessAsk = answer
        }
    }
}

extension ApprovalRules {
    mutating func read(from root: TableReader) {
        guard let table = root.table("approval", keys: ["scopes", "expiry", "approvers"]) else { return }
        if let list = table.list("scopes", choice as TableReader.Conversion<Scope>) {
            scopes = Located(list.map(\.value), at: table.entry("scopes")?.location)
        }
        table.read("expiry", into: &expiry, duration)
        if let list = table.list("approvers", choice as TableReader.Conversion<Approver>) {
            approvers = Located(list.map(\.value), at: table.entry("approvers")?.location)
        }
    }
}

extension Policy {
    /// Lays the rules of one file over those of what it extends.
    mutating func readCommands(from root: TableReader) {
        let inherited = commands.count
        for table in root.tables("command", keys: CommandRule.keys) {
            guard var rule = CommandRule(table) else { continue }
            if let basis = table.table("rewrite", keys: nil)?.read("as", ruleId) {
                guard let model = commands.first(where: { sameBytes($0.id, basis.value) }) else {
                    table.findings.report(
                        "`command.rewrite.as`: no rule above has the id \(quoted(basis.value))", at: basis.location,
                        remedy: nearest(to: basis.value, in: commands.map(\.id).filter { !$0.isEmpty }).map {
                            "did you mean `\($0)`?"
                        })
                    continue
                }
                rule.rewrite = model.rewrite.adding(rule.rewrite)
            }
            if rule.id.isEmpty {
                // Its words, which stay the same wherever else rules are added.
                let words = String(String.UnicodeScalarView(rule.argv.text.unicodeScalars.prefix(80)))
                var number = 1
                rule.id = words
                while commands.contains(where: { sameBytes($0.id, rule.id) }) {
                    number += 1
                    rule.id = "\(words) (\(number))"
                }
            }
            add(rule, inherited: inherited, idLocation: table.entry("id")?.location, findings: table.findings)
        }
        commands.removeAll { $0.argv.elements.isEmpty }
    }

    private mutating func add(
        _ rule: CommandRule, inherited: Int, idLocation: SourceLocation?, findings: Findings
    ) {
        if let replaced = rule.replaces {
            guard let index = commands[..<inherited].firstIndex(where: { sameBytes($0.id, replaced.value) }) else {
                let known = commands[..<inherited].map(\.id).filter { !$0.isEmpty }
                return findings.report(
                    "`command.replaces`: no extended file has a rule \(quoted(replaced.value))", at: replaced.location,
                    remedy: nearest(to: replaced.value, in: known).map { "did you mean `\($0)`?" })
            }
            if commands[index].isLocked {
                return findings.report(
                    "`command.replaces`: the rule \(quoted(replaced.value)) of \(commands[index].location) is locked",
                    at: replaced.location, remedy: "remove the rule, or extend another file")
            }
            // Left in its place, so that the others keep theirs; taken out at the end.
            commands[index].argv.elements = []
            commands[index].id = ""
        }
        if let other = commands.first(where: { sameBytes($0.id, rule.id) }) {
            findings.report(
                "`command.id`: \(quoted(rule.id)) is the rule of \(other.location)", at: idLocation ?? rule.location,
                remedy: "write another id, or `replaces = \"\(rule.id)\"` where that is meant")
        } else {
            commands.append(rule)
        }
    }

    /// A file's tests are its own: those of what it extends were about another policy.
    mutating func readTests(from root: TableReader) {
        tests = root.tables("test", keys: ["run", "expect", "cwd", "jailed", "input"]).compactMap(PolicyTest.init)
    }

    /// `network.allow = ["host:port"]` and `[[network.grant]]`.
    mutating func readGrants(from table: TableReader) {
        networkGrants += table.grants().filter { !networkGrants.contains($0) }
    }
}

extension TableReader {
    /// The tables of an array of tables.
    func tables(_ key: String, keys: [String]?) -> [TableReader] {
        guard let entry = entry(key) else { return [] }
        guard entry.kind == .array else {
            findings.report(
                "`\(name(key))` must be an array of tables, not \(entry.kindName)", at: entry.location,
                remedy: "write `[[\(name(key))]]`")
            return []
        }
        return document.children(of: entry).compactMap { element in
            guard element.kind == .table else {
                findings.report(
                    "`\(name(key))` must be an array of tables, but holds \(element.kindName)", at: element.location,
                    remedy: "write `[[\(name(key))]]`")
                return nil
            }
            return TableReader(element, of: document, path: name(key), keys: keys, findings: findings)
        }
    }
}

extension CommandRule {
    fileprivate static let keys = [
        "id", "argv", "flags", "decision", "rewrite", "reason", "except", "replaces", "locked", "interactive", "match",
        "not_match",
    ]

    /// Nil when it has no pattern or no decision; both were then reported.
    fileprivate init?(_ table: TableReader) {
        for key in ["argv", "decision"] where table.entry(key) == nil {
            table.findings.report("`command` lacks `\(key)`", at: table.node.location)
        }
        let decision = table.read("decision", choice as TableReader.Conversion<Decision>)
        let pattern = table.entry("argv").flatMap { table.argvPattern($0, name: "command.argv") }
        id = table.read("id", ruleId)?.value ?? ""
        location = table.node.location
        replaces = table.read("replaces", ruleId)
        isLocked = table.read("locked", boolean)?.value ?? false
        isInteractive = table.read("interactive", boolean)?.value ?? false
        reason = table.read("reason", string)?.value
        match = table.list("match", string) ?? []
        notMatch = table.list("not_match", string) ?? []
        if let flags = table.table("flags", keys: ["allow"]) {
            self.flags = flags.list("allow", flagPattern)?.map { $0.value }
        }
        except = table.patterns("except")
        if let rewrite = table.table("rewrite", keys: ["as", "config", "options", "flags", "env_unset", "env_set"]) {
            self.rewrite.config = rewrite.list("config", gitSetting)?.map(\.value) ?? []
            self.rewrite.options = rewrite.list("options", option)?.map(\.value) ?? []
            self.rewrite.flags = rewrite.list("flags", option)?.map(\.value) ?? []
            self.rewrite.environmentUnset = rewrite.list("env_unset", glob)?.map(\.value) ?? []
            self.rewrite.environmentSet = rewrite.list("env_set", assignment)?.map(\.value) ?? []
        }
        guard let decision, let pattern else { return nil }
        argv = pattern
        self.decision = decision.value
        if table.entry("rewrite") != nil, self.decision != .allow {
            table.findings.report(
                "`command.rewrite`: only what is allowed can be rewritten", at: table.entry("rewrite")?.location)
        }
        if !rewrite.config.isEmpty, pattern.program != "git" {
            table.findings.report(
                "`command.rewrite.config` is known for git, not for \(quoted(pattern.program))",
                at: table.entry("rewrite")?.location)
        }
    }
}

extension TableReader {
    /// One pattern: an array of words.
    fileprivate func argvPattern(_ node: TomlNode, name: String) -> ArgvPattern? {
        guard node.kind == .array else {
            findings.report(
                "`\(name)` must be an array, not \(node.kindName)", at: node.location,
                remedy: "write one word each, such as [\"git\", \"status\", \"...\"]")
            return nil
        }
        let words = document.children(of: node).compactMap { convert($0, name: name, string)?.value }
        guard words.count == node.children.count else { return nil }
        do throws(InvalidValue) {
            return try ArgvPattern(words: words, at: node.location)
        } catch {
            findings.report("`\(name)`: \(error.message)", at: node.location, remedy: error.remedy)
            return nil
        }
    }

    /// A list of patterns, each as an array of words, or as a string of words between spaces.
    fileprivate func patterns(_ key: String) -> [ArgvPattern] {
        guard let entry = entry(key) else { return [] }
        guard entry.kind == .array else {
            findings.report(
                "`\(name(key))` must be an array, not \(entry.kindName)", at: entry.location,
                remedy: "write [[\"git\", \"push\", \"--dry-run\"]]")
            return []
        }
        return document.children(of: entry).compactMap { element in
            guard case .string = element.kind else { return argvPattern(element, name: name(key)) }
            return convert(element, name: name(key)) { (node) throws(InvalidValue) in
                let words = try string(node).split(separator: " ").map(String.init)
                return try ArgvPattern(words: words, at: node.location)
            }?.value
        }
    }
}

extension ArgvPattern {
    /// Reads a pattern.
    ///
    /// - Throws: ``InvalidValue`` for an empty pattern, a name that is a path or a pattern, an unknown class, and
    ///   anything but options behind what stands for the rest.
    public init(words: [String], at location: SourceLocation? = nil) throws(InvalidValue) {
        guard let name = words.first, !name.isEmpty else { throw InvalidValue("a pattern names no program") }
        if name.utf8.contains(UInt8(ascii: "/")) || name.utf8.first == UInt8(ascii: "-")
            || name.utf8.contains(where: { "*?<> ".utf8.contains($0) })
        {
            throw InvalidValue(
                "\(quoted(name)) is not the name of a program",
                remedy: "write the bare name: it is looked for in the policy's PATH")
        }
        var elements: [ArgumentPattern] = [.word(name)]
        var hasRest = false
        for word in words.dropFirst() {
            let element = try ArgumentPattern(word)
            if case .word(let text) = element, text.utf8.first == UInt8(ascii: "-") {
                elements.append(element)
                continue
            }
            if hasRest { throw InvalidValue("\(quoted(word)) stands behind what already takes all operands") }
            if case .operands = element { hasRest = true }
            if case .operand(_, isRepeated: true) = element { hasRest = true }
            elements.append(element)
        }
        self.elements = elements
        self.words = words
        self.location = location
    }
}

extension ArgumentPattern {
    fileprivate init(_ word: String) throws(InvalidValue) {
        if word == "..." {
            self = .operands
            return
        }
        let isRepeated = word.utf8.count > 3 && word.hasSuffix("...")
        let bare = isRepeated ? String(word.dropLast(3)) : word
        guard bare.utf8.first == UInt8(ascii: "<"), bare.utf8.last == UInt8(ascii: ">"), bare.utf8.count > 2 else {
            if isRepeated {
                throw InvalidValue(
                    "\(quoted(word)): only a class can be repeated", remedy: "write `...` as a word of its own")
            }
            if word.utf8.contains(where: { "*?".utf8.contains($0) }) {
                throw InvalidValue(
                    "\(quoted(word)): a word is compared as it is",
                    remedy: "write `<glob:\(printable(word))>` for a pattern, `...` for any operands")
            }
            self = .word(word)
            return
        }
        self = .operand(try OperandClass(String(bare.dropFirst().dropLast())), isRepeated: isRepeated)
    }
}

extension OperandClass {
    fileprivate init(_ text: String) throws(InvalidValue) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        switch (parts[0], parts.count) {
        case ("any", 1): self = .any
        case ("path", 1): self = .path
        case ("workspace", 1): self = .workspace
        case ("url", 1): self = .url
        case ("number", 1): self = .number
        case ("sed-script", 1): self = .sedScript
        case ("glob", 2): self = .glob(try Glob(parts[1]))
        case ("re", 2): self = .expression(parts[1])
        default:
            let known = ["any", "path", "workspace", "url", "number", "sed-script", "glob:PATTERN", "re:EXPRESSION"]
            throw InvalidValue("unknown class \(quoted(text))", remedy: suggestion(for: text, in: known))
        }
    }
}

extension PolicyTest {
    fileprivate init?(_ table: TableReader) {
        guard let run = table.read("run", string) else {
            if table.entry("run") == nil { table.findings.report("`test` lacks `run`", at: table.node.location) }
            return nil
        }
        guard let expect = table.table("expect", keys: ["decision", "rule"]) else {
            table.findings.report(
                "`test` lacks `expect`", at: table.node.location, remedy: "write `expect = { decision = \"deny\" }`")
            return nil
        }
        self.run = run
        directory = table.read("cwd", string)?.value
        isJailed = table.read("jailed", boolean)?.value ?? false
        input = table.read("input", choice as TableReader.Conversion<CommandInput>)?.value ?? .none
        decision = expect.read("decision", choice as TableReader.Conversion<Decision>)?.value
        rule = expect.read("rule", string)?.value
        if decision == nil, rule == nil, expect.entries.isEmpty {
            table.findings.report("`test.expect` expects nothing", at: expect.node.location)
        }
    }
}

/// The id of a rule: something that can be printed and looked for.
private func ruleId(_ node: TomlNode) throws(InvalidValue) -> String {
    let text = try string(node)
    guard !text.isEmpty, text.utf8.count <= 100, !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
        throw InvalidValue("\(quoted(text)) is not an id", remedy: "write a short name, such as \"git-status\"")
    }
    return text
}

private func glob(_ node: TomlNode) throws(InvalidValue) -> Glob { try Glob(try string(node)) }

private func flagPattern(_ node: TomlNode) throws(InvalidValue) -> FlagPattern {
    let pattern = try glob(node)
    guard "-+*".utf8.contains(pattern.text.utf8.first ?? 0) else {
        throw InvalidValue("\(quoted(pattern.text)) is not an option", remedy: "write \"-v\" or \"--porcelain*\"")
    }
    return FlagPattern(glob: pattern, location: node.location)
}

/// An option as it stands, with its value attached if it has one.
private func option(_ node: TomlNode) throws(InvalidValue) -> String {
    let text = try string(node)
    guard text.utf8.first == UInt8(ascii: "-"), text.utf8.count > 1, !text.utf8.contains(0) else {
        throw InvalidValue("\(quoted(text)) is not an option", remedy: "write \"--no-pager\"")
    }
    return text
}

/// `NAME=VALUE` of git's configuration.
private func gitSetting(_ node: TomlNode) throws(InvalidValue) -> String {
    let text = try string(node)
    let name = text.utf8.prefix { $0 != UInt8(ascii: "=") }
    guard name.count < text.utf8.count, name.contains(UInt8(ascii: ".")), !text.utf8.contains(0) else {
        throw InvalidValue("\(quoted(text)) is not a setting", remedy: "write \"core.fsmonitor=false\"")
    }
    return text
}

/// `NAME=VALUE` of an environment.
private func assignment(_ node: TomlNode) throws(InvalidValue) -> String {
    let text = try string(node)
    let name = text.utf8.prefix { $0 != UInt8(ascii: "=") }
    let isName = name.enumerated().allSatisfy { index, byte in
        byte == UInt8(ascii: "_") || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            || index > 0 && (0x30...0x39).contains(byte)
    }
    guard !name.isEmpty, name.count < text.utf8.count, isName, !text.utf8.contains(0) else {
        throw InvalidValue("\(quoted(text)) sets no variable", remedy: "write \"NAME=VALUE\"")
    }
    return text
}
