"""A PgBouncer of the tests' own, in transaction mode: several clients share fewer server connections."""

import contextlib
import getpass
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.databases import with_parameters

SERVER_CONNECTIONS = 2
_CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}{password}
[pgbouncer]
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 200
unix_socket_dir = {folder}
listen_port = 6432
auth_type = any
client_login_timeout = 5
logfile = {folder}/log
"""


@contextlib.contextmanager
def pooled(url: str, program: str) -> Iterator[str]:
    """A URL that leads to the same database through the pooler. It logs in without a password."""
    parameters = conninfo_to_dict(url)
    password = str(parameters.get("password") or "").replace("'", "''")
    with tempfile.TemporaryDirectory(prefix="pool-") as folder:
        Path(folder).chmod(0o777)
        configuration = Path(folder, "pgbouncer.ini")
        configuration.write_text(
            _CONFIGURATION.format(
                host=parameters["host"],
                port=parameters.get("port", 5432),
                user=parameters["user"],
                password=f" password='{password}'" if password else "",
                size=SERVER_CONNECTIONS,
                folder=folder,
            )
        )
        # It does not run as root; whom the server's socket belongs to may use it.
        socket_folder = Path(str(parameters["host"]))
        owner = socket_folder.owner() if socket_folder.is_dir() else "nobody"
        as_user = ["-u", owner] if getpass.getuser() == "root" else []
        process = subprocess.Popen([program, "-q", *as_user, str(configuration)])
        try:
            through = with_parameters(url, host=folder, port="6432", sslmode="disable", channel_binding="disable")
            _wait_for(through)
            yield through
        finally:
            process.kill()
            process.wait()


def pgbouncer() -> str | None:
    return shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")


def _wait_for(url: str) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
        else:
            return
