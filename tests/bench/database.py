"""The PostgreSQL that all servers share: the embedded one, on loopback TCP."""

import contextlib
import socket
from collections.abc import Iterator
from functools import cached_property
from typing import Final, LiteralString

import psutil
import psycopg

from adapters.embedded_postgres import EmbeddedServer
from adapters.postgres.schema.revisions import create_migration_engine, upgrade
from tests.databases import own_folder

Key = tuple[str, str]
"""A task's owner and its id."""

# The disk is not what is compared: waiting for it would only make the servers look more alike.
_OPTIONS: Final = "-c fsync=off -c synchronous_commit=off -c shared_buffers=3GB -c max_wal_size=8GB"
_KEYS: Final = 10_000
_INSERT: Final[LiteralString] = (
    "insert into tasks (user_id, title, description, completed, created_at, updated_at)"
    " select 'user-' || u, 'Task ' || t, case when t %% 2 = 0 then 'What there is to say of task ' || t end,"
    " t %% 3 = 0, at, at from generate_series(%s::int, %s::int) u, generate_series(1, %s::int) t,"
    " lateral (select now() - t * interval '1 minute' as at) times"
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def postgres_on_tcp() -> Iterator[str]:
    """The URL of a server without tables."""
    port = free_port()
    with own_folder() as folder, contextlib.ExitStack() as stack:
        EmbeddedServer(folder / "postgres", stack).start("-h", "127.0.0.1", "-p", str(port), *_OPTIONS.split())
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


class Tasks:
    """The tasks of one database. User 1 may have more of them than the others."""

    def __init__(self, url: str, users: int, each: int, of_the_first: int | None = None) -> None:
        self.url = url
        self._users = users
        upgrade(create_migration_engine(url))
        self._connection = psycopg.connect(url, autocommit=True)
        self.postmaster = psutil.Process(self._connection.info.backend_pid).parent()
        self._connection.execute(_INSERT, [2, users, each])
        self._connection.execute(_INSERT, [1, 1, of_the_first or each])
        self._connection.execute("vacuum analyze tasks")
        self._to_delete: list[Key] = []

    def close(self) -> None:
        self._connection.close()

    @cached_property
    def keys(self) -> list[Key]:
        """Some from all over the table."""
        statement = (
            "select user_id, id::text from tasks tablesample bernoulli"
            " ((select least(100, 100.0 * %s / reltuples) from pg_class where oid = 'tasks'::regclass))"
            " order by random()"
        )
        return self._connection.execute(statement, [_KEYS]).fetchall()

    def to_delete(self, count: int) -> list[Key]:
        """At least so many, for the caller to take away from; they are made where they are missing."""
        missing = count - len(self._to_delete)
        if missing > 0:
            statement = _INSERT + " returning user_id, id::text"
            each = missing // self._users + 1
            self._to_delete += self._connection.execute(statement, [1, min(missing, self._users), each]).fetchall()
        return self._to_delete
