"""`taskward distribute` on a stand-in for Citus: all or nothing, once, and never during a migration."""

import itertools
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from psycopg import sql

from adapters.postgres import statements
from adapters.postgres.connections.guard import Statement
from adapters.postgres.schema.distribution import distribute
from adapters.postgres.schema.readiness import newest_revision
from adapters.postgres.schema.revisions import create_migration_engine, upgrade
from adapters.postgres.schema.startup import wait_until_ready
from domain.errors import StorageError, StorageOutdated, StorageUnavailable
from tests.databases import fingerprint, scaling_sql, with_parameters
from tests.postgres.test_migrations import FIRST, LOCK, ROOT, WAITING, alembic, impatient, wait_for_waiting
from tests.postgres.wire import tapped
from tests.system.service import PATIENCE_SECONDS, TASKWARD, clean_environment, run

STAND_IN = Path(__file__).with_name("citus.sql").read_bytes()
FAILS: LiteralString = """
    create or replace function pg_catalog.create_distributed_table(
        table_name regclass, distribution_column text, distribution_type citus.distribution_type default 'hash',
        colocate_with text default 'default', shard_count int default null
    ) returns void language plpgsql as $$ begin {}; end $$
"""
REVISION_ON_EVERY_NODE = ("alembic_version", "n", None, "t")
DISTRIBUTED = [("tasks", "h", "user_id", "s"), REVISION_ON_EVERY_NODE]
DISTRIBUTED_KEY = ("pk_tasks", "PRIMARY KEY (user_id, id)")


@pytest.fixture
def url(empty_database_url: str) -> str:
    upgrade(create_migration_engine(empty_database_url))
    return empty_database_url


@pytest.fixture
def plain(url: str) -> Iterator[psycopg.Connection]:
    """A migrated database with tasks in it, on a server without Citus."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("insert into tasks (user_id, title) values ('alice', 'planted-title'), ('bob', 'x')")
        yield connection


@pytest.fixture
def citus(plain: psycopg.Connection) -> psycopg.Connection:
    """The same on a server with the stand-in for Citus."""
    try:
        plain.execute("set allow_system_table_mods = on")
    except psycopg.errors.InsufficientPrivilege:
        pytest.skip("only a superuser can put a stand-in for Citus where Citus is")
    plain.execute(STAND_IN)
    return plain


@pytest.fixture
def role(citus: psycopg.Connection) -> Iterator[str]:
    """A role that may log in and nothing else."""
    role = f"taskward_test_{uuid4().hex}"
    name = sql.Identifier(role)
    citus.execute(sql.SQL("create role {} login password 'x'").format(name))
    yield role
    citus.execute(sql.SQL("reassign owned by {0} to current_user; drop owned by {0}; drop role {0}").format(name))


@pytest.fixture
def owner(citus: psycopg.Connection, role: str, url: str) -> str:
    """A URL of a role that owns the tables and has no other rights."""
    may_create = "grant create on schema public to {0}"
    owns = "alter table tasks owner to {0}; alter table alembic_version owner to {0}"
    citus.execute(sql.SQL(f"{may_create}; {owns}").format(sql.Identifier(role)))
    return with_parameters(url, user=role, password="x")  # noqa: S106 - for the test only


def everything(connection: psycopg.Connection) -> tuple[Any, ...]:
    """The schema, the rows with their last transactions, the files, and Citus's list of tables."""
    queries: list[LiteralString] = [
        "select xmin::text, tasks::text from tasks order by id",
        "select oid, relfilenode from pg_class where oid in ('tasks'::regclass, 'pk_tasks'::regclass) order by oid",
    ]
    if connection.execute("select to_regclass('pg_dist_partition')").fetchone() != (None,):
        queries.append("select * from pg_dist_partition")
    return fingerprint(connection), *(connection.execute(query).fetchall() for query in queries)


def distributed_by(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "select logicalrelid::text, partmethod, column_to_column_name(logicalrelid, partkey), repmodel"
        " from pg_dist_partition"
    ).fetchall()


def test_only_the_key_and_distribution_change(citus: psycopg.Connection, url: str) -> None:
    before, rows, *_ = everything(citus)
    assert distribute(create_migration_engine(url))
    after, rows_after, *_ = everything(citus)
    assert distributed_by(citus) == DISTRIBUTED
    assert rows_after == rows
    assert {name: set(after[name]) ^ set(before[name]) for name in before if after[name] != before[name]} == {
        "constraints": {("pk_tasks", "PRIMARY KEY (id)"), DISTRIBUTED_KEY},
        "indexes": {
            ("pk_tasks", "CREATE UNIQUE INDEX pk_tasks ON public.tasks USING btree (id)"),
            ("pk_tasks", "CREATE UNIQUE INDEX pk_tasks ON public.tasks USING btree (user_id, id)"),
        },
    }


