"""Many clients and many faults at once, in the manner of Jepsen: afterwards every answer is held to what is stored.

SOAK_SECONDS and SOAK_SEED make it longer and different; the seed fixes what is tried, not how the threads interleave.
"""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from signal import SIGCONT, SIGSTOP, Signals
from threading import Event
from time import monotonic
from typing import LiteralString

import httpx2
import psutil
import psycopg
import pytest

from adapters.embedded_postgres import embedded_postgres
from tests.system.history import (
    CLIENT_TIMEOUT_SECONDS,
    MARKER,
    Answer,
    Client,
    Row,
    State,
    Step,
    complaints,
    unexplained,
)
from tests.system.service import run, serving

SECONDS = float(os.environ.get("SOAK_SECONDS", "12"))
SEED = os.environ.get("SOAK_SEED", "1")
CLIENTS = 8
SETTINGS = {"DATABASE_DEADLINE_SECONDS": "1", "DATABASE_CONNECTIONS": "4", "DATABASE_QUEUE": "8"}


class Faults:
    """A PostgreSQL server of the test's own, and what can befall it."""

    def __init__(self, folder: Path) -> None:
        self.hits: Counter[str] = Counter()
        self._folder = folder
        self._running = ExitStack()
        self.url = self._running.enter_context(embedded_postgres(folder))
        self._random = Random(SEED)  # noqa: S311 - not for secrets

    def __enter__(self) -> "Faults":
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def strike(self, seconds: float) -> None:
        """Fault after fault for so long, but each of them once at least."""
        kinds = (self._terminate, self._freeze, self._restart, self._lock_rows, self._lose_acknowledgements)
        until = monotonic() + seconds
        while monotonic() < until:
            for fault in self._random.sample(kinds, len(kinds)):
                if monotonic() < until or not self.hits[fault.__name__]:
                    self._pass_time(0.2, 0.8)
                    self.hits[fault.__name__] += fault()

    def _pass_time(self, least: float, most: float) -> None:
        Event().wait(self._random.uniform(least, most))  # for the clients to get on: nothing tells when

    def _terminate(self) -> int:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where backend_type = 'client backend' and pid <> pg_backend_pid()"
            ).rowcount

    def _freeze(self) -> int:
        postmaster = psutil.Process(int((self._folder / "postmaster.pid").read_text().split()[0]))
        processes = [postmaster, *postmaster.children(recursive=True)]
        try:
            _signal(processes, SIGSTOP)
            self._pass_time(1.2, 2.5)  # past the deadline, so that the queue fills with what nobody waits for
        finally:
            _signal(processes, SIGCONT)
        return 1

    def _restart(self) -> int:
        self._running.close()
        self._pass_time(0, 1)
        self._running.enter_context(embedded_postgres(self._folder))
        return 1

    def _lock_rows(self) -> int:
        with psycopg.connect(self.url) as connection:
            locked = connection.execute("select from tasks order by updated_at desc limit 10 for update").rowcount
            self._pass_time(0.5, 1.5)
            return locked

    def _lose_acknowledgements(self) -> int:
        """Commits wait for a standby that is not there; then their connections end: done, and never answered."""
        try:
            self._configure("alter system set synchronous_standby_names = 'nobody'")
            self._pass_time(0.2, 0.6)
            return self._terminate()
        finally:
            self._configure("alter system reset synchronous_standby_names")

    def _configure(self, statement: LiteralString) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)
            connection.execute("select pg_reload_conf()")


def _signal(processes: list[psutil.Process], signal: Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # a connection has ended meanwhile
            process.send_signal(signal)


def _wait_for_recovery(client: httpx2.Client) -> None:
    until = monotonic() + CLIENT_TIMEOUT_SECONDS
    while client.get("/health/ready").status_code != 200:
        assert monotonic() < until, "the service does not recover"


def test_whatever_befalls_the_database_what_is_stored_is_what_was_answered(server_folder: Path) -> None:
    stopped = Event()
    with Faults(server_folder) as faults:
        run("migrate", DATABASE_URL=faults.url)
        with serving(faults.url, **SETTINGS) as (service, observer), ThreadPoolExecutor(CLIENTS) as pool:
            known: list[tuple[str, str]] = []
            clients = [Client(number, observer.base_url, known, SEED) for number in range(CLIENTS)]
            work = [pool.submit(client.work, stopped) for client in clients]
            try:
                faults.strike(SECONDS)
            finally:
                stopped.set()
            for thread in work:
                thread.result()
            _wait_for_recovery(observer)
            assert service.end() == 0
        with psycopg.connect(faults.url) as connection:
            stored = connection.execute("select user_id, id::text, title, completed from tasks")
            rows = [Row(*row) for row in stored]
    tales = [tale for client in clients for tale in client.tales]
    outcomes = sum((client.outcomes for client in clients), Counter[str]())
    slowest = max(client.slowest for client in clients)
    print(f"{SEED=} {outcomes=} {faults.hits=} {len(tales)=} {len(rows)=} {slowest=}")  # noqa: T201 - if it fails
    found = list(complaints(tales, rows))
    assert not found, "\n".join(found)
    assert MARKER not in "".join(service.lines)
    assert min(outcomes[outcome] for outcome in ("done", "refused", "unknown")) > 0
    assert len(faults.hits) == 5
    assert min(faults.hits.values()) > 0


CREATED = Step("create", "a", answer=Answer(201, State("a", completed=False, version="1")))
TOGGLED = Step("toggle", answer=Answer(200, State("a", completed=True, version="2")))
DELETED = Step("delete", answer=Answer(204))


@pytest.mark.parametrize(
    ("steps", "stored"),
    [
        ([CREATED], None),
        ([], State("a", completed=False)),
        ([CREATED, DELETED], State("a", completed=False)),
        ([CREATED, TOGGLED], State("a", completed=False)),
        (
            [CREATED, TOGGLED._replace(answer=Answer(200, State("a", completed=False, version="2")))],
            State("a", completed=False),
        ),
        ([CREATED, TOGGLED._replace(answer=Answer(412), expected="1")], State("a", completed=False)),
        ([CREATED, TOGGLED._replace(answer=Answer(404))], State("a", completed=False)),
        (
            [CREATED, TOGGLED._replace(answer=Answer(200, State("a", completed=True, version="1")))],
            State("a", completed=True),
        ),
        ([CREATED, Step("patch", "b", expected="0")], State("b", completed=False)),
    ],
)
def test_the_checker_refuses_a_history_that_cannot_be(steps: list[Step], stored: State | None) -> None:
    assert unexplained(steps, stored)


@pytest.mark.parametrize("late", [State("b", completed=False), State("c", completed=False)])
def test_the_checker_knows_that_a_request_can_be_carried_out_late(late: State) -> None:
    patched = Step("patch", "c", answer=Answer(200, State("c", completed=False, version="2")))
    assert unexplained([CREATED, Step("patch", "b"), patched], late) is None
