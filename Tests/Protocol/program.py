"""`cordon session`, as its user calls it."""
import json
import os
import signal
import subprocess

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
                  for one in ("new", "exec", "ls", "inspect", "rm")), ["approve", "--help"], ["deny", "--help"]):
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
