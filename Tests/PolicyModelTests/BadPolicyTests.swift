import PolicyModel
import Testing

/// One mistake, where it must be reported, and words of the report.
struct Mistake: Sendable, CustomTestStringConvertible {
    let body: String
    let line: Int
    let column: Int
    let says: String
    let advises: String

    /// - Parameter body: what follows `version = 1` on the first line.
    init(_ body: String, _ line: Int, _ column: Int, _ says: String, advises: String = "") {
        self.body = body
        self.line = line
        self.column = column
        self.says = says
        self.advises = advises
    }

    var testDescription: String { body.debugDescription }
}

@Suite struct BadPolicyTests {
    static let keys = [
        Mistake("netwrok = 1", 2, 1, "unknown key `netwrok`", advises: "did you mean `network`? valid: version"),
        Mistake("[netwrok]", 2, 2, "unknown key `netwrok`", advises: "`network`"),
        Mistake("[fs]\nraed = []", 3, 1, "unknown key `raed` in `[fs]`", advises: "did you mean `read`? valid: read"),
        Mistake("[fs]\n  protekt = []", 3, 3, "unknown key `protekt`", advises: "`protect`"),
        Mistake("fs.dney = []", 2, 4, "unknown key `dney`", advises: "`deny`"),
        Mistake("[network]\nmodus = 1", 3, 1, "unknown key `modus` in `[network]`", advises: "`mode`"),
        Mistake("[env]\nmsak = []", 3, 1, "unknown key `msak`", advises: "`mask`"),
        Mistake("[resources]\nmemroy = 1", 3, 1, "unknown key `memroy`", advises: "`memory`"),
        Mistake("[resources]\n\"open-files\" = 1", 3, 1, "unknown key `open-files`", advises: "`open_files`"),
        Mistake("[seccomp]\npreste = 1", 3, 1, "unknown key `preste`", advises: "`preset`"),
        Mistake("[identity]\nusr = 1", 3, 1, "unknown key `usr`", advises: "`user`"),
        Mistake("\"é\" = 1", 2, 1, "unknown key `é`", advises: "valid: version"),
        Mistake("\"a\\u001b[31m\" = 1", 2, 1, "unknown key `a\\u{1b}[31m`"),
    ]

    static let values = [
        Mistake("extends = 1", 2, 11, "`extends` must be an array, not an integer"),
        Mistake("extends = [1]", 2, 12, "expected a string, found an integer"),
        Mistake("fs = 1", 2, 6, "`fs` must be a table, not an integer", advises: "[fs]"),
        Mistake("fs = [[]]", 2, 6, "`fs` must be a table, not an array"),
        Mistake("[fs]\nread = \"/usr\"", 3, 8, "`fs.read` must be an array, not a string"),
        Mistake("[fs]\nread = [\"/usr\", 3]", 3, 17, "`fs.read`: expected a string, found an integer"),
        Mistake("[fs]\nread = [1979-05-27]", 3, 9, "found a date or time"),
        Mistake("[fs]\ncaches = [\"crago\"]", 3, 11, "unknown value `crago`", advises: "`cargo`"),
        Mistake("[fs]\ntoolchains = \"atuo\"", 3, 14, "unknown value `atuo`", advises: "`auto`"),
        Mistake("[fs]\ntoolchains = [\"opt\"]", 3, 15, "`opt` is not an absolute path"),
        Mistake("[fs]\ntoolchains = [\"/opt/*\"]", 3, 15, "is not an absolute path"),
        Mistake("[fs]\ntoolchains = true", 3, 14, "found a boolean"),
        Mistake("[network]\nmode = \"hsot\"", 3, 8, "unknown value `hsot`", advises: "did you mean `host`?"),
        Mistake("[network]\nmode = false", 3, 8, "expected a string, found a boolean"),
        Mistake("[env]\ninherit = \"al\"", 3, 11, "unknown value `al`", advises: "`all`"),
        Mistake("[env]\nmask = [\"[A\"]", 3, 9, "is not closed"),
        Mistake("[env]\npass = [\"\"]", 3, 9, "a pattern is empty"),
        Mistake("[env]\nset = []", 3, 7, "`env.set` must be a table"),
        Mistake("[env.set]\n\"A=B\" = \"x\"", 3, 1, "`A=B` is not the name of a variable"),
        Mistake("[env.set]\n1A = \"x\"", 3, 1, "`1A` is not the name of a variable"),
        Mistake("[env.set]\n\"\" = \"x\"", 3, 1, "is not the name of a variable"),
        Mistake("[env.set]\nA = 3", 3, 5, "`env.set.A`: expected a string, found an integer"),
        Mistake("[env.set]\nA = \"x\\u0000\"", 3, 5, "contains a NUL byte"),
        Mistake("[seccomp]\npreset = \"agnet\"", 3, 10, "unknown value `agnet`", advises: "`agent`"),
        Mistake("[identity]\nroot = \"yes\"", 3, 8, "expected true or false, found a string"),
        Mistake("[identity]\nhostname = \"a b\"", 3, 12, "`a b` is not a host name"),
        Mistake("[identity]\nhostname = \"-a\"", 3, 12, "is not a host name"),
        Mistake("allow_degraded = [\"fs.deny.creat\"]", 2, 19, "`fs.deny.creat`", advises: "`fs.deny.create`"),
        Mistake("allow_degraded = \"swap\"", 2, 18, "must be an array"),
    ]

