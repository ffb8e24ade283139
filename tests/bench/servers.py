"""The servers that are compared, each as a process of its own on a core of its own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep

import httpx2
import psutil

from tests.bench.database import free_port
from tests.bench.operations import Api
from tests.system.service import clean_environment

PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Server:
    name: str
    command: tuple[str, ...]
    """`{port}` stands for the port in it."""
    api: Api


def program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


FLOOR = Server(
    "floor",
    (
        program("uvicorn"),
        "tests.bench.floor:app",
        "--port={port}",
        "--loop=uvloop",
        "--http=httptools",
        "--no-access-log",
    ),
    Api("/v1/tasks", "/v1/tasks/{}"),
)
TASKWARD = Server("Taskward", (program("taskward"), "serve"), Api("/v1/tasks", "/v1/tasks/{}"))
SERVERS = (TASKWARD, FLOOR)


class Running:
    """A server that answers."""

    def __init__(self, server: Server, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.server = server
        self.port = port
        self._root = psutil.Process(process.pid)
        began = perf_counter()
        while not self._answers():
            if process.poll() is not None or perf_counter() - began > PATIENCE_SECONDS:
                raise TimeoutError(f"{server.name} does not answer")
            sleep(0.01)
        self.ready_after = perf_counter() - began
        self.processes = [self._root, *self._root.children(recursive=True)]

    def _answers(self) -> bool:
        with contextlib.suppress(httpx2.TransportError):
            httpx2.get(f"http://127.0.0.1:{self.port}{self.server.api.tasks}", headers={"X-User-Id": "nobody"})
            return True
        return False

    def cpu(self) -> float:
        """Seconds that all its processes have spent on the processor."""
        times = [process.cpu_times() for process in self.processes]
        return float(sum(time.user + time.system for time in times))


@contextlib.contextmanager
def running(
    server: Server, database_url: str, folder: Path, cores: Collection[int], workers: int = 1
) -> Iterator[Running]:
    """The server, while the context lasts, on these cores. What it prints goes to a file."""
    port = free_port()
    environment = clean_environment() | {
        "DATABASE_URL": database_url,
        "PORT": str(port),  # Taskward takes it from here
        "WEB_CONCURRENCY": str(workers),
        "WORKERS": str(workers),
    }
    command = [argument.format(port=port) for argument in server.command]
    with (folder / f"{server.name}.log").open("wb") as log, only_on(cores):
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        yield Running(server, process, port)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


@contextlib.contextmanager
def only_on(cores: Collection[int]) -> Iterator[None]:
    """What this thread starts meanwhile runs on these cores alone, where the system knows how."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def available_cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
