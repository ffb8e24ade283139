"""Distributes the tasks over the servers of a Citus cluster. Each user's tasks are on one server."""

from typing import Final

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from adapters.postgres import failures
from adapters.postgres.schema.readiness import COLUMNS, FACTS, raise_if_never_migrated, require_current
from adapters.postgres.schema.revisions import schema_transaction
from domain.errors import StorageError

# Full names, so that nobody can put a function of the same name from another schema in their place.
_HAS_CITUS: Final = text("select to_regproc('pg_catalog.create_distributed_table') is not null")
_STATE: Final = text(
    "select (select pg_catalog.column_to_column_name(logicalrelid, partkey)"
    " from pg_catalog.pg_dist_partition where logicalrelid = 'tasks'::regclass),"
    " exists (select from pg_catalog.pg_dist_partition"
    " where logicalrelid = 'alembic_version'::regclass and repmodel = 't')"  # a reference table
)
_MAY_INSERT_COLUMNS_ONLY: Final = text(
    "select string_agg(distinct case grantee when 0 then 'public' else grantee::regrole::text end, ', ')"
    " from pg_attribute, aclexplode(attacl) where attrelid = 'tasks'::regclass"
    " and privilege_type = 'INSERT' and not has_table_privilege(grantee, attrelid, 'INSERT')"
)
_CHANGE_KEY: Final = text(
    "alter table tasks drop constraint pk_tasks, add constraint pk_tasks primary key (user_id, id)"
)
_DISTRIBUTE: Final = text("select pg_catalog.create_distributed_table('tasks', 'user_id')")
# A service that connects to a worker reads the revision there.
_COPY_TO_EVERY_NODE: Final = text("select pg_catalog.create_reference_table('alembic_version')")


def distribute(engine: Engine) -> bool:
    """Distribute the tasks by owner and copy the revision to every node, all in one transaction.

    Returns whether there was anything to do. Raises a `StorageError` that says what is in the way, and quotes no row.
    """
    try:
        with schema_transaction(engine) as connection:
            return _distribute(connection)
    except DBAPIError as error:
        lost = error.connection_invalidated  # by 08006 Citus also reports a lost worker
        outcome = "the outcome is unknown, run it again" if lost else "nothing was changed"
        raise type(failures.domain_error(error))(f"{outcome}: {failures.safe_message(error)}") from None


def _distribute(connection: Connection) -> bool:
    _require_current(connection)
    if not connection.scalar(_HAS_CITUS):
        raise StorageError("nothing was changed: this database has no Citus (`create extension citus` adds it)")
    column, is_on_every_node = connection.execute(_STATE).one()
    if column not in {None, "user_id"}:
        raise StorageError(f"nothing was changed: the table tasks is distributed by {column}, not by user_id")
    if roles := connection.scalar(_MAY_INSERT_COLUMNS_ONLY):
        raise StorageError(
            "nothing was changed: Citus inserts every column of a task, a grant on some of them is not enough:"
            f" run `grant insert on tasks to {roles}`"
        )
    if not column:
        if inspect(connection).get_pk_constraint("tasks")["constrained_columns"] != ["user_id", "id"]:
            connection.execute(_CHANGE_KEY)
        connection.execute(_DISTRIBUTE)
    if not is_on_every_node:
        connection.execute(_COPY_TO_EVERY_NODE)
    return not (column and is_on_every_node)


def _require_current(connection: Connection) -> None:
    try:
        facts = connection.exec_driver_sql(FACTS.text, COLUMNS).one()
    except ProgrammingError as error:
        raise_if_never_migrated(error.orig)
        raise
    require_current(facts)
