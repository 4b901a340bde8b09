"""Approvals: who asks waits, who may answers, and nobody answers for themselves."""
import fcntl
import json
import os
import subprocess
import termios
import sys

from cases import case, equal, refused, refuses
from cordon_client import RpcFailure
from world import BIN, until

HERE = os.path.dirname(os.path.abspath(__file__))


def policy(world, scopes="", expiry=""):
    return world.policy(
    "version = 1\nextends = [\"preset:agent\"]\n[defaults]\ncommand = \"ask\"\njailed = \"ask\"\nopaque = \"ask\"\n"
    f"[approval]\napprovers = [\"cli\"]\n{scopes}\n{expiry}\n")


ASKER = """
import json, os, sys
sys.path.insert(0, {here!r})
sys.dont_write_bytecode = True
from cordon_client import Client, RpcFailure
client = Client.connect({path!r})
client.hello()
session = client.call("session.create", workspace={workspace!r}, policy={policy!r})["session"]["id"]
print(json.dumps([os.getpid(), session]), flush=True)
for line in sys.stdin:
    number = client.request("command.run", session=session, **json.loads(line))
    try:
        while number not in client.answers:
            count = len(client.notices)
            client.step()
            if len(client.notices) > count:
                print(json.dumps(client.notices[-1]), flush=True)
        print(json.dumps({{"result": client.wait(number)}}), flush=True)
    except RpcFailure as failure:
        print(json.dumps({{"kind": failure.kind, "data": failure.data}}), flush=True)
"""


