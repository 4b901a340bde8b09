"""Messages: hello, ids, JSON, parameters, and every error that one request can meet."""
import json
import random

from cases import Options, case, equal, refused, refuses
from cordon_client import CONTROL, RpcFailure
from world import OPEN_POLICY, until


def answer_to(client, text, timeout=20):
    """Sends bytes as a message; returns the next message."""
    client.send_frame(CONTROL, 0, text if isinstance(text, bytes) else text.encode())
    kind, _, payload = client.read_frame(timeout)
    equal(kind, CONTROL)
    return json.loads(payload)


@case
def hello_comes_first(world):
    client = world.stdio(hello=False)
    for method in ("health", "session.list", "session.create", "run", "cancel", "approval.list"):
        refuses("not_ready", client, method)
    refuses("unknown_method", client, "nothing")
    failure = refuses("unsupported_version", client, "hello", versions=[2, 99])
    equal(failure.data["versions"], [1])
    refuses("not_ready", client, "health")
    hello = client.call("hello", versions=[3, 1], client="a test")
    equal(hello["version"], 1)
    equal(hello["limits"]["frame"], 1 << 20)
    equal(hello["limits"]["window"], 262144)
    for name in ("hello", "health", "cancel", "run", "session.create", "command.run", "approval.answer"):
        assert name in hello["methods"], name
    equal(client.call("health")["status"], "ok")


@case
def hello_is_strict(world):
    client = world.stdio(hello=False)
    for params in (
    {}, {
        "versions": None}, {
            "versions": 1}, {
                "versions": "1"}, {
                    "versions": {}}, {
                        "versions": [1], "more": 1}, {
                            "versions": [1], "client": 7}, {
                                "versions": [1], "client": "x" * 257}, {
                                    "versions": [
                                        "1", 1]}, {
                                            "versions": [1], "client": "a\0b"}):
        refused("invalid_params", lambda: client.call("hello", **params), str(params)[:80])
    client.call("hello", versions=[1], client=None)


@case
def errors_have_stable_numbers(world):
    client = world.stdio()
    session = client.open_session(name="taken")
    numbers = {
    -32601: lambda: client.call("nothing"), -32602: lambda: client.call(
        "health", more=1), 20: lambda: client.call(
            "session.inspect", session="nobody"), 21: lambda: client.call(
                "command.status", session=session, command=99), 23: lambda: client.call(
                    "approval.answer", approval="x", answer="deny"), 24: lambda: client.call(
                        "command.write", session=session, command=client.run(
                            session, "true")["command"], data="x"), 25: lambda: client.open_session(
                                name="taken"), 31: lambda: client.run(
                                    session, "sleep", "100", deadline_ms=50), 10: lambda: client.run(
                                        session, "true", cwd="/"), }
    for number, ask in numbers.items():
        try:
            ask()
            raise AssertionError(f"no error {number}")
        except RpcFailure as failure:
            equal(failure.code, number)
            assert failure.data["kind"] and str(failure), number


@case
def parse_errors(world):
    client = world.stdio()
    deep = b'{"jsonrpc":"2.0","id":1,"method":"health","params":{"a":' + b"[" * 70 + b"]" * 70 + b"}}"
    texts = [
    b"",
    b" ",
    b"{",
    b"}",
    b"[",
    b"nonsense",
    b"{'a':1}",
    b'{"a":1,}',
    b'{"a" 1}',
    b"[1,]",
    b'{"a":01}',
    b'{"a":+1}',
    b'{"a":.5}',
    b'{"a":1.}',
    b'{"a":1e}',
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":1e999}',
    b'{"a":"\x01"}',
    b'{"a":"\\x"}',
    b'{"a":"\\u12"}',
    b'{"a":"\\ud800"}',
    b'{"a":"\\ud800x"}',
    b'{"a":"\\ud800\\ud800"}',
    b'{"a":"\\udc00"}',
    b'{"a":"\xff"}',
    b'{"a":"\xc0\x80"}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\xf5\x80\x80\x80"}',
    b'{"a":1,"a":2}',
    b'{"a":1}x',
    b'{"a":1}{"a":1}',
    b"\xef\xbb\xbf{}",
    b'{"a":tru}',
    b'{"a":1}\0',
    deep,
    b"[" * 100000,
    b'{"a":' * 100000,
    b'{"a":/*x*/1}',
    b'{\x0b"a":1}',
    b'{"id":1,"\\u0069d":2}',
     ]
    for text in texts:
        answer = answer_to(client, text)
        equal(answer["id"], None, str(text[:40]))
        equal(answer["error"]["data"]["kind"], "parse_error", str(text[:40]))
        assert 0 <= answer["error"]["data"]["offset"] <= len(text), text[:40]
    equal(client.call("health")["status"], "ok")


