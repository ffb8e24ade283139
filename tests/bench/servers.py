"""The servers that are compared, and how each is started."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

from tests.bench.operations import Api
from tests.bench.statements import numbered


@dataclass(frozen=True)
class Server:
    name: str
    command: tuple[str, ...]
    """`{port}` and `{workers}` stand for what is put there."""
    api: Api
    environment: dict[str, str] = field(default_factory=dict)


def program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


TASKWARD = Server("Taskward", (program("taskward"), "serve", "--workers={workers}"), Api("/v1/tasks", "/v1/tasks/{}"))
FLOOR = Server(
    "floor",
    (
        program("uvicorn"),
        "tests.bench.floor:app",
        "--port={port}",
        "--workers={workers}",
        "--loop=uvloop",
        "--http=httptools",
        "--no-access-log",
    ),
    Api("/v1/tasks", "/v1/tasks/{}"),
)
FASTAPI = Server(
    "FastAPI",
    (program("uvicorn"), "tests.bench.fastapi_peer:app", "--port={port}", "--workers={workers}"),
    Api("/tasks/", "/tasks/{}"),
)
# Of the ways to serve it that Django names, this is the fastest: with uvicorn it does 0.6 times as much.
DJANGO = Server(
    "Django",
    (
        program("gunicorn"),
        "tests.bench.django_peer.wsgi",
        "--bind=127.0.0.1:{port}",
        "--workers={workers}",
        "--worker-class=gthread",
        "--threads=10",
    ),
    Api("/tasks/", "/tasks/{}/"),
)
FASTIFY_FOLDER = Path(__file__).with_name("fastify_peer")
FASTIFY = Server(
    "Fastify",
    ("node", str(FASTIFY_FOLDER / "server.js"), "{port}", "{workers}"),
    Api("/v1/tasks", "/v1/tasks/{}"),
    {"STATEMENTS": numbered()},
)
_NODE = (FASTIFY,) if which("node") and (FASTIFY_FOLDER / "node_modules").is_dir() else ()
SERVERS = (TASKWARD, FLOOR, *_NODE, FASTAPI, DJANGO)