class Asker:
    """A client in a process of its own, which is neither this one's parent nor started by who answers."""

    def __init__(self, world, path, policy):
        self.process = subprocess.Popen(
            [sys.executable, "-c", ASKER.format(here=HERE, path=path, workspace=world.workspace, policy=policy)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid, self.session = self.line()

    def line(self):
        return json.loads(self.process.stdout.readline())

    def ask(self, **params):
        """Sends a request; returns what waits for an answer."""
        self.process.stdin.write(json.dumps(params) + "\n")
        self.process.stdin.flush()
        notice = self.line()
        equal(notice.get("method"), "approval.pending", str(notice)[:200])
        return notice["params"]["approval"]

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def listening(world):
    """A supervisor where `cordon approve` looks for one."""
    os.makedirs(world.path("runtime", "cordon"), 0o700, exist_ok=True)
    process, path = world.listen()
    os.symlink(path, world.path("runtime", "cordon", "sessions.sock"))
    return process, path


def answers(world, *arguments):
    """As a person does it: in a terminal of their own, which is the controlling one of a new session."""
    master, slave = os.openpty()

    def take_terminal():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    try:
        done = world.cordon(*arguments, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            preexec_fn=take_terminal)
        out, err = done.communicate(timeout=20)
    finally:
        os.close(slave)
        os.close(master)
    return done.returncode, out.decode(), err.decode()


@case
def approving_and_denying(world):
    _, path = listening(world)
    asker = Asker(world, path, policy(world))
    question = asker.ask(argv=["factor", "42"])
    for name in ("id", "session", "argv", "evidence", "scopes", "waited_ms", "expires_in_ms"):
        assert name in question, name
    equal((question["session"], question["argv"], question["scopes"]), (asker.session, ["factor", "42"], ["once"]))
    code, out, _ = answers(world, "approve", "--list", "--json")
    equal((code, [one["id"] for one in json.loads(out)["approvals"]]), (0, [question["id"]]))
    listed = answers(world, "approve", "--list")[1].splitlines()
    equal(listed[0].split(), ["ID", "EXPIRES", "SESSION", "DIRECTORY", "COMMAND"])
    fields = listed[1].split(None, 4)
    equal((fields[0], fields[3:]), (question["id"], [world.workspace, "factor 42"]))
    assert fields[2] and "ms" not in fields[1], listed
    equal(answers(world, "approve", question["id"])[0], 0)
    equal(asker.line()["result"]["stdout"], "42: 2 3 7\n")
    equal(answers(world, "approve", question["id"])[0], 125, "it is answered already")
    told = answers(world, "audit", "tail", "-n", "50")[1].splitlines()
    asked = [line for line in told if "approval.asked" in line]
    answered = [line for line in told if "approval.answered" in line]
    assert len(asked) == 1 and f"question {question['id']}" in asked[0] and "factor 42" in asked[0], told
    assert len(answered) == 1 and f"question {question['id']}" in answered[0], told
    assert "approve once" in answered[0], told
    # Once is once.
    question = asker.ask(argv=["factor", "42"])
    equal(answers(world, "deny", question["id"])[0], 0)
    answer = asker.line()
    equal((answer["kind"], answer["data"]["decision"]), ("denied", "ask"))
    question = asker.ask(command="factor 1; touch ghost")
    equal(question["command"], "factor 1; touch ghost")
    code, _, error = answers(world, "approve", "--session", question["id"])
    equal(code, 125, "a scope that the policies do not give")
    equal(answers(world, "deny", question["id"])[0], 0)
    equal(asker.line()["kind"], "denied")
    equal(os.listdir(world.workspace), [])
    equal(answers(world, "approve", "nonsense")[0] in (2, 125), True)
    asker.end()


@case
def for_the_session(world):
    _, path = listening(world)
    asker = Asker(world, path, policy(world, scopes='scopes = ["once", "session"]'))
    words = {"argv": ["factor", "42"]}
    equal(answers(world, "approve", "--session", asker.ask(**words)["id"])[0], 0)
    equal(asker.line()["result"]["stdout"], "42: 2 3 7\n")
    asker.process.stdin.write(json.dumps(words) + "\n")
    asker.process.stdin.flush()
    equal(asker.line()["result"]["stdout"], "42: 2 3 7\n", "the same words are not asked about again")
    # Exactly these words, there, with these variables.
    os.mkdir(world.inside("sub"))
    for other in ({"argv": ["factor", "42 "]}, {**words, "env": {"A": "b"}}, {**words, "cwd": "sub"},
                  {"command": "factor 42"}, {"argv": ["factor", "42", ""]}):
        question = asker.ask(**other)
        equal(answers(world, "deny", question["id"])[0], 0)
        equal(asker.line()["kind"], "denied", str(other))
    second = Asker(world, path, policy(world, scopes='scopes = ["once", "session"]'))
    equal(answers(world, "deny", second.ask(**words)["id"])[0], 0)
    equal(second.line()["kind"], "denied", "another session")
    asker.end()
    second.end()


@case
def expiry(world):
    _, path = listening(world)
    asker = Asker(world, path, policy(world, expiry='expiry = "150ms"'))
    question = asker.ask(argv=["mytool"])
    assert question["expires_in_ms"] <= 150
    equal(asker.line()["kind"], "not_approved")
    equal(answers(world, "approve", question["id"])[0], 125)
    asker.end()


@case
def who_asked_may_not_answer(world):
    client = world.stdio()
    session = client.session(policy=policy(world))
    number = client.request("command.run", session=session, argv=["mytool"])
    while not client.notices:
        client.step()
    question = client.notices[-1]["params"]["approval"]["id"]
    for answer in ("approve", "deny"):
        refuses("not_allowed", client, "approval.answer", approval=question, answer=answer)
    other = world.connect(world.path("runtime", "cordon", f"{client.process.pid}.sock"))
    equal([one["id"] for one in other.call("approval.list")["approvals"]], [question])
    refuses("not_allowed", other, "approval.answer", approval=question, answer="approve")
    # A child of who asked, and a child's child.
    equal(answers(world, "approve", question)[0], 125)
    done = subprocess.run(["sh", "-c", f"{BIN}/cordon approve {question}; echo $?"],
                          env=world.environment, capture_output=True, text=True)
    equal(done.stdout, "125\n")
    assert number not in client.answers
    client.call("cancel", id=number)
    refused("cancelled", lambda: client.wait(number))
    equal(client.call("approval.list")["approvals"], [])


@case
def a_child_that_lost_its_parent_may_not_answer(world):
    """Who asked forks twice, so that its grandchild is nobody's child any more."""
    client = world.stdio()
    session = client.session(policy=policy(world))
    number = client.request("command.run", session=session, argv=["factor", "42"])
    while not client.notices:
        client.step()
    question = client.notices[-1]["params"]["approval"]["id"]
    result = world.path("answered")
    subprocess.run(["setsid",
    "-f",
    "sh",
    "-c",
    f"{BIN}/cordon approve {question}; echo $? > {result}.new; mv {result}.new {result}"],
    env=world.environment,
    stdin=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
     check=True)
    until(lambda: os.path.exists(result), "it answered")
    with open(result) as file:
        equal(file.read(), "125\n", "cordon approve by a grandchild of who asked")
    client.call("cancel", id=number)
    refused("cancelled", lambda: client.wait(number))


@case
def a_question_goes_with_its_request(world):
    _, path = world.listen()
    watcher = world.connect(path)
    text = policy(world)
    for leave in ("cancel", "deadline", "disconnect", "close"):
        asker = world.connect(path)
        session = asker.session(policy=text)
        params = {"deadline_ms": 100} if leave == "deadline" else {}
        number = asker.request("command.run", session=session, argv=["mytool"], **params)
        while not asker.notices:
            asker.step()
        if leave == "cancel":
            asker.call("cancel", id=number)
        elif leave == "disconnect":
            asker.socket.close()
        elif leave == "close":
            asker.call("session.close", session=session)
        until(lambda: watcher.call("approval.list")["approvals"] == [],
              f"the question of a request that ended by {leave}", 5)
        if leave not in ("disconnect",):
            try:
                asker.wait(number, 5)
                raise AssertionError("it was answered with a result")
            except RpcFailure as failure:
                assert failure.kind in ("cancelled", "deadline", "ended"), failure.kind


@case
def a_run_that_is_not_approved_leaves_no_session(world):
    client = world.stdio()
    text = policy(world)
    for leave in ("cancel", "deadline"):
        params = {"deadline_ms": 100} if leave == "deadline" else {}
        count = len(client.notices)
        number = client.request("run", workspace=world.workspace, policy=text, argv=["mytool"], **params)
        while len(client.notices) == count:
            client.step()
        if leave == "cancel":
            client.call("cancel", id=number)
        refused("cancelled" if leave == "cancel" else "deadline", lambda: client.wait(number))
        until(lambda: client.call("session.list")["sessions"] == [], f"the session of a run that ended by {leave}", 5)


@case
def input_to_an_interpreter(world):
    """Who writes an interpreter's input can have it do anything: only a rule that says `interactive` allows that."""
    def text(interactive):
        return world.policy(
            "version = 1\nextends = [\"preset:agent\"]\n[defaults]\ncommand = \"ask\"\njailed = \"deny\"\n"
            "[[command]]\nid = \"shell\"\nargv = [\"bash\", \"x.sh\"]\ndecision = \"allow\"\n"
            f"interactive = {interactive}\n")

    with open(world.inside("x.sh"), "w") as file:
        file.write("read line; echo got $line\n")
    client = world.stdio()
    closed, opened = client.session(policy=text("false")), client.session(policy=text("true"))
    words = ["bash", "x.sh"]
    equal(client.run(closed, *words)["stdout"], "got\n", "no input")
    equal(client.call("command.run", session=closed, argv=words, input="")["stdout"], "got\n", "input of no bytes")
    equal(client.call("command.run", session=closed, argv=["cat"], input="x")["stdout"], "x", "not an interpreter")
    for method, params in (("command.run", {"input": "x\n"}), ("command.start", {"stdin": "open"}),
                           ("command.run", {"stdin": "open", "stream": True}), ("terminal.open", {})):
        failure = refuses("denied", client, method, session=closed, argv=words, **params)
        evidence = failure.data["evidence"][0]
        equal((evidence["rule"], evidence["decision"]), ("defaults.jailed", "deny"))
        assert "`shell` is not `interactive`" in evidence["reason"], evidence
        assert "interactive = true" in evidence["remedy"], evidence
    refuses("denied", client, "command.run", session=closed, command="cat x.sh; bash x.sh", input="x\n")
    equal(client.call("command.run", session=opened, argv=words, input="x\n")["stdout"], "got x\n")
    terminal = client.call("terminal.open", session=opened, argv=words)["terminal"]
    client.call("terminal.write", session=opened, terminal=terminal, data="x\n")
    equal(client.call("terminal.wait", session=opened, terminal=terminal)["exit_code"], 0)
    refuses("denied", client, "terminal.open", session=opened, argv=["bash"])
    # What a preset's jail allows, it allows on a terminal too.
    preset = client.session(policy="preset:agent")
    terminal = client.call("terminal.open", session=preset, argv=["bash", "--norc"])["terminal"]
    client.call("terminal.write", session=preset, terminal=terminal, data="exit 7\n")
    equal(client.call("terminal.wait", session=preset, terminal=terminal)["exit_code"], 7)
    equal(client.call("command.run", session=preset, argv=["bash"], input="exit 6\n")["exit_code"], 6)


@case
def an_approval_is_for_one_form(world):
    """What was approved without input is asked about again with it, where it matters."""
    _, path = listening(world)
    asker = Asker(world, path, policy(world, scopes='scopes = ["once", "session"]'))
    with open(world.inside("x.sh"), "w") as file:
        file.write("echo ran\n")
    words = {"argv": ["bash", "x.sh"]}
    equal(answers(world, "approve", "--session", asker.ask(**words)["id"])[0], 0)
    equal(asker.line()["result"]["stdout"], "ran\n")
    equal(answers(world, "deny", asker.ask(**words, input="x")["id"])[0], 0)
    equal(asker.line()["kind"], "denied")
    equal(answers(world, "approve", "--session", asker.ask(argv=["cp", "x.sh", "y"])["id"])[0], 0)
    equal(asker.line()["result"]["exit_code"], 0)
    asker.process.stdin.write(json.dumps({"argv": ["cp", "x.sh", "y"], "input": "9"}) + "\n")
    asker.process.stdin.flush()
    equal(asker.line()["result"]["exit_code"], 0, "to what does not obey its input it makes no difference")
    asker.end()


@case
def asked_by_the_program(world):
    """`cordon session exec` says that somebody has to answer, and what came of it."""
    made = world.cordon("session", "new", "--name", "s", "--policy", policy(world), stdout=subprocess.DEVNULL)
    equal(made.wait(30), 0)
    for words in (["exec"], ["exec", "-d"]):
        asking = world.cordon("session", *words, "s", "--", "factor", "42", stderr=subprocess.PIPE,
                              stdout=subprocess.DEVNULL)
        line = asking.stderr.readline().decode()
        assert "waits for an answer: cordon approve " in line, line
        question = line.split("cordon approve ")[1].split(",")[0]
        equal(answers(world, "deny", question)[0], 0)
        said = asking.communicate(timeout=20)[1].decode()
        equal(asking.returncode, 126)
        assert said.startswith("cordon: not approved: ") and "cordon: denied" not in said, said
    # Who does not want to wait any longer is let go, and the question with it.
    asking = world.cordon("session", "exec", "s", "--", "factor", "42", stderr=subprocess.PIPE,
                          stdout=subprocess.DEVNULL)
    asking.stderr.readline()
    asking.terminate()
    equal((asking.communicate(timeout=5)[1], asking.returncode), (b"cordon: killed by SIGTERM\n", 143))
    until(lambda: json.loads(answers(world, "approve", "--list", "--json")[1])["approvals"] == [], "it is withdrawn")
