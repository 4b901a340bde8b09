// Every key of the language, once: the JSON Schema for editors and the reference in Policies/README.md are made from it, and
// tests hold it against the reader.

/// One key.
public struct PolicyKey: Sendable {
    /// What its value is.
    public enum Form: Sendable {
        case string, integer, boolean, number
        /// A size or a number of bytes.
        case size
        case strings
        /// Numbers of ports.
        case ports
        case words([String])
        case listOfWords([String])
        /// A list of words, or one of these.
        case stringsOrWords([String])
        /// Lists of lists of strings, or strings.
        case patterns
        /// Names with strings.
        case variables
    }

    /// The table that it stands in, as in `[fs]` and `[[command]]`; empty for the top level.
    public var table: String
    /// Its name.
    public var name: String
    /// What its value is.
    public var form: Form
    /// What holds where it is not written, in words.
    public var fallback: String
    /// What it means.
    public var says: String
    /// A value, as TOML.
    public var example: String

    init(_ table: String, _ name: String, _ form: Form, _ fallback: String, _ says: String, _ example: String) {
        self.table = table
        self.name = name
        self.form = form
        self.fallback = fallback
        self.says = says
        self.example = example
    }
}

/// A table of the language.
public struct PolicyTable: Sendable {
    /// As in `fs` and `network.grant`; empty for the top level.
    public var name: String
    /// Whether it may come again, as in `[[command]]`.
    public var isRepeated: Bool
    /// What it is for.
    public var says: String

    init(_ name: String, repeated: Bool = false, _ says: String) {
        self.name = name
        isRepeated = repeated
        self.says = says
    }
}

private let decisions = Decision.allCases.map(\.rawValue)

/// The tables, in the order of the reference.
public let policyTables = [
    PolicyTable("", "The top level."),
    PolicyTable("defaults", "What is said about commands that no rule matches."),
    PolicyTable(
        "command", repeated: true, "A rule about commands. The order of rules means nothing: the strictest wins."),
    PolicyTable("command.flags", "The options that a rule lets pass."),
    PolicyTable("command.rewrite", "How an allowed command is changed before it runs."),
    PolicyTable("fs", "Which files can be read, written and executed. The kernel enforces it in a jail."),
    PolicyTable("network", "Who can be talked to."),
    PolicyTable("network.grant", repeated: true, "A host that can be reached."),
    PolicyTable("env", "Which variables enter."),
    PolicyTable("resources", "How much can be used."),
    PolicyTable("seccomp", "Which system calls exist."),
    PolicyTable("identity", "Who the command is."),
    PolicyTable("approval", "How an `ask` can be answered."),
    PolicyTable("test", repeated: true, "A command and the verdict that it must get."),
    PolicyTable("test.expect", "What a test expects."),
]

