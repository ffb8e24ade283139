"""An answer before the end of its request is the connection's last, and it arrives.

A proxy may announce a body, never send it, and use the connection again. Otherwise the next client's request would be
read as that body, and what is hidden in it as a request (CVE-2024-24791).
"""

import asyncio
import socket
from collections.abc import Iterator
from functools import partial
from uuid import uuid4

import httpx2
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from entrypoints.http.problems import ALL_PROBLEMS
from entrypoints.server.protocol import StrictHttpProtocol
from tests.system.raw import CREATE, HEAD, LIVE, Address, connected, read_one, read_to_end, request, statuses
from tests.system.service import PATIENCE_SECONDS, TASK, serving

NOBODY = HEAD.replace(b"X-User-Id: alice\r\n", b"")
TASK_PATH, NO_TASK_PATH = b"/v1/tasks/TASK", f"/v1/tasks/{uuid4()}".encode()
TOGGLE = HEAD.replace(b"/v1/tasks", TASK_PATH + b"/toggle")
EARLY = {
    "GET": (HEAD.replace(b"POST", b"GET"), 200),
    "live": (HEAD.replace(b"POST /v1/tasks", b"GET /health/live"), 200),
    "toggle": (TOGGLE, 200),
    "DELETE": (HEAD.replace(b"POST /v1/tasks", b"DELETE " + TASK_PATH), 204),
    "root": (HEAD.replace(b"POST /v1/tasks", b"GET /") + b"Accept: text/html\r\n", 303),
    "known": (HEAD.replace(b"POST", b"GET") + b"If-None-Match: *\r\n", 304),
    "no identity": (NOBODY, 401),
    "cross-site": (HEAD + b"Sec-Fetch-Site: cross-site\r\n", 403),
    "DELETE of none": (HEAD.replace(b"POST /v1/tasks", b"DELETE " + NO_TASK_PATH), 404),
    "toggle of none": (HEAD.replace(b"/v1/tasks", NO_TASK_PATH + b"/toggle"), 404),
    "no route": (HEAD.replace(b"tasks", b"nothing"), 404),
    "no method": (HEAD.replace(b"POST", b"PUT"), 405),
    "OPTIONS": (HEAD.replace(b"POST", b"OPTIONS"), 405),
    "changed": (TOGGLE + b'If-Match: "1"\r\n', 412),
    "too large": (HEAD, 413),
    "no JSON": (HEAD.replace(b"json", b"xml"), 415),
    "encoded": (HEAD + b"Content-Encoding: gzip\r\n", 415),
    "query": (HEAD.replace(b"tasks ", b"tasks?unknown=1 "), 422),
    "condition": (HEAD + b"If-None-Match: *\r\n", 422),
}
HIDDEN = CREATE.replace(b"alice", b"victim")
FAR_TOO_LARGE = 5_000_000


@pytest.fixture(scope="module")
def client(database_url: str) -> Iterator[httpx2.Client]:
    with serving(database_url) as (_, client):
        yield client


@pytest.fixture(scope="module")
def address(client: httpx2.Client) -> Address:
    return client.base_url.host, client.base_url.port or 0


@pytest.fixture
def connection(address: Address) -> Iterator[socket.socket]:
    with connected(address) as connection:
        yield connection


@pytest.mark.parametrize("expectation", [b"Expect: 100-continue\r\n", b""])
@pytest.mark.parametrize("name", EARLY)
def test_nothing_is_a_request_after_an_early_answer(
    client: httpx2.Client, connection: socket.socket, name: str, expectation: bytes
) -> None:
    head, status = EARLY[name]
    if b"TASK" in head:
        head = head.replace(b"TASK", client.post("/v1/tasks", json=TASK).json()["id"].encode())
    length = FAR_TOO_LARGE if name == "too large" else len(HIDDEN)
    connection.sendall(head + expectation + b"Content-Length: %d\r\n\r\n" % length)
    answer = read_one(connection)
    connection.sendall(LIVE + HIDDEN * 2)
    assert statuses(answer + read_to_end(connection)) == [status]
    assert b"\r\nconnection: close\r\n" in answer
    assert client.get("/v1/tasks", headers={"X-User-Id": "victim"}).json()["items"] == []


