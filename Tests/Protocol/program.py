"""`cordon session`, as its user calls it."""
import fcntl
import json
import os
import select
import signal
import subprocess
import termios
import time

from cases import case, equal
from world import BIN, OPEN_POLICY, descendants, is_alive, processes, until


def call(world, *arguments, input=None, **options):
    done = subprocess.run([os.path.join(BIN, "cordon"), *arguments], env=world.environment, capture_output=True,
                          cwd=options.pop("cwd", world.workspace), timeout=40,
                          **({"input": input} if input is not None else {"stdin": subprocess.DEVNULL}), **options)
    return done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode(errors="replace")


def new(world, *arguments):
    code, out, error = call(world, "session", "new", "--policy", world.policy(OPEN_POLICY), *arguments)
    equal(code, 0, error)
    return out.strip()


@case
def new_ls_inspect_rm(world):
    equal(call(world, "session", "ls")[0], 0)
    session = new(world, "--name", "work")
    code, out, _ = call(world, "session", "ls")
    assert code == 0 and session in out and "work" in out and world.workspace in out, out
    listed = json.loads(call(world, "session", "ls", "--json")[1])["sessions"]
    equal([(one["id"], one["name"]) for one in listed], [(session, "work")])
    seen = json.loads(call(world, "session", "inspect", "work")[1])
    equal((seen["id"], seen["state"]), (session, "open"))
    made = json.loads(call(world, "session", "new", "--json", "--memory", "100M", "--pids", "20", "--idle", "1h")[1])
    assert made["session"]["id"] != session and "ns.user" in made["enforced"]
    equal(call(world, "session", "new", "--name", "work")[0], 125)
    equal(call(world, "session", "rm", "work")[0], 0)
    equal(call(world, "session", "rm", "work")[0], 125)
    new(world)
    equal(call(world, "session", "rm", "--all")[0], 0)
    equal(json.loads(call(world, "session", "ls", "--json")[1])["sessions"], [])
    equal(call(world, "session", "inspect", "work")[0], 125)
    for wrong in (["nonsense"], ["new", "extra"], ["new", "--nonsense"], ["exec"], ["exec", "x"], ["rm"],
                  ["rm", "--all", "x"],
                  ["inspect"], ["inspect", "a", "b"], ["ls", "x"], ["exec", "--timeout", "x", "s", "--", "true"]):
        code, _, error = call(world, "session", *wrong)
        assert code == 125 and error.startswith("cordon: "), (wrong, code, error)


@case
def exit_codes(world):
    session = new(world, "--name", "s")
    hog = ["python3", "-c", "x = bytearray(300 << 20)"]
    for words, code in ((["true"], 0), (["sh", "-c", "exit 7"], 7), (["sh", "-c", "exit 255"], 255), (["nowhere"], 127),
                        (["/nowhere/x"], 127), ([world.workspace], 126), (["sh", "-c", "kill -TERM $$"], 143),
                        (["sh", "-c", "kill -SEGV $$"], 139), (["sh", "-c", "kill -KILL $$"], 137)):
        equal(call(world, "session", "exec", "s", "--", *words)[0], code, str(words))
    equal(call(world, "session", "exec", "--timeout", "100ms", session, "--", "sleep", "60")[0], 124)
    equal(call(world, "session", "exec", "--memory", "50M", session, "--", *hog)[0], 137)
    equal(call(world, "session", "exec", "nobody", "--", "true")[0], 125)
    equal(call(world, "session", "exec", "--cwd", "/etc", "s", "--", "true")[0], 125)
    policy = world.policy(OPEN_POLICY + '[[command]]\nid = "no"\nargv = ["touch", "..."]\ndecision = "deny"\n')
    equal(call(world, "session", "new", "--policy", policy, "--name", "strict")[0], 0)
    code, _, error = call(world, "session", "exec", "strict", "--", "touch", "x")
    equal((code, "denied" in error), (126, True))
    report = json.loads(call(world, "session", "exec", "--json", "strict", "--", "touch", "x")[1])
    equal((report["reason"], report["denials"][0]["decision"]), ("denied", "deny"))