@case
def invalid_requests(world):
    client = world.stdio()
    for text in (
    "1",
    "null",
    '"x"',
    "[]",
    '[{"jsonrpc":"2.0","id":1,"method":"health"}]',
    "{}",
    '{"jsonrpc":"2.0"}',
    '{"id":1,"method":"health"}',
    '{"jsonrpc":"1.0","id":1,"method":"health"}',
    '{"jsonrpc":2.0,"id":1,"method":"health"}',
    '{"jsonrpc":"2.0","id":1}',
    '{"jsonrpc":"2.0","id":1,"method":1}',
    '{"jsonrpc":"2.0","id":1,"method":null}',
     '{"jsonrpc":"2.0","id":1,"method":"health","more":1}'):
        equal(answer_to(client, text)["error"]["data"]["kind"], "invalid_request", text)
    for number in ("1.5", "1.0", "1e2", "null", "true", "[]", "{}", "9223372036854775808", "1" + "0" * 300,
                   '"' + "x" * 257 + '"'):
        answer = answer_to(client, '{"jsonrpc":"2.0","id":%s,"method":"health"}' % number)
        equal((answer["id"], answer["error"]["data"]["kind"]), (None, "invalid_request"), number[:30])
    for number in ("0", "-5", "9223372036854775807", '""', '"a"', '"\\u0000\\ud83d\\ude00"', '"' + "x" * 256 + '"'):
        equal(answer_to(client, '{"jsonrpc":"2.0","id":%s,"method":"health"}' % number)["id"], json.loads(number))
    for params in ("[]", "1", '"x"', "null", "[1]"):
        answer = answer_to(client, '{"jsonrpc":"2.0","id":1,"method":"health","params":%s}' % params)
        equal(answer["error"]["data"]["kind"], "invalid_params", params)
    # 64 levels are taken: message and params are two of them.
    nested = '{"jsonrpc":"2.0","id":1,"method":"health","params":{"a":' + "[" * 62 + "]" * 62 + "}}"
    equal(answer_to(client, nested)["error"]["data"]["kind"], "invalid_params")
    nested = nested.replace("[" * 62, "[" * 63).replace("]" * 62, "]" * 63)
    equal(answer_to(client, nested)["error"]["data"]["kind"], "parse_error")


@case
def notifications_and_answers_are_not_answered(world):
    client = world.stdio()
    for message in ({"method": "health"}, {"method": "nothing"}, {"method": "health", "params": {"a": 1}},
                    {"id": 5, "result": {}}, {"id": 6, "error": {"code": 1, "message": "x"}}):
        client.send_message({"jsonrpc": "2.0", **message})
    client.call("health")
    equal((client.answers, client.notices), ({}, []))


@case
def ids_that_are_open(world):
    client = world.stdio()
    session = client.open_session()
    number = client.request("command.run", session=session, argv=["sleep", "100"])
    client.call("health")
    client.send_message({"jsonrpc": "2.0", "id": number, "method": "health"})
    refused("repeated_id", lambda: client.wait(number))
    # The first one is still open, and a text is another id than a number.
    client.send_message({"jsonrpc": "2.0", "id": str(number), "method": "health"})
    equal(client.wait(str(number))["status"], "ok")
    equal(client.call("cancel", id=number)["cancelled"], True)
    refused("cancelled", lambda: client.wait(number))
    client.send_message({"jsonrpc": "2.0", "id": number, "method": "health"})
    equal(client.wait(number)["status"], "ok")


