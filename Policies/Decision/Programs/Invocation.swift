// A command's words, taken apart as its program would: options with their values, operands with their classes.
//
// What the table does not know is kept as unknown: nothing that is unknown passes a rule that allows.
internal import PolicyModel
internal import PolicyShell

/// A word of a command.
struct Word: Sendable, Hashable {
    enum Form: Sendable, Hashable {
        /// Its value is its text.
        case literal
        /// It stands for the names of files that match.
        case pattern
        /// What it is shows when the command runs; the text is empty.
        case computed
    }

    var text: String
    var form = Form.literal
    /// Whether it may turn out to be no word, or several.
    var isSplit = false

    /// Whether it may become an option when it is expanded.
    var mayBecomeOption: Bool {
        switch form {
        case .literal: false
        case .computed: true
        case .pattern:
            switch text.utf8.first {
            case UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["), UInt8(ascii: "-"), UInt8(ascii: "\\"): true
            default: false
            }
        }
    }

    /// For messages.
    var shown: String { form == .computed ? "what is computed" : text }
}

extension Word {
    init(_ word: ShellWord) {
        self.init(
            text: word.text, form: word.isComputed ? .computed : word.isPattern ? .pattern : .literal,
            isSplit: word.isSplit)
    }
}

struct Invocation: Sendable {
    struct Option: Sendable {
        /// As the table names it, or as it is written where it is not known.
        var name: String
        /// The whole word.
        var word: String
        /// Nil where it is not known.
        var spec: OptionSpec?
        var value: Word?
        var kind: ValueClass?
    }

    struct Operand: Sendable {
        var word: Word
        /// Nil where the table does not say.
        var kind: ValueClass?
        /// Whether `--` stands somewhere in front.
        var isAfterDashes: Bool
    }

    /// The subcommands that are written, without those that the table assumes.
    var written: [String] = []
    /// The program and its subcommands.
    var path: [String]
    /// What is known about the last of them; nil for an unknown program or subcommand.
    var spec: ProgramSpec?
    var options: [Option] = []
    var operands: [Operand] = []
    /// Patterns among the operands, with what else their words may turn out to be.
    var spread: [Operand] = []
    /// Commands in its words, as behind `timeout 5` and `find -exec`.
    var inner: [[Word]] = []
    /// Strings that a shell runs.
    var strings: [Word] = []
    /// Effects of the program and of its subcommand.
    var effects: Set<Effect> = []
    /// Whether a file's name that a pattern stands for could be taken for a powerful option, or what is computed may
    /// be one, or more than one word.
    var mayHideOptions = false

    /// Options after which an interpreter only tells something; to shells the same letters mean other things.
    private static let asking: KeyValuePairs = [
        "python": ["-V", "-h"], "pypy": ["-V", "-h"], "node": ["-v", "-h"], "perl": ["-v", "-V", "-h"],
        "php": ["-v", "-h", "-i", "-m"], "lua": ["-v"],
    ]

    /// Whether an interpreter has no program among its words, so that its input, or who sits at its terminal, is the program.
    var readsProgramFromInput: Bool {
        guard effects.contains(.interprets), strings.isEmpty, inner.isEmpty, !onlyTells else { return false }
        if options.contains(where: { $0.kind == .code || $0.kind == .script }) { return false }
        return !operands.contains { [.script, .code, .command].contains($0.kind) && $0.word.text != "-" }
    }

    /// Whether it does what it is told by its input or at its terminal: an interpreter, whatever program it has among its
    /// words, and what has commands of its own, such as an editor. What a shell has as a string is judged by itself.
    var obeysInput: Bool {
        guard !onlyTells else { return false }
        return effects.contains(.interactive) || effects.contains(.interprets) && strings.isEmpty && inner.isEmpty
    }

    /// Whether it only tells something about itself.
    private var onlyTells: Bool {
        let asking = ["--version", "--help"] + (Self.asking.first { path[0].hasPrefix($0.key) }?.value ?? [])
        return options.contains { asking.contains($0.name) }
    }