@pytest.mark.parametrize(
    "state", ["delete from pg_dist_partition", "update pg_dist_partition set repmodel = 's'"], ids=["unknown", "local"]
)
def test_the_revision_is_copied_after_an_interruption(
    citus: psycopg.Connection, url: str, state: LiteralString
) -> None:
    distribute(create_migration_engine(url))
    citus.execute(sql.SQL(state) + sql.SQL(" where logicalrelid = 'alembic_version'::regclass"))
    assert distribute(create_migration_engine(url))
    assert distributed_by(citus)[0] == DISTRIBUTED[0]
    assert REVISION_ON_EVERY_NODE in distributed_by(citus)


@pytest.mark.parametrize("grantee", ["a role", "public"])
def test_insert_grants_on_columns_are_refused_with_remedy(
    citus: psycopg.Connection, url: str, role: str, grantee: str
) -> None:
    name = sql.SQL("public") if grantee == "public" else sql.Identifier(role)
    citus.execute(sql.SQL("grant insert (user_id, title) on tasks to {}").format(name))
    before = everything(citus)
    with pytest.raises(StorageError, match="nothing was changed: Citus inserts every column") as raised:
        distribute(create_migration_engine(url))
    assert everything(citus) == before
    (remedy,) = re.findall("run `(.+)`$", str(raised.value))
    assert remedy == f"grant insert on tasks to {'public' if grantee == 'public' else role}"
    citus.execute(remedy.encode())
    assert distribute(create_migration_engine(url))


def test_column_grants_are_refused_after_distribution_too(citus: psycopg.Connection, url: str, role: str) -> None:
    distribute(create_migration_engine(url))
    citus.execute(sql.SQL("grant insert (title) on tasks to {}").format(sql.Identifier(role)))
    with pytest.raises(StorageError, match=role):
        distribute(create_migration_engine(url))


def test_other_column_grants_are_allowed(citus: psycopg.Connection, url: str, role: str) -> None:
    citus.execute(sql.SQL("grant select (title), update (title) on tasks to {}").format(sql.Identifier(role)))
    assert distribute(create_migration_engine(url))


def test_the_guides_steps_lead_there_and_back(citus: psycopg.Connection, url: str) -> None:
    before, rows, *_ = everything(citus)
    database = citus.info.dbname.encode()

    def run_parts(*parts: str) -> None:
        for statement in itertools.chain(*map(scaling_sql, parts)):
            citus.execute(statement.replace(b"database taskward", b"database " + database))

    run_parts("room", "passwords", "nodes", "key")
    assert distribute(create_migration_engine(url))
    assert distributed_by(citus) == DISTRIBUTED
    tables, counts = (citus.execute(statement).fetchall() for statement in scaling_sql("look"))
    assert [name for name, *_ in tables] == ["tasks", "alembic_version"]
    assert counts == [(len(rows),)]
    run_parts("tidy", "rebalance", "restore", "replace", "back")
    assert citus.execute("select nodename from pg_dist_node order by nodeid").fetchall() == [
        ("coordinator.internal",),
        ("standby-1.internal",),
        ("worker-2.internal",),
    ]
    after, rows_after, *_ = everything(citus)
    assert (after, rows_after, distributed_by(citus)) == (before, rows, [])


def test_the_guides_key_change_equals_the_commands(citus: psycopg.Connection, url: str, distributed_url: str) -> None:
    distribute(create_migration_engine(url))
    with psycopg.connect(distributed_url) as by_hand:
        assert fingerprint(by_hand) == fingerprint(citus)


def test_the_guides_way_back_leaves_no_difference(plain: psycopg.Connection, url: str) -> None:
    before = fingerprint(plain)
    plain.execute("alter table tasks drop constraint pk_tasks, add constraint pk_tasks primary key (user_id, id)")
    assert fingerprint(plain) != before
    plain.execute(scaling_sql("back")[-1])
    assert fingerprint(plain) == before
    command.check(alembic(url))


@pytest.mark.parametrize("statement", statements.ALL, ids=str)
def test_no_statement_names_a_key(statement: Statement) -> None:
    assert not re.search(r"ON CONFLICT (?!DO NOTHING)|ON CONSTRAINT|pk_tasks", statement.text)


def test_distributing_is_one_transaction_under_the_migration_lock(citus: psycopg.Connection, url: str) -> None:
    with tapped(url) as wire:
        distribute(create_migration_engine(wire.url))
    begin = max(place for place, statement in enumerate(wire.statements) if statement.startswith("BEGIN"))
    assert wire.statements[begin + 1 : begin + 4] == FIRST
    assert wire.statements[-4:] == [
        "alter table tasks drop constraint pk_tasks, add constraint pk_tasks primary key (user_id, id)",
        "select pg_catalog.create_distributed_table('tasks', 'user_id')",
        "select pg_catalog.create_reference_table('alembic_version')",
        "COMMIT",
    ]
    assert [statement for statement in wire.statements[begin:] if statement in ("COMMIT", "ROLLBACK")] == ["COMMIT"]
    assert distributed_by(citus) == DISTRIBUTED