    static let quantities = [
        Mistake("[resources]\nmemory = \"12Q\"", 3, 10, "`12Q` is not a size", advises: "512M"),
        Mistake("[resources]\nmemory = \"\"", 3, 10, "`` is not a size"),
        Mistake("[resources]\nmemory = \"M\"", 3, 10, "`M` is not a size"),
        Mistake("[resources]\nmemory = \"1.5G\"", 3, 10, "`1.5G` is not a size"),
        Mistake("[resources]\nmemory = \"-1G\"", 3, 10, "`-1G` is not a size"),
        Mistake("[resources]\nmemory = -1", 3, 10, "-1 is negative"),
        Mistake("[resources]\nmemory = 1.5", 3, 10, "expected a size, such as \"512M\", found a float"),
        Mistake("[resources]\nmemory = 0", 3, 10, "must be more than zero"),
        Mistake("[resources]\nmemory = \"9999999999T\"", 3, 10, "`9999999999T` is too large a size"),
        Mistake("[resources]\nmemory = \"99999999999999999999999\"", 3, 10, "is too large a size"),
        Mistake("[resources]\nmemory = \"101%\"", 3, 10, "`101%` is not a share of memory"),
        Mistake("[resources]\nmemory = \"0%\"", 3, 10, "is not a share of memory"),
        Mistake("[resources]\nmemory = \"7.5%\"", 3, 10, "is not a share of memory"),
        Mistake("[resources]\ndisk = \"75%\"", 3, 8, "`75%` is not a size"),
        Mistake("[resources]\nwall = \"5 minutes\"", 3, 8, "`5 minutes` is not a duration", advises: "300s"),
        Mistake("[resources]\nwall = \"5\"", 3, 8, "`5` has no unit"),
        Mistake("[resources]\nwall = 300", 3, 8, "300 has no unit", advises: "\"300s\""),
        Mistake("[resources]\nwall = 1.5", 3, 8, "expected a duration"),
        Mistake("[resources]\nwall = \"-5s\"", 3, 8, "`-5s` is not a duration"),
        Mistake("[resources]\nwall = \"0s\"", 3, 8, "must be more than zero"),
        Mistake("[resources]\nwall = \"99999999999999h\"", 3, 8, "is too long a duration"),
        Mistake("[resources]\ncpus = 0", 3, 8, "0.0 is not a number of processors"),
        Mistake("[resources]\ncpus = -2.0", 3, 8, "-2.0 is not a number of processors"),
        Mistake("[resources]\ncpus = nan", 3, 8, "nan is not a number of processors"),
        Mistake("[resources]\ncpus = inf", 3, 8, "inf is not a number of processors"),
        Mistake("[resources]\ncpus = \"2\"", 3, 8, "expected a number, found a string"),
        Mistake("[resources]\npids = \"512\"", 3, 8, "expected an integer, found a string"),
        Mistake("[resources]\npids = 0", 3, 8, "must be more than zero"),
        Mistake("[resources]\npids = -1", 3, 8, "-1 is negative"),
        Mistake("[resources]\npids = 9999999999", 3, 8, "9999999999 is more than 4194304"),
        Mistake("[resources]\noutput_action = \"kil\"", 3, 17, "unknown value `kil`", advises: "`kill`"),
    ]

