"""Commands: what PROTOCOL.md says of them, sentence by sentence."""
import base64
import os
import signal
import time

from cases import case, equal, refused, refuses
from cordon_client import DATA, END, RpcFailure
from frames import started
from sessions import processes_named
from world import OPEN_POLICY, descriptors, resident, until

ASKING = """version = 1
extends = ["preset:agent"]
[defaults]
command = "ask"
jailed = "ask"
"""


def ended(client, session, command):
    return until(lambda: (lambda one: one if one["state"] == "ended" else None)(
        client.call("command.status", session=session, command=command)), "it ends")


@case
def reports(world):
    client = world.stdio()
    session = client.open_session()
    report = client.shell(session, "echo out; echo err >&2; exit 7")
    equal((report["exit_code"], report["signal"], report["reason"], report["stdout"],
          report["stderr"], report["error"]), (7, None, "exited", "out\n", "err\n", None))
    for name in (
    "duration_ms",
    "cpu_ms",
    "max_memory_bytes",
    "max_pids",
    "oom_kills",
    "pids_denied",
    "enforced",
    "degraded",
    "denials",
    "stdout_truncated",
    "stderr_encoding",
     "io_read_bytes"):
        assert name in report, name
    report = client.run(session, "sh", "-c", "kill -TERM $$")
    equal((report["exit_code"], report["signal"], report["reason"]), (None, 15, "signaled"))
    report = client.run(session, "printf", "\\377\\376")
    equal((report["stdout_encoding"], base64.b64decode(report["stdout"])), ("base64", b"\xff\xfe"))
    report = client.run(session, "nowhere-to-be-found")
    equal((report["reason"], report["error"]["errno"]), ("error", "ENOENT"))
    report = client.run(session, world.workspace)
    equal((report["reason"], report["error"]["errno"]), ("error", "EACCES"))
    numbers = [client.run(session, "true")["command"] for _ in range(3)]
    equal(numbers, list(range(numbers[0], numbers[0] + 3)))
    report = client.shell(session, "seq 100000", inline=1000)
    assert report["stdout_truncated"] and len(report["stdout"].encode()) <= 1100
    assert report["stdout"].startswith("1\n2\n") and report["stdout"].endswith("100000\n")
    equal(client.run(session, "echo", "x", inline=0)["stdout"], "")


@case
def strings_and_words(world):
    client = world.stdio()
    session = client.open_session()
    equal(client.run(session, "echo", "$HOME", "a  b", "*", "")["stdout"], "$HOME a  b * \n")
    equal(
    client.call(
        "command.run",
        session=session,
        command="echo 'a  b'; echo $((6*7)) | cat")["stdout"],
         "a  b\n42\n")
    single = client.call("command.run", session=session, command="echo 'a  b'")
    equal(single["stdout"], "a  b\n")
    status = client.call("command.status", session=session, command=single["command"])
    equal(status["argv"][0].rsplit("/")[-1], "echo", "a single simple command is started without a shell")
    status = client.call("command.status", session=session, command=client.call(
        "command.run", session=session, command="echo a; echo b")["command"])
    equal(status["argv"], ["bash", "--noprofile", "--norc", "-c", "echo a; echo b"])
    with open(world.inside(".bashrc"), "w") as file:
        file.write("echo started\n")
    equal(client.call("command.run", session=session, command="echo a; true")["stdout"], "a\n")


@case
def input_of_commands(world):
    client = world.stdio()
    session = client.open_session()
    equal(client.run(session, "cat", input="text ä\n")["stdout"], "text ä\n")
    equal(
    client.run(
        session,
        "od",
        "-An",
        "-tx1",
        input_base64=base64.b64encode(b"\0\xff").decode())["stdout"],
         " 00 ff\n")
    equal(client.run(session, "cat")["stdout"], "", "without input there is an end")
    equal(client.run(session, "cat", input="")["stdout"], "")
    equal(client.run(session, "wc", "-c", input="x" * 900_000)["stdout"], "900000\n")
    equal(client.run(session, "true", input="x" * 900_000)["exit_code"], 0, "input that nobody reads")


@case
def input_by_write(world):
    client = world.stdio()
    session = client.open_session()
    command = client.call("command.start", session=session, argv=["cat"], stdin="open")["command"]
    equal(client.call("command.write", session=session, command=command, data="one\n"), {"written": 4})
    equal(client.call("command.write", session=session, command=command, data_base64="AP8="), {"written": 2})
    refuses("invalid_params", client, "command.write", session=session, command=command, data="x", data_base64="eA==")
    equal(client.call("command.write", session=session, command=command, close=True), {"written": 0})
    report = client.call("command.wait", session=session, command=command)
    equal(base64.b64decode(report["stdout"]), b"one\n\0\xff")
    refuses("ended", client, "command.write", session=session, command=command, data="x")
    command = client.call("command.start", session=session, argv=["sleep", "100"])["command"]
    refuses("ended", client, "command.write", session=session, command=command, data="x")
    command = client.call("command.start", session=session, argv=["sleep", "100"], stdin="open")["command"]
    client.call("command.write", session=session, command=command, close=True)
    refuses("ended", client, "command.write", session=session, command=command, data="x")


