"""Starts and replaces the worker processes. Does not load the application."""

import contextlib
import signal
import socket
import sys
from math import inf
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import Final

import structlog

from entrypoints.processes.child import Child, run_worker
from entrypoints.processes.listener import drop_new_connections
from entrypoints.processes.signals import end_at_once, on_stop
from entrypoints.settings import HOME, Settings

log = structlog.get_logger()

LOOK_SECONDS: Final = 0.5
HUNG_SECONDS: Final = 60.0
"""A worker is killed if its event loop is silent for longer. A start may take any time."""
FAILED_STARTS_MAX: Final = 5
"""After so many in a row, with growing pauses, the supervisor exits unless a worker serves. In development it exits
after the first or, once a worker has served, waits for a change of the sources."""


def run(settings: Settings, listener: socket.socket, *, reload: bool) -> None:
    """Serve until a signal to stop, then end in order and exit with 0. A second signal ends it at once."""
    if reload or settings.workers > 1:
        _Supervisor(settings, listener, reload=reload).run()
    else:
        run_worker(settings, listener)


class _Supervisor:
    def __init__(self, settings: Settings, listener: socket.socket, *, reload: bool) -> None:
        self._settings, self._listener, self._reload = settings, listener, reload
        self._wanted = 1 if reload else settings.workers
        self._workers: list[Child] = []
        self._failed_starts, self._has_served = 0, False
        self._next_start = 0.0
        self._sources = _source_times() if reload else {}
        self._exit_code: int | None = None
        self._selector = DefaultSelector()

    def run(self) -> None:
        """Exit once all workers have: with 0 after a signal to stop, with 1 if they do not start."""
        signals, wake = socket.socketpair()
        wake.settimeout(0)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        on_stop(lambda *_: None)  # the loop below reads the number from `signals`
        self._selector.register(signals, EVENT_READ)
        if self._reload:
            self._listener.listen()  # so that clients can connect while no worker runs
        looked = monotonic()
        while self._workers or self._exit_code is None:
            self._start_missing()
            for key, _ in self._selector.select(LOOK_SECONDS):
                if key.data:
                    self._read(key.data)
                else:
                    self._obey(signals.recv(1)[0])
            looked, before = monotonic(), looked
            self._check_workers(min(looked - before, 2 * LOOK_SECONDS))  # if this process was paused, so were they
        sys.exit(self._exit_code)

    def _start_missing(self) -> None:
        while len(self._workers) < self._wanted and monotonic() >= self._next_start:
            try:
                worker = Child(self._settings, self._listener)
                self._selector.register(worker.beats, EVENT_READ, worker)
                self._workers.append(worker)
            except Exception as error:  # noqa: BLE001 - whatever failed, the other workers go on serving
                log.error("worker not started", error=type(error).__name__, reason=str(error))  # noqa: TRY400 - one line
                self._note_failed_start()

    def _read(self, worker: Child) -> None:
        if not worker.has_ended():
            self._failed_starts, self._has_served = 0, True
            return
        self._selector.unregister(worker.beats)
        worker.beats.close()
        self._workers.remove(worker)
        if not worker.is_stopping:
            log.warning("worker ended", pid=worker.process.pid, exit_code=worker.process.exitcode)
            if not worker.is_ready:
                self._note_failed_start()

    def _note_failed_start(self) -> None:
        self._failed_starts += 1
        pause = min(self._failed_starts, FAILED_STARTS_MAX) * LOOK_SECONDS
        self._next_start = inf if self._reload else monotonic() + pause
        if self._reload and not self._has_served:  # the worker has said why
            self._stop(1)
        elif self._failed_starts >= FAILED_STARTS_MAX and not (self._reload or self._is_serving()):
            log.error("workers do not start")
            self._stop(1)

    def _is_serving(self) -> bool:
        return any(worker.is_ready for worker in self._workers)

    def _check_workers(self, seconds: float) -> None:
        """Kill workers that hang. After a change of the sources, terminate all, so that they start anew."""
        if self._reload and self._exit_code is None and (sources := _source_times()) != self._sources:
            self._sources, self._next_start = sources, 0.0
            self._terminate_all()
        for worker in self._workers:
            worker.silent_seconds += seconds
            grace = self._settings.shutdown_grace_seconds if worker.is_stopping else 0
            if (worker.is_ready or worker.is_stopping) and worker.silent_seconds > HUNG_SECONDS + grace:
                log.error("worker hangs", pid=worker.process.pid)
                worker.process.kill()

    def _obey(self, number: int) -> None:
        if self._exit_code is not None:
            for worker in self._workers:
                worker.process.kill()
            end_at_once(number)
        self._stop(0)

    def _stop(self, exit_code: int) -> None:
        self._exit_code, self._next_start = exit_code, inf
        drop_new_connections(self._listener)
        self._listener.close()
        self._terminate_all()

    def _terminate_all(self) -> None:
        for worker in self._workers:
            worker.is_stopping = True
            worker.process.terminate()


def _source_times() -> dict[str, int]:
    """Return the time of the last change of each source file."""
    times = {}
    for package in ("domain", "adapters", "entrypoints", "migrations"):
        for file in (HOME / package).rglob("*.py"):
            with contextlib.suppress(OSError):
                times[str(file)] = file.stat().st_mtime_ns
    return times