@pytest.mark.parametrize(
    ("failing", "message"),
    [
        ("raise exception 'no worker nodes' using errcode = 'object_not_in_prerequisite_state'", "no worker nodes"),
        ("raise exception 'not supported here' using errcode = 'feature_not_supported'", "not supported here"),
        ("raise exception 'not on this node' using errcode = 'internal_error'", "not on this node"),
        ("raise exception e'node a:5432:\\n\\tgone' using errcode = 'connection_failure'", "node a:5432: gone"),
        ("raise exception 'planted-title' using errcode = 'check_violation'", "23514"),
        ("perform title::int from tasks", "22P02"),
    ],
)
def test_a_failed_call_changes_and_quotes_nothing(
    citus: psycopg.Connection, url: str, failing: LiteralString, message: str
) -> None:
    citus.execute(sql.SQL(FAILS).format(sql.SQL(failing)))
    before = everything(citus)
    with pytest.raises(StorageError, match="nothing was changed") as raised:
        distribute(create_migration_engine(url))
    assert everything(citus) == before
    assert message in str(raised.value)
    assert "planted" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_lost_connection_says_run_it_again(citus: psycopg.Connection, url: str) -> None:
    citus.execute(sql.SQL(FAILS).format(sql.SQL("perform pg_terminate_backend(pg_backend_pid())")))
    with pytest.raises(StorageUnavailable, match="run it again"):
        distribute(create_migration_engine(url))


def test_distributing_twice_changes_nothing(citus: psycopg.Connection, url: str) -> None:
    distribute(create_migration_engine(url))
    before = everything(citus)
    assert not distribute(create_migration_engine(url))
    assert everything(citus) == before


def test_an_already_changed_key_is_left_alone(citus: psycopg.Connection, url: str) -> None:
    citus.execute("alter table tasks drop constraint pk_tasks, add constraint pk_tasks primary key (user_id, id)")
    *before, _ = everything(citus)
    assert distribute(create_migration_engine(url))
    *after, _ = everything(citus)
    assert after == before
    assert distributed_by(citus) == DISTRIBUTED


def test_a_local_table_of_citus_is_distributed(citus: psycopg.Connection, url: str) -> None:
    citus.execute("insert into pg_dist_partition (logicalrelid, partmethod, repmodel) values ('tasks', 'n', 's')")
    assert distribute(create_migration_engine(url))
    assert DISTRIBUTED[0] in distributed_by(citus)


def test_a_differently_distributed_table_is_refused(citus: psycopg.Connection, url: str) -> None:
    citus.execute("select create_distributed_table('tasks', 'id')")
    before = everything(citus)
    with pytest.raises(StorageError, match="distributed by id, not by user_id"):
        distribute(create_migration_engine(url))
    assert everything(citus) == before


def test_a_function_like_citus_is_not_called(plain: psycopg.Connection, url: str) -> None:
    plain.execute("create function create_distributed_table(regclass, text) returns text language sql return $1::text")
    before = everything(plain)
    with pytest.raises(StorageError, match="create extension citus"):
        distribute(create_migration_engine(url))
    assert everything(plain) == before


def test_a_missing_schema_names_the_remedy(empty_database_url: str) -> None:
    with pytest.raises(StorageOutdated, match=r"its schema is empty.+taskward migrate"):
        distribute(create_migration_engine(empty_database_url))


def test_an_outdated_schema_names_the_remedy(citus: psycopg.Connection, url: str) -> None:
    citus.execute("update alembic_version set version_num = '0000'")
    before = everything(citus)
    with pytest.raises(StorageOutdated, match=r"its schema is 0000.+taskward migrate"):
        distribute(create_migration_engine(url))
    assert everything(citus) == before


def test_the_tables_owner_may_distribute(citus: psycopg.Connection, owner: str) -> None:
    assert distribute(create_migration_engine(owner))
    assert distributed_by(citus) == DISTRIBUTED


@pytest.mark.parametrize(
    ("lack", "message"),
    [
        ("alter table tasks owner to current_user; grant select on tasks to public", "must be owner of table tasks"),
        (
            "revoke execute on function pg_catalog.create_distributed_table from public",
            "permission denied for function create_distributed_table",
        ),
    ],
)
def test_missing_rights_are_named_and_change_nothing(
    citus: psycopg.Connection, owner: str, lack: LiteralString, message: str
) -> None:
    citus.execute(lack)
    before = everything(citus)
    with pytest.raises(StorageError, match=f"nothing was changed: {message}"):
        distribute(create_migration_engine(owner))
    assert everything(citus) == before


