"""A certificate is verified as the URL says, and a start that cannot trust the server says so at once."""

import contextlib
import shutil
import socket
from collections.abc import Iterator
from threading import Thread

import psycopg
import pytest

from tests.databases import own_database, with_parameters
from tests.system.service import TASK, assert_refused, run, serving
from tests.system.tls import TlsServer, programs, tls_postgres


@pytest.fixture(scope="module")
def server() -> Iterator[TlsServer]:
    folder = programs()
    if folder is None or shutil.which("openssl") is None:
        pytest.skip("there is no PostgreSQL with TLS here: apt-get install postgresql openssl")
    with tls_postgres(folder) as server:
        yield server


def test_a_verified_server_can_be_used(server: TlsServer) -> None:
    with own_database(server.url) as url:
        assert run("migrate", DATABASE_URL=url).returncode == 0
        with serving(url) as (_, client), psycopg.connect(url) as connection:
            assert client.post("/v1/tasks", json=TASK).status_code == 201
            query = "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'taskward'"
            assert connection.execute(query).fetchall() == [(True,)]


def test_ssl_cert_file_replaces_the_systems_authorities(server: TlsServer) -> None:
    system = with_parameters(server.url, sslrootcert="system")
    trusting = run("migrate", DATABASE_URL=system, SSL_CERT_FILE=str(server.authority))
    assert trusting.returncode == 0, trusting
    assert_refused(run("migrate", DATABASE_URL=system, SSL_CERT_FILE=str(server.stranger)), "certificate verify failed")


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_an_untrusted_certificate_is_reported_at_once(server: TlsServer, command: str) -> None:
    url = with_parameters(server.url, sslrootcert=str(server.stranger))
    assert_refused(run(command, DATABASE_URL=url), "DATABASE_URL", "certificate verify failed")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"host": "elsewhere.taskward.test"}, "does not match host name"),
        ({"sslrootcert": "/nowhere"}, "/nowhere"),
        ({"sslmode": "disable", "channel_binding": "disable"}, "no encryption"),
        ({"password": "wrong"}, "password authentication failed"),
    ],
    ids=str,
)
def test_other_permanent_faults_are_reported_at_once(server: TlsServer, parameters: dict[str, str], words: str) -> None:
    url = with_parameters(server.url, **parameters)
    assert_refused(run("serve", DATABASE_URL=url), "DATABASE_URL", words)


def test_missing_tls_is_reported_at_once() -> None:
    def decline() -> None:
        with contextlib.suppress(OSError):  # closed: the test is over
            while True:
                with listener.accept()[0] as client:
                    client.recv(8)
                    client.sendall(b"N")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=decline, daemon=True).start()
        url = f"postgresql://guest@127.0.0.1:{listener.getsockname()[1]}/tasks?sslmode=require"
        assert_refused(run("serve", DATABASE_URL=url), "DATABASE_URL", "server does not support SSL")
