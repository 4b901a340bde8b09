// Threat rows 24 and 25: sockets and the network.
import Foundation
import Testing

extension Conformance {
    @Suite struct NetworkTests {
        /// Row 24. Sockets of the host by path: in the workspace, in /tmp and in /run; streams and datagrams.
        @Test(arguments: Mode.allCases, [false, true]) func pathSockets(_ mode: Mode, _ datagram: Bool) throws {
            let outside = try Scratch()
            let run = try CordonRun.probe(mode, [])
            try run.place.directory("work/deep/er")
            let run2 = "/run/cordon-conformance-\(getpid())-\(datagram).sock"
            let places = [run.workspace + "/s", run.workspace + "/deep/er/s", outside.path + "/s", run2]
            for place in places {
                let handle = Calls.unixSocket(place, datagram: datagram)
                try #require(handle >= 0)
                defer {
                    close(handle)
                    Calls.remove(place)
                }
                var attempt = run
                attempt.command = ["./probe", "path-socket", place, run.workspace]
                let result = try attempt.probed()
                result.expectSafe()
                #expect(!result.lines.contains { $0.detail.contains("wrong-type") }, "\(result.lines)")
                #expect(!Calls.hasVisitor(handle))
            }
        }

        /// Row 24. A directory of tools that is mounted for the command may hold a socket too.
        @Test(arguments: [Mode.root, .rootless]) func socketsBesideTools(_ mode: Mode) throws {
            var run = try CordonRun.probe(mode, [])
            let tools = try run.place.directory("home/.cargo/bin")
            try run.place.file("home/.cargo/bin/tool", "#!/bin/sh\necho tool\n", mode: 0o755)
            let granted = try run.place.directory("granted")
            run.environment["PATH"] = tools + ":/usr/bin:/bin"
            run.policyText = CordonRun.policy(mode, "[fs]\nread = [\"\(granted)\"]\n")
            run.command = ["tool"]
            #expect(try run.run().output == "tool\n")
            for place in [tools + "/s", granted + "/s"] {
                let handle = Calls.unixSocket(place)
                try #require(handle >= 0)
                defer {
                    close(handle)
                    Calls.remove(place)
                }
                run.command = ["./probe", "path-socket", place, run.workspace]
                let result = try run.probed()
                #expect(result.succeeded.map(\.description) == [], "\(place)")
                #expect(!Calls.hasVisitor(handle), "\(place)")
            }
        }

        /// Row 24. Abstract sockets.
        @Test(arguments: Mode.allCases, [false, true]) func abstractSockets(_ mode: Mode, _ datagram: Bool) throws {
            let name = "cordon-conformance-\(getpid())-\(mode.rawValue)-\(datagram)"
            let handle = Calls.unixSocket("@" + name, datagram: datagram)
            try #require(handle >= 0)
            defer { close(handle) }
            let result = try CordonRun.probe(mode, ["abstract-socket", name]).probed()
            result.expectSafe()
            #expect(!Calls.hasVisitor(handle))
            try CordonRun.probe(mode, ["scm", "@" + name]).probed().expectSafe()
        }

        /// Row 24. With the host's network abstract sockets stay out of reach.
        @Test func abstractSocketsOnTheHostsNetwork() throws {
            let name = "cordon-conformance-\(getpid())-host"
            let handle = Calls.unixSocket("@" + name)
            try #require(handle >= 0)
            defer { close(handle) }
            let result = try CordonRun.probe(.root, ["abstract-socket", name], policy: "[network]\nmode = \"host\"\n").probed()
            result.expectSafe()
            #expect(!Calls.hasVisitor(handle))
            #expect(result.run.process.errorText.contains("HOST"), result.run.summary)
            #expect(result.run.report?.enforced.contains("ns.net") == false)
        }

        /// Sockets made inside work.
        @Test(arguments: Mode.allCases) func ownSockets(_ mode: Mode) throws {
            for directory in ["/tmp", "."] {
                let result = try CordonRun.probe(mode, ["own-sockets", directory]).probed()
                result.expectSafe()
                #expect(result["loopback"] == "ok")
            }
        }

        /// Row 25.
        @Test(arguments: Mode.allCases) func theHostsServices(_ mode: Mode) throws {
            let (handle, port) = Calls.loopbackSocket()
            try #require(handle >= 0 && port > 0)
            defer { close(handle) }
            let result = try CordonRun.probe(mode, ["net", "\(port)"]).probed()
            result.expectSafe()
            #expect(result.all("interface") == ["lo"])
            #expect(result["connect"] == nil)
            #expect(!Calls.hasVisitor(handle))
        }

        /// The host's network is open only when the policy says so, and then it works.
        @Test func hostNetwork() throws {
            let (handle, port) = Calls.loopbackSocket()
            defer { close(handle) }
            let script = "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", \(port)), 2)'"
            let closed = try CordonRun(shell: script).run()
            #expect(closed.report?.exitCode == 1, closed.summary)
            #expect(!Calls.hasVisitor(handle))
            let open = try CordonRun(shell: script, policy: CordonRun.policy(.root, "[network]\nmode = \"host\"\n")).run()
            #expect(open.code == 0, open.summary)
            #expect(Calls.hasVisitor(handle))
        }
    }
}
