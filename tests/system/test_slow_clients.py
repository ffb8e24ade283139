"""No client can hold an unused connection for long, nor more than one answer that it does not read."""

import contextlib
import json
import resource
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import httpx2
import psutil
import psycopg
import pytest

from tests.planted import PLANTED
from tests.system.raw import HEAD, LIVE, Address, connected, read_one, read_to_end, statuses
from tests.system.service import PATIENCE_SECONDS, TASKWARD, Service, serving

IMPATIENT = """
import sys
from entrypoints.cli import main
from entrypoints.http import bodies
from entrypoints.server import connection
connection.CLIENT_SECONDS, connection.LINGER_SECONDS, bodies.BODY_SECONDS = {0}, {0}, {1}
sys.argv = ["taskward", "serve"]
main()
"""


def _impatient(client_seconds: float, body_seconds: float) -> list[str]:
    return [sys.executable, "-c", IMPATIENT.format(client_seconds, body_seconds)]


def _address(client: httpx2.Client) -> Address:
    return client.base_url.host, client.base_url.port or 0


@contextmanager
def _serving(database_url: str, command: list[str]) -> Iterator[tuple[Service, Address]]:
    with (
        Service({"DATABASE_URL": database_url}, command=command) as service,
        service.wait_until_ready() as client,
    ):
        yield service, _address(client)


@pytest.fixture(scope="module")
def impatient(database_url: str) -> Iterator[tuple[Service, Address]]:
    with _serving(database_url, _impatient(0.3, 3600)) as service_and_address:
        yield service_and_address


@pytest.fixture
def connection(impatient: tuple[Service, Address]) -> Iterator[socket.socket]:
    with connected(impatient[1]) as connection:
        yield connection


def _wait_until_dropped(service: Service, connection: socket.socket) -> None:
    here = connection.getsockname()
    until = monotonic() + PATIENCE_SECONDS
    while any(other.raddr == here for other in psutil.Process(service.process.pid).net_connections("tcp")):
        assert monotonic() < until, "it is held"


def test_a_silent_connection_is_closed_without_an_answer(connection: socket.socket) -> None:
    assert read_to_end(connection) == b""


@pytest.mark.parametrize("before", [b"", LIVE])
@pytest.mark.parametrize("rest", [b"G", LIVE[:-2], b"\r\n", HEAD + b"Content-Length: 100\r\n\r\n"])
def test_a_slow_request_is_answered_408(connection: socket.socket, before: bytes, rest: bytes) -> None:
    expected = [408]
    if before:
        connection.sendall(before)
        expected = [*statuses(read_one(connection)), 408]
        assert expected == [200, 408]
    connection.sendall(rest)
    assert statuses(read_to_end(connection)) == [408]


def test_a_pipelined_request_has_no_more_time(connection: socket.socket) -> None:
    connection.sendall(LIVE + b"GET")
    assert statuses(read_to_end(connection)) == [200, 408]


def test_occasional_bytes_do_not_extend_the_deadline(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
    until = monotonic() + PATIENCE_SECONDS
    while not select.select([connection], [], [], 0.02)[0]:
        assert monotonic() < until, "it is waited for"
        connection.send(b"x")
    assert statuses(read_to_end(connection)) == [408]


def test_a_slow_body_is_answered_408(database_url: str) -> None:
    with _serving(database_url, _impatient(20, 0.3)) as (_, address), connected(address) as connection:
        connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        answer = read_one(connection)
        connection.sendall(LIVE)
        assert statuses(answer + read_to_end(connection)) == [408]
    assert b"urn:taskward:problem:request-timeout" in answer
    assert b"\r\nconnection: close\r\n" in answer


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"Content-Length: 1000000\r\n\r\n{",
        LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        b"X\r\n\r\n",
    ],
)
def test_a_connection_does_not_outlive_its_last_answer(
    impatient: tuple[Service, Address], connection: socket.socket, sent: bytes
) -> None:
    connection.sendall(sent)
    assert len(statuses(read_to_end(connection))) == 1
    _wait_until_dropped(impatient[0], connection)


LIST = b"GET /v1/tasks?limit=200 HTTP/1.1\r\nHost: x\r\nX-User-Id: reader\r\n\r\n"


@pytest.fixture
def many_megabytes(out_of_band: psycopg.Connection) -> int:
    """Store tasks for a long answer to LIST. Returns its least length in bytes."""
    out_of_band.execute(
        "insert into tasks (user_id, title, description) select 'reader', %s, repeat(%s, 10000)"
        " from generate_series(1, 200) on conflict do nothing",
        [f"{PLANTED} title", "\U0001f95b"],
    )
    return 8_000_000


@contextmanager
def _unread(address: Address, sent: bytes) -> Iterator[socket.socket]:
    """Yield a connection whose client reads nothing of a long answer."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(address)
        connection.sendall(sent)
        yield connection


def test_a_client_that_does_not_read_is_dropped(database_url: str, many_megabytes: int) -> None:
    with (
        _serving(database_url, _impatient(0.3, 20)) as (service, address),
        _unread(address, LIST) as connection,
    ):
        service.wait_for('"request"')
        _wait_until_dropped(service, connection)
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while data := connection.recv(65536):
                received += len(data)
    assert received < many_megabytes


def test_unread_answers_delay_the_next_request(database_url: str, many_megabytes: int) -> None:
    with serving(database_url) as (service, client), _unread(_address(client), LIST * 2) as connection:
        while not (begun := _listed(service)):
            assert client.get("/health/live").status_code == 200
        for _ in range(20):  # each of which would have let the second begin
            assert client.get("/v1/tasks").status_code == 200
        assert begun == _listed(service) == 1
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 2 or not answers.endswith(b"}"):
            answers += connection.recv(1_000_000)
        assert _listed(service) == 2
    assert len(answers) > 2 * many_megabytes


def _listed(service: Service) -> int:
    return sum(event["user_id"] == "reader" for event in service.events("database"))


def test_idle_connections_last_for_keep_alive_seconds(database_url: str) -> None:
    with serving(database_url, KEEP_ALIVE_SECONDS="1") as (_, client), connected(_address(client)) as connection:
        connection.sendall(LIVE)
        assert statuses(read_to_end(connection)) == [200]


def test_the_descriptor_limit_is_logged_once(database_url: str) -> None:
    command = ["/bin/sh", "-c", 'ulimit -n 200; exec "$0" serve', TASKWARD]
    with _serving(database_url, command) as (service, address), contextlib.ExitStack() as connections:
        for _ in range(250):
            connections.enter_context(connected(address))
        assert json.loads(service.wait_for('"too many connections"'))["descriptors"] == 200
        connections.close()
        assert any(_is_answered(address) for _ in range(1000))  # once the service has seen the others' end
    assert len(service.events("too many connections")) == 1


def _is_answered(address: Address) -> bool:
    with contextlib.suppress(ConnectionError), connected(address) as connection:
        connection.sendall(LIVE)
        return statuses(connection.recv(65536)) == [200]
    return False


def test_the_soft_descriptor_limit_is_raised(database_url: str) -> None:
    command = ["/bin/sh", "-c", 'ulimit -Sn 200; exec "$0" serve', TASKWARD]
    with _serving(database_url, command) as (service, _):
        soft, hard = psutil.Process(service.process.pid).rlimit(psutil.RLIMIT_NOFILE)
    assert soft == hard == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