@case
def writes_keep_their_order(world):
    client = world.stdio()
    session = client.open_session()
    command = client.start_shell(session, "kill -STOP $$; tr -s ABC", stdin="open")
    numbers = [client.request("command.write", session=session, command=command, data="A" * 1_000_000),
               client.request("command.write", session=session, command=command, data="B" * 200_000),
               client.request("command.write", session=session, command=command, data="C" * 10, close=True)]
    client.call("health")
    client.call("command.kill", session=session, command=command, signal="CONT")
    equal([client.wait(number)["written"] for number in numbers], [1_000_000, 200_000, 10])
    equal(client.call("command.wait", session=session, command=command, deadline_ms=10_000)["stdout"], "ABC")


@case
def ten_megabytes_to_a_slow_reader(world):
    client = world.stdio()
    session = client.open_session()
    command = client.call("command.start", session=session, stdin="open", argv=[
        "python3", "-c", "import os, time, hashlib\nh = hashlib.sha256(); n = 0\n"
        "while b := os.read(0, 300000):\n  h.update(b); n += len(b); time.sleep(0.001)\n"
        "print(n, h.hexdigest())"])["command"]
    import hashlib
    piece, digest = os.urandom(375_000), hashlib.sha256()
    text = base64.b64encode(piece).decode()
    numbers = []
    for _ in range(28):
        digest.update(piece)
        numbers.append(client.request("command.write", session=session, command=command, data_base64=text))
    for number in numbers:
        equal(client.wait(number)["written"], len(piece))
    client.call("command.write", session=session, command=command, close=True)
    report = client.call("command.wait", session=session, command=command)
    equal(report["stdout"], f"{28 * len(piece)} {digest.hexdigest()}\n")


@case
def ten_megabytes_by_stream(world):
    import hashlib
    client = world.stdio()
    session = client.open_session()
    number, streams, _ = started(client, session, "sha256sum", stdin="open")
    stream = streams["stdin"]
    data = os.urandom(10_000_000)
    sent, credit = 0, 262144
    while sent < len(data):
        credit = client.credits.get(stream, 262144) - sent
        assert sent + credit <= sent + 262144, "more credit than the window"
        if credit == 0:
            client.step()
            continue
        part = data[sent:sent + min(credit, 1 << 20)]
        client.send_frame(DATA, stream, part)
        sent += len(part)
    client.send_frame(END, stream, b"")
    equal(client.wait(number)["stdout"].split()[0], hashlib.sha256(data).hexdigest())


@case
def output_by_stream(world):
    """100 MB with small credits: all of it, in order, never beyond what was given."""
    client = world.stdio()
    client.credit_by_itself = False
    session = client.open_session()
    size = 100_000_000
    number, streams, _ = started(client, session, "head", "-c", str(size), "/dev/zero")
    stream = streams["stdout"]
    client.give(stream, 70_000)
    given, received = 70_000, 0
    while stream not in client.ended:
        client.streams[stream] = b""
        client.step()
        count = len(client.streams[stream])
        received += count
        assert received <= given, f"{received} bytes for a credit of {given}"
        assert client.streams[stream].count(0) == count
        if count:
            client.give(stream, count)
            given += count
    equal(received, size)
    report = client.wait(number)
    equal((report["exit_code"], report["stdout_truncated"]), (0, True))


@case
def no_data_without_credit(world):
    client = world.stdio()
    client.credit_by_itself = False
    session = client.open_session()
    number, streams, command = started(client, session, "echo", "hello")
    client.wait(number)
    client.call("health")
    equal(client.streams[streams["stdout"]], b"", "data without any credit")
    client.give(streams["stdout"], 3)
    until(lambda: client.call("health") and len(client.streams[streams["stdout"]]) >= 3, "what was given comes")
    equal(client.streams[streams["stdout"]], b"hel")
    assert streams["stdout"] not in client.ended
    client.give(streams["stdout"], 100)
    equal(client.wait_end(streams["stdout"]), b"hello\n")


