"""Where it is played: each server a process on a core of its own, the load and PostgreSQL on what is left."""

import contextlib
import os
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import psutil

from tests.bench.database import Key, Tasks, free_port
from tests.bench.servers import Server
from tests.system.service import clean_environment

PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Running:
    """A server that answers, and the tasks that it serves."""

    server: Server
    port: int
    root: psutil.Process
    log: Path
    tasks: Tasks
    keys: list[Key]
    """Those of its tasks that it is asked for."""

    def workers(self) -> list[psutil.Process]:
        """The processes that serve: the one that was started, or its children."""
        return self.root.children() or [self.root]


class Stage:
    def __init__(self, folder: Path, cores: Collection[int]) -> None:
        self._folder = folder
        self._cores = cores

    @contextlib.contextmanager
    def running(self, server: Server, tasks: Tasks, *, url: str | None = None, workers: int = 1) -> Iterator[Running]:
        """The server, while the context lasts. What it prints goes to a file."""
        port, log = free_port(), self._folder / f"{server.name}.log"
        environment = clean_environment() | {"DATABASE_URL": url or tasks.url, "PORT": str(port)} | server.environment
        command = [argument.format(port=port, workers=workers) for argument in server.command]
        with log.open("wb") as output, _only_on(self._cores):
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            _wait_for(port, server.api.tasks, process)
            yield Running(server, port, psutil.Process(process.pid), log, tasks, tasks.keys)
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def _wait_for(port: int, path: str, process: "subprocess.Popen[bytes]") -> None:
    began = perf_counter()
    while process.poll() is None and perf_counter() - began < PATIENCE_SECONDS:
        with contextlib.suppress(OSError), contextlib.closing(HTTPConnection("127.0.0.1", port)) as connection:
            connection.request("GET", path, headers={"X-User-Id": "nobody"})
            if connection.getresponse().status == HTTPStatus.OK:
                return
        sleep(0.01)
    raise TimeoutError(f"there is no answer on port {port}")


@contextlib.contextmanager
def stage(cores_for_servers: int) -> Iterator[Stage]:
    """On a machine that has no more cores than the servers are given, all share all."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    theirs, ours = cores[:cores_for_servers], cores[cores_for_servers:]
    with TemporaryDirectory() as folder, _only_on(ours or cores):
        yield Stage(Path(folder), theirs if ours else cores)


@contextlib.contextmanager
def _only_on(cores: Collection[int]) -> Iterator[None]:
    """What this thread does and starts meanwhile runs on these cores alone, where the system knows how."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
