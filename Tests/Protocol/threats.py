"""Attempts to get out of a session, to outlive it, or to stop its supervisor, numbered as in the list of threats."""
import os
import signal
import socket
import stat
import subprocess
import sys
import time

from cases import case, equal, refuses
from cordon_client import RpcFailure
from frames import started
from sessions import processes_named
from world import cgroups_of, descendants, groups_named, is_alive, mounts, processes, resident, until


@case
def t5_the_supervisor_is_out_of_reach(world):
    client = world.stdio()
    session = client.open_session()
    report = client.shell(
    session,
     f"cat /proc/{client.process.pid}/environ /proc/{client.process.pid}/maps; ls -d /proc/[0-9]* | wc -l")
    assert "XDG" not in report["stdout"] and int(report["stdout"].split()[-1]) < 12, report["stdout"]
    for text in (
    "cat /proc/1/environ",
    "cat /proc/1/mem",
    "ls /proc/1/fd",
    "ls /proc/1/root/",
    "kill -KILL 1 && sleep 0.1; kill -0 1",
    "cat /proc/2/environ",
     "ls /proc/2/fd"):
        report = client.shell(session, text)
        assert report["exit_code"] != 0 and report["stdout"] == "", (text, report["stdout"])
    equal(client.run(session, "true")["exit_code"], 0)


@case
def t1_no_descriptors_inside(world):
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    _, path = world.listen()
    client = world.connect(path)
    session = client.open_session()
    for options in ({}, {"stream": True, "stdin": "open"}, {"input": "x"}):
        client.call("command.start", session=session, argv=["sleep", "50"], stdin="open")
        report = client.call("command.run", session=session, argv=["sh", "-c", "ls /proc/$$/fd"], **options)
        equal(report["stdout"].split(), ["0", "1", "2"])
    os.close(reader)
    os.close(writer)


@case
def t24_sockets_are_out_of_reach(world):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0cordon-test-" + os.path.basename(world.root))
        listener.listen()
        _, path = world.listen()
        client = world.connect(path)
        session = client.open_session()
        own = world.path("runtime", "cordon")
        script = """
import socket, sys
for name in sys.argv[1:]:
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(name.replace('@', chr(0)))
            print('reached', name)
        except OSError as error:
            print('refused')
"""
        names = [path, own + "/sessions.sock", "/var/run/docker.sock", "/run/systemd/private", "/proc/1/root" + path,
                 "@cordon-test-" + os.path.basename(world.root)]
        report = client.run(session, "python3", "-c", script, *names)
        equal(report["stdout"], "refused\n" * len(names), report["stderr"])
        report = client.run(
    session,
    "python3",
    "-c",
     "import socket; a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))")
        equal(report["stdout"], "b'x'\n")


@case
def t25_the_network_is_out_of_reach(world):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = world.stdio()
        session = client.open_session()
        script = """
import socket, sys
for host, port in (('127.0.0.1', int(sys.argv[1])), ('169.254.169.254', 80), ('192.0.2.1', 80)):
    try:
        socket.create_connection((host, port), 1)
        print('reached', host)
    except OSError:
        print('refused')
"""
        equal(client.run(session, "python3", "-c", script, str(listener.getsockname()[1]))["stdout"], "refused\n" * 3)


@case(alone=True)
def t29_a_fork_bomb(world):
    _, path = world.listen()
    client, other = world.connect(path), world.connect(path)
    session = client.open_session(pids=64)
    number = client.request("command.run", session=session, command=":(){ :|:& };:; sleep 1", timeout_ms=1500)
    slowest = 0
    while number not in client.answers:
        began = time.monotonic()
        other.call("health")
        slowest = max(slowest, time.monotonic() - began)
        try:
            client.step(0.01)
        except TimeoutError:
            pass
    report = client.wait(number)
    assert report["pids_denied"] > 0 and report["max_pids"] <= 64, report
    assert slowest < 1, f"health took {slowest:.2f} s"
    equal(client.run(session, "true")["exit_code"], 0)
    report = client.shell(session, "while :; do sleep 100 & done 2>/dev/null", timeout_ms=500)
    until(lambda: not processes_named(world, "sleep"), "no sleeper survives")


