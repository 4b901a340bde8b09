"""Frames: what is none, in any pieces, and clients that go away in the middle of something."""
import json
import struct

from cases import case, equal
from cordon_client import CONTROL, CREDIT, DATA, END
from world import descriptors, is_alive, resident, until


def complaint(client, timeout=10):
    kind, _, payload = client.read_frame(timeout)
    equal(kind, CONTROL)
    message = json.loads(payload)
    equal((message["id"], message["error"]["data"]["kind"], message["error"]
          ["code"]), (None, "bad_frame", 1), str(message)[:200])


def started(client, session, *argv, **params):
    """A command with streams: the request's number, and the streams'."""
    number = client.request("command.run", session=session, argv=list(argv), stream=True, **params)
    count = len(client.notices)
    while len(client.notices) == count:
        client.step()
    notice = client.notices[-1]["params"]
    equal(notice["request"], number)
    return number, notice["streams"], notice["command"]


@case
def bad_frames(world):
    _, path = world.listen()
    client, other = world.connect(path), world.connect(path)
    for length in range(5):
        client.send_raw(struct.pack("<I", length) + b"\0" * length)
        complaint(client)
    for kind in (4, 5, 127, 255):
        client.send_frame(kind, 0, b'{"jsonrpc":"2.0","id":1,"method":"health"}')
        complaint(client)
    for stream in (1, 7, 0xFFFFFFFF):
        client.send_frame(CONTROL, stream, b'{"jsonrpc":"2.0","id":1,"method":"health"}')
        complaint(client)
        client.send_frame(DATA, stream, b"x")
        complaint(client)
    client.send_frame(DATA, 0, b"x")
    complaint(client)
    for size in (0, 1, 3, 5, 8):
        client.send_frame(CREDIT, 1, b"x" * size)
        complaint(client)
    for size in ((1 << 20) + 1, 3 << 20):
        client.send_frame(CONTROL, 0, b" " * size)
        complaint(client)
    equal(client.call("health")["status"], "ok")
    equal(other.call("health")["status"], "ok")
    equal((other.answers, other.notices), ({}, []))
    # The longest that is taken.
    text = b'{"jsonrpc":"2.0","id":"long","method":"health"}'
    client.send_frame(CONTROL, 0, text + b" " * ((1 << 20) - len(text)))
    equal(client.wait("long")["status"], "ok")


@case
def a_frame_of_100_mb(world):
    process, path = world.listen()
    client, other = world.connect(path), world.connect(path)
    before = resident(process.pid)
    client.send_raw(struct.pack("<I", 100_000_000))
    complaint(client)
    piece = b"\0" * 1_000_000
    for _ in range(100):
        client.send_raw(piece)
    equal(client.call("health")["status"], "ok")
    grown = resident(process.pid) - before
    assert grown < 16 << 20, f"{grown} bytes are kept of a frame that is passed over"
    client.send_raw(struct.pack("<I", 0xFFFFFFFF) + b"x" * 1000)
    complaint(client)
    equal(other.call("health")["status"], "ok")


@case
def credit_and_end_of_streams_that_are_not(world):
    client = world.stdio()
    for stream in (0, 1, 99, 0xFFFFFFFF):
        client.give(stream, 5)
        client.send_frame(END, stream, b"")
    equal(client.call("health")["status"], "ok")
    equal((client.answers, client.notices), ({}, []))


@case
def frames_in_pieces(world):
    client = world.stdio()
    text = b'{"jsonrpc":"2.0","id":%d,"method":"health"}'
    raw = b"".join(struct.pack("<IBI", len(text % number) + 5, 0, 0) + text % number for number in (100, 101, 102))
    for byte in raw:
        client.send_raw(bytes([byte]))
    for number in (102, 100, 101):
        equal(client.wait(number)["status"], "ok")
    # A bad one in pieces between good ones, and many in one piece.
    bad = struct.pack("<IBI", 20, 9, 0) + b"x" * 15
    for byte in bad + raw:
        client.send_raw(bytes([byte]))
    complaint(client)
    for number in (100, 101, 102):
        client.wait(number)
    client.send_raw(b"".join(struct.pack("<IBI", len(text % n) + 5, 0, 0) + text % n for n in range(1000, 1500)))
    for number in range(1000, 1500):
        equal(client.wait(number)["status"], "ok")


@case
def data_beyond_credit(world):
    client = world.stdio()
    session = client.open_session()
    number, streams, command = started(client, session, "sh", "-c", "kill -STOP $$; cat >/dev/null", stdin="open")
    # What the pipe and the supervisor have room for is given back; this is more than all of it.
    seen = []
    for _ in range(4):
        client.send_frame(DATA, streams["stdin"], b"x" * (1 << 20))
    while not any(kind == CONTROL for kind, _, _ in seen):
        seen.append(client.read_frame())
    message = json.loads(seen[-1][2])
    equal(message["error"]["data"]["kind"], "bad_frame")
    client.call("command.kill", session=session, command=command)
    equal(client.wait(number)["signal"], 9)
    equal(client.call("health")["status"], "ok")


