"""Checks whether the database can serve tasks: before the service starts, and for readiness probes."""

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

import psycopg
import structlog

from adapters.postgres import failures
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.guard import Statement
from domain.errors import StorageError, StorageOutdated, StorageUnavailable
from domain.rules import FIELDS

log = structlog.get_logger()

FRESH_SECONDS: Final = 30.0
"""For this long after a successful operation, readiness does not ask the database."""
MIGRATIONS: Final = files("migrations")  # it stands beside `adapters`, installed or in a checkout

FACTS: Final = Statement(
    """
    select
        (select string_agg(version_num, ', ' order by version_num) from alembic_version),
        to_regclass('tasks') is not null,
        array(select name from unnest(%(columns)s::text[]) as name where not exists (
            select from pg_attribute where attrelid = to_regclass('tasks') and attname = name and not attisdropped)),
        array(select distinct privilege
            from (values ('SELECT', %(columns)s::text[]), ('INSERT', %(made)s::text[]), ('UPDATE', %(changed)s::text[]))
                as needed (privilege, names), pg_attribute
            where attrelid = to_regclass('tasks') and attname = any (names)
                and not has_column_privilege(attrelid, attnum, privilege)
            union select 'DELETE' where not has_table_privilege(to_regclass('tasks'), 'DELETE')
            order by 1),
        row_security_active(to_regclass('tasks'))
    """,
    is_read=True,
)
"""Asks the catalogue in one round trip: revisions, table, missing columns, missing privileges, row security."""
COLUMNS: Final[dict[str, Any]] = {
    "columns": ["id", "user_id", *FIELDS, "created_at", "updated_at"],
    "made": ["id", "user_id", *FIELDS],
    "changed": [*FIELDS, "updated_at"],
}
"""The parameters of `FACTS`: the columns that statements read, insert and update."""


@cache
def newest_revision() -> str:
    """Return the newest revision: four digits, with which its file's name begins."""
    return max(file.name for file in MIGRATIONS.joinpath("versions").iterdir() if file.name.endswith(".py"))[:4]


def require_ready(facts: Sequence[Any]) -> None:
    """Raise a `StorageError` with the remedy unless tasks can be served. `facts` is the row that `FACTS` returns."""
    require_current(facts)
    *_, missing_privileges, is_filtered = facts
    if missing_privileges:
        raise StorageUnavailable(
            f"its role may not {', '.join(missing_privileges)} on tasks: grant that (docs/operations.md has the grants)"
        )
    if is_filtered:
        raise StorageUnavailable("row security on tasks applies to its role: disable it, or give the role bypassrls")


def require_current(facts: Sequence[Any]) -> None:
    """Raise `StorageOutdated` with the remedy unless the schema is at our newest revision or a later one.

    A later revision is fine: a new release migrates first, while the old release still serves.
    """
    revisions, has_tasks, missing_columns, *_ = facts
    found = revisions.split(", ") if revisions else []
    if foreign := [revision for revision in found if not re.fullmatch("[0-9]{4}", revision)]:
        raise StorageOutdated(f"its alembic_version, {foreign[0]}, is not ours: give Taskward a database of its own")
    if not found or min(found) < newest_revision():
        raise _outdated(revisions or "empty")
    if not has_tasks or missing_columns:
        lacks = f"column {missing_columns[0]}" if has_tasks else "table tasks"
        raise StorageOutdated(f"its schema says {revisions} but has no {lacks}: restore it from a backup")


def raise_if_never_migrated(error: BaseException | None) -> None:
    """Raise `StorageOutdated` if `FACTS` failed with this error because no migration has ever run."""
    if isinstance(error, psycopg.errors.UndefinedTable):
        raise _outdated("empty") from None


def _outdated(revisions: str) -> StorageOutdated:
    return StorageOutdated(f"its schema is {revisions}, this release needs {newest_revision()}: run `taskward migrate`")


class PostgresReadiness:
    def __init__(self, database: DatabaseExecutor) -> None:
        self._database = database

    async def check(self) -> None:
        """Raise `StorageUnavailable`, `StorageOverloaded` or `StorageOutdated` if tasks cannot be served.

        Does not ask the database if an operation succeeded lately, so that probes do not keep a serverless one awake.
        """
        if self._database.health.has_succeeded_within(FRESH_SECONDS):
            return
        try:
            require_ready(await self._facts())
        except StorageError as error:
            log.warning("not ready", error=type(error).__name__, reason=str(error))
            raise

    async def _facts(self) -> Sequence[Any]:
        try:
            return (await self._database.run(FACTS, COLUMNS))[0]
        except psycopg.Error as error:
            raise_if_never_migrated(error)
            raise failures.domain_error(error) from None
