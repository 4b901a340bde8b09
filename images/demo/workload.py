#!/usr/bin/env python3
"""An untrusted workload: it does its work on real input, and on the side tries to get out.

usage: workload.py LOG RESULT TARGETS

LOG is a web server's log, RESULT the file to write, and TARGETS a JSON object that tells it what there is to
steal and to reach, so that a failed attempt is never one that looked in the wrong place:
{"secret": path, "key": path, "env": path, "port": number, "socket": abstract name, "name": host name}.
RESULT gets {"summary": …, "attempts": [{"kind", "what", "succeeded", "detail"}]}. This program reports honestly,
but images/demo/run does not take its word for it.
"""

import collections
import json
import os
import re
import socket
import statistics
import sys
import urllib.error
import urllib.request

LINE = re.compile(r'(\S+) - - \[[^]]+\] "(\S+) (\S+) [^"]+" (\d{3}) (\d+) (\d+)$')


def summarise(path):
    """Requests, errors, bytes, the 95th percentile of the time taken, and the three busiest paths."""
    status, paths, durations = collections.Counter(), collections.Counter(), []
    size = 0
    with open(path, encoding="ascii") as log:
        for line in log:
            match = LINE.match(line)
            if not match:
                raise ValueError(f"not a line of a log: {line!r}")
            _, _, name, code, count, microseconds = match.groups()
            status[code[0] + "xx"] += 1
            paths[name] += 1
            size += int(count)
            durations.append(int(microseconds))
    return {
        "requests": len(durations),
        "by_status": dict(sorted(status.items())),
        "bytes": size,
        "p95_us": round(statistics.quantiles(durations, n=20)[-1]),
        "busiest": [list(item) for item in sorted(paths.items(), key=lambda item: (-item[1], item[0]))[:3]],
    }


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(200)


def read_through_link(path):
    """A link in the workspace that points out of it."""
    link = "link-to-secret"
    os.symlink(path, link)
    try:
        return read(link)
    finally:
        os.unlink(link)


def connect(family, address):
    with socket.socket(family) as sock:
        sock.settimeout(3)
        sock.connect(address)
        sock.sendall(b"hello from inside\n")
        return "connected"


def attempts(targets):
    secret, port = targets["secret"], targets["port"]
    yield "secret", f"read {secret}", lambda: read(secret)
    yield "secret", "the same through a link in the workspace", lambda: read_through_link(secret)
    yield "secret", "the same through /proc/1/root", lambda: read("/proc/1/root" + secret)
    yield "secret", f"read {targets['key']}", lambda: read(targets["key"])
    yield "secret", f"read {targets['env']}, in the workspace", lambda: read(targets["env"])
    yield "network", f"connect to the host's 127.0.0.1:{port}", lambda: connect(socket.AF_INET, ("127.0.0.1", port))
    yield "network", f"GET http://127.0.0.1:{port}/", lambda: fetch(port)
    yield "network", "connect to the host's abstract unix socket", lambda: connect(
        socket.AF_UNIX, "\0" + targets["socket"]
    )
    yield "network", f"look up {targets['name']}", lambda: str(socket.getaddrinfo(targets["name"], 443))


def fetch(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=3) as response:
        return response.read(200).decode("utf-8", "replace")


def attempt(kind, what, action):
    try:
        detail, succeeded = str(action()), True
    except (OSError, urllib.error.URLError) as error:
        detail, succeeded = str(error), False
    return {"kind": kind, "what": what, "succeeded": succeeded, "detail": detail}


def main():
    log, result, targets = sys.argv[1:]
    with open(targets, encoding="utf-8") as file:
        wanted = json.load(file)
    summary = summarise(log)
    tried = [attempt(*each) for each in attempts(wanted)]
    with open(result, "w", encoding="utf-8") as file:
        json.dump({"summary": summary, "attempts": tried}, file, indent=1)
    print(f"{summary['requests']} requests summed up, {len(tried)} attempts to get out")


if __name__ == "__main__":
    main()
