"""Faults of a PostgreSQL server that belongs to one test."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from signal import SIGCONT, SIGSTOP, Signals
from threading import Event
from time import monotonic
from typing import LiteralString

import psutil
import psycopg

from adapters.embedded_postgres import embedded_postgres


@contextmanager
def frozen(folder: Path) -> Iterator[None]:
    """Freeze all processes of the server: connections succeed, but nothing is answered."""
    postmaster = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
    processes = [postmaster, *postmaster.children(recursive=True)]
    try:
        _signal(processes, SIGSTOP)
        yield
    finally:
        _signal(processes, SIGCONT)


def _signal(processes: Sequence[psutil.Process], signal: Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # a backend has ended meanwhile
            process.send_signal(signal)


class Faults:
    """A server with one random fault after another."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.hits: Counter[str] = Counter()
        self._folder = folder
        self._running = ExitStack()
        self.url = self._running.enter_context(embedded_postgres(folder))
        self._random = Random(seed)  # noqa: S311 - not for secrets

    def __enter__(self) -> "Faults":
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def strike(self, seconds: float) -> None:
        """Cause faults for this many seconds, each kind at least once."""
        kinds = (self._terminate, self._freeze, self._restart, self._lock_rows, self._lose_acknowledgements)
        until = monotonic() + seconds
        while monotonic() < until:
            for fault in self._random.sample(kinds, len(kinds)):
                if monotonic() < until or not self.hits[fault.__name__]:
                    self._pass_time(0.2, 0.8)
                    self.hits[fault.__name__] += fault()

    def _pass_time(self, least: float, most: float) -> None:
        Event().wait(self._random.uniform(least, most))  # lets the clients make progress: there is no event to wait for

    def _terminate(self) -> int:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where backend_type = 'client backend' and pid <> pg_backend_pid()"
            ).rowcount

    def _freeze(self) -> int:
        with frozen(self._folder):
            self._pass_time(1.2, 2.5)  # past the deadline, so that the queue fills with abandoned requests
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
        """Commits wait for a standby that does not exist, then lose their connections: carried out, not answered."""
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
