"""The service as a process of its own: started as a user would, read from its standard output."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

import httpx2

from entrypoints.settings import Settings

TASKWARD = str(Path(sys.executable).with_name("taskward"))
PATIENCE_SECONDS = 30


class Service:
    """A running `taskward` command. Its lines are kept, so that a test can look at all that was said."""

    def __init__(
        self, environment: dict[str, str], *, command: Sequence[str] = (TASKWARD, "serve"), cwd: Path | None = None
    ) -> None:
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=cwd,
            env=clean_environment() | {"PORT": "0"} | environment,
            start_new_session=True,  # so that it can be ended with its children
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

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line)
            self._unread.put(line)

    def wait_for(self, text: str) -> str:
        """The next line with this text in it."""
        with contextlib.suppress(Empty):
            while text not in (line := self._unread.get(timeout=PATIENCE_SECONDS)):
                pass
            return line
        raise TimeoutError(f"{text!r} is not in {self.lines}")

    def wait_until_ready(self) -> httpx2.Client:
        """A client of the service once it is ready."""
        address: str = json.loads(self.wait_for('"listening"'))["address"]
        self.wait_for('"ready"')
        return httpx2.Client(base_url=address, headers={"X-User-Id": "alice"}, timeout=20, verify=False)

    def events(self, name: str) -> list[dict[str, Any]]:
        """What has been logged under this name."""
        return [event for event in map(json.loads, self.lines) if event["event"] == name]

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """The exit code after this signal."""
        self.process.send_signal(by)
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return code


@contextlib.contextmanager
def serving(database_url: str, **environment: str) -> Iterator[tuple[Service, httpx2.Client]]:
    """`taskward serve` on this database, and a client of it."""
    with Service({"DATABASE_URL": database_url} | environment) as service, service.wait_until_ready() as client:
        yield service, client


def run(
    *arguments: str, cwd: Path | None = None, patience: float = PATIENCE_SECONDS, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A `taskward` command that ends by itself within so many seconds."""
    return subprocess.run(
        [TASKWARD, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=patience,
        env=clean_environment() | environment,
    )


def clean_environment() -> dict[str, str]:
    """This one, without what configures the service: neither a variable nor a file."""
    ours = {field.upper() for field in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name not in ours} | {"ENV_FILE": os.devnull}
