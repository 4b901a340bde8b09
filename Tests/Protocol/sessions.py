"""Sessions: what they are called, how long they last, what they are limited to, and how they die."""
import os
import signal
import subprocess
import sys

from cases import case, equal, refused, refuses
from cordon_client import RpcFailure
from world import BIN, OPEN_POLICY, descendants, descriptors, is_alive, processes, until

HERE = os.path.dirname(os.path.abspath(__file__))


def ids(client):
    return {one["id"] for one in client.call("session.list")["sessions"]}


def processes_named(world, name):
    everything = processes()
    return [pid for process in world.supervisors for pid in descendants(process.pid, everything)
            if everything[pid][2] == name and everything[pid][1] != "Z"]


@case
def what_a_session_says(world):
    client = world.stdio()
    answer = client.call("session.create", workspace=world.workspace, name="work-1._")
    session = answer["session"]
    for name in ("id", "name", "state", "policy", "workspace", "created_at", "idle_ms", "commands", "plan"):
        assert name in session, name
    equal((session["name"], session["state"], session["workspace"], session["policy"]),
          ("work-1._", "open", world.workspace, "preset:agent"))
    assert "ns.user" in answer["enforced"] and isinstance(
    answer["degraded"], list) and isinstance(
        answer["notes"], list)
    client.run("work-1._", "true")
    seen = client.call("session.inspect", session="work-1._")
    equal((seen["id"], seen["plan"]), (session["id"], session["plan"]))
    equal((seen["statistics"]["ended"], seen["statistics"]["succeeded"]), (1, 1))
    assert seen["memory_bytes"] > 0 and seen["usage"]["max_pids"] >= 1
    client.run("work-1._", "false")
    seen = client.call("session.inspect", session=session["id"])
    equal((seen["statistics"]["ended"], seen["statistics"]["succeeded"]), (2, 1))


@case
def files_and_processes_last(world):
    client = world.stdio()
    session, other = client.open_session(), client.open_session()
    client.shell(session, "echo private > ~/note; echo private > /tmp/note")
    equal(client.shell(session, "cat ~/note /tmp/note")["stdout"], "private\nprivate\n")
    assert client.shell(other, "cat ~/note /tmp/note")["exit_code"] != 0, "another session reads private files"
    client.start_shell(session, "exec -a stayer sleep 4715")
    until(lambda: client.run(session, "pgrep", "-f", "4715")["exit_code"] == 0, "it is seen by a later command")
    equal(client.run(other, "pgrep", "-f", "4715")["exit_code"], 1)


@case
def without_cgroups(world):
    # A mount namespace of its own, in which nothing is where cgroups were: nobody else sees that.
    hiding = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', "sh")
    _, path = world.listen(prefix=hiding)
    client = world.connect(path)
    policy = world.policy(OPEN_POLICY.replace(
        "[defaults]", 'allow_degraded = ["memory", "swap", "cpu.rate", "cpu.time", "io"]\n[defaults]'))
    answer = client.call("session.create", workspace=world.workspace, policy=policy)
    session = answer["session"]["id"]
    assert "memory" in answer["degraded"] and any("pid namespace" in note for note in answer["notes"]), answer
    report = client.shell(session, "(setsid sleep 4718 &); cat /proc/1/comm /proc/$$/comm; kill -KILL 1; exit 7")
    equal((report["exit_code"], report["stdout"]), (7, "cordon-init\nbash\n"))
    assert report["cpu_ms"] is not None and report["max_memory_bytes"] > 0
    stays = client.start_shell(session, "exec -a stayer sleep 4719")
    equal(client.run(session, "pgrep", "-f", "471[89]")["exit_code"], 1)
    killed = client.shell(session, "kill -SEGV $$")
    equal((killed["reason"], killed["signal"]), ("signaled", 11))
    equal(client.run(session, "sleep", "60", timeout_ms=100)["reason"], "timeout")
    failure = refused("refused", lambda: client.run(session, "true", memory=1 << 26), step="guarantee")
    assert "memory" in str(failure), failure
    client.call("command.kill", session=session, command=stays)
    equal(client.wait(client.request("command.wait", session=session, command=stays))["signal"], 9)
    left = client.call("command.start", session=session, argv=["bash", "-c", "setsid sleep 4720 >&- 2>&- & exit 4"],
                       background=True)["command"]
    equal(client.wait(client.request("command.wait", session=session, command=left))["exit_code"], 4)
    client.call("command.cleanup", session=session, command=left)
    once = client.call("run", workspace=world.workspace, policy=policy, argv=["sh", "-c", "setsid sleep 4721 & exit 5"])
    equal(once["exit_code"], 5)

    def words():
        found = []
        for pid in processes():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    found += file.read().split(b"\0")
            except OSError:
                pass
        return {b"4718", b"4719", b"4720", b"4721"} & set(found)
    until(lambda: not words(), lambda: f"what was left running is dead: {words()}")