    /// The words of its scripts in the language of awk or sed, where it has any.
    private func scripts(_ kind: ValueClass) -> [Word] {
        options.filter { $0.kind == kind }.compactMap(\.value) + operands.filter { $0.kind == kind }.map(\.word)
    }

    /// Whether a script of sed, whose parts are one wherever they stand, or of awk does more than print, or cannot be told.
    var hasPowerfulScript: Bool {
        let sed = scripts(.sedScript), awk = scripts(.awkScript)
        guard (sed + awk).allSatisfy({ $0.form == .literal }) else { return true }
        return !sed.isEmpty && !SedScript.isHarmless(sed.map(\.text)) || awk.contains { !AwkScript.isHarmless($0.text) }
    }

    /// Takes a command apart.
    ///
    /// - Parameters:
    ///   - words: the name first.
    ///   - patterns: what is known of the files that patterns among them stand for.
    init(_ words: [Word], table: ProgramTable, patterns: PatternKnowledge = .none) {
        let name = words.first?.text ?? ""
        path = [name]
        spec = table.spec([name])
        var reader = InvocationReader(
            rest: words.dropFirst(), invocation: self, table: table, patterns: patterns)
        reader.read()
        self = reader.invocation
    }
}

/// What is known of the files that a command's patterns stand for.
enum PatternKnowledge {
    /// Nothing: a file that is there by chance could be taken for an option that the program has.
    case none
    /// None of them begins with a dash.
    case noOptions
    /// Somebody may have made one for the purpose.
    case chosen
}

private struct InvocationReader {
    var rest: ArraySlice<Word>
    var invocation: Invocation
    let table: ProgramTable
    private let patterns: PatternKnowledge
    private var isAfterDashes = false
    private var operands: [(word: Word, isAfterDashes: Bool)] = []

    init(rest: ArraySlice<Word>, invocation: Invocation, table: ProgramTable, patterns: PatternKnowledge) {
        self.rest = rest
        self.invocation = invocation
        self.table = table
        self.patterns = patterns
    }

    mutating func read() {
        while let spec = invocation.spec {
            invocation.effects.formUnion(spec.effects)
            guard readWords(spec) else { break }
        }
        if invocation.spec == nil { readUnknown() }
        assignOperands()
    }

    /// Without a table every word that starts with a dash counts as an option, `--` too.
    private mutating func readUnknown() {
        while let word = rest.popFirst() {
            if word.text.utf8.first == UInt8(ascii: "-"), word.text != "-" {
                addUnknown(word)
            } else {
                if word.mayBecomeOption { invocation.mayHideOptions = true }
                invocation.operands.append(.init(word: word, kind: nil, isAfterDashes: false))
            }
        }
    }

    private mutating func addUnknown(_ word: Word) {
        invocation.options.append(.init(name: word.text, word: word.text))
    }

    /// `--include=*.c`: whatever files it stands for, it is this option. False where a value could do harm.
    private mutating func addPattern(_ spec: ProgramSpec, _ word: Word) -> Bool {
        guard spec.style == .gnu || spec.style == .gnuStrict, word.text.utf8.starts(with: "--".utf8),
            let equals = word.text.utf8.firstIndex(of: UInt8(ascii: "=")),
            !word.text.utf8[..<equals].contains(where: { "*?[\\".utf8.contains($0) }),
            let option = spec.options[String(word.text[..<equals])]
        else { return false }
        switch option.form {
        case .value(let kind) where [.pattern, .glob, .text].contains(kind),
            .optional(let kind) where [.pattern, .glob, .text].contains(kind):
            // Without a file of such a name it is the pattern itself, and with one it is narrower.
            let value = Word(text: String(word.text[word.text.utf8.index(after: equals)...]))
            add(option.name, word, option, value, kind)
            return true
        default: return false
        }
    }