@case(alone=True)
def who_gives_no_credit_holds_nobody_up(world):
    _, path = world.listen()
    stingy, other = world.connect(path), world.connect(path)
    stingy.credit_by_itself = False
    session = stingy.open_session()
    for _ in range(8):
        _, streams, command = started(stingy, session, "yes")
    times = []
    for _ in range(1000):
        began = time.monotonic()
        other.call("health")
        times.append(time.monotonic() - began)
    times.sort()
    assert times[989] < 0.05, f"p99 of health is {times[989] * 1000:.1f} ms"
    before = stingy.call("command.status", session=session, command=command)["stdout_bytes"]
    for _ in range(20):
        other.run(session, "true")
    equal(
    stingy.call(
        "command.status",
        session=session,
        command=command)["stdout_bytes"],
        before,
         "it waits for credit")
    assert before <= 1 << 20, before
    stingy.socket.close()
    until(
    lambda: all(
        one["state"] == "ended" for one in other.call(
            "command.list",
            session=session)["commands"]),
             "they end")


@case
def reading(world):
    client = world.stdio()
    session = client.open_session()
    command = client.start_shell(
    session,
    "echo one; printf tw; read x; echo o; echo err >&2; read x; echo three",
     stdin="open")
    read = lambda **params: client.call("command.read", session=session, command=command, **params)  # noqa: E731
    first = read(wait_ms=10_000, lines=True)
    equal((first["data"], first["start"], first["next"], first["skipped"], first["end"]), ("one\n", 0, 4, 0, False))
    until(lambda: read(cursor=4)["data"] == "tw", "a part of a line, where lines are not asked for")
    equal(read(cursor=4, lines=True)["data"], "")
    equal(read(cursor=1, limit=2)["data"], "ne")
    began = time.monotonic()
    nothing = read(cursor=6, wait_ms=100)
    equal((nothing["data"], nothing["next"], nothing["end"]), ("", 6, False))
    assert 0.09 < time.monotonic() - began < 5
    waiting = client.request("command.read", session=session, command=command, cursor=4, lines=True, wait_ms=60_000)
    client.call("command.write", session=session, command=command, data="\n")
    equal(client.wait(waiting)["data"], "two\n")
    equal(read(stream="stderr", wait_ms=10_000)["data"], "err\n")
    waiting = client.request("command.read", session=session, command=command, cursor=8, wait_ms=60_000)
    client.call("command.write", session=session, command=command, data="\n")
    equal(client.wait(waiting)["data"], "three\n")
    last = until(lambda: (lambda one: one if one["end"] else None)(read(cursor=14, wait_ms=1000)), "the end")
    equal((last["data"], last["total"]), ("", 14))
    beyond = read(cursor=1 << 60)
    equal((beyond["data"], beyond["end"]), ("", True))
    assert beyond["next"] >= beyond["start"] and beyond["skipped"] == 0, beyond


@case
def reading_what_is_not_kept(world):
    client = world.stdio()
    session = client.session(policy=world.policy(OPEN_POLICY + '[resources]\noutput = "10K"\n'))
    command = client.run(session, "seq", "100000")["command"]
    whole = "".join(f"{number}\n" for number in range(1, 100001))
    cursor, seen, skipped = 0, [], 0
    while True:
        part = client.call("command.read", session=session, command=command, cursor=cursor, limit=1000)
        equal(part["data"], whole[part["start"]:part["next"]])
        equal(part["skipped"], part["start"] - cursor)
        skipped += part["skipped"]
        seen.append(part["data"])
        cursor = part["next"]
        if part["end"]:
            break
        assert part["data"], "a reading that does not go on"
    equal(cursor, len(whole))
    equal(skipped + len("".join(seen)), len(whole))
    assert skipped > 0 and len("".join(seen)) <= 11_000


@case
def survivors_die(world):
    client = world.stdio("--pool-memory", "0")
    session = client.open_session()
    for text in (
    "sleep 4721 & exit 0",
    "setsid sleep 4721 & exit 0",
    "(setsid sleep 4721 &)",
    "((setsid sh -c 'sleep 4721' &) &)",
    "setsid sleep 4721 >/dev/null 2>&1 </dev/null & exit 0",
    "trap '' TERM HUP INT; sleep 4721 & exit 0",
     "python3 -c 'import os,time\nfor _ in range(3):\n  if os.fork(): os._exit(0)\n  os.setsid()\ntime.sleep(4721)'"):
        began = time.monotonic()
        report = client.shell(session, text)
        equal(report["exit_code"], 0, text)
        assert time.monotonic() - began < 4, f"{text} holds the answer"
        until(
    lambda: not processes_named(
        world,
        "sleep") and not processes_named(
            world,
            "python3"),
            f"survivors of {text}",
             3)
    # A process of another command does not die with it.
    keeper = client.call("command.start", session=session, argv=["sleep", "4722"])["command"]
    client.shell(session, "sleep 4721 & exit 0")
    equal(client.call("command.status", session=session, command=keeper)["state"], "running")


