"""How a case of the protocol's tests is written, found and judged."""
from cordon_client import RpcFailure

ALL = []


def case(function=None, alone=False, seconds=60):
    """Marks a case, which gets a World. One that measures runs alone."""
    def mark(function):
        function.alone, function.seconds = alone, seconds
        ALL.append(function)
        return function
    return mark(function) if function else mark


class Options:
    """What the caller of the suite chose."""
    seed = 0
    rounds = 500


def equal(seen, wanted, what=""):
    assert seen == wanted, f"{what}: {seen!r} is not {wanted!r}"


def refused(kind, ask, what="", **data):
    """Something must fail with this error; returns its failure."""
    try:
        answer = ask()
    except RpcFailure as failure:
        assert failure.kind == kind, f"{what}: {failure.kind} ({failure}) instead of {kind}"
        for name, value in data.items():
            equal(failure.data.get(name), value, f"{what}: data.{name}")
        return failure
    raise AssertionError(f"{what}: {str(answer)[:200]} instead of {kind}")


def refuses(kind, client, method, **params):
    return refused(kind, lambda: client.call(method, **params), f"{method} {str(params)[:150]}")
