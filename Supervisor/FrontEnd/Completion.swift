// `cordon completion`: scripts for shells, made from one table so that they agree. A test holds the table
// against the help texts.
internal import Linux
internal import PolicyModel
internal import PolicyPresets

/// Prints a script and exits.
func completionCommand(_ arguments: [String]) -> Never {
    switch (arguments.first, arguments.count) {
    case ("bash"?, 1): leave(printing: bashCompletion, code: 0)
    case ("zsh"?, 1): leave(printing: zshCompletion, code: 0)
    case ("fish"?, 1): leave(printing: fishCompletion, code: 0)
    case ("--help"?, 1), ("-h"?, 1): leave(printing: help, code: 0)
    default:
        let guess = arguments.first.flatMap { nearest(to: $0, in: shells) }
        let remedy =
            guess.map { "did you mean cordon completion \($0)?" } ?? "write cordon completion bash, zsh or fish"
        leave(
            printing: "cordon: \(UsageError("completion takes the name of a shell", remedy: remedy))\n",
            code: ExitCode.cordonFailed, to: 2)
    }
}

private let help = """
    cordon completion: print a script that completes cordon's commands and options

    usage: cordon completion bash|zsh|fish

    examples:
      source <(cordon completion bash)                                  bash, in ~/.bashrc
      cordon completion zsh > "${fpath[1]}/_cordon"                     zsh, before compinit
      cordon completion fish > ~/.config/fish/completions/cordon.fish   fish

    """

private let shells = ["bash", "zsh", "fish"]

/// What stands after an option, or where an operand does.
enum OptionValue {
    case none, policy, directory, file, variable, text
}

/// An option of a command, as completions know it.
struct CommandOption {
    var name: String
    var short: String?
    var value = OptionValue.none
    var says: String

    static let json = CommandOption(name: "--json", says: "print JSON")
    static let help = CommandOption(name: "--help", short: "-h", says: "print help")
}

private let runOptions = [
    CommandOption(name: "--policy", value: .policy, says: "a policy file, or preset:NAME"),
    CommandOption(name: "--workspace", value: .directory, says: "the directory that the command works in"),
    CommandOption(name: "--image", value: .directory, says: "a directory with a root file system"),
    CommandOption(name: "--timeout", value: .text, says: "a deadline, such as 500ms, 30s, 5m"),
    CommandOption(name: "--memory", value: .text, says: "a limit for the whole tree, such as 64M, 2G"),
    CommandOption(name: "--pids", value: .text, says: "a limit on processes"),
    CommandOption(name: "--env", value: .variable, says: "set a variable, or pass the caller's"),
    CommandOption(name: "--tty", short: "-t", says: "give the command a terminal of the jail's own"),
    CommandOption(name: "--interactive", short: "-i", says: "pass standard input on, as in any case"),
    CommandOption(name: "--json", says: "print exactly one JSON object"),
    CommandOption(name: "--report", value: .file, says: "write that object to a file as well"),
    CommandOption(name: "--print-plan", says: "print what would be done, and do nothing"),
    CommandOption(name: "--timing", says: "print when each step of the start was done"),
    CommandOption(name: "--verbose", short: "-v", says: "print a report for people after the run"),
    CommandOption(name: "--help", short: "-h", says: "print help"),
]

private let doctorOptions = [
    CommandOption(name: "--json", says: "print exactly one JSON object"),
    CommandOption(name: "--guarantees", says: "print the closed list of guarantees"),
    CommandOption(name: "--help", short: "-h", says: "print help"),
]

private let commands = [
    ("run", "run a command in a jail of its own"), ("policy", "ask what a policy says, and check policies"),
    ("session", "jails that stay, and commands in them"), ("approve", "answer what a policy asks: yes"),
    ("deny", "answer what a policy asks: no"), ("audit", "check the audit log, and look at its end"),
    ("doctor", "try each primitive, and say what is in the way"),
    ("completion", "print a completion script"), ("help", "print help"), ("version", "print the version"),
]

