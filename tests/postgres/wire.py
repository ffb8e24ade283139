"""A proxy between the adapter and the server. It records the SQL and counts the round trips."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from psycopg.conninfo import conninfo_to_dict

from tests.databases import with_parameters

_STARTUP_LENGTH = 4
_HEADER_LENGTH = 5
_QUERIES = (b"Q", b"P", b"B")
_PROCESS_ID = re.compile(rb"(K\0\0\0\x0c)....", re.DOTALL)


@dataclass
class Wire:
    """What was sent since `clear`, and how the proxy behaves."""

    url: str
    statements: list[str] = field(default_factory=list)
    round_trips: int = 0
    is_mute: bool = False
    """Whether the server accepts logins but answers no query."""
    drops_next: int = 0
    """How many of the next statements lose their connection: they are sent, but not answered."""
    renames: bool = False
    """Whether the proxy acts like a pooler that tracks prepared statements and renames them."""
    delay_seconds: float = 0
    """How long each answer is held back."""
    answers: int = 0
    clients: list[socket.socket] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def clear(self) -> None:
        self.statements.clear()
        self.round_trips = 0

    def read(self, kind: bytes, payload: bytes) -> None:
        """Record one message of the client: https://www.postgresql.org/docs/current/protocol-message-formats.html"""
        if kind in {b"Q", b"S"}:  # Query and Sync: each makes the client wait for ReadyForQuery
            self.round_trips += 1
        if kind == b"Q":
            self.statements.append(payload[:-1].decode())
        if kind == b"P":
            self.statements.append(payload.split(b"\0")[1].decode())


@contextlib.contextmanager
def tapped(url: str) -> Iterator[Wire]:
    """Run the proxy. Its `url` leads to the same database."""
    parameters = conninfo_to_dict(url)
    host, port = str(parameters["host"]), int(parameters.get("port") or 5432)

    def connect() -> socket.socket:
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        upstream = socket.socket(socket.AF_UNIX)
        upstream.connect(f"{host}/.s.PGSQL.{port}")
        return upstream

    with TemporaryDirectory(prefix="tap-") as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder) / ".s.PGSQL.5432"
        listener.bind(str(path))
        listener.listen()
        wire = Wire(with_parameters(url, host=folder, port="5432", sslmode="disable", channel_binding="disable"))
        accepting = threading.Thread(target=_accept, args=(listener, connect, wire), daemon=True)
        accepting.start()
        yield wire
        wire.over.set()
        listener.shutdown(socket.SHUT_RDWR)  # closing it would not wake the thread
        accepting.join()


def _accept(listener: socket.socket, connect: Callable[[], socket.socket], wire: Wire) -> None:
    with contextlib.suppress(OSError):  # the listener is shut down after the test
        while True:
            client, _ = listener.accept()
            wire.clients.append(client)
            upstream = connect()
            threading.Thread(target=_forward_requests, args=(client, upstream, wire), daemon=True).start()
            threading.Thread(target=_forward_answers, args=(upstream, client, wire), daemon=True).start()


def _forward_requests(client: socket.socket, upstream: socket.socket, wire: Wire) -> None:
    started, pending = False, b""
    with upstream, contextlib.suppress(OSError):
        while data := client.recv(65536):
            pending += data
            if not started and len(pending) >= _STARTUP_LENGTH:
                pending, started = pending[int.from_bytes(pending[:_STARTUP_LENGTH]) :], True
            while started and len(pending) >= _HEADER_LENGTH:
                length = 1 + int.from_bytes(pending[1:_HEADER_LENGTH])
                if len(pending) < length:
                    break
                wire.read(pending[:1], pending[_HEADER_LENGTH:length])
                pending = pending[length:]
            if wire.is_mute and data[:1] in _QUERIES:
                continue
            drops = wire.drops_next and data[:1] in _QUERIES
            if drops:  # before the statement is sent, or its answer could get through
                wire.drops_next -= 1
                client.shutdown(socket.SHUT_RDWR)
            upstream.sendall(data.replace(b"_pg3_", b"_own_") if wire.renames else data)
            if drops:
                return
        upstream.shutdown(socket.SHUT_RDWR)  # closing it would not wake the thread that reads from it


def _forward_answers(upstream: socket.socket, client: socket.socket, wire: Wire) -> None:
    with client, contextlib.suppress(OSError):
        while data := upstream.recv(65536):
            wire.over.wait(wire.delay_seconds)
            wire.answers += 1
            client.sendall(_PROCESS_ID.sub(rb"\1none", data) if wire.renames else data)