    /// Reads words by one table. True when a subcommand's table goes on.
    private mutating func readWords(_ spec: ProgramSpec) -> Bool {
        let stopsAtOperand = spec.hasSubcommands || spec.style == .gnuStrict || spec.style == .posix
        // A command in the words goes to the end, whatever options it has.
        let takesCommand = spec.operands.contains { $0.kind == .innerCommand }
        while let word = rest.first {
            let isOption =
                !isAfterDashes && spec.style != .none && word.text.utf8.first == UInt8(ascii: "-") && word.text != "-"
                && word.form != .computed
            if isOption {
                if word.form == .pattern {
                    rest.removeFirst()
                    if !addPattern(spec, word) { addUnknown(word) }
                    continue
                }
                // To find and test `--` ends nothing: what follows are expressions still.
                if word.text == "--", spec.style != .single {
                    rest.removeFirst()
                    isAfterDashes = true
                    continue
                }
                if readOption(spec, word) { continue }
                if spec.hasSubcommands, let name = spec.defaultSubcommand {
                    return enter(name, consuming: false)
                }
                rest.removeFirst()
                addUnknown(word)
                continue
            }
            if spec.hasSubcommands {
                if word.form == .literal, table.spec(invocation.path + [word.text]) != nil {
                    return enter(word.text, consuming: true)
                }
                if let name = spec.defaultSubcommand { return enter(name, consuming: false) }
                // A subcommand that is not known: its options are not either.
                invocation.path.append(word.text)
                invocation.written.append(word.text)
                invocation.spec = nil
                rest.removeFirst()
                return false
            }
            if case .equals(let kind)? = attached(to: word, spec)?.form, spec.style != .single {
                rest.removeFirst()
                addEquals(word, spec, kind)
                continue
            }
            rest.removeFirst()
            // Several words, or none, move those behind to other places.
            if word.isSplit { invocation.mayHideOptions = true }
            if !isAfterDashes, spec.style != .none, word.mayBecomeOption {
                switch patterns {
                case .noOptions where word.form == .pattern: break
                case .none where word.form == .pattern && !spec.hasPowerfulOptions: break
                default: invocation.mayHideOptions = true
                }
            }
            operands.append((word, isAfterDashes))
            if stopsAtOperand {
                if takesCommand {
                    operands += rest.map { ($0, isAfterDashes) }
                    rest = []
                } else {
                    isAfterDashes = true
                }
            }
        }
        if spec.hasSubcommands, let name = spec.defaultSubcommand { return enter(name, consuming: false) }
        return false
    }

    private mutating func enter(_ name: String, consuming: Bool) -> Bool {
        if consuming {
            rest.removeFirst()
            invocation.written.append(name)
        }
        invocation.path.append(name)
        invocation.spec = table.spec(invocation.path)
        return invocation.spec != nil
    }

    /// The `name` of `name=VALUE`, where the table has one.
    private func attached(to word: Word, _ spec: ProgramSpec) -> OptionSpec? {
        guard let equals = word.text.utf8.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        return spec.options[String(word.text[..<equals])]
    }

    private mutating func addEquals(_ word: Word, _ spec: ProgramSpec, _ kind: ValueClass) {
        guard let equals = word.text.utf8.firstIndex(of: UInt8(ascii: "=")) else { return }
        let value = Word(text: String(word.text[word.text.utf8.index(after: equals)...]), form: word.form)
        let name = String(word.text[..<equals])
        add(name, word, spec.options[name], value, kind)
    }

    private mutating func add(
        _ name: String, _ word: Word, _ option: OptionSpec?, _ value: Word? = nil, _ kind: ValueClass? = nil
    ) {
        invocation.options.append(.init(name: name, word: word.text, spec: option, value: value, kind: kind))
        if value?.isSplit ?? false { invocation.mayHideOptions = true }
        if kind == .command, let value { invocation.strings.append(value) }
    }

    // MARK: - Options