@case
def too_many_requests(world):
    client = world.stdio()
    session = client.open_session()
    command = client.call("command.start", session=session, argv=["sleep", "100"])["command"]
    numbers = [client.request("command.wait", session=session, command=command) for _ in range(1024)]
    refuses("limit", client, "session.list")
    for number in numbers[:2]:
        client.send_message({"jsonrpc": "2.0", "method": "cancel", "params": {"id": number}})
    # What makes room must be possible without room.
    waiting = client.request("command.kill", session=session, command=command)
    try:
        client.wait(waiting)
    except RpcFailure:
        raise AssertionError("a client with all its requests open cannot cancel one") from None


@case
def cancel(world):
    client = world.stdio()
    session = client.open_session()
    refuses("invalid_params", client, "cancel")
    for wrong in (1.5, None, [], {}, True, "x" * 257):
        refuses("invalid_params", client, "cancel", id=wrong)
    equal(client.call("cancel", id=12345)["cancelled"], False)
    number = client.request("command.run", session=session, argv=["sleep", "4711"])
    equal(client.call("cancel", id=number)["cancelled"], True)
    refused("cancelled", lambda: client.wait(number))
    until(lambda: all(one["state"] == "ended" for one in client.call("command.list", session=session)["commands"]),
          "a cancelled command is killed")
    equal(client.call("cancel", id=number)["cancelled"], False)
    number = client.request("session.create", workspace=world.workspace)
    if client.call("cancel", id=number)["cancelled"]:
        refused("cancelled", lambda: client.wait(number))
        equal(len(client.call("session.list")["sessions"]), 1)
    # A request cannot cancel itself.
    number = client.next_id
    equal(client.call("cancel", id=number)["cancelled"], False)


@case
def cancel_is_for_the_same_connection(world):
    _, path = world.listen()
    one, other = world.connect(path), world.connect(path)
    session = one.open_session()
    number = one.request("command.run", session=session, argv=["sleep", "100"])
    one.call("health")
    equal(other.call("cancel", id=number)["cancelled"], False)
    equal(one.call("command.list", session=session)["commands"][0]["state"] in ("starting", "running"), True)


@case
def deadlines(world):
    client = world.stdio()
    session = client.open_session()
    for wrong in (0, -1, 1.5, "1", True, 1 << 63, 1 << 70):
        refuses("invalid_params", client, "health", deadline_ms=wrong)
    client.call("health", deadline_ms=None)
    client.call("health", deadline_ms=86_400_000)
    refused("deadline", lambda: client.run(session, "sleep", "4712", deadline_ms=30))
    until(lambda: all(one["state"] == "ended" for one in client.call("command.list", session=session)["commands"]),
          "a command past its request's deadline is killed")
    command = client.call("command.start", session=session, argv=["sleep", "100"])["command"]
    refuses("deadline", client, "command.wait", session=session, command=command, deadline_ms=30)
    until(
    lambda: client.call(
        "command.status",
        session=session,
        command=command)["state"] == "running",
         "a deadline does not kill it")


