"""The system's service: several users, each with a supervisor of their own.

A case makes accounts that nobody else sees, in a mount namespace of its own, and gives the service cgroups of its own.
"""
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import random
import select
import signal
import socket
import stat
import subprocess

from cases import Options, case, equal, refused, refuses
from cordon_client import RpcFailure
from program import call as program_call
from world import BIN, CGROUPS, OPEN_POLICY, Peer, descendants, is_alive, processes, until

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 4096, 16384, 1 << 18
CONTROLLERS = ("memory", "pids", "cpu", "cpuacct", "blkio", "unified", "")


def mount(source, target, flags):
    if libc.mount(source.encode(), target.encode(), None, flags, None) != 0:
        raise OSError(ctypes.get_errno(), f"mount {source} on {target}")


class User:
    """An account, with a home and a workspace that nobody else may enter."""

    def __init__(self, world, number, has_range=True):
        self.world = world
        self.id = 54000 + os.getpid() % 500 * 8 + number
        self.name = f"cordontest{number}"
        self.home, self.workspace = world.path(f"home{number}"), world.path(f"workspace{number}")
        self.has_range = has_range
        for place in (self.home, self.workspace):
            os.mkdir(place, 0o700)
            os.chown(place, self.id, self.id)
        self.range = f"{self.name}:{1_900_000_000 + self.id * 70_000 % 200_000_000}:65536\n"

    @contextlib.contextmanager
    def rights(self):
        """Everything in it is done with this user's rights."""
        os.setegid(self.id)
        os.seteuid(self.id)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.home, name)
        with self.rights():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
            os.chmod(path, mode)
        return path

    def cordon(self, *arguments):
        """The program, as this user, with the service: its code and what it wrote."""
        done = subprocess.run(
            ["setpriv", f"--reuid={self.id}", f"--regid={self.id}", "--clear-groups", "--inh-caps=-all",
             os.path.join(BIN, "cordon"), *arguments],
            env={"PATH": "/usr/bin:/bin", "HOME": self.home, "CORDON_SOCKET": self.world.service_path},
            cwd=self.workspace, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=40)
        return done.returncode, done.stdout, done.stderr

    def connect(self, hello=True):
        with self.rights():
            client = self.world.connect(self.world.service_path, hello=False)
        client.__class__ = UserPeer
        client.user = self
        if hello:
            client.hello()
        return client


class UserPeer(Peer):
    """A client with the rights of its user, which shows what it may open."""

    user = None

    def prove(self, method, **params):
        names = [name for name in ("workspace", "policy", "image") if params.get(name, "").startswith("/")]
        with self.user.rights():
            opened = [os.open(params[name], os.O_RDONLY) for name in names]
        try:
            if names:
                params["descriptors"] = names
            return self.wait(self.request_with(opened, method, **params))
        finally:
            for one in opened:
                os.close(one)

    def session(self, **params):
        params.setdefault("workspace", self.user.workspace)
        return self.prove("session.create", **params)["session"]["id"]

    def open_session(self, **params):
        params.setdefault("policy", self.user.write("open.toml", OPEN_POLICY))
        return self.session(**params)


def hierarchies():
    """The roots of the cgroup file systems that are there."""
    found = []
    for name in CONTROLLERS:
        place = os.path.join(CGROUPS, name)
        if os.path.exists(os.path.join(place, "cgroup.procs")) and place not in found:
            found.append(place)
    return found


def prepare(world, users=2, **options):
    """Accounts, in a mount namespace of this case's own."""
    os.setgroups([])
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    mount("none", "/", MS_REC | MS_PRIVATE)
    os.chmod(world.root, 0o711)
    world.users = [User(world, number, **options) for number in range(1, users + 1)]
    files = {"passwd": "", "group": "", "subuid": "", "subgid": ""}
    for name in ("passwd", "group"):
        with open(f"/etc/{name}") as file:
            files[name] = file.read()
    for user in world.users:
        files["passwd"] += f"{user.name}:x:{user.id}:{user.id}:test:{user.home}:/bin/sh\n"
        files["group"] += f"{user.name}:x:{user.id}:\n"
        if user.has_range:
            files["subuid"] += user.range
            files["subgid"] += user.range
    files["group"] += f"cordonagents:x:{world.users[0].id + 4000}:{world.users[0].name}\n"
    for name, text in files.items():
        path = world.path("etc-" + name)
        with open(path, "w") as file:
            file.write(text)
        if not os.path.exists(f"/etc/{name}"):
            with open(f"/etc/{name}", "w"):
                pass
        mount(path, f"/etc/{name}", MS_BIND)
    world.service_path = world.path("service.sock")
    world.rules = world.path("service.toml")
    # Groups of its own, so that services of other cases do not meet it.
    world.service_groups = [os.path.join(place, f"cordontest-{os.getpid()}") for place in hierarchies()]
    return world.users


def everybody(users):
    return 'version = 1\n[[allow]]\nusers = [' + ", ".join(f'"{user.name}"' for user in users) + "]\n"


def write_rules(world, text):
    """In one step, as an editor would."""
    with open(world.rules + ".new", "w") as file:
        file.write(text)
    os.chmod(world.rules + ".new", 0o600)
    os.rename(world.rules + ".new", world.rules)