@case
def names(world):
    _, path = world.listen()
    one, two = world.connect(path), world.connect(path)
    session = one.session(name="same")
    refuses("name_taken", two, "session.create", workspace=world.workspace, name="same")
    refuses("name_taken", two, "session.create", workspace=world.workspace, name=session)
    equal(two.call("session.inspect", session="same")["id"], session)
    for unknown in ("Same", "sam", "same ", " same", session[:-1], session.upper() + "x", "../same", "same\u200b"):
        refuses("unknown_session", two, "session.inspect", session=unknown)
    equal(one.call("session.close", session="same")["closed"], session)
    refuses("unknown_session", two, "session.close", session="same")
    assert two.session(name="same") != session
    two.call("session.close", session="same")
    numbers = [one.request("session.create", workspace=world.workspace, name="race") for _ in range(6)]
    results = []
    for number in numbers:
        try:
            one.wait(number)
            results.append("made")
        except RpcFailure as failure:
            results.append(failure.kind)
    equal(sorted(results), ["made"] + ["name_taken"] * 5)


@case
def two_clients_share(world):
    _, path = world.listen()
    one, two = world.connect(path), world.connect(path)
    session = one.open_session(name="shared")
    command = one.call("command.start", session=session, argv=["sh", "-c", "echo from one; read x; echo $x"],
                       stdin="open")["command"]
    equal(two.call("command.read", session="shared", command=command, wait_ms=5000, lines=True)["data"], "from one\n")
    two.call("command.write", session=session, command=command, data="from two\n")
    equal(one.call("command.wait", session=session, command=command)["stdout"], "from one\nfrom two\n")
    one.socket.close()
    until(lambda: two.call("health")["clients"] == 1, "the first one is gone")
    equal(two.run("shared", "true")["exit_code"], 0)


@case
def bound_sessions(world):
    _, path = world.listen("--pool-memory", "0")
    one, two = world.connect(path), world.connect(path)
    bound, free = one.open_session(bound=True), one.open_session()
    two.call("command.start", session=bound, argv=["sleep", "4716"])
    until(lambda: processes_named(world, "sleep"), "it runs")
    one.socket.close()
    until(lambda: ids(two) == {free}, "the bound session goes with its client")
    until(lambda: not processes_named(world, "sleep"), "and what runs in it")


@case
def idle_sessions(world):
    client = world.stdio("--idle", "300ms")
    short = client.open_session(idle_ms=100)
    usual, long = client.open_session(), client.open_session(idle_ms=600_000)
    busy = client.open_session(idle_ms=100)
    client.call("command.start", session=busy, argv=["sleep", "100"])
    until(lambda: short not in ids(client), "one that nobody uses is closed")
    until(lambda: usual not in ids(client), "--idle holds for those that say nothing")
    equal(ids(client), {long, busy})
    refuses("unknown_session", client, "session.inspect", session=short)
    command = client.call("command.list", session=busy)["commands"][0]["command"]
    client.call("command.kill", session=busy, command=command)
    until(lambda: ids(client) == {long}, "and one whose command has ended")


