"""What a case of the protocol's tests lives in: fresh directories, supervisors, and a look at what they leave behind.

It never sleeps for a time that it hopes is long enough: it waits for a condition, with a deadline.
"""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from cordon_client import Client

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("CORDON_BIN") or os.path.join(REPOSITORY, ".build", "release")
CGROUPS = "/sys/fs/cgroup"

# Commands are allowed, whatever they are: what a case is about is not what the presets think of a command.
OPEN_POLICY = """version = 1
extends = ["preset:agent"]
[defaults]
command = "allow"
opaque = "allow"
jailed = "allow"
"""


def until(condition, what, seconds=10):
    """Waits for a condition and returns what it came to."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.005)


def processes():
    """Every process: its parent, its state and its name, by its pid."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    text = file.read()
            except OSError:
                continue
            end = text.rindex(b")")
            fields = text[end + 2:].split()
            found[int(name)] = (int(fields[1]), fields[0].decode(), text[text.index(b"(") + 1:end].decode())
    return found


def descendants(root, all_of_them=None):
    all_of_them = all_of_them or processes()
    found, more = [], [root]
    while more:
        parent = more.pop()
        children = [pid for pid, (its, _, _) in all_of_them.items() if its == parent]
        found += children
        more += children
    return found


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rsplit(b")", 1)[1].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident(pid):
    """Bytes of memory that a process has."""
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def processor_time(pid):
    """Seconds that a process has used."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rsplit(b")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cgroups():
    """Every directory of cgroups that is Cordon's."""
    found = set()
    for place, names, _ in os.walk(CGROUPS):
        if "cordon" in place[len(CGROUPS):].split("/"):
            found |= {os.path.join(place, name) for name in names}
    return found


def cgroups_of(pids):
    """The names of the jails' own groups in which these processes are."""
    names = set()
    for pid in pids:
        try:
            with open(f"/proc/{pid}/cgroup") as file:
                lines = file.read().split("\n")
        except OSError:
            continue
        for line in lines:
            parts = line.partition(":")[2].partition(":")[2].split("/")
            if "cordon" in parts[:-1]:
                names.add(parts[parts.index("cordon") + 1])
    return names


def groups_named(names):
    return sorted(path for path in cgroups() if set(path.split("/")) & set(names))


def mounts():
    with open("/proc/self/mountinfo") as file:
        return sorted(line.split(" ", 4)[4] for line in file)


class Peer(Client):
    """A client, with what its case needs to know of it."""

    world = None

    def session(self, **params):
        params.setdefault("workspace", self.world.workspace)
        return self.call("session.create", **params)["session"]["id"]

    def open_session(self, **params):
        """One whose policy allows every command."""
        params.setdefault("policy", self.world.policy(OPEN_POLICY))
        return self.session(**params)

    def run(self, session, *argv, **params):
        return self.call("command.run", session=session, argv=list(argv), **params)

    def shell(self, session, text, **params):
        return self.call("command.run", session=session, argv=["bash", "-c", text], **params)

    def start_shell(self, session, text, **params):
        return self.call("command.start", session=session, argv=["bash", "-c", text], **params)["command"]


