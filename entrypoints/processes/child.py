"""A process that serves, as its supervisor sees it."""

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
# A terminal signals the whole group; the workers hear of an end from the supervisor only.
_FOR_SUPERVISOR: Final = (signal.SIGINT, signal.SIGHUP)


def work(settings: Settings, listener: socket.socket, supervisor: Connection | None = None) -> None:
    gc.disable()  # it takes a fifth of the time to load; the loaded application enables it
    from entrypoints.processes.worker import serve  # noqa: PLC0415 - the supervisor does without the application

    serve(settings, listener, supervisor)


def _leave_a_deleted_folder() -> None:
    """No process can be started there, and no file found."""
    try:
        Path.cwd()
    except FileNotFoundError:
        os.chdir("/")


class Child:
    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self.beats, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=work, args=(settings, listener, theirs))
        self.is_ready = False
        self.is_leaving = False
        self.silent_seconds = 0.0
        _leave_a_deleted_folder()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_SUPERVISOR)  # which the worker inherits
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    def has_ended(self) -> bool:
        """Takes note of a sign of life, or of the end."""
        try:
            self.beats.recv_bytes()
        except (EOFError, OSError):
            self.process.join()
            return True
        self.is_ready, self.silent_seconds = True, 0.0
        return False
