"""Decides whether statements are prepared on the server: only if a probe shows that no pooler can cross them."""

import asyncio
import os
import socket
from typing import Any, Final

import psycopg
from psycopg import sql

# Once prepared, this query finds itself, under the name that the server knows.
_OWN_NAME: Final = "select name from pg_prepared_statements where statement like 'select name from pg_prepared_st%'"
_DRIVERS_PREFIX: Final = "_pg3_"
PREPARE_THRESHOLD: Final = 5
"""How often a statement runs before it is prepared."""


async def is_safe_to_prepare(driver: "psycopg.AsyncConnection[Any]", timeout: float) -> bool:  # noqa: ASYNC109 - see below
    """Whether the connection is direct, or its pooler keeps track of prepared statements.

    A pooler that does not can run another client's prepared statement instead of ours. After `timeout` seconds the
    connection is cut, since a cancelled driver would wait for the server first.
    """
    with socket.socket(fileno=os.dup(driver.fileno())) as duplicate:
        timer = asyncio.get_running_loop().call_later(timeout, duplicate.shutdown, socket.SHUT_RDWR)
        try:
            row = await (await driver.execute("select pg_backend_pid()")).fetchone()
            return row == (driver.info.backend_pid,) or await _are_tracked(driver)
        finally:
            timer.cancel()


async def _are_tracked(driver: "psycopg.AsyncConnection[Any]") -> bool:
    """Whether the pooler keeps track of prepared statements: if so, it gives them its own names."""
    driver.prepare_threshold = PREPARE_THRESHOLD  # without a threshold the driver never prepares
    try:
        async with driver.transaction():  # keeps the same server connection
            names = [name async for (name,) in await driver.execute(_OWN_NAME, prepare=True)]
            untracked = [name for name in names if name.startswith(_DRIVERS_PREFIX)]
            for name in untracked:  # the next client of the server connection must not find it
                await driver.execute(sql.SQL("deallocate {}").format(sql.Identifier(name)), prepare=False)
    except (psycopg.errors.DuplicatePreparedStatement, psycopg.errors.InvalidSqlStatementName):
        return False  # another client left a statement of that name
    finally:
        driver.prepare_threshold = None
    return bool(names) and not untracked