@case
def parameters_of_sessions(world):
    client = world.stdio()
    good = {"workspace": world.workspace}
    wrong = {
        "workspace": [1, True, [], {}, "relative", "", "a\0b", "/" + "x" * 4096],
        "policy": [1, True, [], {}, "a\0b"], "image": [1, [], {}, False],
        "name": [1, [], "", "a b", "a/b", "ä", "x" * 65, "a\0", "\n", "a;b"],
        "timeout_ms": [0, -1, 1.5, "1", True, [], 1 << 63], "memory": [0, -1, 1.5, "1G", True, 1 << 63],
        "pids": [0, -1, 1.5, "1", [], 1 << 63],
        "env": [1, "A=1", [], {"A": 1}, {"A": None}, {"A": ["x"]}, {"": "x"}, {"A": "a\0b"}],
        "caller_env": [1, [], {"A": 1}, {"A=B": "x"}],
        "idle_ms": [0, -1, 1.5, "1", 31_536_000_001], "concurrent": [0, -1, 1025, "1", 1.5],
        "per_minute": [0, -1, 1_000_001, "1"], "bound": [1, "true", [], {}], "nonsense": [1],
        "Workspace": [world.workspace],
    }
    for name, values in wrong.items():
        for value in values:
            failure = refuses("invalid_params", client, "session.create", **{**good, name: value})
            equal(failure.data.get("parameter"), name, f"{name} {str(value)[:40]}")
    nulls = client.call("session.create", **good, **{name: None for name in wrong if name not in (
        "workspace", "nonsense", "Workspace")})
    equal(nulls["session"]["name"], None)
    for refusal in ({"policy": "preset:nothing"},
    {"policy": world.path("no.toml")},
    {"workspace": world.path("nowhere")},
    {"image": world.path("nowhere")},
    {"memory": 1 << 45},
    {"pids": 1 << 30},
    {"timeout_ms": 1 << 40},
    {"workspace": "/"},
     {"env": {"A=B": "x"}}):
        failure = refuses("refused", client, "session.create", **{**good, **refusal})
        assert failure.data["step"] and failure.data["remedy"], refusal
    equal(len(client.call("session.list")["sessions"]), 1)


@case
def parameters_of_commands(world):
    client = world.stdio()
    session = client.open_session()
    wrong = {
        "argv": [1, "true", [], [1], [""], ["a\0"], {}, [["true"]], [None]],
        "cwd": [1, [], {}, True, "a\0b"], "env": [1, [], {"A": 1}, {"": "x"}, {"A": "\0"}],
        "timeout_ms": [0, -1, 1.5, "1", 1 << 63], "memory": [0, -1, "1", 1.5, 1 << 63], "pids": [0, -1, "1", 1.5],
        "stream": [1, "true"], "inline": [-1, 262145, "1", 1.5], "input": [1, [], {}],
        "input_base64": [1, "x", "x===", "äöü", "eA"],
        "stdin": [1, "closed", "", True], "background": [True, False], "nonsense": [1], "session": [1, [], "\0"],
    }
    good = {"session": session, "argv": ["true"]}
    for name, values in wrong.items():
        for value in values:
            failure = refuses("invalid_params", client, "command.run", **{**good, name: value})
            equal(failure.data.get("parameter"), name, f"{name} {str(value)[:40]}")
    refuses("invalid_params", client, "command.run", session=session)
    refuses("invalid_params", client, "command.run", argv=["true"])
    refuses("invalid_params", client, "command.run", session=session, argv=["true"], command="true")
    refuses("invalid_params", client, "command.run", **good, input="x", input_base64="eA==")
    refuses("invalid_params", client, "command.run", **good, input="x", stdin="open", stream=True)
    refuses("invalid_params", client, "command.start", **good, background="yes")
    equal(client.call("command.list", session=session)["commands"], [])
    nulls = client.call("command.run", **good, **{name: None for name in wrong if name not in (
        "argv", "session", "background", "nonsense")})
    equal(nulls["reason"], "exited")
    refuses("unknown_session", client, "command.run", session="nobody", argv=["true"])
    refuses("unknown_session", client, "command.run", session="", argv=["true"])