    static let users =
        [
            "", "root", "0x0", "-1", "+1", " 1", "1 ", "1:", ":1", ":", "1:2:3", "65536", "4294967296", "01",
            "1000:root",
            "99999999999999999999", "１", "\\u0000",
        ].map { Mistake("[identity]\nuser = \"\($0)\"", 3, 8, "is not a user", advises: "uid:gid") } + [
            Mistake("[identity]\nuser = \"0\"", 3, 8, "0:0 is root", advises: "root = true"),
            Mistake("[identity]\nuser = \"1000:0\"", 3, 8, "1000:0 is root"),
            Mistake("[identity]\nuser = \"0:1000\"", 3, 8, "0:1000 is root"),
            Mistake("[identity]\nuser = 1000", 3, 8, "expected a string, found an integer"),
            Mistake("[identity]\nroot = true\nuser = \"1000\"", 4, 8, "`identity.user` is 1000:1000"),
        ]

    static let patterns =
        [
            ("", "a pattern is empty"), ("a//b", "two slashes in a row"), ("//a", "two slashes in a row"),
            ("dir/", "ends with a slash"), ("${workspace}/", "ends with a slash"), ("./a", "contains `.`"),
            ("a/../b", "contains `..`"), ("/..", "contains `..`"), ("~/.ssh", "`~` is not expanded"),
            ("!*.pem", "starts with `!`"), ("*.{pem,key}", "braces are not supported"), ("[abc", "is not closed"),
            ("[]", "is not closed"), ("[z-a]", "is reversed"), ("[a/b]", "is not closed"),
            ("a**", "must be alone between slashes"), ("**b/c", "must be alone between slashes"),
            ("${workspace", "`${` is not closed"), ("${workspace}x", "must be followed by a slash"),
            ("a\\u0000b", "control character"), ("a\\nb", "control character"),
            ("a\\\\", "a backslash stands at the end"), ("a\\\\/b", "a backslash stands at the end"),
            ("a/\\\\..", "which a rule cannot follow"),
        ].flatMap { text, says in
            ["read", "write", "deny", "protect", "exec"].map { key in
                Mistake("[fs]\n\(key) = [\n    \"\(text)\",\n]", 4, 5, "`fs.\(key)`: ")
            } + [Mistake("[fs]\ndeny = [\"\(text)\"]", 3, 9, says)]
        } + [
            Mistake(
                "[fs]\nread = [\"${worksapce}/a\"]", 3, 9, "unknown variable `${worksapce}`", advises: "${workspace}"),
            Mistake("[fs]\nread = [\"\(String(repeating: "a", count: 4096))\"]", 3, 9, "longer than 4095 bytes"),
        ]

    static let commands = [
        Mistake("[defaults]\ncommand = \"alow\"", 3, 11, "unknown value `alow`", advises: "did you mean `allow`?"),
        Mistake("[defaults]\nheadless_ask = \"ask\"", 3, 16, "there is nobody to ask"),
        Mistake("[defaults]\njaild = \"ask\"", 3, 1, "unknown key `jaild`", advises: "`jailed`"),
        Mistake("[[command]]\nargv = [\"ls\"]", 2, 1, "`command` lacks `decision`"),
        Mistake("[[command]]\ndecision = \"ask\"", 2, 1, "`command` lacks `argv`"),
        Mistake("[[command]]\ndecision = \"ask\"\nargv = \"ls\"", 4, 8, "must be an array"),
        Mistake("[[command]]\ndecision = \"ask\"\nargv = []", 4, 8, "names no program"),
        Mistake("[[command]]\ndecision = \"ask\"\nargv = [\"/bin/ls\"]", 4, 8, "is not the name of a program"),
        Mistake("[[command]]\ndecision = \"ask\"\nargv = [\"l*\"]", 4, 8, "is not the name of a program"),
        Mistake(
            "[[command]]\ndecision = \"ask\"\nargv = [\"ls\", \"*.c\"]", 4, 8, "compared as it is", advises: "<glob:"),
        Mistake("[[command]]\ndecision = \"ask\"\nargv = [\"ls\", \"...\", \"x\"]", 4, 8, "stands behind"),
        Mistake(
            "[[command]]\ndecision = \"ask\"\nargv = [\"ls\", \"<pth>\"]", 4, 8, "unknown class `pth`",
            advises: "`path`"),
        Mistake(
            "[[command]]\ndecision = \"ask\"\nargv = [\"ls\"]\nflags = { allow = [\"v\"] }", 5, 20, "is not an option"),
        Mistake(
            "[[command]]\ndecision = \"ask\"\nargv = [\"ls\"]\nreplaces = \"x\"", 5, 12, "no extended file has a rule"),
        Mistake(
            "[[command]]\ndecision = \"allow\"\nargv = [\"ls\"]\nrewrite = { config = [\"a.b=c\"] }", 5, 11,
            "is known for git"),
        Mistake(
            "[[command]]\ndecision = \"ask\"\nargv = [\"git\"]\nrewrite = { env_unset = [\"A\"] }", 5, 11,
            "only what is allowed can be rewritten"),
        Mistake("[command]\nargv = [\"ls\"]", 2, 1, "must be an array of tables", advises: "[[command]]"),
        Mistake("[[test]]\nrun = \"x\"", 2, 1, "`test` lacks `expect`"),
        Mistake("[[test]]\nexpect = { decision = \"deny\" }", 2, 1, "`test` lacks `run`"),
        Mistake("[approval]\nscopes = [\"prefix\"]", 3, 11, "unknown value `prefix`", advises: "once, session"),
    ]

