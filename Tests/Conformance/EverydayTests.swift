// Ordinary programs work inside.
import Foundation
import Testing

extension Conformance {
    @Suite struct EverydayTests {
        /// Whether a program is there; what is missing is said aloud.
        private func isInstalled(_ program: String, path: String = "/usr/bin:/bin") -> Bool {
            for directory in path.split(separator: ":")
            where FileManager.default.isExecutableFile(atPath: directory + "/" + program) {
                return true
            }
            print("SKIPPED, NOT INSTALLED ON THIS MACHINE: \(program)")
            return false
        }

        @Test(arguments: Mode.allCases) func python(_ mode: Mode) throws {
            guard isInstalled("python3") else { return }
            let run = try CordonRun(mode, ["/usr/bin/python3", "work.py"])
            try run.file(
                "work.py",
                """
                import hashlib, json, multiprocessing, os, socket, sqlite3, subprocess, tempfile, threading, time
                from concurrent.futures import ProcessPoolExecutor

                def square(n): return n * n

                if __name__ == "__main__":
                    with multiprocessing.Pool(4) as pool:
                        assert pool.map(square, range(100)) == [n * n for n in range(100)]
                    with ProcessPoolExecutor(2) as pool:
                        assert list(pool.map(square, [3])) == [9]
                    with multiprocessing.Manager() as manager:
                        shared = manager.dict()
                        shared["x"] = 1
                    context = multiprocessing.get_context("spawn")
                    queue = context.Queue()
                    from multiprocessing import shared_memory
                    block = shared_memory.SharedMemory(create=True, size=4096)
                    block.close(); block.unlink()
                    thread = threading.Thread(target=square, args=(2,)); thread.start(); thread.join()
                    assert subprocess.run(["true"]).returncode == 0
                    with tempfile.NamedTemporaryFile() as file: file.write(b"x")
                    db = sqlite3.connect("data.db"); db.execute("create table t (x)"); db.commit(); db.close()
                    socket.socketpair()
                    assert os.cpu_count() and time.time() > 1e9
                    print(json.dumps("fine"))

                """)
            let result = try run.run()
            #expect(result.output == "\"fine\"\n", result.summary)
        }

        /// A linked worktree: its repository follows, but for what git believes; and only if it says so itself.
        @Test func linkedWorktree() throws {
            let run = try CordonRun(
                shell: """
                    git status --short && echo more >> file && git add file && git commit -qm more && git log --oneline | wc -l
                    echo x >> "$(git rev-parse --git-common-dir)/config" || echo config kept
                    echo x > "$(git rev-parse --git-common-dir)/hooks/pre-commit" || echo hooks kept
                    """)
            let main = run.place.path + "/main"
            func git(_ words: String...) throws {
                let base = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]
                let ended = try RunningProcess(base + words, environment: run.variables, directory: run.place.path)
                    .finish()
                #expect(ended.ending == .exited(0), "\(words) \(ended.errorText)")
            }
            try git("init", "-q", main)
            try run.place.file("main/file", "text\n")
            try git("-C", main, "add", ".")
            try git("-C", main, "commit", "-qm", "first")
            try FileManager.default.removeItem(atPath: run.workspace)
            try git("-C", main, "worktree", "add", "-q", run.workspace)
            let result = try run.run()
            #expect(result.output == "2\nconfig kept\nhooks kept\n", result.summary)
            // A `.git` that names a repository which knows nothing of this workspace brings nothing in.
            let liar = try CordonRun(shell: "ls \(main) 2>&1 | tail -c 26")
            try liar.file(".git", "gitdir: \(main)/.git/worktrees/work\n")
            #expect(try liar.run().output == "No such file or directory\n")
        }