@case
def background(world):
    client = world.stdio("--pool-memory", "0")
    session = client.open_session()
    command = client.start_shell(session, "(sleep 0.05; echo later; exec sleep 4723) & echo now", background=True)
    equal(ended(client, session, command)["reason"], "exited")
    equal(client.call("command.status", session=session, command=command)["background"], True)
    until(
    lambda: client.call(
        "command.read",
        session=session,
        command=command)["data"] == "now\nlater\n",
         "it writes on")
    equal(len(processes_named(world, "sleep")), 1)
    equal(client.call("command.cleanup", session=session, command=command)["forgotten"], [command])
    until(lambda: not processes_named(world, "sleep"), "cleanup ends what it left")
    refuses("unknown_command", client, "command.status", session=session, command=command)
    command = client.start_shell(session, "sleep 4723 & exit 0", background=True)
    ended(client, session, command)
    client.call("session.close", session=session)
    equal(processes_named(world, "sleep"), [])


@case
def background_outlasts_many_commands(world):
    client = world.stdio("--pool-memory", "0")
    session = client.open_session()
    command = client.start_shell(session, "sleep 4724 & exit 0", background=True)
    ended(client, session, command)
    numbers = [client.request("command.run", session=session, argv=["true"], inline=0) for _ in range(260)]
    for number in numbers:
        client.wait(number)
    equal(len(processes_named(world, "sleep")), 1, "what a background command left running")


@case
def forgetting(world):
    client = world.stdio()
    session = client.open_session()
    running = client.call("command.start", session=session, argv=["sleep", "100"])["command"]
    done = [client.run(session, "true")["command"] for _ in range(3)]
    equal(client.call("command.cleanup", session=session, command=running)["forgotten"], [])
    equal(client.call("command.cleanup", session=session, command=9999)["forgotten"], [])
    equal(client.call("command.cleanup", session=session, command=done[1])["forgotten"], [done[1]])
    equal(client.call("command.cleanup", session=session)["forgotten"], [done[0], done[2]])
    equal([one["command"] for one in client.call("command.list", session=session)["commands"]], [running])
    numbers = [client.request("command.run", session=session, argv=["true"], inline=0) for _ in range(270)]
    for number in numbers:
        client.wait(number)
    equal(len(client.call("command.list", session=session)["commands"]),
          257, "the last 256 that ended, and the one that runs")


@case
def killing(world):
    client = world.stdio("--pool-memory", "0")
    session = client.open_session()
    for signal, number in (("TERM", 15), ("SIGINT", 2), ("HUP", 1), ("USR1", 10), ("KILL", 9), ("9", 9), ("34", 34)):
        command = client.call("command.start", session=session, argv=["sleep", "100"])["command"]
        client.call("command.kill", session=session, command=command, signal=signal)
        status = ended(client, session, command)
        equal((status["signal"], status["reason"]), (number, "signaled"), signal)
    command = client.start_shell(session, "setsid sleep 4725 & sleep 4725")
    until(lambda: len(processes_named(world, "sleep")) == 2, "both run")
    client.call("command.kill", session=session, command=command)
    until(lambda: not processes_named(world, "sleep"), "KILL ends the whole tree")
    ended(client, session, command)
    equal(client.call("command.kill", session=session, command=command)["state"], "ended")
    command = client.start_shell(session, "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.01; done")
    until(lambda: client.call("command.read", session=session, command=command, wait_ms=1000)["data"], "ready")
    client.call("command.kill", session=session, command=command, signal="TERM")
    equal(client.call("command.wait", session=session, command=command)["stdout"], "ready\ncaught\n")
    command = client.call("command.start", session=session, argv=["sleep", "100"])["command"]
    client.call("command.kill", session=session, command=command, signal="STOP")
    client.call("command.kill", session=session, command=command)
    equal(ended(client, session, command)["signal"], 9)


@case
def queueing(world):
    client = world.stdio()
    session = client.open_session(concurrent=1)
    gate = client.start_shell(session, "read x", stdin="open")
    numbers = [
    client.call(
        "command.start",
        session=session,
        argv=[
            "sh",
            "-c",
             f"echo {n} >> {world.inside('order')}"])["command"] for n in range(20)]
    states = [one["state"] for one in client.call("command.list", session=session)["commands"]]
    equal(states[1:], ["queued"] * 20)
    client.call("command.write", session=session, command=gate, close=True)
    for number in numbers:
        client.call("command.wait", session=session, command=number)
    with open(world.inside("order")) as file:
        equal(file.read().split(), [str(n) for n in range(20)], "first come, first served")
    gate = client.start_shell(session, "read x", stdin="open")
    for _ in range(256):
        client.call("command.start", session=session, argv=["true"])
    refuses("limit", client, "command.run", session=session, argv=["true"])
    client.call("command.kill", session=session, command=gate)
    equal(client.run(client.open_session(), "true")["exit_code"], 0)


