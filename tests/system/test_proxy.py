"""The layer in front as SECURITY.md shows it: what a client says of its identity does not pass."""

import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.service import PATIENCE_SECONDS, Service, serving

PAGE = (Path(__file__).parents[2] / "SECURITY.md").read_text()
AS_ALICE = f"Authorization: Basic {b64encode(b'alice:secret').decode()}\r\n"
_CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log stderr;
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


@pytest.fixture
def behind(database_url: str) -> Iterator[tuple[Service, Path]]:
    """The service, and the socket of the proxy in front of it."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if program is None:
        pytest.skip("there is no nginx here: apt-get install nginx")
    (server,) = re.findall(r"^```nginx\n(.+?)^```", PAGE, re.DOTALL | re.MULTILINE)
    with serving(database_url) as (service, client), tempfile.TemporaryDirectory(prefix="nginx-") as folder:
        Path(folder).chmod(0o755)  # for its workers, if this runs as root
        Path(folder, "users").write_text("alice:{PLAIN}secret\n")
        address = f"{client.base_url.host}:{client.base_url.port}"
        server = server.replace("127.0.0.1:8080", f"unix:{folder}/socket").replace("127.0.0.1:8000", address)
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(_CONFIGURATION.format(folder=folder, server=server))
        process = subprocess.Popen([program, "-q", "-p", folder, "-c", str(configuration)])
        try:
            _wait_for(Path(folder, "socket"))
            yield service, Path(folder, "socket")
        finally:
            process.terminate()
            process.wait()


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
