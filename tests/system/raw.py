"""Requests and answers as bytes, for requests that no client library sends."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.system.service import PATIENCE_SECONDS

HEAD = b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nX-User-Id: alice\r\nContent-Type: application/json\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"

Address = tuple[str, int]


def request(head: bytes, body: bytes = b"", *headers: bytes) -> bytes:
    """Return a request that asks to close the connection after it."""
    length = b"Content-Length: %d\r\n" % len(body)
    return head + b"Connection: close\r\n" + length + b"".join(line + b"\r\n" for line in headers) + b"\r\n" + body


CREATE = request(HEAD, b'{"title": "planted"}').replace(b"Connection: close\r\n", b"")


@contextmanager
def connected(address: Address) -> Iterator[socket.socket]:
    with socket.create_connection(address, PATIENCE_SECONDS) as connection:
        yield connection


def read_to_end(connection: socket.socket) -> bytes:
    """Return all bytes until the service closes the connection. Raises `ConnectionResetError` if it resets it."""
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


def read_one(connection: socket.socket) -> bytes:
    """Return one answer, and leave the connection open."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    while length and len(body) < int(length[1]):
        body += _some(connection)
    return head + b"\r\n\r\n" + body


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    assert data, "the service has closed the connection"
    return data


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", answers)]
