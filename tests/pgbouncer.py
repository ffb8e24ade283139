"""The tests' own PgBouncer, in transaction mode: clients share fewer server connections.

PGBOUNCER names one outside the usual folders. From 1.21 on it can track prepared statements.
"""

import contextlib
import getpass
import os
import re
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
_TRACKS = "max_prepared_statements = {}\n"
_TRACKING_SINCE = (1, 21)


@contextlib.contextmanager
def pooled(url: str, program: str, *, tracks: bool) -> Iterator[str]:
    """Run the pooler. Returns a URL that leads to the same database through it, without a password.

    `tracks` says whether the pooler tracks prepared statements.
    """
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
            + (_TRACKS.format(100 if tracks else 0) if can_track(program) else "")
        )
        # PgBouncer refuses to run as root; the owner of the server's socket may use that socket.
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
    usual = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin"
    return os.environ.get("PGBOUNCER") or shutil.which("pgbouncer", path=usual)


def pooler_kinds() -> list[str]:
    """Return the kinds of poolers that are available here, or the one that would be tested."""
    program = pgbouncer()
    return ["untracked", "tracked"] if program and can_track(program) else ["untracked"]


def can_track(program: str) -> bool:
    output = subprocess.run([program, "--version"], capture_output=True, check=True, text=True).stdout
    version = re.match(r"PgBouncer (\d+)\.(\d+)", output)
    return version is not None and tuple(map(int, version.groups())) >= _TRACKING_SINCE


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