@case
def closing(world):
    client = world.stdio("--pool-memory", "0")
    session = client.open_session(concurrent=2)
    first = client.call("command.start", session=session, argv=["sleep", "4717"], stdin="open")["command"]
    client.call("command.write", session=session, command=first, data="x" * 1_000_000)
    until(lambda: processes_named(world, "sleep"), "it runs")
    running = client.request("command.run", session=session, argv=["sleep", "4717"])
    queued = [client.request("command.run", session=session, argv=["touch", world.inside("ghost")]) for _ in range(3)]
    waits = {
        "wait": client.request("command.wait", session=session, command=first),
        "read": client.request("command.read", session=session, command=first, wait_ms=60_000),
        "write": client.request("command.write", session=session, command=first, data="y" * 900_000),
    }
    until(lambda: len(processes_named(world, "sleep")) == 2, "both run")
    ending = client.request("session.close", session=session)
    again = client.request("session.close", session=session)
    equal(client.wait(ending), {"closed": session})
    equal(processes_named(world, "sleep") + processes_named(world, "jail-init"), [], "alive when closing is answered")
    refused("unknown_session", lambda: client.wait(again))
    equal(client.wait(running)["signal"], 9)
    for number in queued:
        refused_or_error(client, number)
    equal(client.wait(waits["wait"])["signal"], 9)
    equal(client.wait(waits["read"])["end"], True)
    refused("ended", lambda: client.wait(waits["write"]), "a write that the command never took")
    assert not os.path.exists(world.inside("ghost")), "a queued command ran"


def refused_or_error(client, number, *others):
    try:
        assert client.wait(number)["reason"] in ("error", *others)
    except RpcFailure as failure:
        equal(failure.kind, "ended")


@case
def limits_on_sessions(world):
    client = world.stdio("--sessions", "2")
    one, _ = client.session(), client.session()
    failure = refuses("limit", client, "session.create", workspace=world.workspace)
    equal(failure.data["limit"], "sessions")
    refuses("limit", client, "run", workspace=world.workspace, argv=["true"])
    client.call("session.close", session=one)
    client.session()
    equal(client.call("hello", versions=[1])["limits"]["sessions"], 2)


@case
def limits_on_sessions_at_once(world):
    """Sessions that are asked for together are counted like those that are there."""
    for options, wish, many in ((("--sessions", "2"), {}, 2), (("--max-memory", "1G"), {"memory": 512 << 20}, 2),
                                (("--max-pids", "100"), {"pids": 40}, 2)):
        client = world.stdio(*options)
        numbers = [client.request("session.create", workspace=world.workspace, **wish) for _ in range(5)]
        results = []
        for number in numbers:
            try:
                client.wait(number)
                results.append("made")
            except RpcFailure as failure:
                results.append(failure.kind)
        equal(results.count("made"), many, f"{options}: {results}")
        equal(results.count("limit"), 5 - many, f"{options}: {results}")


@case
def limits_on_memory_and_pids(world):
    client = world.stdio("--max-memory", "1G", "--max-pids", "600")
    one = client.session(memory=600 << 20, pids=100)
    equal(
    refuses(
        "limit",
        client,
        "session.create",
        workspace=world.workspace,
        memory=600 << 20).data["limit"],
         "memory")
    equal(
    refuses(
        "limit",
        client,
        "session.create",
        workspace=world.workspace,
        memory=1 << 20,
        pids=501).data["limit"],
         "pids")
    client.session(memory=400 << 20, pids=500)
    client.call("session.close", session=one)
    client.session(memory=600 << 20, pids=100)


@case
def the_jails_death(world):
    client = world.stdio("--pool-memory", "0")
    session = client.open_session(concurrent=1)
    command = client.call("command.start", session=session, argv=["sleep", "4718"])["command"]
    until(lambda: processes_named(world, "sleep"), "it runs")
    waiting = client.request("command.wait", session=session, command=command)
    queued = client.request("command.run", session=session, argv=["true"])
    client.call("health")
    (init,) = processes_named(world, "jail-init")
    os.kill(init, signal.SIGKILL)
    equal(client.wait(waiting)["signal"], 9)
    refused_or_error(client, queued)
    until(lambda: not processes_named(world, "sleep"), "what was in it is dead")
    seen = client.call("session.inspect", session=session)
    equal(seen["state"], "failed")
    assert seen["error"]["step"] and seen["error"]["remedy"]
    for method in ("command.run", "command.start"):
        refuses("ended", client, method, session=session, argv=["true"])
    equal(client.call("session.close", session=session)["closed"], session)
    equal(client.run(client.open_session(), "true")["exit_code"], 0)


