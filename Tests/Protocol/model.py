"""Random sequences of calls by several clients, against a model in Python that says what each must be answered."""
import base64
import random

from cases import Options, case, equal
from cordon_client import RpcFailure
from world import until

# What commands do is driven by their input, so that the model always knows their state.
SCRIPT = """
while read -r word rest; do
  case $word in
    say) echo "$rest";;
    err) echo "$rest" >&2;;
    fill) head -c "$rest" /dev/zero | tr '\\0' x; echo;;
    ack) :;;
    exit) exit "$rest";;
  esac
  echo . >&2
done
exit 77
"""


class Command:
    def __init__(self, number, queued):
        self.number, self.queued = number, queued
        self.out, self.err = b"", b""
        self.end = None
        self.exits = None
        self.is_closed = False


class Session:
    def __init__(self, id, name, concurrent, bound):
        self.id, self.name, self.concurrent, self.bound = id, name, concurrent, bound
        self.commands, self.next = {}, 1

    def running(self):
        return [one for one in self.commands.values() if one.end is None and not one.queued]

    def waiting(self):
        return [one for one in self.commands.values() if one.queued]

    def freed(self):
        """Some have ended: the next ones have their turn."""
        while self.waiting() and len(self.running()) < self.concurrent:
            one = self.waiting()[0]
            one.queued = False
            if one.exits is not None:
                one.end = one.exits