@case
def streams_of_exec(world):
    new(world, "--name", "s")
    data = os.urandom(3_000_000)
    done = subprocess.run([os.path.join(BIN, "cordon"), "session", "exec", "s", "--", "cat"],
                          env=world.environment, input=data, capture_output=True, timeout=40)
    equal((done.returncode, done.stdout == data), (0, True), done.stderr)
    equal(call(world, "session", "exec", "s", "--", "sh", "-c", "cat; echo err >&2", input=b"in\n"),
          (0, "in\n", "err\n"))
    with open(world.path("in"), "wb") as file:
        file.write(data)
    with open(world.path("in"), "rb") as file:
        done = subprocess.run([os.path.join(BIN, "cordon"), "session", "exec", "s", "--", "sha256sum"],
                              env=world.environment, stdin=file, capture_output=True, timeout=40)
    import hashlib
    equal(done.stdout.split()[0].decode(), hashlib.sha256(data).hexdigest())
    code, out, _ = call(world, "session", "exec", "--env", "A=b", "--cwd", ".", "s", "--", "sh", "-c", "echo $A; pwd")
    equal((code, out), (0, f"b\n{world.workspace}\n"))
    report = json.loads(call(world, "session", "exec", "--json", "s", "--", "sh", "-c", "seq 200000; exit 3")[1])
    equal((report["exit_code"], report["stdout_truncated"]), (3, False))
    equal(report["stdout"], "".join(f"{n}\n" for n in range(1, 200001)))
    # Standard input that never ends, a command that reads none or little of it.
    for words in (["true"], ["head", "-c", "10"], ["sh", "-c", "exec <&-; exit 5"]):
        for _ in range(10):
            reader = subprocess.Popen(["yes"], stdout=subprocess.PIPE)
            done = subprocess.run([os.path.join(BIN, "cordon"), "session", "exec", "s", "--", *
    words], env=world.environment, stdin=reader.stdout, capture_output=True, timeout=20)
            reader.stdout.close()
            reader.wait()
            equal((done.returncode, done.stderr), (5 if words[0] == "sh" else 0, b""), str(words))
    # Who reads the output stops.
    done = subprocess.run(["bash", "-c", f"{BIN}/cordon session exec s -- yes | head -n 1; echo ${{PIPESTATUS[0]}}"],
                          env=world.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    equal(done.stdout, "y\n141\n", done.stderr)


@case
def background_commands(world):
    new(world, "--name", "s")
    code, out, _ = call(world, "session", "exec", "-d", "s", "--", "sh", "-c", "sleep 4731 & echo x")
    equal((code, out), (0, "1\n"))
    until(lambda: call(world, "session", "exec", "s", "--", "pgrep", "sleep")[0] == 0, "it goes on")


@case
def signals(world):
    new(world, "--name", "s")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        text = f"trap 'echo caught; exit 9' {number.name[3:]}; echo ready; while :; do sleep 0.01; done"
        running = world.cordon("session", "exec", "s", "--", "bash", "-c", text, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
        equal(running.stdout.readline(), b"ready\n")
        running.send_signal(number)
        equal((running.stdout.read(), running.wait(10)), (b"caught\n", 9), number.name)
        running = world.cordon("session", "exec", "s", "--", "sleep", "4732", stderr=subprocess.DEVNULL)
        until(lambda: call(world, "session", "exec", "s", "--", "pgrep", "-f", "4732")[0] == 0, "it runs")
        running.send_signal(number)
        equal(running.wait(10), 128 + number, number.name)
    # The client is killed: its command goes too.
    running = world.cordon("session", "exec", "s", "--", "sleep", "4733")
    until(lambda: call(world, "session", "exec", "s", "--", "pgrep", "-f", "4733")[0] == 0, "it runs")
    running.kill()
    running.wait()
    until(lambda: call(world, "session", "exec", "s", "--", "pgrep", "-f", "4733")[0] == 1, "it ends with its client")


@case
def two_starts_at_once(world):
    """The first call of several starts one supervisor, and all use it."""
    calls = [
    world.cordon(
        "session",
        "new",
        "--policy",
        world.policy(OPEN_POLICY),
         stdout=subprocess.PIPE) for _ in range(5)]
    ids = {one.communicate(timeout=30)[0].decode().strip() for one in calls}
    equal(len(ids), 5)
    listed = json.loads(call(world, "session", "ls", "--json")[1])["sessions"]
    equal({one["id"] for one in listed}, ids)


@case
def a_supervisor_that_was_killed(world):
    session = new(world, "--name", "old")
    pid = world.shared_supervisor()
    everything = processes()
    world.seen |= {one for one in descendants(pid, everything)} | {pid}
    os.kill(pid, signal.SIGKILL)
    until(lambda: not [one for one in world.seen if is_alive(one)], "everything dies with it", 3)
    other = new(world, "--name", "new")
    assert other != session
    listed = {one["id"]: one["state"] for one in json.loads(call(world, "session", "ls", "--json")[1])["sessions"]}
    equal(listed, {session: "interrupted", other: "open"})
    equal(call(world, "session", "exec", "old", "--", "true")[0], 125)
    equal(call(world, "session", "rm", "--all")[0], 0)
    equal(json.loads(call(world, "session", "ls", "--json")[1])["sessions"], [])


@case
def help_is_there(world):
    for words in (["session", "--help"], *(["session", one, "--help"]
                  for one in ("new", "exec", "attach", "ls", "inspect", "ps", "logs", "wait", "kill", "reopen", "rm")), ["approve", "--help"], ["deny", "--help"]):
        code, out, error = call(world, *words)
        assert code == 0 and "usage: cordon" in out and error == "", words
    out = call(world, "help", "session")[1]
    assert "cordon session new" in out or "session exec" in out, "cordon help session says nothing of sessions"


@case
def variables_of_the_caller(world):
    """A session passes on the variables of who makes it, not those of who first started the supervisor."""
    policy = world.policy(OPEN_POLICY + '[env]\npass = ["MINE", "A_TOKEN"]\nmask = ["*_TOKEN"]\n')
    show = ["sh", "-c", "echo $MINE $A_TOKEN $OTHER"]

    def named(name, **variables):
        environment = {**world.environment, **variables}
        done = subprocess.run([os.path.join(BIN, "cordon"), "session", "new", "--policy", policy, "--name", name],
                              env=environment, capture_output=True, text=True, cwd=world.workspace, timeout=40,
                              stdin=subprocess.DEVNULL)
        return done.returncode, done.stderr

    equal(named("first", MINE="one", A_TOKEN="first-secret", OTHER="x")[0], 0)
    equal(named("second", MINE="two")[0], 0)
    equal(call(world, "session", "exec", "first", "--", *show)[1], "one [masked]\n")
    equal(call(world, "session", "exec", "second", "--", *show)[1], "two\n")
    # All of it goes in one frame, or it is said why not.
    equal(named("large", MINE="three", **{f"LARGE_{n}": "x" * 100_000 for n in range(8)})[0], 0)
    equal(call(world, "session", "exec", "large", "--", *show)[1], "three\n")
    code, error = named("huge", MINE="x", **{f"LARGE_{n}": "x" * 100_000 for n in range(12)})
    assert code == 125 and "too large" in error and "LARGE_" in error, (code, error)


@case
def no_input_is_no_input(world):
    """Without input an interpreter's rule need not be `interactive`."""
    policy = world.policy('version = 1\nextends = ["preset:agent"]\n[defaults]\ncommand = "deny"\njailed = "deny"\n'
                          '[[command]]\nid = "shell"\nargv = ["bash", "x.sh"]\ndecision = "allow"\n')
    with open(world.inside("x.sh"), "w") as file:
        file.write("read line; echo got $line\n")
    equal(call(world, "session", "new", "--policy", policy, "--name", "s")[0], 0)
    for words in (["session", "exec", "s"], ["run", "--policy", policy]):
        equal(call(world, *words, "--", "bash", "x.sh")[:2], (0, "got\n"), str(words))
        code, out, error = call(world, *words, "--", "bash", "x.sh", input=b"x\n")
        assert (code, out) == (126, "") and "interactive" in error, (words, code, out, error)


def at_terminal(world, *arguments, keys=(), environment=None):
    """A run of `cordon` on a terminal of its own, which sees `keys` one after the other: what is waited for, and what is then
    typed or done. Answers its exit code, what was shown, and its settings before and after."""
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)

    def take_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    shown = b""

    def look(wanted=None):
        nonlocal shown
        while wanted is None or wanted not in shown:
            if not select.select([master], [], [], 0.05 if wanted is None else 20)[0]:
                assert wanted is None, (wanted, shown)
                return
            try:
                shown += os.read(master, 65536)
            except OSError:
                return

    running = world.cordon(*arguments, stdin=slave, stdout=slave, stderr=slave, preexec_fn=take_terminal,
                           **({"env": environment} if environment else {}))
    try:
        for wanted, key in keys:
            look(wanted)
            if callable(key):
                key(running, master)
            else:
                os.write(master, key)
        end = time.monotonic() + 20
        while running.poll() is None:
            assert time.monotonic() < end, ("it does not end", shown)
            look()
        look()
        after = termios.tcgetattr(slave)
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
        os.close(slave)
        os.close(master)
    return running.returncode, shown.decode(errors="replace"), before == after


@case
def commands_that_were_left_running(world):
    new(world, "--name", "s")
    os.mkfifo(world.inside("fifo"))
    text = "echo one; echo err >&2; read x < fifo; echo two; exit 7"
    equal(call(world, "session", "exec", "-d", "s", "--", "bash", "-c", text)[1], "1\n")
    code, out, _ = call(world, "session", "ps", "s")
    lines = out.splitlines()
    assert code == 0 and lines[0].split() == ["NUMBER", "KIND", "STATE", "TIME", "COMMAND"], out
    assert lines[1].split()[:2] == ["1", "command"] and "bash -c 'echo one" in lines[1], out
    until(lambda: call(world, "session", "logs", "s", "1") == (0, "one\n", ""), "its output")
    until(lambda: call(world, "session", "logs", "--stderr", "s", "1") == (0, "err\n", ""), "its errors")
    following = world.cordon("session", "logs", "--follow", "s", "1", stdout=subprocess.PIPE)
    waiting = world.cordon("session", "wait", "s", "1")
    equal(following.stdout.readline(), b"one\n")
    equal((following.poll(), waiting.poll()), (None, None))
    with open(world.inside("fifo"), "w") as file:
        file.write("\n")
    equal((following.communicate(timeout=10)[0], following.returncode, waiting.wait(10)), (b"two\n", 0, 7))
    report = call(world, "session", "wait", "--json", "s", "1")
    equal((report[0], json.loads(report[1])["stdout"]), (7, "one\ntwo\n"))
    equal(call(world, "session", "exec", "-d", "s", "--", "sleep", "4741")[1], "2\n")
    equal(call(world, "session", "exec", "-d", "s", "--", "sleep", "4742")[1], "3\n")
    listed = {one["command"]: one for one in json.loads(call(world, "session", "ps", "--json", "s")[1])["commands"]}
    equal((listed[1]["exit_code"], listed[2]["argv"]), (7, ["sleep", "4741"]))
    equal(call(world, "session", "kill", "s", "2"), (0, "", ""))
    equal(call(world, "session", "wait", "s", "2")[::2], (137, "cordon: killed by SIGKILL\n"))
    equal(call(world, "session", "kill", "--signal", "TERM", "s", "3"), (0, "", ""))
    equal(call(world, "session", "wait", "s", "3")[::2], (143, "cordon: killed by SIGTERM\n"))
    assert "SIGTERM" in call(world, "session", "ps", "s")[1]
    for words in (["logs", "s", "99"], ["wait", "s", "99"], ["kill", "s", "99"]):
        code, _, error = call(world, "session", *words)
        assert code == 125 and "no command 99" in error, (words, code, error)
    for words in (["ps"], ["logs", "s"], ["wait", "s", "x"], ["kill", "s", "0"], ["kill", "--signal", "NO", "s", "1"]):
        code, _, error = call(world, "session", *words)
        assert code == 125 and error.startswith("cordon: "), (words, code, error)
    assert "--signal" in call(world, "session", "kill", "--signal", "NO", "s", "1")[2]
    assert call(world, "session", "logs", "s", "1", input=b"")[0] == 0
    with open("/dev/full", "w") as full:
        done = world.cordon("session", "logs", "s", "1", stdout=full, stderr=subprocess.PIPE)
        error = done.communicate(timeout=10)[1]
    assert done.returncode == 125 and b"ENOSPC" in error, (done.returncode, error)


@case
def terminals_that_were_left(world):
    new(world, "--name", "s")
    start = ["session", "attach", "s", "--", "bash", "--norc", "-c", "echo ready; read x; echo got $x; exit 5"]
    code, shown, same = at_terminal(world, *start, keys=[(b"ready", lambda one, _: one.terminate())])
    assert code == 143 and "terminal 1 goes on" in shown and "cordon session attach --terminal 1 s" in shown, shown
    assert same and "\\x" not in shown, shown
    assert call(world, "session", "ps", "s")[1].splitlines()[1].split()[:3] == ["1", "terminal", "running"]
    assert call(world, "session", "logs", "s", "1")[1].startswith("ready")
    code, shown, same = at_terminal(world, "session", "attach", "--terminal", "1", "s", keys=[(b"ready", b"\x1d")])
    assert code == 0 and "cordon session attach --terminal 1 s" in shown and same, shown
    code, shown, same = at_terminal(world, "session", "attach", "--terminal", "1", "s", keys=[(b"ready", b"it\r")])
    assert code == 5 and "got it" in shown and same, (code, shown)
    equal(call(world, "session", "wait", "s", "1")[0], 5)
    # What there is not, is said on lines that begin where lines do.
    code, shown, same = at_terminal(world, "session", "attach", "--terminal", "99", "s")
    assert code == 125 and "\ncordon: no terminal 99" in shown and "\\x" not in shown and same, (code, shown)
    code, shown, _ = at_terminal(world, "session", "attach", "s", "--", "nowhere")
    assert code == 127 and "execve nowhere: ENOENT" in shown, (code, shown)
    code, shown, _ = at_terminal(world, "session", "attach", "s", "--", "bash", "-c", "trap '' HUP; sleep 4743",
                                 keys=[(b"", lambda *_: kill_terminal(world))])
    assert code == 137 and "killed by SIGKILL" in shown, (code, shown)


def kill_terminal(world):
    """Ends the last terminal of session `s`, as soon as there is one that runs."""
    def running():
        listed = json.loads(call(world, "session", "ps", "--json", "s")[1])["terminals"]
        return [one["terminal"] for one in listed if one["state"] == "running"]
    until(running, "a terminal runs")
    equal(call(world, "session", "kill", "s", str(running()[-1]))[0], 0)


@case
def reopening(world):
    session = new(world, "--name", "old")
    pid = world.shared_supervisor()
    world.seen |= {one for one in descendants(pid, processes())} | {pid}
    os.kill(pid, signal.SIGKILL)
    until(lambda: not [one for one in world.seen if is_alive(one)], "everything dies with it", 3)
    equal(call(world, "session", "ps", "old")[0], 0)
    equal(call(world, "session", "reopen", "old")[:2], (0, session + "\n"))
    equal(call(world, "session", "exec", "old", "--", "echo", "again")[:2], (0, "again\n"))
    equal(call(world, "session", "reopen", "nobody")[0], 125)
    equal(call(world, "session", "reopen")[0], 125)


@case
def messages_of_several_lines(world):
    """Each line is one, and is made harmless by itself."""
    policy = world.policy(OPEN_POLICY + 'wrong = 1\n\n[nonsense]\nx = 1\n')
    code, _, error = call(world, "session", "new", "--policy", policy)
    assert code == 125 and "\\u{a}" not in error and error.count("cordon: ") > 1, error
    assert all(line.startswith("cordon: ") for line in error.splitlines()), error


@case
def who_ignores_the_end(world):
    """As `cordon run` does: a command that does not end is ended."""
    new(world, "--name", "s")
    text = "trap '' TERM; echo ready; while :; do sleep 0.05; done"

    def start(*more):
        running = world.cordon("session", "exec", *more, "s", "--", "bash", "-c", text, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
        if not more:
            equal(running.stdout.readline(), b"ready\n")
        return running

    running = start()
    running.terminate()
    try:
        running.wait(0.5)
        raise AssertionError("it did not get its time")
    except subprocess.TimeoutExpired:
        pass
    began = time.monotonic()
    running.terminate()
    equal((running.communicate(timeout=4)[1], running.returncode), (b"cordon: killed by SIGTERM\n", 143))
    assert time.monotonic() - began < 2
    running = start()
    running.terminate()
    equal((running.communicate(timeout=15)[1], running.returncode), (b"cordon: killed by SIGTERM\n", 143))
    for number in json.loads(call(world, "session", "ps", "--json", "s")[1])["commands"]:
        assert number["state"] == "ended", number
    code, shown, _ = at_terminal(
        world, "session", "exec", "s", "--", "bash", "-c", "trap '' INT; echo ready; while :; do sleep 0.05; done",
        keys=[(b"ready", insist)])
    assert code == 130 and "killed by SIGINT" in shown, (code, shown)


def insist(running, master):
    """Presses Ctrl-C again and again."""
    for _ in range(50):
        os.write(master, b"\x03")
        try:
            return running.wait(0.2)
        except subprocess.TimeoutExpired:
            pass


@case
def output_that_cannot_be_written(world):
    new(world, "--name", "s")
    for number, name, text in ((1, b"standard output", "echo x; sleep 0.2; echo y"),
                               (2, b"", "echo x >&2")):
        with open("/dev/full", "w") as full:
            streams = {"stdout": full, "stderr": subprocess.PIPE} if number == 1 else {
                "stdout": subprocess.PIPE, "stderr": full}
            running = world.cordon("session", "exec", "s", "--", "sh", "-c", text, **streams)
            said = running.communicate(timeout=20)[1] or b""
        equal(running.returncode, 125, said)
        assert number == 2 or (b"ENOSPC" in said and name in said), said
    with open("/dev/full", "w") as full:
        equal(world.cordon("session", "exec", "--json", "s", "--", "true", stdout=full,
                           stderr=subprocess.DEVNULL).wait(20), 125)


@case
def denials_and_what_is_not_there(world):
    """Session and run say the same of them."""
    rule = '[[command]]\nid = "no"\nargv = ["touch", "..."]\ndecision = "deny"\nreason = "no touching"\n'
    ask = '[[command]]\nid = "maybe"\nargv = ["factor", "..."]\ndecision = "ask"\n'
    policy = world.policy(OPEN_POLICY + rule + ask)
    equal(call(world, "session", "new", "--policy", policy, "--name", "s")[0], 0)
    told = call(world, "run", "--policy", policy, "--", "touch", "x")
    equal(call(world, "session", "exec", "s", "--", "touch", "x"), told)
    assert told[0] == 126 and policy + ":" in told[2], told
    code, shown, _ = at_terminal(world, "session", "attach", "s", "--", "touch", "x")
    assert code == 126 and "denied: no: no touching" in shown and policy + ":" in shown, (code, shown)
    code, _, error = call(world, "session", "exec", "-d", "s", "--", "touch", "x")
    equal((code, error), (126, told[2]))
    code, _, error = call(world, "session", "exec", "s", "--", "factor", "1")
    assert code == 126 and error.startswith("cordon: not approved: ") and "denied" not in error, error
    code, _, error = call(world, "session", "exec", "s", "--", "nowhere")
    assert code == 127 and "execve nowhere: ENOENT (No such file or directory)" in error, error


@case
def a_supervisor_that_does_not_answer(world):
    new(world, "--name", "s")
    pid = world.shared_supervisor()
    os.kill(pid, signal.SIGSTOP)
    try:
        waiting = world.cordon("session", "ls", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = waiting.stderr.readline().decode()
        assert "does not answer" in line and world.path("runtime", "cordon", "sessions.sock") in line, line
        left = world.cordon("session", "ls", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert b"does not answer" in left.stderr.readline()
        left.send_signal(signal.SIGINT)
        equal((left.communicate(timeout=5)[1], left.returncode), (b"", -signal.SIGINT))
    finally:
        os.kill(pid, signal.SIGCONT)
    out, error = waiting.communicate(timeout=10)
    assert waiting.returncode == 0 and b"work" not in error and b" s " in out, (out, error)
    # What takes long is no silence.
    equal(call(world, "session", "exec", "-d", "s", "--", "sleep", "3")[0], 0)
    equal(call(world, "session", "wait", "s", "1"), (0, "", ""))


@case
def runtime_directories(world):
    """One that is not there, or others can write to, is none."""
    def listing(runtime):
        environment = {**world.environment, "XDG_RUNTIME_DIR": runtime}
        done = subprocess.run([os.path.join(BIN, "cordon"), "session", "ls"], env=environment, capture_output=True,
                              text=True, cwd=world.workspace, timeout=40, stdin=subprocess.DEVNULL)
        return done.returncode, done.stderr

    os.mkdir(world.path("open"))
    os.chmod(world.path("open"), 0o777)
    for runtime, why in ((world.path("nosuch"), "is not there"), (world.path("open"), "can be written by others")):
        code, error = listing(runtime)
        assert code == 0 and why in error and runtime in error, (code, error)
    assert not os.path.exists(world.path("nosuch")) and os.listdir(world.path("open")) == []
    assert os.path.exists(world.path("state", "cordon", "run", "sessions.sock"))
    pid = None
    for one in processes():
        try:
            with open(f"/proc/{one}/cmdline", "rb") as file:
                if world.path("state", "cordon", "run", "sessions.sock").encode() in file.read():
                    pid = one
        except OSError:
            pass
    if pid:
        world.seen |= {pid}
        os.kill(pid, signal.SIGTERM)
        until(lambda: not is_alive(pid), "it ends")


@case
def mistakes_name_options(world):
    for words, option in ((["new", "--name", ""], "--name"), (["new", "--idle", "0s"], "--idle"),
                          (["new", "--memory", "0"], "--memory"), (["exec", "--pids", "0", "s", "--", "true"], "--pids"),
                          (["new", "--timeout", "0s"], "--timeout"), (["new", "--idle", "9000000h"], "--idle")):
        code, _, error = call(world, "session", *words)
        assert code == 125 and error.startswith("cordon: " + option) and "_ms" not in error, (words, code, error)


@case
def helps_of_every_command(world):
    for word in ("run", "policy", "session", "approve", "deny", "audit", "doctor", "completion"):
        code, out, error = call(world, "help", word)
        equal((code, error), (0, ""), word)
        name = "approve" if word == "deny" else word
        assert out.startswith(f"cordon {name}"), (word, out[:80])
        equal(call(world, word, "--help"), (code, out, error), word)
    for words in (["help", "nonsense"], ["help", "session", "nonsense"]):
        code, out, error = call(world, *words)
        assert code == 125 and out == "" and error.startswith("cordon: unknown command"), (words, code, out, error)


@case
def run_at_a_terminal_is_ended(world):
    policy = world.policy(OPEN_POLICY)
    code, shown, same = at_terminal(world, "run", "-it", "--policy", policy, "--", "bash", "--norc", "-i",
                                    keys=[(b"$ ", b"echo rea''dy\r"), (b"ready", lambda one, _: one.terminate())])
    assert code == 143 and "killed by SIGTERM" in shown and same, (code, shown)


@case
def where_the_audit_log_is(world):
    new(world, "--name", "s")
    environment = {**world.environment, "CORDON_SOCKET": "/run/cordon/cordon.sock"}
    done = subprocess.run([os.path.join(BIN, "cordon"), "audit", "tail"], env=environment, capture_output=True, text=True,
                          timeout=40, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and f"/var/lib/cordon/{os.geteuid()}" in done.stderr, done
    equal(call(world, "audit", "tail")[2], "")
