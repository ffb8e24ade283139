"""Checks the statements that the database server received, while the service was used over HTTP, against the rules."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest

from adapters.embedded_postgres import embedded_postgres
from adapters.postgres import statements
from adapters.postgres.schema.readiness import FACTS
from tests.databases import own_folder
from tests.operations import ON_ONE, READS
from tests.planted import PLANTED
from tests.system.service import TASK, run, serving
from tests.system.statement_log import LoggedStatement, log_all_statements, plan_of, statements_in

OWNERS = ("ann", "Ann", "a nn", "ann%", "ann_", "ann'", 'ann"', "ann\\", "$1", "%(owner)s")
STRANGER = "bob"
CHANGES: dict[str, object] = {"title": f"{PLANTED} anew", "description": None, "completed": True}
# Counts a change of many tasks. The statement inside must follow the rules like any other.
COUNTED = re.compile(
    r"WITH changed AS \((.*)\) SELECT changed\.user_id, count\(\*\) AS \w+ FROM changed"
    r" WHERE changed\.user_id = \$\d+::VARCHAR GROUP BY changed\.user_id"
)
ID = re.compile(r"'[0-9a-f-]{36}'")
REMOVED = "Rows Removed by Filter"
LATER = "updated_at=greatest(now(), ((updated_at at time zone 'UTC') + interval '1 microsecond') at time zone 'UTC')"


@dataclass
class Journey:
    """Requests of several users, one at a time, and the statements that each should cause."""

    client: httpx2.Client
    owners: list[str] = field(default_factory=list)
    """The owner of each expected statement, in order."""
    alike: list[tuple[str, slice, slice]] = field(default_factory=list)
    """For each request, its statements for another user's task and those for a task that never was."""

    def send(
        self, owner: str, request: str, body: object = None, *, status: int, count: int = 1, **headers: str
    ) -> Any:
        """Send a request, and return the answer. Expects this status, and this many statements."""
        method, _, path = request.partition(" ")
        given = {"X-User-Id": owner} | {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.client.request(method, f"/v1/tasks{path}", json=body, headers=given)
        assert answer.status_code == status, (request, headers, answer.text)
        self.owners += [owner] * count
        return answer.json() | {"etag": answer.headers.get("etag")} if answer.content else None

    def live(self, owner: str) -> None:
        """Use all that the API offers, on the owner's tasks."""
        key = "the same for all"
        self.send(owner, "POST ", TASK, status=201, Idempotency_Key=key)
        self.send(owner, "POST ", TASK, status=200, count=2, Idempotency_Key=key)
        self.send(owner, "POST ", {**TASK, "completed": True}, status=422, count=2, Idempotency_Key=key)
        self.send(owner, "POST ", {**TASK, "title": ""}, status=422, count=0)
        task = self.send(owner, "POST ", TASK, status=201)
        cursor = self.send(owner, "GET ?limit=1", status=200)["next_cursor"]
        oldest = self.send(owner, "GET ?limit=1&order=oldest", status=200)["next_cursor"]
        for query in ("", "?completed=false", f"?cursor={cursor}", f"?completed=true&cursor={cursor}"):
            self.send(owner, f"GET {query}", status=200)
        for query in ("?", "?completed=false&", f"?cursor={oldest}&", f"?completed=true&cursor={oldest}&"):
            self.send(owner, f"GET {query}order=oldest", status=200)
        self.send(owner, "GET /counts", status=200)
        self.send(owner, "GET /not-a-uuid", status=422, count=0)
        self.send(owner, f"GET /{task['id']}", status=304, If_None_Match=task["etag"])
        for fields in (fields for size in (1, 2, 3) for fields in combinations(CHANGES, size)):
            changes = {field: CHANGES[field] for field in fields}
            etag = self.send(owner, f"PATCH /{task['id']}", changes, status=200)["etag"]
            self.send(owner, f"PATCH /{task['id']}", changes, status=200, If_Match=etag)
        for name, (method, path, body) in ON_ONE.items():
            request = f"{method} /{task['id']}{path}"
            count = 1 if name in READS else 2  # a write that fails may ask for the reason
            self.send(owner, request, body, status=412, count=count, If_Match='"1"')
            etag = self.send(owner, f"GET /{task['id']}", status=200)["etag"]
            self.send(owner, request, body, status=204 if name == "delete" else 200, If_Match=etag)
        self.send(owner, "PATCH ?completed=false", {"completed": True}, status=200)
        self.send(owner, "DELETE ?completed=true", status=200)

    def trespass(self, task: dict[str, Any]) -> None:
        """Send every request on one task: on another user's task, and on one that never was."""
        for name, (method, path, body) in ON_ONE.items():
            conditions = [{}, {"If_Match": "*"}, {"If_Match": task["etag"]}]
            conditions += [{"If_None_Match": task["etag"]}] if name in READS else []
            for condition in conditions:
                count = 2 if name not in READS and condition == {"If_Match": task["etag"]} else 1
                begun = len(self.owners)
                for task_id in (task["id"], uuid4()):
                    self.send(STRANGER, f"{method} /{task_id}{path}", body, status=404, count=count, **condition)
                foreign, missing = slice(begun, begun + count), slice(begun + count, begun + 2 * count)
                self.alike.append((f"{name} {condition}", foreign, missing))


@dataclass
class Recorded:
    journey: Journey
    on_tasks: list[LoggedStatement]
    besides: list[str]
    folder: Path


@pytest.fixture(scope="module")
def recorded() -> Iterator[Recorded]:
    with own_folder() as parent:
        folder = parent / "postgres"
        with embedded_postgres(folder) as url:
            assert run("migrate", DATABASE_URL=url).returncode == 0
            with psycopg.connect(url, autocommit=True) as connection:  # enough rows for the server to use its indexes
                connection.execute(
                    "insert into tasks (user_id, title) select 'user ' || n % 50, 'x' from generate_series(1, 10000) n"
                )
                connection.execute("analyze tasks")
            log_all_statements(url)
        with embedded_postgres(folder) as url, serving(url, DATABASE_CONNECTIONS="1") as (service, client):
            journey = Journey(client)
            for owner in OWNERS:
                journey.live(owner)
            journey.trespass(journey.send(OWNERS[0], "POST ", TASK, status=201))
            assert client.get("/health/ready").status_code == 200
            assert service.end() == 0
        sent = statements_in(folder)
        besides = [statement.sql for statement in sent if not statement.is_on_tasks]
        yield Recorded(journey, [statement for statement in sent if statement.is_on_tasks], besides, folder)


def test_each_operation_is_one_statement_that_binds_its_owner(recorded: Recorded) -> None:
    assert len(recorded.on_tasks) > 300
    assert [statement.owners() for statement in recorded.on_tasks] == [[owner] for owner in recorded.journey.owners]


def test_nothing_else_is_sent(recorded: Recorded) -> None:
    """No BEGIN, COMMIT, SET or temporary table: only two queries at the start are not on tasks."""
    probe, readiness = sorted(set(recorded.besides), key=len)
    assert probe == "select pg_backend_pid()"
    assert re.sub(r"\$\d+", "%", readiness) == re.sub(r"%\(\w+\)s", "%", FACTS.text)


def faults_of(sql: str) -> Iterator[str]:
    """Yield what a distributed PostgreSQL would refuse, or would need several of its servers for."""
    sql = COUNTED.sub(r"\1", sql)
    rest = sql.replace(LATER, "")
    if not re.match("SELECT|INSERT|UPDATE|DELETE", sql):
        yield "is no plain statement"
    if re.findall(r"\b(?:from|join|into|update|using|table|only)\s+(\S+)", rest, re.IGNORECASE) != ["tasks"]:
        yield "is about more than the one table"
    if len(re.findall(r"user_id = \$\d", rest)) + len(re.findall(r"INSERT INTO tasks \([^)]*\buser_id\b", rest)) != 1:
        yield "does not name one owner"
    if set(re.findall(r"(\w+) ?\(", rest.lower())) - {"tasks", "values", "and", "any", "count", "filter"}:
        yield "calls a function, which may be volatile, or stable and over a column"
    if re.search(r"current_|localtime|session_user|at time zone", rest, re.IGNORECASE):
        yield "depends on its session or on the time"
    if re.search(r"for (update|no key update|share|key share)", rest, re.IGNORECASE):
        yield "locks rows"
    if re.search(r"on conflict (?!do nothing)", rest, re.IGNORECASE):
        yield "has a conflict target"
    if re.search(r"[;@]|--|/\*|\b(or|with(?! time zone)|union|intersect|except)\b", rest, re.IGNORECASE):
        yield "is more than one statement, or is on more than the owner's rows"


def test_every_statement_can_be_sent_to_a_distributed_database(recorded: Recorded) -> None:
    distinct = {statement.sql for statement in recorded.on_tasks}
    assert len(distinct) == len({statement.text for statement in statements.ALL})
    assert {sql: list(faults_of(sql)) for sql in distinct} == {sql: [] for sql in distinct}


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN",
        "SET TIME ZONE 'UTC'",
        "SELECT title FROM tasks",
        "SELECT title FROM tasks WHERE tasks.user_id = $1 FOR UPDATE",
        "SELECT title FROM tasks, other WHERE tasks.user_id = $1 OR true",
        "SELECT title FROM tasks JOIN other ON true WHERE tasks.user_id = $1",
        "SELECT title FROM tasks WHERE tasks.user_id = $1; COMMIT",
        "UPDATE tasks SET updated_at=clock_timestamp() WHERE tasks.user_id = $1",
        "UPDATE tasks SET updated_at=current_timestamp WHERE tasks.user_id = $1",
        "UPDATE tasks SET updated_at=now() WHERE tasks.user_id = $1",
        "UPDATE tasks SET updated_at=updated_at at time zone 'UTC' WHERE tasks.user_id = $1",
        "INSERT INTO tasks (user_id) VALUES ($1) ON CONFLICT (id) DO NOTHING",
        "INSERT INTO tasks (title) VALUES ($1)",
        "INSERT INTO tasks (user_id, id) VALUES ($1, nextval('s'))",
        "DELETE FROM tasks USING other WHERE tasks.user_id = $1",
        "WITH x AS (DELETE FROM tasks WHERE tasks.user_id = $1) SELECT 1",
    ],
)
def test_the_rules_notice_violations(sql: str) -> None:
    assert list(faults_of(sql))