@case
def clients_that_go_away(world):
    process, path = world.listen()
    other = world.connect(path)
    session = other.open_session()
    command = other.call("command.start", session=session, argv=["sleep", "100"])["command"]
    before = descriptors(process.pid)
    waits = [
        lambda client: client.send_raw(b"\x10"), lambda client: client.send_raw(struct.pack("<IBI", 100, 0, 0) + b"{"),
        lambda client: client.send_raw(struct.pack("<I", 1 << 30)),
        lambda client: client.request("session.create", workspace=world.workspace),
        lambda client: client.request("session.create", workspace=world.workspace, bound=True),
        lambda client: client.request("command.run", session=session, argv=["sleep", "4713"]),
        lambda client: started(client, session, "yes"), lambda client: started(client, session, "cat", stdin="open"),
        lambda client: client.request("command.wait", session=session, command=command),
        lambda client: client.request("command.read", session=session, command=command, wait_ms=80_000_000),
        lambda client: client.request("run", workspace=world.workspace, argv=["sleep", "4713"]),
    ]
    for leave in waits * 3:
        client = world.connect(path)
        leave(client)
        client.socket.close()
    until(lambda: all(one["state"] == "ended" or one["command"] == command
                      for one in other.call("command.list", session=session)["commands"]), "their commands end")
    until(lambda: other.call("health")["clients"] == 1, "they are gone")
    for one in other.call("session.list")["sessions"]:
        if one["id"] != session:
            other.call("session.close", session=one["id"])
    equal(other.call("command.status", session=session, command=command)["state"], "running")
    # Those of two ready jails and of what stands by come and go; 33 clients would be more.
    until(lambda: descriptors(process.pid) <= before + 28,
          lambda: f"{descriptors(process.pid)} descriptors after 33 clients that left, {before} before", 10)


@case
def waiting_clients_leave_no_descriptors(world):
    """Each method that waits, alone: a client that leaves must be let go at once, not when what it waited for comes."""
    process, path = world.listen("--pool-memory", "0")
    other = world.connect(path)
    session = other.open_session()
    command = other.start_shell(session, "while read line; do echo $line; done", stdin="open")
    until(lambda: other.call("command.status", session=session, command=command)["state"] == "running", "it runs")
    full = other.call("command.start", session=session, argv=["sleep", "100"], stdin="open")["command"]
    other.call("command.write", session=session, command=full, data="x" * 1_000_000)

    def pending(**params):
        def wait(client):
            client.request(session=session, **params)
            client.call("health")
        return wait

    def answered_early(client):
        cursor = other.call("command.status", session=session, command=command)["stdout_bytes"]
        number = client.request("command.read", session=session, command=command, cursor=cursor, wait_ms=80_000_000)
        client.call("health")
        other.call("command.write", session=session, command=command, data="x\n")
        client.wait(number)

    leaks = {}
    for name, wait in (("command.wait", pending(method="command.wait", command=command)),
                       ("command.read", pending(
                            method="command.read", command=command, cursor=10**9, wait_ms=80_000_000)),
                       ("command.read, answered", answered_early),
                       ("command.write", pending(method="command.write", command=full, data="x" * 900_000))):
        before = descriptors(process.pid)
        for _ in range(20):
            client = world.connect(path)
            wait(client)
            client.socket.close()
        until(lambda: other.call("health")["clients"] == 1, "they are gone")
        try:
            until(lambda: descriptors(process.pid) < before + 5, "", 2)
        except AssertionError:
            leaks[name] = descriptors(process.pid) - before
    equal(leaks, {}, "descriptors that stay after 20 clients")


@case
def who_does_not_read_stops_nobody(world):
    process, path = world.listen()
    client, deaf = world.connect(path), world.connect(path)
    session = client.open_session()
    command = client.start_shell(session, "head -c 200000 /dev/zero | tr '\\0' x")
    client.call("command.wait", session=session, command=command)
    before = resident(process.pid)
    deaf.socket.setblocking(False)
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "command.read",
                       "params": {"session": session, "command": command, "limit": 200000}}).encode()
    frame = struct.pack("<IBI", len(text) + 5, 0, 0) + text
    try:
        for _ in range(20000):
            deaf.socket.sendall(frame)
    except BlockingIOError:
        pass
    for _ in range(50):
        equal(client.call("health")["status"], "ok")
    grown = resident(process.pid) - before
    # One reading of 64 KB holds some 500 of these requests: 100 MB. Nothing bounds them but the room for answers.
    assert grown < 64 << 20, f"{grown >> 20} MB wait for a client that does not read"


@case
def pipes_end_with_their_client(world):
    client = world.stdio()
    session = client.open_session()
    client.call("command.start", session=session, argv=["sleep", "4714"])
    world.watch()
    equal(client.close(), 0)
    until(lambda: world.gone() == ([], []), lambda: f"everything ends with the client: {world.gone()}", 5)
    client = world.stdio()
    client.send_raw(struct.pack("<IBI", 100, 0, 0) + b"{")
    equal(client.close(), 0)
    assert not is_alive(client.process.pid)


@case
def answers_fit_into_frames(world):
    client = world.stdio()
    session = client.open_session()
    limit = (1 << 20) + 5
    longest = 0

    def ask(method, **params):
        nonlocal longest
        number = client.request(method, session=session, **params)
        while True:
            _, _, payload = client.read_frame()
            message = json.loads(payload)
            if message.get("id") == number:
                longest = max(longest, len(payload) + 5)
                # What was run must be told; what can be asked for in parts may be refused as a whole.
                assert "result" in message or method == "command.list", f"{method} is lost: {str(message)[:300]}"
                return message.get("result")
    for text in ('"', "\\", "\x7f", "\t", "ä", "\x01"):
        report = ask(
    "command.run",
    argv=[
        "python3",
        "-c",
        f"import sys; t = {text!r} * 300000\nprint(t); print(t, file=sys.stderr)"],
         inline=262144)
        ask("command.read", command=report["command"], limit=262144)
    for _ in range(4):
        ask("command.run", argv=["true", *["x" * 100_000] * 5])
    ask("command.list")
    assert longest <= limit, f"a frame of {longest} bytes"
