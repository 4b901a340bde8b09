// The requests within a command: what it would read, write and talk to by its words and redirections.
internal import PolicyModel
internal import PolicyShell

extension Judge {
    func judgeRequests(_ command: JudgedCommand, _ step: inout Step) {
        let invocation = command.invocation
        // Options such as `sed -i` write what the operands name.
        let writesOperands = invocation.options.contains { $0.spec?.writes ?? false }
        for option in invocation.options {
            // `git log -L1,9:FILE`
            if option.name == "-L", invocation.path[0] == "git", let value = option.value,
                let colon = value.text.utf8.lastIndex(of: UInt8(ascii: ":"))
            {
                judge(unknown: Word(text: String(value.text[value.text.utf8.index(after: colon)...])), &step)
            }
            guard let kind = option.kind, let value = option.value else { continue }
            judge(word: value, kind, &step)
            if invocation.path[0] == "tar", kind == .write { judge(archive: value, &step) }
        }
        for operand in invocation.operands {
            guard let kind = operand.kind else {
                // What an unknown program does with a word is not known; a denied path is denied to it all the same.
                if operand.word.form == .literal { judge(unknown: operand.word, &step) }
                continue
            }
            if invocation.path[0] == "git", judgePathspec(operand.word, kind, &step) { continue }
            judge(word: operand.word, kind, &step)
            if invocation.path[0] == "tar" { judge(archive: operand.word, &step) }
            if writesOperands, kind == .read { judge(path: operand.word, .write, "an operand", &step) }
        }
        for operand in invocation.spread {
            if let kind = operand.kind { judge(word: operand.word, kind, &step) }
        }
        if writesWhereItIs(invocation) { judge(path: Word(text: "."), .write, "where it writes", &step) }
        // `@FILE` holds further options.
        for operand in invocation.operands where operand.word.text.utf8.first == UInt8(ascii: "@") {
            judge(path: Word(text: String(operand.word.text.dropFirst())), .read, "an operand", &step)
        }
    }

    private static let unpacking: Set<String> = ["tar", "unzip", "cpio", "bsdtar", "7z"]

    /// Whether an archive is unpacked into the working directory.
    private func writesWhereItIs(_ invocation: Invocation) -> Bool {
        Self.unpacking.contains(invocation.path[0]) && invocation.effects.contains(.writes) && !request.isJailed
            && !invocation.options.contains { ["-C", "--directory", "-d"].contains($0.name) }
    }

    /// git's own patterns, and `REVISION:PATH`; false for what is a path like any other.
    private func judgePathspec(_ word: Word, _ kind: ValueClass, _ step: inout Step) -> Bool {
        guard kind == .read || kind == .ref, word.form == .literal else { return false }
        // What follows a revision may be a path, and what a commit has of it is the same secret.
        if kind == .ref { judge(unknown: word, &step) }
        if word.text.utf8.first == UInt8(ascii: ":") {
            // What is only taken away, and a file of the index.
            if [":!", ":^", ":(exclude)"].contains(where: { word.text.utf8.starts(with: $0.utf8) }) { return true }
            var path = word.text.utf8.dropFirst()
            // A stage of the index may stand in front (gitrevisions(7)).
            if let stage = path.first, (0x30...0x33).contains(stage), path.dropFirst().first == UInt8(ascii: ":") {
                path = path.dropFirst(2)
            }
            if kind == .ref, path.first.map({ !"(/!^:".utf8.contains($0) }) ?? false {
                judge(unknown: Word(text: String(Substring(path))), &step)
                return true
            }
            // Pathspec magic (gitglossary(7)), such as `:(icase)`.
            if !request.isJailed { step.add(unknownPattern(word, .read)) }
            return true
        }
        if let colon = word.text.utf8.firstIndex(of: UInt8(ascii: ":")) {
            // What a commit has is not the file, but it is the same secret.
            judge(unknown: Word(text: String(word.text[word.text.utf8.index(after: colon)...])), &step)
            return kind == .ref
        }
        guard kind == .read, word.text.utf8.contains(where: { "*?[".utf8.contains($0) }) else { return false }
        judge(glob: word, &step)
        return true
    }

