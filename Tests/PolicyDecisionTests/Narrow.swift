// The narrow policy of threats.md: seven programs, nothing is written, two files are secret.
import PolicyDecision
import PolicyModel

enum Narrow {
    static let workspace = "/work/tree"

    static let text = """
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
        not_match = ["git -c x=y status", "git status; id"]
        [[command]]
        id = "ls"
        argv = ["ls", "..."]
        decision = "allow"
        [[command]]
        id = "cat"
        argv = ["cat", "..."]
        decision = "allow"
        [[command]]
        id = "grep"
        argv = ["grep", "..."]
        decision = "allow"
        [[command]]
        id = "find"
        argv = ["find", "..."]
        decision = "allow"
        [[command]]
        id = "sed"
        argv = ["sed", "..."]
        decision = "allow"
        [[command]]
        id = "rg"
        argv = ["rg", "..."]
        decision = "allow"
        [fs]
        read = ["/usr", "${workspace}"]
        deny = ["**/.env", "**/secret"]
        """

    /// A policy with a rule that allows each of these patterns, words between spaces, and with other sections before them.
    static func allowing(_ patterns: String..., and sections: String = "") -> String {
        let rules = patterns.map { pattern in
            let words = pattern.split(separator: " ").map { "\"\($0)\"" }.joined(separator: ", ")
            return "[[command]]\nargv = [\(words)]\ndecision = \"allow\"\n"
        }
        return "version = 1\n" + sections + "\n" + rules.joined()
    }

    static func policy(_ text: String = Narrow.text) throws -> Policy {
        try Policy.load("narrow.toml") { _ in Array(text.utf8) }
    }

    static func engine(_ text: String = Narrow.text) throws -> Engine {
        try Engine([Tier(.session, policy(text))])
    }
}

extension Engine {
    /// The verdict on a string in the narrow workspace.
    func judge(
        _ command: String, isJailed: Bool = false, asIs: Bool = false, input: CommandInput = .none
    ) -> Verdict {
        judge(
            CommandRequest(
                .string(Array(command.utf8)), workspace: Narrow.workspace, isJailed: isJailed, asIs: asIs, input: input)
        )
    }
}
