"""The tests' own databases: created on a server, and dropped again. No other database is touched."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

PREFIX = "taskward_test_"
SCALING = re.split(
    r"^-- (\w+): .*\n", (Path(__file__).parents[1] / "docs" / "scaling.sql").read_text(), flags=re.MULTILINE
)


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for an embedded server: short, for the path of its socket, and open to its user if root starts it."""
    with TemporaryDirectory(prefix="taskward-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@contextlib.contextmanager
def own_database(server_url: str, also: str = "") -> Iterator[str]:
    """Create an empty database for the length of the context. Returns its URL. `also` ends its name."""
    name = f"{PREFIX}{uuid4().hex[:12]}{also}"
    administer(
        server_url, sql.SQL("create database {} encoding 'UTF8' template template0").format(sql.Identifier(name))
    )
    try:
        yield with_parameters(server_url, dbname=name)
    finally:
        drop_database(server_url, name)


def drop_database(server_url: str, name: str) -> None:
    if not name.startswith(PREFIX):
        raise PermissionError(f"{name} is not a database of the tests")
    administer(server_url, sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def with_parameters(url: str, **parameters: str) -> str:
    """Return the URL with these parameters of libpq replaced."""
    return "postgresql://?" + urlencode(conninfo_to_dict(url) | parameters, quote_via=quote)


def administer(server_url: str, statement: sql.Composed) -> None:
    with psycopg.connect(make_conninfo(server_url), autocommit=True) as connection:
        connection.execute(statement)


def fingerprint(connection: psycopg.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything in the catalogues about the schema, except for Alembic's table."""
    facts = {
        "relations": connection.execute(
            "select relname::text, relkind::text from pg_class where relnamespace = 'public'::regnamespace"
        ),
        "columns": connection.execute(
            "select attname::text, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid),"
            " attcollation::regcollation::text, attidentity::text, attgenerated::text"
            " from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum"
            " where attrelid = to_regclass('tasks') and attnum > 0 and not attisdropped"
        ),
        "constraints": connection.execute(
            "select conname::text, pg_get_constraintdef(oid) from pg_constraint"
            " where conrelid = to_regclass('tasks') and contype <> 'n'"  # PostgreSQL 18 names NOT NULLs, too
        ),
        "indexes": connection.execute(
            "select indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index"
            " where indrelid = to_regclass('tasks')"
        ),
        "triggers": connection.execute(
            "select tgname::text, tgfoid::regproc::text from pg_trigger where tgrelid = to_regclass('tasks')"
        ),
        "functions": connection.execute(
            "select proname::text, prosrc from pg_proc where pronamespace = 'public'::regnamespace"
        ),
    }
    return {
        name: sorted((row for row in rows if not row[0].startswith("alembic_version")), key=str)
        for name, rows in facts.items()
    }


def scaling_sql(part: str) -> list[bytes]:
    """Return the statements in one part of docs/scaling.sql."""
    return [
        statement.strip().encode() for statement in SCALING[SCALING.index(part) + 1].split(";\n") if statement.strip()
    ]
