"""The schema's revisions: bring a database to the newest, and tell whether it is there."""

from functools import cache
from importlib.resources import files
from typing import Final

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from domain.errors import StorageOutdated

_REVISIONS: Final = text("select version_num from alembic_version")


def alembic_config() -> Config:
    """Alembic's configuration for the migrations beside this package, installed or in a checkout."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    return config


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Brings the schema to the revision, in one transaction. Does nothing where it is there already."""
    config = alembic_config()
    config.attributes["engine"] = engine
    command.upgrade(config, revision)


def require_current(connection: Connection) -> None:
    """Raises `StorageOutdated` unless the schema is at the newest revision."""
    try:
        found = {revision for (revision,) in connection.execute(_REVISIONS)}
    except ProgrammingError as error:
        if not isinstance(error.orig, psycopg.errors.UndefinedTable):
            raise
        found = set()
    if found != _newest():
        raise StorageOutdated(f"its revision is {', '.join(sorted(found)) or 'none'}, not {', '.join(_newest())}")


@cache
def _newest() -> frozenset[str]:
    return frozenset(ScriptDirectory.from_config(alembic_config()).get_heads())
