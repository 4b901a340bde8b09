"""Policies that change while sessions are open: what is watched, and what a file that is wrong does."""
import os
import shutil
import time

from cases import case, equal, refuses
from cordon_client import RpcFailure
from world import OPEN_POLICY, until

DENY = '[[command]]\nid = "denied"\nargv = ["uname", "..."]\ndecision = "deny"\n'


def write(path, text):
    """As an editor does: a new file takes the place of the old one."""
    with open(path + "~", "w") as file:
        file.write(text)
    os.rename(path + "~", path)


class Watched:
    """A session and whether it lets `uname` run."""

    def __init__(self, world, policy):
        self.client = world.stdio()
        self.session = self.client.session(policy=policy)
        equal(self.is_denied(), False, "at first")

    def is_denied(self):
        try:
            self.client.run(self.session, "uname")
        except RpcFailure as failure:
            equal(failure.kind, "denied")
            return True
        return False

    def until_denied(self, denied, what):
        until(lambda: self.is_denied() == denied, what)

    def settled(self):
        """Reads all anew, so that nothing that was noticed before is to come, and returns what is wrong."""
        return self.client.call("reload")["problems"]


@case
def an_extended_file_is_tightened(world):
    """It is noticed wherever it lies, however it is written, and however many files are between."""
    for place in ("a", "b", "c"):
        os.mkdir(world.path("policies", place))
    top, middle, base = (world.path("policies", *names) for names in (
        ("a", "top.toml"), ("b", "middle.toml"), ("c", "base.toml")))
    write(base, OPEN_POLICY)
    write(middle, 'version = 1\nextends = ["../c/base.toml"]\n')
    write(top, 'version = 1\nextends = ["../b/middle.toml"]\n')
    watched = Watched(world, top)
    for path, text in ((base, OPEN_POLICY), (middle, 'version = 1\nextends = ["../c/base.toml"]\n')):
        write(path, text + DENY)
        watched.until_denied(True, f"{path} was replaced")
        with open(path, "w") as file:
            file.write(text)
        watched.until_denied(False, f"{path} was written where it is")
        with open(path, "a") as file:
            file.write(DENY)
        watched.until_denied(True, f"{path} was written to")
        write(path, text)
        watched.until_denied(False, f"{path} was replaced again")
    # A file that takes part from now on is watched from now on.
    other = world.path("policies", "a", "other.toml")
    write(other, "version = 1\n")
    write(top, 'version = 1\nextends = ["../b/middle.toml", "other.toml"]\n')
    equal(watched.settled(), [])
    write(other, "version = 1\n" + DENY)
    watched.until_denied(True, "a file that is extended since")


@case
def directories_on_the_way(world):
    """One that goes and comes back, one that is renamed, and a link with another target are noticed."""
    os.makedirs(world.path("policies", "deep", "er"))
    os.mkdir(world.path("policies", "elsewhere"))
    base, other = world.path("policies", "deep", "er", "base.toml"), world.path("policies", "elsewhere", "base.toml")
    write(base, OPEN_POLICY)
    write(other, OPEN_POLICY + DENY)
    os.symlink("deep", world.path("policies", "link"))
    top = world.path("policies", "top.toml")
    write(top, 'version = 1\nextends = ["link/er/base.toml"]\n')
    watched = Watched(world, top)

    def retarget(target):
        os.symlink(target, world.path("policies", "new"))
        os.rename(world.path("policies", "new"), world.path("policies", "link"))

    os.mkdir(world.path("policies", "strict"))
    shutil.copytree(world.path("policies", "elsewhere"), world.path("policies", "strict", "er"))
    retarget("strict")
    watched.until_denied(True, "a link has another target")
    retarget("deep")
    watched.until_denied(False, "it has the old one again")
    # Renamed away, and another one in its place.
    os.rename(world.path("policies", "deep"), world.path("policies", "away"))
    shutil.copytree(world.path("policies", "strict"), world.path("policies", "deep"))
    watched.until_denied(True, "another directory in its place")
    # Gone: what holds is what it said last.
    shutil.rmtree(world.path("policies", "deep"))
    assert watched.settled(), "what cannot be read is told"
    equal(watched.is_denied(), True)
    os.rename(world.path("policies", "away"), world.path("policies", "deep"))
    watched.until_denied(False, "it came back")
    write(base, OPEN_POLICY + DENY)
    watched.until_denied(True, "what is in it is watched again")
    # One that comes a name at a time.
    shutil.rmtree(world.path("policies", "deep"))
    assert watched.settled()
    os.mkdir(world.path("policies", "deep"))
    assert watched.settled()
    os.mkdir(world.path("policies", "deep", "er"))
    write(base, OPEN_POLICY)
    watched.until_denied(False, "it was made anew")


@case
def limits_are_tightened(world):
    """Each command has the lesser of what was and of what is now, and nobody may wish for more."""
    path = world.path("policies", "limits.toml")
    write(path, OPEN_POLICY)
    client = world.stdio()
    session = client.session(policy=path)
    hog = ["python3", "-c", "x = bytearray(100 << 20)"]
    equal(client.run(session, *hog)["exit_code"], 0)
    write(path, OPEN_POLICY + '[resources]\nwall = "1s"\nmemory = "32M"\npids = 20\noutput = "1K"\n')
    until(lambda: client.run(session, "sleep", "1.5")["reason"] == "timeout", "the time is less")
    equal(client.run(session, *hog)["reason"], "oom")
    report = client.shell(session, "for i in $(seq 5000); do echo $i; done")
    equal((report["exit_code"], report["stdout_truncated"]), (0, True))
    equal(client.run(session, "sh", "-c", "for i in $(seq 40); do sleep 9 & done")["exit_code"] != 0, True)
    refuses("refused", client, "command.run", session=session, argv=["true"], timeout_ms=2000)
    refuses("refused", client, "command.run", session=session, argv=["true"], memory=64 << 20)
    equal(client.run(session, "true", timeout_ms=500)["exit_code"], 0)
    # What is said later can give nothing back that the first word did not.
    write(path, OPEN_POLICY + '[resources]\nwall = "2h"\n')
    until(lambda: client.run(session, *hog)["exit_code"] == 0, "as it was made")
    refuses("refused", client, "command.run", session=session, argv=["true"], timeout_ms=7_000_000)


