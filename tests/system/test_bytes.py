"""Requests that only raw bytes can express, such as bodies that never arrive or never end."""

import contextlib
import json
import re
import socket
import struct
from collections.abc import Iterator

import pytest

from tests.system.raw import CREATE, HEAD, read_to_end, request, statuses
from tests.system.service import PATIENCE_SECONDS, serving

FAR_TOO_MANY = 5000


@pytest.fixture(scope="module")
def address(database_url: str) -> Iterator[tuple[str, int]]:
    with serving(database_url) as (_, client):
        yield client.base_url.host, client.base_url.port or 0


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, PATIENCE_SECONDS) as connection:
        yield connection


def test_an_oversized_content_length_is_refused_at_once(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 1000000000\r\n\r\n")
    answer = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"urn:taskward:problem:body-too-large" in answer


def test_an_upgrade_offer_cannot_forge_a_request(address: tuple[str, int]) -> None:
    forged = b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nX-User-Id: victim\r\nContent-Length: 0\r\n\r\n"
    for body, status in ((b'{"title": "x"}', b"201"), (forged, b"400")):
        head = (
            HEAD + b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
        )
        with socket.create_connection(address, PATIENCE_SECONDS) as connection:
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body))
            connection.sendall(body)
            answer = read_to_end(connection)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert answer.count(b"HTTP/1.1 ") == 1


def test_an_upgrade_offer_byte_by_byte_is_ignored(connection: socket.socket) -> None:
    body = b'{"title": "x"}'
    offer = b"Connection: close, Upgrade\r\nUpgrade: websocket\r\n"
    request = HEAD + offer + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for byte in request:
        connection.sendall(bytes([byte]))
    answer = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_requests_after_an_upgrade_offer_are_answered(connection: socket.socket) -> None:
    offer = b"GET /v1/tasks HTTP/1.1\r\nHost: x\r\nX-User-Id: alice\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    connection.sendall(offer * 3 + request(HEAD, b'{"title": "x"}'))
    assert statuses(read_to_end(connection)) == [200] * 3 + [201]


def test_a_trailer_is_no_header(connection: socket.socket) -> None:
    body = b'e\r\n{"title": "x"}\r\n0\r\n'
    without = HEAD.replace(b"X-User-Id: alice\r\n", b"") + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection.sendall(without + body + b"X-User-Id: victim\r\n\r\n")
    assert read_to_end(connection).startswith(b"HTTP/1.1 401 ")


def test_a_request_with_an_uncertain_end_is_refused(address: tuple[str, int]) -> None:
    with socket.create_connection(address, PATIENCE_SECONDS) as connection:
        connection.sendall(request(HEAD, b'{"title": "x"}'))
        location = re.search(rb"location: (\S+)", read_to_end(connection))
    assert location
    target = b" /v1/" + location[1] + b" HTTP/1.1\r\nHost: x\r\nX-User-Id: alice\r\nConnection: close\r\n"
    for framing in (
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    ):
        with socket.create_connection(address, PATIENCE_SECONDS) as connection:
            connection.sendall(b"DELETE" + target + framing)
            assert read_to_end(connection).startswith(b"HTTP/1.1 400 ")
    with socket.create_connection(address, PATIENCE_SECONDS) as connection:
        connection.sendall(b"GET" + target + b"\r\n")
        assert read_to_end(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health/live HTTP/1.1\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: x\r\nHost: y\r\n",
        b"GET /health/live HTTP/2.0\r\nHost: x\r\n",
        b"GET /health/live HTTP/1.1\r\nHost : x\r\n",
        b"GET /health/live HTTP/1.1\nHost: x\n",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n",
    ],
)
def test_invalid_http_1_is_refused(connection: socket.socket, head: bytes) -> None:
    connection.sendall(head + b"\r\n")
    assert read_to_end(connection).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("target", [b"http://x", b"http://x?a=b"])
