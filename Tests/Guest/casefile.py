"""Reads case files and judges what the guest reports. Touches no file but the one that it is given."""

import re
import textwrap
from dataclasses import dataclass, field


class Malformed(Exception):
    """A case file that cannot be read, with its file and line."""


@dataclass
class Expectation:
    line: int
    subject: str  # exit, stdout, stderr
    negated: bool
    value: object  # an int for exit, else a compiled pattern

    def failure(self, outcome):
        """Why the outcome does not meet this, or None."""
        if self.subject == "exit":
            if (outcome.code == self.value) == self.negated:
                return f"exit {outcome.code}, expected {'not ' if self.negated else ''}{self.value}"
            return None
        text = getattr(outcome, self.subject).decode("utf-8", "replace")
        if bool(self.value.search(text)) == self.negated:
            return f"{self.subject} {'matches' if self.negated else 'does not match'} /{self.value.pattern}/"
        return None


@dataclass
class Case:
    name: str
    line: int
    user: str = "root"
    limit: float = 0
    script: str = ""
    expectations: list = field(default_factory=list)


@dataclass
class Outcome:
    """What the guest said about one case. `why` is "exited" or "limit"."""

    code: int = -1
    milliseconds: int = 0
    why: str = "exited"
    stdout: bytes = b""
    stderr: bytes = b""


def failure(case, outcome):
    """The first reason why the case failed, or None when it passed."""
    if outcome.why == "limit":
        return f"stopped after its limit of {case.limit:g} s"
    for expectation in case.expectations:
        reason = expectation.failure(outcome)
        if reason:
            return reason
    return None


def parse(path, limit):
    """The cases of a file, in order. `limit` is for the cases that name none, in seconds."""
    with open(path, encoding="utf-8") as file:
        directives = _directives(file.read())
    cases = []
    for number, word, rest in directives:
        try:
            if word == "case":
                _start(cases, number, rest, limit)
            elif not cases:
                raise ValueError(f"{word} before the first case")
            else:
                _apply(cases[-1], number, word, rest)
        except (ValueError, re.error) as error:
            raise Malformed(f"{path}:{number}: {error}") from None
    for case in cases:
        if not case.script:
            raise Malformed(f"{path}:{case.line}: case {case.name} has no run")
        if not any(expectation.subject == "exit" for expectation in case.expectations):
            case.expectations.insert(0, Expectation(case.line, "exit", False, 0))
    return cases


def _directives(text):
    """(line number, first word, the rest) of each directive; indented lines belong to the one above them."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if found and (not line.strip() or line[0] in " \t"):
            found[-1][1].append(line)
        elif line.strip() and not line.startswith("#"):
            found.append((number, [line]))
    for number, (first, *more) in found:
        word, _, rest = first.strip().partition(" ")
        yield number, word, "\n".join([rest.strip(), textwrap.dedent("\n".join(more))]).strip()


def _start(cases, number, name, limit):
    if not re.fullmatch(r"[\w.:/+-]+", name):
        raise ValueError(f"a case needs a name of letters, digits and .:/+-_, not {name!r}")
    if any(case.name == name for case in cases):
        raise ValueError(f"a second case {name}")
    cases.append(Case(name, number, limit=limit))


def _apply(case, number, word, rest):
    if word == "as":
        if rest not in ("root", "tester"):
            raise ValueError(f"as {rest}: the users are root and tester")
        case.user = rest
    elif word == "limit":
        case.limit = float(rest)
        if not 0 < case.limit < 3600:
            raise ValueError("a limit is a number of seconds")
    elif word == "run":
        case.script += rest + "\n"
    elif word == "expect":
        case.expectations.append(_expectation(number, rest))
    else:
        raise ValueError(f"unknown directive {word!r}")


def _expectation(number, text):
    match = re.fullmatch(r"(not )?(exit|stdout|stderr) (.+)", text, re.DOTALL)
    if not match:
        raise ValueError("expect [not] exit N | stdout REGEX | stderr REGEX")
    negated, subject, value = match.groups()
    value = int(value) if subject == "exit" else re.compile(value, re.MULTILINE)
    return Expectation(number, subject, bool(negated), value)
