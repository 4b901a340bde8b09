// Threat rows 7, 9, 12-14 and 42: images, denied and protected paths, mounts, devices, kernel files.
import Foundation
import Testing

extension Conformance {
    @Suite struct MountTests {
        /// Row 7. An image with a link where the jail mounts something is refused, and what it points to stays as it is.
        @Test(arguments: [
            "dev", "proc", "sys", "tmp", "run", "etc", "home", "dev/null", "dev/pts", "dev/shm", "proc/self",
        ])
        func imageWithLinks(_ name: String) throws {
            let place = try Scratch()
            try place.file("host/secret", "before", mode: 0o666)
            try place.file("host/null", "before", mode: 0o666)
            for directory in ["usr", "bin", "dev", "proc", "etc", "tmp"] where directory != name {
                try place.directory("image/" + directory)
            }
            let isFile = name == "dev/null"
            try place.symlink("image/" + name, to: place.path + (isFile ? "/host/secret" : "/host"))
            let before = try place.tree()
            var run = try CordonRun(.root, ["/bin/probe", "guard"], options: ["--image", place.path + "/image"])
            run.directory = run.workspace
            let result = try run.run()
            #expect(try place.tree() == before)
            // Only what the jail's own mounts cannot cover has to be refused; the rest must simply not be followed.
            if ["dev", "proc", "sys", "dev/null", "dev/pts"].contains(name) {
                #expect(result.code == 125, result.summary)
                #expect(result.message.contains("image"), result.summary)
            }
        }

        /// Row 7. A workspace below a link of the image does not lead out either.
        @Test func imageWithLinkAboveWorkspace() throws {
            let place = try Scratch()
            try place.file("host/file", "before")
            try place.directory("image/bin")
            var run = try CordonRun(.root, ["/bin/probe", "create", "made"])
            let top = String(run.workspace.split(separator: "/")[0])
            try place.symlink("image/" + top, to: place.path + "/host")
            try FileManager.default.copyItem(atPath: try Built.path("probe"), toPath: place.path + "/image/bin/probe")
            run.options = ["--image", place.path + "/image"]
            let before = try place.tree()
            _ = try run.run()
            #expect(try place.tree() == before)
        }

        /// An image that is as it should be works, with nothing of the host's programs in it.
        @Test func image() throws {
            let place = try Scratch()
            try place.directory("image/bin")
            try FileManager.default.copyItem(atPath: try Built.path("probe"), toPath: place.path + "/image/bin/probe")
            let before = try place.tree()
            let result = try CordonRun(.root, ["/bin/probe", "guard"], options: ["--image", place.path + "/image"])
                .run()
            #expect(result.code == 0, result.summary)
            let none = try CordonRun(.root, ["/usr/bin/id"], options: ["--image", place.path + "/image"]).run()
            #expect(none.code == 127, none.summary)
            #expect(try place.tree() == before)
        }

        /// Row 9. Reading what is denied, by every way there is.
        @Test(arguments: Mode.allCases) func deniedFiles(_ mode: Mode) throws {
            for name in [".env", "deep/er/.env", ".ssh/id_rsa", "a/.git-credentials"] {
                let run = try CordonRun.probe(mode, [])
                try run.file(name, "PASSWORD=hunter2\n", mode: 0o666)
                try run.place.symlink("work/alias", to: name)
                try run.place.directory("work/scratch", mode: 0o777)
                let before = try run.place.tree("work")
                var attempt = run
                attempt.command = ["./probe", "hardlink-read", run.workspace + "/" + name, run.workspace + "/scratch"]
                let result = try attempt.probed()
                result.expectSafe()
                #expect(!result.run.output.contains("hunter2"))
                #expect(try run.place.tree("work") == before, "\(name): a stub or a change was left")
                attempt.command = [
                    "/bin/sh", "-c",
                    """
                    cat \(name) alias ./././\(name) /proc/self/cwd/\(name) /proc/self/root/$PWD/\(name)
                    echo no > \(name); echo no > alias; rm -f \(name); mv \(name) moved; ln \(name) hard; cat hard moved
                    d=$(dirname \(name)); [ $d = . ] || { mv $d elsewhere; cat elsewhere/*; rm -rf elsewhere $d; }
                    chmod 777 \(name); truncate -s 0 \(name); exec 3<> \(name); cat <&3; true
                    """,
                ]
                let shell = try attempt.run()
                #expect(!shell.output.contains("hunter2"), "\(name): \(shell.output)")
                // A directory may be renamed; what is denied in it stays denied, and whole.
                let base = name.split(separator: "/").last ?? ""
                let kept = run.place.text("work/" + name) ?? run.place.text("work/elsewhere/\(base)")
                #expect(kept == "PASSWORD=hunter2\n", "\(name) was changed")
            }
        }

