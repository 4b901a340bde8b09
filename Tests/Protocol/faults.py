"""Faults: what serves, or is served, is killed at random; nothing may be left, or gone, that should not."""
import os
import random
import signal
import time

from cases import Options, case, equal, refuses
from cordon_client import RpcFailure
from world import cgroups_of, descendants, descriptors, groups_named, is_alive, mounts, processes, until


class Faults:
    def __init__(self, world, seed):
        self.world, self.random = world, random.Random(seed)
        self.mounts = mounts()
        self.begin()

    def begin(self):
        self.process, self.path = self.world.listen("--pool-memory", self.random.choice(["0", "32M"]))
        self.clients = [self.world.connect(self.path) for _ in range(2)]

    def family(self):
        """The supervisor's living descendants, by their kind."""
        everything = processes()
        kinds = {"janitor": [], "init": [], "other": []}
        for pid in descendants(self.process.pid, everything):
            parent, state, name = everything[pid]
            if state == "Z":
                continue
            is_init = parent == self.process.pid and name == "jail-init"
            kind = "janitor" if "janitor" in name else "init" if is_init else "other"
            kinds[kind].append(pid)
        return kinds

    def work(self):
        """Sessions and commands in all stages; returns what is open."""
        sessions, open_calls = [], []
        for client in self.clients:
            for _ in range(self.random.randrange(1, 3)):
                session = client.open_session(concurrent=self.random.choice([1, 4]))
                sessions.append(session)
                for _ in range(self.random.randrange(4)):
                    text = self.random.choice(["sleep 4751", "setsid sleep 4751 & sleep 4751",
                                              "yes >/dev/null", "echo x", "yes", "trap '' TERM; sleep 4751 & wait"])
                    params = {"stream": True} if self.random.random() < 0.3 else {}
                    open_calls.append((client, client.request(
                        "command.run", session=session, argv=["bash", "-c", text], timeout_ms=60_000, **params)))
        return sessions, open_calls

    def round(self):
        self.work()
        if self.random.random() < 0.5:
            for client in self.clients:
                client.call("health")
        family = self.family()
        victim = self.random.choice(["supervisor", "supervisor", "init", "client", "janitor", "both"])
        getattr(self, victim)(family)
        return victim

    def supervisor(self, family, wait_for_groups=True):
        seen = [pid for pids in family.values() for pid in pids]
        groups = cgroups_of(seen)
        # Those that are born while we look are children of the same one.
        os.kill(self.process.pid, signal.SIGSTOP)
        late = self.family()
        seen += [pid for pids in late.values() for pid in pids]
        groups |= cgroups_of(seen)
        jailed = [pid for pid in seen if pid not in late["janitor"] + family["janitor"]]
        self.process.kill()
        killed = time.monotonic()
        self.process.wait()
        until(lambda: not [pid for pid in jailed if is_alive(pid)], "jailed processes are dead", 2)
        if wait_for_groups:
            until(lambda: not groups_named(groups), lambda: f"cgroups are gone: {groups_named(groups)[:3]}", 3)
            assert time.monotonic() - killed < 3.5
        until(lambda: not [pid for pid in seen if is_alive(pid)], "the janitor is gone", 5)
        for client in self.clients:
            client.socket.close()
        self.world.seen |= set(seen)
        self.world.groups |= groups
        self.begin()
        return groups

    def both(self, family):
        """Without a janitor the groups wait for the next start."""
        for pid in family["janitor"]:
            os.kill(pid, signal.SIGKILL)
        groups = self.supervisor(family, wait_for_groups=False)
        self.clients[0].open_session()
        until(lambda: not groups_named(groups), lambda: f"the next start removes {groups_named(groups)[:3]}", 5)

    def janitor(self, family):
        """Sessions go on without it, or it is replaced; with the end of the supervisor everything goes."""
        for pid in family["janitor"]:
            os.kill(pid, signal.SIGKILL)
        equal(self.clients[0].call("health")["status"] in ("ok", "refusing"), True)
        groups = self.supervisor(self.family(), wait_for_groups=False)
        self.clients[0].open_session()
        until(lambda: not groups_named(groups), "cgroups", 5)

    def init(self, family):
        if not family["init"]:
            return
        pid = self.random.choice(family["init"])
        mine = [pid] + descendants(pid)
        groups = cgroups_of(mine)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not [one for one in mine if is_alive(one)], "what was in the jail is dead", 3)
        # A jail that is taken from the ready ones when it is dead already is its
        # session's failure, at its first command.
        listed = self.clients[0].call("session.list")["sessions"]
        for one in listed:
            self.clients[0].call("session.close", session=one["id"])
        until(lambda: not groups_named(groups), lambda: f"its cgroups are gone: {groups_named(groups)[:3]}", 5)
        self.settle()

    def client(self, family):
        """A client goes while it waits for everything at once."""
        client = self.clients.pop(0)
        client.socket.close()
        self.clients.append(self.world.connect(self.path))
        until(lambda: self.clients[0].call("health")["clients"] == 2, "it is gone")
        for one in self.clients[0].call("session.list")["sessions"]:
            self.clients[0].call("session.close", session=one["id"])
        self.settle()

    def settle(self):
        """With no session there is what there was at the start: the janitor and ready jails."""
        until(lambda: self.clients[0].call("health")["sessions"] == 0, "no sessions")
        ready = lambda: self.clients[0].call("health")["ready_jails"]  # noqa: E731
        until(lambda: len(self.family()["init"]) == ready(), lambda: f"{self.family()} and {ready()} ready jails", 5)
        until(lambda: len(self.family()["other"]) <= 2 * ready(), lambda: f"{self.family()}", 5)
        until(lambda: descriptors(self.process.pid) <= 45 + 14 * ready(),
              lambda: f"{descriptors(self.process.pid)} descriptors with {ready()} ready jails", 5)


