// What the table of programs says about one program or subcommand. The format is described in Policies/Programs/README.md.
internal import PolicyModel

/// What an option's value or an operand is.
enum ValueClass: String, Sendable {
    case read, write, cwd, text, pattern, glob, number, word, mode, url, host, command, program, code, script
    case assignment, config, target, package, signal, pid, user, ref
    case sedScript = "sed-script"
    case awkScript = "awk-script"
    case jqFilter = "jq-filter"
    case printfFormat = "printf-format"
    /// The rest of the words is a command.
    case innerCommand = "argv..."
    /// A command up to `;` or `+`, as find's -exec.
    case terminatedCommand = "argv;"

    /// Whether a value of it can make a program run something, or changes what the others mean.
    var isPowerful: Bool {
        switch self {
        case .cwd, .command, .program, .code, .script, .assignment, .config, .innerCommand, .terminatedCommand: true
        default: false
        }
    }
}

/// What a program does whatever its options are.
enum Effect: String, Sendable {
    case network, writes, executes, interprets, interactive, privileged, kills
}

struct OptionSpec: Sendable {
    enum Form: Sendable {
        case flag
        /// Attached or the next word.
        case value(ValueClass)
        /// Only ever attached.
        case optional(ValueClass)
        /// `-name=VALUE`, or the operand `name=VALUE`.
        case equals(ValueClass)
    }

    var name: String
    var form: Form
    /// Whether it runs another program in a way that the table cannot say.
    var executes = false
    /// Whether it turns what is read into what is written.
    var writes = false

    /// Whether it passes where a rule names no options: nothing is executed, nothing but listed paths is written.
    var isHarmless: Bool {
        switch form {
        case .flag: !executes && !writes
        case .value(let kind), .optional(let kind), .equals(let kind): !executes && !writes && !kind.isPowerful
        }
    }
}

struct OperandSpec: Sendable {
    enum Count: Sendable { case one, optional, many }

    var kind: ValueClass
    var count: Count
}

struct ProgramSpec: Sendable {
    /// How options are written.
    enum Style: String, Sendable {
        case gnu, posix, single, none
        case gnuStrict = "gnu-strict"
    }

    var style = Style.none
    var options: [String: OptionSpec] = [:]
    /// Short and long names of one option, as far as the table shows it: a long name stands behind its short ones. Good enough
    /// to deny by, not to allow.
    var synonyms: [String: [String]] = [:]
    /// Names that start with two dashes, for abbreviations.
    var longNames: [String] = []
    var operands: [OperandSpec] = []
    /// Other operands where one of these options is given.
    var conditional: [(flags: [String], operands: [OperandSpec])] = []
    var effects: Set<Effect> = []
    var hasSubcommands = false
    var defaultSubcommand: String?
    var note: String?

    /// Whether it runs a command in its words. Asked of each command, so it is found once.
    var runsCommands = false
    /// Whether a file's name that begins with a dash could do harm; found once as well.
    var hasPowerfulOptions = false

    private mutating func findPowers() {
        runsCommands =
            operands.contains { $0.kind == .innerCommand || $0.kind == .command }
            || options.values.contains { if case .value(.command) = $0.form { true } else { false } }
            || conditional.contains { $0.operands.contains { $0.kind == .command } }
        hasPowerfulOptions = options.values.contains { option in
            switch option.form {
            case .value(.write), .optional(.write), .equals(.write), .value(.read), .optional(.read): true
            default: !option.isHarmless
            }
        }
    }
}