    /// tar takes `HOST:FILE` for an archive on another machine, which it reaches by a program of its own (tar(1), --file).
    private func judge(archive word: Word, _ step: inout Step) {
        guard !request.isJailed, word.text.utf8.prefix(while: { $0 != UInt8(ascii: "/") }).contains(UInt8(ascii: ":"))
        else { return }
        step.add(
            Evidence(
                decision: .ask, rule: "network.mode", matched: word.shown,
                reason: "a name with a colon is an archive on another machine", remedy: "write `./` in front of it",
                enforced: .kernel))
    }

    private func judge(word: Word, _ kind: ValueClass, _ step: inout Step) {
        switch kind {
        case .read, .script, .cwd, .program:
            // A lone dash is the standard input.
            if word.text != "-" { judge(path: word, .read, "an operand", &step) }
        case .write: if word.text != "-" { judge(path: word, .write, "an operand", &step) }
        case .glob: judge(glob: word, &step)
        case .url, .host: judge(address: word, kind, &step)
        default: break
        }
    }

    private func judge(unknown word: Word, _ step: inout Step) {
        // In a jail the kernel keeps it from the file; whether the word is a path at all is not known here.
        if request.isJailed { return }
        for directory in directories {
            for names in places(word.text, from: directory) ?? [] {
                let place = CompiledFileRules.Place(names, workspace: workspace, home: Self.jailHome)
                for tier in engine.tiers {
                    guard let denial = tier.files.denial(place, .read) else { continue }
                    return step.add(evidence(denial, "/" + names.joined(separator: "/"), .read, "a word of it"))
                }
            }
        }
    }

    /// The home of a jail: `${home}` in a pattern.
    static let jailHome = ["home", "cordon"]
    /// What every process may use, in a jail or not: no file is behind it.
    private static let alwaysThere: Set<String> = [
        "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/stdin", "/dev/stdout",
        "/dev/stderr",
        "/dev/tty",
    ]

    func judge(path word: Word, _ access: Access, _ what: String, _ step: inout Step) {
        switch word.form {
        case .computed:
            // Which path it is shows only then; the jail bounds it, and elsewhere a person decides.
            if !request.isJailed {
                step.add(
                    Evidence(
                        decision: .ask, rule: "fs.\(access.rawValue)", matched: word.shown,
                        reason: "which path \(what) is shows only when it runs", remedy: "write the path itself",
                        enforced: .kernel))
            }
        case .pattern: judge(pattern: word, access, what, &step)
        case .literal:
            if Self.alwaysThere.contains(word.text) { return }
            for directory in directories {
                guard let places = places(word.text, from: directory) else {
                    return step.add(unknownPlace(word, access, what))
                }
                for names in places { judge(names, access, what, &step) }
            }
        }
    }

    private func unknownPlace(_ word: Word, _ access: Access, _ what: String) -> Evidence {
        Evidence(
            decision: request.isJailed ? .allow : .ask, rule: "fs.\(access.rawValue)", matched: word.shown,
            reason: "where \(what) leads cannot be told", remedy: "name the file itself", enforced: .kernel)
    }

    private func judge(_ names: [String], _ access: Access, _ what: String, _ step: inout Step) {
        if access == .write, names.last == ".git", !request.isJailed {
            // A file of that name leads git to another configuration (gitrepository-layout(5)).
            step.add(
                Evidence(
                    decision: .ask, rule: "fs.protect", matched: "/" + names.joined(separator: "/"),
                    reason: "\(what) would make git read another repository's configuration", remedy: "use git itself",
                    enforced: .kernel))
        }
        let place = CompiledFileRules.Place(names, workspace: workspace, home: Self.jailHome)
        let path = "/" + names.joined(separator: "/")
        var granted: FileAnswer?
        for tier in engine.tiers {
            if let denial = tier.files.denial(place, access) {
                return step.add(evidence(denial, path, access, what))
            }
            let grant = tier.files.grant(place, access)
            if grant.decision > granted?.decision ?? .allow || granted == nil { granted = grant }
        }
        guard let granted else { return }
        if granted.decision != .allow, request.isJailed {
            // What is not granted is not there, or cannot be written: the jail itself says so.
            return
        }
        step.add(evidence(granted, path, access, what))
    }