/// Commands that have subcommands.
private let groups = [("policy", policySubcommands), ("session", sessionSubcommands), ("audit", auditSubcommands)]

/// What `cordon help` takes.
private let helpTopics =
    (["run"] + groups.map(\.0) + ["approve", "deny", "doctor", "completion"]).joined(separator: " ")

private var presets: String { presetNames.sorted().map { "preset:" + $0 }.joined(separator: " ") }

private func names(_ options: [CommandOption], _ isWanted: (CommandOption) -> Bool = { _ in true }) -> [String] {
    options.filter(isWanted).flatMap { [$0.name] + ($0.short.map { [$0] } ?? []) }
}

// MARK: - bash

/// bash splits words at ":" and "=", so the word under the cursor is taken from the line itself, and of each
/// candidate only what follows the last such character is given back.
private var bashCompletion: String {
    let withValue = names(runOptions) { $0.value != .none }.joined(separator: "|")
    func cases(_ value: OptionValue) -> String { names(runOptions) { $0.value == value }.joined(separator: "|") }
    return """
        # bash completion for cordon
        _cordon_words() { mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen "$@" -- "$cur"); }

        _cordon() {
            local line=${COMP_LINE:0:COMP_POINT} cur command= option= word i
            local -a words
            COMPREPLY=()
            read -ra words <<< "$line"
            cur=
            [[ $line == *[[:space:]] ]] || { cur=${words[-1]}; unset 'words[-1]'; }
            command=${words[1]-}
            local prefix= values='\(withValue)'
            if [[ $command == @(\(groups.map(\.0).joined(separator: "|"))) ]]; then
                command=$command-${words[2]-}
                case $command in
        \(groups.flatMap { group in group.1.map { "            \(group.0)-\($0.name)) values='\(names($0.options) { $0.value != .none }.joined(separator: "|"))' ;;\n" } }.joined())\
                esac
                for ((i = 3; i < ${#words[@]}; i++)); do
                    word=${words[i]}
                    [[ $word == -- ]] && { ((i++)); _cordon_inner; return; }
                    [[ -n $values && $word == @($values) ]] && { ((i++)); ((i < ${#words[@]})) || option=$word; }
                done
            fi
            if [[ $command == run ]]; then
                # Behind the options stands somebody else's command.
                for ((i = 2; i < ${#words[@]}; i++)); do
                    word=${words[i]}
                    case $word in
                        --) ((i++)); _cordon_inner; return ;;
                        \(withValue)) ((i++)); ((i < ${#words[@]})) || option=$word ;;
                        -*) ;;
                        *) _cordon_inner; return ;;
                    esac
                done
                if [[ $cur == --*=* ]]; then
                    option=${cur%%=*}
                    prefix=$option=
                    cur=${cur#*=}
                fi
            fi
            case $command:$option in
                :) _cordon_words -W "\(commands.map(\.0).joined(separator: " "))" ;;
        \(groups.map { "        \($0.0)-:) _cordon_words -W \"\($0.1.map(\.name).joined(separator: " "))\" ;;\n" }.joined())\
        \(groups.flatMap { group in group.1.map { bashCases(group.0, $0) } }.joined())\
                run:) _cordon_words -W "\(names(runOptions).joined(separator: " ")) --" ;;
                run:\(cases(.policy)))
                    _cordon_words -W "\(presets)"
                    [[ $cur == preset:* ]] || { _cordon_words -f; compopt -o filenames 2> /dev/null; } ;;
                \(names(runOptions) { $0.value == .directory }.map { "run:" + $0 }.joined(separator: "|")))
                    _cordon_words -d; compopt -o filenames 2> /dev/null ;;
                run:\(cases(.file))) _cordon_words -f; compopt -o filenames 2> /dev/null ;;
                run:\(cases(.variable))) _cordon_words -A export ;;
                doctor:) _cordon_words -W "\(names(doctorOptions).joined(separator: " "))" ;;
                completion:) ((${#words[@]} > 2)) || _cordon_words -W "\(shells.joined(separator: " "))" ;;
                help:) ((${#words[@]} > 2)) || _cordon_words -W "\(helpTopics)" ;;
            esac
            local whole=$prefix$cur head=
            [[ $COMP_WORDBREAKS == *=* && $whole == *=* ]] && { prefix=; head=${cur%"${cur##*=}"}; }
            [[ $COMP_WORDBREAKS == *:* && $cur == *:* ]] && head=${cur%"${cur##*:}"}
            for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=$prefix${COMPREPLY[i]#"$head"}; done
        }

        _cordon_inner() {
            if ((i >= ${#words[@]})); then _cordon_words -c; else _cordon_words -f; fi
            compopt -o filenames 2> /dev/null
        }

        complete -F _cordon cordon

        """
}

