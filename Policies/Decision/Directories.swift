// Where a command is when it runs: behind `cd` and options such as `-C DIR`, and what may have been made there before.
internal import PolicyModel
internal import PolicyShell

extension Judge {
    /// Follows `cd`; false where it leads to a place that is not known.
    mutating func changeDirectory(_ command: SimpleCommand, isRepeated: Bool) -> Bool {
        let words = command.words.map(\.text)
        let name = words.first { $0 != "command" && $0 != "builtin" && $0.utf8.first != UInt8(ascii: "-") }
        guard name == "cd" || name == "pushd" || name == "popd" || name == "chdir" else { return true }
        // In a loop it leads on and on, and in front of commands that are written before it.
        guard !isRepeated, words.count == 2, words[0] == "cd" || words[0] == "pushd", let target = command.words.last,
            !target.isPattern,
            target.text.utf8.first != UInt8(ascii: "-"), target.text.utf8.first != UInt8(ascii: "+"),
            !target.text.isEmpty
        else { return false }
        if request.isBehindLink, target.text.utf8.first != UInt8(ascii: "/"),
            target.text.utf8.split(separator: UInt8(ascii: "/")).contains(where: { $0.elementsEqual("..".utf8) })
        {
            isLost = true
            return false
        }
        // Whether it succeeds is not known, so either place is where the next command may be.
        return enter(target.text)
    }

    /// Adds the places to which a text may lead to those where the next command may be; false where they are too many.
    private mutating func enter(_ text: String) -> Bool {
        for directory in directories {
            let place = path(text, from: directory)
            if directories.contains(where: { sameNames($0, place) }) { continue }
            guard directories.count < Self.mostPlaces else {
                isLost = true
                return false
            }
            directories.append(place)
        }
        return true
    }

    /// For a command and what it runs: where options such as `-C DIR` lead.
    mutating func enterDirectories(of invocation: Invocation) -> Bool {
        var isMoved = false
        for option in invocation.options {
            if ["-execdir", "-okdir"].contains(option.name) {
                isLost = true
                isMoved = true
            }
            guard option.kind == .cwd, let value = option.value else { continue }
            isMoved = true
            // By chdir(2), which goes through links, as `cd` does not.
            let targets = value.form == .literal ? directories.map { finder.places(value.text, from: $0) } : [nil]
            for places in targets {
                guard let places, places.allSatisfy({ enter("/" + $0.joined(separator: "/")) }) else {
                    isLost = true
                    continue
                }
            }
        }
        return isMoved
    }

    /// Where it starts is what many programs read without naming it.
    func startingPlace() -> [Step] {
        guard !request.isJailed, !directories[0].starts(with: workspace, by: sameBytes) else { return [] }
        var step = Step(title: "the working directory", decision: .allow, evidence: [])
        judge(path: Word(text: "."), .read, "the working directory", &step)
        return [step]
    }

    /// Whether files may be made before a pattern of it is expanded: by another command that writes files, or does what is not
    /// known, or by a redirection. A command's own comes behind the expansion of its own words (bash(1), Simple Command
    /// Expansion), but not of those that it gives to a shell.
    func mayMakeFiles(_ program: ShellProgram) -> Bool {
        // It matters to patterns alone, here or in a string that is given to a shell; most programs have none.
        let hasPattern = program.commands.contains { command in
            command.words.contains { $0.isPattern || $0.text.utf8.contains { "*?[".utf8.contains($0) } }
        }
        guard hasPattern else { return false }
        let redirections = program.commands.flatMap(\.redirections) + program.groupRedirections
        let writes = redirections.contains { redirection in
            switch redirection.target {
            case .write(let word), .readAndWrite(let word): word.text != "/dev/null"
            default: false
            }
        }
        if program.commands.count == 1, !program.hasLoop, program.groupRedirections.isEmpty {
            let words = program.commands[0].words.map(Word.init)
            guard writes, !words.isEmpty else { return false }
            let invocation = Invocation(words, table: engine.table)
            return !invocation.inner.isEmpty || !invocation.strings.isEmpty
        }
        return writes
            || program.commands.contains { command in
                guard let name = command.words.first else { return false }
                if name.text == "cd" { return false }
                let invocation = Invocation(command.words.map(Word.init), table: engine.table)
                return invocation.spec == nil || invocation.operands.contains { $0.kind == .write || $0.kind == nil }
                    || invocation.options.contains {
                        $0.kind == .write || $0.spec?.writes ?? true || $0.spec?.executes ?? true
                    }
                    || !invocation.effects.isDisjoint(with: [.writes, .executes, .interprets])
                    || !invocation.inner.isEmpty
                    || !invocation.strings.isEmpty
            }
    }
}
