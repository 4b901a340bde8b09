// `[identity] root = true`: root in a user namespace, over layers that go with the jail (row 4).
import Foundation
import Testing

extension Conformance {
    @Suite struct RootInsideTests {
        private static let policy = "version = 1\nextends = [\"preset:agent\"]\n[identity]\nroot = true\n"

        private func run(_ script: String, image: String? = nil) throws -> RunResult {
            try CordonRun(shell: script, options: image.map { ["--image", $0] } ?? [], policy: Self.policy).run()
        }

        /// The six capabilities that the design names, in all five sets, and no other.
        @Test func sixCapabilities() throws {
            let result = try run(
                "id -u; grep ^Cap /proc/self/status | cut -f 2 | sort -u; grep NoNewPrivs /proc/self/status")
            #expect(result.output == "0\n00000000000000db\nNoNewPrivs:\t1\n", result.summary)
            // The guarantee says that the sets are empty.
            #expect(result.report?.enforced.contains("caps") == false)
        }

        /// What is written, moved, given away and removed is so for this jail alone.
        @Test func layersGoWithTheJail() throws {
            let result = try run(
                """
                echo x > /usr/local/cordon-layer && chown 12:34 /usr/local/cordon-layer && stat -c %u:%g /usr/local/cordon-layer
                rm /usr/bin/env && test ! -e /usr/bin/env && echo removed
                mv /usr/share/doc /usr/share/cordon-doc && test -d /usr/share/cordon-doc && echo moved
                mkdir /cordon-new && echo y > /etc/cordon-new && echo made
                echo kept > kept
                """)
            #expect(result.output == "12:34\nremoved\nmoved\nmade\n", result.summary)
            for path in ["/usr/local/cordon-layer", "/usr/share/cordon-doc", "/cordon-new", "/etc/cordon-new"] {
                #expect(!FileManager.default.fileExists(atPath: path), "\(path) is on the host")
            }
            #expect(FileManager.default.fileExists(atPath: "/usr/bin/env"))
            let next = try run("ls /usr/bin/env; ls /usr/local/cordon-layer /cordon-new 2>&1 | wc -l")
            #expect(next.output == "/usr/bin/env\n2\n", next.summary)
        }

        /// Its rights end at its namespace: no device, no mount, no file system of the host, none of its keepers.
        @Test func rightsEndInside() throws {
            let result = try run(
                """
                mknod /usr/b b 8 0 || echo no device
                mkdir -p /m; mount -t tmpfs x /m || echo no mount
                chroot /usr /bin/true || echo no chroot
                kill -9 1 || echo no init
                kill -9 2 || echo no spawner
                cat /proc/1/environ || echo no environ
                ls -A /run/cordon | wc -l
                chmod u+s /usr/bin/ls || echo no set-uid
                """)
            for line in [
                "no device", "no mount", "no chroot", "no init", "no spawner", "no environ", "0", "no set-uid",
            ] {
                #expect(result.output.split(separator: "\n").contains(Substring(line)), "\(line): \(result.summary)")
            }
            #expect(result.code == 0, result.summary)
        }

        /// What would bind nobody is refused, and a protected file keeps its place.
        @Test func execAndProtect() throws {
            let exec = try CordonRun(shell: "true", policy: Self.policy + "[fs]\nexec = [\"/usr/bin/sh\"]\n").run()
            #expect(exec.code == 125 && exec.message.contains("leave out one of them"), exec.summary)
            let kept = try CordonRun(
                shell: "mv /etc /etc2; echo evil > /etc/protocols; head -n 1 /etc/protocols",
                policy: Self.policy + "[fs]\nprotect = [\"/etc/protocols\"]\n"
            ).run()
            #expect(!kept.output.contains("evil"), kept.summary)
        }

        /// The keepers' limits are not the command's to set, although it has their user.
        @Test func limitsOfKeepers() throws {
            let result = try run(
                "python3 -c 'import resource; resource.prlimit(1, resource.RLIMIT_CPU, (0, 0))' 2>&1 | tail -n 1; ulimit -n 100 && ulimit -n"
            )
            #expect(result.output.contains("PermissionError") && result.output.hasSuffix("100\n"), result.summary)
        }

        /// The quota on the private store holds for the layers too.
        @Test func layersAreBounded() throws {
            var bounded = try CordonRun(
                shell: "head -c 64M /dev/zero > /usr/local/big; echo $?",
                policy: Self.policy + "[resources]\ndisk = \"8M\"\n")
            bounded.json = true
            let result = try bounded.run()
            #expect(result.output == "1\n", result.summary)
        }

        /// An image's own /etc is its root's to change, and stays as it was.
        @Test func image() throws {
            let image = try Scratch()
            for name in ["bin", "etc", "usr", "var/lib"] { try image.directory(name) }
            try FileManager.default.copyItem(atPath: try Built.path("probe"), toPath: image.path + "/bin/probe")
            try image.file("etc/passwd", "root:x:0:0::/root:/bin/sh\nimageuser:x:7:7::/:/bin/false\n")
            var run = try CordonRun(["/bin/probe", "ids"], options: ["--image", image.path], policy: Self.policy)
            run.json = true
            let result = try run.run()
            #expect(result.code == 0, result.summary)
            #expect(result.output.contains("0 0 0"), "\(result.output)")
        }
    }
}