/// What bash offers for one subcommand of a command.
private func bashCases(_ group: String, _ subcommand: Subcommand) -> String {
    let command = group + "-" + subcommand.name
    func line(_ value: OptionValue, _ words: String) -> String {
        let found = names(subcommand.options) { $0.value == value }.map { "\(command):" + $0 }
        return found.isEmpty ? "" : "        \(found.joined(separator: "|"))) \(words) ;;\n"
    }
    let files = "_cordon_words -f; compopt -o filenames 2> /dev/null"
    let policies = "_cordon_words -W \"\(presets)\"; [[ $cur == preset:* ]] || { \(files); }"
    let operand =
        switch subcommand.operand {
        case .policy: "[[ $cur == -* ]] || { \(policies); }"
        case .file: "[[ $cur == -* ]] || { \(files); }"
        case .directory: "[[ $cur == -* ]] || { _cordon_words -d; compopt -o filenames 2> /dev/null; }"
        case .none, .variable, .text: ":"
        }
    return line(.policy, policies) + line(.directory, "_cordon_words -d; compopt -o filenames 2> /dev/null")
        + line(.file, files)
        + "        \(command):) [[ -n $cur && $cur != -* ]] || _cordon_words -W \"\(names(subcommand.options).joined(separator: " "))\"; \(operand) ;;\n"
}

// MARK: - zsh

private var zshCompletion: String {
    func zshCase(_ subcommand: Subcommand) -> String {
        let operand =
            switch subcommand.operand {
            case .policy: "'*:policy:_cordon_policy'"
            case .directory: "'*:directory:_files -/'"
            case .file: "'*:file:_files'"
            case .none, .variable, .text: "'*::argument: _normal'"
            }
        let options = subcommand.options.map(specification).joined()
        return "                \(subcommand.name)) _arguments \\\n\(options)        \(operand) ;;\n"
    }
    func zshGroup(_ name: String, _ subcommands: [Subcommand]) -> String {
        let list = subcommands.map { "'\($0.name)[\(zshText($0.says))]'" }.joined(separator: " ")
        return """
                    \(name))
                        if ((CURRENT == 2)); then
                            _values subcommand \(list)
                            return
                        fi
                        local inner=$words[2]
                        shift words
                        ((CURRENT--))
                        case $inner in
            \(subcommands.map(zshCase).joined())            esac ;;

            """
    }
    func specification(_ option: CommandOption) -> String {
        let says = zshText(option.says)
        let value =
            switch option.value {
            case .none: ""
            case .policy: ":policy:_cordon_policy"
            case .directory: ":directory:_files -/"
            case .file: ":file:_files"
            case .variable: ":variable:_parameters -g \"*export*\""
            case .text: ":value:"
            }
        let repeats = option.name == "--env" ? "*" : ""
        // "=" lets the value stand behind an equals sign as well.
        let name = option.name + (option.value == .none ? "" : "=")
        let long = "        '\(repeats)\(name)[\(says)]\(value)' \\\n"
        return long + (option.short.map { "        '\($0)[\(says)]\(value)' \\\n" } ?? "")
    }
    return """
        #compdef cordon
        # zsh completion for cordon
        _cordon_policy() {
            compadd -- \(presets)
            _files
        }

        _cordon() {
            local -a subcommands
            subcommands=(
        \(commands.map { "        '\($0.0):\($0.1)'\n" }.joined())    )
            if ((CURRENT == 2)); then
                _describe command subcommands
                return
            fi
            local subcommand=$words[2]
            shift words
            ((CURRENT--))
            case $subcommand in
                run) _arguments -S \\
        \(runOptions.map(specification).joined())        '(-):command:_path_commands' '*::argument: _normal' ;;
        \(groups.map(zshGroup).joined())\
                doctor) _arguments \\
        \(doctorOptions.map(specification).joined())        && return ;;
                completion) _values shell \(shells.joined(separator: " ")) ;;
                help) _values command \(helpTopics) ;;
            esac
        }

        if [[ $funcstack[1] == _cordon ]]; then _cordon "$@"; else compdef _cordon cordon; fi

        """
}

