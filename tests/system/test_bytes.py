"""What only raw bytes can say: bodies that are announced and never come, or come without an end."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.system.service import PATIENCE_SECONDS, serving

FAR_TOO_MANY = 1000
HEAD = b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nX-User-Id: alice\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def address(database_url: str) -> Iterator[tuple[str, int]]:
    with serving(database_url) as (_, client):
        yield client.base_url.host, client.base_url.port or 0


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, PATIENCE_SECONDS) as connection:
        yield connection


def _answer(connection: socket.socket) -> bytes:
    """All that comes until the service closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):  # it does not wait for what it is not going to read
        while data := connection.recv(65536):
            received += data
    return received


def test_a_body_that_is_announced_as_too_large_is_refused_before_it_comes(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 1000000000\r\n\r\n")
    answer = _answer(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"urn:taskward:problem:body-too-large" in answer


def test_a_body_without_an_end_is_refused_in_the_middle(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < FAR_TOO_MANY:
            connection.sendall(chunk)
            sent += 1
    assert sent < FAR_TOO_MANY
