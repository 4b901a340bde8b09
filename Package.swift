// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]
let c: [CSetting] = [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])]
let staticExecutable: [LinkerSetting] = [.unsafeFlags(["-static-executable"], .when(configuration: .release))]

let programTables = [
    "archives.toml", "build.toml", "builtins.toml", "editors.toml", "files.toml", "git.toml", "interpreters.toml",
    "network.toml", "packages.toml", "system.toml", "text.toml", "wrappers.toml",
]

// Dependencies point one way: Policies ← Jail ← Supervisor.
let policies: [Target] = [
    .target(
        name: "CToml", path: "Policies/CToml",
        cxxSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror", "-O2"])],
        linkerSettings: [.linkedLibrary("stdc++")]),
    .target(
        name: "PolicyPresets", path: "Policies/Presets",
        resources: [
            .embedInCode("agent.toml"), .embedInCode("pure.toml"), .embedInCode("build.toml"),
            .embedInCode("readonly.toml"), .embedInCode("ci.toml"), .embedInCode("unconfined-command.toml"),
        ],
        swiftSettings: strict),
    // The sources in upstream/ are fetched by .ci/grammar, pinned by hash.
    .target(
        name: "CTreeSitterBash", path: "Policies/Grammar", exclude: ["requirements.txt", "upstream/stamp"],
        sources: ["upstream/parser.c", "upstream/scanner.c"],
        cSettings: [.headerSearchPath("upstream"), .unsafeFlags(["-O2", "-w"])]),
    .systemLibrary(
        name: "CTreeSitter", path: "Policies/CTreeSitter", pkgConfig: "tree-sitter",
        providers: [.apt(["libtree-sitter-dev"])]),
    .target(
        name: "PolicyShell", dependencies: ["CTreeSitter", "CTreeSitterBash"], path: "Policies/Shell",
        swiftSettings: strict),
    .target(
        name: "CRe2", path: "Policies/CRe2", cxxSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror", "-O2"])],
        // As flags, since SwiftPM names each library once, and the static libstdc++ must come behind what needs it.
        linkerSettings: [.unsafeFlags(["-lre2", "-lstdc++"])]),
    // The table of programs as bytes, by C23's #embed.
    .target(
        name: "CPrograms", path: "Policies/Programs", exclude: programTables + ["README.md"], sources: ["programs.c"],
        cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror", "-Wno-c23-extensions"])]),
    .target(
        name: "PolicyDecision", dependencies: ["CPrograms", "CRe2", "PolicyModel", "PolicyShell"],
        path: "Policies/Decision", swiftSettings: strict),
    .target(
        name: "PolicyModel", dependencies: ["CToml", "PolicyPresets"], path: "Policies/Model", swiftSettings: strict),
]

let jail: [Target] = [
    .target(name: "CLinux", path: "Jail/CLinux", cSettings: c),
    .systemLibrary(name: "CLibcap", path: "Jail/CLibcap", pkgConfig: "libcap", providers: [.apt(["libcap-dev"])]),
    .systemLibrary(
        name: "CLibseccomp", path: "Jail/CLibseccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
    .target(name: "Linux", dependencies: ["CLinux"], path: "Jail/Linux", swiftSettings: strict),
    .target(name: "Machine", dependencies: ["Linux"], path: "Jail/Machine", swiftSettings: strict),
    .target(name: "ToolTree", dependencies: ["Linux"], path: "Jail/Tools/Tree", swiftSettings: strict),
    .target(name: "JailPlan", dependencies: ["Linux"], path: "Jail/Plan", swiftSettings: strict),
    .target(
        name: "JailFilters", dependencies: ["CLibseccomp", "CLinux", "Linux"], path: "Jail/Seccomp",
        swiftSettings: strict),
    .target(
        name: "JailPlanner", dependencies: ["JailPlan", "JailFilters", "Linux", "Machine", "PolicyModel"],
        path: "Jail/Planner",
        swiftSettings: strict),
    // Edits, diffs and patches of bytes: what files become of it is the caller's.
    .target(name: "ToolEdit", dependencies: ["CRe2"], path: "Jail/Tools/Edit", swiftSettings: strict),
    .executableTarget(
        name: "jail-init", dependencies: ["JailPlan", "Linux", "CLibcap"], path: "Jail/Init", swiftSettings: strict,
        linkerSettings: staticExecutable),
]

let supervisor: [Target] = [
    .systemLibrary(
        name: "CLibsodium", path: "Supervisor/CLibsodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    .systemLibrary(
        name: "CSqlite", path: "Supervisor/CSqlite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .target(name: "Journal", dependencies: ["CSqlite", "Linux"], path: "Supervisor/Journal", swiftSettings: strict),
    .target(name: "Wire", path: "Supervisor/Wire", swiftSettings: strict),
    .target(
        name: "Cache", dependencies: ["CRe2", "Linux"], path: "Supervisor/Cache", exclude: ["README.md"],
        swiftSettings: strict),
    .target(
        name: "SupervisorCore",
        dependencies: [
            "JailFilters", "JailPlan", "JailPlanner", "Linux", "Machine", "PolicyDecision", "PolicyModel",
        ],
        path: "Supervisor/Core",
        swiftSettings: strict),
    .target(
        name: "Reports", dependencies: ["Linux", "PolicyDecision", "PolicyModel", "SupervisorCore", "Wire"],
        path: "Supervisor/Reports", swiftSettings: strict),
    // What a caller brings: a workspace, policies, what was trusted before.
    .target(
        name: "Caller",
        dependencies: [
            "CLibsodium", "JailPlanner", "Linux", "Machine", "PolicyDecision", "PolicyModel", "SupervisorCore",
        ],
        path: "Supervisor/Caller", swiftSettings: strict),
    .target(name: "Client", dependencies: ["Linux", "Wire"], path: "Supervisor/Client", swiftSettings: strict),
    // What clients ask for, judged, done and answered.
    .target(
        name: "Broker",
        dependencies: [
            "Audit", "Cache", "Caller", "JailPlan", "JailPlanner", "Journal", "Linux", "Machine", "Metrics",
            "PolicyDecision", "PolicyModel", "Reports", "SupervisorCore", "Wire",
        ],
        path: "Supervisor/Broker", swiftSettings: strict),
    .executableTarget(
        name: "cordon-supervisor",
        dependencies: ["Broker", "Caller", "Client", "Linux", "Machine", "PolicyModel", "SupervisorCore", "Wire"],
        path: "Supervisor/Daemon", swiftSettings: strict, linkerSettings: staticExecutable),
    .target(
        name: "Audit", dependencies: ["CLibsodium", "Linux", "Wire"], path: "Supervisor/Audit", swiftSettings: strict),
    .target(name: "Metrics", path: "Supervisor/Metrics", swiftSettings: strict),
    .target(
        name: "Doctor", dependencies: ["Linux", "Machine", "PolicyModel"], path: "Supervisor/Doctor",
        swiftSettings: strict),
    // The only part that is root's for all users of a machine.
    .executableTarget(
        name: "cordon-service", dependencies: ["JailPlan", "Linux", "Machine", "PolicyModel", "Wire"],
        path: "Supervisor/Service",
        exclude: ["README.md", "service.toml", "systemd"], swiftSettings: strict, linkerSettings: staticExecutable),
    .executableTarget(
        name: "cordon-janitor", dependencies: ["Linux", "Machine"], path: "Supervisor/Janitor", swiftSettings: strict,
        linkerSettings: staticExecutable),
    .executableTarget(
        name: "cordon",
        dependencies: [
            "Audit", "Caller", "Client", "Doctor", "JailPlan", "JailPlanner", "Linux", "Machine", "PolicyDecision",
            "PolicyModel",
            "PolicyPresets", "Reports", "SupervisorCore", "Wire",
        ],
        path: "Supervisor/FrontEnd",
        swiftSettings: strict, linkerSettings: staticExecutable),
]

let tests: [Target] = [
    .testTarget(
        name: "PolicyModelTests", dependencies: ["PolicyModel", "PolicyPresets"], path: "Tests/PolicyModelTests",
        swiftSettings: strict),
    .target(name: "TestSupport", path: "Tests/Support", exclude: ["commands.jsonl"], swiftSettings: strict),
    .testTarget(
        name: "PolicyShellTests", dependencies: ["PolicyShell", "TestSupport"], path: "Tests/PolicyShellTests",
        swiftSettings: strict),
    .testTarget(
        name: "PolicyDecisionTests", dependencies: ["PolicyDecision", "PolicyModel", "PolicyPresets", "TestSupport"],
        path: "Tests/PolicyDecisionTests", swiftSettings: strict),
    .executableTarget(name: "filter-fixture", path: "Tests/FilterFixture", cSettings: c),
    .testTarget(
        name: "JailFiltersTests", dependencies: ["JailFilters", "CLibseccomp", "CLinux", "Linux"],
        path: "Tests/JailFiltersTests", swiftSettings: strict),
    // Static, because what is brought into a jail must not need the jail's libraries.
    .executableTarget(
        name: "probe", path: "Tests/Probe", exclude: ["README.md"], cSettings: c,
        linkerSettings: [.unsafeFlags(["-static-executable", "-Xlinker", "-s"])]),
    .executableTarget(name: "fault-fixture", path: "Tests/FaultFixture", cSettings: c),
    .testTarget(
        name: "DoctorTests", dependencies: ["Doctor", "PolicyModel", "TestSupport", "fault-fixture"],
        path: "Tests/DoctorTests", swiftSettings: strict),
    .testTarget(
        name: "FrontEndTests", dependencies: ["Audit", "PolicyModel", "TestSupport", "Wire"],
        path: "Tests/FrontEndTests",
        swiftSettings: strict),
    .testTarget(
        name: "SupervisorCoreTests",
        dependencies: ["JailPlanner", "Linux", "Machine", "PolicyModel", "SupervisorCore", "TestSupport"],
        path: "Tests/SupervisorCoreTests",
        swiftSettings: strict),
    .executableTarget(
        name: "journal-fixture", dependencies: ["Journal", "Linux"], path: "Tests/JournalFixture",
        swiftSettings: strict),
    .testTarget(
        name: "JournalTests", dependencies: ["Journal", "TestSupport", "journal-fixture"], path: "Tests/JournalTests",
        swiftSettings: strict),
    .testTarget(
        name: "ToolEditTests", dependencies: ["TestSupport", "ToolEdit"], path: "Tests/ToolEditTests",
        swiftSettings: strict),
    .testTarget(
        name: "WireTests", dependencies: ["TestSupport", "Wire"], path: "Tests/WireTests", swiftSettings: strict),
    .testTarget(
        name: "ToolTreeTests", dependencies: ["Linux", "TestSupport", "ToolTree"], path: "Tests/ToolTreeTests",
        swiftSettings: strict),
    .testTarget(
        name: "CacheTests", dependencies: ["Cache", "Linux", "TestSupport"], path: "Tests/CacheTests",
        swiftSettings: strict),
    .executableTarget(
        name: "audit-fixture", dependencies: ["Audit", "Linux", "Wire"], path: "Tests/AuditFixture",
        swiftSettings: strict),
    .testTarget(
        name: "AuditTests", dependencies: ["Audit", "Linux", "TestSupport", "Wire", "audit-fixture"],
        path: "Tests/AuditTests", swiftSettings: strict),
    .testTarget(
        name: "MetricsTests", dependencies: ["Metrics", "TestSupport"], path: "Tests/MetricsTests",
        swiftSettings: strict),
    // Through tmux, as a person sees it.
    .testTarget(
        name: "TerminalTests", dependencies: ["TestSupport"], path: "Tests/Terminal", swiftSettings: strict),
    .testTarget(name: "ConformanceTests", path: "Tests/Conformance", swiftSettings: strict),
]

// `make bench`: an optimised build, never part of `swift test`.
let benchmarks: [Target] = [
    // Static, as jail-init is: what its PID 1 costs to execute must not be the dynamic linker's time.
    .executableTarget(
        name: "floor", path: "Tests/Benchmarks/Floor", cSettings: c,
        linkerSettings: [.unsafeFlags(["-static-executable", "-nostartfiles"], .when(configuration: .release))]),
    .executableTarget(
        name: "bench",
        dependencies: [
            "CLinux", "Cache", "Client", "JailPlan", "JailPlanner", "Linux", "Machine", "PolicyDecision", "PolicyModel",
            "SupervisorCore", "TestSupport", "Wire",
        ],
        path: "Tests/Benchmarks/Bench", swiftSettings: strict),
]

// libFuzzer, by .ci/fuzz: a build of its own, since what is fuzzed has to be instrumented.
let fuzzing: [Target] =
    Context.environment["CORDON_FUZZ"] == nil
    ? []
    : [
        .systemLibrary(name: "CFuzzer", path: "Tests/FuzzDriver"),
        .executableTarget(
            name: "fuzz", dependencies: ["CFuzzer", "PolicyDecision", "PolicyModel", "Wire"], path: "Tests/Fuzz",
            swiftSettings: strict, linkerSettings: [.unsafeFlags(["-lstdc++"])]),
    ]

let package = Package(
    name: "Cordon",
    products: [
        .executable(name: "cordon", targets: ["cordon"]),
        .executable(name: "cordon-supervisor", targets: ["cordon-supervisor"]),
        .executable(name: "cordon-service", targets: ["cordon-service"]),
        .executable(name: "jail-init", targets: ["jail-init"]),
        .executable(name: "cordon-janitor", targets: ["cordon-janitor"]),
    ],
    targets: policies + jail + supervisor + tests + benchmarks + fuzzing,
    cLanguageStandard: .gnu17,
    cxxLanguageStandard: .cxx20
)