// MARK: - fish

private var fishCompletion: String {
    func lines(_ command: String, _ options: [CommandOption], inner: String = "") -> String {
        options.map { option in
            let value =
                switch option.value {
                case .none: ""
                case .policy: " -r -a '\(presets)'"
                case .directory: " -x -a '(__fish_complete_directories)'"
                case .file: " -r"
                case .variable: " -x -a '(set -nx)'"
                case .text: " -x"
                }
            let short = option.short.map { " -s " + $0.dropFirst() } ?? ""
            let says = option.says.replacing("'", with: "\\'")
            return
                "complete -c cordon -n '__cordon_options \(command) \(inner)'\(short) -l \(option.name.dropFirst(2))\(value) -d '\(says)'\n"
        }.joined()
    }
    let takers = names(runOptions) { $0.value != .none }.joined(separator: " ")
    return """
        # fish completion for cordon
        # The words of the command that is to run: what stands behind the options.
        function __cordon_inner
            set -l words (commandline -opc)
            set -l skip 0
            test (count $words) -gt 2; or return 1
            for index in (seq 3 (count $words))
                if test $skip = 1
                    set skip 0
                    continue
                end
                switch $words[$index]
                    case --
                        test $index -lt (count $words); and string join \\n -- $words[(math $index + 1)..]
                        return 0
                    case \(takers)
                        set skip 1
                    case '-*'
                    case '*'
                        string join \\n -- $words[$index..]
                        return 0
                end
            end
            return 1
        end

        function __cordon_options -a command inner
            set -l words (commandline -opc)
            test "$words[2]" = $command; or return 1
            test -z "$inner"; or test "$words[3]" = $inner; or return 1
            test $command = run; and __cordon_inner > /dev/null; and return 1
            return 0
        end

        function __cordon_run_command
            set -l words (commandline -opc)
            test "$words[2]" = run; and __cordon_inner > /dev/null
        end

        function __cordon_complete_inner
            complete -C (string join ' ' -- (string escape -- (__cordon_inner) ) (commandline -ct))
        end

        complete -c cordon -f
        \(commands.map { "complete -c cordon -n __fish_use_subcommand -a \($0.0) -d '\($0.1)'\n" }.joined())\(lines("run", runOptions))\
        complete -c cordon -n __cordon_run_command -a '(__cordon_complete_inner)'
        \(groups.map { "complete -c cordon -n '__cordon_options \($0.0); and test (count (commandline -opc)) = 2' -a '\($0.1.map(\.name).joined(separator: " "))'\n" }.joined())\
        \(groups.flatMap { group in group.1.map { lines(group.0, $0.options, inner: $0.name) } }.joined())\
        \(lines("doctor", doctorOptions))\
        complete -c cordon -n '__cordon_options completion' -a '\(shells.joined(separator: " "))'
        complete -c cordon -n '__cordon_options help' -a '\(helpTopics)'

        """
}

extension String {
    /// Every occurrence of one character as a text.
    fileprivate func replacing(_ character: Character, with text: String) -> String {
        map { $0 == character ? text : String($0) }.joined()
    }
}

/// A description between single quotes and brackets, as `_arguments` and `_values` read it (zshcompsys(1)).
private func zshText(_ text: String) -> String {
    text.replacing("'", with: "'\\''").replacing("[", with: "(").replacing("]", with: ")")
}