/// The keys, in the order of the reference.
public let policyKeys = [
    PolicyKey("", "version", .integer, "must be written", "The version of the language, 1.", "1"),
    PolicyKey(
        "", "extends", .strings, "nothing",
        "Presets and files that this one builds on, laid down first: `preset:NAME`, or a path relative to this file.",
        "[\"preset:readonly\"]"),
    PolicyKey(
        "", "allow_degraded", .listOfWords(Guarantee.allCases.map(\.rawValue)), "none",
        "Guarantees that a run may go without where the machine cannot give them; each report names them.",
        "[\"fs.deny.create\"]"),
    PolicyKey("defaults", "command", .words(decisions), "ask", "A command that no rule matches.", "\"ask\""),
    PolicyKey(
        "defaults", "opaque", .words(decisions), "as `command`",
        "A string that cannot be analysed: eval, a computed command word, a parse error.", "\"deny\""),
    PolicyKey(
        "defaults", "jailed", .words(decisions), "as `command` and `opaque`",
        "Either of them, where the command is to run in a jail made by the same policy.", "\"allow\""),
    PolicyKey(
        "defaults", "headless_ask", .words(["allow", "deny"]), "deny",
        "What becomes of `ask` in `cordon run` without a terminal.", "\"deny\""),
    PolicyKey(
        "command", "id", .string, "its words", "Its name, for evidence, `replaces` and tests.", "\"git-status\""),
    PolicyKey(
        "command", "argv", .strings, "must be written",
        "The program's bare name and its words. `...` stands for any operands, never options; `<any>`, `<path>`, "
            + "`<workspace>`, `<url>`, `<number>`, `<sed-script>`, `<glob:PATTERN>` and `<re:RE2>` for one operand of a "
            + "class, or for several with `...` behind. A word that starts with a dash is an option that must be there.",
        "[\"git\", \"status\", \"...\"]"),
    PolicyKey("command", "decision", .words(decisions), "must be written", "What the rule says.", "\"allow\""),
    PolicyKey("command", "reason", .string, "none", "Why, for people.", "\"read-only status\""),
    PolicyKey(
        "command", "except", .patterns, "none",
        "Commands that the rule is not about: patterns as in `argv`, each a list of words or one string.",
        "[[\"git\", \"push\", \"--dry-run\", \"...\"]]"),
    PolicyKey(
        "command", "replaces", .string, "nothing", "The id of an inherited rule that this one stands for.",
        "\"git-status\""),
    PolicyKey(
        "command", "locked", .boolean, "false", "Whether nothing that extends this file can replace the rule.", "true"),
    PolicyKey(
        "command", "interactive", .boolean, "false",
        "Whether an allowed interpreter may be given a terminal or input, by which it can be told to do anything. Without "
            + "it the rule is not about such a request.",
        "true"),
    PolicyKey(
        "command", "match", .strings, "none", "Commands that the rule must match; checked when the policy is read.",
        "[\"git status -s\"]"),
    PolicyKey(
        "command", "not_match", .strings, "none", "Commands that it must not match.", "[\"git -c x=y status\"]"),
    PolicyKey(
        "command.flags", "allow", .strings, "those that the table of programs calls harmless",
        "Options that pass, by their name or whole word; `*` stands for the rest of a word. An option that executes or "
            + "writes, or that the table does not know, passes only by its full name.",
        "[\"-s\", \"--porcelain*\"]"),
    PolicyKey(
        "command.rewrite", "as", .string, "none",
        "The id of a rule further up, or of an extended file: its changes come first.", "\"git-status\""),
    PolicyKey(
        "command.rewrite", "config", .strings, "none", "Settings of git, given as `-c NAME=VALUE`.",
        "[\"core.fsmonitor=false\"]"),
    PolicyKey(
        "command.rewrite", "options", .strings, "none", "Options to put in front of the subcommand.",
        "[\"--no-pager\"]"),
    PolicyKey(
        "command.rewrite", "flags", .strings, "none", "Options to put behind the subcommand.",
        "[\"--no-ext-diff\"]"),
    PolicyKey(
        "command.rewrite", "env_unset", .strings, "none", "Globs of variables to take out of the environment.",
        "[\"GIT_*\"]"),
    PolicyKey(
        "command.rewrite", "env_set", .strings, "none", "`NAME=VALUE`: variables to put into the environment.",
        "[\"GIT_ALLOW_PROTOCOL=\"]"),
    PolicyKey("fs", "read", .strings, "nothing", "Can be read.", "[\"/usr\", \"${workspace}\"]"),
    PolicyKey("fs", "write", .strings, "nothing", "Can be read and written.", "[\"${workspace}\"]"),
    PolicyKey(
        "fs", "deny", .strings, "nothing", "Can be neither read nor written, whatever else says so.", "[\"**/.env\"]"),
    PolicyKey("fs", "protect", .strings, "nothing", "Can be read, never written.", "[\"**/.git/hooks/**\"]"),
    PolicyKey(
        "fs", "exec", .strings, "all that can be read",
        "Can be executed. Interpreters and the dynamic loader are a way round it.", "[\"/usr\"]"),
    PolicyKey(
        "fs", "toolchains", .stringsOrWords(["auto", "none"]), "none",
        "Tools outside of `/usr` to mount read-only: what PATH names, or these paths.", "\"auto\""),
    PolicyKey(
        "fs", "caches", .listOfWords(CacheKind.allCases.map(\.rawValue)), "none",
        "Package managers that get a private cache for each project.", "[\"cargo\", \"npm\"]"),
    PolicyKey(
        "network", "mode", .words(NetworkMode.allCases.map(\.rawValue)), "deny",
        "`deny`: a network of its own with nothing but loopback; `host`: the host's.", "\"deny\""),
    PolicyKey(
        "network", "allow", .strings, "nothing",
        "Hosts and ports. Read and judged by `check`; a run refuses them until they can be enforced.",
        "[\"pypi.org:443\"]"),
    PolicyKey(
        "network.grant", "host", .string, "must be written", "A name, `*.` and a name, or an address.", "\"pypi.org\""),
    PolicyKey("network.grant", "ports", .ports, "must be written", "Its ports.", "[443]"),
    PolicyKey("network.grant", "reason", .string, "none", "Why, for people.", "\"packages\""),
    PolicyKey(
        "env", "inherit", .words(EnvironmentRules.Inheritance.allCases.map(\.rawValue)), "none",
        "What enters without being named.", "\"none\""),
    PolicyKey("env", "pass", .strings, "none", "Globs of the caller's variables that enter.", "[\"LANG\"]"),
    PolicyKey("env", "set", .variables, "none", "Variables that the policy sets.", "{ CI = \"true\" }"),
    PolicyKey(
        "env", "mask", .strings, "none",
        "Globs of variables whose values, of 8 bytes or more, are replaced wherever output leaves.", "[\"*_TOKEN\"]"),
    PolicyKey("resources", "wall", .string, "none", "A deadline.", "\"300s\""),
    PolicyKey("resources", "cpu", .string, "none", "Processor time, summed over the tree.", "\"120s\""),
    PolicyKey("resources", "cpus", .number, "none", "Processors at a time.", "2.0"),
    PolicyKey(
        "resources", "memory", .size, "none", "Memory of the tree: a size, or a share of the machine's.", "\"1G\""),
    PolicyKey("resources", "swap", .size, "none", "Swap beside it.", "0"),
    PolicyKey("resources", "pids", .integer, "none", "Processes and threads.", "512"),
    PolicyKey("resources", "output", .size, "2M", "Captured output.", "\"2M\""),
    PolicyKey(
        "resources", "output_action", .words(OutputAction.allCases.map(\.rawValue)), "truncate",
        "What happens at that limit.", "\"truncate\""),
    PolicyKey("resources", "disk", .size, "none", "Private file systems and upper layers.", "\"512M\""),
    PolicyKey("resources", "inodes", .integer, "none", "Files in them.", "100000"),
    PolicyKey("resources", "open_files", .integer, "the caller's", "Descriptors of one process.", "1024"),
    PolicyKey("resources", "file_size", .size, "none", "The size of one file.", "\"1G\""),
    PolicyKey("resources", "io_read", .size, "none", "Bytes read from disks in a second.", "\"100M\""),
    PolicyKey("resources", "io_write", .size, "none", "Bytes written to disks in a second.", "\"50M\""),
    PolicyKey(
        "seccomp", "preset", .words(SeccompPreset.allCases.map(\.rawValue)), "agent",
        "`agent`: what shells, compilers and package managers use; `pure`: what computation uses.", "\"agent\""),
    PolicyKey("identity", "user", .string, "1000:1000", "The ids in the jail.", "\"1000:1000\""),
    PolicyKey(
        "identity", "root", .boolean, "false",
        "Root in its own user namespace, for package managers, on a layer that goes.",
        "false"),
    PolicyKey("identity", "hostname", .string, "cordon", "The host name in the jail.", "\"cordon\""),
    PolicyKey(
        "approval", "scopes", .listOfWords(ApprovalRules.Scope.allCases.map(\.rawValue)), "once",
        "For what an answer holds: this request, or all of exactly this argv until the session (of `cordon run`: the terminal's) ends.",
        "[\"once\"]"),
    PolicyKey("approval", "expiry", .string, "none", "How long a request waits, and an answer holds.", "\"10m\""),
    PolicyKey(
        "approval", "approvers", .listOfWords(ApprovalRules.Approver.allCases.map(\.rawValue)), "terminal",
        "Who may answer; never the party that asked.", "[\"terminal\"]"),
    PolicyKey("test", "run", .string, "must be written", "The command.", "\"cat .env\""),
    PolicyKey("test", "cwd", .string, "the workspace", "Its working directory, below the workspace.", "\"src\""),
    PolicyKey("test", "jailed", .boolean, "false", "Whether it is judged as for `cordon run`.", "true"),
    PolicyKey(
        "test", "input", .words(CommandInput.allCases.map(\.rawValue)), "none",
        "What it is given beside its words: nothing, input, or a terminal.", "\"terminal\""),
    PolicyKey("test.expect", "decision", .words(decisions), "any", "The verdict.", "\"deny\""),
    PolicyKey("test.expect", "rule", .string, "any", "A rule or key that must be among the evidence.", "\"fs.deny\""),
]