@case
def queued_commands_can_be_taken_back(world):
    client = world.stdio()
    session = client.open_session(concurrent=1)
    gate = client.call("command.start", session=session, argv=["sleep", "100"])["command"]
    touch = lambda name: ["touch", world.inside(name)]  # noqa: E731
    cancelled = [client.request("command.run", session=session, argv=touch(f"cancelled-{n}")) for n in range(20)]
    late = [client.request("command.run", session=session, argv=touch(f"late-{n}"), deadline_ms=50) for n in range(20)]
    killed = [client.call("command.start", session=session, argv=touch(f"killed-{n}"))["command"] for n in range(20)]
    for number in cancelled:
        equal(client.call("cancel", id=number)["cancelled"], True)
        refused("cancelled", lambda: client.wait(number))
    for number in late:
        refused("deadline", lambda: client.wait(number))
    for command in killed:
        client.call("command.kill", session=session, command=command)
    last = client.request("command.run", session=session, argv=["true"])
    client.call("command.kill", session=session, command=gate)
    equal(client.wait(last)["exit_code"], 0)
    equal(os.listdir(world.workspace), [], "of commands that were taken back before their turn")
    for command in killed:
        equal(ended(client, session, command)["exit_code"], None)


@case
def input_of_queued_commands(world):
    client = world.stdio()
    session = client.open_session(concurrent=1)
    gate = client.call("command.start", session=session, argv=["sleep", "100"])["command"]
    written = client.call("command.start", session=session, argv=["cat"], stdin="open")["command"]
    writing = client.request("command.write", session=session, command=written, data="by write", close=True)
    number, streams, _ = started(client, session, "cat", stdin="open")
    client.send_frame(DATA, streams["stdin"], b"by stream")
    client.send_frame(END, streams["stdin"], b"")
    client.call("health")
    client.call("command.kill", session=session, command=gate)
    equal(client.wait(writing)["written"], 8)
    equal(client.call("command.wait", session=session, command=written, deadline_ms=5000)["stdout"], "by write")
    equal(client.wait(number, 10)["stdout"], "by stream")


@case
def per_minute(world):
    client = world.stdio()
    session = client.open_session(per_minute=3)
    for _ in range(3):
        client.run(session, "true")
    failure = refuses("limit", client, "command.run", session=session, argv=["true"])
    assert "60" in str(failure) or "59" in str(failure), failure
    equal(client.run(client.open_session(), "true")["exit_code"], 0)


@case
def working_directories(world):
    client = world.stdio()
    session = client.open_session()
    os.makedirs(world.inside("a", "b"))
    with open(world.inside("file"), "w") as file:
        file.write("x")
    os.symlink("a", world.inside("link"))
    os.symlink("/etc", world.inside("out"))
    os.symlink(world.workspace, world.path("workspace2"))
    for cwd, wanted in ((None, ""), ("", ""), ("a", "/a"), ("a/b", "/a/b"), (world.inside("a"), "/a"),
                        ("a//b/", "/a/b"), (world.workspace, ""), (".", ""), ("./a", "/a")):
        report = client.run(session, "pwd", cwd=cwd)
        equal(report["stdout"], world.workspace + wanted + "\n", repr(cwd))
    for cwd in (
    "..",
    "a/../..",
    "a/..",
    "link",
    "link/b",
    "out",
    "/",
    "/etc",
    "/tmp",
    "nowhere",
    "file",
    world.root,
    world.path("workspace2"),
    world.workspace +
    "x",
    "../" +
    os.path.basename(
        world.workspace),
         "/proc/self/cwd"):
        failure = refuses("refused", client, "command.run", session=session, argv=["touch", "ghost"], cwd=cwd)
        assert failure.data["step"] == "directory", (cwd, failure.data)
    assert not os.path.exists(world.inside("ghost"))


@case
def environments(world):
    client = world.stdio()
    session = client.open_session(env={"FROM": "session", "BOTH": "session"})
    text = "echo $FROM $BOTH $OWN"
    equal(client.shell(session, text, env={"OWN": "request"})["stdout"], "session session request\n")
    equal(client.shell(session, text)["stdout"], "session session\n", "of one request only")
    try:
        equal(client.shell(session, text, env={"BOTH": "request"})["stdout"], "session request\n")
    except RpcFailure as failure:
        equal(failure.kind, "refused")
    for name in ("BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS", "IFS", "PS4", "BASH_FUNC_ls%%"):
        refuses("refused", client, "command.run", session=session, command="echo a; ls", env={name: "x"})
    with open(world.inside("evil"), "w") as file:
        file.write("echo evil\n")
    assert "evil" not in client.run(client.open_session(), "env")["stdout"]
    setting = client.session(
    policy=world.policy(
        OPEN_POLICY +
         '[env]\nset = { FIXED = "policy" }\nmask = ["*_TOKEN"]\n'))
    equal(client.shell(setting, "echo $FIXED")["stdout"], "policy\n")
    refuses("refused", client, "command.run", session=setting, argv=["env"], env={"FIXED": "mine"})