def test_foreign_and_missing_tasks_take_the_same_statements(recorded: Recorded) -> None:
    sql = [statement.sql for statement in recorded.on_tasks]
    assert len(recorded.journey.alike) == 3 * len(ON_ONE) + len(READS)
    for name, foreign, missing in recorded.journey.alike:
        assert sql[foreign] == sql[missing], name


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_foreign_and_missing_tasks_take_the_same_work(recorded: Recorded, mode: str) -> None:
    """Except for the row itself: it is found by its id, and removed by the owner's filter."""
    with embedded_postgres(recorded.folder) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select set_config('plan_cache_mode', %s, false)", [mode])
        for name, *slices in recorded.journey.alike:
            foreign, missing = (
                [plan_of(connection, statement) for statement in recorded.on_tasks[places]] for places in slices
            )
            assert [without_the_row(plan) for plan in foreign] == [without_the_row(plan) for plan in missing], name


def without_the_row(plan: dict[str, Any]) -> dict[str, Any]:
    """Return the plan without the requested id and the number of removed rows."""
    steps = [without_the_row(step) for step in plan.get("Plans", ())]
    facts = {name: ID.sub("id", str(fact)) for name, fact in plan.items() if name not in {"Plans", REMOVED}}
    return {**facts, "Plans": steps}