        @Test(arguments: Mode.allCases) func git(_ mode: Mode) throws {
            guard isInstalled("git") else { return }
            let script = """
                set -e
                git init -q repo; cd repo; echo a > a; git add a; git commit -qm one; git checkout -qb side; echo b > b
                git add b; git commit -qm two; git checkout -q -; git merge -q --no-edit side; git log --oneline | wc -l
                cd ..; git clone -q repo copy; git -C copy status --short; git -C copy fsck; git -C repo gc -q
                git -C existing log --oneline; git -C existing status --short; echo new > existing/new
                git -C existing add new; git -C existing commit -qm more; git -C existing stash list
                """
            let run = try CordonRun(mode, shell: script)
            // A repository from outside, whose configuration and hooks are protected.
            let host = try RunningProcess(
                [
                    "sh", "-c",
                    "cd \(run.workspace) && git init -q existing && cd existing && git -c user.name=x -c user.email=x@y commit -q --allow-empty -m first && chown -R \(mode.owner):\(mode.owner) .",
                ], environment: run.variables, directory: "/")
            #expect(host.finish().ending == .exited(0))
            let result = try run.run()
            #expect(result.code == 0, result.summary)
            #expect(result.output.hasPrefix("2\n") || result.output.hasPrefix("3\n"), result.summary)
        }

        @Test(arguments: Mode.allCases) func compiler(_ mode: Mode) throws {
            guard isInstalled("gcc"), isInstalled("make") else { return }
            let run = try CordonRun(
                mode, shell: "make -j4 -s && ./program && ar rcs lib.a main.o && strip program && rm -f *.o")
            try run.file(
                "main.c", "#include <stdio.h>\nint other(void);\nint main(void) { printf(\"%d\\n\", other()); }\n")
            try run.file("other.c", "#include <pthread.h>\nint other(void) { return 42; }\n")
            try run.file(
                "Makefile",
                "program: main.o other.o\n\t$(CC) -g -O2 -fsanitize=undefined -o $@ $^\n%.o: %.c\n\t$(CC) -g -O2 -c $<\n"
            )
            let result = try run.run()
            #expect(result.output == "42\n", result.summary)
        }

        /// LeakSanitizer traces its own process.
        @Test func sanitizers() throws {
            guard isInstalled("gcc") else { return }
            let run = try CordonRun(shell: "gcc -fsanitize=address -o leak leak.c && ./leak; echo $?")
            try run.file(
                "leak.c",
                "#include <stdlib.h>\nint main(void) { volatile char *p = malloc(10); p[0] = 1; p = 0; return 0; }\n")
            let result = try run.run()
            #expect(result.report?.stderr.contains("LeakSanitizer: detected memory leaks") == true, result.summary)
        }

        /// A tool chain outside /usr, in the caller's home.
        @Test func rust() throws {
            guard isInstalled("cargo", path: "/root/.cargo/bin") else { return }
            var run = try CordonRun(
                shell: "cargo --version && cargo init -q --vcs none --name hello . && cargo run -q --offline")
            run.environment = ["HOME": "/root", "PATH": "/root/.cargo/bin:/usr/bin:/bin"]
            let result = try run.run(within: 60)
            #expect(result.output.hasSuffix("Hello, world!\n"), result.summary)
            run.command = [
                "/bin/sh", "-c",
                "cat /root/.cargo/credentials* /root/.ssh/* /root/.bash_history; ls -A /root; touch /root/.cargo/bin/evil",
            ]
            let secrets = try run.run()
            #expect(Set(secrets.output.split(separator: "\n")).subtracting([".cargo", ".rustup", ".pyenv"]) == [])
            #expect(Calls.status("/root/.cargo/bin/evil") == nil)
        }

        @Test(arguments: Mode.allCases) func node(_ mode: Mode) throws {
            guard isInstalled("node") else { return }
            let script = """
                const {Worker, isMainThread} = require('worker_threads'); const {execSync} = require('child_process');
                if (isMainThread) { new Worker(__filename).on('exit', () => console.log('fine', execSync('echo child').toString().trim())); }
                """
            let run = try CordonRun(mode, ["node", "main.js"])
            try run.file("main.js", script)
            let result = try run.run()
            #expect(result.output == "fine child\n", result.summary)
        }

