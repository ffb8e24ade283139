"""A restart costs no request: what the kernel has accepted is answered, and two instances can restart in turn."""

import contextlib
import http.client
import json
import re
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic
from uuid import uuid4

import httpx2
import psutil
import psycopg
import pytest

from entrypoints.processes.listener import drop_new_connections
from tests.system.nginx import nginx, two_instances
from tests.system.service import PATIENCE_SECONDS, TASK, Service, client_of, free_ports, serving

CLIENTS = 4
SO_LOCK_FILTER = 44
"""Of Linux; the `socket` module does not name it."""


@contextlib.contextmanager
def instance(database_url: str, port: int, **environment: str) -> Iterator[Service]:
    with Service({"DATABASE_URL": database_url, "PORT": str(port)} | environment) as service:
        service.wait_until_ready().close()
        yield service


@pytest.mark.parametrize(
    ("kept", "workers"), [(True, "1"), (False, "2")], ids=["connections kept", "one for each request"]
)
def test_restarting_two_instances_in_turn_fails_no_post(
    database_url: str, out_of_band: psycopg.Connection, workers: str, kept: bool
) -> None:
    ports = free_ports(2)
    configuration = two_instances(*ports)
    if not kept:
        configuration = re.sub(r".*(keepalive|http_version|Connection).*\n", "", configuration)
    is_over = Event()
    user = uuid4().hex
    answers: Counter[int] = Counter()

    def post() -> None:
        with client_of(url) as client:
            while not is_over.is_set():
                answers[client.post("/v1/tasks", json=TASK, headers={"X-User-Id": user}).status_code] += 1

    with contextlib.ExitStack() as running, nginx(configuration) as url, ThreadPoolExecutor() as pool:
        instances = {port: running.enter_context(instance(database_url, port, WORKERS=workers)) for port in ports}
        with contextlib.ExitStack() as ending:
            ending.callback(is_over.set)
            clients = [pool.submit(post) for _ in range(CLIENTS)]
            for port, running_now in instances.items():
                before = answers.total()
                while answers.total() < before + 20:
                    assert not any(client.done() for client in clients)
                assert running_now.end() == 0
                running.enter_context(instance(database_url, port, WORKERS=workers))
        for client in clients:
            client.result(PATIENCE_SECONDS)
    assert set(answers) == {201}
    made = out_of_band.execute("select count(*) from tasks where user_id = %s", [user]).fetchone()
    assert made == (answers[201],)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_accepted_connection_is_reset(database_url: str, workers: str) -> None:
    """Open a connection for each request, as fast as possible, until one is refused."""
    body = json.dumps(TASK)
    headers = {"X-User-Id": "alice", "Content-Type": "application/json"}

    def post_until_refused(port: int) -> int:
        answered = 0
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
            try:
                connection.connect()
            except ConnectionRefusedError:
                return answered
            connection.request("POST", "/v1/tasks", body, headers)
            assert connection.getresponse().status == 201
            answered += 1
            connection.close()

    with serving(database_url, WORKERS=workers) as (service, client), ThreadPoolExecutor() as pool:
        posting = [pool.submit(post_until_refused, client.base_url.port or 0) for _ in range(16)]
        while len(service.events("request")) < 100:
            assert not any(future.done() for future in posting)
        assert service.end() == 0
        assert sum(future.result() for future in posting) >= 100


def test_a_refused_socket_filter_does_no_harm() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1)  # newer kernels refuse filters to all but root
        drop_new_connections(listener)


def until_the_last(client: httpx2.Client, method: str, path: str) -> list[httpx2.Response]:
    """Repeat a request on one connection until an answer is the last. Returns all answers."""
    answers = [client.request(method, path, json=TASK)]
    while answers[-1].headers.get("connection") != "close":
        answers.append(client.request(method, path, json=TASK))
    return answers


PATIENT = """
import sys
from entrypoints.cli import main
from entrypoints.processes import worker
worker.REST_SECONDS = 20
sys.argv = ["taskward", "serve"]
main()
"""


def test_an_idle_connection_gets_one_last_answer(database_url: str) -> None:
    command = [sys.executable, "-c", PATIENT]
    with Service({"DATABASE_URL": database_url}, command=command) as service, service.wait_until_ready() as client:
        assert "connection" not in client.post("/v1/tasks", json=TASK).headers
        service.process.send_signal(signal.SIGTERM)
        process, until = psutil.Process(service.process.pid), monotonic() + PATIENCE_SECONDS
        while any(each.status == psutil.CONN_LISTEN for each in process.net_connections("tcp")):
            assert monotonic() < until, "it still listens"
        answer = client.post("/v1/tasks", json=TASK)
        assert (answer.status_code, answer.headers["connection"]) == (201, "close")
        assert service.process.wait(PATIENCE_SECONDS) == 0


def test_readiness_fails_while_the_service_stops(database_url: str) -> None:
    with serving(database_url) as (service, client):
        assert client.get("/health/ready").status_code == 200
        service.process.send_signal(signal.SIGTERM)
        last = until_the_last(client, "GET", "/health/ready")[-1]
        assert (last.status_code, last.json()["type"]) == (503, "urn:taskward:problem:database-unavailable")
        assert service.process.wait(PATIENCE_SECONDS) == 0