        /// Row 9. What is denied by the name of a directory is not moved out of reach of its pattern for the next run.
        @Test(arguments: [
            ".kube/config", "a/.docker/config.json", ".aws/credentials", "b/.config/gcloud/key", ".ssh/other",
        ])
        func deniedInTheNextRun(_ name: String) throws {
            let first = try CordonRun(
                shell: "for d in .kube a/.docker .aws b/.config b/.config/gcloud .ssh a b; do mv $d moved; done; true")
            try first.file(name, "hunter2")
            _ = try first.run()
            var second = first
            second.command = ["/bin/sh", "-c", "grep -r hunter2 . ; find ."]
            let result = try second.run()
            #expect(!result.output.contains("hunter2"), "\(result.output)")
        }

        /// Row 9. Protected files can be read, and not written by any name.
        @Test(arguments: Mode.allCases) func protectedFiles(_ mode: Mode) throws {
            let run = try CordonRun(
                mode,
                shell: """
                    cat .git/config .git/hooks/pre-commit
                    for f in .git/config .git/hooks/pre-commit .cordon.toml; do
                        echo evil >> $f; echo evil > $f; rm -f $f; truncate -s 0 $f; chmod 777 $f; mv $f gone; touch $f
                        ln $f hard && echo evil >> hard; ln -s $f soft; echo evil >> soft; rm -f soft hard
                    done
                    mv .git/hooks hooks.old; mv .git git.old; echo evil > git.old/config; rm -rf .git/hooks .git
                    mkdir -p .git/hooks; echo evil > .git/hooks/post-checkout; true
                    """, policy: mode == .root ? nil : CordonRun.policy(mode))
            try run.file(".git/config", "[core]\n\tbare = false\n")
            try run.file(".git/hooks/pre-commit", "#!/bin/sh\n", mode: 0o755)
            try run.file(".git/HEAD", "ref: refs/heads/main\n")
            try run.file(".cordon.toml", "version = 1\n")
            let before = try run.place.tree("work")
            let result = try run.run()
            #expect(result.output.contains("bare = false"), result.summary)
            #expect(result.output.contains("#!/bin/sh"))
            let after = try run.place.tree("work")
            for name in ["work/.git/config", "work/.git/hooks/pre-commit", "work/.cordon.toml"] {
                #expect(after[name] == before[name], "\(name)")
            }
            // A .git that was moved away must not be replaced by another one either.
            #expect(after["work/git.old/config"] == nil, "an ancestor of a protected file was renamed")
        }

        /// Row 9. A directory that is protected as a whole gets no new files: a hook that git would run.
        @Test func newHookInAProtectedDirectory() throws {
            let run = try CordonRun(shell: "echo evil > .git/hooks/post-checkout; mkdir .git/hooks/more; true")
            try run.file(".git/hooks/pre-commit", "#!/bin/sh\n", mode: 0o755)
            _ = try run.run()
            #expect(!run.place.exists("work/.git/hooks/post-checkout"))
            #expect(!run.place.exists("work/.git/hooks/more"))
        }