@case
def parameters_of_what_looks_at_commands(world):
    client = world.stdio()
    session = client.open_session()
    command = client.run(session, "true")["command"]
    good = {"session": session, "command": command}
    methods = {
        "command.status": {}, "command.wait": {"inline": [-1, 262145, "1"]}, "command.kill": {
            "signal": [0, 65, 1.5, "", "NOTHING", "0", "-9", "65", "kill", []]},
        "command.read": {"stream": ["out", 1, ""], "cursor": [-1, "0", 1.5], "limit": [0, 262145, "1"],
                         "lines": [1, "yes"],
                         "wait_ms": [-1, "1", 86_400_001]},
        "command.write": {"data": [1, []], "data_base64": ["x", 1], "close": [1, "true"]},
    }
    for method, values in methods.items():
        for missing in good:
            refuses("invalid_params", client, method, **
                    {name: value for name, value in good.items() if name != missing})
        refuses("invalid_params", client, method, **good, nonsense=1)
        refuses("unknown_session", client, method, session="nobody", command=command)
        refuses("unknown_command", client, method, session=session, command=4242)
        for value in (0, -1, "1", 1.5, [], 1 << 63):
            refuses("invalid_params", client, method, session=session, command=value)
        for name, all_wrong in values.items():
            for value in all_wrong:
                failure = refuses("invalid_params", client, method, **good, **{name: value})
                equal(failure.data.get("parameter"), name, f"{method} {name} {value!r}")
    refuses("invalid_params", client, "command.list")
    refuses("invalid_params", client, "command.list", session=session, more=1)
    refuses("invalid_params", client, "command.cleanup", session=session, command="1")
    for method in ("session.inspect", "session.close"):
        refuses("invalid_params", client, method)
        refuses("invalid_params", client, method, session=1)
        refuses("invalid_params", client, method, session=session, more=1)
        refuses("unknown_session", client, method, session="nobody")
    refuses("invalid_params", client, "session.list", all=True)
    refuses("invalid_params", client, "approval.list", all=True)
    for params in (
    {}, {
        "approval": "x"}, {
            "answer": "approve"}, {
                "approval": "x", "answer": "yes"}, {
                    "approval": 1, "answer": "deny"}, {
                        "approval": "x", "answer": "deny", "scope": "ever"}, {
                            "approval": "x", "answer": "deny", "more": 1}):
        refused("invalid_params", lambda: client.call("approval.answer", **params), str(params))
    refuses("unknown_approval", client, "approval.answer", approval="x", answer="deny")


@case
def run_once(world):
    client = world.stdio()
    report = client.call("run", workspace=world.workspace, policy=world.policy(
        OPEN_POLICY), argv=["sh", "-c", "echo $A; exit 3"], env={"A": "b"})
    equal((report["exit_code"], report["stdout"], report["reason"]), (3, "b\n", "exited"))
    until(lambda: client.call("session.list")["sessions"] == [], "its session goes with it")
    refuses("invalid_params", client, "run", workspace=world.workspace)
    refuses("invalid_params", client, "run", workspace=world.workspace, argv=["true"], name="x")
    equal(client.call("run", workspace=world.workspace, argv=["/nowhere"])["error"]["errno"], "ENOENT")
    equal(client.call("run", workspace=world.workspace, argv=["sleep", "50"], timeout_ms=50)["reason"], "timeout")
    refuses("deadline", client, "run", workspace=world.workspace, argv=["sleep", "50"], deadline_ms=100)
    number = client.request("run", workspace=world.workspace, argv=["sleep", "50"], stream=True)
    while not client.notices:
        client.step()
    client.call("cancel", id=number)
    refused("cancelled", lambda: client.wait(number))
    until(lambda: client.call("session.list")["sessions"] == [], "the sessions of all of them go")


@case(seconds=90)
def many_members_hold_nobody_up(world):
    """What takes long for one client must not for another."""
    _, path = world.listen()
    one, other = world.connect(path), world.connect(path)
    session = one.open_session()
    number = one.request("hello", versions=[1], **{f"a{n}": 1 for n in range(60000)})
    waiting = other.request("health")
    other.wait(waiting, 5)
    refused("invalid_params", lambda: one.wait(number, 20))
    number = one.request("command.run", session=session, argv=["true"], env={f"V{n}": "" for n in range(30000)})
    waiting = other.request("health")
    other.wait(waiting, 2)
    try:
        one.wait(number, 20)
    except RpcFailure:
        pass


@case
def hostile_command_strings(world):
    """The analysis of a string must neither end the supervisor nor take long."""
    _, path = world.listen()
    one, other = world.connect(path), world.connect(path)
    session = one.open_session()
    words = [
    "{",
    "(",
    "$(",
    '"$(',
    "`",
    "[[ ",
    "if ",
    "a;",
    "a|",
    "<<E ",
    "<<E\n",
    "${a:-",
    "$((",
    "((",
    "x=(",
    "a[",
    "<(",
    ">a ",
    "\\\n",
    "''",
    "{a,",
    "f(){ ",
    "!",
    "@(",
    "env ",
    'bash -c "',
    "case x in ",
    "$'\\x41'",
     "\0".join("")]
    for word in filter(None, words):
        number = one.request(
    "command.run",
    session=session,
    command=(
        word *
        131072)[
            :131072],
            timeout_ms=500,
             deadline_ms=4000)
        waiting = other.request("health")
        try:
            other.wait(waiting, 10)
        except EOFError:
            raise AssertionError(f"{word!r} × 128 KB ends the supervisor") from None
        try:
            one.wait(number, 10)
        except RpcFailure:
            pass
    refuses("invalid_params", one, "command.run", session=session, command="a" * 131073)