def start(world, rules, environment=None, pass_fds=(), arguments=None, **options):
    """The service, listening."""
    write_rules(world, rules)
    for group in world.service_groups:
        os.makedirs(group, exist_ok=True)

    def enter():
        for group in world.service_groups:
            with open(os.path.join(group, "cgroup.procs"), "w") as file:
                file.write("0")
    log = open(world.path(f"log-{world.number}"), "wb")
    world.number += 1
    process = subprocess.Popen(
        [os.path.join(BIN, "cordon-service"), "--config", world.rules,
         *(["--socket", world.service_path] if arguments is None else arguments)],
        env={"PATH": "/usr/bin:/bin", "STATE_DIRECTORY": world.path("service-state"), **(environment or {})},
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=enter, pass_fds=pass_fds, **options)
    log.close()
    world.supervisors.append(process)

    def answers():
        assert process.poll() is None, f"the service ended with {process.returncode}: {world.log()}"
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(world.service_path) == 0
    if arguments is None:
        until(answers, "the service listens")
    return process


def finish(world, process):
    """Ends it. Nothing of it may be left, not even its groups' contents."""
    everything = processes()
    world.seen |= {pid for pid in descendants(process.pid, everything) if everything[pid][1] != "Z"}
    process.terminate()
    equal(process.wait(20), 0, world.log())
    for group in world.service_groups:
        left = [name for name in os.listdir(group) if name.startswith("cordon-user")]
        equal(left, [], group)
        remove(group)


def remove(group):
    for name in os.listdir(group):
        path = os.path.join(group, name)
        if os.path.isdir(path):
            remove(path)

    def gone():
        try:
            os.rmdir(group)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True
    until(gone, f"{group} can be removed")


def supervisor_of(process, user):
    """The pid of a user's supervisor, which is not the sleeping janitor-to-be."""
    everything = processes()
    for pid in descendants(process.pid, everything):
        if everything[pid][0] == process.pid and everything[pid][1] != "Z":
            try:
                if os.stat(f"/proc/{pid}/cmdline") and status(pid)["Uid"].split()[0] == str(user.id):
                    return pid
            except OSError:
                continue
    return None


def status(pid):
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def user_groups(world, user):
    return [place for group in world.service_groups
            for place in [os.path.join(group, f"cordon-user-{user.id}")] if os.path.isdir(place)]


@case
def each_user_is_served_as_themselves(world):
    first, second = prepare(world)
    service = start(world, everybody([first, second]))
    # CHOWN, DAC_OVERRIDE and KILL.
    equal({status(service.pid)[kind] for kind in ("CapEff", "CapPrm")}, {f"{1 << 0 | 1 << 1 | 1 << 5:016x}"})
    for user in (first, second):
        client = user.connect()
        session = client.open_session()
        report = client.run(session, "sh", "-c", "echo x >file; id -u; cat /proc/self/status")
        equal((report["exit_code"], report["stdout"].split()[0]), (0, "1000"), report["stderr"])
        assert "CapEff:\t0000000000000000" in report["stdout"] and "NoNewPrivs:\t1" in report["stdout"]
        seen = os.stat(os.path.join(user.workspace, "file"))
        equal((seen.st_uid, seen.st_gid), (user.id, user.id))
        pid = supervisor_of(service, user)
        facts = status(pid)
        equal(facts["Uid"].split(), [str(user.id)] * 4)
        equal(facts["Gid"].split(), [str(user.id)] * 4)
        groups = {str(first.id + 4000)} if user is first else set()
        equal(set(facts["Groups"].split()), groups)
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            equal(facts[kind], "0" * 16, kind)
        # Nobody of this user may trace it: it is not dumpable, so its files in /proc are root's.
        equal(os.stat(f"/proc/{pid}/environ").st_uid, 0)
        with user.rights():
            for name in ("environ", "maps", "mem"):
                try:
                    open(f"/proc/{pid}/{name}", "rb").read(1)
                    raise AssertionError(f"/proc/{pid}/{name} can be read")
                except PermissionError:
                    pass
        # What is in the user's own log is in the service's too, where the user cannot take it away.
        with open(world.path("service-state", str(user.id), "supervisors", "0", "audit.jsonl")) as file:
            lines = file.read().splitlines()
        assert len(lines) > 3 and set(lines) <= set(world.log().splitlines()), lines
        state = os.stat(world.path("service-state", str(user.id)))
        equal((state.st_uid, stat.S_IMODE(state.st_mode)), (user.id, 0o700))
    finish(world, service)


@case
def two_users_see_nothing_of_each_other(world):
    first, second = prepare(world)
    service = start(world, everybody([first, second]))
    one, two = first.connect(), second.connect()
    session = one.open_session(name="mine")
    command = one.start_shell(session, "echo secret; sleep 1000")
    one.call("cache.set", key="k", value="secret")
    one.call("cache.set", key="k", value="secret", session=session)
    ask = first.write("ask.toml", OPEN_POLICY + '[[command]]\nid = "a"\nargv = ["id"]\ndecision = "ask"\n'
                      '[approval]\napprovers = ["cli"]\n')
    asking = one.open_session(policy=ask)
    question = one.request("command.run", session=asking, argv=["id"])
    while not [notice for notice in one.notices if notice["method"] == "approval.pending"]:
        one.step()
    pending = [notice for notice in one.notices if notice["method"] == "approval.pending"][0]["params"]["approval"]["id"]
    equal(two.call("session.list")["sessions"], [])
    equal(two.call("approval.list")["approvals"], [])
    equal(two.call("cache.get", key="k")["found"], False)
    for name in (session, "mine"):
        for method, params in (
                ("session.inspect", {}), ("session.close", {}), ("session.reopen", {}), ("command.list", {}),
                ("command.run", {"argv": ["true"]}), ("command.read", {"command": command}),
                ("command.kill", {"command": command}), ("command.status", {"command": command}),
                ("command.wait", {"command": command}), ("command.cleanup", {}),
                ("terminal.open", {"argv": ["sh"]}), ("terminal.list", {}), ("cache.get", {"key": "k"})):
            refuses("unknown_session", two, method, session=name, **params)
    refuses("unknown_approval", two, "approval.answer", approval=pending, answer="approve")
    assert "secret" not in two.call("metrics")["text"]
    equal(two.call("health")["sessions"], 0)
    # A name is each user's own.
    two.open_session(name="mine")
    equal(len(one.call("session.list")["sessions"]), 2)
    equal(one.call("command.status", session=session, command=command)["state"], "running")
    with second.rights():
        for place in (world.path("service-state", str(first.id)), first.workspace):
            try:
                os.listdir(place)
                raise AssertionError(f"{place} can be listed")
            except PermissionError:
                pass
    one.call("cancel", id=question)
    finish(world, service)


