"""What a slice of load costs, in seconds on the processor."""

import contextlib
from time import process_time
from typing import NamedTuple

import psutil

from tests.bench.stage import Running


class Cost(NamedTuple):
    server: float
    database: float
    load: float
    machine: float
    """All that has been spent on it, by whomever."""


class Meter:
    """Counts between `start` and `stop` what a server, the database and this process spend."""

    def __init__(self, server: Running) -> None:
        self._server = server
        self._before = Cost(0, 0, 0, 0)

    def start(self) -> None:
        self._before = self._now()

    def stop(self) -> Cost:
        return Cost(*(now - before for now, before in zip(self._now(), self._before, strict=True)))

    def _now(self) -> Cost:
        times = psutil.cpu_times()
        waiting = times.idle + getattr(times, "iowait", 0)
        return Cost(
            spent(self._server.root), spent(self._server.tasks.postmaster), process_time(), sum(times[:8]) - waiting
        )


def spent(root: psutil.Process) -> float:
    """What a process and all its children have spent, those that have ended by now, too."""
    seconds = 0.0
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            seconds += sum(process.cpu_times()[:4])
    return seconds