@case(seconds=40)
def random_parameters(world):
    """Every method with parameters of every kind: an answer or an error comes, soon, and others are served."""
    chance = random.Random(Options.seed)
    process, path = world.listen("--sessions", "8")
    client, other = world.connect(path), world.connect(path)
    methods = client.call("hello", versions=[1])["methods"]
    session = other.open_session()
    command = other.call("command.start", session=session, argv=["sleep", "100"], stdin="open")["command"]
    values = [None,
    True,
    False,
    0,
    1,
    -1,
    2,
    1 << 31,
    (1 << 63) - 1,
    1 << 63,
    1.5,
    "",
    "x",
    "a" * 5000,
    [],
    {},
    [1],
    ["true"],
    ["cat"],
    {"a": "b"},
    ["",
    ""],
    "1",
    "stdout",
    "open",
    "KILL",
    "-",
    "/",
    "..",
    world.workspace,
    command,
    "preset:agent",
    "\0",
     "\U0001f600"]
    names = [
    "session",
    "command",
    "argv",
    "cwd",
    "env",
    "caller_env",
    "input",
    "stdin",
    "timeout_ms",
    "memory",
    "pids",
    "stream",
    "inline",
    "background",
    "cursor",
    "limit",
    "lines",
    "wait_ms",
    "signal",
    "data",
    "data_base64",
    "close",
    "workspace",
    "policy",
    "image",
    "name",
    "idle_ms",
    "concurrent",
    "per_minute",
    "bound",
    "approval",
    "answer",
    "scope",
    "id",
    "versions",
    "input_base64",
    "terminal",
    "key",
     "value"]
    for number in range(6000):
        method = chance.choice(methods)
        params = {chance.choice(names): chance.choice(values) for _ in range(chance.randrange(5))}
        if "." in method and chance.random() < 0.7 and method != "session.close":
            params["session"] = session
        if method.startswith("command.") and chance.random() < 0.5 and method not in ("command.run", "command.start"):
            params["command"] = command
        params["deadline_ms"] = 500
        try:
            client.call(method, **params)
        except RpcFailure as failure:
            assert failure.kind != "defect", f"seed {Options.seed}: {method} {params}: {failure}"
        except (AssertionError, KeyError, TypeError):
            # Streams that a command opened may go on; what matters is below.
            client.socket.close()
            client = world.connect(path)
        except TimeoutError:
            raise AssertionError(f"seed {Options.seed}: {method} {params} is never answered") from None
        if number % 100 == 0:
            equal(other.call("health")["sessions"] >= 0, True)
            for one in client.call("session.list")["sessions"]:
                if one["id"] != session:
                    client.call("session.close", session=one["id"])
    equal(other.call("session.inspect", session=session)["state"], "open")


@case
def unknown_terminals(world):
    client = world.stdio()
    if "terminals" not in client.call("hello", versions=[1])["features"]:
        return
    session = client.open_session()
    for method in ("terminal.close", "terminal.wait", "terminal.clear"):
        equal(refuses("unknown_terminal", client, method, session=session, terminal=99).code, 22)


@case
def times_that_no_clock_can_say(world):
    """The longest times that a parameter may name: a supervisor that counts them in nanoseconds must not end over them."""
    client = world.stdio()
    most = (1 << 63) - 1
    client.call("cache.set", key="a", value="1", ttl_ms=most)
    client.call("cache.expire", key="a", ttl_ms=most)
    equal(client.call("cache.get", key="a")["value"], "1")
    client.call("health", deadline_ms=86_400_000_000)
    equal(client.call("health")["status"], "ok")