extension ProgramSpec {
    /// Reads one table. Nil where it is not what the checker of the table has passed.
    init?(_ text: [UInt8]) {
        guard let document = try? TomlDocument(text, file: "programs") else { return nil }
        for node in document.children(of: document.root) {
            let children = document.children(of: node)
            switch node.key {
            case "style":
                guard let style = node.word.flatMap(Style.init(rawValue:)) else { return nil }
                self.style = style
            case "flags":
                for name in children { add(name.word, .flag) }
                findSynonyms(children.compactMap(\.word))
            case "write_flags": for name in children { add(name.word, .flag, writes: true) }
            case "execute_flags": for name in children { add(name.word, .flag, executes: true) }
            case "values", "optional", "equals":
                for entry in children {
                    guard let kind = entry.word.flatMap(ValueClass.init(rawValue:)) else { return nil }
                    switch node.key {
                    case "values": add(entry.key, .value(kind))
                    case "optional": add(entry.key, .optional(kind))
                    default: add(entry.key, .equals(kind))
                    }
                }
            case "operands":
                guard let list = Self.operands(children) else { return nil }
                operands = list
            case "when":
                for element in children {
                    let parts = document.children(of: element)
                    guard let flags = parts.first(where: { $0.key == "flags" }),
                        let words = parts.first(where: { $0.key == "operands" }),
                        let list = Self.operands(document.children(of: words))
                    else { return nil }
                    conditional.append((document.children(of: flags).compactMap(\.word), list))
                }
            case "effects":
                for name in children {
                    guard let effect = name.word.flatMap(Effect.init(rawValue:)) else { return nil }
                    effects.insert(effect)
                }
            case "subcommand": hasSubcommands = node.kind == .boolean(true)
            case "default": defaultSubcommand = node.word
            case "note": note = node.word
            default: break
            }
        }
        longNames = options.keys.filter { $0.hasPrefix("--") }
        findPowers()
        // Of options with values the table keeps no order: a letter is taken for every long name that begins with it.
        for (name, option) in options where !name.hasPrefix("--") && name.utf8.count == 2 {
            guard case .flag = option.form, !option.executes, !option.writes else {
                let initial = name.dropFirst().lowercased()
                for long in longNames where long.dropFirst(2).first?.lowercased() == initial {
                    synonyms[name, default: []].append(long)
                    synonyms[long, default: []].append(name)
                }
                continue
            }
        }
    }

    /// `-r`, `-R`, `--recursive`: the shorts in front of a long name that are its first letter, or stand right before it.
    private mutating func findSynonyms(_ names: [String]) {
        var shorts: [String] = []
        for name in names {
            if !name.hasPrefix("--") {
                shorts.append(name)
                continue
            }
            let initial = name.dropFirst(2).first.map { $0.lowercased() }
            for short in shorts where short == shorts.last || short.dropFirst().lowercased() == initial {
                synonyms[short, default: []].append(name)
                synonyms[name, default: []].append(short)
            }
            shorts = []
        }
        for (name, others) in synonyms where !name.hasPrefix("--") {
            // `-r` and `-R` by way of `--recursive`.
            for other in others.flatMap({ synonyms[$0] ?? [] }) where other != name { synonyms[name]?.append(other) }
        }
    }

    private mutating func add(
        _ name: String?, _ form: OptionSpec.Form, executes: Bool = false, writes: Bool = false
    ) {
        guard let name else { return }
        options[name] = OptionSpec(name: name, form: form, executes: executes, writes: writes)
    }

    private static func operands(_ nodes: ArraySlice<TomlNode>) -> [OperandSpec]? {
        var list: [OperandSpec] = []
        for node in nodes {
            guard let word = node.word else { return nil }
            if let kind = ValueClass(rawValue: word) {
                list.append(OperandSpec(kind: kind, count: kind == .innerCommand ? .many : .one))
            } else if word.hasSuffix("..."), let kind = ValueClass(rawValue: String(word.dropLast(3))) {
                list.append(OperandSpec(kind: kind, count: .many))
            } else if word.hasSuffix("?"), let kind = ValueClass(rawValue: String(word.dropLast())) {
                list.append(OperandSpec(kind: kind, count: .optional))
            } else {
                return nil
            }
        }
        return list
    }
}

extension TomlNode {
    /// The text of a string.
    fileprivate var word: String? {
        if case .string(let text) = kind { return text }
        return nil
    }
}