@case
def t44_no_path_is_opened_with_more_than_the_users_rights(world):
    first, second = prepare(world)
    service = start(world, everybody([first, second]))
    secret = second.write("secret.toml", "version = 1\n# secret\nnonsense = \"secret\"\n")
    client = first.connect()
    own = os.open(first.workspace, os.O_RDONLY)
    root_only = world.path("root-only")
    os.mkdir(root_only, 0o700)
    with open(os.path.join(root_only, "policy.toml"), "w") as file:
        file.write("version = 1\nnonsense = \"secret\"\n")
    link = os.path.join(first.home, "link")
    with first.rights():
        os.symlink(second.workspace, link)
        os.symlink(secret, os.path.join(first.home, "policy-link"))

    def attempt(shown, **params):
        number = client.request_with([shown] * len(params), "session.create", descriptors=sorted(params), **params)
        failure = refused("refused", lambda: client.wait(number), str(params))
        assert "secret" not in json.dumps(failure.data).replace(secret, "") + str(failure).replace(secret, ""), failure
    # What the user may not open, with a descriptor of something else, or even of the same.
    for place in (second.workspace, root_only, link, second.home, first.home + "/../" + os.path.basename(second.home)):
        attempt(own, workspace=place)
        other = os.open(place, os.O_RDONLY)
        attempt(other, workspace=place)
        attempt(other, workspace=first.workspace)
        os.close(other)
    for place in (secret, os.path.join(root_only, "policy.toml"), os.path.join(first.home, "policy-link")):
        other = os.open(place, os.O_RDONLY)
        failure = refused("refused", lambda: client.wait(client.request_with(
            [own, other], "session.create", workspace=first.workspace, policy=place,
            descriptors=["workspace", "policy"])), place)
        text = json.dumps(failure.data) + str(failure)
        assert "nonsense" not in text, text
        os.close(other)
    # Swapped while it is resolved: a directory of one's own, and a link to somebody else's.
    swapped = os.path.join(first.home, "swapped")
    mark = os.path.join(second.workspace, "mark")
    with second.rights():
        open(mark, "w").close()
    swapper = subprocess.Popen(
        ["setpriv", f"--reuid={first.id}", f"--regid={first.id}", "--clear-groups", "python3", "-c", f"""
import os
os.mkdir({swapped!r}); os.mkdir({swapped!r} + '.own')
print('go', flush=True)
while True:
    os.rmdir({swapped!r}); os.symlink({second.workspace!r}, {swapped!r})
    os.unlink({swapped!r}); os.mkdir({swapped!r})
"""], stdout=subprocess.PIPE)
    equal(swapper.stdout.readline(), b"go\n")
    policy = first.write("open.toml", OPEN_POLICY)
    for _ in range(60):
        try:
            with first.rights():
                opened = [os.open(swapped, os.O_RDONLY | os.O_NOFOLLOW), os.open(policy, os.O_RDONLY)]
        except OSError:
            continue
        try:
            number = client.request_with(
                opened, "run", workspace=swapped, policy=policy, argv=["sh", "-c", "ls -a; cat mark"],
                descriptors=["workspace", "policy"])
            report = client.wait(number)
            assert "mark\n" not in report["stdout"], report
        except RpcFailure as failure:
            assert failure.kind == "refused", failure
        finally:
            for one in opened:
                os.close(one)
    swapper.kill()
    swapper.wait()
    os.close(own)
    # It still serves.
    equal(client.run(client.open_session(), "true")["exit_code"], 0)
    finish(world, service)


@case
def paths_need_descriptors(world):
    (first,) = prepare(world, users=1)
    service = start(world, everybody([first]))
    client = first.connect(hello=False)
    features = client.hello()["features"]
    assert "descriptors" in features and "proven_paths" in features, features
    policy = first.write("p.toml", OPEN_POLICY)
    own, its, path_only, write_only = (
        os.open(first.workspace, os.O_RDONLY), os.open(policy, os.O_RDONLY), os.open(first.workspace, os.O_PATH),
        os.open(policy, os.O_WRONLY))
    refuses("not_allowed", client, "session.create", workspace=first.workspace)
    refuses("not_allowed", client, "run", workspace=first.workspace, argv=["true"])
    refuses("invalid_params", client, "session.create", workspace=first.workspace, descriptors=["workspace"])
    ask = {"workspace": first.workspace, "policy": policy}

    def fails(kind, descriptors, names, **params):
        number = client.request_with(descriptors, "session.create", descriptors=names, **params)
        return refused(kind, lambda: client.wait(number), f"{names} {params}")
    fails("not_allowed", [own], ["workspace"], **ask)
    fails("not_allowed", [own], ["policy"], **ask)
    fails("refused", [its, own], ["workspace", "policy"], **ask)
    fails("refused", [own, own], ["workspace", "policy"], **ask)
    fails("invalid_params", [path_only, its], ["workspace", "policy"], **ask)
    fails("invalid_params", [own, write_only], ["workspace", "policy"], **ask)
    fails("invalid_params", [own], ["workspace", "policy"], **ask)
    fails("invalid_params", [own, own], ["workspace", "workspace"], **ask)
    fails("invalid_params", [own, its], ["workspace", "name"], **ask)
    fails("invalid_params", [own], "workspace", **ask)
    # What was left over by a wrong request is not taken for the next one's: that one fails too, and says why.
    number = client.request_with([own], "health")
    client.wait(number)
    client = first.connect()
    # Of several requests in one write, each has its own.
    session = client.wait(client.request_with([own, its], "session.create", descriptors=["workspace", "policy"], **ask))
    equal(client.run(session["session"]["id"], "true")["exit_code"], 0)
    client.wait(client.request_with([own], "session.create", workspace=first.workspace, policy="preset:agent",
                                    descriptors=["workspace"]))
    # More than anybody asks for.
    flooding = first.connect()
    try:
        for _ in range(80):
            flooding.request_with([own] * 10, "health")
        for number in range(2, 82):
            flooding.wait(number)
        raise AssertionError("it was served")
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    pid = supervisor_of(service, first)
    equal(client.call("health")["status"], "ok")
    for _ in range(50):
        client.wait(client.request_with([own, its, own], "health"))
        client.close()
        client = first.connect()

    def kept():
        found = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
        return [path for path in found if path in (first.workspace, policy)]
    until(lambda: not kept(), kept)
    for one in (own, its, path_only, write_only):
        os.close(one)
    finish(world, service)


