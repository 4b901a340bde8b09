// `cordon policy` as its users call it: exit codes, JSON, and what is wrong with a policy or a call.
import Foundation
import FoundationXML
import TestSupport
import Testing

/// A directory that goes with its owner.
private final class Folder {
    let path: String

    init(_ files: [String: String] = [:]) throws {
        path = NSTemporaryDirectory() + "cordon-policy-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for (name, text) in files { try write(text, to: name) }
    }

    /// Cordon's own records: no workspace may hold them.
    var state: String { path + "-state" }

    deinit { for place in [path, state] { try? FileManager.default.removeItem(atPath: place) } }

    func write(_ text: String, to name: String) throws {
        let file = URL(fileURLWithPath: path + "/" + name)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: file, atomically: true, encoding: .utf8)
    }

    func text(_ name: String) -> String? { try? String(contentsOfFile: path + "/" + name, encoding: .utf8) }

    func cordon(_ words: String..., environment: [String: String] = [:], input: String? = nil) throws -> Finished {
        let own = ["HOME": path + "/home", "XDG_CONFIG_HOME": path + "/config", "XDG_STATE_HOME": state]
        return try execute(
            [TestSupport.cordon] + words, environment: own.merging(environment) { $1 }, directory: path, input: input)
    }
}

private func json(_ text: String) throws -> [String: Any] {
    try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
}

private let narrow = """
    version = 1
    [defaults]
    command = "ask"
    opaque = "deny"
    [[command]]
    id = "git-status"
    argv = ["git", "status", "..."]
    decision = "allow"
    rewrite = { config = ["core.fsmonitor=false"], env_unset = ["GIT_*"] }
    match = ["git status -s"]
    not_match = ["git -c x=y status"]
    [[command]]
    id = "ls"
    argv = ["ls", "..."]
    decision = "allow"
    [fs]
    read = ["${workspace}"]
    deny = ["**/.env"]
    [[test]]
    run = "ls .env"
    expect = { decision = "deny", rule = "fs.deny" }

    """

@Suite struct PolicyCommandTests {
    // MARK: - check