@case
def variables_of_whoever_asks(world):
    """A supervisor on a socket passes on the variables of who asked, by the policy, and its own only where none are given."""
    mine, secret = {"SHARED": "mine", "OTHER": "mine", "TERM": "vt100", "A_TOKEN": "caller-secret-1"}, "caller-secret-1"
    _, path = world.listen(environment={**world.environment, "SHARED": "supervisor", "TERM": "vt52"})
    client = world.connect(path)
    text = world.policy(OPEN_POLICY + '[env]\npass = ["SHARED", "*_TOKEN", "HOME"]\nmask = ["*_TOKEN"]\n')
    show = 'echo "$SHARED,$OTHER,$TERM,$A_TOKEN"'
    own = client.session(policy=text)
    until(lambda: client.call("health")["ready_jails"] > 0, "a ready jail")
    # One that is ready has nothing of another's.
    its = client.session(policy=text, caller_env=mine)
    equal(client.shell(its, show)["stdout"], "mine,,vt100,[masked]\n")
    equal(client.shell(own, show)["stdout"], "supervisor,,vt52,\n")
    equal(client.shell(own, f"echo {secret}")["stdout"], secret + "\n", "another's secret")
    for caller, seen in ((mine, "mine,,vt100,[masked]\n"), ({}, ",,dumb,\n"), (None, "supervisor,,vt52,\n")):
        report = client.call("run", workspace=world.workspace, policy=text, argv=["bash", "-c", show], caller_env=caller)
        equal(report["stdout"], seen, str(caller))
    everything = client.session(policy=world.policy(OPEN_POLICY + '[env]\ninherit = "all"\n'), caller_env=mine)
    equal(client.shell(everything, show)["stdout"], "mine,mine,vt100,[masked]\n")
    # `env` is said for this session alone, and wins.
    both = client.session(policy=text, caller_env=mine, env={"SHARED": "set"})
    equal(client.shell(both, show)["stdout"], "set,,vt100,[masked]\n")
    # A terminal has the session's variables, and a command those of its request.
    equal(client.shell(its, show, env={"OTHER": "more"})["stdout"], "mine,more,vt100,[masked]\n")
    terminal = client.call("terminal.open", session=its, argv=["bash", "-c", show], term="xterm")["terminal"]
    client.call("terminal.wait", session=its, terminal=terminal)
    shown = client.call("terminal.read", session=its, terminal=terminal)["data"]
    assert shown.startswith("mine,,xterm,") and secret not in shown, shown
    for wrong in (1, [], "A=1", {"A": 1}, {"A": None}, {"": "x"}, {"A=B": "x"}, {"A": "a\0b"},
                  {f"V{n}": "" for n in range(4097)}):
        failure = refuses("invalid_params", client, "session.create", workspace=world.workspace, caller_env=wrong)
        equal(failure.data["parameter"], "caller_env")
    many = client.session(policy=text, caller_env={f"V{n}": "x" for n in range(4095)} | {"SHARED": "last"})
    equal(client.shell(many, show)["stdout"], "last,,dumb,\n")
    refuses("invalid_params", client, "command.run", session=its, argv=["true"], caller_env=mine)


@case
def variables_of_whoever_asks_choose_no_files(world):
    """Which policies count is the supervisor's environment's word, and neither a journal nor a log has the variables."""
    strict = 'version = 1\n[[command]]\nid = "mine"\nargv = ["uname", "..."]\ndecision = "deny"\n'
    for place in (world.path("home", ".config", "cordon"), world.path("other", "cordon")):
        os.makedirs(place)
    with open(world.path("home", ".config", "cordon", "policy.toml"), "w") as file:
        file.write(strict)
    process, path = world.listen()
    client = world.connect(path)
    secret = "caller-secret-2"
    caller = {"HOME": world.path("other"), "XDG_CONFIG_HOME": world.path("other"), "XDG_STATE_HOME": world.path("other"),
              "XDG_CACHE_HOME": world.path("other"), "PATH": world.path("other"), "A_TOKEN": secret}
    text = world.policy(
        'version = 1\nextends = ["preset:agent"]\n[env]\npass = ["*_TOKEN"]\nmask = ["*_TOKEN"]\n[fs]\ntoolchains = "auto"\n'
        'caches = ["pip"]\n')
    session = client.session(policy=text, caller_env=caller)
    refuses("denied", client, "command.run", session=session, argv=["uname"])
    equal(client.shell(session, "echo $A_TOKEN $PATH; ls " + world.path("other"))["stdout"].split(" ")[0], "[masked]")
    assert world.path("other") not in client.shell(session, "echo $PATH")["stdout"]
    equal(os.listdir(world.path("other")), ["cordon"], "nothing was made where the caller's variables say")
    client.call("session.close", session=session)
    os.kill(process.pid, signal.SIGTERM)
    process.wait(20)
    held = [os.path.join(place, name) for place, _, names in os.walk(world.root) for name in names]
    assert any(name.endswith("audit.jsonl") for name in held), held
    for name in held:
        with open(name, "rb") as file:
            assert secret.encode() not in file.read(), f"{name} has the caller's variable"


