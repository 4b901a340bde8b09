// A person's terminal: a tmux server of its own, with a shell in it, keys to press and a screen to look at.
import Foundation
import TestSupport
import Testing

/// Who sits at the terminal.
enum Person: String, CaseIterable, CustomTestStringConvertible {
    case root
    /// An unprivileged user with one id.
    case rootless
    /// An unprivileged user with subordinate ids.
    case subordinate

    static let user: uid_t = 12345
    var testDescription: String { rawValue }
}

/// Which shell is on the screen.
enum Shell {
    /// Puts the terminal right itself, where a program left it otherwise.
    case bash
    /// Leaves it as it finds it, so that it shows what a program left.
    case dash
}

/// A screen with a shell on it, whose prompt is `outer> `. Everything of it goes with the value.
final class Screen {
    let directory: String
    private let socket: String
    private let prefix: [String]

    /// How long anything may take to be seen.
    private static let patience = 20.0

    init(_ person: Person = .root, _ shell: Shell = .bash, rows: Int = 30, columns: Int = 100) throws {
        socket = "cordon-test-\(getpid())-\(UUID().uuidString.prefix(8))"
        directory = "/var/tmp/\(socket)"
        let files = FileManager.default
        for name in ["", "/work", "/home", "/tmux"] {
            try files.createDirectory(atPath: directory + name, withIntermediateDirectories: false)
        }
        let degraded =
            person == .root
            ? ["fs.deny.create"]
            : ["fs.deny.create", "memory", "swap", "cpu.time", "cpu.rate", "pids", "io", "janitor"]
        try """
        version = 1
        extends = ["preset:agent"]
        allow_degraded = [\(degraded.map { "\"\($0)\"" }.joined(separator: ", "))]

        """.write(toFile: directory + "/policy.toml", atomically: true, encoding: .utf8)
        if person != .root {
            for name in ["cordon", "jail-init", "cordon-janitor"] {
                try files.copyItem(atPath: repository + "/.build/release/" + name, toPath: directory + "/" + name)
            }
            prefix = [
                "setpriv", "--reuid=\(Person.user)", "--regid=\(Person.user)", "--clear-groups", "--inh-caps=-all",
            ]
            _ = try execute(["chown", "-R", "\(Person.user)", directory])
        } else {
            prefix = []
        }
        let program = person == .root ? cordon : directory + "/cordon"
        try "alias run='\(program) run --policy \(directory)/policy.toml'\nPS1='outer> '\nHISTFILE=\n".write(
            toFile: directory + "/shellrc", atomically: true, encoding: .utf8)
        let words =
            shell == .bash
            ? ["bash", "--noprofile", "--rcfile", directory + "/shellrc"]
            : ["env", "ENV=\(directory)/shellrc", "dash", "-i"]
        let server = person == .subordinate ? try accounts() : []
        let started = tmux(
            before: server,
            ["new-session", "-d", "-x", "\(columns)", "-y", "\(rows)", "-c", directory + "/work"] + words)
        #expect(started.status == 0, "\(started.text)")
        try awaitPrompt("outer>")
    }

    deinit {
        tmux("kill-server")
        // It takes a moment to leave, and what it or its shell writes meanwhile would stay.
        for _ in 0..<200 where tmux("has-session").status == 0 {}
        try? FileManager.default.removeItem(atPath: directory)
    }

    @discardableResult
    func tmux(_ words: String...) -> Said { tmux(words) }

    @discardableResult
    private func tmux(before: [String] = [], _ words: [String]) -> Said {
        call(
            before + prefix + ["tmux", "-L", socket, "-f", "/dev/null"] + words,
            [
                "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", "HOME": directory + "/home",
                "TMUX_TMPDIR": directory + "/tmux", "SWIFT_BACKTRACE": "enable=no",
            ])
    }