    /// Reads one word as an option, with its value; false where it is not known.
    private mutating func readOption(_ spec: ProgramSpec, _ word: Word) -> Bool {
        // A whole word first: `-nt` is not `-n t`, `-10` is not `-1 -0`.
        if let option = spec.options[word.text] {
            switch option.form {
            case .flag, .optional:
                rest.removeFirst()
                add(option.name, word, option)
                return true
            case .value(let kind):
                guard rest.count > 1 else { return false }
                rest.removeFirst()
                return takeValue(option, word, kind)
            case .equals: return false
            }
        }
        switch spec.style {
        case .single:
            guard let option = attached(to: word, spec), case .equals(let kind) = option.form else { return false }
            rest.removeFirst()
            addEquals(word, spec, kind)
            return true
        case .none: return false
        case .gnu, .gnuStrict, .posix:
            if word.text.hasPrefix("--") { return spec.style != .posix && readLong(spec, word) }
            return readCluster(spec, word)
        }
    }

    private mutating func takeValue(_ option: OptionSpec, _ word: Word, _ kind: ValueClass) -> Bool {
        if kind == .terminatedCommand {
            // Up to `;`, or to `+` behind `{}`.
            var command: [Word] = []
            var isBehindPlace = false
            while let next = rest.popFirst() {
                if sameBytes(next.text, ";")
                    || sameBytes(next.text, "+") && isBehindPlace && !option.name.hasPrefix("-ok")
                {
                    break
                }
                isBehindPlace = sameBytes(next.text, "{}")
                // It may turn out to be the `;`, with what follows no longer the command's.
                if next.mayBecomeOption { invocation.mayHideOptions = true }
                // find puts the file's name wherever `{}` stands in a word.
                command.append(contains(next.text, "{}") ? Word(text: "", form: .computed) : next)
            }
            invocation.inner.append(command)
            add(option.name, word, option, nil, kind)
            return true
        }
        guard let value = rest.popFirst() else { return false }
        // Where a table calls a value what is an option of its own, nothing may rest on that.
        if value.form == .literal, value.text.utf8.first == UInt8(ascii: "-"),
            ![.text, .pattern, .mode].contains(kind), invocation.spec?.style != .single,
            let second = value.text.utf8.dropFirst().first, !(0x30...0x39).contains(second)
        {
            invocation.mayHideOptions = true
        }
        add(option.name, word, option, value, kind)
        return true
    }

    private mutating func readLong(_ spec: ProgramSpec, _ word: Word) -> Bool {
        let equals = word.text.utf8.firstIndex(of: UInt8(ascii: "="))
        let name = equals.map { String(word.text[..<$0]) } ?? word.text
        guard let option = spec.options[name] ?? abbreviated(name, spec) else { return false }
        guard let equals else {
            switch option.form {
            case .flag, .optional:
                rest.removeFirst()
                add(option.name, word, option)
                return true
            case .value(let kind):
                guard rest.count > 1 else { return false }
                rest.removeFirst()
                return takeValue(option, word, kind)
            case .equals: return false
            }
        }
        let value = Word(text: String(word.text[word.text.utf8.index(after: equals)...]))
        switch option.form {
        case .value(let kind), .optional(let kind), .equals(let kind):
            guard kind != .terminatedCommand else { return false }
            rest.removeFirst()
            add(option.name, word, option, value, kind)
            return true
        case .flag:
            // `sed --in-place=SUFFIX` is the one flag that has an optional value which is no class of the table.
            guard option.writes, !value.text.utf8.contains(where: { "/*".utf8.contains($0) }) else { return false }
            rest.removeFirst()
            add(option.name, word, option)
            return true
        }
    }

    /// The one long option that a name is the beginning of. Two that mean the same are not told apart: ambiguous.
    private func abbreviated(_ name: String, _ spec: ProgramSpec) -> OptionSpec? {
        guard name.utf8.count >= 3 else { return nil }
        let matching = spec.longNames.filter { $0.utf8.starts(with: name.utf8) }
        return matching.count == 1 ? matching.first.flatMap { spec.options[$0] } : nil
    }

