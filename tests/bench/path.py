"""The path of one request through our own code: `.venv/bin/python -m tests.bench.path` prints and counts it."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

import uvicorn

from adapters.embedded_postgres import embedded_postgres
from adapters.postgres.schema.revisions import create_migration_engine, upgrade
from entrypoints.container import Container
from entrypoints.logs import configure_logging
from entrypoints.server.protocol import StrictHttpProtocol
from entrypoints.settings import Settings
from tests.databases import own_folder

ROOT: Final = Path(__file__).parents[2]
OURS: Final = tuple(f"{ROOT / package}{os.sep}" for package in ("domain", "adapters", "entrypoints"))
HEAD: Final = (
    "{} HTTP/1.1\r\nHost: localhost\r\nX-User-Id: alice\r\nContent-Type: application/json\r\nContent-Length: {}\r\n"
)


@dataclass
class RequestPath:
    """The functions of ours that one request enters, in order. A coroutine that resumes is entered again."""

    entered: list[CodeType] = field(default_factory=list)

    def note(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            self.entered.append(frame.f_code)

    def counts(self) -> tuple[int, int, int]:
        """Entries, functions, files."""
        return len(self.entered), len(set(self.entered)), len({code.co_filename for code in self.entered})

    def __str__(self) -> str:
        lines = [f"{Path(code.co_filename).relative_to(ROOT)}: {code.co_qualname}" for code in self.entered]
        return "\n".join([*lines, "{} entries into {} functions in {} files".format(*self.counts())])


@contextlib.asynccontextmanager
async def _serving(database_url: str) -> AsyncIterator[int]:
    """The port of a service in this very thread, where its functions can be watched."""
    settings = Settings.load(database_url=database_url)
    configure_logging(settings.log_level, settings.log_format)
    container = Container(settings=settings)
    config = uvicorn.Config(
        container.app(), port=0, http=StrictHttpProtocol, ws="none", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def path_of_a_patch(database_url: str) -> RequestPath:
    """Of one PATCH with If-Match, over connections that have served others before."""
    async with _serving(database_url) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def task(request: str, body: str, header: str = "") -> dict[str, str]:
            writer.write((f"{HEAD.format(request, len(body))}{header}\r\n{body}").encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r")[0])
            answer: dict[str, str] = json.loads(await reader.readexactly(length))
            return answer | {"etag": head.partition("etag: ")[2].partition("\r")[0]}

        known = await task("POST /v1/tasks", '{"title": "Buy milk"}')
        for _ in range(10):  # the driver prepares a statement that it meets again
            path = RequestPath()
            sys.setprofile(path.note)
            try:
                known = await task(
                    f"PATCH /v1/tasks/{known['id']}", '{"title": "Buy bread"}', f"If-Match: {known['etag']}\r\n"
                )
            finally:
                sys.setprofile(None)
            assert known["title"] == "Buy bread"
        writer.close()
    return path


def main() -> None:
    with own_folder() as folder, embedded_postgres(folder / "postgres") as url:
        upgrade(create_migration_engine(url))
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):  # the log
            path = asyncio.run(path_of_a_patch(url))
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