        /// Row 9. What is not there at the start can be made in a direct workspace; that is never silent.
        @Test func creationIsRefusedUnlessDegraded() throws {
            let text =
                "version = 1\n[fs]\nread = [\"/usr\", \"${workspace}\"]\nwrite = [\"${workspace}\"]\ndeny = [\"**/.env\"]\n"
            let run = try CordonRun(shell: "touch ran", policy: text)
            let refused = try run.run()
            #expect(refused.code == 125, refused.summary)
            #expect(refused.message.contains("fs.deny.create"), refused.summary)
            #expect(!run.place.exists("work/ran"))
            var allowed = run
            allowed.policyText = "allow_degraded = [\"fs.deny.create\"]\n" + text
            let result = try allowed.run()
            #expect(result.code == 0, result.summary)
            #expect(result.report?.degraded == ["fs.deny.create"])
            #expect(result.report?.enforced.contains("fs.deny.create") == false)
            // A workspace that is only read needs no such promise.
            var reading = run
            reading.policyText = text.replacingOccurrences(of: "write", with: "# write")
            reading.command = ["/bin/sh", "-c", "touch made"]
            let read = try reading.run()
            #expect(read.report?.exitCode == 1, read.summary)
            #expect(read.report?.enforced.contains("fs.deny.create") == true)
            #expect(!run.place.exists("work/made"))
        }

        /// Row 9. Patterns that match nothing leave nothing behind, and names with odd characters are masked.
        @Test func oddNames() throws {
            let run = try CordonRun(shell: "cat -- */.env .env* 2>&1; ls -a")
            let names = [
                "new\nline/.env", "sp ace/.env", "star*/.env", "-rf/.env", "ünï/.env", ".env.production",
                "quo\"te/.env",
            ]
            for name in names { try run.file(name, "hunter2") }
            try run.file(".env.example", "public")
            let before = try run.place.tree("work")
            let result = try run.run()
            #expect(!result.output.contains("hunter2"))
            #expect(result.output.contains("public"))
            #expect(try run.place.tree("work") == before)
        }

        /// Row 12.
        @Test(arguments: Mode.allCases) func mounting(_ mode: Mode) throws {
            try CordonRun.probe(mode, ["mount"]).probed().expectSafe()
            try CordonRun.probe(mode, ["timens"]).probed().expectSafe()
        }

        /// Row 13.
        @Test(arguments: Mode.allCases) func kernelFiles(_ mode: Mode) throws {
            let paths = ["kernel/core_pattern", "kernel/hostname", "kernel/randomize_va_space", "vm/overcommit_memory"]
            let before = paths.map { readFile("/proc/sys/" + $0) }
            try CordonRun.probe(mode, ["kernel-files"]).probed().expectSafe()
            #expect(paths.map { readFile("/proc/sys/" + $0) } == before)
            let groups = try CordonRun.probe(mode, ["cgroup"]).run()
            #expect(!groups.output.contains("jail-"), "\(groups.output)")
            #expect(!groups.output.contains(".."), "\(groups.output)")
        }

        /// Row 14.
        @Test(arguments: Mode.allCases) func devices(_ mode: Mode) throws {
            let run = try CordonRun.probe(mode, ["mknod"])
            try run.probed().expectSafe()
            try CordonRun.probe(mode, ["handle"]).probed().expectSafe()
            for name in try run.place.tree().keys {
                let kind = (Calls.status(run.place.path + "/" + name)?.st_mode ?? 0) & S_IFMT
                #expect(kind != S_IFBLK && kind != S_IFCHR, "\(name)")
            }
        }

        /// Row 42.
        @Test(arguments: Mode.allCases) func setUidBits(_ mode: Mode) throws {
            let run = try CordonRun.probe(mode, ["setuid-bits", "."])
            try run.probed().expectSafe()
            for directory in ["/tmp", "/home/cordon", "/dev/shm"] {
                try CordonRun.probe(mode, ["setuid-bits", directory]).probed().expectSafe()
            }
            let shell = try CordonRun(
                mode,
                shell: """
                    cp /bin/true a; chmod u+s a; chmod 4755 a; chmod g+s a; install -m 6755 /bin/true b; mkdir -m 2755 c
                    python3 -c 'import os; os.close(os.open("d", os.O_CREAT | os.O_WRONLY, 0o6755))'; chmod 2777 .; true
                    """)
            _ = try shell.run()
            for (name, entry) in try shell.place.tree() where name.hasPrefix("work") {
                let mode = mode_t(entry.split(separator: " ")[0], radix: 8) ?? 0
                #expect(mode & 0o6000 == 0, "\(name) is \(entry.prefix(20))")
            }
        }
    }
}