    /// What starts a program that sees an account and subordinate ids for the person, and nobody else does.
    private func accounts() throws -> [String] {
        var mounts = ""
        for (name, line) in [
            ("passwd", "cordontest:x:\(Person.user):\(Person.user):test:\(directory)/home:/bin/sh\n"),
            ("group", "cordontest:x:\(Person.user):\n"), ("subuid", "cordontest:1900000000:65536\n"),
            ("subgid", "cordontest:1900000000:65536\n"),
        ] {
            let old = name.hasPrefix("sub") ? "" : (try? String(contentsOfFile: "/etc/" + name, encoding: .utf8)) ?? ""
            try (old + line).write(toFile: directory + "/" + name, atomically: true, encoding: .utf8)
            mounts += "mount --bind \(directory)/\(name) /etc/\(name) && "
        }
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", mounts + "exec \"$@\"", "sh"]
    }

    /// Types a text as it is.
    func type(_ text: String) { tmux("send-keys", "-l", text) }

    /// Types a line.
    func enter(_ line: String) {
        type(line)
        press("Enter")
    }

    /// Presses a key, by tmux's name for it.
    func press(_ key: String) { tmux("send-keys", key) }

    /// What is to be seen, without what is blank at the ends of lines.
    func look() -> String { tmux("capture-pane", "-p").text }

    /// Looks until something is to be seen.
    func see(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        try see("\"\(text)\"", sourceLocation: sourceLocation) { $0.contains(text) }
    }

    /// Looks until the last line that is not blank is this one.
    func awaitPrompt(_ prompt: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        try see("the prompt \"\(prompt)\"", sourceLocation: sourceLocation) {
            $0.split(separator: "\n").last.map(String.init)?.trimmingCharacters(in: .whitespaces) == prompt
        }
    }

    func see(
        _ what: String, sourceLocation: SourceLocation = #_sourceLocation, _ isSeen: (String) throws -> Bool
    ) throws {
        let end = Date(timeIntervalSinceNow: Self.patience)
        var seen = ""
        repeat {
            seen = look()
            if try isSeen(seen) { return }
        } while Date() < end
        Issue.record(
            "\(what) was not to be seen, but:\n\(seen.split(separator: "\n").joined(separator: "\n"))",
            sourceLocation: sourceLocation)
        throw CocoaError(.coderValueNotFound)
    }

    /// What a command says about the terminal's own shell's terminal: `stty -g`, written to a file.
    func settings() throws -> String {
        let file = directory + "/work/settings"
        try? FileManager.default.removeItem(atPath: file)
        enter("stty -g >settings.new; mv settings.new settings")
        try see("settings") { _ in FileManager.default.fileExists(atPath: file) }
        // What is typed before the prompt would stand in front of it.
        try awaitPrompt("outer>")
        return try String(contentsOfFile: file, encoding: .utf8)
    }

    /// A file of the workspace; nil while it is not there.
    func file(_ name: String) -> String? {
        try? String(contentsOfFile: directory + "/work/" + name, encoding: .utf8)
    }

    /// Waits until a file of the workspace has come.
    func awaitFile(_ name: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
        try see("the file \(name)", sourceLocation: sourceLocation) { _ in self.file(name)?.hasSuffix("\n") == true }
        return file(name) ?? ""
    }

    var title: String { tmux("display-message", "-p", "#{pane_title}").text }

    // MARK: - Processes

    /// The shell's pid.
    private func shell() throws -> Int32 {
        let text = tmux("display-message", "-p", "#{pane_pid}").text
        return try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    }

    /// The run that is going on: cordon, its jail-init, and the jail's cgroups.
    func run() throws -> Run {
        let shell = try shell()
        let run = try #require(children(of: shell).first { name(of: $0) == "cordon" }, "cordon does not run")
        let initial = try #require(children(of: run).first { name(of: $0) == "jail-init" }, "no jail-init")
        let groups = (try? String(contentsOfFile: "/proc/\(initial)/cgroup", encoding: .utf8)) ?? ""
        let jail = groups.split(whereSeparator: { "/\n".contains($0) }).first { $0.hasPrefix("jail-") }
        return Run(cordon: run, jailInit: initial, jail: jail.map(String.init))
    }
}

/// A run with its processes.
struct Run {
    let cordon: Int32
    let jailInit: Int32
    /// The name of its cgroups; nil where it has none.
    let jail: String?

    func signal(_ number: Int32) { kill(cordon, number) }

    /// The groups of it that are there.
    private var groups: [String] {
        guard let jail else { return [] }
        let root = "/sys/fs/cgroup"
        let hierarchies = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return hierarchies.flatMap { hierarchy in
            let found = FileManager.default.subpaths(atPath: "\(root)/\(hierarchy)/cordon") ?? []
            return found.filter { $0.split(separator: "/").last.map(String.init) == jail }
        }
    }

    /// Everything of it is gone, within what a janitor may take where cordon was killed.
    func isGone() -> Bool {
        let end = Date(timeIntervalSinceNow: 10)
        repeat {
            if name(of: cordon) == nil, name(of: jailInit) == nil, groups.isEmpty { return true }
        } while Date() < end
        return false
    }
}

private func children(of pid: Int32) -> [Int32] {
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
    return threads.flatMap { thread in
        let text = (try? String(contentsOfFile: "/proc/\(pid)/task/\(thread)/children", encoding: .utf8)) ?? ""
        return text.split(separator: " ").compactMap { Int32($0) }
    }
}

private func name(of pid: Int32) -> String? {
    (try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8))?.trimmingCharacters(in: .newlines)
}
