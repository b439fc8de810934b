"""What the client scripts share. A script is run as: python script.py HOST:PORT. It exits 0 when every check held."""

import os
import sys
import time
import uuid

BOOTSTRAP = sys.argv[1]
APACHE = os.environ.get("BARNABAS_TARGET") == "kafka"  # the script itself is tried, on a broker that has everything
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


def refused(code, call, what, unless=False):
    """The call must fail with a KafkaError of this code (confluent-kafka), unless told that it may not."""
    from confluent_kafka import KafkaException

    if unless:
        return
    try:
        call()
    except KafkaException as e:
        equal(e.args[0].code(), code, what)
        return
    raise AssertionError(what + ": did not fail")


def watched(cls, called):
    """The class, noting in the set called which of its public calls are used."""

    class Watched(cls):
        def __getattribute__(self, call):
            called.add((cls.__name__, call))
            return super().__getattribute__(call)

    return Watched


def every_call(cls, called, but=()):
    """No public call of the class may be left out, but those that are named; of them none may have been used."""
    public = {call for call in dir(cls) if not call.startswith("_") and callable(getattr(cls, call))}
    used = {call for of, call in called if of == cls.__name__}
    equal(sorted(public - used - set(but)), [], f"calls of {cls.__name__} that were not tried")
    equal(sorted(set(but) & used | set(but) - public), [], f"calls of {cls.__name__} that need no exception")


def fails(kinds, call, what):
    """The call must fail with one of these exceptions, and say something."""
    try:
        call()
    except kinds as e:
        true(str(e) != "", what + ": no message")
        return e
    raise AssertionError(what + ": did not fail")


def not_there(kinds, call, what):
    """fails, for what barnabas does not have yet and Apache Kafka has."""
    if not APACHE:
        fails(kinds, call, what)


def step(title):
    print("..", title, flush=True)