class Run:
    def __init__(self, world, seed):
        self.random = random.Random(seed)
        _, path = world.listen("--sessions", "6")
        self.world, self.path = world, path
        self.clients = [world.connect(path) for _ in range(3)]
        self.sessions = {}
        self.dead = []

    def kind(self, ask):
        try:
            ask()
            return None
        except RpcFailure as failure:
            return failure.kind

    def client(self):
        return self.random.choice(self.clients)

    def call(self, method, **params):
        return self.client().call(method, **params)

    def pick(self):
        return self.random.choice(list(self.sessions.values())) if self.sessions else None

    def named(self, session):
        return session.name if session.name and self.random.random() < 0.5 else session.id

    # Steps

    def create(self):
        name = self.random.choice([None, "a", "b", "c"])
        concurrent = self.random.choice([1, 2, 16])
        taken = any(one.name == name for one in self.sessions.values()) if name else False
        bound_to = self.client()
        bound = self.random.random() < 0.2
        try:
            id = bound_to.open_session(name=name, concurrent=concurrent, bound=bound)
        except RpcFailure as failure:
            wanted = "name_taken" if taken else "limit" if len(self.sessions) >= 6 else None
            equal(failure.kind, wanted, "create")
            return
        assert not taken and len(self.sessions) < 6, "create succeeds"
        assert id not in self.sessions and id not in self.dead, "an id comes again"
        self.sessions[id] = Session(id, name, concurrent, bound_to if bound else None)

    def close(self):
        session = self.pick()
        if session is None or self.random.random() < 0.5:
            return
        equal(self.call("session.close", session=self.named(session)), {"closed": session.id})
        self.forget(session)

    def forget(self, session):
        del self.sessions[session.id]
        self.dead.append(session.id)

    def leave(self):
        """A client goes, and another one comes."""
        if self.random.random() < 0.8:
            return
        index = self.random.randrange(len(self.clients))
        gone = self.clients[index]
        gone.socket.close()
        self.clients[index] = self.world.connect(self.path)
        for session in [one for one in self.sessions.values() if one.bound is gone]:
            self.forget(session)
        until(lambda: self.call("health")["sessions"] == len(self.sessions), "bound sessions go")

    def list(self):
        listed = self.call("session.list")["sessions"]
        equal({(one["id"], one["name"], one["state"]) for one in listed},
              {(one.id, one.name, "open") for one in self.sessions.values()}, "list")
        counts = {one["id"]: one["commands"] for one in listed}
        for session in self.sessions.values():
            active = [one for one in session.commands.values() if one.end is None]
            until(lambda: self.call("session.inspect", session=session.id)
                  ["commands"] == len(active), f"{counts} active", 5)

    def start(self):
        session = self.pick()
        if session is None:
            return
        queued = len(session.running()) >= session.concurrent
        answer = self.call("command.start", session=self.named(session), argv=["bash", "-c", SCRIPT], stdin="open",
                           background=self.random.random() < 0.2)
        equal(answer["command"], session.next, "numbers count up")
        equal(answer["state"] == "queued", queued, f"state {answer['state']}")
        session.commands[session.next] = Command(session.next, queued)
        session.next += 1

    def run(self):
        session = self.pick()
        if session is None or len(session.running()) >= session.concurrent:
            return
        code = self.random.randrange(256)
        text = self.random.choice(["", "x", "ä\n", "y" * 70000])
        report = self.call(
    "command.run",
    session=self.named(session),
    argv=[
        "sh",
        "-c",
        f"cat; exit {code}"],
        input=text,
         inline=262144)
        equal((report["command"], report["exit_code"], report["stdout"]), (session.next, code, text), "run")
        one = Command(session.next, False)
        one.out, one.end = text.encode(), ("exited", code, None)
        session.commands[session.next] = one
        session.next += 1

    def a_command(self, wanted):
        session = self.pick()
        if session is None:
            return None, None
        found = [one for one in session.commands.values() if wanted(one)]
        return (session, self.random.choice(found)) if found else (session, None)

    def write(self):
        session, one = self.a_command(lambda one: one.end is None and not one.queued)
        if one is None:
            return
        word = self.random.choice(["say", "err", "fill", "exit", "close"])
        if one.is_closed:
            equal(
    self.kind(
        lambda: self.call(
            "command.write",
            session=session.id,
            command=one.number,
            data="x")),
             "ended")
            return
        if word == "close":
            self.call("command.write", session=session.id, command=one.number, close=True)
            one.is_closed = True
            one.end = ("exited", 77, None)
        elif word == "exit":
            code = self.random.randrange(256)
            data = f"exit {code}\n".encode()
            equal(self.call("command.write", session=session.id, command=one.number,
                            data_base64=base64.b64encode(data).decode()), {"written": len(data)})
            one.end = ("exited", code, None)
        else:
            if word == "fill":
                count = self.random.choice([1, 1000, 100_000])
                data, one.out = f"fill {count}\n", one.out + b"x" * count + b"\n"
            else:
                text = self.random.choice(["hello", "ä ö", "a b c"])
                data = f"{word} {text}\n"
                if word == "say":
                    one.out += text.encode() + b"\n"
                else:
                    one.err += text.encode() + b"\n"
            one.err += b".\n"
            equal(
    self.call(
        "command.write", session=session.id, command=one.number, data=data), {
            "written": len(
                data.encode())})
        if one.end:
            # The next one's turn comes with its end.
            self.call("command.wait", session=session.id, command=one.number)
            session.freed()

    def read(self):
        session, one = self.a_command(lambda one: not one.queued)
        if one is None:
            return
        name = self.random.choice(["stdout", "stderr"])
        whole = one.out if name == "stdout" else one.err
        # All that was written comes in the end.
        until(
    lambda: self.call(
        "command.read",
        session=session.id,
        command=one.number,
        stream=name)["total"] >= len(whole),
         f"{len(whole)} bytes of {name}")
        cursor = self.random.choice([0, len(whole), self.random.randrange(len(whole) + 1)])
        limit = self.random.choice([1, 100, 262144])
        part = self.call(
    "command.read",
    session=self.named(session),
    command=one.number,
    stream=name,
    cursor=cursor,
     limit=limit)
        data = part["data"].encode() if part["data_encoding"] == "utf-8" else base64.b64decode(part["data"])
        equal((part["start"], part["skipped"], part["total"]), (cursor, 0, len(whole)), "read")
        equal(data, whole[cursor:cursor + limit], f"{name} from {cursor}")
        equal(part["next"], cursor + len(data))
        if one.end:
            equal(part["end"], part["next"] == len(whole), f"end at {part['next']} of {len(whole)}")

    def wait(self):
        session, one = self.a_command(lambda one: one.end is not None)
        if one is None:
            return
        report = self.call("command.wait", session=self.named(session), command=one.number, inline=262144)
        equal((report["reason"], report["exit_code"], report["signal"]), one.end, f"command {one.number}")
        if len(one.out) <= 262144 and one.end[2] is None:
            text = report["stdout"].encode(
            ) if report["stdout_encoding"] == "utf-8" else base64.b64decode(report["stdout"])
            equal(text, one.out, "the report's output")

    def kill(self):
        session, one = self.a_command(lambda one: one.end is None)
        if one is None or self.random.random() < 0.5:
            return
        self.call("command.kill", session=session.id, command=one.number)
        one.queued = False
        one.end = ("signaled", None, 9)
        report = self.call("command.wait", session=session.id, command=one.number)
        if report["signal"] is None:
            # It may never have begun.
            one.end = (report["reason"], None, None)
            assert report["reason"] in ("error", "exited"), f"a command that was killed: {report['reason']}"
            one.end = (report["reason"], report["exit_code"], None)
        # It may have been killed before it had done what it was told.
        for name in ("out", "err"):
            part = self.call("command.read", session=session.id, command=one.number, stream="std" + name, limit=262144)
            seen = part["data"].encode() if part["data_encoding"] == "utf-8" else base64.b64decode(part["data"])
            whole = getattr(one, name)
            assert part["total"] <= len(whole) and whole.startswith(seen), f"std{name} of a command that was killed"
            setattr(one, name, whole[:part["total"]])
        session.freed()

    def status(self):
        session, one = self.a_command(lambda one: True)
        if one is None:
            return
        seen = self.call("command.status", session=self.named(session), command=one.number)
        if one.queued:
            equal(seen["state"], "queued")
        elif one.end is None:
            assert seen["state"] in ("starting", "running"), seen["state"]
        else:
            equal((seen["state"], seen["reason"], seen["exit_code"], seen["signal"]), ("ended", *one.end), "status")

    def commands(self):
        session = self.pick()
        if session:
            listed = self.call("command.list", session=self.named(session))["commands"]
            equal([one["command"] for one in listed], sorted(session.commands), "command.list")

    def cleanup(self):
        session, one = self.a_command(lambda one: True)
        if one is None or self.random.random() < 0.5:
            return
        if self.random.random() < 0.3:
            wanted = sorted(number for number, one in session.commands.items() if one.end)
            equal(self.call("command.cleanup", session=session.id)["forgotten"], wanted)
        else:
            wanted = [one.number] if one.end else []
            equal(self.call("command.cleanup", session=session.id, command=one.number)["forgotten"], wanted)
        for number in wanted:
            del session.commands[number]

    def nonsense(self):
        session, one = self.a_command(lambda one: one.end is not None)
        dead = self.random.choice(self.dead) if self.dead else "nobody"
        equal(self.kind(lambda: self.call("session.inspect", session=dead)), "unknown_session")
        if session:
            equal(
    self.kind(
        lambda: self.call(
            "command.status",
            session=session.id,
            command=session.next)),
             "unknown_command")
        if one:
            equal(
    self.kind(
        lambda: self.call(
            "command.write",
            session=session.id,
            command=one.number,
            data="x")),
             "ended")


@case(seconds=80)
def random_calls(world):
    seed = Options.seed
    run = Run(world, seed)
    steps = {
    "create": 3,
    "close": 1,
    "leave": 1,
    "list": 1,
    "start": 5,
    "run": 4,
    "write": 8,
    "read": 6,
    "wait": 4,
    "kill": 3,
    "status": 4,
    "commands": 2,
    "cleanup": 1,
     "nonsense": 1}
    names = [name for name, weight in steps.items() for _ in range(weight)]
    done = []
    for _ in range(500):
        name = run.random.choice(names)
        done.append(name)
        try:
            getattr(run, name)()
        except Exception as error:
            raise AssertionError(f"seed {seed}, step {len(done)} ({name}): {error}") from error
    for session in list(run.sessions.values()):
        equal(run.call("session.close", session=session.id)["closed"], session.id)
    equal(run.call("health")["sessions"], 0)