@pytest.mark.parametrize("held", [LOCK, "lock table tasks in access share mode"])
def test_a_held_lock_ends_the_distribution(citus: psycopg.Connection, url: str, held: LiteralString) -> None:
    before = everything(citus)
    with psycopg.connect(url) as holder:
        holder.execute(held)
        with pytest.raises(StorageUnavailable, match=r"nothing was changed: .+lock timeout"):
            distribute(impatient(url))
    assert everything(citus) == before


def test_concurrent_distributions_and_migrations_wait_in_turn(citus: psycopg.Connection, url: str) -> None:
    environment = clean_environment() | {"DATABASE_URL": url}
    commands = ["distribute", "distribute", "migrate"]
    with psycopg.connect(url) as first:
        first.execute(LOCK)
        processes = [
            subprocess.Popen([TASKWARD, name], env=environment, stdout=subprocess.PIPE, text=True) for name in commands
        ]
        try:
            wait_for_waiting(citus, processes)
            first.commit()
            outputs = [process.communicate(timeout=PATIENCE_SECONDS)[0] for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.communicate()
    assert [process.returncode for process in processes] == [0] * len(processes)
    assert sorted("already" in output for output in outputs[:2]) == [False, True]
    assert distributed_by(citus) == DISTRIBUTED


def test_the_command_says_what_it_did(citus: psycopg.Connection, url: str) -> None:
    processes = [
        run("distribute", DATABASE_URL="postgresql://nobody@127.0.0.1:1/x", MIGRATION_DATABASE_URL=url) for _ in "12"
    ]
    assert [(command.returncode, command.stdout, command.stderr) for command in processes] == [
        (0, "The tasks are now distributed by user_id.\n", ""),
        (0, "The tasks were distributed by user_id already. Nothing was changed.\n", ""),
    ]
    assert distributed_by(citus) == DISTRIBUTED


def test_migrating_and_starting_work_after_distribution(citus: psycopg.Connection, url: str) -> None:
    engine = create_migration_engine(url)
    distribute(engine)
    before = everything(citus)
    upgrade(engine)
    assert everything(citus) == before
    command.check(alembic(url))
    wait_until_ready(url, timeout=2, patience=PATIENCE_SECONDS)


def test_later_revisions_work_both_ways_after_distribution(citus: psycopg.Connection, url: str, tmp_path: Path) -> None:
    engine = create_migration_engine(url)
    distribute(engine)
    before = fingerprint(citus)
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    (tmp_path / "migrations" / "versions" / "9999_due.py").write_text(
        f"import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = '9999', {newest_revision()!r}\n"
        "def upgrade():\n    op.add_column('tasks', sa.Column('due', sa.Date()))\n"
        "    op.create_index('ix_due', 'tasks', ['user_id', 'due'])\n"
        "def downgrade():\n    op.drop_index('ix_due')\n    op.drop_column('tasks', 'due')\n"
    )
    config = alembic(url)
    config.set_main_option("script_location", str(tmp_path / "migrations"))
    command.upgrade(config, "head")
    after = fingerprint(citus)
    assert DISTRIBUTED_KEY in after["constraints"]
    assert "due" in {name for name, *_ in after["columns"]}
    command.downgrade(config, "-1")
    assert fingerprint(citus) == before
    command.downgrade(config, "base")
    assert citus.execute("select to_regclass('tasks')").fetchone() == (None,)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", ["distribute", "migrate"])
def test_a_signal_ends_the_statement_before_the_command(
    citus: psycopg.Connection, url: str, name: str, number: signal.Signals
) -> None:
    with psycopg.connect(url) as holder:
        holder.execute(LOCK)
        process = subprocess.Popen([TASKWARD, name], env=clean_environment() | {"DATABASE_URL": url}, text=True)
        try:
            wait_for_waiting(citus, [process])
            process.send_signal(number)
            code = process.wait(PATIENCE_SECONDS)
            assert citus.execute(WAITING).fetchone() == (0,)
            assert code == 128 + signal.SIGINT
        finally:
            process.kill()
            process.wait()


def test_nohup_protects_from_a_closed_terminal(citus: psycopg.Connection, url: str) -> None:
    with psycopg.connect(url) as holder:
        holder.execute(LOCK)
        command = ["nohup", TASKWARD, "distribute"]
        environment = clean_environment() | {"DATABASE_URL": url}
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            wait_for_waiting(citus, [process])
            process.send_signal(signal.SIGHUP)
            holder.commit()
            assert "now distributed" in process.communicate(timeout=PATIENCE_SECONDS)[0]
        finally:
            process.kill()
            process.communicate()
    assert (process.returncode, distributed_by(citus)) == (0, DISTRIBUTED)