@case
def t31_full_disks(world):
    client = world.stdio()
    session = client.session(policy=world.policy("""version = 1
extends = ["preset:agent"]
[defaults]
command = "allow"
opaque = "allow"
jailed = "allow"
[resources]
disk = "8M"
"""))
    report = client.shell(
    session,
     "head -c 20000000 /dev/zero > /tmp/x; ls -l /tmp/x | wc -l; head -c 20000000 /dev/zero > ~/x")
    assert "No space left" in report["stderr"], report["stderr"]
    client.shell(session, "rm /tmp/x ~/x")
    report = client.shell(
    session,
    "i=0; while :> /tmp/f$i; do i=$((i+1)); [ $i -gt 200000 ] && exit 9; done 2>/dev/null; exit 0",
     timeout_ms=20_000)
    assert report["exit_code"] == 0 or report["reason"] in ("timeout", "oom", "cpu_timeout"), report["reason"]
    equal(client.shell(client.open_session(), "ls /tmp ~ | grep -c f0")["stdout"], "0\n")


@case
def t32_a_flood_of_output(world):
    client = world.stdio()
    session = client.open_session()
    client.shell(session, "seq 1000000")
    before = resident(client.process.pid)
    report = client.shell(session, "echo head; yes | head -c 500000000; echo tail")
    assert report["stdout_truncated"] and report["stdout"].startswith("head\n") and report["stdout"].endswith("tail\n")
    assert resident(client.process.pid) - before < 16 << 20, resident(client.process.pid) - before


@case
def t34_the_supervisor_is_killed(world):
    before = mounts()
    for moment in ("idle", "running", "starting", "closing"):
        process, path = world.listen("--pool-memory", "0" if moment != "idle" else "32M")
        client = world.connect(path)
        session = client.open_session()
        if moment != "idle":
            for _ in range(4):
                client.call(
    "command.start",
    session=session,
    argv=[
        "sh",
        "-c",
         "trap '' TERM HUP INT; setsid sleep 4741 & sleep 4741"])
            until(lambda: len(processes_named(world, "sleep")) >= 8, "they run")
        seen = [pid for pid, (_, state, _) in processes().items() if pid in descendants(process.pid) and state != "Z"]
        groups = cgroups_of(seen)
        assert groups, "no cgroups are seen"
        if moment == "starting":
            for _ in range(20):
                client.request("command.run", session=session, argv=["sleep", "4741"])
                client.request("session.create", workspace=world.workspace)
        elif moment == "closing":
            client.request("session.close", session=session)
        process.kill()
        killed = time.monotonic()
        process.wait()
        until(
    lambda: not [
        pid for pid in seen if is_alive(pid) and not is_janitor(pid)],
        f"jailed processes ({moment})",
         2)
        until(lambda: not groups_named(groups), f"cgroups ({moment})", 2)
        assert time.monotonic() - killed < 3
        until(lambda: not [pid for pid in seen if is_alive(pid)], "the janitor goes too", 5)
        world.seen |= set(seen)
        world.groups |= groups
    equal(mounts(), before, "mounts of the host")


def is_janitor(pid):
    return processes().get(pid, (0, "", ""))[2].startswith("cordon-janitor")


# Alone: whatever supervisor starts beside it removes what it looks for.
@case(alone=True)
def t34_the_janitor_is_killed_too(world):
    process, path = world.listen("--pool-memory", "0")
    client = world.connect(path)
    session = client.open_session()
    client.call("command.start", session=session, argv=["sleep", "4742"])
    until(lambda: processes_named(world, "sleep"), "it runs")
    everything = processes()
    seen = [pid for pid in descendants(process.pid, everything) if everything[pid][1] != "Z"]
    janitors = [pid for pid in seen if everything[pid][0] == process.pid and "janitor" in everything[pid][2]]
    equal(len(janitors), 1, "its janitor")
    groups = cgroups_of(seen)
    os.kill(janitors[0], signal.SIGKILL)
    process.kill()
    process.wait()
    until(lambda: not [pid for pid in seen if is_alive(pid)], "everything is dead without a janitor, too", 2)
    assert groups_named(groups), "something removed the groups; this tests nothing"
    other = world.stdio()
    other.open_session()
    until(lambda: not groups_named(groups), "the next start removes what was left", 5)