@case
def strings_and_what_bash_obeys(world):
    """A string is judged as bash reads it: nothing that came with a request may have it read another one."""
    with open(world.inside("evil"), "w") as file:
        file.write("echo evil\n")
    evil = {"BASH_ENV": world.inside("evil"), "BASH_FUNC_true%%": "() { echo evil; }", "SHELLOPTS": "xtrace", "FINE": "x"}
    text = world.policy(OPEN_POLICY + '[env]\ninherit = "all"\n')
    client = world.stdio()
    words = "true; true; echo $FINE"
    session = client.session(policy=text, caller_env=evil)
    report = client.call("command.run", session=session, command=words)
    equal((report["stdout"], report["stderr"]), ("x\n", ""))
    equal(client.call("run", workspace=world.workspace, policy=text, command=words, caller_env=evil)["stdout"], "x\n")
    for name in ("BASH_ENV", "SHELLOPTS"):
        refuses("refused", client, "run", workspace=world.workspace, policy=text, command=words, env={name: evil[name]})
        asked = client.session(policy=text, env={name: evil[name]})
        refuses("refused", client, "command.run", session=asked, command=words)
        equal(client.run(asked, "true")["exit_code"], 0)
    # What a policy says itself is its word.
    own = client.session(policy=world.policy(OPEN_POLICY + f'[env]\nset = {{ BASH_ENV = "{world.inside("evil")}" }}\n'))
    equal(client.call("command.run", session=own, command=words)["stdout"], "evil\n\n")


@case
def masked_values_in_ready_jails(world):
    """A jail that was made ready for one session must not bring that one's secrets, nor miss the next one's."""
    client = world.stdio()
    text = world.policy(OPEN_POLICY + '[env]\nmask = ["*_TOKEN"]\n')
    for number in range(4):
        value = f"secret-value-{number}"
        session = client.session(policy=text, env={"MY_TOKEN": value})
        # The next one finds a jail that is ready.
        until(lambda: client.call("health")["ready_jails"] > 0, "a ready jail")
        equal(client.shell(session, "echo $MY_TOKEN; echo secret-value-7")
              ["stdout"], "[masked]\nsecret-value-7\n", value)
        stream = client.request("command.run", session=session, argv=["bash", "-c", "echo $MY_TOKEN"], stream=True)
        client.wait(stream)
        equal(client.wait_end(client.notices[-1]["params"]["streams"]["stdout"]), b"[masked]\n", value)
        report = client.call("run", workspace=world.workspace, policy=text, argv=["bash", "-c", "echo $MY_TOKEN"],
                             env={"MY_TOKEN": value})
        equal(report["stdout"], "[masked]\n", value)
    session = client.session(policy=text)
    equal(client.shell(session, "echo $MY_TOKEN", env={"MY_TOKEN": "secret-value-8"})["stdout"], "[masked]\n")
    for number in range(4):
        equal(client.shell(session, f"echo secret-value-{number}")
              ["stdout"], f"secret-value-{number}\n", "another's secret")


@case
def time_limits(world):
    client = world.stdio()
    session = client.session(policy=world.policy(OPEN_POLICY + '[resources]\nwall = "400ms"\n'))
    report = client.run(session, "sleep", "100", timeout_ms=50)
    equal((report["reason"], report["duration_ms"] < 350), ("timeout", True))
    equal(client.run(session, "sleep", "100")["reason"], "timeout", "the policy's own limit")
    try:
        equal(client.run(session, "sleep", "2", timeout_ms=60_000)[
              "reason"], "timeout", "a wish beyond the policy's wall")
    except RpcFailure as failure:
        equal(failure.kind, "refused")
    command = client.call("command.start", session=session, argv=["sleep", "100"], timeout_ms=50)["command"]
    equal(ended(client, session, command)["reason"], "timeout")
    equal(client.run(client.open_session(timeout_ms=50), "sleep", "100")["reason"], "timeout")
    busy = client.session(policy=world.policy(OPEN_POLICY + '[resources]\ncpu = "200ms"\n'))
    equal(client.shell(busy, "while :; do :; done")["reason"], "cpu_timeout")