@case
def rules_say_who_may_use_what(world):
    first, second, third = prepare(world, users=3)
    tier = world.path("tier.toml")
    with open(tier, "w") as file:
        file.write('version = 1\n[[command]]\nid = "owner-no"\nargv = ["hostname", "..."]\ndecision = "deny"\n')
    given = world.path("given.toml")
    with open(given, "w") as file:
        file.write(OPEN_POLICY + '[env]\nset = { GIVEN = "yes" }\n')
    for path in (tier, given):
        os.chmod(path, 0o644)
    service = start(world, f"""version = 1
[[allow]]
groups = ["cordonagents"]
policies = ["{given}", "preset:agent"]
tier = "{tier}"
sessions = 2
idle = "1h"
memory = "300M"
pids = 100
[[allow]]
users = [{second.id}]
""")
    client = first.connect()
    # The first of the policies is the one for who names none, also where a project has its own and its user trusts it.
    with first.rights():
        with open(os.path.join(first.workspace, ".cordon.toml"), "w") as file:
            file.write('version = 1\nextends = ["preset:agent"]\n[env]\nset = { GIVEN = "no" }\n')
    equal(first.cordon("policy", "trust")[0], 0)
    session = client.session()
    equal(client.call("session.inspect", session=session)["policy"], given)
    equal(client.run(session, "sh", "-c", "echo $GIVEN")["stdout"], "yes\n")
    client.session(policy="preset:agent")
    refuses("refused", client, "session.create", policy="preset:build")
    own = first.write("own.toml", OPEN_POLICY)
    try:
        client.session(policy=own)
        raise AssertionError("a policy of one's own")
    except RpcFailure as failure:
        assert failure.kind == "refused" and "owner" in str(failure), failure
    failure = refuses("denied", client, "command.run", session=session, argv=["hostname"])
    equal([one["rule"] for one in failure.data["evidence"]], ["owner-no"])
    try:
        client.session()
        raise AssertionError("a third session")
    except RpcFailure as failure:
        equal(failure.kind, "limit")
    # The limits are the kernel's, on everything, and not the user's to change.
    for place in user_groups(world, first):
        for name, value in (("memory.limit_in_bytes", "314572800"), ("memory.max", "314572800"), ("pids.max", "100")):
            path = os.path.join(place, name)
            if not os.path.exists(path):
                continue
            with open(path) as file:
                equal(file.read().strip(), value, path)
            equal(os.stat(path).st_uid, 0)
            with first.rights():
                equal(os.access(path, os.W_OK, effective_ids=True), False)
    report = client.run(session, "sh", "-c", "for i in $(seq 300); do sleep 1000 & done")
    assert report["exit_code"] != 0 and "fork" in report["stderr"], report
    # The second is not limited so, and not held by the tier.
    other = second.connect()
    equal(other.run(other.open_session(), "hostname")["exit_code"], 0)
    # The third, and root, are told why not.
    code, _, error = third.cordon("session", "ls")
    assert code == 125 and "may not use this service" in error, error
    for user, what in ((third, "may not use"), (None, "root is not served")):
        with third.rights() if user else contextlib.nullcontext():
            stranger = world.connect(world.service_path, hello=False)
        kind, stream, payload = stranger.read_frame()
        error = json.loads(payload)["error"]
        assert error["data"]["kind"] == "not_allowed" and what in error["message"], error
        try:
            stranger.read_frame()
            raise AssertionError("it is still there")
        except (EOFError, ConnectionResetError):
            pass
    finish(world, service)


