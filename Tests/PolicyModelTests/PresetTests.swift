import PolicyModel
import PolicyPresets
import Testing

@Suite struct PresetTests {
    @Test(arguments: presetNames)
    func loadsAndSaysWhatItIsFor(_ name: String) throws {
        let policy = try load([:], from: "preset:\(name)")
        #expect(policy.name == "preset:\(name)")
        #expect(policy.network.value == .deny)
        #expect(policy.environment.inherit == .none)
        #expect(policy.identity.user?.value == UserIdentity(uid: 1000, gid: 1000))
        let bytes = try #require(presetBytes(named: name))
        #expect(String(decoding: bytes, as: UTF8.self).hasPrefix("# \(name): "))
        // The one that grants no files runs nothing, and needs no limits.
        guard name != "unconfined-command" else { return #expect(policy.fileSystem.read.isEmpty) }
        #expect(policy.resources.wall != nil && policy.resources.cpu != nil && policy.resources.memory != nil)
        #expect(policy.resources.pids != nil && policy.resources.disk != nil && policy.resources.cpus != nil)
        #expect(policy.environment.matcher().masks("GITHUB_TOKEN") && policy.environment.matcher().masks("DB_PASSWORD"))
    }

    @Test func onlyTheListedOnesExist() { #expect(presetBytes(named: "nope") == nil) }

    @Test func whatSetsThemApart() throws {
        let agent = try load([:], from: "preset:agent")
        #expect(agent.fileSystem.write.map(\.value.text) == ["${workspace}"])
        #expect(Set(agent.allowDegraded.keys) == [.denyCreate, .sockets])
        #expect(agent.resources.wall?.value == 300_000 && agent.resources.cpu?.value == 120_000)
        #expect(agent.resources.memory?.value == .bytes(1 << 30))
        #expect(agent.resources.wall?.location?.file == "preset:agent")

        let readonly = try load([:], from: "preset:readonly")
        #expect(readonly.fileSystem.write.isEmpty && Set(readonly.allowDegraded.keys) == [.sockets])

        let pure = try load([:], from: "preset:pure")
        #expect(
            pure.fileSystem.write.isEmpty && pure.seccomp.value == .pure && pure.fileSystem.toolchains.value == .none)

        let build = try load([:], from: "preset:build")
        #expect(build.fileSystem.caches.map(\.value) == CacheKind.allCases)
        #expect(build.resources.memory?.value == .percent(75) && build.resources.pids?.value == 4096)

        var ci = try load([:], from: "preset:ci")
        #expect(ci.fileSystem.caches.isEmpty)
        (ci.name, ci.sources, ci.fileSystem.caches) = (build.name, build.sources, build.fileSystem.caches)
        (ci.tests, ci.stated) = (build.tests, build.stated)
        #expect(ci == build)
    }

    @Test(arguments: [
        ".env", "a/.env", ".env.local", ".env.production", ".env.dev", ".env.development", ".env.staging", ".env.stage",
        ".env.test", ".env.bak", ".env.old", ".env.docker", ".env.ci", ".env.secret", ".env.sandbox",
        ".env.example.local",
        ".env.e", ".env.1", ".envrc", ".ssh", ".ssh/id_rsa", "home/.ssh/config", "x/id_ed25519", "tls/privkey.pem",
        "server-key.pem", "a/private.pem", "server.key", "a.p12", ".netrc", ".aws/credentials",
        "service-account-1.json",
    ])
    func agentDeniesSecrets(_ path: String) throws {
        let deny = try load([:], from: "preset:agent").fileSystem.deny
        #expect(deny.contains { $0.value.covers(relativePath: PathPattern.components(of: path)) })
    }

    @Test(arguments: [
        ".env.example", ".env.sample", ".env.template", ".env.dist", "a/.env.example", ".environment", "env",
        ".ssh_config",
        "id_rsa.pub", "cacert.pem", "venv/lib/python3/site-packages/certifi/cacert.pem", "src/keys.rs", "package.json",
        ".git/config", ".npmrc",
    ])
    func agentLeavesTheRestAlone(_ path: String) throws {
        let deny = try load([:], from: "preset:agent").fileSystem.deny
        #expect(!deny.contains { $0.value.covers(relativePath: PathPattern.components(of: path)) })
    }

    @Test(arguments: [
        (".git/config", true), ("sub/.git/config", true), (".git/hooks", true), (".git/hooks/pre-commit", true),
        (".cordon.toml", true), ("sub/.cordon.toml", false), (".git/HEAD", false), (".git", false),
    ])
    func agentProtectsWhatIsBelievedLater(_ path: String, isProtected: Bool) throws {
        let protect = try load([:], from: "preset:agent").fileSystem.protect
        #expect(protect.contains { $0.value.covers(relativePath: PathPattern.components(of: path)) } == isProtected)
    }
}
