"""Refuses, before it is sent, whatever touches `tasks` without binding the owner, no matter what has built it.

It reads the SQL itself, as the driver is given it, and knows a few forms. What it does not recognise it refuses.
"""

import re
from functools import lru_cache
from typing import Any, Final, NoReturn, Self

import psycopg
from psycopg.abc import Query

from domain.errors import OwnershipViolation

DISTINCT_STATEMENTS: Final = 256
"""So many are decided upon once; the adapter has some thirty."""


_FREE: Final = r"(?:[\w\s.,()\[\]<>=+%:]|'[\w\s]*')*"
_OWNER: Final = r"%\(owner\)s(?:::VARCHAR)?"
_VALUE: Final = r"%\(\w+\)s(?:::\w+)?"


def _form(pattern: str) -> "re.Pattern[str]":
    return re.compile(pattern.replace(" ", r"\s+").format(free=_FREE, owner=_OWNER, value=_VALUE), re.ASCII)


# Only OR binds weaker than AND: without it, and without a second table, what follows the owner can but narrow.
_ROWS: Final = _form(
    r"(?:SELECT (?P<columns>{free}) FROM tasks|UPDATE tasks SET (?P<changes>{free})|DELETE FROM tasks)"
    r" WHERE tasks\.user_id = {owner}(?P<rest>(?: (?:AND|ORDER BY|RETURNING) {free})?)"
)
_ROW: Final = _form(
    r"INSERT INTO tasks \((?P<names>\w+(?:, \w+)*)\) VALUES \((?P<values>{value}(?:, {value})*)\)"
    r"(?: ON CONFLICT DO NOTHING)?(?P<rest>(?: RETURNING {free})?)"
)
_WIDENS: Final = re.compile(r"\b(?:from|table|or)\b", re.ASCII | re.IGNORECASE)
_GIVES_AWAY: Final = re.compile("user_id", re.IGNORECASE)
_CALL: Final = re.compile(r"(\w+)\s*\(", re.ASCII)
# What the statements call, and two words that parentheses follow. Others can run whatever text they are given.
_CALLED: Final = frozenset({"greatest", "now", "any", "and"})
# Neither quotes nor escapes nor arguments but a number: no name in disguise, and no code for the server to run.
_HARMLESS: Final = re.compile(r"(?:[\w\s.,*=]|\(\d*\))*", re.ASCII)


@lru_cache(DISTINCT_STATEMENTS)
def keeps_to_its_owner(sql: str) -> bool:
    """Whether the statement leaves tasks alone, or binds the owner of all that it reads, changes or makes."""
    if "tasks" not in sql.lower():
        return _HARMLESS.fullmatch(sql) is not None
    if row := _ROW.fullmatch(sql):
        values = dict(zip(re.findall(r"\w+", row["names"]), re.findall(_VALUE, row["values"]), strict=False))
        return re.fullmatch(_OWNER, values.get("user_id", "")) is not None and not _widens(row["rest"])
    rows = _ROWS.fullmatch(sql)
    if rows is None or _GIVES_AWAY.search(rows["changes"] or ""):
        return False
    return not any(_widens(part or "") for part in rows.group("columns", "changes", "rest"))


def _widens(part: str) -> bool:
    """Whether it may show or do more than the rows of the owner allow."""
    return _WIDENS.search(part) is not None or not _CALLED.issuperset(_CALL.findall(part.lower()))


class _GuardedCursor(psycopg.Cursor[Any]):
    def execute(self, query: Query, *arguments: Any, **options: Any) -> Self:
        if not (isinstance(query, str) and keeps_to_its_owner(query)):
            _refuse()
        return super().execute(query, *arguments, **options)

    def _refuse_all(self, *_: Any, **__: Any) -> NoReturn:
        """An operation is one statement, answered at once: there is no use for the other ways to send one."""
        _refuse()

    executemany = stream = copy = _refuse_all


class _NoServerCursor(psycopg.ServerCursor[Any]):
    def __new__(cls, *_: Any, **__: Any) -> Self:
        _refuse()


def _refuse() -> NoReturn:
    raise OwnershipViolation("a statement that does not bind the owner was not sent")


def guard(connection: "psycopg.Connection[Any]") -> None:
    """From now on the connection sends no statement on tasks that does not bind the owner."""
    connection.cursor_factory = _GuardedCursor
    connection.server_cursor_factory = _NoServerCursor


def lift_guard(connection: "psycopg.Connection[Any]") -> None:
    """For what is about the table itself, and so about all owners: migrations."""
    connection.cursor_factory = psycopg.Cursor
    connection.server_cursor_factory = psycopg.ServerCursor
