import PolicyModel
import Testing

@Suite struct ExtendsTests {
    @Test func ownScalarsOverrideAndListsAddUp() throws {
        let policy = try load([
            "base.toml": """
            version = 1
            allow_degraded = ["swap"]
            [fs]
            read = ["/usr"]
            deny = ["**/.env"]
            protect = [".cordon.toml"]
            exec = ["/usr/bin"]
            caches = ["cargo"]
            toolchains = "auto"
            [env]
            pass = ["LANG"]
            mask = ["*_TOKEN"]
            set = { A = "1", B = "1" }
            [resources]
            wall = "10s"
            pids = 8
            [network]
            mode = "host"
            """,
            "main.toml": """
            version = 1
            extends = ["base.toml"]
            allow_degraded = ["pids"]
            [fs]
            read = ["/opt", "/usr"]
            deny = ["**/*.key"]
            exec = ["/opt"]
            caches = []
            [env]
            pass = ["TZ"]
            mask = ["*KEY*"]
            set = { B = "2", C = "2" }
            [resources]
            wall = "20s"
            """,
        ])
        #expect(policy.name == "main.toml")
        #expect(policy.sources == ["base.toml", "main.toml"])
        #expect(policy.fileSystem.read.map(\.value.text) == ["/usr", "/opt"])
        #expect(policy.fileSystem.deny.map(\.value.text) == ["**/.env", "**/*.key"])
        #expect(policy.fileSystem.protect.map(\.value.text) == [".cordon.toml"])
        #expect(policy.fileSystem.exec?.map(\.value.text) == ["/opt"])
        #expect(policy.fileSystem.caches == [])
        #expect(policy.fileSystem.toolchains.value == .auto)
        #expect(policy.environment.pass == ["LANG", "TZ"])
        #expect(policy.environment.mask == ["*_TOKEN", "*KEY*"])
        #expect(policy.environment.set == ["A": "1", "B": "2", "C": "2"])
        #expect(policy.resources.wall == Located(20_000, at: SourceLocation(file: "main.toml", line: 14, column: 8)))
        #expect(policy.resources.pids == Located(8, at: SourceLocation(file: "base.toml", line: 16, column: 8)))
        #expect(policy.network.value == .host)
        #expect(
            policy.allowDegraded == [
                .swap: SourceLocation(file: "base.toml", line: 2, column: 19),
                .pids: SourceLocation(file: "main.toml", line: 3, column: 19),
            ])
    }

    @Test func whatIsUnsetHasSafeDefaults() throws {
        let policy = try load(["main.toml": "version = 1"])
        var expected = Policy(name: "main.toml")
        expected.sources = ["main.toml"]
        expected.identity.user = Located(UserIdentity(uid: 1000, gid: 1000))
        #expect(policy == expected)
        #expect(policy.network.value == .deny)
        #expect(policy.environment.inherit == .none)
        #expect(policy.seccomp.value == .agent)
        #expect(policy.resources.output?.value == 2 << 20)
        #expect(policy.resources.wall == nil)
        #expect(policy.fileSystem.exec == nil)
    }

    @Test func rootIsOnlyEverExplicit() throws {
        #expect(try loadBody("[identity]\nroot = true").identity.user?.value == UserIdentity(uid: 0, gid: 0))
        #expect(try loadBody("[identity]\nroot = true\nuser = \"0\"").identity.user?.value.uid == 0)
        #expect(
            try loadBody("[identity]\nuser = \"1000:100\"").identity.user?.value == UserIdentity(uid: 1000, gid: 100))
        #expect(try loadBody("[identity]\nuser = \"65535\"").identity.user?.value.gid == 65535)
    }

    @Test func aDiamondIsReadOnceBaseFirst() throws {
        let policy = try load([
            "main.toml": "version = 1\nextends = [\"a.toml\", \"b.toml\"]",
            "a.toml": "version = 1\nextends = [\"base.toml\"]\nresources.pids = 2",
            "b.toml": "version = 1\nextends = [\"base.toml\"]",
            "base.toml": "version = 1\nresources.pids = 1",
        ])
        #expect(policy.sources == ["base.toml", "a.toml", "b.toml", "main.toml"])
        #expect(policy.resources.pids?.value == 2)
    }

    @Test func pathsAreRelativeToTheFileThatExtends() throws {
        let policy = try load(
            [
                "/etc/p/main.toml": "version = 1\nextends = [\"sub/a.toml\"]",
                "/etc/p/sub/a.toml": "version = 1\nextends = [\"../b.toml\"]",
                "/etc/p/sub/../b.toml": "version = 1",
            ], from: "/etc/p/main.toml")
        #expect(policy.sources == ["/etc/p/sub/../b.toml", "/etc/p/sub/a.toml", "/etc/p/main.toml"])
    }

    @Test(arguments: [
        ("preset:agnt", "unknown preset `agnt`", "did you mean `agent`? valid: agent, pure, build, readonly, ci"),
        ("preset:redonly", "unknown preset `redonly`", "did you mean `readonly`?"),
        ("preset:", "unknown preset ``", "valid: agent"),
        ("gone.toml", "`gone.toml` cannot be read: no such file", ""),
        ("agent", "`agent` cannot be read", "did you mean `preset:agent`?"),
        ("/etc/x.toml", "is neither a preset nor a relative path", "relative to this file"),
        ("", "is neither a preset nor a relative path", ""), ("a\\u0000b", "is neither a preset", ""),
        ("main.toml", "`extends` goes in a circle: main.toml → main.toml", ""),
    ])
    func aBadReferenceIsNamedWhereItStands(_ reference: String, says: String, advises: String) {
        let found = diagnostics("version = 1\nextends = [\n  \"preset:pure\",\n  \"\(reference)\"]")
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.location == SourceLocation(file: "main.toml", line: 4, column: 3))
        #expect(found.first?.message.contains(says) == true, "\(found)")
        #expect(advises.isEmpty || found.first?.remedy?.contains(advises) == true, "\(found)")
    }

    @Test func aCircleIsReportedOnce() {
        let found = diagnostics([
            "main.toml": "version = 1\nextends = [\"a.toml\"]",
            "a.toml": "version = 1\nextends = [\"b.toml\"]",
            "b.toml": "version = 1\nextends = [\"a.toml\"]",
        ])
        #expect(
            found.map(\.description) == ["b.toml:2:12: `extends` goes in a circle: a.toml → b.toml → a.toml"])
    }

    @Test func aCircleUnderManyNamesEnds() throws {
        var opened = 0
        let error = #expect(throws: PolicyError.self) {
            _ = try Policy.load("x") { (path) throws(FileReadFailure) in
                opened += 1
                return Array("version = 1\nextends = [\"./x\"]".utf8)
            }
        }
        #expect(opened == 32)
        #expect(error?.diagnostics.first?.message == "a policy cannot extend more than 32 files")
    }

    @Test func errorsOfAllFilesAreCollected() {
        let found = diagnostics([
            "main.toml": "version = 1\nextends = [\"a.toml\", \"b.toml\", \"c.toml\"]\nx = 1",
            "a.toml": "version = 2", "b.toml": "version = = 1",
        ])
        #expect(
            found.map { $0.location?.description } == ["main.toml:2:32", "main.toml:3:1", "a.toml:1:11", "b.toml:1:11"])
    }

    @Test func aMissingPolicyIsNamed() {
        #expect(diagnostics([:]).map(\.description) == ["`main.toml` cannot be read: no such file"])
        #expect(diagnostics([:], from: "preset:nope").first?.location == nil)
    }
}