@case
def t34_kill_all_reaches_only_the_jail(world):
    client = world.stdio()
    one, two = client.open_session(), client.open_session()
    keeper = client.call("command.start", session=two, argv=["sleep", "100"])["command"]
    sibling = client.call("command.start", session=one, argv=["sleep", "100"])["command"]
    client.run(one, "python3", "-c", "import os, signal\nos.kill(-1, signal.SIGKILL)")
    equal(client.call("command.status", session=two, command=keeper)["state"], "running")
    assert is_alive(client.process.pid)
    number = client.request("command.run", session=one, argv=["true"])
    try:
        equal(client.wait(number, 10)["exit_code"], 0)
    except RpcFailure as failure:
        equal(failure.kind, "ended")
    del sibling


@case
def t35_stopped_processes(world):
    client = world.stdio("--pool-memory", "0")
    session = client.open_session()
    report = client.shell(session, "sleep 4743 & kill -STOP $!; kill -STOP $$", timeout_ms=300)
    equal(report["reason"], "timeout")
    until(lambda: not processes_named(world, "sleep"), "a stopped process dies")
    client.start_shell(session, "kill -STOP $$")
    client.run(session, "python3", "-c", "import os, signal\nos.kill(-1, signal.SIGSTOP)", timeout_ms=300)
    began = time.monotonic()
    client.call("session.close", session=session)
    assert time.monotonic() - began < 5


@case
def t36_processor_time(world):
    client = world.stdio()
    session = client.open_session()
    report = client.shell(session, "for i in 1 2; do (for j in {1..150000}; do :; done) & done; wait")
    assert report["cpu_ms"] > 50, report["cpu_ms"]
    assert client.run(session, "true")["cpu_ms"] < 50, "a new command begins at zero"


@case
def t37_hostile_words(world):
    client = world.stdio()
    session = client.open_session()
    for words in ([["true", "a\0b"]], [["a\0b"]]):
        refuses("invalid_params", client, "command.run", session=session, argv=words[0])
    for words in (["true",
    "x" * 131_072],
    ["true"] + ["x" * 100_000] * 9,
    ["x" * 5000],
    ["true"] + ["x"] * 100_000,
    ["\u202e"],
    ["\n"],
    ["-"],
    ["--"],
    ["/"],
    ["/proc/self/exe"],
    ["../../bin/true"],
    ["true",
     "\ud83d\ude00" * 1000]):
        number = client.request("command.run", session=session, argv=words)
        try:
            assert client.wait(number)["reason"] in ("exited", "error", "signaled"), str(words)[:50]
        except RpcFailure as failure:
            assert failure.kind in ("denied", "refused", "invalid_params"), (failure.kind, str(words)[:50])
    equal(client.run(session, "echo", "ok")["stdout"], "ok\n")


@case
def t42_no_set_id_bits(world):
    client = world.stdio()
    session = client.open_session()
    report = client.shell(session, "cp /usr/bin/id x; chmod 4755 x; chmod 2755 x; chmod u+s x; mkdir -m 2755 d; "
                          "python3 -c 'import os; os.open(\"y\", os.O_CREAT | os.O_WRONLY, 0o4755)'; ls -l x")
    assert os.path.exists(world.inside("x")), report["stderr"]
    for name in os.listdir(world.workspace):
        assert not os.lstat(world.inside(name)).st_mode & (stat.S_ISUID | stat.S_ISGID), name


@case
def t44_paths_of_others(world):
    """What the supervisor opens for a caller, it opens as that caller."""
    client = world.stdio()
    for params in ({"policy": "/etc/shadow"}, {"policy": world.inside("pipe")}, {"workspace": "/etc/shadow"},
                   {"policy": "/dev/zero"}, {"policy": "/proc/self/mem"}, {"policy": world.workspace}):
        if params["policy" if "policy" in params else "workspace"].endswith("pipe"):
            os.mkfifo(world.inside("pipe"))
        number = client.request("session.create", **{"workspace": world.workspace, **params})
        try:
            client.wait(number, 10)
            raise AssertionError(f"{params} is taken")
        except RpcFailure as failure:
            equal(failure.kind, "refused", str(params))
            assert "root:" not in str(failure) + str(failure.data), "it tells what is in a file"
        except TimeoutError:
            raise AssertionError(f"{params} is never answered") from None
    equal(client.call("health")["status"], "ok")


