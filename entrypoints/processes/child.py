"""A worker process, as its supervisor sees it."""

import gc
import multiprocessing
import os
import signal
import socket
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from entrypoints.settings import Settings

_SPAWN: Final = multiprocessing.get_context("spawn")
# A terminal sends these to the whole group. Workers block them: only the supervisor stops a worker.
_FOR_SUPERVISOR: Final = (signal.SIGINT, signal.SIGHUP)


def run_worker(settings: Settings, listener: socket.socket, supervisor: Connection | None = None) -> None:
    gc.disable()  # collecting takes a fifth of the loading time; `create_app` enables it again
    from entrypoints.processes.worker import serve  # noqa: PLC0415 - the supervisor must not load the application

    serve(settings, listener, supervisor)


def _leave_deleted_folder() -> None:
    """Move to `/` if the working folder was deleted: in a deleted folder no process can start and no file found."""
    try:
        Path.cwd()
    except FileNotFoundError:
        os.chdir("/")


class Child:
    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self.beats, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=run_worker, args=(settings, listener, theirs))
        self.is_ready = False
        self.is_stopping = False
        self.silent_seconds = 0.0
        _leave_deleted_folder()
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_SUPERVISOR)  # the worker inherits this mask
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)
            theirs.close()

    def has_ended(self) -> bool:
        """Read what the worker has sent, and return whether the worker has ended."""
        try:
            self.beats.recv_bytes()
        except (EOFError, OSError):
            self.process.join()
            return True
        self.is_ready, self.silent_seconds = True, 0.0
        return False
