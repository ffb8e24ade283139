"""Keeps the processes that serve alive, and loads nothing of what they run."""

import contextlib
import signal
import socket
import sys
from math import inf
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import Final

import structlog

from entrypoints.processes.child import Child, work
from entrypoints.processes.listener import take_no_more
from entrypoints.processes.signals import end_at_once, on_stop
from entrypoints.settings import HOME, Settings

log = structlog.get_logger()

LOOK_SECONDS: Final = 0.5
HUNG_SECONDS: Final = 60.0
"""After which a worker is ended whose event loop gives no sign. A start may take as long as it likes."""
FAILED_STARTS_MAX: Final = 5
"""In a row, after which the supervisor ends. The pauses between them grow. In development the first one ends it."""


def run(settings: Settings, listener: socket.socket, *, reload: bool) -> None:
    """Serves until a signal to stop, then ends in order and exits with 0. A second signal ends it at once."""
    if reload or settings.workers > 1:
        _Supervisor(settings, listener, reload=reload).run()
    else:
        work(settings, listener)


class _Supervisor:
    def __init__(self, settings: Settings, listener: socket.socket, *, reload: bool) -> None:
        self._settings, self._listener, self._reload = settings, listener, reload
        self._wanted = 1 if reload else settings.workers
        self._workers: list[Child] = []
        self._failed_starts, self._has_served = 0, False
        self._next_start = 0.0
        self._sources = _sources() if reload else {}
        self._exit_code: int | None = None
        self._heard = DefaultSelector()

    def run(self) -> None:
        """Exits once all workers have: with 0 after a signal to stop, with 1 if they do not start."""
        signals, wake = socket.socketpair()
        wake.settimeout(0)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        on_stop(lambda *_: None)  # what is to be done is read from `signals`
        self._heard.register(signals, EVENT_READ)
        if self._reload:
            self._listener.listen()  # also while no worker runs
        looked = monotonic()
        while self._workers or self._exit_code is None:
            self._fill_up()
            for key, _ in self._heard.select(LOOK_SECONDS):
                if key.data:
                    self._hear(key.data)
                else:
                    self._stop(signals.recv(1)[0])
            looked, before = monotonic(), looked
            self._look_after(min(looked - before, 2 * LOOK_SECONDS))  # while this stood still, so may they have
        sys.exit(self._exit_code)

    def _fill_up(self) -> None:
        while len(self._workers) < self._wanted and monotonic() >= self._next_start:
            try:
                worker = Child(self._settings, self._listener)
                self._heard.register(worker.beats, EVENT_READ, worker)
                self._workers.append(worker)
            except Exception as error:  # noqa: BLE001 - whatever it is: the other workers go on serving
                log.error("worker not started", error=type(error).__name__, reason=str(error))  # noqa: TRY400 - one line
                self._note_failed_start()

    def _hear(self, worker: Child) -> None:
        if not worker.has_ended():
            self._failed_starts, self._has_served = 0, True
            return
        self._heard.unregister(worker.beats)
        worker.beats.close()
        self._workers.remove(worker)
        if not worker.is_leaving:
            log.warning("worker ended", pid=worker.process.pid, exit_code=worker.process.exitcode)
            if not worker.is_ready:
                self._note_failed_start()

    def _note_failed_start(self) -> None:
        self._failed_starts += 1
        self._next_start = inf if self._reload else monotonic() + self._failed_starts * LOOK_SECONDS
        if self._reload and not self._has_served:  # it has said why
            self._end(1)
        elif self._failed_starts == FAILED_STARTS_MAX and not self._reload:
            log.error("workers do not start")
            self._end(1)

    def _look_after(self, seconds: float) -> None:
        """Ends workers that hang, and all after a change of the sources."""
        if self._reload and self._exit_code is None and (sources := _sources()) != self._sources:
            self._sources, self._next_start = sources, 0.0
            self._terminate()
        for worker in self._workers:
            worker.silent_seconds += seconds
            grace = self._settings.shutdown_grace_seconds if worker.is_leaving else 0
            if (worker.is_ready or worker.is_leaving) and worker.silent_seconds > HUNG_SECONDS + grace:
                log.error("worker hangs", pid=worker.process.pid)
                worker.process.kill()

    def _stop(self, number: int) -> None:
        if self._exit_code is not None:
            for worker in self._workers:
                worker.process.kill()
            end_at_once(number)
        self._end(0)

    def _end(self, exit_code: int) -> None:
        self._exit_code, self._next_start = exit_code, inf
        take_no_more(self._listener)
        self._listener.close()
        self._terminate()

    def _terminate(self) -> None:
        for worker in self._workers:
            worker.is_leaving = True
            worker.process.terminate()


def _sources() -> dict[str, int]:
    """When each file of the program was changed."""
    times = {}
    for package in ("domain", "adapters", "entrypoints", "migrations"):
        for file in (HOME / package).rglob("*.py"):
            with contextlib.suppress(OSError):
                times[str(file)] = file.stat().st_mtime_ns
    return times