    static let grants = [
        Mistake("[network]\nallow = [\"pypi.org\"]", 3, 10, "is not a host and a port", advises: "host:port"),
        Mistake("[network]\nallow = [\"pypi.org:0\"]", 3, 10, "is not a host and a port"),
        Mistake("[network]\nallow = [\"pypi.org:65536\"]", 3, 10, "is not a host and a port"),
        Mistake("[network]\nallow = [\"a b:1\"]", 3, 10, "is not a host and a port"),
        Mistake("[network]\nallow = \"a:1\"", 3, 9, "must be an array"),
        Mistake("[network]\ngrant = 1", 3, 9, "must be an array of tables"),
        Mistake("[network]\ngrant = [1]", 3, 10, "must be an array of tables"),
        Mistake("[[network.grant]]\nhost = \"a b\"\nports = [1]", 3, 8, "`a b` is not a host"),
    ]

    @Test(arguments: keys + values + quantities + users)
    func namesTheMistakeAndItsPlace(_ mistake: Mistake) { check(mistake) }

    @Test(arguments: patterns)
    func refusesPatternsThatWouldMatchNothing(_ mistake: Mistake) { check(mistake) }

    @Test(arguments: commands + grants)
    func refusesRulesThatMeanNothing(_ mistake: Mistake) { check(mistake) }

    @Test func versionIsOne() {
        #expect(diagnostics("").map(\.description) == ["main.toml:1:1: `version` is missing (write `version = 1`)"])
        #expect(diagnostics("version = 2").first?.description.hasPrefix("main.toml:1:11: `version` 2") == true)
        #expect(
            diagnostics("\nversion = \"1\"").first?.location == SourceLocation(file: "main.toml", line: 2, column: 11))
        #expect(diagnostics("version = 1.0").first?.message == "`version` must be an integer, not a float")
    }

    @Test func everyErrorIsReportedInOrderOfTheText() {
        let found = diagnostics(
            """
            vresion = 1
            version = 3
            allow_degraded = ["x"]
            [resources]
            wall = "5 minutes"
            pids = -1
            [fs]
            read = ["a//b", "ok", "c//d"]
            [bogus]
            """)
        #expect(
            found.map { [$0.location?.line, $0.location?.column] } == [
                [1, 1], [2, 11], [3, 19], [5, 8], [6, 8], [8, 9], [8, 23], [9, 2],
            ])
    }

    @Test func aDiagnosticReadsFileLineColumnMessageRemedy() {
        #expect(
            diagnostics("version = 1\n[network]\nmode = \"hots\"").map(\.description) == [
                "main.toml:3:8: `network.mode`: unknown value `hots` (did you mean `host`? valid: deny, host)"
            ])
    }

    @Test func aGrantMustSayEverything() {
        let found = diagnostics("version = 1\n[[network.grant]]\nhots = 1")
        #expect(found.map { [$0.location?.line, $0.location?.column] } == [[2, 1], [2, 1], [3, 1]])
    }

    private func check(_ mistake: Mistake) {
        let found = diagnostics("version = 1\n" + mistake.body)
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.location == SourceLocation(file: "main.toml", line: mistake.line, column: mistake.column))
        #expect(found.first?.message.contains(mistake.says) == true, "\(found)")
        #expect(mistake.advises.isEmpty || found.first?.remedy?.contains(mistake.advises) == true, "\(found)")
    }
}