@pytest.mark.parametrize("framing", [b"Content-Length: 100\r\n", b"Transfer-Encoding: chunked\r\n"])
@pytest.mark.parametrize("status", sorted({200, 201, 204, 303, 304, *(problem.status for problem in ALL_PROBLEMS)}))
async def test_early_answers_of_any_status_are_the_last(status: int, framing: bytes) -> None:
    """Whatever the application answers, and for whatever reason: it has read nothing of the body."""
    served = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        served.append(scope["path"])
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    protocol = partial(StrictHttpProtocol, uvicorn.Config(app, ws="none", log_config=None), ServerState(), {})
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0) as server,
    ):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(HEAD + b"Expect: 100-continue\r\n" + framing + b"\r\n")
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.write(HIDDEN)
        assert statuses(answer + await reader.read()) == [status]
        writer.close()
    assert served == ["/v1/tasks"]


def test_no_request_follows_a_pipelined_early_answer(client: httpx2.Client, connection: socket.socket) -> None:
    connection.sendall(CREATE + NOBODY + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n")
    assert statuses(read_to_end(connection)) == [201, 401]
    connection.sendall(b" " * 100 + HIDDEN)
    assert read_to_end(connection) == b""
    assert client.get("/v1/tasks", headers={"X-User-Id": "victim"}).json()["items"] == []


@pytest.mark.parametrize("head", [HEAD, NOBODY])
def test_an_answer_after_the_body_leaves_the_connection_open(connection: socket.socket, head: bytes) -> None:
    for _ in range(3):
        connection.sendall(head + b"Content-Length: 1\r\n\r\n{")
        assert b"\r\nconnection: close\r\n" not in read_one(connection)


def test_expect_100_continue_is_answered(connection: socket.socket) -> None:
    body = b'{"title": "planted"}'
    for _ in range(2):
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert read_one(connection) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert statuses(read_one(connection)) == [201]


def test_http_1_0_never_gets_100_continue(connection: socket.socket) -> None:
    body = b'{"title": "planted"}'
    head = HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
    connection.sendall(head + body)
    assert statuses(read_to_end(connection)) == [201]


@pytest.mark.parametrize(
    ("beginning", "expected"),
    [
        (HEAD + b"Content-Length: %d\r\n\r\n" % FAR_TOO_LARGE, [413]),
        (NOBODY + b"Content-Length: %d\r\n\r\n" % FAR_TOO_LARGE, [401]),
        (b"GARBAGE\r\n\r\n", [400]),
        (CREATE * 2 + b"GARBAGE\r\n\r\n", [201, 201, 400]),
        (request(HEAD, b'{"title": "planted"}'), [201]),
    ],
    ids=["too large", "no identity", "garbage", "garbage after requests", "close"],
)
def test_the_last_answer_arrives_although_more_is_sent(
    connection: socket.socket, beginning: bytes, expected: list[int]
) -> None:
    connection.sendall(beginning)
    while len(statuses(connection.recv(65536, socket.MSG_PEEK))) < len(expected):
        pass
    connection.sendall(b"x" * FAR_TOO_LARGE)
    assert statuses(read_to_end(connection)) == expected


@pytest.mark.parametrize("count", [1, 3])
def test_a_half_closed_client_is_answered(connection: socket.socket, count: int) -> None:
    connection.sendall(CREATE * count)
    connection.shutdown(socket.SHUT_WR)
    assert statuses(read_to_end(connection)) == [201] * count


@pytest.mark.parametrize("rest", [b"POST /v1", HEAD + b"Content-Length: 100\r\n\r\n{"])
def test_a_half_closed_clients_partial_request_is_dropped(connection: socket.socket, rest: bytes) -> None:
    connection.sendall(CREATE + rest)
    connection.shutdown(socket.SHUT_WR)
    assert statuses(read_to_end(connection)) == [201]