@case
def rules_that_are_wrong(world):
    (first,) = prepare(world, users=1)
    check = os.path.join(BIN, "cordon-service")

    def checked(text, *options):
        write_rules(world, text)
        done = subprocess.run([check, "--check", "--config", world.rules, *options], capture_output=True, text=True)
        return done.returncode, done.stderr
    equal(checked("version = 1\n"), (0, ""))
    code, error = checked('version = 1\n[[allow]]\nusers = ["nobody-here", "root"]\ngroups = ["none-such"]\n'
                          'policies = ["preset:agent", "/nosuch.toml"]\n')
    equal((code, len(error.splitlines())), (0, 4), error)
    for text, what in (
            ("", "`version` is missing"), ("version = 2\n", "must be 1"), ("version = 1\n[[allow]]\n", "names nobody"),
            ("version = 1\n[[allow]]\nusers = [1.5]\n", "string"), ("version = 1\n[[allow]]\nusers = [-1]\n", "no account"),
            ("version = 1\n[[allow]]\nusers = [4294967295]\n", "no account"),
            ("version = 1\n[[allow]]\nusers = [\"a:b\"]\n", "no name"), ("version = 1\n[[allow]]\nuser = [\"a\"]\n", "users"),
            ("version = 1\n[[allow]]\nusers = \"a\"\n", "array"), ("version = 1\n[allow]\nusers = [\"a\"]\n", "[[allow]]"),
            ("version = 1\nallow = [1]\n", "[[allow]]"), ("version = 1\nallow = 1\n", "[[allow]]"),
            ("version = 1\n[[allow]]\nusers = [\"a\"]\npolicies = []\n", "empty"),
            ("version = 1\n[[allow]]\nusers = [\"a\"]\npolicies = [\"p.toml\"]\n", "absolute"),
            ("version = 1\n[[allow]]\nusers = [\"a\"]\ntier = \"x\"\n", "absolute"),
            ("version = 1\n[[allow]]\nusers = [\"a\"]\nmemory = \"x\"\n", "memory"),
            ("version = 1\n[[allow]]\nusers = [\"a\"]\npids = 0\n", "above zero"),
            ("version = 1\n[[allow]]\nusers = [\"a\"]\npids = 4194305\n", "above 4194304"),
            ("version = 1\n[[allow]]\ngroups = [\"*\"]\n", "no group"),
            ("version = 1\n[[allow]]\nusers = [\"a\"]\nsessions = \"many\"\n", "number"),
            ("version = 1\n[[allow]]\nusers = [\"a\"]\nidle = 5\n", "idle"),
            ("version = 1\n[[allow]\n", "TOML"), ("\xff", "TOML"), ("version = 1\n" * 2, "TOML")):
        code, error = checked(text)
        equal(code, 2, text)
        assert what in error and world.rules in error, (text, what, error)
    # It does not start with such a file, nor with one that others may write, nor without.
    for spoil in (lambda: write_rules(world, "version = 3\n"), lambda: os.chmod(world.rules, 0o666),
                  lambda: os.chown(world.rules, first.id, 0), lambda: os.unlink(world.rules),
                  lambda: (os.unlink(world.rules), os.mkdir(world.rules)),
                  lambda: (os.rmdir(world.rules), os.mkfifo(world.rules))):
        if not os.path.exists(world.rules):
            write_rules(world, everybody([first]))
        spoil()
        done = subprocess.run([check, "--config", world.rules, "--socket", world.service_path],
                              capture_output=True, text=True, timeout=10)
        equal((done.returncode, os.path.exists(world.service_path)), (2, False), done.stderr)
        if os.path.isfile(world.rules):
            os.chown(world.rules, 0, 0)
    for words in (["--nonsense"], ["--config"], [], ["--socket"], ["extra"]):
        done = subprocess.run([check, *words], capture_output=True, text=True, timeout=10)
        equal(done.returncode, 2, str(words))
        assert done.stderr.startswith("cordon-service: "), done.stderr
    done = subprocess.run(["setpriv", f"--reuid={first.id}", "--clear-groups", check, "--socket", "/tmp/none"],
                          capture_output=True, text=True, timeout=10)
    assert done.returncode == 2 and "root" in done.stderr, done.stderr
    done = subprocess.run([check, "--help"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0 and "examples:" in done.stdout


@case
def reload_holds_whole_or_not_at_all(world):
    first, second = prepare(world)
    service = start(world, everybody([first, second]))
    one, two = first.connect(), second.connect()
    mine, its = one.open_session(), two.open_session()
    pids = supervisor_of(service, first), supervisor_of(service, second)

    def told(what, count=1):
        until(lambda: world.log().count(what) >= count, lambda: f"{what}: {world.log()}")
    # A file that is wrong changes nothing.
    write_rules(world, "version = 1\n[[allow]]\nusers = [\n")
    service.send_signal(signal.SIGHUP)
    told("TOML")
    equal(one.run(mine, "true")["exit_code"], 0)
    # One user goes, the other stays.
    write_rules(world, everybody([second]))
    service.send_signal(signal.SIGHUP)
    told("other rights")
    until(lambda: not is_alive(pids[0]), "the first one's supervisor goes")
    until(lambda: not user_groups(world, first), "its groups go")
    equal(two.run(its, "true")["exit_code"], 0)
    equal(supervisor_of(service, second), pids[1])
    assert "may not use" in first.cordon("session", "ls")[2]
    # Other limits are other rights: nothing goes on with the old ones.
    write_rules(world, everybody([first, second]) + "pids = 200\n")
    service.send_signal(signal.SIGHUP)
    told("other rights", 2)
    until(lambda: not is_alive(pids[1]), "the second one's supervisor goes")
    equal(second.connect().call("session.list")["sessions"], [])
    # Policies of sessions are read again.
    policy = second.write("changing.toml", OPEN_POLICY)
    two = second.connect()
    session = two.session(policy=policy)
    equal(two.run(session, "hostname")["exit_code"], 0)
    second.write("changing.toml", OPEN_POLICY + '[[command]]\nid = "no"\nargv = ["hostname", "..."]\ndecision = "deny"\n')
    service.send_signal(signal.SIGHUP)

    def is_denied():
        try:
            two.run(session, "hostname")
        except RpcFailure as failure:
            equal(failure.kind, "denied")
            return True
        return False
    until(is_denied, "the policy is read again")
    finish(world, service)


@case
def a_dead_supervisor_is_its_users_loss_alone(world):
    first, second = prepare(world)
    service = start(world, everybody([first, second]))
    one, two = first.connect(), second.connect()
    mine, its = one.open_session(), two.open_session()
    one.start_shell(mine, "setsid sleep 5321 & sleep 5322")
    two.start_shell(its, "sleep 5323")
    for _ in range(3):
        pid = until(lambda: supervisor_of(service, first), "there is one")
        everything = processes()
        below = [other for other in descendants(pid, everything) if everything[other][1] != "Z"]
        os.kill(pid, signal.SIGKILL)
        # Who comes meanwhile waits, and is served by the next.
        fresh = first.connect()
        listed = fresh.call("session.list")["sessions"]
        equal([entry["state"] for entry in listed if entry["id"] == mine], ["interrupted"])
        until(lambda: not [other for other in below if is_alive(other)], "all that it had is dead")
        fresh.call("session.reopen", session=mine)
        equal(fresh.run(mine, "true")["exit_code"], 0)
    equal(two.run(its, "true")["exit_code"], 0)
    # The janitor dies with it too: whoever clears up is the service.
    pid = supervisor_of(service, first)
    everything = processes()
    for other in [pid, *descendants(pid, everything)]:
        with contextlib.suppress(OSError):
            os.kill(other, signal.SIGKILL)
    until(lambda: not user_groups(world, first), "its groups are removed")
    equal(two.run(its, "true")["exit_code"], 0)
    finish(world, service)


@case
def a_dead_service_leaves_nothing(world):
    (first,) = prepare(world, users=1)
    service = start(world, everybody([first]))
    client = first.connect()
    session = client.open_session()
    client.start_shell(session, "setsid sleep 5331 & sleep 5332")
    everything = processes()
    below = [pid for pid in descendants(service.pid, everything) if everything[pid][1] != "Z"]
    assert len(below) >= 4, below
    service.kill()
    service.wait()
    until(lambda: not [pid for pid in below if is_alive(pid)], "everything goes with it")
    service = start(world, everybody([first]))
    until(lambda: not user_groups(world, first), "what it left is removed")
    client = first.connect()
    equal(client.run(client.open_session(), "true")["exit_code"], 0)
    # Two at a time would take each other's users for remains.
    done = subprocess.run([os.path.join(BIN, "cordon-service"), "--config", world.rules, "--socket", world.path("other")],
                          capture_output=True, text=True, timeout=10, preexec_fn=lambda: enter_groups(world))
    assert done.returncode == 125 and "another cordon-service" in done.stderr, done.stderr
    finish(world, service)


def enter_groups(world):
    for group in world.service_groups:
        with open(os.path.join(group, "cgroup.procs"), "w") as file:
            file.write("0")


@case(seconds=90)
def an_unused_supervisor_goes(world):
    (first,) = prepare(world, users=1)
    service = start(world, everybody([first]))
    client = first.connect()
    session = client.open_session()
    client.call("session.close", session=session)
    client.close()
    world.clients.remove(client)
    pid = supervisor_of(service, first)
    until(lambda: not is_alive(pid), "it goes when nobody needs it", seconds=50)
    until(lambda: not user_groups(world, first), "and its groups with it")
    client = first.connect()
    equal(client.call("session.list")["sessions"], [])
    finish(world, service)


@case
def clients_that_disturb_disturb_nobody(world):
    first, second = prepare(world)
    service = start(world, everybody([first, second]))
    two = second.connect()
    session = two.open_session()
    generator = random.Random(Options.seed)
    with first.rights():
        for _ in range(400):
            stranger = socket.socket(socket.AF_UNIX)
            stranger.connect(world.service_path)
            with contextlib.suppress(OSError):
                stranger.send(generator.randbytes(generator.randrange(200)))
            stranger.close()
        crowd = []
        for _ in range(200):
            stranger = socket.socket(socket.AF_UNIX)
            stranger.connect(world.service_path)
            crowd.append(stranger)
    equal(two.run(session, "true")["exit_code"], 0)
    pid = until(lambda: supervisor_of(service, first), "it has a supervisor")
    # A supervisor that stands still holds up nobody else, and not the service.
    os.kill(pid, signal.SIGSTOP)
    with first.rights():
        for _ in range(600):
            stranger = socket.socket(socket.AF_UNIX)
            stranger.setblocking(False)
            with contextlib.suppress(OSError):
                stranger.connect(world.service_path)
            stranger.close()
    equal(two.run(session, "true")["exit_code"], 0)
    third = second.connect()
    equal(third.call("health")["status"], "ok")
    os.kill(pid, signal.SIGCONT)
    for stranger in crowd:
        stranger.close()

    def serves():
        # Its queue is full of those who have gone.
        try:
            return first.connect().call("health")["status"] == "ok"
        except (OSError, EOFError):
            return False
    until(serves, "it serves again")
    finish(world, service)


@case
def started_by_a_service_manager(world):
    (first,) = prepare(world, users=1)
    path = world.path("notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, socket.socket(socket.AF_UNIX) as listener:
        manager.bind(path)
        listener.bind(world.service_path)
        os.chmod(world.service_path, 0o666)
        listener.listen()
        # As systemd does it: the socket as number 3, and the pid of who it is for.
        script = 'exec 3<&$0; LISTEN_PID=$$ exec "$@"'
        write_rules(world, everybody([first]))
        for group in world.service_groups:
            os.makedirs(group, exist_ok=True)
        process = subprocess.Popen(
            ["bash", "-c", script, str(listener.fileno()), os.path.join(BIN, "cordon-service"), "--config", world.rules],
            env={"LISTEN_FDS": "1", "NOTIFY_SOCKET": path, "STATE_DIRECTORY": world.path("service-state")},
            pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            preexec_fn=lambda: enter_groups(world))
        world.supervisors.append(process)
        assert select.select([manager], [], [], 10)[0], "it says that it is ready"
        equal(manager.recv(100), b"READY=1")
        client = first.connect()
        session = client.open_session()
        # The listening socket and those of the service manager are nobody's in there.
        equal(client.shell(session, "ls /proc/$$/fd; env | grep -c LISTEN")["stdout"].split(), ["0", "1", "2", "0"])
        pid = supervisor_of(process, first)
        targets = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
        inode = os.fstat(listener.fileno()).st_ino
        assert f"socket:[{inode}]" not in targets, targets
        finish(world, process)
        equal(manager.recv(100), b"STOPPING=1")
        process.stderr.close()
    # Somebody else's variables are not for it.
    done = subprocess.run([os.path.join(BIN, "cordon-service"), "--config", world.rules], capture_output=True, text=True,
                          env={"LISTEN_FDS": "1", "LISTEN_PID": "1"}, timeout=10)
    assert done.returncode == 2 and "no socket" in done.stderr, done.stderr


@case
def the_program_with_the_service(world):
    first, second = prepare(world)
    service = start(world, everybody([first, second]))
    code, out, error = first.cordon("session", "new", "--name", "work")
    equal(code, 0, error)
    code, out, error = first.cordon("session", "exec", "work", "--", "sh", "-c", "pwd; echo $HOME")
    equal((code, out.split()[0]), (0, first.workspace), error)
    assert "work" in first.cordon("session", "ls")[1] and "work" not in second.cordon("session", "ls")[1]
    code, _, error = first.cordon("session", "new", "--workspace", second.workspace)
    assert code == 125 and error.startswith("cordon: "), error
    equal(first.cordon("session", "rm", "work")[0], 0)
    finish(world, service)
    code, _, error = first.cordon("session", "ls")
    assert code == 125 and "CORDON_SOCKET" in error, error


@case
def users_without_subordinate_ids(world):
    """One id is what they have; what it cannot give is refused or reported as anywhere."""
    other, first = prepare(world, has_range=False)
    service = start(world, everybody([other, first]))
    # Who is in other groups cannot leave them without ranges (newgidmap(1)).
    try:
        other.connect().open_session()
        raise AssertionError("groups were kept")
    except RpcFailure as failure:
        assert failure.kind == "refused" and "groups" in str(failure), failure
    client = first.connect()
    session = client.open_session()
    report = client.run(session, "sh", "-c", "id -u; echo x >file")
    equal((report["exit_code"], report["stdout"]), (0, "1000\n"), report["stderr"])
    equal(os.stat(os.path.join(first.workspace, "file")).st_uid, first.id)
    finish(world, service)


def as_user(user, script, *arguments):
    """A program of a user's, outside of everything; it says `go` when it has begun."""
    process = subprocess.Popen(
        ["setpriv", f"--reuid={user.id}", f"--regid={user.id}", "--clear-groups", "--inh-caps=-all", "python3", "-c", script,
         *arguments], stdout=subprocess.PIPE, text=True)
    equal(process.stdout.readline(), "go\n")
    return process


def children(process):
    return [pid for pid, (parent, state, _) in processes().items() if parent == process.pid and state != "Z"]


@case
def nobody_locks_the_service_out(world):
    """Whoever can open a directory can lock it (flock(2)), and groups are everybody's to look at."""
    first, second = prepare(world)
    for group in world.service_groups:
        os.makedirs(group, exist_ok=True)
    with second.rights():
        held = [os.open(group, os.O_RDONLY) for group in world.service_groups]
        for one in held:
            fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
    service = start(world, everybody([first]))
    equal(first.connect().call("health")["status"], "ok")
    with second.rights():
        for group in world.service_groups:
            for name in os.listdir(group):
                path = os.path.join(group, name)
                if not os.path.isdir(path):
                    continue
                try:
                    held.append(os.open(path, os.O_RDONLY))
                    raise AssertionError(f"{path} can be opened, and so be locked")
                except PermissionError:
                    pass
    for one in held:
        os.close(one)
    finish(world, service)


@case
def a_number_without_an_account_is_nobody(world):
    """With subordinate ids one user could be 65,536, each with limits of their own."""
    first, second = prepare(world)
    stranger = first.id + 3000
    for rules in ('users = ["*"]', f'groups = ["{first.name}"]'):
        service = start(world, f"version = 1\n[[allow]]\n{rules}\n")
        equal(first.connect().call("health")["status"], "ok")
        # As a process in a user namespace of the first user's is seen.
        os.setegid(first.id)
        os.seteuid(stranger)
        try:
            client = world.connect(world.service_path, hello=False)
        finally:
            os.seteuid(0)
            os.setegid(0)
        error = json.loads(client.read_frame()[2])["error"]
        assert "may not use" in error["message"], error
        finish(world, service)
    service = start(world, f"version = 1\n[[allow]]\nusers = [{stranger}]\n")
    os.setegid(first.id)
    os.seteuid(stranger)
    try:
        client = world.connect(world.service_path)
    finally:
        os.seteuid(0)
        os.setegid(0)
    equal(client.call("health")["status"], "ok")
    finish(world, service)


@case(seconds=90)
def a_stopped_supervisor_has_to_go_too(world):
    """Its user can stop it, and its sessions would stay for whom no rule names any more."""
    first, second = prepare(world)
    service = start(world, everybody([first, second]))
    client = first.connect()
    mark = os.path.join(first.workspace, "mark")
    client.start_shell(client.open_session(), "echo $$ >mark; sleep 5341")
    until(lambda: os.path.exists(mark), "the command runs")
    pid = supervisor_of(service, first)
    below = [one for one in descendants(pid) if is_alive(one)]
    with first.rights():
        os.kill(pid, signal.SIGSTOP)
    write_rules(world, everybody([second]))
    service.send_signal(signal.SIGHUP)
    until(lambda: not [one for one in [pid, *below] if is_alive(one)], "it goes, and all that it had", seconds=20)
    until(lambda: not user_groups(world, first), "its groups go")
    # The same when the service is to end.
    second.connect()
    with second.rights():
        os.kill(supervisor_of(service, second), signal.SIGSTOP)
    finish(world, service)


@case(seconds=120)
def groups_that_cannot_be_removed_hold_up_nobody_else(world):
    first, second = prepare(world)
    service = start(world, everybody([first, second]))
    mine, other = first.connect(), second.connect()
    session = other.open_session()
    # Deeper than a path may be long (PATH_MAX), in every hierarchy of version 1; version 2 has a limit for that.
    everything = user_groups(world, first)
    groups = [group for group in everything if os.path.exists(os.path.join(group, "tasks"))]
    if not groups:
        return finish(world, service)
    deep = as_user(first, """
import os, sys
for group in sys.argv[1:]:
    os.chdir(group)
    for _ in range(24):
        os.mkdir('d' * 200)
        os.chdir('d' * 200)
print('go', flush=True)
""", *groups)
    with first.rights():
        for group in set(everything) - set(groups):
            place = group
            try:
                for _ in range(17):
                    place += "/deeper"
                    os.mkdir(place)
                raise AssertionError("it is as deep as its user likes")
            except OSError as error:
                equal(error.errno, errno.EAGAIN)
    equal(deep.wait(), 0)
    deep.stdout.close()
    pid = supervisor_of(service, first)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid), "it is dead")
    equal(other.run(session, "true")["exit_code"], 0)
    kept = supervisor_of(service, second)
    cleaner = until(lambda: [one for one in children(service) if one != kept], "somebody clears up")[0]
    # The service's death is nobody else's to miss, and the next one does not wait.
    service.kill()
    service.wait()
    until(lambda: not is_alive(kept), "the other's supervisor notices")
    os.kill(cleaner, signal.SIGSTOP)
    service = start(world, everybody([first, second]))
    until(lambda: second.connect().call("health")["status"] == "ok", "others are served at once", seconds=3)
    os.kill(cleaner, signal.SIGKILL)
    # The first is told, as long as it is so.
    stuck = first.connect(hello=False)
    message = json.loads(stuck.read_frame(30)[2])["error"]["message"]
    assert "cannot be removed" in message, message
    for group in groups:
        os.chdir(group)
        for _ in range(24):
            os.chdir("d" * 200)
        for _ in range(24):
            os.chdir("..")
            os.rmdir("d" * 200)
        os.chdir("/")
    equal(first.connect().call("health")["status"], "ok")
    finish(world, service)


@case
def what_is_in_a_users_groups_dies_with_the_supervisor(world):
    (first,) = prepare(world, users=1)
    service = start(world, everybody([first]))
    first.connect()
    old = [group for group in user_groups(world, first) if os.path.exists(os.path.join(group, "tasks"))]
    if not old:
        return finish(world, service)
    # On version 1 a user can move their own processes from anywhere.
    guest = as_user(first, """
import os, sys, time
os.mkdir(sys.argv[1] + '/more')
open(sys.argv[1] + '/more/tasks', 'w').write('0')
print('go', flush=True)
time.sleep(5351)
""", old[0])
    os.kill(supervisor_of(service, first), signal.SIGKILL)
    equal(guest.wait(10), -signal.SIGKILL)
    guest.stdout.close()
    until(lambda: not user_groups(world, first), "its groups go")
    finish(world, service)


@case
def a_user_cannot_freeze_what_the_service_waits_for(world):
    """On version 2 alone: groups are their user's only when nothing of the service's is in them that it waits for."""
    first, second = prepare(world)
    unified = next((place for place in hierarchies() if os.path.exists(os.path.join(place, "cgroup.controllers"))), None)
    if unified is None:
        return
    # This mount namespace is the case's own: here there is no version 1.
    with open("/proc/self/mounts") as file:
        old = [fields[1] for fields in map(str.split, file) if fields[2] == "cgroup"]
    for place in old:
        if libc.umount2(place.encode(), 2) != 0:
            raise OSError(ctypes.get_errno(), place)
    world.service_groups = [group for group in world.service_groups if group.startswith(unified)]
    service = start(world, everybody([first, second]))
    first.connect()
    group = user_groups(world, first)[0]
    pid = supervisor_of(service, first)
    leaf = os.path.join(group, "supervisor")
    freezer = as_user(first, f"""
import os
os.mkdir({group!r} + '/mine')
for name in os.listdir({group!r}):
    if os.path.isdir({group!r} + '/' + name) and name != 'mine':
        for process in open({group!r} + '/' + name + '/cgroup.procs').read().split():
            open({group!r} + '/mine/cgroup.procs', 'w').write(process)
os.rmdir({leaf!r})
os.mkdir({leaf!r})
open({leaf!r} + '/cgroup.freeze', 'w').write('1')
os.kill({pid}, 9)
print('go', flush=True)
""")
    equal(freezer.wait(), 0)
    freezer.stdout.close()
    # Whoever comes now would be put into it, if it were not killed and removed before.
    until(lambda: first.connect().call("health")["status"] == "ok", "the user is served again", seconds=20)
    equal(second.connect().call("health")["status"], "ok")
    finish(world, service)
