"""From one PostgreSQL to many: the tasks spread over the servers of a Citus cluster, each user's on one of them."""

from typing import Final

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from adapters.postgres import failures
from adapters.postgres.schema.readiness import COLUMNS, FACTS, require_ready
from adapters.postgres.schema.revisions import changing
from domain.errors import StorageError

# By their full names: whoever may create functions elsewhere must not be able to put one in their place.
_HAS_CITUS: Final = text("select to_regproc('pg_catalog.create_distributed_table') is not null")
_DISTRIBUTED_BY: Final = text(
    "select pg_catalog.column_to_column_name(logicalrelid, partkey)"
    " from pg_catalog.pg_dist_partition where logicalrelid = 'tasks'::regclass"
)
_CHANGE_KEY: Final = text(
    "alter table tasks drop constraint pk_tasks, add constraint pk_tasks primary key (user_id, id)"
)
_DISTRIBUTE: Final = text("select pg_catalog.create_distributed_table('tasks', 'user_id')")


def distribute(engine: Engine) -> bool:
    """Gives the table the key that it needs, and distributes it by owner, rows included, all in one transaction.

    Returns whether there was anything to do. Raises a `StorageError` that says what is in the way, and quotes no row.
    """
    try:
        with changing(engine) as connection:
            return _distribute(connection)
    except DBAPIError as error:
        lost = failures.is_connection_loss(error)
        outcome = "what has become of it is unknown, run it again" if lost else "nothing was changed"
        raise type(failures.meaning(error))(f"{outcome}: {failures.words(error)}") from None


def _distribute(connection: Connection) -> bool:
    require_ready(connection.exec_driver_sql(FACTS.text, COLUMNS).one())
    if not connection.scalar(_HAS_CITUS):
        raise StorageError("nothing was changed: this database has no Citus (`create extension citus` adds it)")
    column = connection.scalar(_DISTRIBUTED_BY)
    if column == "user_id":
        return False
    if column:
        raise StorageError(f"nothing was changed: the table tasks is distributed by {column}, not by user_id")
    if inspect(connection).get_pk_constraint("tasks")["constrained_columns"] != ["user_id", "id"]:
        connection.execute(_CHANGE_KEY)
    connection.execute(_DISTRIBUTE)
    return True
