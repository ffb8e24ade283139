"""The application as the server loads it, in each worker's own process."""

import gc
import multiprocessing.connection
import os
import signal
import threading

from fastapi import FastAPI

from entrypoints.container import Container


def create_app() -> FastAPI:
    _end_with_parent()
    container = Container()
    container.logging()
    app = container.app()
    _freeze_startup_objects()
    return app


def _freeze_startup_objects() -> None:
    """The garbage collector took a sixth of the CPU, mostly to look again at what start-up had made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _end_with_parent() -> None:
    """Ends this worker in order should the process that started it be killed."""
    parent = multiprocessing.parent_process()
    if parent:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closed terminal's reaches the parent, too
        threading.Thread(target=_follow, args=[parent.sentinel], daemon=True).start()


def _follow(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