@case
def a_users_policy_that_comes_to_be(world):
    """Not even its directory is there at first."""
    watched = Watched(world, world.policy(OPEN_POLICY))
    os.makedirs(world.path("home", ".config", "cordon"))
    write(world.path("home", ".config", "cordon", "policy.toml"), "version = 1\n" + DENY)
    watched.until_denied(True, "the user has a policy now")
    # A project's, which can only tighten too.
    shutil.rmtree(world.path("home", ".config"))
    watched.until_denied(False, "it is gone")
    write(world.inside(".cordon.toml"), "version = 1\n" + DENY)
    watched.until_denied(True, "the project has one")


@case
def a_file_that_is_wrong_changes_nothing(world):
    """Half-written, it leaves both what was allowed and what was denied as it was."""
    base, top = world.path("policies", "base.toml"), world.path("policies", "top.toml")
    write(base, OPEN_POLICY)
    write(top, 'version = 1\nextends = ["base.toml"]\n')
    watched = Watched(world, top)
    whole = OPEN_POLICY + DENY
    for end in (0, 5, len(OPEN_POLICY) - 4, len(OPEN_POLICY) + 20, len(whole) - 8):
        with open(base, "w") as file:
            file.write(whole[:end])
        problems = watched.settled()
        assert problems and "base.toml" in problems[0], (end, problems)
        equal(watched.is_denied(), False, f"{end} bytes")
    with open(base, "w") as file:
        file.write(whole)
    watched.until_denied(True, "it is whole")
    write(base, whole + "[[command]\n")
    assert watched.settled()
    equal(watched.is_denied(), True)
    # Neither does one that is missing, and it is found when it comes.
    write(base, OPEN_POLICY)
    watched.until_denied(False, "as at first")
    write(top, 'version = 1\nextends = ["base.toml", "later.toml"]\n')
    assert watched.settled()
    equal(watched.is_denied(), False)
    write(world.path("policies", "later.toml"), "version = 1\n" + DENY)
    watched.until_denied(True, "the file that was missing")


@case
def what_is_said_anew_only_tightens(world):
    base, top = world.path("policies", "base.toml"), world.path("policies", "top.toml")
    write(base, OPEN_POLICY + DENY)
    write(top, 'version = 1\nextends = ["base.toml"]\n')
    client = world.stdio()
    session = client.session(policy=top)
    refuses("denied", client, "command.run", session=session, argv=["uname"])
    write(base, OPEN_POLICY)
    equal(client.call("reload"), {"sessions": 1, "problems": []})
    refuses("denied", client, "command.run", session=session, argv=["uname"])
    equal(client.run(client.session(policy=top), "uname")["exit_code"], 0, "a session that is made now")


@case
def other_files_beside_a_policy(world):
    """What is written beside a policy, in the workspace too, has nothing read anew: each reading of a wrong one is told."""
    client = world.stdio()
    policy = world.path("policies", "top.toml")
    write(policy, OPEN_POLICY)
    session = client.session(policy=policy)

    def readings():
        return world.log().count("cannot be read again")

    write(policy, "version =\n")
    until(lambda: readings() > 0, "it is read")
    assert client.call("reload")["problems"]
    before, end = readings(), time.monotonic() + 1
    while time.monotonic() < end:
        for place in (world.workspace, world.path("policies"), world.root):
            write(os.path.join(place, "other"), "x")
    assert client.call("reload")["problems"]
    # The one that was asked for, and at most one that was under way.
    assert readings() - before <= 2, f"{readings() - before} readings"
    equal(client.run(session, "true")["exit_code"], 0)


@case
def a_jail_cannot_write_policies_that_take_hours(world):
    """What it writes as its project's is read again by itself, by few threads that all sessions share."""
    client = world.stdio()
    mine = client.open_session()
    place = world.path("elsewhere")
    os.mkdir(place)
    policy = world.path("policies", "changing.toml")
    write(policy, OPEN_POLICY)
    other = client.session(workspace=place, policy=policy)
    report = client.run(mine, "python3", "-c", """
for number in range(31):
    rules, count = ["version = 1"], 0
    while count < 15000:
        rules.append('[[command]]\\nid = "r%d-%d"\\nargv = ["c%d"]\\ndecision = "deny"' % (number, count, count))
        count += 1
    open("%d.toml" % number, "w").write("\\n".join(rules))
open(".cordon.toml", "w").write("version = 1\\nextends = [" + ",".join('"%d.toml"' % n for n in range(31)) + "]\\n")
""", timeout_ms=60000)
    equal(report["exit_code"], 0, report["stderr"])
    write(policy, OPEN_POLICY + DENY)

    def denied():
        try:
            client.run(other, "uname")
        except RpcFailure as failure:
            return failure.kind == "denied"
        return False
    until(denied, "the owner's change holds")
    failure = refuses("refused", client, "session.create", workspace=world.workspace)
    assert "at most" in str(failure), failure
    client.wait(client.request("session.create", workspace=place, policy=policy, deadline_ms=5000))
    client.call("session.close", session=other)