@case(alone=True, seconds=900)
def killed_at_random(world):
    seed = Options.seed
    faults = Faults(world, seed)
    for number in range(Options.rounds):
        victim = "?"
        try:
            victim = faults.round()
        except Exception as error:
            raise AssertionError(f"seed {seed}, round {number}: {type(error).__name__} {error}") from error
        equal(mounts(), faults.mounts, f"mounts of the host, after the {victim} of round {number}")


@case
def requests_fail_when_the_supervisor_dies(world):
    process, path = world.listen()
    client = world.connect(path)
    session = client.open_session(name="lasting")
    command = client.call("command.start", session=session, argv=["sh", "-c", "echo told; sleep 4752"])["command"]
    until(lambda: client.call("command.read", session=session, command=command)["data"] == "told\n", "output")
    client.request("command.wait", session=session, command=command)
    world.watch()
    process.kill()
    process.wait()
    try:
        while True:
            client.step()
    except EOFError:
        pass
    os.unlink(path)
    # What was acknowledged is known to the next one.
    _, path = world.listen()
    client = world.connect(path)
    listed = client.call("session.list")["sessions"]
    equal([(one["id"], one["name"], one["state"]) for one in listed], [(session, "lasting", "interrupted")])
    equal(client.call("command.read", session="lasting", command=command)["data"], "told\n")
    equal(client.call("command.status", session=session, command=command)["state"], "interrupted")
    for method in ("command.run", "command.start"):
        try:
            client.call(method, session=session, argv=["true"])
            raise AssertionError("an interrupted session takes commands")
        except RpcFailure as failure:
            equal(failure.kind, "ended")
    equal(client.call("session.reopen", session=session)["session"]["state"], "open")
    report = client.run("lasting", "true")
    equal((report["exit_code"], report["command"]), (0, command + 1))
    equal(client.call("session.close", session="lasting")["closed"], session)
    equal(client.call("session.list")["sessions"], [])


@case
def records_that_cannot_be_written(world):
    """Nothing new is begun; what is there goes on, can be looked at, and can be closed."""
    _, path = world.listen(prefix=["prlimit", "--fsize=300000"])
    client = world.connect(path)
    session = client.open_session()
    lasting = client.call("command.start", session=session, argv=["sleep", "100"])["command"]
    failure = None
    for _ in range(3000):
        try:
            client.run(session, "true")
        except RpcFailure as error:
            failure = error
            break
        except EOFError:
            raise AssertionError("the supervisor dies where its records have no room") from None
    assert failure and (failure.kind, failure.code) == ("storage", 50), failure
    health = client.call("health")
    assert health["status"] == "refusing" and health["reason"], health
    for method, params in (("session.create", {"workspace": world.workspace}),
                           ("run", {"workspace": world.workspace, "argv": ["touch", "ghost"]}),
                           ("command.start", {"session": session, "argv": ["touch", "ghost"]})):
        refuses("storage", client, method, **params)
    equal(os.listdir(world.workspace), [])
    equal(client.call("command.status", session=session, command=lasting)["state"], "running")
    equal(len(client.call("session.list")["sessions"]), 1)
    equal(client.call("session.close", session=session)["closed"], session)


@case
def a_janitor_that_was_killed(world):
    """What it guarantees is given again by another one, or no longer said to be given."""
    client = world.stdio("--pool-memory", "0")
    client.session()

    def janitors():
        everything = processes()
        return [pid for pid in descendants(client.process.pid, everything)
                                           if "janitor" in everything[pid][2] and everything[pid][1] != "Z"]
    (first,) = janitors()
    os.kill(first, signal.SIGKILL)
    until(lambda: not is_alive(first), "it is dead")

    def holds():
        try:
            answer = client.call("session.create", workspace=world.workspace)
        except RpcFailure as failure:
            equal(failure.kind, "refused")
            return True
        client.call("session.close", session=answer["session"]["id"])
        return bool(janitors()) or "janitor" not in answer["enforced"]
    until(holds, "`janitor` is enforced by one that lives", 5)