    private func evidence(_ answer: FileAnswer, _ path: String, _ access: Access, _ what: String) -> Evidence {
        let pattern = answer.pattern.map { "`\(printable($0.value.text))`" }
        let reason: String
        var remedy: String?
        switch (answer.rule, answer.decision) {
        case ("fs.deny", _):
            reason = "\(what) is a path that \(pattern ?? "") denies"
            remedy = "leave the path out; a denial is stronger than any grant"
        case ("fs.protect", _):
            reason = "\(what) is written, and \(pattern ?? "") protects it"
            remedy = "write another file"
        case (_, .allow):
            reason = "\(what) is in \(pattern ?? "the workspace"); what lies below it is left to the kernel"
        default:
            reason = "\(what) is \(access == .read ? "read" : "written"), and no `fs.\(access.rawValue)` grants it"
            remedy = "add the path to `fs.\(access.rawValue)`"
        }
        return Evidence(
            decision: answer.decision, rule: answer.rule, location: answer.location, matched: path,
            reason: reason,
            remedy: remedy, enforced: .kernel)
    }

    /// Where a text leads, lexically and through links; nil where that is not known. In a jail the kernel sees to it.
    private func places(_ text: String, from directory: [String]) -> [[String]]? {
        if isLost, text.utf8.first != UInt8(ascii: "/") { return request.isJailed ? [] : nil }
        return finder.places(text, from: directory) ?? (request.isJailed ? [path(text, from: directory)] : nil)
    }

    func path(_ text: String, from directory: [String]) -> [String] {
        let names = PathPattern.components(of: text).map(String.init)
        return normalized(text.utf8.first == UInt8(ascii: "/") ? names : directory + names)
    }

    func isInWorkspace(_ text: String, from directory: [String]) -> Bool {
        places(text, from: directory)?.allSatisfy { names in
            names.count >= workspace.count && sameNames(Array(names.prefix(workspace.count)), workspace)
        } ?? false
    }

    /// Whether it leads there, or nobody knows where.
    func mayBeInWorkspace(_ text: String, from directory: [String]) -> Bool {
        places(text, from: directory) == nil || isInWorkspace(text, from: directory)
    }

    func isReadable(_ text: String, from directory: [String]) -> Bool {
        places(text, from: directory)?.allSatisfy { names in
            let place = CompiledFileRules.Place(names, workspace: workspace, home: Self.jailHome)
            return engine.tiers.allSatisfy {
                $0.files.denial(place, .read) == nil && $0.files.grant(place, .read).decision == .allow
            }
        } ?? false
    }

    // MARK: - Patterns

