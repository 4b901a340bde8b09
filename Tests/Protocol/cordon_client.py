"""A client of cordon-supervisor, written from Supervisor/PROTOCOL.md alone. For tests; Python 3, nothing else.

It never guesses: an answer that it did not ask for, or a frame that the protocol does not allow, is an error.
"""
import json
import os
import select
import socket
import struct
import subprocess

CONTROL, DATA, CREDIT, END = range(4)


class RpcFailure(Exception):
    def __init__(self, error):
        super().__init__(error["message"])
        self.code = error["code"]
        self.kind = error["data"]["kind"]
        self.data = error["data"]


class Client:
    """Speaks over a pair of descriptors."""

    def __init__(self, reading, writing, process=None):
        self.reading, self.writing, self.process = reading, writing, process
        self.buffer = b""
        self.next_id = 1
        self.answers = {}
        self.notices = []
        self.streams = {}
        self.ended = set()
        self.credits = {}
        self.credit_by_itself = True

    @classmethod
    def start(cls, program, *options, env=None, cwd=None, stderr=None):
        process = subprocess.Popen([program, "--stdio", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   env=env, cwd=cwd, stderr=stderr)
        return cls(process.stdout.fileno(), process.stdin.fileno(), process)

    @classmethod
    def connect(cls, path):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        client = cls(connection.fileno(), connection.fileno())
        client.socket = connection
        return client

    def hello(self):
        return self.call("hello", versions=[1], client="cordon_client.py")

    # Frames

    def send_frame(self, kind, stream, payload):
        self.send_raw(struct.pack("<IBI", len(payload) + 5, kind, stream) + payload)

    def send_raw(self, data):
        while data:
            data = data[os.write(self.writing, data):]

    def read_frame(self, timeout=30):
        while True:
            if len(self.buffer) >= 4:
                (length,) = struct.unpack_from("<I", self.buffer)
                if len(self.buffer) >= 4 + length:
                    frame, self.buffer = self.buffer[4:4 + length], self.buffer[4 + length:]
                    kind, stream = struct.unpack_from("<BI", frame)
                    return kind, stream, frame[5:]
            if not select.select([self.reading], [], [], timeout)[0]:
                raise TimeoutError("no frame came")
            data = os.read(self.reading, 1 << 20)
            if not data:
                raise EOFError("the supervisor is gone")
            self.buffer += data

    # Messages

    def request(self, method, **params):
        return self.request_with([], method, **params)

    def request_with(self, opened, method, /, **params):
        """A request with open files beside it, on a socket."""
        number = self.next_id
        self.next_id += 1
        message = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()
        frame = struct.pack("<IBI", len(message) + 5, CONTROL, 0) + message
        if opened:
            frame = frame[socket.send_fds(self.socket, [frame], opened):]
        self.send_raw(frame)
        return number

    def send_message(self, message):
        self.send_frame(CONTROL, 0, json.dumps(message).encode())

    def step(self, timeout=30):
        """Takes in one frame."""
        kind, stream, payload = self.read_frame(timeout)
        if kind == CONTROL:
            message = json.loads(payload)
            assert message["jsonrpc"] == "2.0"
            if "method" in message:
                self.notices.append(message)
                self.follow(message)
            else:
                self.answers[message["id"]] = message
        elif kind == DATA:
            self.streams[stream] += payload
            if self.credit_by_itself:
                self.give(stream, len(payload))
        elif kind == CREDIT:
            self.credits[stream] = self.credits.get(stream, 262144) + struct.unpack("<I", payload)[0]
        elif kind == END:
            self.ended.add(stream)

    def follow(self, message):
        if message["method"] == "command.started":
            self.open(message["params"]["streams"])

    def open(self, streams):
        for name in ("stdout", "stderr", "output"):
            if name in streams:
                self.streams[streams[name]] = b""
                if self.credit_by_itself:
                    self.give(streams[name], 1 << 20)

    def give(self, stream, count):
        self.send_frame(CREDIT, stream, struct.pack("<I", count))

    def wait(self, number, timeout=30):
        while number not in self.answers:
            self.step(timeout)
        answer = self.answers.pop(number)
        if "error" in answer:
            raise RpcFailure(answer["error"])
        return answer["result"]

    def call(self, method, **params):
        return self.wait(self.request(method, **params))

    def wait_end(self, stream):
        while stream not in self.ended:
            self.step()
        return self.streams[stream]

    def close(self):
        """Ends the supervisor, and returns its exit status."""
        if self.process is None:
            self.socket.close()
            return None
        self.process.stdin.close()
        status = self.process.wait(30)
        self.process.stdout.close()
        return status
