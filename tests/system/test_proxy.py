"""The layer in front as SECURITY.md shows it: what a client says of its identity does not pass."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psycopg
import pytest

from tests.system.service import PATIENCE_SECONDS, TASK, Service, serving

PAGE = (Path(__file__).parents[2] / "SECURITY.md").read_text()
AS_ALICE = f"Authorization: Basic {b64encode(b'alice:secret').decode()}\r\n"
_CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log stderr crit;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""


@contextlib.contextmanager
def _nginx(server: str) -> Iterator[Path]:
    """nginx with this configuration of a server, and the socket that it listens on in place of `PROXY`."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if program is None:
        pytest.skip("there is no nginx here: apt-get install nginx")
    with tempfile.TemporaryDirectory(prefix="nginx-") as folder:
        Path(folder).chmod(0o755)  # for its workers, if this runs as root
        Path(folder, "users").write_text("alice:{PLAIN}secret\n")
        proxy = Path(folder, "socket")
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(_CONFIGURATION.format(folder=folder, server=server.replace("PROXY", f"unix:{proxy}")))
        process = subprocess.Popen([program, "-q", "-p", folder, "-c", str(configuration)])
        try:
            _wait_for(proxy)
            yield proxy
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def behind(database_url: str) -> Iterator[tuple[Service, Path]]:
    """The service, and the socket of the proxy in front of it."""
    (server,) = re.findall(r"^```nginx\n(.+?)^```", PAGE, re.DOTALL | re.MULTILINE)
    with serving(database_url) as (service, client):
        address = f"{client.base_url.host}:{client.base_url.port}"
        with _nginx(server.replace("127.0.0.1:8080", "PROXY").replace("127.0.0.1:8000", address)) as proxy:
            yield service, proxy


def _wait_for(proxy: Path) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(proxy))
        except OSError:
            if time.monotonic() > until:
                raise
        else:
            return


FORGED = {
    "nothing": ("", ""),
    "once": ("X-User-Id: bob\r\n", ""),
    "often": ("X-User-Id: bob\r\nx-user-id: alice\r\nX-USER-ID: carol\r\n", ""),
    "with underscores": ("x_user_id: bob\r\nX_USER_ID: bob\r\n", ""),
    "named in Connection": ("Connection: X-User-Id\r\nX-User-Id: bob\r\n", ""),
    "in a trailer": ("Trailer: X-User-Id\r\n", "X-User-Id: bob\r\n"),
}


@pytest.mark.parametrize("said", FORGED)
def test_no_identity_passes_but_the_proxys_own(behind: tuple[Service, Path], said: str) -> None:
    service, proxy = behind
    header, trailer = FORGED[said]
    answer = answer_to(proxy, AS_ALICE + header, trailer)
    assert answer.startswith("HTTP/1.1 201 ")
    assert json.loads(service.wait_for('"database"'))["user_id"] == "alice"


@pytest.mark.parametrize("credentials", ["", AS_ALICE.replace("Basic ", "Basic x")])
def test_without_a_password_nothing_passes(behind: tuple[Service, Path], credentials: str) -> None:
    service, proxy = behind
    answer = answer_to(proxy, credentials + "X-User-Id: bob\r\n")
    assert answer.startswith("HTTP/1.1 401 ")
    assert "X-Request-Id" not in answer.title()
    assert service.events("request") == []


def answer_to(proxy: Path, headers: str, trailer: str = "") -> str:
    """To a request that makes a task, with these headers, and after its body this trailer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(str(proxy))
        connection.sendall(
            "POST /v1/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f'Transfer-Encoding: chunked\r\n{headers}\r\ne\r\n{{"title": "x"}}\r\n0\r\n{trailer}\r\n'.encode()
        )
        with connection.makefile("rb") as answer:
            return answer.read().decode()


TWO_INSTANCES = """
    upstream taskward {{
        server {};
        server {};
        keepalive 8;
    }}
    server {{
        listen PROXY;
        gzip on;
        client_max_body_size 0;
        proxy_request_buffering off;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location / {{
            proxy_pass http://taskward;
        }}
        location /todo/ {{
            proxy_pass http://taskward/;
        }}
    }}
"""


def _client_of(proxy: Path) -> httpx2.Client:
    transport = httpx2.HTTPTransport(uds=str(proxy))
    return httpx2.Client(transport=transport, base_url="http://x", headers={"X-User-Id": "carol"}, timeout=20)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_two_instances_that_restart_in_turn_fail_no_request(database_url: str, out_of_band: psycopg.Connection) -> None:
    ports = [_free_port(), _free_port()]
    server = TWO_INSTANCES.format(*(f"127.0.0.1:{port} max_fails=0" for port in ports))
    is_over = threading.Event()

    def write(proxy: Path) -> list[int]:
        answered = []
        with _client_of(proxy) as client:
            while not is_over.is_set():
                answered.append(client.post("/v1/tasks", json=TASK).status_code)
        return answered

    with contextlib.ExitStack() as instances, ThreadPoolExecutor() as pool:
        instances.callback(is_over.set)
        running = [instances.enter_context(_instance(database_url, port)) for port in ports]
        proxy = instances.enter_context(_nginx(server))
        writers = [pool.submit(write, proxy) for _ in range(4)]
        for port, old in zip(ports, running, strict=True):
            assert old.end() == 0
            instances.enter_context(_instance(database_url, port))
        is_over.set()
        answered = [status for writer in writers for status in writer.result()]
    assert set(answered) == {201}
    assert out_of_band.execute("select count(*) from tasks where user_id = 'carol'").fetchone() == (len(answered),)


@contextlib.contextmanager
def _instance(database_url: str, port: int) -> Iterator[Service]:
    with serving(database_url, PORT=str(port)) as (service, _):
        yield service


def test_a_refusal_reaches_a_client_behind_a_proxy(database_url: str) -> None:
    with serving(database_url) as (_, client):
        address = f"{client.base_url.host}:{client.base_url.port}"
        with _nginx(TWO_INSTANCES.format(address, f"{address} backup")) as proxy, _client_of(proxy) as behind:
            for _ in range(20):
                answer = behind.post(
                    "/v1/tasks", content=b" " * 5_000_000, headers={"Content-Type": "application/json"}
                )
                assert answer.status_code == 413


def test_a_journey_behind_a_path_prefix_needs_no_knowledge_of_it(database_url: str) -> None:
    with serving(database_url) as (_, client):
        address = f"{client.base_url.host}:{client.base_url.port}"
        with _nginx(TWO_INSTANCES.format(address, f"{address} backup")) as proxy, _client_of(proxy) as behind:
            for _ in range(3):  # two stay, a page each
                made = behind.post("/todo/v1/tasks", json=TASK)
            task = made.url.join(made.headers["location"])
            etag = behind.get(task).headers["etag"]
            assert behind.patch(task, json={"completed": True}, headers={"If-Match": etag}).status_code == 200
            page = behind.get("/todo/v1/tasks?limit=1&completed=false")
            rest = page.url.join(page.links["next"]["url"])
            assert rest.path == "/todo/v1/tasks"
            assert behind.get(rest).status_code == 200
            assert behind.delete(task).status_code == 204
