"""What only raw bytes can say: bodies that are announced and never come, or come without an end."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.system.service import PATIENCE_SECONDS, serving

FAR_TOO_MANY = 5000
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


def _request(head: bytes, body: bytes = b"", *headers: bytes) -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return head + b"Connection: close\r\n" + length + b"".join(line + b"\r\n" for line in headers) + b"\r\n" + body


def test_an_offer_to_upgrade_costs_no_body_and_forges_no_request(address: tuple[str, int]) -> None:
    forged = b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nX-User-Id: victim\r\nContent-Length: 0\r\n\r\n"
    for body, status in ((b'{"title": "x"}', b"201"), (forged, b"400")):
        head = (
            HEAD + b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
        )
        with socket.create_connection(address, PATIENCE_SECONDS) as connection:
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body))
            connection.sendall(body)
            answer = _answer(connection)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert answer.count(b"HTTP/1.1 ") == 1


def test_white_space_around_a_value_is_no_part_of_it(address: tuple[str, int]) -> None:
    answers = []
    for key in (b"k", b"k  ", b"\t k\t"):
        with socket.create_connection(address, PATIENCE_SECONDS) as connection:
            connection.sendall(_request(HEAD, b'{"title": "x"}', b"Idempotency-Key:" + key))
            answers.append(_answer(connection)[9:12])
    assert answers == [b"201", b"200", b"200"]


def test_a_head_without_an_end_is_refused(connection: socket.socket) -> None:
    sent = 0
    connection.sendall(HEAD)
    with contextlib.suppress(ConnectionError):
        while sent < FAR_TOO_MANY:
            connection.sendall(b"X-Filler: " + b"x" * 10_000 + b"\r\n")
            sent += 1
    assert sent < FAR_TOO_MANY


def test_a_body_without_an_end_is_refused_in_the_middle(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < FAR_TOO_MANY:
            connection.sendall(chunk)
            sent += 1
    assert sent < FAR_TOO_MANY