@case
def pipelines_under_signals(world):
    client = world.stdio()
    session = client.open_session(concurrent=32)
    numbers = [client.request("command.start", session=session, argv=[
        "dash", "-c", "trap : USR1; i=0; while [ $i -lt 20 ]; do echo $i | cat | cat >/dev/null; i=$((i+1)); done; "
        "echo done"])
        for _ in range(100)]
    commands = [client.wait(number)["command"] for number in numbers]
    waits = {command: client.request("command.wait", session=session, command=command) for command in commands}
    while any(number not in client.answers for number in waits.values()):
        for command, number in waits.items():
            if number not in client.answers:
                client.call("command.kill", session=session, command=command, signal="CHLD")
                client.call("command.kill", session=session, command=command, signal="WINCH")
    for command, number in waits.items():
        equal(client.wait(number)["stdout"], "done\n")


@case
def one_reader_who_stops(world):
    _, path = world.listen()
    reader, other = world.connect(path), world.connect(path)
    session = reader.open_session()
    for _ in range(4):
        started(reader, session, "sh", "-c", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done")
    # It has given 1 MB of credit for each stream and reads no more.
    for _ in range(200):
        equal(other.run(session, "echo", "x")["stdout"], "x\n")
    reader.socket.close()
    until(
    lambda: all(
        one["state"] == "ended" for one in other.call(
            "command.list",
            session=session)["commands"]),
             "they end")


@case
def t5_its_records_are_no_workspace(world):
    """A session must reach neither the audit log nor the sockets of who keeps it, whatever its workspace is."""
    client = world.stdio()
    client.open_session()
    own = world.path("runtime", "cordon", f"{client.process.pid}.sock")
    log = world.path("state", "cordon", "supervisors", "0", "audit.jsonl")
    assert os.path.exists(own) and os.path.exists(log)
    for place in (
    world.path("runtime"),
    world.path(
        "runtime",
        "cordon"),
        world.path("state"),
        world.path(
            "state",
            "cordon"),
             os.path.dirname(log)):
        try:
            session = client.open_session(workspace=place)
        except RpcFailure as failure:
            equal(failure.kind, "refused", place)
            continue
        client.shell(session, f"echo forged >> {log}; rm -f {own}")
        with open(log, "rb") as file:
            # The command itself is in the log, too.
            assert b"forged" not in file.read().splitlines(), f"the audit log is writable in the workspace {place}"
        assert os.path.exists(own), f"the socket for answers is removed from the workspace {place}"


@case
def nobody_else_takes_a_jails_lock(world):
    """A jail is dead when its first group can be locked; a stranger who waits for that would keep it from being removed."""
    process, path = world.listen()
    client = world.connect(path)
    client.open_session()
    world.watch()
    groups = groups_named(world.groups)
    assert groups, "it has groups"
    script = """
import fcntl, os, sys
os.setgid(65534)
os.setuid(65534)
print("go", flush=True)
held = []
for path in sys.argv[1:]:
    try:
        held.append(os.open(path, os.O_RDONLY))
    except PermissionError:
        continue
    if os.fork() == 0:
        fcntl.flock(held[-1], fcntl.LOCK_EX)
        sys.stdin.read()
        os._exit(0)
print(len(held), flush=True)
sys.stdin.read()
"""
    stranger = subprocess.Popen([sys.executable, "-c", script, *groups], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                text=True)
    equal(stranger.stdout.readline(), "go\n")
    count = int(stranger.stdout.readline())
    process.kill()
    process.wait()
    try:
        until(lambda: not groups_named(world.groups), lambda: f"{groups_named(world.groups)} are left")
        equal(count, 0)
    finally:
        stranger.stdin.close()
        stranger.wait()
        stranger.stdout.close()