    @Test(arguments: [
        ("ls -la", Int32(0)), ("make", 10), ("rm x", 11), ("$(id)", 11), ("ls .env", 11), ("git status", 0),
        ("ls | grep x", 10), ("ls 'a", 11),
    ]) func exitCodes(_ command: String, _ code: Int32) throws {
        let folder = try Folder(["p.toml": narrow])
        let run = try folder.cordon("policy", "check", "--policy", "p.toml", "--", command)
        #expect(run.status == code && run.errors.isEmpty, "\(run.output)\(run.errors)")
        let object = try json(try folder.cordon("policy", "check", "--json", "--policy=p.toml", "--", command).output)
        #expect(object["decision"] as? String == [0: "allow", 10: "ask", 11: "deny"][code])
        let evidence = try #require(object["evidence"] as? [[String: Any]])
        #expect(!evidence.isEmpty)
        for item in evidence {
            #expect(
                Set(item.keys)
                    == ["decision", "rule", "file", "line", "column", "matched", "reason", "remedy", "enforced"])
        }
    }

    @Test func rewrittenArgv() throws {
        let folder = try Folder(["p.toml": narrow])
        let object = try json(
            try folder.cordon("policy", "check", "--json", "--policy", "p.toml", "--", "git status -s").output)
        #expect(object["rewritten"] as? Bool == true)
        #expect(object["argv"] as? [String] == ["git", "-c", "core.fsmonitor=false", "status", "-s"])
        #expect(object["env_unset"] as? [String] == ["GIT_*"])
        let asIs = try folder.cordon("policy", "check", "--as-is", "--policy", "p.toml", "--", "git status -s")
        #expect(asIs.status == 10)
        let argv = try folder.cordon("policy", "check", "--argv", "--json", "--policy", "p.toml", "--", "ls", "a b; id")
        #expect(argv.status == 0)
        #expect(try json(argv.output)["argv"] as? [String] == ["ls", "a b; id"])
    }

    /// The environment to execute with: nothing of the caller's but what passes, and no secret is printed.
    @Test func environment() throws {
        let text =
            narrow
            + "[env]\npass = [\"GIT_DIR\", \"KEEP\", \"API_TOKEN\"]\nmask = [\"*_TOKEN\"]\nset = { CI = \"true\" }\n"
        let folder = try Folder(["p.toml": text])
        let caller = [
            "GIT_DIR": "x", "KEEP": "1", "API_TOKEN": "hunter2", "DROP": "1", "BASH_ENV": "x", "PATH": "/evil:/usr/bin",
        ]
        let run = try folder.cordon(
            "policy", "check", "--json", "--policy", "p.toml", "--", "git status", environment: caller)
        let object = try json(run.output)
        let variables = try #require(object["env"] as? [String: String])
        #expect(variables["KEEP"] == "1" && variables["CI"] == "true" && variables["GIT_DIR"] == nil)
        #expect(
            variables["DROP"] == nil && variables["BASH_ENV"] == nil && variables["PATH"]?.contains("evil") == false)
        #expect(object["env_masked"] as? [String] == ["API_TOKEN"] && !run.output.contains("hunter2"))
    }

    @Test func batches() throws {
        let lines = """
            {"command": "ls -la"}
            not json
            {"command": "make", "cwd": "."}

            {"argv": ["ls", "$(id)"]}
            {"command": 5}
            {"command": "ls", "command": "rm"}
            {"comand": "ls"}
            {"command": "make", "jailed": true}
            {"command": "ls \\ud83d\\ude00 \\u00e9"}
            """
        let folder = try Folder(["p.toml": narrow, "b.jsonl": lines])
        let run = try folder.cordon("policy", "check", "--policy", "p.toml", "--batch", "b.jsonl")
        let answers = try run.output.split(separator: "\n").map { try json(String($0)) }
        #expect(answers.count == 9 && run.status == 2)
        #expect(
            answers.map { $0["decision"] as? String } == ["allow", nil, "ask", "allow", nil, nil, nil, "ask", "allow"])
        #expect(answers.map { $0["line"] as? Int } == [nil, 2, nil, nil, 6, 7, 8, nil, nil])
        let clean = try folder.cordon(
            "policy", "check", "--policy", "p.toml", "--batch", "-",
            input: "{\"command\": \"ls\"}\n{\"command\": \"make\"}\n")
        #expect(clean.status == 10 && clean.output.split(separator: "\n").count == 2)
        #expect(try folder.cordon("policy", "check", "--batch", "-", input: "").status == 0)
    }

    @Test(arguments: [
        ["check"], ["check", "--", "ls", "-la"], ["check", "--frob", "--", "ls"], ["check", "--batch"],
        ["check", "--batch", "missing.jsonl"], ["check", "--batch", "p.toml", "--", "ls"],
        ["check", "--policy", "missing.toml", "--", "ls"], ["check", "--policy", "preset:agnt", "--", "ls"],
        ["check", "--workspace", "missing", "--", "ls"], ["chek", "--", "ls"], ["check", "--json=1", "--", "ls"],
        ["diff", "p.toml"],
        ["simulate"], ["simulate", "--log", "p.toml", "--fail-on", "allow"], ["score", "--threshold", "11", "p.toml"],
        ["fmt"],
        ["trust"], ["test", "missing.toml"], ["lint", "missing.toml"], ["schema", "x"],
        ["diff", "--fail-on", "x", "p.toml", "p.toml"],
        [],
    ]) func wrongCalls(_ words: [String]) throws {
        let folder = try Folder(["p.toml": narrow])
        let run = try execute([cordon, "policy"] + words, directory: folder.path)
        #expect(run.status == 2 && run.output.isEmpty && !run.errors.isEmpty)
    }

    @Test func everyErrorAtOnceAndNothingJudged() throws {
        let text = """
            version = 1
            extends = ["missing.toml"]
            [defaults]
            comand = "ask"
            [[command]]
            argv = ["ls", "<pth>"]
            decision = "alow"
            """
        let folder = try Folder(["p.toml": text])
        let run = try folder.cordon("policy", "check", "--policy", "p.toml", "--", "ls")
        #expect(run.status == 2 && run.output.isEmpty)
        for place in ["p.toml:2:12", "p.toml:4:1", "p.toml:6:8", "p.toml:7:12"] { #expect(run.errors.contains(place)) }
        #expect(run.errors.contains("did you mean `command`?") && run.errors.contains("did you mean `allow`?"))
    }

    /// A policy whose own examples fail judges nothing, and runs nothing.
    @Test func failingExamples() throws {
        let folder = try Folder(["p.toml": narrow + "[[test]]\nrun = \"ls\"\nexpect = { decision = \"deny\" }\n"])
        for words in [
            ["policy", "check", "--policy", "p.toml", "--", "ls"], ["run", "--policy", "p.toml", "--", "ls"],
        ] {
            let run = try execute([cordon] + words, directory: folder.path)
            #expect(run.status == (words[0] == "run" ? 125 : 2))
            #expect(run.errors.contains("p.toml:23:7: `ls` is expected to be deny, and is allow"), "\(run.errors)")
        }
        let test = try folder.cordon("policy", "test", "p.toml")
        #expect(test.status == 1 && test.output.contains("4 examples and tests, 1 failed"))
    }

    // MARK: - explain, test, lint

    @Test func explains() throws {
        let folder = try Folder(["p.toml": narrow])
        let run = try folder.cordon("policy", "explain", "--policy", "p.toml", "--", "ls; timeout 5 sh -c 'rm x'")
        #expect(run.status == 11)
        let lines = run.output.split(separator: "\n").map { $0.drop { $0 == " " } }
        for start in ["deny", "allow  ls", "deny   timeout 5 sh -c 'rm x'", "deny   rm x"] {
            #expect(lines.contains { $0 == start }, "\(start) in \(run.output)")
        }
        let object = try json(
            try folder.cordon("policy", "explain", "--json", "--policy", "p.toml", "--", "ls; ls").output)
        #expect((object["steps"] as? [Any])?.count == 2)
    }

    @Test func junit() throws {
        let tests = "version = 1\n[[test]]\nrun = \"rm <x> \\\"&\\\"\"\nexpect = { decision = \"allow\" }\n"
        let folder = try Folder(["p.toml": narrow, "t.toml": tests])
        let run = try folder.cordon("policy", "test", "--junit", "out.xml", "p.toml", "t.toml")
        #expect(run.status == 1)
        let document = try XMLDocument(xmlString: try #require(folder.text("out.xml")))
        #expect(try document.nodes(forXPath: "/testsuite/testcase").count == 4)
        #expect(try document.nodes(forXPath: "//failure").count == 1)
        #expect(try document.nodes(forXPath: "//testcase[@name='rm <x> \"&\"']").count == 1)
        #expect(try folder.cordon("policy", "test", "p.toml").output.contains("no test exercises: git-status") == false)
    }

    @Test func lint() throws {
        let text = """
            version = 1
            [defaults]
            command = "allow"
            [[command]]
            id = "any-git"
            argv = ["git", "..."]
            decision = "allow"
            [[command]]
            id = "typo"
            argv = ["git", "stauts"]
            decision = "allow"
            [[command]]
            id = "no-ls"
            argv = ["ls"]
            decision = "deny"
            [[command]]
            id = "ls"
            argv = ["ls", "-l"]
            flags = { allow = ["--frob"] }
            decision = "allow"
            [[command]]
            id = "python"
            argv = ["python3", "..."]
            decision = "allow"
            [fs]
            read = ["${workspace}"]
            write = ["${workspace}"]
            [network]
            mode = "host"
            """
        let folder = try Folder(["p.toml": text])
        let run = try folder.cordon("policy", "lint", "--json", "p.toml")
        let list = try #require(JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [[String: Any]])
        let codes = list.compactMap { $0["code"] as? String }
        #expect(run.status == 1)
        #expect(
            codes.sorted() == [
                "broad-prefix", "denial-without-kernel", "loose-default", "never-matches", "never-matches",
                "never-matches",
                "open-network", "readable-secret", "unvetted-executor", "writable-hook",
            ])

        let sarif = try json(try folder.cordon("policy", "lint", "--sarif", "p.toml").output)
        let runs = try #require(sarif["runs"] as? [[String: Any]])
        #expect(sarif["version"] as? String == "2.1.0" && (runs[0]["results"] as? [Any])?.count == list.count)

        #expect(try folder.cordon("policy", "lint", "--write-baseline", "base", "p.toml").status == 0)
        let known = try folder.cordon("policy", "lint", "--baseline", "base", "p.toml")
        #expect(known.status == 0 && known.output == "nothing found\n")
        try folder.write(
            text.replacing(
                "mode = \"host\"", with: "# cordon-lint: ignore open-network a build machine\nmode = \"host\""),
            to: "p.toml")
        #expect(try folder.cordon("policy", "lint", "p.toml").output.contains("open-network") == false)
        try folder.write(
            text.replacing("mode = \"host\"", with: "# cordon-lint: ignore open-network\nmode = \"host\""), to: "p.toml"
        )
        #expect(try folder.cordon("policy", "lint", "p.toml").output.contains("ignore-without-reason"))
    }

    // MARK: - diff, simulate, score

    @Test func diff() throws {
        let looser = narrow.replacing("opaque = \"deny\"", with: "opaque = \"ask\"").replacing(
            "deny = [\"**/.env\"]", with: "write = [\"${workspace}\"]"
        )
        .replacing("decision = \"deny\", rule = \"fs.deny\"", with: "decision = \"allow\"")
        let folder = try Folder(["a.toml": narrow, "b.toml": looser, "corpus": "$(id)\nls\n"])
        let run = try folder.cordon("policy", "diff", "--fail-on", "loosened", "--corpus", "corpus", "a.toml", "b.toml")
        #expect(run.status == 1)
        for line in [
            "defaults.opaque: deny → ask", "fs.write: + ${workspace}", "fs.deny: − **/.env", "`$(id)`: deny → ask",
        ] {
            #expect(run.output.contains("loosened   \(line)"), "\(line) in \(run.output)")
        }
        let back = try folder.cordon("policy", "diff", "--fail-on", "loosened", "b.toml", "a.toml")
        #expect(back.status == 0 && !back.output.contains("loosened"))
        #expect(try folder.cordon("policy", "diff", "a.toml", "a.toml").output == "no difference\n")
    }

    @Test func simulate() throws {
        let log =
            "ls\n{ ls; }\n{\"command\": \"rm x\", \"decision\": \"allow\"}\n{\"command\": \"ls\", \"decision\": \"allow\"}\n"
        let folder = try Folder(["p.toml": narrow, "log": log])
        let run = try folder.cordon("policy", "simulate", "--policy", "p.toml", "--log", "log", "--fail-on", "deny")
        #expect(run.status == 1 && run.output.hasSuffix("3 allow, 0 ask, 1 deny, 1 changed\n"), "\(run.output)")
        #expect(run.output.contains("allow → deny  rm x"))
    }

    @Test func score() throws {
        let folder = try Folder()
        let run = try folder.cordon("policy", "score", "--threshold", "1", "preset:agent")
        #expect(run.status == 1 && run.output.contains("exposure of preset:agent: "))
        #expect(try folder.cordon("policy", "score", "--threshold", "9", "preset:agent").status == 0)
    }

    // MARK: - fmt, schema

    @Test func formats() throws {
        let ugly =
            "version=1\n\n\n# kept\n[fs]\nread=[ # why\n\"/usr\",\n      '''a\n  b''',\n]  \n[defaults]\ncommand   =   \"ask\"\n\n"
        let pretty =
            "version = 1\n\n# kept\n[fs]\nread = [ # why\n    \"/usr\",\n    '''a\n  b''',\n]\n\n[defaults]\ncommand = \"ask\"\n"
        let folder = try Folder(["p.toml": ugly])
        #expect(try folder.cordon("policy", "fmt", "--check", "p.toml").status == 1)
        #expect(try folder.cordon("policy", "fmt", "p.toml").status == 0)
        #expect(folder.text("p.toml") == pretty)
        #expect(try folder.cordon("policy", "fmt", "--check", "p.toml").status == 0)
        #expect(try folder.cordon("policy", "fmt", "-", input: "version=1").output == "version = 1\n")
        #expect(try folder.cordon("policy", "fmt", "-", input: "version=").status == 2)
    }

    @Test func schema() throws {
        let object = try json(try Folder().cordon("policy", "schema").output)
        let properties = try #require(object["properties"] as? [String: Any])
        #expect(
            properties["command"] != nil && properties["fs"] != nil && object["additionalProperties"] as? Bool == false)
    }

    // MARK: - Tiers and trust

    @Test func tiers() throws {
        let folder = try Folder([
            ".cordon.toml":
                "version = 1\n[[command]]\nid = \"no-ls\"\nargv = [\"ls\"]\ndecision = \"deny\"\n[[command]]\nargv = [\"rm\", \"...\"]\ndecision = \"allow\"\n",
            "p.toml": narrow,
        ])
        // A project only tightens: its denial counts, its grant does not.
        #expect(try folder.cordon("policy", "check", "--policy", "p.toml", "--", "ls").status == 11)
        #expect(try folder.cordon("policy", "check", "--policy", "p.toml", "--", "rm x").status == 11)
        try folder.write(
            "version = 1\n[defaults]\ncommand = \"deny\"\n[[command]]\nargv = [\"git\", \"status\"]\ndecision = \"allow\"\n",
            to: "config/cordon/policy.toml")
        #expect(try folder.cordon("policy", "check", "--policy", "p.toml", "--", "git status").status == 0)
        #expect(try folder.cordon("policy", "check", "--policy", "p.toml", "--", "git status -s").status == 0)
        #expect(try folder.cordon("policy", "check", "--policy", "p.toml", "--", "cat x").status == 11)
        try folder.write("nonsense", to: ".cordon.toml")
        #expect(try folder.cordon("policy", "check", "--policy", "p.toml", "--", "git status").status == 2)
    }

    @Test func trust() throws {
        let project =
            "version = 1\nextends = [\"more.toml\"]\n[[command]]\nid = \"rm\"\nargv = [\"rm\", \"...\"]\ndecision = \"allow\"\n"
        let folder = try Folder([
            ".cordon.toml": project, "more.toml": "version = 1\n[fs]\nwrite = [\"${workspace}\"]\n",
        ])
        func check() throws -> Int32 { try folder.cordon("policy", "check", "--", "rm x").status }
        #expect(try check() == 10)
        #expect(try folder.cordon("policy", "trust", "--show").status == 1)
        #expect(try folder.cordon("policy", "trust").status == 0)
        #expect(try folder.cordon("policy", "trust", "--show").status == 0)
        #expect(try check() == 0)
        // A change of any file that takes part ends it.
        try folder.write("version = 1\n[fs]\nwrite = [\"${workspace}\", \"/srv\"]\n", to: "more.toml")
        #expect(try check() == 10)
        #expect(try folder.cordon("policy", "trust").status == 0)
        #expect(try check() == 0)
        #expect(try folder.cordon("policy", "trust", "--revoke").status == 0)
        #expect(try check() == 10)
    }

    // MARK: - Runs

    @Test func deniedRuns() throws {
        let folder = try Folder([
            "p.toml":
                "version = 1\nextends = [\"preset:agent\"]\n[[command]]\nid = \"no-id\"\nargv = [\"id\"]\ndecision = \"deny\"\nreason = \"nobody asks\"\n[[command]]\nid = \"ask-uname\"\nargv = [\"uname\"]\ndecision = \"ask\"\n"
        ])
        let run = try folder.cordon("run", "--policy", "p.toml", "--", "id")
        #expect(run.status == 126 && run.output.isEmpty && run.errors.contains("denied: no-id: nobody asks"))
        let report = try json(
            try folder.cordon("run", "--json", "--policy", "p.toml", "--", "sh", "-c", "echo x; id").output)
        #expect(report["reason"] as? String == "denied" && report["exit_code"] is NSNull)
        let denials = try #require(report["denials"] as? [[String: Any]])
        #expect(denials.count == 1 && denials[0]["decision"] as? String == "deny")
        // Without a terminal an ask is a denial.
        let asked = try folder.cordon("run", "--policy", "p.toml", "--", "uname")
        #expect(asked.status == 126 && asked.errors.contains("not approved: ask-uname"))
        #expect(try folder.cordon("run", "--policy", "p.toml", "--", "echo", "fine").output == "fine\n")
    }

    /// The person at the terminal is asked, whatever the command's own input is.
    @Test(arguments: [("y\n", Int32(0)), ("n\n", 126), ("\n", 126), ("s\n", 126)]) func asksAtATerminal(
        _ answer: String, _ code: Int32
    ) throws {
        let folder = try Folder(["p.toml": Self.askingForUname])
        // script(1) gives it a terminal, on which what is its own input is typed.
        let run = try execute(
            ["script", "-qefc", "\(cordon) run --policy p.toml -- uname", "/dev/null"], directory: folder.path,
            input: answer)
        #expect(run.status == code && run.output.contains("may this be run? uname"), "\(run.output)")
        #expect(run.output.contains("Linux") == (code == 0))
    }

    private static let askingForUname =
        "version = 1\nextends = [\"preset:agent\"]\n[[command]]\nid = \"ask-uname\"\nargv = [\"uname\", \"...\"]\ndecision = \"ask\"\n"

    /// How often the person was asked, and how often the command ran.
    private func inOneTerminal(_ folder: Folder, _ script: String, typing: String) throws -> (asked: Int, ran: Int) {
        let run = try execute(
            ["script", "-qefc", "sh -c '\(script)'", "/dev/null"],
            environment: ["XDG_STATE_HOME": folder.state, "CORDON": "\(cordon)"],
            directory: folder.path, input: typing)
        return (
            run.output.components(separatedBy: "may this be run?").count - 1,
            run.output.components(separatedBy: "Linux").count - 1
        )
    }

    /// What Cordon remembers lies where no command can write it.
    @Test func recordsAreNoWorkspace() throws {
        let folder = try Folder([:])
        let run = try folder.cordon("run", "--", "true", environment: ["XDG_STATE_HOME": folder.path + "/state"])
        #expect(run.status == 125 && run.errors.contains("Cordon's own"), "\(run.errors)")
    }

    /// An answer for the session is about exactly these words in this place, and ends with the terminal's session.
    @Test func anAnswerHoldsForTheSession() throws {
        let folder = try Folder([
            "p.toml": Self.askingForUname + "[approval]\nscopes = [\"once\", \"session\"]\n", "sub/x": "",
        ])
        let run = "$CORDON run --policy p.toml --"
        let first = try inOneTerminal(folder, "\(run) uname; \(run) uname </dev/null; \(run) uname", typing: "s\n")
        #expect(first == (asked: 1, ran: 3))
        let other = try inOneTerminal(folder, "\(run) uname", typing: "n\n")
        #expect(other == (asked: 1, ran: 0))
        let words = try inOneTerminal(folder, "\(run) uname; \(run) uname -s", typing: "s\nn\n")
        #expect(words == (asked: 2, ran: 1))
        let place = try inOneTerminal(
            folder, "\(run) uname; cd sub; $CORDON run --policy ../p.toml -- uname", typing: "s\nn\n")
        #expect(place == (asked: 2, ran: 1))
        // A policy that was changed is another policy.
        let policy = try inOneTerminal(
            folder, "\(run) uname; echo \"expiry = \\\"1h\\\"\" >>p.toml; \(run) uname", typing: "s\nn\n")
        #expect(policy == (asked: 2, ran: 1))
        // A state file that somebody damaged approves nothing.
        let damaged = try inOneTerminal(
            folder, "\(run) uname; sed -i s/[0-9]*$/x/ $XDG_STATE_HOME/cordon/approved; \(run) uname", typing: "s\nn\n")
        #expect(damaged == (asked: 2, ran: 1))
    }

    /// A request waits no longer than `expiry`, and an answer holds no longer.
    @Test func anAnswerExpires() throws {
        let folder = try Folder([
            "p.toml": Self.askingForUname + "[approval]\nscopes = [\"session\"]\nexpiry = \"900ms\"\n"
        ])
        let run = "$CORDON run --policy p.toml --"
        let twice = try inOneTerminal(folder, "\(run) uname; sleep 1; \(run) uname", typing: "s\nn\n")
        #expect(twice == (asked: 2, ran: 1))
        // A terminal at which nobody types: a FIFO that has a writer, and never an end.
        let silent = try execute(
            ["bash", "-c", "mkfifo f; script -qefc \"\(cordon) run --policy p.toml -- uname\" /dev/null <>f"],
            directory: folder.path)
        #expect(silent.status == 126 && silent.output.contains("not answered in time"), "\(silent.output)")
    }

    /// A stranger's project may forbid answers for the session, and cannot introduce them.
    @Test(arguments: [
        ("\"once\", \"session\"", "\"once\"", 2), ("\"once\"", "\"session\"", 0),
        ("\"once\", \"session\"", "\"session\"", 1),
    ])
    func aProjectGivesNoScope(_ own: String, _ project: String, _ asked: Int) throws {
        let folder = try Folder([
            "p.toml": Self.askingForUname + "[approval]\nscopes = [\(own)]\n",
            ".cordon.toml": "version = 1\n[approval]\nscopes = [\(project)]\n",
        ])
        let run = "$CORDON run --policy p.toml --"
        let result = try inOneTerminal(folder, "\(run) uname; \(run) uname", typing: "s\ns\n")
        #expect(result == (asked: asked, ran: asked == 1 ? 2 : 0))
    }

    /// Links as this machine has them: to what is not there, through /proc, and under another name of the directory.
    @Test(arguments: [
        ("cat link", Int32(11)), ("touch dangling", 11), ("cat through/notes", 10), ("cat relative/notes", 10),
        ("cat up/../notes", 0), ("cat sub/../.env", 11),
        ("cat notes", 0),
        ("ls *", 0), ("cat *", 11), ("cat *.txt", 0), ("grep x *.txt", 0), ("touch ./-f.txt && grep x *.txt", 10),
        ("cat n?tes", 0), ("cat m??", 11), ("cat .?/x", 10), ("cd sub && cat x", 0),
    ]) func realLinks(_ command: String, _ code: Int32) throws {
        let folder = try Folder([
            "p.toml": """
            version = 1
            extends = ["preset:unconfined-command"]
            [[command]]
            argv = ["touch", "..."]
            decision = "allow"
            [fs]
            read = ["${workspace}"]
            write = ["${workspace}"]
            """, "tree/.env": "", "tree/notes": "", "tree/a.txt": "", "tree/sub/x": "",
        ])
        let tree = folder.path + "/tree"
        for (link, target) in [
            ("link", ".env"), ("dangling", "../outside"), ("through", "/proc/self/cwd"),
            ("relative", "../../../../../../proc/self/cwd"), ("up", "sub"), ("m\u{e9}", "../p.toml"),
        ] {
            try FileManager.default.createSymbolicLink(atPath: tree + "/" + link, withDestinationPath: target)
        }
        // A pattern stands for the links too; those are for the commands that name them.
        if command.contains("*") {
            for link in ["link", "dangling", "through", "m\u{e9}", "relative", "up"] {
                try FileManager.default.removeItem(atPath: tree + "/" + link)
            }
        }
        if command == "cat *" {
            try FileManager.default.createSymbolicLink(atPath: tree + "/z", withDestinationPath: ".env")
        }
        let run = try execute(
            ["\(cordon)", "policy", "check", "--policy", "../p.toml", "--", command], directory: tree)
        #expect(run.status == code, "\(run.output)")
    }

    /// A shell that calls its directory by a link's name takes `..` off that name.
    @Test func anotherNameOfTheDirectory() throws {
        let folder = try Folder([
            "p.toml": "version = 1\nextends = [\"preset:unconfined-command\"]\n[fs]\nread = [\"${workspace}\"]\n",
            "tree/a/b/x": "",
        ])
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/tree/l", withDestinationPath: "a/b")
        let words = [
            "\(cordon)", "policy", "check", "--policy", folder.path + "/p.toml", "--workspace", folder.path + "/tree",
            "--",
        ]
        let here = folder.path + "/tree/a/b"
        let logical = ["PWD": folder.path + "/tree/l"]
        #expect(try execute(words + ["cd ../.. && cat x"], directory: here).status == 0)
        #expect(try execute(words + ["cd ../.. && cat x"], environment: logical, directory: here).status == 10)
        #expect(try execute(words + ["cat x"], environment: logical, directory: here).status == 0)
    }

    /// A stranger's mask does not take away what an allowed command is safe by.
    @Test func masksLeaveWhatRewritesSet() throws {
        let folder = try Folder([".cordon.toml": "version = 1\n[env]\nmask = [\"GIT_*\", \"PATH\", \"HOME\"]\n"])
        let run = try folder.cordon("policy", "check", "--json", "--policy", "preset:agent", "--", "git log -1")
        let object = try #require(try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
        let environment = try #require(object["env"] as? [String: String])
        #expect(environment["GIT_ALLOW_PROTOCOL"] == "" && environment["PATH"] != nil)
    }
}