@case
def memory_and_pids(world):
    client = world.stdio()
    session = client.open_session(memory=256 << 20, pids=100)
    hog = ["python3", "-c", "x = bytearray(100 << 20); print(len(x))"]
    report = client.run(session, *hog, memory=40 << 20)
    equal(report["reason"], "oom")
    assert report["oom_kills"] >= 1 and report["max_memory_bytes"] <= 41 << 20, report["max_memory_bytes"]
    equal(client.run(session, *hog)["reason"], "exited")
    report = client.run(session, "sh", "-c", "kill -KILL $$", memory=40 << 20)
    equal(report["reason"], "signaled", "a plain SIGKILL is not oom")
    report = client.shell(session, "for i in 1 2 3 4 5 6 7 8; do sleep 0.1 & done; wait", pids=4)
    assert report["pids_denied"] > 0 and report["max_pids"] <= 4, report
    equal(client.run(session, "python3", "-c", "x = bytearray(400 << 20)")["reason"], "oom", "the session's own limit")
    equal(client.run(session, "true")["exit_code"], 0)
    for small in (1, 4096, 16384, 65536):
        number = client.request("command.run", session=session, argv=["true"], memory=small)
        try:
            assert client.wait(number, 10)["reason"] in ("oom", "exited", "error")
        except RpcFailure as failure:
            assert failure.kind in ("invalid_params", "refused"), failure.kind
        except TimeoutError:
            raise AssertionError(f"a limit of {small} bytes is never answered") from None
    equal(client.run(session, "true")["exit_code"], 0, "after limits that are too small")


@case
def verdicts(world):
    client = world.stdio()
    policy = world.policy(OPEN_POLICY + """
[[command]]
id = "no-touch"
argv = ["touch", "..."]
decision = "deny"
reason = "nothing is touched here"
""")
    session = client.session(policy=policy)
    for params in ({"argv": ["touch", "x"]}, {"command": "touch x"}, {"command": "true; touch x"}, {
                   "argv": ["env", "touch", "x"]}, {"command": "timeout 5 touch x"}, {"argv": ["sh", "-c", "touch x"]}):
        for method in ("command.run", "command.start"):
            failure = refuses("denied", client, method, session=session, **params)
            equal(failure.data["decision"], "deny", str(params))
            assert any(one["rule"] == "no-touch" and one["reason"] == "nothing is touched here" and one["file"]
                       == policy and one["line"] > 0 for one in failure.data["evidence"]), failure.data
    refuses("denied", client, "run", workspace=world.workspace, policy=policy, argv=["touch", "x"])
    equal(client.call("command.list", session=session)["commands"], [])
    equal(os.listdir(world.workspace), [])
    asking = client.session(policy=world.policy(ASKING))
    failure = refuses("not_approved", client, "command.run", session=asking, argv=["mytool"])
    equal(failure.data["decision"], "ask")
    until(lambda: len(client.call("session.list")["sessions"]) == 2, "the denied run's session is gone")
    # A policy that is tightened later holds for the session too.
    later = world.path("policies", "later.toml")
    with open(later, "w") as file:
        file.write(OPEN_POLICY)
    session = client.session(policy=later)
    equal(client.run(session, "true")["exit_code"], 0)


@case
def waiting(world):
    client = world.stdio()
    session = client.open_session()
    command = client.call(
    "command.start",
    session=session,
    argv=[
        "sh",
        "-c",
        "read x; exit 4"],
         stdin="open")["command"]
    waits = [client.request("command.wait", session=session, command=command) for _ in range(5)]
    equal(client.call("command.status", session=session, command=command)["state"] in ("starting", "running"), True)
    client.call("command.write", session=session, command=command, close=True)
    for number in waits:
        equal(client.wait(number)["exit_code"], 4)
    equal(client.call("command.wait", session=session, command=command)["exit_code"], 4, "again, after its end")
    status = client.call("command.status", session=session, command=command)
    equal((status["state"], status["exit_code"], status["signal"], status["reason"]), ("ended", 4, None, "exited"))


@case(alone=True, seconds=80)
def many_calls_leave_nothing(world):
    client = world.stdio("--pool-memory", "0")
    session = client.open_session()
    pid = client.process.pid

    def use(count):
        for _ in range(count):
            client.run(session, "echo", "x", stream=True, stdin="open")
            for stream in list(client.streams):
                client.wait_end(stream)
            client.streams.clear()
            client.notices.clear()
            client.ended.clear()
            for _ in range(12):
                client.call("session.inspect", session=session)
            try:
                client.call("nothing")
            except RpcFailure:
                pass
    use(350)
    memory, files = resident(pid), descriptors(pid)
    use(700)
    # What stands by for the next two commands comes and goes: a dozen each.
    until(lambda: descriptors(pid) <= files + 26, lambda: f"{descriptors(pid)} descriptors, {files} before")
    grown = resident(pid) - memory
    assert grown < 3 << 20, f"{grown >> 10} KB more after 700 commands and 10,000 calls"