def test_a_url_without_a_path_is_the_root(connection: socket.socket, target: bytes) -> None:
    connection.sendall(request(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n"))
    answer = read_to_end(connection)
    assert statuses(answer) == [200]
    assert b'"openapi":"openapi.json"' in answer


def test_http_1_0_knows_no_transfer_coding(connection: socket.socket) -> None:
    connection.sendall(
        HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b'Transfer-Encoding: chunked\r\n\r\ne\r\n{"title": "x"}\r\n0\r\n\r\n'
    )
    assert statuses(read_to_end(connection)) == [400]


def test_http_1_0_needs_no_host(connection: socket.socket) -> None:
    connection.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
    assert read_to_end(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("requests", [1, 3])
def test_whole_requests_are_answered_before_a_refusal(connection: socket.socket, requests: int) -> None:
    connection.sendall(CREATE * requests + b"GARBAGE\r\n\r\n")
    assert statuses(read_to_end(connection)) == [201] * requests + [400]


def test_bytes_after_the_last_request_are_ignored(connection: socket.socket) -> None:
    offer = b"Connection: close, upgrade\r\nUpgrade: h2c\r\n\r\n"
    connection.sendall(CREATE.replace(b"\r\n\r\n", b"\r\n" + offer) + b"GARBAGE\r\n\r\n")
    assert statuses(read_to_end(connection)) == [201]


@pytest.mark.parametrize("before", [b"", CREATE, CREATE * 3])
def test_a_malformed_body_is_refused_after_earlier_answers(connection: socket.socket, before: bytes) -> None:
    connection.sendall(before + HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n")
    answer = read_to_end(connection)
    assert statuses(answer) == [201] * before.count(b"POST") + [400]
    assert answer.endswith(b"connection: close\r\ncontent-length: 0\r\n\r\n")


def test_a_bad_body_causes_no_second_answer(connection: socket.socket) -> None:
    nobody = HEAD.replace(b"X-User-Id: alice\r\n", b"")
    connection.sendall(nobody + b"Transfer-Encoding: chunked\r\n\r\n")
    answer = b""
    while not answer.endswith(b"}"):
        answer += connection.recv(65536)
    connection.sendall(b"zz\r\n")
    assert statuses(answer + read_to_end(connection)) == [401]


def test_far_too_many_requests_at_once_are_refused(connection: socket.socket) -> None:
    connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" * 3000)
    answered = statuses(read_to_end(connection))
    assert answered == [200] * (len(answered) - 1) + [400]
    assert len(answered) < 100


def test_many_upgrade_offers_at_once_do_not_recurse(connection: socket.socket) -> None:
    offer = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    connection.sendall(offer * 3000)
    assert statuses(read_to_end(connection))[0] == 200


def test_a_client_that_leaves_logs_no_error(database_url: str) -> None:
    with serving(database_url) as (service, client):
        for _ in range(10):
            with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # to end with RST
                connection.sendall(CREATE * 3)
        while not service.events("request"):  # until the service has begun at least one
            assert client.get("/health/live").status_code == 200
        assert service.end() == 0
    assert [line["event"] for line in map(json.loads, service.lines) if line["level"] == "error"] == []


def test_white_space_around_a_value_is_stripped(address: tuple[str, int]) -> None:
    answers = []
    for key in (b"k", b"k  ", b"\t k\t"):
        with socket.create_connection(address, PATIENCE_SECONDS) as connection:
            connection.sendall(request(HEAD, b'{"title": "x"}', b"Idempotency-Key:" + key))
            answers.append(read_to_end(connection)[9:12])
    assert answers == [b"201", b"200", b"200"]


@pytest.mark.parametrize(
    ("beginning", "filler"),
    [
        (HEAD, b"X-Filler: " + b"x" * 10_000 + b"\r\n"),
        (HEAD + b"X-Filler: ", b"x" * 10_000),
        (b"GET /", b"x" * 10_000),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Trailer: ", b"x" * 10_000),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;extension=", b"x" * 10_000),
    ],
)
def test_input_without_an_end_is_refused(connection: socket.socket, beginning: bytes, filler: bytes) -> None:
    sent = 0
    connection.sendall(beginning)
    with contextlib.suppress(ConnectionError):
        while sent < FAR_TOO_MANY:
            connection.sendall(filler)
            sent += 1
    assert sent < FAR_TOO_MANY


def test_a_long_body_is_accepted(connection: socket.socket) -> None:
    connection.sendall(request(HEAD, b" " * 200_000 + b'{"title": "x"}'))
    assert read_to_end(connection).startswith(b"HTTP/1.1 201 ")


def test_many_requests_may_use_one_connection(connection: socket.socket) -> None:
    request = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Filler: " + b"x" * 10_000 + b"\r\n\r\n"
    for _ in range(10):
        connection.sendall(request)
        answer = b""
        while not answer.endswith(b'{"status":"ok"}'):
            received = connection.recv(65536)
            assert received
            answer += received
        assert answer.startswith(b"HTTP/1.1 200 ")


def test_an_endless_body_is_refused(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < FAR_TOO_MANY:
            connection.sendall(chunk)
            sent += 1
    assert sent < FAR_TOO_MANY