class World:
    """Directories of one case and the supervisors that it starts. At the end nothing of them may be left."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="cordon-protocol-", dir="/var/tmp")
        self.number = 0
        self.supervisors, self.clients, self.others = [], [], []
        self.seen, self.groups = set(), set()
        for name in ("home", "runtime", "state", "workspace", "policies"):
            os.mkdir(os.path.join(self.root, name), 0o700)
        self.workspace = os.path.join(self.root, "workspace")
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": os.path.join(self.root, "home"), "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": os.path.join(self.root, "runtime"), "XDG_STATE_HOME": os.path.join(self.root, "state"),
            "SWIFT_BACKTRACE": "enable=no",
        }

    def path(self, *names):
        return os.path.join(self.root, *names)

    def inside(self, *names):
        return os.path.join(self.workspace, *names)

    def policy(self, text):
        for name in os.listdir(self.path("policies")):
            path = self.path("policies", name)
            with open(path) as file:
                if file.read() == text:
                    return path
        path = self.path("policies", f"{len(os.listdir(self.path('policies')))}.toml")
        with open(path, "w") as file:
            file.write(text)
        return path

    def stdio(self, *options, hello=True):
        """A client with a supervisor of its own."""
        log = open(self.path(f"log-{self.number}"), "wb")
        self.number += 1
        client = Peer.start(
            os.path.join(BIN, "cordon-supervisor"), *options, env=self.environment, cwd=self.root, stderr=log)
        log.close()
        client.world = self
        self.supervisors.append(client.process)
        self.clients.append(client)
        if hello:
            client.hello()
        return client

    def listen(self, *options, environment=None, prefix=()):
        """A supervisor on a socket: its process and its path."""
        path = self.path(f"socket-{self.number}")
        log = open(self.path(f"log-{self.number}"), "wb")
        self.number += 1
        process = subprocess.Popen(
            [*prefix, os.path.join(BIN, "cordon-supervisor"), "--socket", path, *options],
            env=environment or self.environment, cwd=self.root, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=log)
        log.close()
        self.supervisors.append(process)

        def answers():
            assert process.poll() is None, f"the supervisor ended with {process.returncode}: {self.log()}"
            with socket.socket(socket.AF_UNIX) as probe:
                return probe.connect_ex(path) == 0
        until(answers, "the supervisor listens")
        return process, path

    def connect(self, path, hello=True):
        client = Peer.connect(path)
        client.world = self
        self.clients.append(client)
        if hello:
            client.hello()
        return client

    def cordon(self, *arguments, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("cwd", self.workspace)
        return subprocess.Popen(
            [os.path.join(BIN, "cordon"), *arguments], env=options.pop("env", self.environment), **options)

    def log(self):
        text = ""
        for number in range(self.number):
            with open(self.path(f"log-{number}"), errors="replace") as file:
                text += file.read()
        return text

    def watch(self):
        """Remembers what runs now, so that its absence can be told later."""
        everything = processes()
        for process in self.supervisors:
            self.seen |= {pid for pid in descendants(process.pid, everything) if everything[pid][1] != "Z"}
        self.groups |= cgroups_of(self.seen)

    def shared_supervisor(self):
        """The pid of the supervisor that `cordon session` has started here, if there is one."""
        mark = ("XDG_RUNTIME_DIR=" + self.environment["XDG_RUNTIME_DIR"]).encode()
        for pid, (_, state, name) in processes().items():
            if name.startswith("cordon-supervis") and state != "Z":
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as file:
                        line = file.read()
                    with open(f"/proc/{pid}/environ", "rb") as file:
                        if mark in file.read().split(b"\0") and b"--listening" in line:
                            return pid
                except OSError:
                    continue
        return None

    def gone(self):
        """What is left of all that was seen."""
        return [pid for pid in self.seen if is_alive(pid)], groups_named(self.groups)

    def close(self):
        """Ends everything, and says what it found to be wrong."""
        wrong = []
        self.watch()
        shared = self.shared_supervisor()
        if shared:
            everything = processes()
            self.seen |= set(descendants(shared, everything)) | {shared}
            self.groups |= cgroups_of(self.seen)
        for client in self.clients:
            if client.process is None:
                client.socket.close()
            elif client.process.stdin and not client.process.stdin.closed:
                client.process.stdin.close()
        for process in self.supervisors:
            if process.stdin is None:
                process.terminate()
        if shared:
            os.kill(shared, signal.SIGTERM)
        for process in self.supervisors:
            try:
                status = process.wait(15)
                if status not in (0, -signal.SIGKILL):
                    wrong.append(f"a supervisor ended with {status}: {self.log()[-2000:]}")
            except subprocess.TimeoutExpired:
                wrong.append("a supervisor does not end")
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()
        try:
            until(lambda: self.gone() == ([], []), "", 10)
        except AssertionError:
            left = self.gone()
            wrong.append(f"left behind: processes {left[0]}, cgroups {left[1][:5]}")
            for pid in left[0]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
        shutil.rmtree(self.root, ignore_errors=True)
        return wrong