        @Test(arguments: Mode.allCases) func debugger(_ mode: Mode) throws {
            guard isInstalled("gdb"), isInstalled("gcc") else { return }
            let run = try CordonRun(
                mode,
                shell:
                    "gcc -g -o p p.c && gdb -q -nx -batch -ex 'break answer' -ex run -ex 'print n' -ex bt -ex finish ./p 2>&1"
            )
            try run.file("p.c", "int answer(int n) { return n + 1; }\nint main(void) { return answer(41); }\n")
            let result = try run.run()
            #expect(result.output.contains("$1 = 41"), "\(result.output)")
            #expect(result.output.contains("Value returned is $2 = 42"), "\(result.output)")
        }

        @Test(arguments: Mode.allCases) func smallTools(_ mode: Mode) throws {
            let script = """
                set -e
                ps aux | grep -q 'ps aux'; [ "$(ps -e -o pid= | wc -l)" -lt 12 ]; free -m | grep -q Mem; uptime > /dev/null
                nproc > /dev/null; getconf PAGESIZE > /dev/null; locale > /dev/null; id -un; hostname; whoami
                TZ=Asia/Tokyo date +%Z; TZ=UTC date +%Z; date > /dev/null; df -h / > /dev/null; mount > /dev/null
                mktemp > /dev/null; tar cf - /etc/ssl 2> /dev/null | gzip | wc -c > /dev/null; find . -name x; sort < /etc/passwd > /dev/null
                grep -c processor /proc/cpuinfo > /dev/null; head -1 /proc/stat > /dev/null; cat /proc/meminfo > /dev/null
                awk 'BEGIN { print 6 * 7 }'; echo 'x' | sed s/x/y/; seq 3 | xargs -P 3 -n 1 echo > /dev/null; timeout 5 true; nice true
                bash -c 'diff <(echo a) <(echo a)'; bash -c 'coproc cat; echo hi >&${COPROC[1]}; read -u ${COPROC[0]} x; echo $x'
                ls -l /dev/null /dev/stdin /dev/fd/0 > /dev/null; echo x > /dev/null; head -c 4 /dev/urandom | wc -c; tty || true
                script -qc 'echo in-a-terminal' /dev/null; test -w /tmp; test -w $HOME; test ! -w /usr; umask
                """
            let result = try CordonRun(mode, shell: script).run()
            let lines = result.output.replacingOccurrences(of: "\r", with: "").split(separator: "\n").map(String.init)
            #expect(
                lines == [
                    "cordon", "cordon", "cordon", "JST", "UTC", "42", "y", "hi", "4", "not a tty", "in-a-terminal",
                    "0022",
                ], "\(lines) \(result.summary.rawValue)")
        }

        /// A locale and a time zone that the caller has pass through.
        @Test func language() throws {
            var run = try CordonRun(shell: "echo $LANG; date +%Z; printf 'ü' | wc -m")
            run.environment = ["LANG": "C.UTF-8", "LC_ALL": "C", "TZ": "America/New_York"]
            let result = try run.run()
            #expect(result.output.hasPrefix("C.UTF-8\n"), result.summary)
            #expect(result.output.hasSuffix("1\n"), result.summary)
        }

        /// Computation in the strict preset.
        @Test func pure() throws {
            guard isInstalled("python3") else { return }
            let script = "import math, json, re, decimal; print(json.dumps(math.factorial(20)))"
            let result = try CordonRun(["/usr/bin/python3", "-c", script], options: ["--policy", "preset:pure"]).run()
            #expect(result.output == "2432902008176640000\n", result.summary)
            let shell = try CordonRun(
                shell: "seq 10 | sort -n | awk '{ s += $1 } END { print s }'", options: ["--policy", "preset:pure"])
            #expect(try shell.run().output == "55\n")
        }

        @Test(arguments: ["agent", "build", "ci", "pure", "readonly"]) func presets(_ name: String) throws {
            let result = try CordonRun(shell: "echo fine", options: ["--policy", "preset:" + name]).run()
            #expect(result.output == "fine\n", result.summary)
        }
    }
}