    private mutating func readCluster(_ spec: ProgramSpec, _ word: Word) -> Bool {
        // The obsolete forms of head and tail, such as `-5c`, are no clusters.
        let letters = word.text.utf8.dropFirst()
        if ["head", "tail"].contains(invocation.path[0]), let first = letters.first, (0x30...0x39).contains(first),
            letters.contains(where: { !(0x30...0x39).contains($0) })
        {
            return false
        }
        var found: [(OptionSpec, Word?, ValueClass?)] = []
        var scalars = word.text.unicodeScalars.dropFirst()
        var nextWord: (OptionSpec, ValueClass)?
        while let letter = scalars.popFirst() {
            guard let option = spec.options["-" + String(letter)] else { return false }
            switch option.form {
            case .flag:
                if option.writes, !scalars.isEmpty {
                    // `sed -i.bak`: a suffix, which may name another directory.
                    guard !scalars.contains(where: { $0 == "/" || $0 == "*" }) else { return false }
                    scalars = scalars[scalars.endIndex...]
                }
                found.append((option, nil, nil))
            case .optional(let kind):
                let value = scalars.isEmpty ? nil : Word(text: String(String.UnicodeScalarView(scalars)))
                found.append((option, value, value == nil ? nil : kind))
                scalars = scalars[scalars.endIndex...]
            case .value(let kind):
                guard kind != .terminatedCommand else { return false }
                if scalars.isEmpty {
                    guard rest.count > 1 else { return false }
                    nextWord = (option, kind)
                } else {
                    found.append((option, Word(text: String(String.UnicodeScalarView(scalars))), kind))
                    scalars = scalars[scalars.endIndex...]
                }
            case .equals: return false
            }
        }
        rest.removeFirst()
        for (option, value, kind) in found { add(option.name, word, option, value, kind) }
        if let (option, kind) = nextWord { return takeValue(option, word, kind) }
        return true
    }

    // MARK: - Operands

    private mutating func assignOperands() {
        guard let spec = invocation.spec else {
            for operand in operands {
                invocation.operands.append(.init(word: operand.word, kind: nil, isAfterDashes: operand.isAfterDashes))
            }
            return
        }
        let given = Set(invocation.options.map(\.name))
        let classes = spec.conditional.first { !given.isDisjoint(with: $0.flags) }?.operands ?? spec.operands
        var left = operands[...]
        for (index, slot) in classes.enumerated() {
            if slot.kind == .innerCommand {
                if left.isEmpty { return }
                // Where something in front may be more than it seems, which word is the command's name is not known.
                let isShifted = operands.prefix(operands.count - left.count).contains {
                    $0.word.isSplit || $0.word.form == .pattern
                }
                let unknown = isShifted || invocation.mayHideOptions ? [Word(text: "", form: .computed)] : []
                invocation.inner.append(unknown + left.map(\.word))
                return
            }
            switch slot.count {
            case .one, .optional:
                guard let operand = left.popFirst() else { continue }
                add(operand, slot.kind)
                // A pattern may be several words, which then take the places of what follows as well.
                if operand.word.form != .literal {
                    for later in classes[(index + 1)...] where later.kind != slot.kind {
                        invocation.spread.append(
                            .init(word: operand.word, kind: later.kind, isAfterDashes: operand.isAfterDashes))
                    }
                }
            case .many:
                let behind = classes[(index + 1)...]
                if slot.kind == .assignment, behind.first?.kind == .innerCommand {
                    while let operand = left.first, isAssignment(operand.word) {
                        left.removeFirst()
                        add(operand, slot.kind)
                    }
                } else {
                    while left.count > behind.count, let operand = left.popFirst() { add(operand, slot.kind) }
                }
            }
        }
        // More than the table knows of.
        for operand in left { add(operand, nil) }
    }

    private func isAssignment(_ word: Word) -> Bool { word.text.utf8.contains(UInt8(ascii: "=")) }

    private mutating func add(_ operand: (word: Word, isAfterDashes: Bool), _ kind: ValueClass?) {
        invocation.operands.append(.init(word: operand.word, kind: kind, isAfterDashes: operand.isAfterDashes))
        if kind == .command { invocation.strings.append(operand.word) }
    }
}
