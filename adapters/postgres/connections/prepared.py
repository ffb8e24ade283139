"""Whether statements may be prepared on the server: only where a probe has shown that no pooler can cross them."""

import asyncio
import os
import socket
from typing import Any, Final

import psycopg
from psycopg import sql

_OWN_NAME: Final = "select name from pg_prepared_statements where statement like 'select name from pg_prepared_st%'"
_DRIVERS_PREFIX: Final = "_pg3_"
PREPARE_THRESHOLD: Final = 5
"""How often a statement is run before it is prepared."""


async def is_safe_to_prepare(driver: "psycopg.AsyncConnection[Any]", timeout: float) -> bool:  # noqa: ASYNC109 - see below
    """Whether no pooler stands between, or one that keeps track of prepared statements.

    One that does not can run a statement that another client has prepared in place of ours. After `timeout` seconds
    the connection is cut, since a driver that is only cancelled waits for the server's consent.
    """
    with socket.socket(fileno=os.dup(driver.fileno())) as duplicate:
        timer = asyncio.get_running_loop().call_later(timeout, duplicate.shutdown, socket.SHUT_RDWR)
        try:
            row = await (await driver.execute("select pg_backend_pid()")).fetchone()
            return row == (driver.info.backend_pid,) or await _are_tracked(driver)
        finally:
            timer.cancel()


async def _are_tracked(driver: "psycopg.AsyncConnection[Any]") -> bool:
    """A pooler that keeps track of prepared statements gives them names of its own."""
    driver.prepare_threshold = PREPARE_THRESHOLD  # without one the driver prepares nothing, even if it is asked to
    try:
        async with driver.transaction():  # on one and the same server connection
            names = [name async for (name,) in await driver.execute(_OWN_NAME, prepare=True)]
            untracked = [name for name in names if name.startswith(_DRIVERS_PREFIX)]
            for name in untracked:  # it would stay behind for whoever gets the server connection next
                await driver.execute(sql.SQL("deallocate {}").format(sql.Identifier(name)), prepare=False)
    except (psycopg.errors.DuplicatePreparedStatement, psycopg.errors.InvalidSqlStatementName):
        return False  # another client's stayed behind
    finally:
        driver.prepare_threshold = None
    return bool(names) and not untracked
