"""What the client scripts share. A script is run as: python script.py HOST:PORT. It exits 0 when every check held."""

import sys
import time
import uuid

BOOTSTRAP = sys.argv[1]
RUN = uuid.uuid4().hex[:8]


def name(what):
    """A name of a topic or group that only this run uses."""
    return f"py-{what}-{RUN}"


def equal(got, want, what):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def true(ok, what):
    if not ok:
        raise AssertionError(what)


def until(what, ok, limit=60):
    """Polls ok (which waits by itself, e.g. in the client's poll) until it holds."""
    deadline = time.monotonic() + limit
    while True:
        got = ok()
        if got:
            return got
        if time.monotonic() > deadline:
            raise AssertionError("gave up waiting until " + what)


def refused(code, call, what):
    """The call must fail with a KafkaError of this code (confluent-kafka)."""
    from confluent_kafka import KafkaException

    try:
        call()
    except KafkaException as e:
        equal(e.args[0].code(), code, what)
        return
    raise AssertionError(what + ": did not fail")


def step(title):
    print("..", title, flush=True)
