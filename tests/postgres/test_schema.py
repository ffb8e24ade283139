"""The migrated schema: exactly the contract's, with its rules enforced against any writer."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from unicodedata import category
from uuid import NAMESPACE_URL, UUID, uuid1, uuid3, uuid5

import psycopg
import pytest
from psycopg import sql

from adapters.postgres.schema.revisions import create_migration_engine, upgrade
from adapters.postgres.table import TaskRow
from tests.databases import fingerprint, own_database

NOW = datetime(2026, 1, 1, tzinfo=UTC)
# Every character that PostgreSQL can store; above the first 65,536 only a sample.
CHARACTERS = [chr(point) for point in chain(range(1, 0xD800), range(0xE000, 0x10000), range(0x10000, 0x110000, 97))]
WHITE_SPACE = [character for character in CHARACTERS if not character.strip()]
CONTROL = [character for character in CHARACTERS if category(character) == "Cc"]
INDEX = "ix_tasks_user_id_created_at_id"


@pytest.fixture(scope="module")
def database_url(server_url: str) -> Iterator[str]:
    """A migrated database that no other test writes to."""
    with own_database(server_url) as url:
        upgrade(create_migration_engine(url))
        yield url


def test_the_schema_matches_the_contract_exactly(out_of_band: psycopg.Connection) -> None:
    found = fingerprint(out_of_band)
    assert {column[:4] for column in found["columns"]} == {
        ("id", "uuid", True, "gen_random_uuid()"),
        ("user_id", "character varying(255)", True, None),
        ("title", "character varying(255)", True, None),
        ("description", "text", False, None),
        ("completed", "boolean", True, "false"),
        ("created_at", "timestamp with time zone", True, "now()"),
        ("updated_at", "timestamp with time zone", True, "now()"),
    }
    assert [name for name, _ in found["constraints"]] == [
        "ck_tasks_description_length",
        "ck_tasks_id_is_uuid_4",
        "ck_tasks_times_within_years_1_to_9999",
        "ck_tasks_title_not_empty",
        "ck_tasks_title_trimmed",
        "ck_tasks_updated_at_not_before_created_at",
        "ck_tasks_user_id_not_empty",
        "ck_tasks_user_id_trimmed",
        "ck_tasks_user_id_without_control_characters",
        "pk_tasks",
    ]
    assert found["constraints"][-1] == ("pk_tasks", "PRIMARY KEY (id)")
    assert found["indexes"] == [
        (INDEX, f"CREATE INDEX {INDEX} ON public.tasks USING btree (user_id, created_at, id)"),
        ("pk_tasks", "CREATE UNIQUE INDEX pk_tasks ON public.tasks USING btree (id)"),
    ]
    assert found["relations"] == [(INDEX, "i"), ("pk_tasks", "i"), ("tasks", "r")]
    assert (found["triggers"], found["functions"]) == ([], [])


def test_the_model_makes_the_same_schema(out_of_band: psycopg.Connection, empty_database_url: str) -> None:
    with create_migration_engine(empty_database_url).begin() as connection:
        TaskRow.metadata.create_all(connection)
    with psycopg.connect(empty_database_url) as elsewhere:
        assert fingerprint(elsewhere) == fingerprint(out_of_band)


def insert(connection: psycopg.Connection, values: dict[str, object]) -> None:
    """Insert a row as another writer might, and undo it at once."""
    row = {"user_id": "alice", "title": "x"} | values
    names, places = (sql.SQL(", ").join(map(part, row)) for part in (sql.Identifier, sql.Placeholder))
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("insert into tasks ({}) values ({})").format(names, places), row)


def refusal(connection: psycopg.Connection, values: dict[str, object]) -> str | None:
    """Return the constraint that refuses the row, if one does."""
    try:
        insert(connection, values)
    except psycopg.errors.CheckViolation as error:
        return error.diag.constraint_name
    return None


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        ("title_not_empty", {"title": ""}),
        ("user_id_not_empty", {"user_id": ""}),
        ("description_length", {"description": "x" * 10_001}),
        ("description_length", {"description": "\U0001d518" * 10_001}),
        ("description_length", {"description": " " * 10_001}),
        ("updated_at_not_before_created_at", {"created_at": NOW, "updated_at": NOW - timedelta(microseconds=1)}),
        ("updated_at_not_before_created_at", {"updated_at": NOW - timedelta(days=36_500)}),
        ("times_within_years_1_to_9999", {"updated_at": "infinity"}),
        ("times_within_years_1_to_9999", {"updated_at": "10000-01-01"}),
        ("times_within_years_1_to_9999", {"created_at": "-infinity"}),
        ("times_within_years_1_to_9999", {"created_at": "0044-03-15 BC"}),
        ("id_is_uuid_4", {"id": UUID(int=0)}),
        ("id_is_uuid_4", {"id": UUID(int=2**128 - 1)}),
        ("id_is_uuid_4", {"id": uuid1()}),
        ("id_is_uuid_4", {"id": uuid3(NAMESPACE_URL, "x")}),
        ("id_is_uuid_4", {"id": uuid5(NAMESPACE_URL, "x")}),
        ("id_is_uuid_4", {"id": UUID("01890a5d-ac96-774b-bcce-b302099a8057")}),
        ("id_is_uuid_4", {"id": UUID("01234567-89ab-4cde-7123-456789abcdef")}),
        ("id_is_uuid_4", {"id": UUID("01234567-89ab-4cde-c123-456789abcdef")}),
    ],
    ids=repr,
)
def test_each_constraint_refuses_its_row(
    out_of_band: psycopg.Connection, constraint: str, values: dict[str, object]
) -> None:
    assert refusal(out_of_band, values) == f"ck_tasks_{constraint}"


@pytest.mark.parametrize("column", ["title", "user_id"])
@pytest.mark.parametrize("form", ["{}x", "x{}", "{}", "x {}"])
def test_every_space_that_python_strips_is_refused(out_of_band: psycopg.Connection, column: str, form: str) -> None:
    refused = {ascii(space): refusal(out_of_band, {column: form.format(space)}) for space in WHITE_SPACE}
    assert refused == dict.fromkeys(refused, f"ck_tasks_{column}_trimmed")
    assert len(refused) >= 29


def test_every_control_character_in_user_ids_is_refused(out_of_band: psycopg.Connection) -> None:
    refused = {ascii(control): refusal(out_of_band, {"user_id": f"x{control}x"}) for control in CONTROL}
    assert refused == dict.fromkeys(refused, "ck_tasks_user_id_without_control_characters")
    assert len(refused) == 64


def test_no_other_character_is_refused(out_of_band: psycopg.Connection) -> None:
    allowed = sorted({*CHARACTERS} - {*WHITE_SPACE} - {*CONTROL})
    query = "insert into tasks (user_id, title) select c, c from unnest(%s::text[]) c"
    with out_of_band.transaction(force_rollback=True):
        assert out_of_band.execute(query, [allowed]).rowcount == len(allowed)


@pytest.mark.parametrize(
    "values",
    [
        {"title": "x" * 255, "user_id": "x" * 255},
        {"title": "\U0001d518" * 255, "user_id": "\U0001d518" * 255},
        {"title": "a\t\n b", "user_id": "a \u3000b"},
        {"description": "x" * 10_000},
        {"description": "\U0001d518" * 10_000},
        {"description": ""},
        {"description": " \t\n"},
        {"description": None},
        {"created_at": NOW, "updated_at": NOW},
        *({"id": UUID(f"01234567-89ab-4cde-{variant}123-456789abcdef")} for variant in "89ab"),
    ],
    ids=lambda values: ascii(values)[:60],
)
def test_a_row_at_the_limit_is_accepted(out_of_band: psycopg.Connection, values: dict[str, object]) -> None:
    insert(out_of_band, values)


@pytest.mark.parametrize("column", ["title", "user_id"])
@pytest.mark.parametrize("character", ["x", "\U0001d518"])
def test_the_256th_character_is_refused(out_of_band: psycopg.Connection, column: str, character: str) -> None:
    with pytest.raises(psycopg.errors.StringDataRightTruncation):
        insert(out_of_band, {column: character * 256})


@pytest.mark.parametrize("column", ["id", "user_id", "title", "completed", "created_at", "updated_at"])
def test_null_is_refused(out_of_band: psycopg.Connection, column: str) -> None:
    with pytest.raises(psycopg.errors.NotNullViolation) as raised:
        insert(out_of_band, {column: None})
    assert raised.value.diag.column_name == column