    /// A shell's pattern as an operand: its files are named by the kernel, and a denied one must not be among them.
    private func judge(pattern word: Word, _ access: Access, _ what: String, _ step: inout Step) {
        let names = PathPattern.components(of: word.text).map(String.init)
        let isStatic: (String) -> Bool = { !$0.utf8.contains { "*?[\\".utf8.contains($0) } }
        let prefix = names.prefix(while: isStatic)
        let root = word.text.utf8.first == UInt8(ascii: "/") ? "/" : ""
        for directory in directories {
            // What is in front of the first wildcard must be granted as it stands.
            let base = path(root + prefix.joined(separator: "/"), from: directory)
            var inner = Step(title: "", decision: .allow, evidence: [])
            guard let bases = places(root + prefix.joined(separator: "/"), from: directory) else {
                return step.add(unknownPlace(word, access, what))
            }
            for place in bases { judge(place, access, what, &inner) }
            if inner.decision != .allow {
                for item in inner.evidence where item.decision != .allow { step.add(item) }
                return
            }
            if !request.isJailed, engine.expand != nil {
                // Nothing else binds the command then: each file that is there now is judged, links and names that would be
                // taken for options included.
                var matches: [(path: String, base: [String])] = []
                // Also where a link leads that it starts with.
                for place in bases {
                    guard let found = finder.expansion(place, Array(names.dropFirst(prefix.count))),
                        finder.spend(found.count)
                    else {
                        return step.add(unknownPattern(word, access))
                    }
                    matches += found.map { ($0, place) }
                }
                for (match, place) in matches {
                    let name = pathBelowBase(match, place.count)
                    if prefix.isEmpty, root.isEmpty, name.utf8.first == UInt8(ascii: "-") {
                        return step.add(unknownPattern(word, access))
                    }
                    var inner = Step(title: "", decision: .allow, evidence: [])
                    guard let places = places(match, from: directory) else {
                        return step.add(unknownPlace(word, access, what))
                    }
                    for place in places { judge(place, access, what, &inner) }
                    if inner.decision != .allow {
                        for item in inner.evidence where item.decision != .allow { step.add(item) }
                        return
                    }
                }
            }
            var globs: [Glob] = []
            for name in base + names.dropFirst(prefix.count) {
                guard name != "..", let glob = try? isStatic(name) ? Glob(escaping: name) : Glob(shell: name) else {
                    return step.add(unknownPattern(word, access))
                }
                // Shells differ in whether a pattern stands for `.` and `..`.
                if !isStatic(name), name.utf8.first == UInt8(ascii: "."), glob.matches("..") || glob.matches(".") {
                    return step.add(unknownPattern(word, access))
                }
                globs.append(glob)
            }
            let fromWorkspace =
                base.starts(with: workspace, by: sameBytes) ? Array(globs.dropFirst(workspace.count)) : nil
            // The files that are there were judged; without a look at them a pattern is judged by what it could mean.
            for tier in engine.tiers where !request.isJailed && (engine.expand == nil || mayHaveMadeFiles) {
                guard let denial = tier.files.possibleDenial(globs, fromWorkspace, access) else { continue }
                return step.add(
                    Evidence(
                        decision: .ask,
                        rule: tier.policy.fileSystem.deny.contains { $0.value == denial.value }
                            ? "fs.deny" : "fs.protect", location: denial.location,
                        matched: word.text,
                        reason: "a file that it stands for could be one that `\(printable(denial.value.text))` denies",
                        remedy: "name the files, or write a pattern that cannot match it", enforced: .kernel))
            }
        }
        step.add(
            Evidence(
                decision: .allow, rule: "fs.\(access.rawValue)", matched: word.text,
                reason: "which files it stands for is left to the kernel", enforced: .kernel))
    }

    /// The first name of a path behind those of its base.
    private func pathBelowBase(_ path: String, _ count: Int) -> String {
        PathPattern.components(of: path).dropFirst(count).first.map(String.init) ?? ""
    }

    private func unknownPattern(_ word: Word, _ access: Access) -> Evidence {
        Evidence(
            decision: request.isJailed ? .allow : .ask, rule: "fs.\(access.rawValue)", matched: word.text,
            reason: "which files it stands for cannot be told", remedy: "name the files", enforced: .kernel)
    }

