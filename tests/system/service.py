"""Runs the service as a separate process, as a user would, and reads its standard output.

Each database URL without a password gets a planted one, and titles are planted, too. No output may show them.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from time import monotonic
from typing import Any

import httpx2
import psycopg
from psycopg.conninfo import conninfo_to_dict

from entrypoints.settings import DevelopmentSettings
from tests.databases import with_parameters
from tests.planted import PLANTED, assert_nothing_planted

TASKWARD = str(Path(sys.executable).with_name("taskward"))
PATIENCE_SECONDS = 30
LINE_SECONDS = 120
"""How long to wait for a line: two workers take long to load on a busy machine."""
TASK = {"title": f"{PLANTED} title", "description": f"{PLANTED} description"}


class Service:
    """A running `taskward` command. Keeps all lines that it prints."""

    def __init__(
        self, environment: dict[str, str], *, command: Sequence[str] = (TASKWARD, "serve"), cwd: Path | None = None
    ) -> None:
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=cwd,
            env=clean_environment() | {"PORT": "0"} | _planted(environment),
            start_new_session=True,  # so that it can be killed with its children
        )
        self.lines: list[str] = []
        self._unread: Queue[str] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(PATIENCE_SECONDS)
        if self.process.stdout:
            self.process.stdout.close()
        assert_nothing_planted("".join(self.lines))

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line)
            self._unread.put(line)

    def wait_for(self, text: str) -> str:
        """Return the next line that contains this text."""
        until = monotonic() + LINE_SECONDS
        with contextlib.suppress(Empty):
            while text not in (line := self._unread.get(timeout=max(0, until - monotonic()))):
                pass
            return line
        raise TimeoutError(f"{text!r} is not in {self.lines}")

    def wait_until_ready(self) -> httpx2.Client:
        """Wait until the service is ready, and return a client of it."""
        address: str = json.loads(self.wait_for('"listening"'))["address"]
        self.wait_for('"ready"')
        return client_of(address)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the logged events with this name."""
        return [event for event in map(json.loads, self.lines) if event["event"] == name]

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Send this signal, wait for the end, and return the exit code."""
        self.process.send_signal(by)
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return code


def client_of(address: str) -> httpx2.Client:
    """Return a client for alice that sends only planted titles."""
    hooks = {"request": [_assert_planted]}
    return httpx2.Client(base_url=address, headers={"X-User-Id": "alice"}, timeout=20, verify=False, event_hooks=hooks)


def _assert_planted(request: httpx2.Request) -> None:
    body = request.read()
    assert b'"title"' not in body or PLANTED.encode() in body


def free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as held:
        return [held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(number)]


def wait_for_recovery(client: httpx2.Client) -> None:
    until = monotonic() + PATIENCE_SECONDS
    while client.get("/health/ready").status_code != 200:
        assert monotonic() < until, "the service does not recover"


@contextlib.contextmanager
def serving(database_url: str, **environment: str) -> Iterator[tuple[Service, httpx2.Client]]:
    """Run `taskward serve` on this database, and yield it with a client."""
    with Service({"DATABASE_URL": database_url} | environment) as service, service.wait_until_ready() as client:
        yield service, client


def run(*arguments: str, program: Sequence[str] = (TASKWARD,), **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a `taskward` command that ends by itself."""
    ended = subprocess.run(
        [*program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env=clean_environment() | _planted(environment),
    )
    assert_nothing_planted(ended.stdout + ended.stderr)
    return ended


def assert_refused(ended: subprocess.CompletedProcess[str], *words: str, logged: Sequence[str] = ()) -> None:
    """Assert that it printed one error line with these words, and logged exactly these events before."""
    assert ended.returncode != 0, ended
    assert [json.loads(line)["event"] for line in ended.stdout.splitlines()] == list(logged), ended
    assert len(ended.stderr.splitlines()) == 1, ended
    assert all(word in ended.stderr for word in ("taskward: ", *words)), ended


def _planted(environment: dict[str, str]) -> dict[str, str]:
    """Return this environment with a password in each URL."""
    planted = dict(environment)
    for name in {"DATABASE_URL", "MIGRATION_DATABASE_URL"} & environment.keys():
        with contextlib.suppress(psycopg.ProgrammingError):  # a test may pass a malformed URL
            if not conninfo_to_dict(environment[name]).get("password"):
                planted[name] = with_parameters(environment[name], password=f"{PLANTED}-password")
    return planted


def clean_environment() -> dict[str, str]:
    """Return this process's environment without any setting of the service: no variable and no file."""
    ours = {field.upper() for field in DevelopmentSettings.model_fields}
    environment = {
        name: value for name, value in os.environ.items() if name not in ours and not name.startswith("OTEL_")
    }
    return environment | {"ENV_FILE": os.devnull}