@case
def the_spawners_death(world):
    client = world.stdio("--pool-memory", "0")
    session = client.open_session()
    client.run(session, "true")
    everything = processes()
    (init,) = processes_named(world, "jail-init") if len(processes_named(world, "jail-init")) == 1 else (
        pid for pid in processes_named(world, "jail-init") if everything[pid][0] == client.process.pid)
    spawner = [pid for pid in descendants(init) if is_alive(pid)][0]
    os.kill(spawner, signal.SIGKILL)
    number = client.request("command.run", session=session, argv=["true"])
    try:
        # Who stood by for it may have begun, and dies with the jail, or have ended before.
        refused_or_error(client, number, "signaled", "exited")
    except TimeoutError:
        raise AssertionError("a session whose spawner is dead never answers") from None
    until(lambda: client.call("session.inspect", session=session)["state"] == "failed", "the session has failed")


@case
def many_sessions_leave_nothing(world):
    client = world.stdio("--pool-memory", "0")
    client.call("session.close", session=client.session())
    before = descriptors(client.process.pid)
    for _ in range(30):
        sessions = [client.session() for _ in range(3)]
        for session in sessions:
            client.call("session.close", session=session)
    until(lambda: descriptors(client.process.pid) <= before + 1,
          lambda: str(sorted(os.readlink(f"/proc/{client.process.pid}/fd/{one}")
                             for one in os.listdir(f"/proc/{client.process.pid}/fd"))), 30)
    until(lambda: len(descendants(client.process.pid)) <= 3, lambda: f"processes: {descendants(client.process.pid)}")


@case
def other_users_are_refused(world):
    if os.geteuid() != 0:
        return  # Only root can be somebody else.
    _, path = world.listen()
    mine = world.connect(path)
    session = mine.session(name="mine")
    os.chmod(path, 0o666)
    os.chmod(world.root, 0o711)
    child = subprocess.run(
        [sys.executable, "-c", f"""
import os
exec(open({os.path.join(HERE, 'cordon_client.py')!r}).read())
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    client = Client.connect({path!r})
    client.hello()
    print('served', client.call('session.inspect', session={session!r}))
except (EOFError, ConnectionError, BrokenPipeError) as error:
    print('refused')
"""], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    equal(child.stdout, "refused\n", child.stderr)
    equal(mine.call("session.inspect", session="mine")["id"], session)


@case
def the_sockets_mode(world):
    _, path = world.listen()
    equal(oct(os.stat(path).st_mode & 0o777), "0o600")
    client = world.stdio()
    own = world.path("runtime", "cordon", f"{client.process.pid}.sock")
    until(lambda: os.path.exists(own), "its socket for answers")
    equal(oct(os.stat(own).st_mode & 0o777), "0o600")
    equal(oct(os.stat(os.path.dirname(own)).st_mode & 0o777), "0o700")
    client.close()
    assert not os.path.exists(own), "it leaves its socket"


@case
def the_end_of_a_supervisor(world):
    process, path = world.listen()
    client = world.connect(path)
    session = client.open_session()
    client.call("command.start", session=session, argv=["sleep", "4719"])
    world.watch()
    process.send_signal(signal.SIGTERM)
    equal(process.wait(10), 0)
    until(lambda: world.gone() == ([], []), lambda: f"left: {world.gone()}", 5)
    assert not os.path.exists(path), "it leaves its socket"
    for options in (["--nonsense"], ["--stdio", "--sessions", "0"], ["--stdio", "--max-memory", "x"], [], ["--socket"]):
        equal(subprocess.run([os.path.join(BIN, "cordon-supervisor"), *options], env=world.environment,
              capture_output=True, stdin=subprocess.DEVNULL).returncode, 2, str(options))


@case
def a_ready_jail_that_died(world):
    client = world.stdio()
    client.open_session()
    until(lambda: client.call("health")["ready_jails"] == 1, "a ready jail")
    everything = processes()
    ready = max(pid for pid in processes_named(world, "jail-init") if everything[pid][0] == client.process.pid)
    os.kill(ready, signal.SIGKILL)
    until(lambda: not is_alive(ready), "it is dead")
    equal(client.run(client.open_session(), "true")["exit_code"], 0, "a new session")