    /// A pattern that the program itself holds against names, as with `--include`.
    private func judge(glob word: Word, _ step: inout Step) {
        if request.isJailed || word.text.utf8.first == UInt8(ascii: "!") { return }
        let last = PathPattern.components(of: word.text).last.map(String.init) ?? ""
        // rg expands braces, grep does not: what either makes of them must be fine.
        if word.form == .literal, let pieces = Self.pieces(of: last) {
            for piece in pieces { judge(glob: Word(text: piece), &step) }
            return
        }
        guard word.form == .literal, !word.text.utf8.contains(UInt8(ascii: "{")), let glob = try? Glob(shell: last)
        else {
            return step.add(unknownPattern(word, .read))
        }
        for tier in engine.tiers {
            guard
                let denial = tier.files.possibleDenial(
                    [glob], [glob], .read, ignoringCase: true, atAnyDepth: true)
            else {
                continue
            }
            // It only narrows what is searched anyway: what counts is whether it aims at the denied names.
            if glob.literal == nil, !Self.aims(glob.text, at: denial.value.text) { continue }
            // A name is the denied file itself; a pattern may be.
            return step.add(
                Evidence(
                    decision: glob.literal == nil ? .ask : .deny, rule: "fs.deny", location: denial.location,
                    matched: word.text, reason: "it asks for names that `\(printable(denial.value.text))` denies",
                    remedy: "write a pattern that cannot match it", enforced: .kernel))
        }
    }

    /// What a pattern with one list of plain pieces in braces stands for; nil for any other.
    private static func pieces(of text: String) -> [String]? {
        let parts = text.utf8.split(separator: UInt8(ascii: "{"), omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        let inner = parts[1].split(separator: UInt8(ascii: "}"), omittingEmptySubsequences: false)
        guard inner.count == 2, !inner[0].contains(where: { "*?[]!\\".utf8.contains($0) }) else { return nil }
        return inner[0].split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).map {
            String(Substring(parts[0])) + String(Substring($0)) + String(Substring(inner[1]))
        }
    }

    /// Whether a pattern has a part of its own that is in a denied one: `*.key` and `*secret*` have, `*.c` and `*` have not.
    private static func aims(_ pattern: String, at denied: String) -> Bool {
        let parts = pattern.utf8.split { "*?[]!^".utf8.contains($0) }
        return pattern.utf8.first == UInt8(ascii: ".")
            || parts.contains { $0.count > 1 && contains(denied, String(Substring($0))) }
    }

    // MARK: - The network

    /// bash opens a connection for a redirection to such a path, which is no file (bash(1), REDIRECTION).
    func judge(connection word: Word, _ step: inout Step) {
        guard ["/dev/tcp/", "/dev/udp/"].contains(where: { word.text.utf8.starts(with: $0.utf8) }) else { return }
        judge(address: word, .host, &step)
    }

    private func judge(address word: Word, _ kind: ValueClass, _ step: inout Step) {
        // In a jail the kernel decides; what a program does with an address is its own business there.
        if request.isJailed { return }
        // A word alone is the name of one of git's remotes, or of a host in ssh's own list: which host that is, is not said.
        let isName = !word.text.isEmpty && !word.text.utf8.contains { ":/.@".utf8.contains($0) }
        if word.form == .literal, kind == .url, isName { return }
        for tier in engine.tiers where tier.policy.stated.contains("network.mode") && tier.policy.network.value == .deny
        {
            if let host = webHost(word.text),
                tier.policy.networkGrants.contains(where: { $0.value.covers(host, word.text) })
            {
                continue
            }
            return step.add(
                Evidence(
                    decision: .deny, rule: "network.mode", location: tier.policy.network.location, matched: word.shown,
                    reason: "the policy gives no network", remedy: "grant the host in `network.allow`",
                    enforced: .kernel))
        }
    }
}

extension NetworkGrant {
    /// Whether a URL's host and port are granted.
    fileprivate func covers(_ other: String, _ url: String) -> Bool {
        let wanted = host.lowercased()
        let fits = wanted.hasPrefix("*.") ? other.hasSuffix(wanted.dropFirst()) : other == wanted
        let lower = url.lowercased()
        let authority = lower.utf8.drop { $0 != UInt8(ascii: "/") }.dropFirst(2).prefix { !"/?#".utf8.contains($0) }
        let written = String(Substring(authority.drop { $0 != UInt8(ascii: ":") }.dropFirst()))
        // A port that is none is not the default one.
        guard let port = written.isEmpty ? (lower.hasPrefix("https:") ? 443 : 80) : UInt16(written) else {
            return false
        }
        return fits && ports.contains(port)
    }
}
