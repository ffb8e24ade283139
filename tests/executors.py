"""Database executors like the container's, on the tests' databases."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from adapters.postgres import statements
from adapters.postgres.connections.connection import Connector
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.guard import Statement
from adapters.postgres.schema.readiness import FACTS

SERVING = (*statements.ALL, FACTS)
BACKEND = Statement("select pg_backend_pid()", is_read=True)
SLEEP = Statement("select pg_sleep(60)", is_read=False)
TEXT = Statement("select %(text)s::text", is_read=True)


def executor(
    url: str,
    *also: Statement,
    connections: int = 1,
    queue: int = 1,
    deadline: float = 5,
    timeout: int = 2,
    prepare: str = "auto",
) -> DatabaseExecutor:
    """An executor that may send the service's statements, those above, and those in `also`."""
    allowed = (*SERVING, BACKEND, SLEEP, TEXT, *also)
    connector = Connector(url, allowed, timeout=timeout, prepare=prepare)
    return DatabaseExecutor(connector.open, connections=connections, queue=queue, deadline=deadline)


@asynccontextmanager
async def running(database: DatabaseExecutor) -> AsyncIterator[DatabaseExecutor]:
    try:
        yield database
    finally:
        await database.close()


async def backend(database: DatabaseExecutor, **options: object) -> int:
    """Return the process id of the server connection that answers."""
    rows: Sequence[tuple[int]] = await database.run(BACKEND, {}, **options)  # type: ignore[arg-type]  # passed on
    return rows[0][0]
